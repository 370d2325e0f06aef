"""A version of the catalogue as a static one in a folder: the layout that it has, without what is the repository's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stac_rucio_sync.catalog.index import PAGE, key_of, may_be_object
from stac_rucio_sync.catalog.objects import Entry, Objects
from stac_rucio_sync.catalog.pages import json_file
from stac_rucio_sync.catalog.paths import HIDDEN, is_hidden, joined, path_of_href, relative_href
from stac_rucio_sync.catalog.pointers import pointer_in
from stac_rucio_sync.catalog.repository import Version
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model.links import is_absolute

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
            files = _visible(version.repository.objects, version.commit.tree)
            report = write_files(version.repository.objects, files, whole, _as_published(base_url))
            whole.rename(folder)
    except OSError as error:
        raise FatalError(f"{folder} cannot be written: {error.strerror or error}") from error
    return report


def _as_published(base_url: str | None) -> Callable[[str, bytes], bytes]:
    if base_url is None:
        return lambda _, content: content
    base = f"{base_url.rstrip('/')}/"
    return lambda path, content: published(path, content, base)


def write_files(
    objects: Objects, files: Iterable[tuple[str, Entry]], folder: Path, fitted: Callable[[str, bytes], bytes]
) -> ExportReport:
    """Write files of a version to a folder; hidden ones are left out.

    Parameters
    ----------
    files
        With their paths below the folder, those of a folder one after the other.
    fitted
        Gives what is written of a document, by its path and its content in the catalogue.

    Raises
    ------
    OSError
        They cannot be written.
    """
    made: str | None = None
    written = size = absent = 0
    absent_paths: list[str] = []
    for path, entry in files:
        if is_hidden(path):
            continue
        if (inside := path.rpartition("/")[0]) != made:
            (folder / inside).mkdir(parents=True, exist_ok=True)
            made = inside
        count = _write(objects, entry, folder / path, path, fitted)
        if count is None:
            absent += 1
            absent_paths += [path] if absent <= NAMED else []
            continue
        written += 1
        size += count
    return ExportReport(written, size, absent, tuple(absent_paths))


def _write(
    objects: Objects, entry: Entry, target: Path, path: str, fitted: Callable[[str, bytes], bytes]
) -> int | None:
    """Write one file and return its size; None: its bytes are not here."""
    if may_be_object(path):
        return target.write_bytes(fitted(path, objects.file(entry.oid)))
    kept = objects.large(entry.oid)
    if kept is not None:
        shutil.copyfile(kept, target)
        return target.stat().st_size
    content = objects.file(entry.oid)
    return None if pointer_in(content) else target.write_bytes(content)


def _visible(objects: Objects, oid: str, path: str = "") -> Iterator[tuple[str, Entry]]:
    """Yield the files below a folder; hidden folders are not opened."""
    for name, entry in sorted(objects.folder(oid).items()):
        if name.startswith(HIDDEN):
            continue
        if entry.is_folder:
            yield from _visible(objects, entry.oid, joined(path, name))
        else:
            yield joined(path, name), entry


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
