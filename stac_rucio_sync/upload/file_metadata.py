"""What files are to say of themselves in Rucio: read from sidecars, or from one table of all files.

A sidecar of ``image.fits`` is ``image.fits.json``, an object. A table is a file of CSV or ECSV (the first column names
the file), JSON lines (``path`` does) or JSON (objects by path, or a list of such with ``path``). A path in a table is
relative as the file was found: to the folder in which the named PATH lies, or to PATH itself; or it is absolute.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.mapping.metadata import RUCIO_KEYS
from stac_rucio_sync.seen import on_disk, private_table
from stac_rucio_sync.upload.relative import Relative
from stac_rucio_sync.upload.rubin import with_reference

SIDECARS: Final = "sidecars"
_SUFFIX: Final = ".json"
_LARGEST: Final = 1_000_000
"""Octets of metadata that one file may have."""
_LONGEST_KEY: Final = 255
_NO_KEY = re.compile(r"[./\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_PATHS: Final = ("path", "filename")


class FileMetadata(Protocol):
    """Metadata of the files of an upload."""

    def of(self, path: Path) -> dict[str, Any]:
        """Return those of a file; empty: there are none.

        Raises
        ------
        ItemError
            They cannot be read, or Rucio does not take them.
        """

    def is_about_others(self, path: Path) -> bool:
        """Tell whether a file is here to describe another one, so that it is not uploaded itself."""

    def unused(self) -> tuple[int, str | None]:
        """Return how many descriptions belong to no file that was asked for, and the first of them."""

    def close(self) -> None:
        """Drop what was read."""


def file_metadata(named: str | None, relative: Relative) -> FileMetadata:
    """Return what gives files their metadata.

    Parameters
    ----------
    named
        ``sidecars``, the path of a table, or None: no file has any.
    relative
        Tells where files were found.

    Raises
    ------
    UsageError
        The table cannot be read, or describes one file twice.
    """
    if named is None:
        return _None()
    return _Sidecars() if named == SIDECARS else _Table(Path(named), relative)


def checked(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as Rucio is to hold them.

    Raises
    ------
    ItemError
        Rucio would take a key for one of its own, or cannot hold a key or a value.
    """
    metadata = with_reference(said)
    for key in metadata:
        if key in RUCIO_KEYS:
            raise ItemError(
                f"its metadata key {key} is Rucio's own (`lifetime` would have the file deleted): rename it"
            )
        if key.startswith("stac:"):
            raise ItemError(f"its metadata key {key} begins with stac:, as those of the sync do: rename it")
        if not key or len(key) > _LONGEST_KEY or _NO_KEY.search(key):
            raise ItemError(
                f"its metadata key {key[:80]!r} is none that Rucio finds again: no '.', '/' or control character"
            )
    try:
        text = orjson.dumps(metadata)
    except TypeError as error:
        raise ItemError(f"its metadata are no JSON: {error}") from error
    if b"\\u0000" in text:
        raise ItemError("its metadata hold a NUL character, which no database takes")
    if len(text) > _LARGEST:
        raise ItemError(f"its metadata take {len(text)} bytes, more than {_LARGEST}")
    return metadata


class _None:
    """No file has metadata."""

    def of(self, path: Path) -> dict[str, Any]:  # noqa: ARG002 - as the protocol has it
        return {}

    def is_about_others(self, path: Path) -> bool:  # noqa: ARG002 - as the protocol has it
        return False

    def unused(self) -> tuple[int, str | None]:
        return 0, None

    def close(self) -> None:
        """Nothing is kept."""


class _Sidecars(_None):
    """Objects in files beside those that they describe."""

    def of(self, path: Path) -> dict[str, Any]:
        sidecar = path.with_name(path.name + _SUFFIX)
        try:
            with sidecar.open("rb") as opened:
                content = opened.read(_LARGEST + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ItemError(f"its sidecar {sidecar.name} cannot be read: {error.strerror}") from error
        if len(content) > _LARGEST:
            raise ItemError(f"its sidecar {sidecar.name} has more than {_LARGEST} bytes")
        try:
            said = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise ItemError(f"its sidecar {sidecar.name} is no JSON: {error}") from error
        if not isinstance(said, dict):
            raise ItemError(f"its sidecar {sidecar.name} is no JSON object")
        return checked(said)

    def is_about_others(self, path: Path) -> bool:
        return path.suffix == _SUFFIX and path.with_name(path.name.removesuffix(_SUFFIX)).is_file()


class _Table(_None):
    """One table of all files, kept in a private file: it may be longer than memory."""

    def __init__(self, file: Path, relative: Relative) -> None:
        self._file = Path(os.path.abspath(file))  # noqa: PTH100 - resolve() would replace links
        self._relative = relative
        self._table = private_table("CREATE TABLE said (path TEXT PRIMARY KEY, metadata BLOB, user BLOB) WITHOUT ROWID")
        try:
            for place, (path, said) in enumerate(_rows(file), start=1):
                self._take(place, path, said)
        except BaseException:
            self.close()
            raise

    def _take(self, place: int, path: object, said: Mapping[str, Any]) -> None:
        if not isinstance(path, str) or not path:
            raise UsageError(f"{self._file}: its entry {place} does not name a file")
        plain = path if path.startswith("/") else os.path.normpath(path)
        content = orjson.dumps({key: value for key, value in said.items() if value is not None})
        with on_disk():
            if not self._table.execute("INSERT OR IGNORE INTO said VALUES (?, ?, NULL)", (plain, content)).rowcount:
                raise UsageError(f"{self._file}: its entry {place} describes {path} once more")

    def of(self, path: Path) -> dict[str, Any]:
        found = self._relative.of(path)
        for name in (found, found.partition("/")[2], str(path)):
            with on_disk():
                row = self._table.execute("SELECT metadata, user FROM said WHERE path = ?", (name,)).fetchone()
            if row is None:
                continue
            content, user = row
            if user not in (None, os.fsencode(path)):
                raise ItemError(f"{self._file.name} says {name}, which may be this file or {os.fsdecode(user)}")
            with on_disk():
                self._table.execute("UPDATE said SET user = ? WHERE path = ?", (os.fsencode(path), name))
            return checked(orjson.loads(content))
        return {}

    def is_about_others(self, path: Path) -> bool:
        return path == self._file

    def unused(self) -> tuple[int, str | None]:
        with on_disk():
            row = self._table.execute("SELECT count(*), min(path) FROM said WHERE user IS NULL").fetchone()
        return int(row[0]), row[1]

    def close(self) -> None:
        self._table.close()


# ------------------------------------------------------------------------------------------------------ tables


def _rows(file: Path) -> Iterator[tuple[object, Mapping[str, Any]]]:
    """Yield path and metadata of each file that a table describes."""
    kinds = {".csv": _csv, ".ecsv": _ecsv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json}
    read = kinds.get(file.suffix.lower())
    if read is None:
        raise UsageError(f"{file}: metadata are read from {', '.join(kinds)}, or from sidecars")
    try:
        yield from read(file)
    except OSError as error:
        raise UsageError(f"the metadata {file} cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise UsageError(f"the metadata {file} cannot be read: {error}") from error


def _csv(file: Path) -> Iterator[tuple[object, Mapping[str, Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = csv.reader(opened, strict=True)
        header = next(rows, [])
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"line {rows.line_num} has {len(row)} columns, the first line {len(header)}")
            yield row[0], {key: _value(text) for key, text in zip(header[1:], row[1:], strict=True) if text}


def _value(text: str) -> int | float | str:
    """Return what a column of CSV says: a number where it is written as one."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) and not text.lstrip("-").startswith("0") else _text_or_float(text)


def _text_or_float(text: str) -> float | str:
    # 0.5 is a number; 007 is a name.
    return float(text) if re.fullmatch(r"-?0\.[0-9]+([eE][+-]?[0-9]+)?", text) else text


def _ecsv(file: Path) -> Iterator[tuple[object, Mapping[str, Any]]]:
    # astropy takes half a second to load: only those wait who have such a table.
    from astropy.table import Table  # noqa: PLC0415

    table = Table.read(file, format="ascii.ecsv")
    first, *others = table.colnames
    for row in table:
        values = {name: row[name] for name in others}
        yield str(row[first]), {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - a scalar of NumPy's
    """Return a scalar as JSON has it; None: it is masked, or no number."""
    import numpy as np  # noqa: PLC0415 - as astropy

    if np.ma.is_masked(value):
        return None
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and plain != plain else plain  # noqa: PLR0124 - NaN is not itself


def _json_lines(file: Path) -> Iterator[tuple[object, Mapping[str, Any]]]:
    with file.open("rb") as opened:
        for line in opened:
            if line.strip():
                yield _split(orjson.loads(line))


def _json(file: Path) -> Iterator[tuple[object, Mapping[str, Any]]]:
    said = orjson.loads(file.read_bytes())
    if isinstance(said, dict):
        for path, metadata in said.items():
            if not isinstance(metadata, dict):
                raise ValueError(f"what it says of {path} is no object")  # noqa: TRY004 - of a file, not of a program
            yield path, metadata
        return
    yield from map(_split, said if isinstance(said, list) else [said])


def _split(said: Any) -> tuple[object, Mapping[str, Any]]:  # noqa: ANN401 - any JSON
    if not isinstance(said, dict):
        raise ValueError("an entry is no object")  # noqa: TRY004 - of a file, not of a program
    key = next((one for one in _PATHS if one in said), _PATHS[0])
    return said.get(key), {name: value for name, value in said.items() if name != key}
