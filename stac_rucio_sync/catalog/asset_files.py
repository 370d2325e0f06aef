"""The files behind the assets of what is ingested: where they lie, and what becomes of them in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import quote, unquote, urlsplit

from stac_rucio_sync.catalog.objects import Entry, Writing
from stac_rucio_sync.catalog.uploaded_assets import UploadOf, uploaded_asset, with_file_extension
from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.mapping.hrefs import absolute_href
from stac_rucio_sync.model import JsonObject
from stac_rucio_sync.model.links import STRUCTURAL_RELATIONS, is_absolute

AssetsMode = Literal["link", "copy", "lfs", "upload"]
"""``link``: files stay where they are, hrefs become absolute. ``copy``: they lie beside their item in the catalogue;
large ones by Git LFS where it is a git one. ``lfs``: all of them do so. ``upload``: they are in the lake."""
TAKES_IN: frozenset[AssetsMode] = frozenset({"copy", "lfs"})
"""The modes by which files come to lie in the catalogue."""
LARGEST_COPY = 16 * 2**20
"""Bytes of a file that is copied as it is; what is larger is put as a large one."""
_HIERARCHICAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://", re.ASCII)


class Gathered(NamedTuple):
    """An item with its assets' files as the catalogue is to keep them."""

    stac: JsonObject
    assets: dict[str, Entry] | None
    """By path beside the item; None: no file of this item is the catalogue's."""
    remarks: tuple[str, ...]


def checked_mode(mode: str, in_lake: UploadOf | None = None) -> AssetsMode:
    """Return a mode by its name.

    Parameters
    ----------
    mode
        The name.
    in_lake
        Tells what became of files that were uploaded: ``upload`` needs it.

    Raises
    ------
    UsageError
        There is none, or it cannot be had here.
    """
    if mode == "upload" and in_lake is None:
        raise UsageError("files go to the lake and into the catalogue by `stac-rucio-sync upload PATH --catalog C`")
    for one in get_args(AssetsMode):
        if one == mode:
            found: AssetsMode = one
            return found
    raise UsageError(f"there is no way {mode} to take assets in, but link, copy and lfs")


def local_path(href: str, folder: Path) -> Path | None:
    """Return the local file that an href in a document of a folder names; None: it is no local one."""
    if href.startswith("file:"):
        parts = urlsplit(href)
        return Path(unquote(parts.path)) if parts.netloc in {"", "localhost"} else None
    if is_absolute(href):
        return None
    literal = folder / href
    return literal if literal.is_file() else folder / unquote(href.split("#", maxsplit=1)[0].split("?", maxsplit=1)[0])


def is_below(file: Path, folders: Iterable[Path]) -> bool:
    """Tell whether a file lies below one of some folders, wherever links of the file system lead."""
    place = file.resolve()
    return any(place.is_relative_to(folder.resolve()) for folder in folders)


def put(writing: Writing, file: Path, mode: AssetsMode) -> Entry:
    """Put a file into the catalogue.

    Raises
    ------
    ItemError
        It cannot be read.
    """
    try:
        if mode == "lfs" or file.stat().st_size > LARGEST_COPY:
            return writing.put_large(file)
        return writing.put_file(file.read_bytes())
    except OSError as error:
        raise ItemError(f"asset file {file} cannot be read: {error.strerror or error}") from error


def gathered(
    stac: JsonObject, folder: Path, mode: AssetsMode, writing: Writing, *, also: Iterable[Path] = (),
    in_lake: UploadOf | None = None,
) -> Gathered:  # fmt: skip
    """Return an item whose hrefs hold in the catalogue, with the files that are to lie beside it.

    A file below the item's own folder keeps its path relative to it; others go by their names. What lies at another
    server stays there. An item may come from anybody, and the catalogue may be public: no file is taken in that an
    item names anywhere else on this machine.

    Parameters
    ----------
    stac
        The item; left as it is.
    folder
        Where its document lies.
    mode
        What becomes of files.
    writing
        Where they are put.
    also
        Folders from which files may be taken in beside that of the document.
    in_lake
        Tells what became of the files, where they were uploaded.

    Raises
    ------
    ItemError
        A file that is to be taken in is not there, or lies elsewhere; one that was to be uploaded is not in the lake.
    """
    base = next(
        (link["href"] for link in _links(stac) if link.get("rel") == "self" and _HIERARCHICAL.match(link["href"])), None
    )
    files: dict[str, Entry] = {}
    taken: dict[Path, str] = {}
    assets: dict[str, Any] = {}
    remarks: list[str] = []
    said = stac.get("assets")
    for key, asset in (said if isinstance(said, dict) else {}).items():
        href = asset.get("href") if isinstance(asset, dict) else None
        assets[key] = asset
        if not isinstance(href, str) or not href or (is_absolute(href) and not href.startswith("file:")):
            continue
        file = local_path(href, folder)
        if file is None or not file.is_file():
            away = absolute_href(href, base)
            if away is not None and not away.startswith("/"):
                assets[key] = asset | {"href": away}
            elif mode == "link":
                remarks.append(f"asset '{key}': there is no file {href}")
            else:
                raise ItemError(f"asset '{key}': there is no file {href} in {folder}")
        elif mode == "link":
            assets[key] = asset | {"href": file.resolve().as_uri()}
        elif in_lake is not None:
            assets[key] = uploaded_asset(key, asset, file, in_lake)
        elif not is_below(file, [folder, *also]):
            raise ItemError(f"asset '{key}': {file} lies outside of {folder}: it can be linked, but is not taken in")
        else:
            name = taken.get(file.resolve()) or _free_name(file, folder, files)
            if file.resolve() not in taken:
                files[name] = put(writing, file, mode)
                taken[file.resolve()] = name
            assets[key] = asset | {"href": f"./{quote(name, safe='/=+,;@~')}"}
    kept = stac | {"links": [_absolute_link(link, base, folder) for link in _links(stac)]}
    if isinstance(said, dict):
        kept = with_file_extension(kept | {"assets": assets})
    return Gathered(kept, files if mode in TAKES_IN else None, tuple(remarks))


def _free_name(file: Path, folder: Path, files: dict[str, Entry]) -> str:
    """Return the path that a file is to have beside its item."""
    try:
        name = file.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        name = file.name
    number, path = 2, PurePosixPath(name)
    while name in files:
        name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        number += 1
    return name


def _links(stac: JsonObject) -> Iterator[JsonObject]:
    links = stac.get("links")
    if isinstance(links, list):
        yield from (link for link in links if isinstance(link, dict) and isinstance(link.get("href"), str))


def _absolute_link(link: JsonObject, base: str | None, folder: Path) -> JsonObject:
    """Return a link that holds wherever its item lies."""
    if link.get("rel") in STRUCTURAL_RELATIONS or is_absolute(link["href"]):
        return link
    away = absolute_href(link["href"], base)
    if away is not None and not away.startswith("/"):
        return link | {"href": away}
    file = local_path(link["href"], folder)
    return link | {"href": file.resolve().as_uri()} if file is not None and file.is_file() else link
