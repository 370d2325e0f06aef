"""Tables that say something of many files: CSV and ECSV, whose first column names the file, JSON lines and JSON.

In JSON an entry names its file by ``path`` or ``filename``; a JSON object may also hold the entries by path.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from stac_rucio_sync.errors import UsageError

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_PATHS: Final = ("path", "filename")

Row = tuple[object, Mapping[str, Any]]
"""What names the file, and what is said of it."""


def rows_of(file: Path) -> Iterator[Row]:
    """Yield what a table says of each file.

    Raises
    ------
    UsageError
        It cannot be read, or its suffix is none of those that are known.
    """
    kinds = {".csv": _csv, ".ecsv": _ecsv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json}
    read = kinds.get(file.suffix.lower())
    if read is None:
        raise UsageError(f"{file}: metadata are read from files that end in {', '.join(kinds)}, or from sidecars")
    try:
        yield from read(file)
    except OSError as error:
        raise UsageError(f"the metadata {file} cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise UsageError(f"the metadata {file} cannot be read: {error}") from error


def _csv(file: Path) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = csv.reader(opened, strict=True)
        header = next(rows, [])
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"line {rows.line_num} has {len(row)} columns, the first line {len(header)}")
            if row:
                yield row[0], {key: _value(text) for key, text in zip(header[1:], row[1:], strict=True) if text}


def _value(text: str) -> int | float | str:
    """Return what a column says: a number where it is written as one (``0.5``, not ``007``)."""
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    return int(text) if number[2] is None and number[3] is None else float(text)


def _ecsv(file: Path) -> Iterator[Row]:
    # astropy takes half a second to load: only those wait who have such a table.
    from astropy.table import Table  # noqa: PLC0415

    table = Table.read(file, format="ascii.ecsv")
    first, *others = table.colnames
    for row in table:
        yield str(row[first]), {name: _plain(row[name]) for name in others}


def _plain(value: Any) -> Any:  # noqa: ANN401 - of NumPy
    """Return a value as JSON has it; None: it is masked, or no number."""
    import numpy as np  # noqa: PLC0415 - as astropy

    if np.ma.is_masked(value):
        return None
    plain = value.tolist() if hasattr(value, "tolist") else value
    return None if isinstance(plain, float) and not np.isfinite(plain) else plain


def _json_lines(file: Path) -> Iterator[Row]:
    with file.open("rb") as opened:
        for line in opened:
            if line.strip():
                yield _split(orjson.loads(line))


def _json(file: Path) -> Iterator[Row]:
    said = orjson.loads(file.read_bytes())
    if isinstance(said, dict):
        for path, metadata in said.items():
            if not isinstance(metadata, dict):
                raise ValueError(f"what it says of {path} is no object")  # noqa: TRY004 - of a file, not of a program
            yield path, metadata
        return
    yield from map(_split, said if isinstance(said, list) else [said])


def _split(said: Any) -> Row:  # noqa: ANN401 - any JSON
    if not isinstance(said, dict):
        raise ValueError("an entry is no object")  # noqa: TRY004 - of a file, not of a program
    key = next((one for one in _PATHS if one in said), _PATHS[0])
    return said.get(key), {name: value for name, value in said.items() if name != key}
