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

_NO_FRACTION: Final = re.compile(rb"\.0(?=[,\]}])")
"""How a float that is a whole number ends in JSON; a text may hold the same."""
_EXPONENT: Final = re.compile(rb"e\+1[6-9][,\]}]")
"""How one from 10¹⁶ on ends, as far as it may be an integer of 64 bits, which shows no exponent."""
_LARGE: Final = re.compile(rb"[-.\d]+e\+1[6-9](?=[,\]}])")


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
        "askable": settings.sync.sizes != "item" and settings.sync.allow_private_addresses,
    }
    return blake2b(orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def fingerprint(read: ItemRead, digest: str) -> str:
    """Return the fingerprint of an item: 32 hexadecimal digits.

    The item counts without its structural links, and where it was read counts only when one of its hrefs is relative:
    so the same item from an API, a file or a static catalogue has the same fingerprint. The order of keys does not
    matter, the order of links and of other lists does. Numbers count by their value, not by their form: 30.0 is 30, as
    in the canonical form of RFC 8785 (section 3.2.2.3).

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
        canonical = _with_whole_numbers(orjson.dumps(stac, option=orjson.OPT_SORT_KEYS))
        hashed = blake2b(canonical, digest_size=16, key=digest.encode()[:64])
        if base is not None:
            hashed.update(b"\0" + base.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ItemError(f"it cannot be written as JSON: {error}") from error
    return hashed.hexdigest()


def _with_whole_numbers(canonical: bytes) -> bytes:
    """Return JSON as orjson writes it, with the digits of 30 for 30.0, 0 for -0.0 and 10¹⁶ for 1e+16; texts stay.

    Going through the objects costs three times as much. What is no integer of 64 bits is a float however it is written.
    """
    texts = canonical.replace(b"\\\\", b"..").replace(b'\\"', b"..") if b"\\" in canonical else canonical
    found = list(_NO_FRACTION.finditer(canonical))
    if _EXPONENT.search(canonical):
        found = sorted([*found, *_LARGE.finditer(canonical)], key=re.Match.start)
    pieces = []
    start = looked_at = quotes = 0
    for one in found:
        at = one.start()
        quotes += texts.count(b'"', looked_at, at)
        looked_at = at
        if quotes % 2 == 0:
            number = canonical[start:at] + (b"" if one[0] == b".0" else _in_digits(one[0]))
            pieces.append(number[:-2] + b"0" if number.endswith(b"-0") else number)
            start = one.end()
    return b"".join([*pieces, canonical[start:]]) if pieces else canonical


def _in_digits(number: bytes) -> bytes:
    """Return a float without its exponent where an integer of 64 bits has that value."""
    value = int(float(number))
    return str(value).encode() if -(2**63) <= value < 2**64 else number


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
