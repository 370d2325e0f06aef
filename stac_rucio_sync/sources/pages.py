"""The pages of an item search: asked again when they fail, never twice delivered, never in a circle.

pystac-client's own paging takes any answer without features for the end, be it an error page or an empty page in the
middle; here the first is an error and the second is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import orjson
from pystac.link import Link
from pystac_client.stac_api_io import StacApiIO

from stac_rucio_sync.addresses import is_http, public_url
from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.http import Http, parse_json
from stac_rucio_sync.model import JsonObject
from stac_rucio_sync.seen import Once

EMPTY_PAGES = 3
"""So many empty pages in a row are the end, whatever they link to: some servers link to a next page for ever."""


class PatientIO(StacApiIO):
    """pystac-client's requests, sent through our HTTP edge.

    A page is given on only when it is read whole; after a dropped connection the link that led to it is asked again,
    so that no item is delivered twice and none is left out.
    """

    def __init__(self, http: Http, attempts: int | None = None) -> None:
        super().__init__(max_retries=None)
        self._http = http
        self._attempts = attempts
        self.matched: int | None = None
        """How many items the server says that the latest search has."""

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Send one request; errors are ours, not pystac-client's."""
        how: dict[str, Any] = {"json": parameters} if method == "POST" else {"params": parameters}
        answer = self._http.body(href, method=method or "GET", headers=headers, attempts=self._attempts, **how)
        return answer.decode("utf-8", "replace")

    def get_pages(
        self, url: str, method: str | None = None, parameters: dict[str, Any] | None = None
    ) -> Iterator[JsonObject]:
        """Yield the pages that hold items.

        Raises
        ------
        FatalError
            An answer is no FeatureCollection, or the links lead in a circle; the text names the URL.
        """
        asked = Once()
        try:
            text = self.request(url, method, parameters=parameters)
            empty = 0
            before: list[Any] = []
            while True:
                page = _page(text, public_url(url))
                self.matched = _matched(page)
                names = [(one.get("collection"), one.get("id")) for one in page["features"] if isinstance(one, dict)]
                if names and names == before:
                    raise FatalError(f"{public_url(url)}: the next page holds the same items; its paging does not work")
                before = names
                empty = 0 if page["features"] else empty + 1
                if page["features"]:
                    yield page
                following = _next_link(page, url)
                if following is None or empty >= EMPTY_PAGES:
                    return
                if not asked.first(_signature(following)):
                    raise FatalError(f"{public_url(url)}: its link to the next page leads in a circle")
                text = self.read_text(Link.from_dict(following), parameters=parameters)
                url = following["href"]
        finally:
            asked.close()


def _page(text: str, shown: str) -> JsonObject:
    page = parse_json(text.encode(), shown)
    if not isinstance(page, dict) or page.get("type", "FeatureCollection") != "FeatureCollection":
        raise FatalError(f"{shown} does not answer a search with a FeatureCollection")
    if not isinstance(page.get("features"), list):
        raise FatalError(f"{shown} answers a search without a list of features")
    return page


def _matched(page: JsonObject) -> int | None:
    """Read how many items match: ``numberMatched``, or ``context`` as it was before STAC API 1.0."""
    context = page.get("context")
    matched = page.get("numberMatched", context.get("matched") if isinstance(context, dict) else None)
    return matched if isinstance(matched, int) and not isinstance(matched, bool) else None


def _next_link(page: JsonObject, url: str) -> JsonObject | None:
    links = page.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "next" and isinstance(link.get("href"), str):
            href = urljoin(url, link["href"])
            if not is_http(href):
                raise FatalError(f"{public_url(url)}: its link to the next page leads to {href}")
            return {**link, "href": href}
    return None


def _signature(link: JsonObject) -> str:
    told = [link["href"], link.get("method"), link.get("body"), link.get("headers")]
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
