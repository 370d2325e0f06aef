"""JSON: one object that names the columns first and has one array a row.

``{"columns": [{"name", "datatype", …}], "infos": {…}, "data": [[…], …], "status": "OK"}``, where each column says
what its VOTable FIELD would, and the status (``OK``, ``OVERFLOW``) comes last, as it is known last. Numbers that JSON
cannot hold (NaN, infinities) are null; regions are arrays of degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import orjson

from obscore_tap.results.fields import votable_type
from obscore_tap.results.values import FLOATS, SHAPES, array_of, concat, coordinates, literal, over, text_of
from obscore_tap.results.writer import Batch, Ending, Heading, numbered
from obscore_tap.schema import Datatype, OutputColumn


class JsonWriter:
    """Writes JSON."""

    tells_errors = True

    def __init__(self, columns: Sequence[OutputColumn], heading: Heading) -> None:
        self._columns, self._heading = tuple(columns), heading
        self.row = _row(self._columns)
        self._first = True

    def begin(self) -> bytes:
        """Return the columns and what is said of the result."""
        infos = {info.name: info.value for info in self._heading.infos}
        described = orjson.dumps([_described(column) for column in self._columns])
        return b'{"columns":' + described + b',"infos":' + orjson.dumps(infos) + b',"data":[\n'

    def rows(self, batch: Batch) -> bytes:
        """Return rows."""
        if not batch:
            return b""
        joined = b",\n".join(chain.from_iterable(batch))
        if not self._first:
            joined = b",\n" + joined
        self._first = False
        return joined

    def end(self, ending: Ending) -> bytes:
        """Return the status."""
        status = "ERROR" if ending.error else "OVERFLOW" if ending.overflow else "OK"
        error = b',"error":' + orjson.dumps(ending.error) if ending.error else b""
        return b'\n],"status":' + orjson.dumps(status) + error + b"}\n"


def _described(column: OutputColumn) -> dict[str, str]:
    datatype, size, xtype = votable_type(column)
    said = {
        "datatype": datatype,
        "arraysize": size,
        "xtype": xtype,
        "unit": column.unit,
        "ucd": column.ucd,
        "utype": column.utype,
        "description": column.description,
    }
    return {"name": column.name} | {name: value for name, value in said.items() if value}


@lru_cache(maxsize=256)
def _row(columns: tuple[OutputColumn, ...]) -> str:
    parts = [literal("[")]
    for name, column in numbered(columns):
        parts += [f"coalesce({_cell(name, column.datatype)}, 'null')", literal(",")]
    parts[-1] = literal("]")
    return concat(parts)


def _cell(name: str, datatype: Datatype) -> str:
    if datatype in FLOATS:
        return _number(name)
    if datatype in SHAPES:
        fixed = coordinates(name, datatype)
        if fixed is None:
            inside = f"coalesce(string_agg(coalesce({_number('v')}, 'null'), ',' ORDER BY i), '')"
            written = over("unnest", array_of(name, datatype), f"'[' || {inside} || ']'")
            return f"CASE WHEN {name} IS NOT NULL THEN {written} END"
        numbers = " || ',' || ".join(f"coalesce({_number(number)}, 'null')" for number in fixed)
        return f"CASE WHEN {name} IS NOT NULL THEN '[' || {numbers} || ']' END"
    if datatype is Datatype.INTEGERS:
        return f"'[' || array_to_string({name}, ',') || ']'"
    text = text_of(name, datatype)
    return f"to_json({text})::text" if datatype in {Datatype.TEXT, Datatype.TIMESTAMP, Datatype.BLOB} else text


def _number(name: str) -> str:
    """Write a floating-point number; PostgreSQL holds NaN to be equal to itself and the greatest of all."""
    return f"CASE WHEN {name} < 'Infinity' AND {name} > '-Infinity' THEN ({name})::text END"
