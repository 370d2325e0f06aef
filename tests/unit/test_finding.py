"""Which item a data product is of, and how the rows of DataLink become files with copies in order."""

from __future__ import annotations

import pytest

from stac_rucio_sync.finding.archive import _item_of, _quoted
from stac_rucio_sync.finding.copies import Checks, Copy, Nearest
from stac_rucio_sync.http import Http
from stac_rucio_sync.model import ItemKey

M31, M33 = ItemKey("images", "m31"), ItemKey("images", "m33")


@pytest.mark.parametrize(
    ("publisher_did", "candidates", "item"),
    [
        ("ivo://x/lake?stac:images..m31", [M31], M31),
        ("ivo://x/lake?stac:images..m33", [M31, M33], M33),  # both state one obs_id
        ("ivo://x/lake?stac:images..m51", [M31, M33], None),  # an item that was not found has it, too
        ("ivo://x/lake?stac:images..m3...0123", [M31], M31),  # a shortened name does not say whose it is
        ("ivo://x/lake?stac:images..m3...0123", [M31, M33], None),
        ("no identifier", [M31], None),
    ],
)
def test_a_data_product_is_of_the_item_that_its_name_tells(
    publisher_did: str, candidates: list[ItemKey], item: ItemKey | None
) -> None:
    assert _item_of(publisher_did, candidates) == item


def test_text_cannot_leave_its_literal() -> None:
    assert _quoted("x' OR '1'='1") == "'x'' OR ''1''=''1'"


class _NoArchive:
    def checks(self, ids: object) -> dict[tuple[str, str], Checks]:
        raise AssertionError

    def http(self) -> Http:
        raise AssertionError


def link(product: str, asset: str | None, semantics: str, rank: int | None, url: str | None = "https://x") -> Copy:
    error = None if url else "TransientFault: closed"
    return Copy(product, asset, url, semantics, f"RSE-{rank}", None, rank, None, None, None, error)


def test_copies_are_gathered_by_file_and_chosen_by_the_term_of_the_first() -> None:
    links = [
        link("a", "image", "#this", 1, url=None),
        link("a", "image", "https://archive/terms#replica", 2),
        link("a", "preview", "#preview", 1),
        link("a", None, "#documentation", None),
        link("a", None, "#documentation", None),
        link("b", "image", "#this", 1),
    ]
    science = Nearest(_NoArchive(), links, ["#this"])
    assert [(one.product, one.asset, len(one.copies)) for one in science] == [("a", "image", 2), ("b", "image", 1)]
    assert science.files[0].nearest.rank == 2
    assert [one.error for one in science.errors] == ["TransientFault: closed"]
    assert len(Nearest(_NoArchive(), links, None)) == 5
