"""Rules on what a search found, in a real lake: made once, followed, ended, and files that really arrive."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.model.rules import RuleWish
from stac_rucio_sync.replication.choice import Choice
from stac_rucio_sync.replication.ending import end_rules
from stac_rucio_sync.replication.request import ItemFate, Request, RequestJob
from stac_rucio_sync.replication.states import State
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.rules import RucioRules
from tests.rucio.searched import SAN_FRANCISCO, SYDNEY, VIENNA, Searched

SECONDS = 100.0


@pytest.fixture
def searched(lake: Any, scope: str, tmp_path: Path) -> Searched:
    return Searched(lake, scope, tmp_path)


def test_whole_items_get_a_rule_each_and_their_files_arrive(searched: Searched) -> None:
    items = [searched.item(name) for name in ("m31", "m33")]
    unknown = searched.item("m51")
    searched.register(*items)
    assert {one.state for one in searched.states(*items, rse=VIENNA).values()} == {State.NONE}

    report = searched.replicate(*items, unknown, rse=VIENNA, account="alice", wish={"comment": "for the thesis"})

    assert report.fates[ItemFate.MADE] == 2
    assert report.left_out == {"images/m51": "the lake has no file of it"}
    assert not report.clean
    assert (report.files, report.missing_files) == (4, 4)
    assert set(report.rules.values()) == {Did(searched.scope, f"images..{name}") for name in ("m31", "m33")}
    states = searched.states(*items, unknown, rse="site=vienna&lake=True", account="alice", wait=SECONDS)
    assert [states[name].state for name in ("m31", "m33", "m51")] == [
        State.COMPLETE,
        State.COMPLETE,
        State.NOT_REGISTERED,
    ]
    [copy] = searched.at(VIENNA, "images..m31..image.bin")
    assert copy.read_bytes() == searched.at_origin("m31", "image").read_bytes()


def test_the_same_request_again_makes_nothing_and_says_so(searched: Searched) -> None:
    items = [searched.item(name) for name in ("m31", "m33")]
    searched.register(*items)
    first = searched.replicate(*items, rse=VIENNA, account="alice")
    again = searched.replicate(*items, rse=VIENNA, account="alice")
    assert len(first.rules) == 2
    assert (again.rules, again.rules_there, again.fates[ItemFate.THERE]) == ({}, 2, 2)
    assert again.clean
    # Another account's rule is another one.
    assert len(searched.replicate(*items, rse=VIENNA, account="root").rules) == 2


def test_no_rule_is_made_for_an_item_without_files_in_the_lake(searched: Searched) -> None:
    """Rucio would call a rule on its empty dataset OK at once."""
    unsized = searched.item("links", page={"href": "https://example.org/page.html", "roles": ["metadata"]})
    report = searched.replicate(unsized, rse=VIENNA, register=True)
    assert (report.rules, report.clean) == ({}, False)
    assert "none of its assets can be a file" in report.left_out["images/links"]
    assert searched.states(unsized, rse=VIENNA)["links"].state is State.NOT_REGISTERED
    nothing = searched.replicate(rse=VIENNA)
    assert (nothing.read, nothing.clean) == (0, False)


def test_chosen_assets_get_rules_on_their_files(searched: Searched) -> None:
    item, other = searched.item("m31"), searched.item("m33", log=searched.asset("m33", "log", roles=["metadata"]))
    searched.register(item, other)
    choice = Choice(roles=frozenset({"data"}))
    report = searched.replicate(item, other, rse=SYDNEY, account="alice", choice=choice)
    assert list(report.rules.values()) == [Did(searched.scope, "images..m31..image.bin")]
    assert report.fates[ItemFate.NOTHING_CHOSEN] == 1
    assert report.clean
    assert searched.states(item, rse=SYDNEY, wait=SECONDS, choice=choice)["m31"].state is State.COMPLETE
    whole = searched.states(item, rse=SYDNEY)["m31"]
    assert (whole.state, whole.available, whole.files) == (State.PARTIAL, 1, 2)
    by_name = searched.replicate(item, rse=SYDNEY, account="alice", choice=Choice(assets=frozenset({"preview"})))
    assert list(by_name.rules.values()) == [Did(searched.scope, "images..m31..preview.bin")]


def test_chosen_assets_may_lie_in_a_dataset_of_the_request(searched: Searched) -> None:
    items = [searched.item(name) for name in ("m31", "m33")]
    searched.register(*items)
    dataset = Did(searched.scope, "request")
    how: dict[str, Any] = {"choice": Choice(roles=frozenset({"data"})), "dataset": dataset}
    report = searched.replicate(*items, rse=SYDNEY, **how)
    again = searched.replicate(*items, rse=SYDNEY, **how)
    assert list(report.rules.values()) == [dataset]
    assert report.fates[ItemFate.MADE] == 2
    assert (again.rules, again.fates[ItemFate.THERE]) == ({}, 2)
    states = searched.states(*items, rse=SYDNEY, wait=SECONDS, choice=how["choice"])
    assert {one.state for one in states.values()} == {State.COMPLETE}
    with pytest.raises(UsageError, match="cannot be made"):  # alice does not own the scope
        searched.replicate(*items, rse=SYDNEY, account="alice", dataset=Did(searched.scope, "alices"))
    with pytest.raises(UsageError, match="is a file in Rucio, not a dataset"):
        searched.replicate(*items, rse=SYDNEY, dataset=Did(searched.scope, "images..m31..image.bin"))


def test_what_cannot_be_copied_is_stuck_with_the_reason_of_each_file(searched: Searched) -> None:
    item, other = searched.item("m31", **{name: searched.asset("m31", name) for name in "abc"}), searched.item("m33")
    searched.register(item, other)
    searched.at_origin("m31", "b").unlink()
    searched.at_origin("m31", "c").write_bytes(b"changed behind the catalogue's back")
    searched.replicate(item, other, rse=VIENNA, account="alice")

    states = searched.states(item, other, rse=VIENNA, account="alice", wait=SECONDS)

    assert states["m33"].state is State.COMPLETE
    stuck = states["m31"]
    assert (stuck.state, stuck.available, stuck.files) == (State.STUCK, 1, 3)
    reasons = {did.name: reason for did, reason in stuck.reasons.items()}
    assert reasons.keys() == {"images..m31..b.bin", "images..m31..c.bin"}
    assert "404" in reasons["images..m31..b.bin"]
    assert "registered" in reasons["images..m31..c.bin"]


def test_a_dry_run_changes_nothing_and_tells_size_and_quota(searched: Searched) -> None:
    items = [searched.item(name) for name in ("m31", "m33")]
    unknown = searched.item("m51")
    searched.register(*items)
    report = searched.replicate(*items, unknown, rse="lake=True", account="alice", dry_run=True, register=True)
    size = sum(asset["file:size"] for item in items for asset in item["assets"].values())
    assert (report.files, report.bytes, report.missing_bytes) == (4, size, size)
    assert [quota.rse for quota in report.quotas] == [SAN_FRANCISCO, SYDNEY, VIENNA]
    assert all(quota.limit == 10**13 for quota in report.quotas)
    assert (report.rules, report.fates[ItemFate.MADE], report.fates[ItemFate.NOT_REGISTERED]) == ({}, 2, 1)
    assert searched.replicate(*items, rse="lake=True", account="alice").fates[ItemFate.MADE] == 2


def test_what_the_quota_does_not_allow_fails_with_rucios_words(searched: Searched, root: RucioCalls) -> None:
    item = searched.item("m31")
    searched.register(item)
    root.send("set_local_account_limit", "alice", SAN_FRANCISCO, 10)
    try:
        report = searched.replicate(item, rse=SAN_FRANCISCO, account="alice")
        assert report.quotas[0].limit == 10
    finally:
        root.send("set_local_account_limit", "alice", SAN_FRANCISCO, 10**13)
    assert (report.rules, report.fates[ItemFate.FAILED], report.clean) == ({}, 1, False)
    assert "AccountLimit" in report.left_out["images/m31"]


def test_an_unknown_rse_expression_is_a_mistake_of_the_command(searched: Searched) -> None:
    with pytest.raises(UsageError, match="NOWHERE-DISK"):
        searched.replicate(searched.item("m31"), rse="NOWHERE-DISK")


def test_only_own_rules_end_and_a_new_request_takes_the_end_back(searched: Searched) -> None:
    item = searched.item("m31")
    searched.register(item)
    [alices] = searched.replicate(item, rse=VIENNA, account="alice").rules
    [ingests] = searched.replicate(item, rse=VIENNA).rules
    with closing(RucioRules(searched.settings("alice"))) as rules:
        would = end_rules([alices], rules, dry_run=True)
        unchanged = rules.rule(alices)
        ended = end_rules([alices, ingests, "0" * 32], rules)
        ending, kept = rules.rule(alices), rules.rule(ingests)
        assert (would[0].outcome, unchanged and unchanged.expires_at) == ("would end", None)
        assert [one.outcome for one in ended] == ["ended", "kept", "gone"]
        assert ended[1].reason == "it is ingest's, not alice's"
        assert ending is not None
        assert ending.expires_at is not None
        assert kept is not None
        assert kept.expires_at is None
        again = searched.replicate(item, rse=VIENNA, account="alice")
        renewed = rules.rule(alices)
    assert (again.rules, again.renewed, again.rules_there) == ({}, 1, 1)
    assert renewed is not None
    assert renewed.expires_at is None


def test_many_items_cost_no_more_requests_than_few(searched: Searched) -> None:
    items = [searched.item(f"i{number}", a=searched.asset("shared", "a")) for number in range(34)]
    searched.register(*items)
    searched.replicate(items[0], rse=VIENNA, account="alice")  # who is logged in now
    searched.wait_for_judges()
    counts = []
    for some in (items[1:4], items[4:]):
        with searched.edges("alice") as (holdings, rules):
            request = Request(RuleWish(VIENNA))
            job = RequestJob(searched.source(*some), searched.settings("alice"), request, holdings, rules)
            assert job.run().clean
            counts.append(holdings.requests + rules.requests)
    assert counts[1] == counts[0]


def test_waiting_ends_for_files_that_nobody_asked_for(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stac_rucio_sync.replication.survey._GRACE", 0.5)
    item = searched.item("m31")
    searched.register(item)
    searched.replicate(item, rse=VIENNA, choice=Choice(roles=frozenset({"data"})))
    assert searched.states(item, rse=VIENNA, wait=SECONDS)["m31"].state is State.PARTIAL
