"""CSV (RFC 4180 with a header) and TSV: the database writes a row as a line itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from obscore_tap.results.values import concat, literal, text_of
from obscore_tap.results.writer import Batch, Ending, Heading, numbered
from obscore_tap.schema import Datatype, OutputColumn

CSV_END, TSV_END = "\r\n", "\n"


class DelimitedWriter:
    """Writes CSV or TSV.

    In CSV, text is always quoted, so that an empty text (``""``) is not a null (nothing). TSV has no way to write a
    tab or the end of a line inside of a value: they become spaces.
    """

    tells_errors = False

    def __init__(self, columns: Sequence[OutputColumn], heading: Heading, tabs: bool) -> None:
        del heading  # there is no place for it
        self._columns, self._tabs = tuple(columns), tabs
        self.row = _row(self._columns, tabs)

    def begin(self) -> bytes:
        """Return the line of names."""
        names = [column.name for column in self._columns]
        if self._tabs:
            return ("\t".join(" ".join(name.split()) for name in names) + TSV_END).encode()
        return (",".join(map(_quoted_where_needed, names)) + CSV_END).encode()

    def rows(self, batch: Batch) -> bytes:
        """Return rows."""
        return b"".join(chain.from_iterable(batch))

    def end(self, ending: Ending) -> bytes:
        """Return nothing: neither format has a place for what is known at the end."""
        del ending
        return b""


def _quoted_where_needed(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(sign in name for sign in '",\r\n') else name


@lru_cache(maxsize=256)
def _row(columns: tuple[OutputColumn, ...], tabs: bool) -> str:
    parts = []
    for name, column in numbered(columns):
        parts += [_tsv_cell(name, column.datatype) if tabs else csv_cell(name, column.datatype)]
        parts += [r"E'\t'" if tabs else literal(",")]
    parts[-1] = r"E'\n'" if tabs else r"E'\r\n'"
    return concat(parts)


def csv_cell(name: str, datatype: Datatype) -> str:
    """Return the SQL expression of a value in CSV; null is null."""
    return f"""'"' || replace({name}, '"', '""') || '"'""" if datatype is Datatype.TEXT else text_of(name, datatype)


def _tsv_cell(name: str, datatype: Datatype) -> str:
    if datatype is not Datatype.TEXT:
        return text_of(name, datatype)
    return rf"replace(replace(replace({name}, E'\t', ' '), E'\n', ' '), E'\r', ' ')"
