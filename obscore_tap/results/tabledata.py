"""VOTable's TABLEDATA (VOTable 1.4 section 5.1): the database writes a row as XML itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from obscore_tap.results.fields import null_of, votable_type
from obscore_tap.results.values import FLOATS, SHAPES, concat, literal, over, text_of
from obscore_tap.results.votable import head, tail
from obscore_tap.results.writer import Batch, Ending, Heading, numbered
from obscore_tap.schema import Datatype, OutputColumn

_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r"))
_VISIBLE = bytes.maketrans(_CONTROLS, b"?" * len(_CONTROLS))
_NONCHARACTERS = (("\ufffe".encode(), "\uffff".encode()), "\ufffd".encode())


class TableDataWriter:
    """Writes TABLEDATA."""

    tells_errors = True

    def __init__(self, columns: Sequence[OutputColumn], heading: Heading, version: str) -> None:
        self._columns, self._heading, self._version = tuple(columns), heading, version
        self.row = _row(self._columns)

    def begin(self) -> bytes:
        """Return everything up to the first row."""
        return f"{head(self._columns, self._heading, True, self._version)}<DATA><TABLEDATA>\n".encode()

    def rows(self, batch: Batch) -> bytes:
        """Return rows, with a sign for each character that XML cannot hold (XML 1.0 section 2.2)."""
        joined = b"".join(chain.from_iterable(batch)).translate(_VISIBLE)
        noncharacters, sign = _NONCHARACTERS
        for character in noncharacters:
            joined = joined.replace(character, sign)
        # A parser makes a line feed of a bare carriage return.
        return joined.replace(b"\r", b"&#13;")

    def end(self, ending: Ending) -> bytes:
        """Return what follows the last row."""
        return f"</TABLEDATA></DATA>\n{tail(self._columns, self._heading, ending)}".encode()


@lru_cache(maxsize=256)
def _row(columns: tuple[OutputColumn, ...]) -> str:
    parts = [literal("<TR><TD>")]
    for name, column in numbered(columns):
        parts += [_cell(name, column), literal("</TD><TD>")]
    parts[-1] = literal("</TD></TR>\n")
    return concat(parts)


def _cell(name: str, column: OutputColumn) -> str:
    datatype = column.datatype
    null = null_of(datatype)
    if null is not None:
        return f"coalesce({name}, ({null})::{datatype.value})"
    if datatype in FLOATS:
        return (
            f"CASE {name} WHEN 'Infinity' THEN '+Inf' WHEN '-Infinity' THEN '-Inf' "
            f"ELSE coalesce({name}, 'NaN')::text END"
        )
    if datatype is Datatype.BLOB:
        places = f"0, octet_length({name}) - 1"
        return over("generate_series", places, f"string_agg(get_byte({name}, v)::text, ' ' ORDER BY i)")
    if datatype is Datatype.TEXT:
        return f"replace(replace(replace({name}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
    text = text_of(name, datatype)
    return f"coalesce({text}, {literal(' '.join(['NaN'] * _numbers(column)))})" if datatype in SHAPES else text


def _numbers(column: OutputColumn) -> int:
    """Return how many numbers a shape has at least: a null has as many, for readers that count them."""
    _, size, xtype = votable_type(column)
    return 6 if xtype == "polygon" else 0 if size == "*" else int(size)
