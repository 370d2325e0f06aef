"""Whether an item has changed: a digest of what the mapping reads, whatever the road that the item came by."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Final

import orjson

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.model import ItemRead
from stac_rucio_sync.model.links import STRUCTURAL_RELATIONS, is_absolute
from stac_rucio_sync.settings import Settings

MAPPING_VERSION = 4
"""Counted up when the same item and settings map to something else, so that everything is mapped again."""

_NO_FRACTION: Final = re.compile(rb"\.0[,\]}]")
_LARGE: Final = b"e+"
"""How a float that is a whole number ends in JSON, and a large one shows its exponent; a text may look so, too."""
_WHOLE_BELOW: Final = 2.0**63
"""Larger numbers have no other form in 64 bits."""


def settings_digest(settings: Settings) -> str:
    """Return a digest of the settings that the mapping depends on; made once a run."""
    relevant = {
        "version": MAPPING_VERSION,
        "identity": settings.identity.model_dump(mode="json"),
        "collections": {name: section.model_dump(mode="json") for name, section in settings.collections.items()},
        "s3": settings.s3.model_dump(mode="json"),
        "base_url": settings.services.base_url,
        "epn": settings.epn.model_dump(mode="json"),
        "sizes": settings.sync.sizes,
    }
    return blake2b(orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def fingerprint(read: ItemRead, digest: str) -> str:
    """Return the fingerprint of an item: 32 hexadecimal digits.

    The item counts without its structural links, and where it was read counts only when one of its hrefs is relative:
    so the same item from an API, a file or a static catalogue has the same fingerprint. The order of keys does not
    matter, the order of links and of other lists does. Numbers count by their value: 30 and 30.0 are one (RFC 8259
    leaves the form to the writer, and so it is in the canonical form of RFC 8785).

    Parameters
    ----------
    read
        The item as its source gives it.
    digest
        What `settings_digest` returned.

    Raises
    ------
    ItemError
        The item cannot be written as JSON (nested too deeply, integers beyond 64 bits, half surrogate pairs).
    """
    stac = read.stac
    if not isinstance(stac, dict):
        raise ItemError("it is not an object, so no STAC item")
    links = stac.get("links")
    base: str | None = None
    if isinstance(links, list):
        kept = [link for link in links if not _is_structural(link)]
        base = _base(links, read.href) if _has_relative_href(stac, kept) else None
        stac = {**stac, "links": kept}
    elif _has_relative_href(stac, []):
        base = read.href
    try:
        canonical = orjson.dumps(stac, option=orjson.OPT_SORT_KEYS)
        if _NO_FRACTION.search(canonical) or _LARGE in canonical:
            canonical = orjson.dumps(_with_whole_numbers(stac), option=orjson.OPT_SORT_KEYS)
        hashed = blake2b(canonical, digest_size=16, key=digest.encode()[:64])
        if base is not None:
            hashed.update(b"\0" + base.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ItemError(f"it cannot be written as JSON: {error}") from error
    return hashed.hexdigest()


def _with_whole_numbers(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return JSON whose floats without a fraction are integers."""
    # Most of an item is text: what needs no call saves a third of the time.
    if isinstance(value, dict):
        return {key: one if type(one) is str else _with_whole_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [one if type(one) is str else _with_whole_numbers(one) for one in value]
    if isinstance(value, float) and value.is_integer() and -_WHOLE_BELOW <= value < _WHOLE_BELOW:
        return int(value)
    return value


def _is_structural(link: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(link, dict):
        return False
    relation = link.get("rel")
    return isinstance(relation, str) and relation in STRUCTURAL_RELATIONS


def _base(links: list[Any], read_href: str | None) -> str | None:
    for link in links:
        if isinstance(link, dict) and link.get("rel") == "self" and isinstance(link.get("href"), str) and link["href"]:
            href: str = link["href"]
            return href if is_absolute(href) or read_href is None else f"{read_href}\0{href}"
    return read_href


def _has_relative_href(stac: dict[str, Any], links: list[Any]) -> bool:
    assets = stac.get("assets")
    places: list[Any] = [*links]
    if isinstance(assets, dict):
        places += assets.values()
    for place in places:
        if not isinstance(place, dict):
            continue
        href = place.get("href")
        # the common case first: the regular expression costs three times as much
        if isinstance(href, str) and not href.startswith(("https://", "s3://")) and not is_absolute(href):
            return True
        alternates = place.get("alternate")
        if isinstance(alternates, dict):
            for alternate in alternates.values():
                href = alternate.get("href") if isinstance(alternate, dict) else None
                if isinstance(href, str) and not is_absolute(href):
                    return True
    return False
