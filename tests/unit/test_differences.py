"""The comparison: what differs has one line, what agrees has none, what follows from a greater loss has none either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stac_rucio_sync.differences import lake_differences, row_action, row_differences, same_json, settled_of
from stac_rucio_sync.model import Did, File, Found, Held, ItemKey, LakePlace, Link, ObsCoreRow, Wanted, WantedReplica
from stac_rucio_sync.plan import Action, Sign
from stac_rucio_sync.stores.rucio.audit import HeldItem
from stac_rucio_sync.stores.rucio.placed import Placed
from stac_rucio_sync.stores.tables.audit_rows import RowDifference
from stac_rucio_sync.verdict import VerifyReport

KEY = ItemKey("survey", "tile")
DATASET, CONTAINER, FILE = Did("stac", "survey..tile"), Did("stac", "survey"), Did("stac", "survey..tile..image.fits")
PFN, RSE = "https://archive.example.org/tile.fits", "HTTPS-ARCHIVE_EXAMPLE_ORG"
MD5 = "a" * 32
METADATA: dict[str, Any] = {"stac:id": "tile", "gsd": 30, "bands": [1, 2.5, {"deep": None}]}


def held(**changes: Any) -> HeldItem:
    """An item that Rucio holds just as it is wanted, but for the changes."""
    replica = WantedReplica(PFN, "https://archive.example.org:443", needs_login=True, alternate=None)
    file = File("image", FILE, 10, None, MD5, (replica,), None, (), None)
    row = ObsCoreRow(*(None,) * len(ObsCoreRow._fields))  # type: ignore[arg-type]  # no test here looks at the row
    wanted = Wanted(KEY, DATASET, CONTAINER, (file,), (), row, None, METADATA, "f1")
    found = Found(KEY, "source", "f1", DATASET, ("stac:id", "gsd", "bands", "former"), ())
    placed = Placed(wanted, found, {FILE: (file, {RSE: replica})}, changes.pop("links", ()))
    there = Held(10, "12345678", MD5, {RSE: (PFN,)}, {RSE: "AVAILABLE"})
    as_wanted = HeldItem(placed, "DATASET", "CONTAINER", frozenset({FILE}), METADATA, {FILE: there})
    return replace(as_wanted, **changes)


def lines(one: HeldItem, *, attached: bool = True) -> list[str]:
    return [f"{action.sign} {action.what}" for action in lake_differences(one, attached=attached)]


def a_file(**changes: Any) -> dict[Did, Held]:
    return {FILE: replace(held().files[FILE], **changes)}


def test_what_is_as_wanted_has_no_line() -> None:
    assert lines(held()) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": None, "content": frozenset(), "metadata": {}}, ["+ dataset"]),
        ({"kind": "FILE", "content": frozenset(), "metadata": {}}, ["! dataset"]),
        ({"container_kind": "DATASET"}, ["! container"]),
        ({"content": frozenset()}, ["+ attachment"]),
        ({"content": frozenset({FILE, Did("stac", "other")})}, ["- attachment"]),
        ({"files": {}}, ["+ file"]),
        ({"files": {}, "content": frozenset()}, ["+ file"]),
        ({"files": a_file(bytes=11)}, ["! file"]),
        ({"files": a_file(md5="b" * 32)}, ["! file"]),
        ({"files": a_file(md5=None)}, []),
        ({"files": a_file(states={}, pfns={})}, ["+ replica"]),
        ({"files": a_file(pfns={RSE: ("https://archive.example.org/else.fits",)})}, ["* replica"]),
        ({"files": a_file(states={RSE: "BAD"})}, []),
        ({"files": a_file(states={RSE: "AVAILABLE", "LAKE-DISK": "COPYING"})}, []),
        ({"metadata": {"stac:id": "tile", "gsd": 30}}, ["+ metadata"]),
        ({"metadata": METADATA | {"gsd": 31}}, ["* metadata"]),
        ({"metadata": METADATA | {"gsd": 30.0}}, []),
        ({"metadata": METADATA | {"former": 1}}, ["- metadata"]),
        ({"metadata": METADATA | {"former": None}}, []),
        ({"metadata": METADATA | {"stac:elder": 1}}, ["- metadata"]),
        ({"metadata": METADATA | {"note": "another user's"}}, []),
    ],
)
def test_what_differs_has_its_line(changes: dict[str, Any], expected: list[str]) -> None:
    assert lines(held(**changes)) == expected


@pytest.mark.parametrize(
    ("wanted", "recorded", "there", "expected"),
    [
        ("c2", True, "c1", []),
        ("c2", True, None, ["+ metadata"]),
        ("c2", False, None, []),
        (None, True, "c1", []),
    ],
    ids=["of an earlier commit in the same words", "lost", "synced from elsewhere", "since synced from elsewhere"],
)
def test_the_commit_that_an_item_came_from_may_be_any_that_holds_it(
    wanted: str | None, recorded: bool, there: str | None, expected: list[str]
) -> None:
    one = held(metadata=METADATA | ({"stac:commit": there} if there else {}))
    placed, found = one.placed, one.placed.found
    assert found is not None
    metadata = METADATA | ({"stac:commit": wanted} if wanted else {})
    keys = (*found.metadata_keys, *(["stac:commit"] if recorded else []))
    placed = replace(placed, wanted=replace(placed.wanted, metadata=metadata), found=replace(found, metadata_keys=keys))
    assert lines(replace(one, placed=placed)) == expected


def test_a_dataset_out_of_its_container_is_an_attachment_that_is_missing() -> None:
    assert lines(held(), attached=False) == ["+ attachment"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (10**23, 1e23, True),
        (1, True, False),
        (0, False, False),
        (None, False, False),
        ("1", 1, False),
        ([1, [2]], [1.0, [2]], True),
        ([1], [1, 2], False),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        (10**400, 1e300, False),
    ],
)
def test_json_values_are_compared_as_json(one: Any, other: Any, same: bool) -> None:
    assert same_json(one, other) is same_json(other, one) is same


def test_the_mirror_is_to_say_what_rucio_says() -> None:
    (replica,) = settled_of(held(files=a_file(states={RSE: "BAD"}))).registered.replicas
    assert (replica.rse, replica.pfn, replica.state, replica.needs_login) == (RSE, PFN, "BAD", True)


def test_a_replica_that_rucio_lost_is_no_second_difference_of_the_mirror() -> None:
    (replica,) = settled_of(held(files={})).registered.replicas
    assert (replica.rse, replica.pfn, replica.state, replica.needs_login) == (RSE, PFN, "AVAILABLE", True)


def test_the_reason_of_a_place_without_an_rse_quotes_rucio_and_is_no_difference() -> None:
    link = Link("image#mirror", PFN, None, None, (), None, "no RSE stands for its origin")
    one = held(links=(link,))
    reason = RowDifference("link", (*KEY, "image#mirror"), wanted=True, there=True, columns=("reason",))
    assert list(row_differences([one], [reason])) == []
    assert len(list(row_differences([one], [replace(reason, columns=("href", "reason"))]))) == 1
    assert len(list(row_differences([held()], [reason]))) == 1


@pytest.mark.parametrize(
    ("columns", "sign"),
    [(("proposal_id",), "!"), (("proposal_id", "t_min"), "*"), (("gsd",), "*"), ((), "*")],
)
def test_what_another_users_key_makes_of_a_triggers_row_is_not_to_be_repaired(
    columns: tuple[str, ...], sign: str
) -> None:
    one = held(metadata=METADATA | {"proposal_id": "somebody's", "t_min": None})
    publisher_did = "ivo://example.org/x?stac:survey..tile"
    wanted = replace(one.placed.wanted, obscore=one.placed.wanted.obscore._replace(obs_publisher_did=publisher_did))
    one = replace(one, placed=replace(one.placed, wanted=wanted))
    difference = RowDifference("obscore", (publisher_did,), wanted=True, there=True, columns=columns)
    assert [str(action)[0] for action in row_differences([one], [difference], by_trigger=True)] == [sign]
    assert [str(action)[0] for action in row_differences([one], [difference])] == ["*"]


@pytest.mark.parametrize(
    ("wanted", "there", "line"),
    [
        (True, False, "+ mirror stac name RSE"),
        (False, True, "- mirror stac name RSE"),
        (True, True, "* mirror stac name RSE  (state)"),
    ],
)
def test_rows_have_signs(wanted: bool, there: bool, line: str) -> None:
    columns = ("state",) if wanted and there else ()
    assert str(row_action(RowDifference("replica", ("stac", "name", "RSE"), wanted, there, columns))) == line


def test_the_report_counts_keeps_a_few_lines_and_takes_back() -> None:
    report = VerifyReport("survey")
    for name in ("survey/a", "survey/b", "survey/c"):
        report.count(Action(Sign.CHANGE, "item", name, "changed"), examples=2)
    report.count(Action(Sign.SAME, "item", "survey/d"), examples=2)
    assert (report.differences, report.clean) == (3, False)
    assert report.as_json()["examples"] == {"* item": ["* item survey/a  (changed)", "* item survey/b  (changed)"]}
    assert report.take_back(Action(Sign.CHANGE, "item", "survey/a"))
    assert report.as_json()["counts"] == {"=": {"item": 1}, "*": {"item": 2}}
    assert report.as_json()["examples"] == {"* item": ["* item survey/b  (changed)"]}


def test_after_a_repair_what_remains_decides() -> None:
    report = VerifyReport("survey", repaired=True)
    report.count(Action(Sign.ADD, "replica", "one"), examples=1)
    assert report.clean
    report.remaining = 1
    assert not report.clean


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({FILE: Held(10, None, MD5, {"LAKE-DISK": (PFN,)}, {"LAKE-DISK": "AVAILABLE"})}, []),
        ({FILE: Held(10, None, MD5, {"OTHER-DISK": ()}, {"OTHER-DISK": "AVAILABLE"})}, []),
        ({FILE: Held(10, None, MD5, {}, {"LAKE-DISK": "COPYING"})}, ["! file"]),
        ({FILE: Held(10, None, MD5, {}, {})}, ["! file"]),
        ({}, ["! file"]),
    ],
    ids=["there", "moved by the lake", "not yet there", "no replica", "unknown"],
)
def test_what_should_be_in_the_lake_and_is_not_cannot_be_repaired_from_here(
    there: dict[Did, Held], expected: list[str]
) -> None:
    file = File("image", FILE, 10, None, MD5, (), None, (), None, in_lake=LakePlace("LAKE-DISK", PFN))
    placed = replace(held().placed, wanted=replace(held().placed.wanted, files=(file,)), files={FILE: (file, {})})
    assert lines(held(placed=placed, files=there)) == expected
