"""How much of an item is at an RSE, as the documentation defines the six states."""

from __future__ import annotations

import pytest

from stac_rucio_sync.model import Did, ItemKey, Replica
from stac_rucio_sync.model.rules import LakeFile
from stac_rucio_sync.replication.states import ItemState, State, state_of

KEY, DATASET = ItemKey("images", "m31"), Did("stac", "images..m31")
HERE = frozenset({"VIENNA-DISK"})


def file(name: str, **states: str) -> LakeFile:
    did = Did("stac", name)
    replicas = tuple(Replica(did, rse.replace("_", "-"), f"https://x/{name}", state) for rse, state in states.items())
    return LakeFile(name, did, 10, None, None, replicas)


def state(*files: LakeFile, assets: int | None = None, reasons: dict[Did, str] | None = None) -> ItemState:
    return state_of(KEY, DATASET, files, len(files) if assets is None else assets, HERE, reasons or {})


THERE = file("there", VIENNA_DISK="AVAILABLE", ORIGIN="AVAILABLE")
ELSEWHERE = file("elsewhere", ORIGIN="AVAILABLE")
UNDER_WAY = file("under-way", VIENNA_DISK="COPYING", ORIGIN="AVAILABLE")
FAILED = file("failed", VIENNA_DISK="UNAVAILABLE", ORIGIN="AVAILABLE")


@pytest.mark.parametrize(
    ("files", "expected", "said"),
    [
        ([THERE, THERE], State.COMPLETE, "COMPLETE"),
        ([THERE, ELSEWHERE], State.PARTIAL, "PARTIAL (1 of 2)"),
        ([THERE, UNDER_WAY, ELSEWHERE], State.COPYING, "COPYING (1 of 3 are there)"),
        ([THERE, UNDER_WAY, FAILED], State.STUCK, "STUCK (1 of 3 are there)"),
        ([ELSEWHERE], State.NONE, "NONE"),
        ([], State.NOT_REGISTERED, "NOT REGISTERED"),
    ],
)
def test_the_six_states(files: list[LakeFile], expected: State, said: str) -> None:
    found = state(*files)
    assert found.state is expected
    assert str(found) == said


def test_assets_that_are_links_only_are_counted_and_make_nothing_incomplete() -> None:
    found = state(THERE, assets=3)
    assert (found.state, found.links) == (State.COMPLETE, 2)
    assert str(found) == "COMPLETE, 2 assets are links only"


def test_every_stuck_file_has_a_reason() -> None:
    other = file("other", VIENNA_DISK="BAD", ORIGIN="AVAILABLE")
    found = state(FAILED, other, reasons={FAILED.did: "the origin answered 404", THERE.did: "of an earlier time"})
    assert found.reasons == {
        FAILED.did: "the origin answered 404",
        other.did: "Rucio says BAD at VIENNA-DISK, and no rule that we may see says why",
    }


def test_an_expression_of_several_rses_is_one_place() -> None:
    both = frozenset({"VIENNA-DISK", "SYDNEY-DISK"})
    moved = file("moved", VIENNA_DISK="UNAVAILABLE", SYDNEY_DISK="AVAILABLE")
    trying = file("trying", VIENNA_DISK="UNAVAILABLE", SYDNEY_DISK="COPYING")
    assert state_of(KEY, DATASET, [moved], 1, both).state is State.COMPLETE
    assert state_of(KEY, DATASET, [moved, trying], 2, both).state is State.COPYING
