"""What the catalogue writes into the objects that it keeps: links that hold it together, and what items sum up to."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from stac_rucio_sync.catalog import extents
from stac_rucio_sync.catalog.extents import Summed
from stac_rucio_sync.catalog.pages import Page
from stac_rucio_sync.catalog.paths import folder_of, path_of_href, relative_href
from stac_rucio_sync.catalog.repository import ROOT
from stac_rucio_sync.model import JsonObject
from stac_rucio_sync.model.links import STRUCTURAL_RELATIONS

_JSON = "application/json"
_UPWARD = frozenset({"root", "parent", "collection", "self"})
_DOWNWARD = frozenset({"item", "child"})
SUMMED_UP = ("extent", "summaries")
"""Fields of a collection that follow from its members, too."""


def with_own_links(stac: Mapping[str, Any], before: Mapping[str, Any] | None) -> JsonObject:
    """Return an object as it was given, but with the catalogue's links as they were before, or none yet."""
    links = stac.get("links")
    own = [
        dict(link)
        for link in (links if isinstance(links, list) else ())
        if isinstance(link, Mapping) and link.get("rel") not in STRUCTURAL_RELATIONS and "href" in link
    ]
    kept = [link for link in (before or {}).get("links", ()) if link.get("rel") in STRUCTURAL_RELATIONS]
    return {name: value for name, value in stac.items() if name != "links"} | {"links": kept + own}


def with_moved_hrefs(stac: JsonObject, old: str, new: str, moved: Container[str]) -> JsonObject:
    """Return an item that moves between paths with relative hrefs that still lead where they led.

    Parameters
    ----------
    moved
        Paths of the files that move along with it, relative to its folder: hrefs of these stay as they are.
    """

    def again(entry: object) -> object:
        href = entry.get("href") if isinstance(entry, Mapping) else None
        path = path_of_href(href, old) if isinstance(href, str) and href else None
        if not isinstance(entry, Mapping) or path is None or _below(folder_of(old), path) in moved:
            return entry
        return {**entry, "href": relative_href(path, new)}

    assets, links = stac.get("assets"), stac.get("links")
    made = dict(stac)
    if isinstance(assets, Mapping):
        made["assets"] = {name: again(asset) for name, asset in assets.items()}
    if isinstance(links, list):
        made["links"] = [again(link) for link in links]
    return made


def _below(folder: str, path: str) -> str | None:
    return path.removeprefix(f"{folder}/") if not folder or path.startswith(f"{folder}/") else None


def with_links_to_members(stac: JsonObject, home: Page) -> JsonObject:
    """Return a home with links to its members as they are now; links of its own to others stay."""
    made = home.links()
    hrefs = home.linked | {link["href"] for link in made}
    own = [link for link in stac["links"] if link.get("rel") not in _DOWNWARD or link["href"] not in hrefs]
    return stac | {"links": own + made}


def with_links_upward(stac: JsonObject, path: str, parent: str, collection: str | None) -> JsonObject:
    """Return the object at a path with links to root, parent and collection, which are paths."""
    upward = [
        {"rel": rel, "href": relative_href(above, path), "type": _JSON}
        for rel, above in (("root", ROOT), ("parent", parent), ("collection", collection))
        if above is not None
    ]
    return stac | {"links": upward + [link for link in stac["links"] if link.get("rel") not in _UPWARD]}


def with_sums(stac: JsonObject, said: Mapping[str, Any], members: Summed) -> JsonObject:
    """Return a collection with extents and summaries of what it said of itself and of its members."""
    summed = extents.total([extents.stated(said), members])
    if not summed.items:
        return stac | {"extent": said.get("extent") or extents.extent(summed)}
    made = stac | {"extent": extents.extent(summed)}
    summaries = extents.summaries(summed)
    if said.get("summaries") or summaries:
        made["summaries"] = (said.get("summaries") or {}) | summaries
    return made


def without_sums(stac: Mapping[str, Any]) -> JsonObject:
    """Return an object without what follows from its members."""
    return {name: value for name, value in stac.items() if name not in SUMMED_UP}


def title_of(stac: Mapping[str, Any]) -> str | None:
    """Return what a link to an object calls it."""
    title = stac.get("title") or (stac.get("properties") or {}).get("title")
    return title if isinstance(title, str) else None
