"""A static catalogue, local or by http, crawled by its links.

Links are followed as pystac does: relative ones start at the document that holds them. Every document is read once,
so that cycles end and an item that is linked twice is one item. A link that leads nowhere is counted as one broken
item and makes the read incomplete.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from stac_rucio_sync.addresses import is_http, public_url, server_of
from stac_rucio_sync.errors import FatalError, TransientError
from stac_rucio_sync.http import Http, RefusedAnswer, parse_json
from stac_rucio_sync.model import Change, Cursor, ItemBroken, ItemRead, JsonObject
from stac_rucio_sync.seen import Once
from stac_rucio_sync.sources.commons import with_commons
from stac_rucio_sync.sources.places import Root, is_inside, read_local, resolve
from stac_rucio_sync.sources.protocol import Reading, ReadOptions, watched

AHEAD = 16
"""Documents asked for ahead of the one that is waited for."""
CONNECTIONS = 8
MAX_DOCUMENT = 256 * 2**20
_FOLLOWED = frozenset({"child", "item", "items"})
_OF_A_PAGE = frozenset({"next"})
"""What is followed from an ItemCollection: servers without item search give ``items`` in pages."""


@dataclass(slots=True)
class _Node:
    """A document that a link leads to."""

    href: str
    rel: str
    parent: str | None
    """The document that links to it; None: the root."""
    collection: JsonObject | None
    """The nearest collection above it."""
    answer: Future[bytes] | None = None


@dataclass(frozen=True, slots=True)
class StaticSource:
    """A catalogue of linked JSON files."""

    name: str
    location: str
    options: ReadOptions
    http: Http
    kind: str = "static"

    def read(self, cursor: Cursor | None) -> Reading:
        """Read the whole catalogue: it has no cursor."""
        del cursor
        reading = Reading(filtered=bool(self.options.collections))
        if self.options.since is not None:
            reading.remarks.append("a static catalogue cannot be asked by --since: it was read whole")
        crawl = _Crawl(self.location, self.http)
        reading.part = crawl.part
        reading.changes = watched(crawl.changes(), reading, self.options)
        return reading


class _Crawl:
    """One pass, depth first, in the order of the links; a few documents are fetched ahead."""

    def __init__(self, root: str, http: Http) -> None:
        self._root = Root(root)
        self._http = http
        self._visited = Once()
        self._done = 0
        self._waiting: deque[_Node] = deque()
        # Local files are read when their turn comes: threads would only slow that down.
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="crawl")

    def part(self) -> float | None:
        """Return documents read over documents known of so far."""
        known = self._done + len(self._waiting)
        return self._done / known if known else None

    def changes(self) -> Iterator[Change]:
        """Yield the items and what is broken."""
        self._waiting.append(_Node(self._root.href, "root", None, None))
        try:
            while self._waiting:
                self._fetch_ahead()
                node = self._waiting.popleft()
                self._done += 1
                if self._visited.first(node.href):
                    yield from self._read(node)
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._visited.close()
            self._http.close()

    def _fetch_ahead(self) -> None:
        for place in range(min(AHEAD, len(self._waiting))):
            node = self._waiting[place]
            if node.answer is None and is_http(node.href):
                node.answer = self._pool.submit(self._http.body, node.href, limit=MAX_DOCUMENT)

    def _read(self, node: _Node) -> Iterator[Change]:
        shown = public_url(node.href) if is_http(node.href) else node.href
        try:
            document = self._document(node, shown)
        except TransientError as error:
            # One document that fails is one document; a server that is gone ends the run.
            if node.parent is None or (server_of(node.href) == self._root.origin and self._http.gave_up(node.href)):
                raise
            yield ItemBroken(shown, _sentence(node, error))
            return
        except FatalError as error:
            if node.parent is None:
                raise
            yield ItemBroken(shown, _sentence(node, error))
            return
        yield from self._look_at(node, document, shown)

    def _document(self, node: _Node, shown: str) -> Any:  # noqa: ANN401 - any JSON
        if node.answer is not None:
            return parse_json(node.answer.result(), shown)
        if is_http(node.href):
            return self._http.json(node.href, limit=MAX_DOCUMENT)
        return parse_json(read_local(node.href, MAX_DOCUMENT), shown)

    def _look_at(self, node: _Node, document: Any, shown: str) -> Iterator[Change]:  # noqa: ANN401 - any JSON
        """Tell by its content what a document is: old catalogues have no ``type`` and links may err."""
        kind = document.get("type") if isinstance(document, dict) else None
        if kind == "Feature":
            yield ItemRead(with_commons(document, node.collection), shown, shown)
        elif kind == "FeatureCollection" and isinstance(document.get("features"), list):
            for number, feature in enumerate(document["features"]):
                position = f"{shown}#features/{number}"
                if isinstance(feature, dict):
                    yield ItemRead(with_commons(feature, node.collection), None, position)
                else:
                    yield ItemBroken(position, "it is not a JSON object")
            yield from self._follow(node, document, shown)  # its next page
        elif isinstance(document, dict) and (
            kind in ("Catalog", "Collection") or (kind is None and "id" in document and "links" in document)
        ):
            yield from self._follow(node, document, shown)
        else:
            reason = "it is neither a Catalog, a Collection, an Item nor an ItemCollection"
            if node.parent is None:
                raise RefusedAnswer(f"{shown}: {reason}")
            yield ItemBroken(shown, _sentence(node, reason))

    def _follow(self, node: _Node, document: JsonObject, shown: str) -> Iterator[Change]:
        """Put the links of a document in front of what waits; yield those that cannot be followed."""
        is_collection = document.get("type") == "Collection" or "extent" in document
        collection = document if is_collection else node.collection
        links = document.get("links", [])
        if isinstance(links, dict):
            links = list(links.values())  # STAC 0.5
        if not isinstance(links, list):
            yield ItemBroken(f"{shown}#links", "the links of the catalogue are not a list")
            return
        followed = _OF_A_PAGE if document.get("type") == "FeatureCollection" else _FOLLOWED
        found: list[_Node] = []
        for number, link in enumerate(links):
            if not isinstance(link, dict) or link.get("rel") not in followed:
                continue
            href = link.get("href")
            if not isinstance(href, str) or not href:
                yield ItemBroken(f"{shown}#links/{number}", f"the {link['rel']} link has no href")
                continue
            try:
                target = resolve(href, node.href)
            except ValueError as error:
                yield ItemBroken(f"{shown}#links/{number}", f"the {link['rel']} link {href!r} is no URL: {error}")
                continue
            if is_inside(self._root, target):
                found.append(_Node(target, link["rel"], shown, collection))
            else:
                yield ItemBroken(
                    public_url(target),
                    f"{shown} links to it as {link['rel']}, and it lies outside of {self._root.folder or 'http'}: "
                    "a catalogue may link only below its own folder and to http",
                )
        self._waiting.extendleft(reversed(found))


def _sentence(node: _Node, problem: object) -> str:
    return f"{node.parent} links to it as {node.rel}, and it cannot be read: {problem}"
