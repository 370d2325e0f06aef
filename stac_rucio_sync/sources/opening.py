"""What a location is is found out by looking at it."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from stac_rucio_sync.addresses import is_http, leads_inside, public_url, server_of, without_login
from stac_rucio_sync.catalog.repository import backend_of
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.http import Http, RefusedAnswer, parse_json
from stac_rucio_sync.model import JsonObject
from stac_rucio_sync.sources.api import ApiSource
from stac_rucio_sync.sources.files import STDIN, FileSource, is_file_name
from stac_rucio_sync.sources.places import read_local
from stac_rucio_sync.sources.protocol import Kind, ReadOptions, Source
from stac_rucio_sync.sources.static import StaticSource
from stac_rucio_sync.sources.versioned import VersionedSource

_NAMES = {"static": "a static catalogue", "file": "a file", "catalog": "a versioned catalogue"}
_LOOK = 16 * 2**20
"""Bytes of a JSON document that are looked at; no catalogue or landing page is longer."""


def open_source(location: str, *, name: str | None = None, options: ReadOptions | None = None) -> Source:
    """Open a STAC API, a static or versioned catalogue or a file of items, whatever the location turns out to be.

    Parameters
    ----------
    location
        A path, an http or https URL (``user:password@`` is used to log in and appears nowhere else), or ``-`` for
        newline-delimited items on standard input.
    name
        What the source is called in everything that is remembered of it; default: absolute path, or URL without
        trailing slash and secrets.
    options
        What to read of it.

    Raises
    ------
    UsageError
        There is nothing of that kind, or an option is of no use with it.
    FatalError, TransientError
        It cannot be read.
    """
    options = options or ReadOptions()
    if name is not None and not name.strip():
        raise UsageError("the name of the source is empty: give it one, or leave --name out")
    if location == STDIN:
        source: Source = FileSource(name or "standard input", STDIN, options)
    elif is_http(location):
        source = _open_url(location, name, options)
    elif "://" in location and not location.startswith("file://"):
        raise UsageError(f"source {location}: only paths, http and https are read")
    else:
        source = _open_path(_path_of(location), name, options)
    _refuse_options_of_others(options, source)
    return source


def names_of(location: str, name: str | None = None) -> list[str]:
    """Return the names that the source at a location may have, without a look at it: it may not be there any more."""
    if name is not None or location == STDIN:
        return [name] if name is not None else []
    if is_http(location):
        return [_name_of_url(without_login(location.partition("#")[0])[0])]
    path = _path_of(location)
    return [str(path), str(path / "catalog.json"), str(path / "collection.json")]


def _name_of_url(url: str) -> str:
    return public_url(url).rstrip("/")


def _path_of(location: str) -> Path:
    path = unquote(urlsplit(location).path) if location.startswith("file://") else location
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would name what a symbolic link points to today


def _refuse_options_of_others(options: ReadOptions, source: Source) -> None:
    if source.kind != "api":
        for option in ("bbox", "datetime", "filter"):
            if getattr(options, option) is not None:
                what = _NAMES[str(source.kind)]
                raise UsageError(f"--{option} asks a STAC API to select; {what} can be narrowed by --collection only")
    if options.at is not None and source.kind != "catalog":
        raise UsageError(f"--at names a version of a versioned catalogue; {source.location} is read as it is now")


# ------------------------------------------------------------------------------------------------------------ local


def _open_path(path: Path, name: str | None, options: ReadOptions) -> Source:
    if options.kind == "catalog" or (options.kind is None and backend_of(path) is not None):
        return _open_catalog(path, name, options)
    if path.is_dir():
        below = [path / "catalog.json", path / "collection.json"]
        found = next((candidate for candidate in below if candidate.is_file()), None)
        if found is None:
            raise UsageError(f"source {path}: the folder holds neither catalog.json nor collection.json")
        path = found
    if not path.exists():
        raise UsageError(f"source {path}: there is no such file or folder")
    location = str(path)
    kind = options.kind or _kind_of_file(location)
    if kind == "api":
        raise UsageError(f"source {location}: a STAC API has an http or https URL")
    if kind == "static":
        http = Http(allow_private=options.allow_private, patience=options.patience)
        return StaticSource(name or location, location, options, http)
    return FileSource(name or location, location, options)


def _open_catalog(path: Path, name: str | None, options: ReadOptions) -> Source:
    if backend_of(path) is not None:
        return VersionedSource(name or str(path), str(path), options)
    why = "it is no repository of the versioned catalogue"
    if (path / ".git").exists():
        why = "it is a clone with a work tree; name the repository that it is a clone of"
    raise UsageError(f"source {path}: {why}")


def _kind_of_file(location: str) -> Kind:
    if is_file_name(location):
        return "file"
    try:
        document = parse_json(read_local(location, _LOOK), location)
    except RefusedAnswer:
        return "file"  # too long for a catalogue, or not JSON: the reader of files says what is wrong
    return "static" if _is_catalogue(document) else "file"


def _is_catalogue(document: Any) -> bool:  # noqa: ANN401 - any JSON
    if not isinstance(document, dict):
        return False
    # Before STAC 1.0 catalogues and collections have no type.
    old = "type" not in document and "id" in document and "links" in document and "assets" not in document
    return document.get("type") in ("Catalog", "Collection") or old


# ------------------------------------------------------------------------------------------------------------- http


@dataclass(frozen=True, slots=True)
class _Landing:
    kind: Kind
    url: str
    """After redirects: relative links start here."""
    document: JsonObject


def _open_url(location: str, name: str | None, options: ReadOptions) -> Source:
    url, login = without_login(location.partition("#")[0])
    name = name or _name_of_url(url)
    http = Http(
        # Who names a private address means it.
        allow_private=options.allow_private or leads_inside(url),
        patience=options.patience,
        logins={server_of(url): login} if login else None,
    )
    if options.kind == "catalog":
        raise UsageError(
            f"source {public_url(url)}: a versioned catalogue is a folder of this machine (git clone --bare)"
        )
    if options.kind == "file" or (options.kind is None and is_file_name(url)):
        return FileSource(name, url, options, http)
    try:
        seen = _look(http, url, options.kind)
    finally:
        http.close()
    if seen.kind == "api":
        return ApiSource(name, seen.url, options, http, seen.document)
    if seen.kind == "static":
        return StaticSource(name, seen.url, options, http)
    return FileSource(name, url, options, http)


def _look(http: Http, url: str, asked: Kind | None) -> _Landing:
    def take(response: requests.Response) -> tuple[str, bytes | None]:
        text = b""
        for piece in response.iter_content(2**20):
            text += piece
            if len(text) > _LOOK:
                return response.url, None
        return without_login(response.url)[0], text

    landed, text = http.ask("GET", url, take)
    document = parse_json(text, public_url(url)) if text is not None else None
    if not isinstance(document, dict):
        if asked is not None:
            raise FatalError(f"{public_url(url)} is not the JSON object that a catalogue or a STAC API is")
        return _Landing("file", landed, {})
    kind = asked or _kind_of_answer(document, public_url(url))
    return _Landing(kind, landed, document)


def _kind_of_answer(document: JsonObject, shown: str) -> Kind:
    links = [link for link in document.get("links") or () if isinstance(link, dict)]
    hrefs: Mapping[Any, Any] = {link.get("rel"): link.get("href") for link in links}
    conforms = [str(uri) for uri in document.get("conformsTo") or ()]
    if document.get("type") in ("Feature", "FeatureCollection"):
        return "file"
    if document.get("type") == "Collection" and "items" in hrefs and not {"item", "child"} & set(hrefs):
        raise UsageError(
            f"{shown} is a collection of a STAC API: give the root of the API ({hrefs.get('root') or 'its rel=root'}) "
            f"and --collection {document.get('id')}"
        )
    if "search" in hrefs or any(uri.endswith("/item-search") for uri in conforms):
        return "api"
    if _is_catalogue(document):
        return "static"
    raise UsageError(f"{shown} is neither a STAC API, a static catalogue nor a file of items")
