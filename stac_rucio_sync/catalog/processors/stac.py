"""The processor of what is STAC already: items, and whole static catalogues, in folders or published by HTTP.

A folder with a ``catalog.json`` or ``collection.json`` is one product, and so is a folder of several such ones; in any
other folder each item is one. Of a published catalogue all documents below the folder of its root are fetched, to see
whether any has changed; the files of its assets stay at their server.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import orjson

from stac_rucio_sync.addresses import is_http
from stac_rucio_sync.catalog.asset_files import local_path
from stac_rucio_sync.catalog.fetched_tree import fetch_tree
from stac_rucio_sync.catalog.index import key_of
from stac_rucio_sync.catalog.paths import HIDDEN
from stac_rucio_sync.catalog.source_tree import ROOTS, SourceTree, is_whole_catalogue
from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.model import JsonObject

__version__ = "1"


def discover(source: str) -> Iterator[str]:
    """Yield a file or URL itself, a folder that is a static catalogue, or the items below any other folder.

    Raises
    ------
    UsageError
        There is nothing.
    """
    place = Path(source)
    if is_http(source) or place.is_file():
        yield source
    elif not place.is_dir():
        raise UsageError(f"there is no file or folder {source}")
    elif is_whole_catalogue(place):
        yield source
    else:
        yield from _items(place)


def id(product_source: str) -> str:
    """Return ``collection/id`` of an item, the id of a catalogue, or the name of a folder of several."""
    _forget()  # it may be another run, and the catalogue another one by now
    place = _place(product_source)
    if place.is_dir():
        root = _root(place)
        return place.resolve().name if root is None else _key_text(_read(root), root)
    return _key_text(_read(place), place)


def version(product_source: str) -> str:
    """Return a digest of all documents, and of sizes and times of the files beside them."""
    place = _place(product_source)
    digest = hashlib.sha256()
    if place.is_dir():
        for file in _files(place):
            _take_in(digest, file, str(file.relative_to(place)))
        return digest.hexdigest()
    stac = _read(place)
    if stac.get("type") != "Feature":
        return version_of_linked(place)
    _take_in(digest, place, place.name)
    for file in _local_assets(stac, place.parent):
        _take_in(digest, file, str(file))
    return digest.hexdigest()


def version_of_linked(root: Path) -> str:
    """Return a digest of a catalogue's root and of all that its links reach."""
    digest = hashlib.sha256()
    tree = SourceTree(root)
    try:
        for node in tree.nodes():
            _take_in(digest, tree.folder / node.path, node.path)
        for path in tree.assets():
            _take_in(digest, tree.folder / path, path)
    finally:
        tree.close()
    return digest.hexdigest()


def documents(product_source: str) -> Iterator[str]:
    """Yield an item itself, or all documents of a catalogue that its links reach."""
    place = _place(product_source)
    if not place.is_dir() and _read(place).get("type") == "Feature":
        yield str(place)
        return
    tree = SourceTree(place)
    try:
        yield from (str(tree.folder / node.path) for node in tree.nodes())
    finally:
        tree.close()


def process(product_source: str) -> str:
    """Return the source itself, which is STAC, or where it was fetched to."""
    return str(_place(product_source))


def release(path: str) -> None:
    """Remove what was fetched."""
    if any(Path(path).is_relative_to(fetched.folder.name) for fetched in _FETCHED.values()):
        _forget()


class _Fetched(NamedTuple):
    folder: TemporaryDirectory[str]
    root: Path


_FETCHED: dict[str, _Fetched] = {}
"""The published product that is being looked at, by its URL: it is fetched once, and one at a time is kept."""


def _forget() -> None:
    while _FETCHED:
        _FETCHED.popitem()[1].folder.cleanup()


def _place(product_source: str) -> Path:
    """Return where the documents of a product lie on this machine."""
    if not is_http(product_source):
        return Path(product_source)
    if product_source not in _FETCHED:
        _forget()
        folder = TemporaryDirectory(prefix="published-")
        try:
            _FETCHED[product_source] = _Fetched(folder, fetch_tree(product_source, Path(folder.name)))
        except BaseException:
            folder.cleanup()
            raise
    return _FETCHED[product_source].root


def _items(folder: Path) -> Iterator[str]:
    """Yield the items below a folder, and what should be documents and cannot be read: that is to be seen."""
    for file in _files(folder):
        if file.suffix in {".json", ".geojson"}:
            try:
                is_item = _read(file).get("type") == "Feature"
            except ItemError:
                is_item = True
            if is_item:
                yield str(file)


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.name.startswith(HIDDEN):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)


def _root(folder: Path) -> Path | None:
    return next((folder / name for name in ROOTS if (folder / name).is_file()), None)


def _key_text(stac: JsonObject, place: Path) -> str:
    key = key_of(stac)
    if key is None or not key.id:
        raise ItemError(f"{place} is no STAC object with an id")
    return f"{key.collection}/{key.id}" if key.collection else key.id


def _local_assets(stac: JsonObject, folder: Path) -> Iterator[Path]:
    assets = stac.get("assets")
    for asset in assets.values() if isinstance(assets, dict) else ():
        href = asset.get("href") if isinstance(asset, dict) else None
        file = local_path(href, folder) if isinstance(href, str) and href else None
        if file is not None and file.is_file():
            yield file


def _take_in(digest: hashlib._Hash, file: Path, name: str) -> None:
    """Take a document by its content, any other file by its size and time: it may be a large one."""
    digest.update(name.encode(errors="surrogateescape") + b"\0")
    if file.suffix in {".json", ".geojson"}:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    else:
        state = file.stat()
        digest.update(f"{state.st_size} {state.st_mtime_ns}".encode())


def _read(file: Path) -> JsonObject:
    try:
        said = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ItemError(f"{file} cannot be read as JSON: {error}") from error
    return said if isinstance(said, dict) else {}
