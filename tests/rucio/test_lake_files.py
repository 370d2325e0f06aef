"""Files that lie in the lake already: attached and described, never registered, refused where they are not there."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from stac_rucio_sync.model import Did, File, LakePlace
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.origins import rse_name
from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.rucio.catalogue import Catalogue, recorded

RSE, OTHER = "VIENNA-DISK", "SYDNEY-DISK"
CONTENT = b"sent before"


def in_lake(did: Did, size: int = len(CONTENT), rse: str = RSE) -> File:
    place = LakePlace(rse, f"http://127.0.0.1:1/{did.name}")
    adler32 = f"{zlib.adler32(CONTENT):08x}"
    return File("image", did, size, adler32, None, (), "application/fits", ("data",), None, in_lake=place)


@pytest.fixture
def uploads(root: RucioCalls, scope: str) -> str:
    """A scope of files that somebody else brought into the lake."""
    name = f"u{scope[1:]}"
    root.send("add_scope", "root", name)
    return name


def bring(root: RucioCalls, did: Did, rse: str = RSE, **said: Any) -> Did:
    entry = {"scope": did.scope, "name": did.name, "bytes": len(CONTENT), "adler32": f"{zlib.adler32(CONTENT):08x}"}
    root.send("add_replicas", rse, [entry | said])
    return did


def test_a_file_in_the_lake_is_attached_and_described_as_it_lies_there(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls, root: RucioCalls, uploads: str
) -> None:
    did = bring(root, Did(uploads, "m31.fits"))
    before = {rse["rse"] for rse in root.send("list_rses")}
    wanted = catalogue.item("m31", in_lake(did))

    (registered,) = store.register([(wanted, None)])

    assert registered.refused is None
    assert [(replica.did, replica.rse, replica.state) for replica in registered.replicas] == [(did, RSE, "AVAILABLE")]
    assert registered.replicas[0].pfn.startswith("http://127.0.0.1")
    assert [(row["scope"], row["name"]) for row in rucio.send("list_files", *wanted.did)] == [did]
    assert {rse["rse"] for rse in root.send("list_rses")} == before
    assert store.register([(wanted, recorded(wanted))]) == [registered]


def test_a_file_that_the_lake_moved_is_in_the_lake(
    store: RucioStore, catalogue: Catalogue, root: RucioCalls, uploads: str
) -> None:
    did = bring(root, Did(uploads, "m31.fits"), OTHER)
    (registered,) = store.register([(catalogue.item("m31", in_lake(did)), None)])
    assert [replica.rse for replica in registered.replicas] == [OTHER]


def test_what_is_not_in_the_lake_is_refused_with_the_reason_and_others_are_not(
    store: RucioStore, catalogue: Catalogue, root: RucioCalls, uploads: str
) -> None:
    unknown, other = Did(uploads, "unknown.fits"), bring(root, Did(uploads, "other.fits"))
    under_way = bring(root, Did(uploads, "under-way.fits"), state="C")
    sound = bring(root, Did(uploads, "sound.fits"))
    batch = [
        (catalogue.item("unknown", in_lake(unknown)), None),
        (catalogue.item("other", in_lake(other, size=12)), None),
        (catalogue.item("under-way", in_lake(under_way)), None),
        (catalogue.item("sound", in_lake(sound)), None),
    ]

    answers = store.register(batch)

    reasons = [answer.refused or "" for answer in answers]
    assert f"{unknown} lies in the lake at {RSE}, and Rucio has no replica of it" in reasons[0]
    assert "with bytes 11, and the item says 12" in reasons[1]
    assert f"no replica of it is available (COPYING at {RSE})" in reasons[2]
    assert answers[3].refused is None
    held = {row["name"] for row in root.send("list_replicas", [{"scope": uploads, "name": unknown.name}])}
    assert not held


def test_a_place_of_origin_beside_it_is_registered_too(
    store: RucioStore, catalogue: Catalogue, root: RucioCalls, uploads: str
) -> None:
    did = bring(root, Did(uploads, "both.fits"))
    replica = catalogue.replica(f"{uploads}/both.fits", catalogue.origin)
    file = in_lake(did)
    both = File(
        file.asset, did, file.bytes, file.adler32, None, (replica,), None, ("data",), None, in_lake=file.in_lake
    )
    (registered,) = store.register([(catalogue.item("both", both), None)])
    assert {one.rse for one in registered.replicas} == {RSE, rse_name(replica.origin)}
