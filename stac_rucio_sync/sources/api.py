"""A STAC API, read by item search (STAC API 1.0, item search and filter extension)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin

from pystac_client.item_search import ItemSearch

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.http import Http, RefusedAnswer
from stac_rucio_sync.model import Change, Cursor, ItemBroken, ItemKey, ItemRead, JsonObject
from stac_rucio_sync.parts import in_parts
from stac_rucio_sync.sources.cql2 import JSON, TEXT, Expression, Language, read_expression
from stac_rucio_sync.sources.obeyed import Selection, parse_instant
from stac_rucio_sync.sources.pages import PatientIO
from stac_rucio_sync.sources.probes import why_filter_is_unusable, why_updated_is_unusable
from stac_rucio_sync.sources.protocol import Reading, ReadOptions, watched

OVERLAP = timedelta(minutes=5)
"""An incremental read begins so much before the newest item seen: clocks differ, and transactions end late."""

PROBE_ATTEMPTS = 2
"""A server that cannot compare what it is asked to fails (pgstac: 500) each time, however often it is asked."""


@dataclass(frozen=True, slots=True)
class ApiSource:
    """A server that answers item search."""

    name: str
    location: str
    options: ReadOptions
    http: Http
    landing: JsonObject
    """Its landing page."""
    kind: str = "api"

    def read(self, cursor: Cursor | None) -> Reading:
        """Ask the server for what is new since ``cursor`` where it can be shown to do so, else for everything.

        Raises
        ------
        UsageError
            The server does not obey ``--filter``.
        """
        return _Search(self, cursor).reading


class _Search:
    """One read: what is asked, and what is made of the answers."""

    def __init__(self, source: ApiSource, cursor: Cursor | None) -> None:
        options = source.options
        self._options = options
        self._source = source
        self._io = PatientIO(source.http)
        self._probing = PatientIO(source.http, PROBE_ATTEMPTS)
        self._links = _search_links(source)
        self._conforms = [str(uri) for uri in source.landing.get("conformsTo") or ()]
        self._selection = Selection(options.collections, options.bbox, options.datetime)
        self._filter, self._language = self._asked_filter()
        self._cursor = cursor
        self._begun = datetime.now(UTC)
        self._delivered = 0
        selects = (options.collections, options.bbox, options.datetime, self._filter)
        self.reading = Reading(filtered=any(selects))
        self._query = [list(options.collections), list(options.bbox or ()), options.datetime, self._filter]
        since = self._since()
        self._expression = self._filter
        if since is not None:
            self.reading.filtered = True
            self._expression = self._language.both(
                self._filter, self._language.compare("updated", ">=", since, instant=True)
            )
            self.reading.again = self._again
        self._incremental = since is not None
        self.reading.part = self._part
        self.reading.changes = watched(self._changes(), self.reading, options, news=self._narrowed())

    def _narrowed(self) -> bool:
        options = self._options
        return self._incremental or any((options.bbox, options.datetime, options.filter))

    # ------------------------------------------------------------------------------------------- what can be asked

    def _declares(self, ending: str) -> bool:
        return any(uri.endswith(ending) for uri in self._conforms)

    def _asked_filter(self) -> tuple[Expression | None, Language]:
        """Return the operator's filter, proved to be obeyed, and the language to ask in."""
        options = self._options
        declared = self._declares("/item-search#filter")
        languages = [language for language in (JSON, TEXT) if self._declares(f"/{language.name}")]
        if options.filter is None:
            return None, languages[0] if languages else JSON
        expression, language = read_expression(options.filter)
        if not declared or (languages and language not in languages):
            spoken = " or ".join(one.name for one in languages) if declared else "no filter extension"
            raise UsageError(
                f"{self._source.name} cannot be asked by --filter in {language.name}: its conformance declares {spoken}"
            )
        if why := why_filter_is_unusable(lambda probe: self._one(probe, language), language):
            raise UsageError(f"{self._source.name} does not obey --filter, although it declares the extension: {why}")
        try:
            self._one(expression, language)
        except RefusedAnswer as error:
            raise UsageError(f"{self._source.name} understands filters, but not this --filter: {error}") from error
        return expression, language

    def _since(self) -> str | None:
        """Return the instant to read from; None: everything, with a remark where less was hoped for."""
        options = self._options
        if options.since is not None:
            since = _rfc3339(options.since)
        elif not (options.full or options.delete) and self._cursor and self._cursor.get("query") == self._query:
            since = str(self._cursor.get("updated"))
        else:
            return None
        if parse_instant(since) is None:
            return None
        why: str | None = "its conformance declares no filter extension"
        if self._declares("/item-search#filter"):
            why = why_filter_is_unusable(lambda probe: self._one(probe, self._language), self._language)
            why = why or why_updated_is_unusable(lambda probe: self._one(probe, self._language), self._language)
        if why is not None:
            self.reading.remarks.append(f"the STAC API was read whole, it cannot be asked for what is new: {why}")
            return None
        return since

    def _one(self, probe: Expression | None, language: Language) -> list[JsonObject]:
        search = self._search(probe, language, 1, self._probing)
        for page in search.pages_as_dicts():
            return [item for item in page["features"] if isinstance(item, dict)]
        return []

    def _search(
        self,
        expression: Expression | None,
        language: Language,
        limit: int,
        io: PatientIO,
        ids: list[str] | None = None,
    ) -> ItemSearch:
        # CQL2 text belongs to GET and JSON to POST; each is sent the other way where the server has only that.
        methods = ("GET", "POST") if isinstance(expression, str) else ("POST", "GET")
        method = next(method for method in methods if method in self._links)
        try:
            return ItemSearch(
                self._links[method],
                method=method,
                stac_io=io,
                limit=limit,
                ids=ids,
                collections=list(self._options.collections) or None,
                bbox=self._options.bbox,
                datetime=self._options.datetime,
                filter=expression,
                filter_lang=language.name if expression is not None else None,
            )
        except Exception as error:  # pystac-client raises bare Exceptions for bad parameters
            raise UsageError(f"the STAC API cannot be asked so: {error}") from error

    # ------------------------------------------------------------------------------------------- what is answered

    def _part(self) -> float | None:
        return self._delivered / self.reading.expected if self.reading.expected else None

    def _changes(self) -> Iterator[Change]:
        search = self._search(self._expression, self._language, self._options.page_size, self._io)
        newest: datetime | None = None
        all_dated = True
        try:
            for page in search.pages_as_dicts():
                self.reading.expected = self._io.matched
                for number, item in enumerate(page["features"]):
                    self._delivered += 1
                    if not isinstance(item, dict):
                        yield ItemBroken(f"{search.url}#item/{self._delivered}", f"feature {number} is no JSON object")
                        continue
                    self._check(item)
                    updated = parse_instant((item.get("properties") or {}).get("updated"))
                    all_dated = all_dated and updated is not None
                    if updated is not None:
                        newest = max(updated, newest or updated)
                    href = _self_href(item, search.url)
                    yield ItemRead(item, href, href or f"{search.url}#item/{self._delivered}")
        finally:
            self._source.http.close()
        self._finish(newest if all_dated else None)

    def _again(self, keys: Sequence[ItemKey]) -> Iterator[Change]:
        """Yield items that are asked for by their ids, of the selection that all are of."""
        wanted = set(keys)
        try:
            for ids in in_parts(sorted({key.id for key in keys}), self._options.page_size):
                for item, url in self._named(ids):
                    if ItemKey(item.get("collection") or self._options.default_collection, item["id"]) in wanted:
                        href = _self_href(item, url)
                        yield ItemRead(item, href, href or f"{url}?ids={item['id']}")
        except RefusedAnswer as error:
            self.reading.remarks.append(f"the STAC API cannot be asked for items by their ids: {error}")

    def _named(self, ids: list[str]) -> Iterator[tuple[JsonObject, str]]:
        """Yield the items of some ids, with where the search was asked."""
        search = self._search(self._filter, self._language, self._options.page_size, PatientIO(self._source.http), ids)
        for page in search.pages_as_dicts():
            for item in page["features"]:
                if not isinstance(item, dict) or item.get("id") not in ids:
                    raise RefusedAnswer("it answers with others")
                yield item, search.url

    def _check(self, item: JsonObject) -> None:
        if ignored := self._selection.ignored(item):
            raise FatalError(
                f"{self._source.name} does not obey {ignored}: it answers with item {item.get('id')} of collection "
                f"{item.get('collection')}, which was not asked for; read it whole or from another server"
            )

    def _finish(self, newest: datetime | None) -> None:
        expected = self._io.matched
        if expected is not None and self._delivered < expected:
            self.reading.miss(f"the STAC API counts {expected} items and delivered only {self._delivered}")
        elif self._options.since is not None:
            self.reading.cursor = self._cursor
        elif newest is not None:
            latest = min(newest, self._begun) - OVERLAP
            before = parse_instant(self._cursor.get("updated")) if self._incremental and self._cursor else None
            self.reading.cursor = {"updated": _rfc3339(max(latest, before or latest)), "query": self._query}
        elif self._incremental and self._delivered == 0:
            self.reading.cursor = self._cursor


def _search_links(source: ApiSource) -> dict[str, str]:
    """Return the URLs of item search by method; a landing page without a link has it at ``search``."""
    links: dict[str, str] = {}
    for link in source.landing.get("links") or ():
        if isinstance(link, dict) and link.get("rel") == "search" and isinstance(link.get("href"), str):
            links.setdefault(str(link.get("method") or "GET").upper(), urljoin(source.location, link["href"]))
    usable = {method: url for method, url in links.items() if method in ("GET", "POST")}
    return usable or {"GET": source.location.rstrip("/") + "/search"}


def _self_href(item: JsonObject, url: str) -> str | None:
    """Return an item's self link: relative hrefs start there."""
    links = item.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "self" and isinstance(link.get("href"), str):
            return urljoin(url, str(link["href"]))
    return None


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
