"""What files are to say of themselves in Rucio: read from sidecars, or from one table of all files.

A sidecar of ``image.fits`` is ``image.fits.json``, an object. A path in a table (`metadata_tables`) is relative as the
file was found: to the folder in which the named PATH lies, or to PATH itself; or it is absolute.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.mapping.metadata import RUCIO_KEYS
from stac_rucio_sync.seen import on_disk, private_table
from stac_rucio_sync.upload.metadata_tables import rows_of
from stac_rucio_sync.upload.relative import Relative
from stac_rucio_sync.upload.rubin import with_reference

SIDECARS: Final = "sidecars"
_SUFFIX: Final = ".json"
_LARGEST: Final = 1_000_000
"""Octets of metadata that one file may have."""
_LONGEST_KEY: Final = 255
_NO_KEY = re.compile(r"[./\x00-\x1f\x7f-\x9f\ud800-\udfff]")


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

    def of(self, path: Path) -> dict[str, Any]:
        return {}

    def is_about_others(self, path: Path) -> bool:
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
        self._table = private_table("CREATE TABLE said (path BLOB PRIMARY KEY, metadata BLOB, user BLOB) WITHOUT ROWID")
        try:
            for place, (path, said) in enumerate(rows_of(file), start=1):
                self._take(place, path, said)
        except BaseException:
            self.close()
            raise

    def _take(self, place: int, path: object, said: Mapping[str, Any]) -> None:
        if not isinstance(path, str) or not path:
            raise UsageError(f"{self._file}: its entry {place} does not name a file")
        plain = os.fsencode(os.path.normpath(path))
        content = orjson.dumps({key: value for key, value in said.items() if value is not None})
        with on_disk():
            if not self._table.execute("INSERT OR IGNORE INTO said VALUES (?, ?, NULL)", (plain, content)).rowcount:
                raise UsageError(f"{self._file}: its entry {place} describes {path} once more")

    def of(self, path: Path) -> dict[str, Any]:
        found = self._relative.of(path)
        for name in (found, found.partition("/")[2], str(path)):
            with on_disk():
                row = self._table.execute(
                    "SELECT metadata, user FROM said WHERE path = ?", (os.fsencode(name),)
                ).fetchone()
            if row is None:
                continue
            content, user = row
            if user not in (None, os.fsencode(path)):
                raise ItemError(f"{self._file.name} says {name}, which may be this file or {os.fsdecode(user)}")
            with on_disk():
                self._table.execute("UPDATE said SET user = ? WHERE path = ?", (os.fsencode(path), os.fsencode(name)))
            return checked(orjson.loads(content))
        return {}

    def is_about_others(self, path: Path) -> bool:
        return path == self._file

    def unused(self) -> tuple[int, str | None]:
        with on_disk():
            row = self._table.execute("SELECT count(*), min(path) FROM said WHERE user IS NULL").fetchone()
        return int(row[0]), None if row[1] is None else os.fsdecode(row[1])

    def close(self) -> None:
        self._table.close()
