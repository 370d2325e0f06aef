"""The rows of an answer: which links a data product has, and in which order (DataLink 1.1 section 3.2)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from datalink.cuttable import Kind, offered
from datalink.terms import (
    CUTOUT,
    THIS,
    product_type,
    replica_term,
    term_of_asset,
    term_of_relation,
    term_stated,
)
from stac_rucio_sync.locality import Ranked, View
from stac_rucio_sync.locality.links import Links
from stac_rucio_sync.mapping.science import is_science_link
from stac_rucio_sync.model import Did, HeldFile, HeldItem, Link
from stac_rucio_sync.settings import Settings

_OFFERS: Final = 100
"""Files of one answer whose services are described, unless that is asked for: descriptors are long."""
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+*-]+(?: *; *[\w.+-]+=(?:[^\s;,\"]+|\"[^\"\\]*\"))*", re.ASCII)


class Row(NamedTuple):
    """One link: the columns of DataLink 1.1, and ours."""

    id: str
    """As it came."""
    access_url: str | None
    error_message: str | None
    """Either this or the URL is there (or a service, which rows of files never have)."""
    description: str
    semantics: str
    content_type: str | None = None
    content_length: int | None = None
    content_qualifier: str | None = None
    local_semantics: str | None = None
    link_auth: str | None = None
    link_authorized: bool | None = None
    rse: str | None = None
    site: str | None = None
    state: str | None = None
    rank: int | None = None
    service_def: str | None = None
    """XML ID of the descriptor of a service; such a row has no URL."""


class Offer(NamedTuple):
    """A file that can be cut: its descriptors are written after the rows."""

    number: int
    """In the answer."""
    file: HeldFile
    kind: Kind
    held: HeldItem

    @property
    def service_defs(self) -> tuple[str, str]:
        """Return the XML IDs of the descriptors of the synchronous and of the asynchronous service.

        Sorted as texts the first is first, too: pyvo sorts the rows of an answer, and users take the first service.
        """
        return f"cutout-{self.number}", f"cutout-{self.number}-jobs"


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the copies of a file are wanted."""

    repeat_core_term: bool = False
    """Give further copies the term of the first one, not our own."""
    first: int = 0
    """Which of the copies that can be read comes first: 0 is the nearest."""
    shuffled: bool = False
    """In an order by chance, not nearest first."""
    cutouts: bool = False
    """Only what can be cut is of use."""


class RowMaker:
    """Makes the rows of one answer.

    Parameters
    ----------
    settings
        Science roles of collections, the base URL.
    links
        Makes links that a client can open.
    view
        The lake as the client sees it.
    wishes
        How the copies are wanted.

    Attributes
    ----------
    offers
        Files of the rows made so far that can be cut.
    """

    def __init__(self, settings: Settings, links: Links, view: View, wishes: Wishes) -> None:
        self._settings = settings
        self._links = links
        self._view = view
        self._wishes = wishes
        self._replica_term = replica_term(settings.services.base_url)
        self.offers: list[Offer] = []
        self._offered: dict[Did, Offer] = {}

    def rows(self, asked: str, did: Did, held: HeldItem) -> list[Row]:
        """Return the rows of a data product, or of a file.

        Parameters
        ----------
        asked
            The ID as it came.
        did
            What it stands for.
        held
            What is held of it.
        """
        is_item = did == held.did
        rows: list[Row] = []
        assets = [link for link in held.links if link.rel is None]
        for file in held.files:
            term = term_of_asset(file.roles, science=file.science) if is_item else THIS
            rows += self._rows_of_file(asked, term, file, held, assets)
            rows += self._rows_of_cutouts(asked, file, held)
        if self._wishes.cutouts and not any(row.service_def for row in rows):
            return [fault(asked, "NotFoundFault", f"nothing of {did} can be cut")]
        if is_item:
            rows += self._rows_of_assets(asked, held, assets)
            rows += self._rows_of_links(asked, held.links)
        rows += self._rows_stated(asked, held)
        return rows or [fault(asked, "NotFoundFault", f"{did} has no files and no links")]

    def _rows_of_file(
        self, asked: str, term: str, file: HeldFile, held: HeldItem, assets: Iterable[Link]
    ) -> Iterator[Row]:
        """Yield the copies of a file, the first under the core term: so whoever wants the file gets it once."""
        media_type = media_type_of(file.media_type)
        qualifier = product_type(held.dataproduct_type) if file.science else None
        if not file.replicas:
            yield self._row_at_origin(asked, term, file, qualifier, assets)
            return
        ranked = self._view.ranked(file.replicas)
        order = self._order(ranked) if self._wishes.first or self._wishes.shuffled else range(len(ranked))
        if order is None:
            told = f"UsageFault: ranking is {self._wishes.first}, and no more copies than that can be read"
            yield Row(asked, None, told, file.title or file.asset, term, media_type, file.bytes, qualifier, file.asset)
            return
        for number in order:
            yield _row_of_copy(asked, term, file, media_type, qualifier, ranked[number], number + 1)
            if not self._wishes.repeat_core_term:
                term = self._replica_term

    def _rows_of_cutouts(self, asked: str, file: HeldFile, held: HeldItem) -> Iterator[Row]:
        """Yield the services that cut a file, the one that answers at once first; of a long answer the first files'."""
        kind = offered(file, held)
        if kind is None:
            return
        offer = self._offered.get(file.did)
        if offer is None:
            if len(self.offers) >= _OFFERS and not self._wishes.cutouts:
                return
            offer = self._offered[file.did] = Offer(len(self.offers) + 1, file, kind, held)
            self.offers.append(offer)
        what = f"Cut-outs of {file.title or file.asset}"
        for service_def, told in zip(offer.service_defs, (what, f"{what}, as jobs"), strict=True):
            yield Row(
                asked,
                None,
                None,
                told,
                CUTOUT,
                media_type_of(file.media_type),
                local_semantics=file.asset,
                service_def=service_def,
            )

    def _order(self, ranked: Sequence[Ranked]) -> list[int] | None:
        """Return another order than nearest first; None where no copy is there to be the first."""
        readable = [number for number, one in enumerate(ranked) if one.readable]
        if self._wishes.shuffled:
            random.shuffle(readable)
        if readable and self._wishes.first >= len(readable):
            return None
        first = readable[self._wishes.first : self._wishes.first + 1]
        return [*first, *(number for number in readable if number not in first), *range(len(readable), len(ranked))]

    def _row_at_origin(
        self, asked: str, term: str, file: HeldFile, qualifier: str | None, assets: Iterable[Link]
    ) -> Row:
        """Return the row of a file without any replica: where it came from, if that is known."""
        href = next((link.href for link in assets if link.name == file.asset and link.href), None)
        url = self._link(href)
        error = None if url else f"TransientFault: the lake holds no copy of {file.did} now"
        what = file.title or file.asset
        return Row(
            asked,
            url,
            error,
            f"{what}, at its origin" if url else what,
            term,
            media_type_of(file.media_type),
            file.bytes,
            qualifier,
            file.asset,
        )

    def _rows_of_assets(self, asked: str, held: HeldItem, assets: Sequence[Link]) -> Iterator[Row]:
        """Yield a row for each asset that is no file: by its own address, or by an alternate that can be opened."""
        known = {file.asset for file in held.files}
        places: dict[str, list[Link]] = {}
        for link in assets:
            asset = _asset_of(link.name, known)
            known.add(asset)
            places.setdefault(asset, []).append(link)
        for file in held.files:
            places.pop(file.asset, None)
        for asset, links in places.items():
            primary = links[0]
            url = next(filter(None, (self._link(link.href) for link in links)), None)
            science = is_science_link(primary, held, self._settings)
            term = term_of_asset(primary.roles, science=science)
            yield Row(
                asked,
                url,
                None if url else f"FatalFault: {_why_no_link(primary.href)}",
                primary.title or asset,
                term,
                media_type_of(primary.media_type),
                content_qualifier=product_type(held.dataproduct_type) if science else None,
                local_semantics=asset,
            )

    def _rows_of_links(self, asked: str, links: Iterable[Link]) -> Iterator[Row]:
        """Yield the item's own links, as far as a client can open them."""
        for link in links:
            url = self._link(link.href) if link.rel is not None else None
            if url is not None and link.rel is not None:
                term, media_type = term_of_relation(link.rel), media_type_of(link.media_type)
                what = link.title or link.rel
                yield Row(asked, url, None, what, term, media_type, local_semantics=f"link:{link.rel}")

    def _rows_stated(self, asked: str, held: HeldItem) -> Iterator[Row]:
        """Yield what the metadata of the DID name under ``datalinks``."""
        for link in held.did_links:
            url, term = self._link(link.access_url), term_stated(link.semantics)
            error = None if url else f"FatalFault: {_why_no_link(link.access_url)}"
            what = link.description or term.rpartition("#")[2]
            yield Row(asked, url, error, what, term, media_type_of(link.content_type))

    def _link(self, href: str | None) -> str | None:
        return None if href is None else self._links.of(href, "")


def _row_of_copy(
    asked: str, term: str, file: HeldFile, media_type: str | None, qualifier: str | None, copy: Ranked, rank: int
) -> Row:
    replica, url, error = copy.replica, copy.url, None
    if not copy.readable:
        url, error = None, f"TransientFault: the copy at {replica.rse} cannot be read now: {copy.why_not}"
    # Origins are read as the catalogue says; how the lake's own storage is read, nobody says.
    is_open = not replica.needs_login and copy.rse is not None and copy.rse.origin is not None
    return Row(
        asked,
        url,
        error,
        f"{file.title or file.asset}, at {replica.rse}{f' ({copy.site})' if copy.site else ''}",
        term,
        media_type,
        file.bytes,
        qualifier,
        file.asset,
        "true" if replica.needs_login else "false" if is_open else None,
        True if is_open else None,
        replica.rse,
        copy.site,
        replica.state,
        rank,
    )


def fault(asked: str, kind: str, message: str) -> Row:
    """Return the one row of an ID that has no links (DataLink 1.1 section 3.4).

    Parameters
    ----------
    asked
        The ID as it came.
    kind
        ``NotFoundFault``, ``UsageFault`` ...
    message
        What is wrong.
    """
    return Row(asked, None, f"{kind}: {message}", "", THIS)


@lru_cache(maxsize=256)
def media_type_of(text: str | None) -> str | None:
    """Return a media type as far as it is one (RFC 2045 section 5.1)."""
    return text if text is not None and _MEDIA_TYPE.fullmatch(text) else None


def _asset_of(name: str, known: set[str]) -> str:
    """Return the asset whose place a link is: ``asset#alternate`` names one of an asset that is known already."""
    place = name.find("#")
    while place != -1:
        if name[:place] in known:
            return name[:place]
        place = name.find("#", place + 1)
    return name


def _why_no_link(href: str | None) -> str:
    if href is None:
        return "the catalogue gives no address for it"
    scheme, mark, _ = href.partition(":")
    return f"HTTP clients cannot open {scheme[:40]}: addresses" if mark else "its address is no URL"
