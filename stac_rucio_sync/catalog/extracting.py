"""One object with its files, taken out of the catalogue to a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from stac_rucio_sync.catalog.exporting import write_files
from stac_rucio_sync.catalog.objects import Entry
from stac_rucio_sync.catalog.pages import json_file
from stac_rucio_sync.catalog.paths import folder_of, has_own_folder, joined, path_of_href
from stac_rucio_sync.catalog.repository import Located, Version
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import JsonObject
from stac_rucio_sync.model.links import STRUCTURAL_RELATIONS


def extract(version: Version, located: Located, folder: Path) -> tuple[str, ...]:
    """Write an object with its files to a folder, free of the catalogue that it is in.

    Parameters
    ----------
    folder
        It must not be there.

    Returns
    -------
    tuple
        Sentences about what could not be written.

    Raises
    ------
    UsageError
        The folder is there.
    FatalError
        It cannot be written.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already: name another folder to extract to")
    is_item = located.key.kind == "item"
    inside = folder_of(located.path)
    if is_item and not has_own_folder(located.path, located.key.id):
        files: Iterator[tuple[str, Entry]] = _beside(version, located)
    else:
        entry = version.tree.entry(inside)
        files = ((path[len(inside) :].lstrip("/"), one) for path, one in version.tree.files(inside) if entry)
    root = located.path[len(inside) :].lstrip("/")

    def freed(path: str, content: bytes) -> bytes:
        return _freed(content, path, root, inside, is_item=is_item)

    try:
        report = write_files(version.repository.objects, files, folder, freed)
    except OSError as error:
        raise FatalError(f"{folder} cannot be written: {error.strerror or error}") from error
    return tuple(f"{path} was left out: its bytes are not in this repository" for path in report.absent_paths)


def _beside(version: Version, located: Located) -> Iterator[tuple[str, Entry]]:
    """Yield an item of a tree that came whole, and the files of its assets that lie below its folder."""
    folder = folder_of(located.path)
    named = {located.path}
    for asset in (version.stac(located.path).get("assets") or {}).values():
        href = asset.get("href") if isinstance(asset, dict) else None
        path = path_of_href(href, located.path) if isinstance(href, str) and href else None
        if path is not None and path.startswith(joined(folder, "") if folder else ""):
            named.add(path)
    for path in sorted(named):
        entry = version.tree.entry(path)
        if entry is not None and not entry.is_folder:
            yield path[len(folder) :].lstrip("/"), entry


def _freed(content: bytes, path: str, root: str, folder: str, *, is_item: bool) -> bytes:
    """Return a document whose links stay inside what is extracted."""
    try:
        stac: JsonObject = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
    links = stac.get("links") if isinstance(stac, dict) else None
    if not isinstance(links, list):
        return content
    here = joined(folder, path)
    left = []
    for link in links:
        rel, href = (link.get("rel"), link.get("href")) if isinstance(link, dict) else (None, None)
        if rel == "root" and not is_item:
            continue
        if rel in STRUCTURAL_RELATIONS and isinstance(href, str):
            target = path_of_href(href, here)
            stays = target is not None and (not folder or target.startswith(f"{folder}/")) and not is_item
            if not stays or (rel == "parent" and path == root):
                continue
        left.append(link)
    return content if left == links else json_file(stac | {"links": left})
