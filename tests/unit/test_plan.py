"""The plan: changed bytes get a DID of their own, and a dry run shows what would be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.identifiers import decode
from stac_rucio_sync.model import (
    Did,
    Fate,
    File,
    Found,
    FoundFile,
    ItemKey,
    LakePlace,
    Link,
    ObsCoreRow,
    Wanted,
    WantedReplica,
)
from stac_rucio_sync.plan import actions, fate_of, settle_content

KEY = ItemKey("survey", "tile")
PFN = "https://archive.example.org/tile.fits"
MD5_A, MD5_B = "a" * 32, "b" * 32


def a_file(size: int = 10, md5: str | None = MD5_A, did: str = "survey..tile..image.fits") -> File:
    replica = WantedReplica(PFN, "https://archive.example.org:443", needs_login=False, alternate=None)
    return File("image", Did("stac", did), size, None, md5, (replica,), "application/fits", ("data",), None)


def wanted(*files: File) -> Wanted:
    row = ObsCoreRow(*(None,) * len(ObsCoreRow._fields))  # type: ignore[arg-type]  # no test here looks at the row
    names = {file.asset: file.did.name for file in files}
    return Wanted(
        KEY, Did("stac", "survey..tile"), Did("stac", "survey"), files, (), row, None,
        {"stac:asset": names, "stac:id": "tile"}, "f1",
    )  # fmt: skip


def found(*files: File, metadata_keys: tuple[str, ...] = ("stac:asset", "stac:id")) -> Found:
    recorded = tuple(
        FoundFile(file.asset, file.did, file.bytes, file.adler32, file.md5, tuple(r.pfn for r in file.replicas))
        for file in files
    )
    return Found(KEY, "source", "f0", Did("stac", "survey..tile"), metadata_keys, recorded)


@pytest.mark.parametrize(
    ("before", "now", "fate"), [(None, "f", Fate.ADDED), ("f", "f", Fate.UNCHANGED), ("e", "f", Fate.CHANGED)]
)
def test_fate_follows_the_fingerprint_that_stood_before_the_run(before: str | None, now: str, fate: Fate) -> None:
    assert fate_of(before, now) is fate


def test_same_bytes_keep_their_did() -> None:
    one = wanted(a_file())
    assert settle_content(one, found(a_file()), "new") == one


def test_a_checksum_that_was_unknown_before_is_no_change() -> None:
    one = wanted(a_file(md5=MD5_A))
    assert settle_content(one, found(a_file(md5=None)), "new") == one


@pytest.mark.parametrize("policy", ["new", "quarantine"])
def test_a_file_in_the_lake_has_the_did_that_the_lake_knows(policy: Literal["new", "quarantine"]) -> None:
    """Who uploaded other bytes gave them another name."""
    place = LakePlace("VIENNA-DISK", "https://vienna.example.org/tile.fits")
    one = wanted(replace(a_file(size=11, did="tile-2.fits"), replicas=(), in_lake=place))
    assert settle_content(one, found(a_file()), policy) == one
    lines = [str(action) for action in actions(one, None)]
    assert "+ file stac:tile-2.fits  (11 bytes, in the lake at VIENNA-DISK)" in lines
    assert not any("replica" in line for line in lines)


@pytest.mark.parametrize("changed", [a_file(size=11), a_file(md5=MD5_B)])
def test_changed_bytes_get_a_did_of_their_own_that_still_names_the_asset(changed: File) -> None:
    settled = settle_content(wanted(changed), found(a_file()), "new")
    did = settled.files[0].did
    assert did != changed.did
    assert did.name.endswith(".fits")
    decoded = decode(did.name)
    assert decoded is not None
    assert (decoded.collection, decoded.item, decoded.asset) == ("survey", "tile", "image")
    assert settled.metadata["stac:asset"] == {"image": did.name}


def test_the_same_change_again_gets_the_same_did() -> None:
    first = settle_content(wanted(a_file(md5=MD5_B)), found(a_file()), "new")
    again = settle_content(wanted(a_file(md5=MD5_B)), found(*first.files), "new")
    assert again.files == first.files


def test_changed_bytes_are_an_error_where_the_operator_says_so() -> None:
    with pytest.raises(ItemError, match="content of asset 'image' changed"):
        settle_content(wanted(a_file(size=11)), found(a_file()), "quarantine")


def test_plan_of_a_new_item_adds_item_file_and_replica() -> None:
    lines = [str(action) for action in actions(wanted(a_file()), None)]
    assert lines == [
        "+ item survey/tile",
        "+ file stac:survey..tile..image.fits  (10 bytes)",
        f"+ replica {PFN}",
    ]


def test_plan_of_a_changed_item_shows_only_differences() -> None:
    gone = replace(a_file(did="survey..tile..mask.fits"), asset="mask")
    kept_link = Link("tiles", "https://x/{z}", None, None, (), None, "its href is a template")
    one = replace(wanted(a_file()), links=(kept_link,))
    before = found(a_file(), gone, metadata_keys=("old", "stac:asset"))
    assert [str(action) for action in actions(one, before)] == [
        "* item survey/tile",
        "- file stac:survey..tile..mask.fits  (detached from stac:survey..tile)",
        "= link survey/tile/tiles  (its href is a template)",
        "- metadata stac:survey..tile old",
    ]
