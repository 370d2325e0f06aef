"""A version of the catalogue as a static one in a folder: the layout that it has, without what is the repository's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stac_rucio_sync.catalog.index import PAGE, key_of, may_be_object
from stac_rucio_sync.catalog.objects import Entry
from stac_rucio_sync.catalog.pages import json_file
from stac_rucio_sync.catalog.paths import HIDDEN, joined, path_of_href, relative_href
from stac_rucio_sync.catalog.repository import Version
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.mapping.item import is_absolute

NAMED = 20
"""Files named in a report; all are counted."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written."""

    files: int
    bytes: int
    absent: int
    """Large files that were left out: their bytes are not in this repository."""
    absent_paths: tuple[str, ...]
    """The first of them."""


def export(version: Version, folder: Path, *, base_url: str | None = None) -> ExportReport:
    """Write a version as a static catalogue; the folder is there with all of it, or not at all.

    Documents are written as they lie in the catalogue, with relative links. With a base they are written for
    publication: each has its ``self`` link, and all hrefs that lead to files of the catalogue are absolute (STAC best
    practices, published catalogs).

    Parameters
    ----------
    version
        The version.
    folder
        Where to; it must not be there, or be empty.
    base_url
        Where the folder will be published.

    Raises
    ------
    UsageError
        There is something in the folder, or the base is no URL.
    FatalError
        It cannot be written.
    """
    if base_url is not None and (not is_absolute(base_url) or "://" not in base_url):
        raise UsageError(f"{base_url} is no URL that links could begin with, such as https://example.org/stac")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already: name a folder that is not, or an empty one")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as making:
            whole = Path(making) / "whole"
            whole.mkdir()
            report = _Export(version, whole, base_url and f"{base_url.rstrip('/')}/").run()
            whole.rename(folder)
    except OSError as error:
        raise FatalError(f"{folder} cannot be written: {error.strerror or error}") from error
    return report


class _Export:
    """One version on its way to a folder."""

    def __init__(self, version: Version, folder: Path, base: str | None) -> None:
        self._objects = version.repository.objects
        self._root = version.commit.tree
        self._folder = folder
        self._base = base
        self._files = 0
        self._bytes = 0
        self._absent = 0
        self._absent_paths: list[str] = []

    def run(self) -> ExportReport:
        """Write all files."""
        made: str | None = None
        for path, entry in self._visible(self._root, ""):
            folder = path.rpartition("/")[0]
            if folder != made:
                (self._folder / folder).mkdir(parents=True, exist_ok=True)
                made = folder
            self._write(path, entry)
        return ExportReport(self._files, self._bytes, self._absent, tuple(self._absent_paths))

    def _visible(self, oid: str, path: str) -> Iterator[tuple[str, Entry]]:
        for name, entry in sorted(self._objects.folder(oid).items()):
            if name.startswith(HIDDEN):
                continue
            if entry.is_folder:
                yield from self._visible(entry.oid, joined(path, name))
            else:
                yield joined(path, name), entry

    def _write(self, path: str, entry: Entry) -> None:
        target = self._folder / path
        if may_be_object(path):
            content = self._objects.file(entry.oid)
            size = target.write_bytes(content if self._base is None else published(path, content, self._base))
        else:
            kept = self._objects.large(entry.oid)
            content = b"" if kept is not None else self._objects.file(entry.oid)
            if kept is None and is_pointer(content):
                self._absent += 1
                self._absent_paths += [path] if len(self._absent_paths) < NAMED else []
                return
            if kept is not None:
                shutil.copyfile(kept, target)
            size = target.stat().st_size if kept is not None else target.write_bytes(content)
        self._files += 1
        self._bytes += size


def is_pointer(content: bytes) -> bool:
    """Tell whether a file is a pointer of Git LFS (its specification, version 1)."""
    return content.startswith(b"version https://git-lfs.github.com/spec/v1\n") and len(content) < 1024


def published(path: str, content: bytes, base: str) -> bytes:
    """Return the document at a path as it reads where it is published: all hrefs into the catalogue are absolute.

    Parameters
    ----------
    base
        The URL of the folder, with a slash at its end.
    """
    try:
        stac = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
    if not isinstance(stac, dict) or (key_of(stac) is None and PAGE not in stac):
        return content
    links = stac.get("links")
    said = [link for link in links if not _is_self(link)] if isinstance(links, list) else []
    here = {"rel": "self", "href": _url(path, base), "type": _media_type(stac)}
    stac["links"] = [_absolute(link, path, base) for link in said] + [here]
    if isinstance(stac.get("assets"), dict):
        stac["assets"] = {name: _absolute(asset, path, base) for name, asset in stac["assets"].items()}
    return json_file(stac)


def _absolute(said: Any, path: str, base: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a link or an asset with an absolute href, if it leads into the catalogue."""
    href = said.get("href") if isinstance(said, dict) else None
    if not isinstance(href, str) or not href or is_absolute(href):
        return said
    named = path_of_href(href, path)
    if named is None:
        return said
    rest = href[min((at for at in (href.find("?"), href.find("#")) if at >= 0), default=len(href)) :]
    return said | {"href": _url(named, base) + rest}


def _url(path: str, base: str) -> str:
    return base + relative_href(path, "").removeprefix("./")


def _is_self(link: object) -> bool:
    return isinstance(link, dict) and link.get("rel") == "self"


def _media_type(stac: dict[str, Any]) -> str:
    return "application/geo+json" if stac.get("type") == "Feature" else "application/json"
