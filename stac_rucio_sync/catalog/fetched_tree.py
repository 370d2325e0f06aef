"""The documents of a published catalogue, fetched to a folder with the layout that they have at their server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from stac_rucio_sync.addresses import leads_inside, public_url
from stac_rucio_sync.catalog.pages import json_file
from stac_rucio_sync.catalog.paths import path_of_href
from stac_rucio_sync.catalog.source_tree import DOWNWARD
from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.http import Http, RefusedAnswer, parse_json
from stac_rucio_sync.model import JsonObject

CONNECTIONS = 8
LARGEST = 256 * 2**20
"""Bytes of a document."""
_GONE = (404, 410)


def fetch_tree(url: str, folder: Path) -> Path:
    """Fetch a document and all that its links lead down to below its own folder; files of assets stay where they are.

    What is not there (404, 410) is left out: its links lead to nothing. What cannot be had for another reason is not
    taken for gone.

    Parameters
    ----------
    url
        Of the root, or of an item.
    folder
        Where to; an empty one.

    Returns
    -------
    Path
        The file of the root. It says by a ``self`` link where it was published.

    Raises
    ------
    ItemError
        The root is no JSON object, or a document cannot be written.
    TransientError, FatalError
        The server does not answer, or refuses.
    """
    plain = url.split("#", maxsplit=1)[0].split("?", maxsplit=1)[0]
    base, name = plain.rpartition("/")[0] + "/", path_of_href(plain.rpartition("/")[2], "")
    if name is None:
        raise ItemError(f"{public_url(url)} is no document: name the catalogue's file, such as {base}catalog.json")
    http = Http(allow_private=leads_inside(url), connections=CONNECTIONS)
    try:
        root = parse_json(http.body(url, limit=LARGEST), public_url(url))
        if not isinstance(root, dict):
            raise ItemError(f"{public_url(url)} is no STAC object")
        root = _published(root, plain)
        own = next(link["href"] for link in _links(root) if link.get("rel") == "self")
        _write(folder / name, json_file(root))
        _Fetching(http, base, own.rpartition("/")[0] + "/", folder).run(name, root)
    finally:
        http.close()
    return folder / name


class _Fetching:
    """One tree on its way here; a few documents are asked for at once."""

    def __init__(self, http: Http, base: str, own_base: str, folder: Path) -> None:
        self._http = http
        self._base = base
        self._own_base = own_base
        self._folder = folder

    def run(self, name: str, root: JsonObject) -> None:
        """Fetch all below the root."""
        met = {name}
        waiting = [path for path in self._below(name, root) if path not in met]
        met.update(waiting)
        asked: dict[Future[bytes | None], str] = {}
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="fetch") as pool:
            try:
                while waiting or asked:
                    while waiting and len(asked) < 2 * CONNECTIONS:
                        path = waiting.pop()
                        asked[pool.submit(self._fetched, path)] = path
                    for done in wait(asked, return_when=FIRST_COMPLETED).done:
                        path, content = asked.pop(done), done.result()
                        for below in self._taken(path, content) if content is not None else ():
                            if below not in met:
                                met.add(below)
                                waiting.append(below)
            finally:
                pool.shutdown(cancel_futures=True)

    def _fetched(self, path: str) -> bytes | None:
        try:
            return self._http.body(self._base + quote(path), limit=LARGEST)
        except RefusedAnswer as error:
            if error.status in _GONE:
                return None
            raise

    def _taken(self, path: str, content: bytes) -> Iterator[str]:
        """Write a document; yield the paths that it leads down to."""
        _write(self._folder / path, content)
        try:
            stac = orjson.loads(content)
        except orjson.JSONDecodeError:
            return  # reported when the tree is looked over
        if isinstance(stac, dict):
            yield from self._below(path, stac)

    def _below(self, path: str, stac: JsonObject) -> Iterator[str]:
        for link in _links(stac):
            href = link["href"]
            base = next((one for one in (self._base, self._own_base) if href.startswith(one)), None)
            target = path_of_href(href, path) if base is None else path_of_href(href[len(base) :], "")
            if link.get("rel") in DOWNWARD and target is not None:
                yield target


def _published(root: JsonObject, url: str) -> JsonObject:
    """Return a root that says where it was published."""
    links = list(_links(root))
    if any(link.get("rel") == "self" and "://" in link["href"] for link in links):
        return root
    kept = [link for link in links if link.get("rel") != "self"]
    return root | {"links": [*kept, {"rel": "self", "href": url, "type": "application/json"}]}


def _links(stac: JsonObject) -> Iterator[dict[str, Any]]:
    links = stac.get("links")
    if isinstance(links, list):
        yield from (link for link in links if isinstance(link, dict) and isinstance(link.get("href"), str))


def _write(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except (OSError, ValueError) as error:
        raise ItemError(f"{file.name} cannot be written here: {error}") from error
