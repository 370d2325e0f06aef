"""What became of each file of a run, to be looked up and gone through: memory stays small however many there are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from stac_rucio_sync.model import Did, Uploaded, UploadFate
from stac_rucio_sync.seen import on_disk, private_table
from stac_rucio_sync.upload.report_lines import line_of


class Fates:
    """The fates of the files of one run; for one thread."""

    def __init__(self) -> None:
        self._table = private_table("CREATE TABLE fates (path BLOB PRIMARY KEY, place BLOB, said BLOB, columns BLOB)")
        self._table.execute("CREATE INDEX places ON fates (place)")

    def put(self, uploaded: Uploaded, columns: Mapping[str, Any] | None = None) -> None:
        """Note what became of a file, with what a table is to say of it."""
        path = os.fsencode(uploaded.path)
        row = (path, os.path.realpath(path), line_of(uploaded), None if columns is None else orjson.dumps(columns))
        with on_disk():
            self._table.execute("INSERT OR REPLACE INTO fates VALUES (?, ?, ?, ?)", row)

    def of(self, path: Path) -> Uploaded | None:
        """Return what became of a file, by whatever links its path leads; None: it is none of the run's."""
        here = os.fsencode(os.path.abspath(path))  # noqa: PTH100 - resolve() would replace links
        for column, value in (("path", here), ("place", os.path.realpath(here))):
            with on_disk():
                # The text holds only column names from this module.
                row = self._table.execute(f"SELECT path, said FROM fates WHERE {column} = ?", (value,)).fetchone()  # noqa: S608
            if row is not None:
                return _uploaded(*row)
        return None

    def rows(self) -> Iterator[tuple[Uploaded, dict[str, Any]]]:
        """Yield the files of which a table is to say something, by path."""
        for path, said, columns in self._table.execute(
            "SELECT path, said, columns FROM fates WHERE columns IS NOT NULL ORDER BY path"
        ):
            yield _uploaded(path, said), orjson.loads(columns)

    def close(self) -> None:
        """Drop all."""
        self._table.close()


def _uploaded(path: bytes, said: bytes) -> Uploaded:
    facts = orjson.loads(said)
    dids = {key: None if facts[key] is None else Did(*facts[key].split(":", 1)) for key in ("did", "dataset")}
    return Uploaded(**(facts | dids | {"path": Path(os.fsdecode(path)), "fate": UploadFate(facts["fate"])}))
