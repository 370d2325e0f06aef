"""Parquet with a VOTable's metadata (the IVOA note VOParquet 1.0): CSV from the database, parsed by Arrow in batches.

Times stay ISO text and regions arrays of degrees, as the VOTable beside them says; bytes are hexadecimal text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import pyarrow as pa
from pyarrow import compute, csv, parquet

from obscore_tap.results.delimited import csv_cell
from obscore_tap.results.values import SHAPES, concat, literal
from obscore_tap.results.votable import without_rows
from obscore_tap.results.writer import Batch, Ending, Heading, numbered
from obscore_tap.schema import Datatype, OutputColumn

_TYPES = {
    Datatype.SMALLINT: pa.int16(),
    Datatype.INTEGER: pa.int32(),
    Datatype.BIGINT: pa.int64(),
    Datatype.REAL: pa.float32(),
    Datatype.DOUBLE: pa.float64(),
    Datatype.BOOLEAN: pa.bool_(),
}
_ARRAYS = {**dict.fromkeys(SHAPES, pa.list_(pa.float64())), Datatype.INTEGERS: pa.list_(pa.int32())}
_GROUP_BYTES = 8_000_000
"""Text that makes one row group: what is held in memory."""


class ParquetWriter:
    """Writes Parquet."""

    tells_errors = False

    def __init__(self, columns: Sequence[OutputColumn], heading: Heading) -> None:
        self._columns = tuple(columns)
        self.row = _row(self._columns)
        self._names = _unique([column.name for column in columns])
        self._waiting: list[bytes] = []
        self._size = 0
        self._sink = _Sink()
        self._parquet = parquet.ParquetWriter(self._sink, self._schema(heading), compression="zstd")

    def _schema(self, heading: Heading) -> Any:  # noqa: ANN401 - pyarrow has no types
        types = [_arrow_type(column.datatype) for column in self._columns]
        described = {
            "IVOA.VOTable-Parquet.version": "1.0",
            "IVOA.VOTable-Parquet.content": without_rows(self._columns, heading),
        }
        return pa.schema(list(zip(self._names, types, strict=True)), metadata=described)

    def begin(self) -> bytes:
        """Return the file's first bytes."""
        return self._sink.taken()

    def rows(self, batch: Batch) -> bytes:
        """Return the row groups that are full."""
        text = b"".join(chain.from_iterable(batch))
        self._waiting.append(text)
        self._size += len(text)
        if self._size >= _GROUP_BYTES:
            self._write_group()
        return self._sink.taken()

    def end(self, ending: Ending) -> bytes:
        """Return the last row group and the footer.

        The footer's metadata say of an overflow what a VOTable says after its table.
        """
        if self._size:
            self._write_group()
        if ending.overflow:
            self._parquet.add_key_value_metadata({"QUERY_STATUS": "OVERFLOW"})
        self._parquet.close()
        return self._sink.taken()

    def _write_group(self) -> None:
        text = b"".join(self._waiting)
        self._waiting, self._size = [], 0
        types = {
            name: pa.string() if column.datatype not in _TYPES else _TYPES[column.datatype]
            for name, column in zip(self._names, self._columns, strict=True)
        }
        table = csv.read_csv(
            pa.py_buffer(text),
            read_options=csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(text) + 1),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
        self._parquet.write_table(self._with_arrays(table) if self._has_arrays else table.cast(self._parquet.schema))

    @property
    def _has_arrays(self) -> bool:
        return any(column.datatype in _ARRAYS for column in self._columns)

    def _with_arrays(self, table: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
        columns = [
            compute.split_pattern(values, " ").cast(_ARRAYS[column.datatype]) if column.datatype in _ARRAYS else values
            for column, values in zip(self._columns, table.columns, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=self._parquet.schema)


class _Sink:
    """What Arrow takes for a file; what was written is taken out as it comes."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def write(self, written: bytes) -> int:
        self._parts.append(bytes(written))
        self._position += len(written)
        return len(written)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Do nothing: all is taken from memory."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        joined = b"".join(self._parts)
        self._parts.clear()
        return joined


def _arrow_type(datatype: Datatype) -> Any:  # noqa: ANN401 - pyarrow has no types
    return _ARRAYS.get(datatype) or _TYPES.get(datatype, pa.string())


def _unique(names: Sequence[str]) -> list[str]:
    """Return names of which no two are the same: Parquet's columns are found by them."""
    found: list[str] = []
    for name in names:
        unique, count = name, 1
        while unique in found:
            count += 1
            unique = f"{name}_{count}"
        found.append(unique)
    return found


@lru_cache(maxsize=256)
def _row(columns: tuple[OutputColumn, ...]) -> str:
    parts = []
    for name, column in numbered(columns):
        parts += [csv_cell(name, column.datatype), literal(",")]
    parts[-1] = r"E'\n'"
    return concat(parts)
