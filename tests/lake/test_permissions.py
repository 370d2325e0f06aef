"""The policy package on a live server: what an ingest account may on top of the generic rules, and nobody else."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningLake
from tests.lake.rest import Account, origin_protocol, replica

REFUSED = "AccessDenied"


@dataclass(frozen=True)
class Cast:
    """Accounts of the lake, and an origin RSE with one replica in a scope of the ingest account."""

    ingest: Account
    alice: Account
    root: Account
    origin: str
    url: str
    scope: str


@pytest.fixture(scope="module")
def cast(lake: RunningLake) -> Cast:
    accounts = {name: Account(Path(config)) for name, config in lake.facts["accounts"].items()}
    ingest = accounts["ingest"]
    origin, scope = new_rse(), "t" + uuid.uuid4().hex[:12]
    ingest.add_origin(origin, lake.facts["origin_url"])
    ingest.add_scope(scope)
    url = lake.facts["origin_url"]
    ingest.add_replica(origin, scope, "first", b"first", f"{url}/first")
    return Cast(ingest, accounts["alice"], accounts["root"], origin, url, scope)


def outcome(account: Account, verb: str, path: str, body: Any = None) -> str:
    """Return the exception that Rucio answers with, or "allowed" (some refusals come with status 500, not 401)."""
    answer = account.ask(verb, path, body)
    return "allowed" if answer.ok else str(answer.json()["ExceptionClass"])


def new_rse() -> str:
    return "ORIGIN-" + uuid.uuid4().hex[:8].upper()


def files(cast: Cast, name: str = "first") -> list[dict[str, Any]]:
    return [replica(cast.scope, name, name.encode(), f"{cast.url}/{name}")]


def test_an_ingest_account_keeps_replicas_at_origins(cast: Cast) -> None:
    name = "kept-" + uuid.uuid4().hex
    cast.ingest.do("POST", "replicas", {"rse": cast.origin, "files": files(cast, name)})
    unavailable = [{"scope": cast.scope, "name": name, "state": "U"}]
    cast.ingest.do("PUT", "replicas", {"rse": cast.origin, "files": unavailable})
    assert cast.root.replicas(cast.scope, name)["states"] == {cast.origin: "UNAVAILABLE"}
    cast.ingest.do("DELETE", "replicas", {"rse": cast.origin, "files": [{"scope": cast.scope, "name": name}]})
    assert cast.root.replicas(cast.scope, name).get("states", {}) == {}


def test_an_origin_closed_for_writing_still_takes_registrations_and_no_rule(cast: Cast) -> None:
    rse = new_rse()
    cast.ingest.add_origin(rse, cast.url)
    cast.ingest.do("PUT", f"rses/{rse}", {"availability_write": False})
    name = "closed-" + uuid.uuid4().hex
    cast.ingest.do("POST", "replicas", {"rse": rse, "files": files(cast, name), "ignore_availability": True})
    rule = {"dids": [{"scope": cast.scope, "name": "first"}], "copies": 1, "rse_expression": rse}
    rule |= {"account": "ingest", "lifetime": None, "grouping": "DATASET", "locked": False}
    assert outcome(cast.ingest, "POST", "rules/", rule) == "RSEWriteBlocked"


def test_an_ingest_account_may_not_touch_other_rses(cast: Cast) -> None:
    vienna = cast.root.do("GET", "rses/VIENNA-DISK").json()
    attempts: list[tuple[str, str, Any]] = [
        ("POST", "replicas", {"rse": "VIENNA-DISK", "files": files(cast)}),
        ("DELETE", "replicas", {"rse": "VIENNA-DISK", "files": [{"scope": cast.scope, "name": "first"}]}),
        ("PUT", "replicas", {"rse": "VIENNA-DISK", "files": [{"scope": cast.scope, "name": "first", "state": "U"}]}),
        ("POST", "rses/VIENNA-DISK/attr/origin", {"value": "x"}),
        ("DELETE", "rses/VIENNA-DISK/attr/site", None),
        ("POST", "rses/VIENNA-DISK/protocols/http", origin_protocol("127.0.0.1", 1)),
        ("DELETE", "rses/VIENNA-DISK/protocols/http", None),
        ("PUT", "rses/VIENNA-DISK", {"availability_write": False}),
        ("PUT", "rses/VIENNA-DISK/distances/SYDNEY-DISK", {"distance": 3}),
        ("DELETE", "rses/VIENNA-DISK", None),
        ("POST", "accounts/mallory", {"type": "USER", "email": "m@localhost"}),
        ("POST", f"scopes/alice/t{uuid.uuid4().hex[:12]}", None),
    ]
    answers = {f"{verb} {path}": outcome(cast.ingest, verb, path, body) for verb, path, body in attempts}
    assert answers == dict.fromkeys(answers, REFUSED)
    assert cast.root.do("GET", "rses/VIENNA-DISK").json() == vienna


def test_an_export_shows_an_ingest_account_what_every_account_reads_one_by_one(cast: Cast) -> None:
    told = cast.ingest.do("GET", "export").json()
    for rse in (cast.origin, "VIENNA-DISK"):
        assert told["rses"][rse]["attributes"] == cast.alice.do("GET", f"rses/{rse}/attr/").json()
        assert told["rses"][rse]["protocols"] == cast.alice.do("GET", f"rses/{rse}").json()["protocols"]
    declared = cast.alice.do("GET", "rses/VIENNA-DISK/distances/SYDNEY-DISK").json()
    assert [told["distances"]["VIENNA-DISK"]["SYDNEY-DISK"]["distance"]] == [row["distance"] for row in declared]
    assert outcome(cast.alice, "GET", "export") == REFUSED


def test_an_ordinary_account_may_do_none_of_it(cast: Cast) -> None:
    before = cast.root.replicas(cast.scope, "first")
    attempts: list[tuple[str, str, Any]] = [
        ("POST", f"scopes/alice/t{uuid.uuid4().hex[:12]}", None),
        ("POST", f"rses/{new_rse()}", {"deterministic": False}),
        ("POST", f"rses/{cast.origin}/attr/site", {"value": "vienna"}),
        ("POST", f"rses/{cast.origin}/protocols/https", origin_protocol("127.0.0.1", 1, "https")),
        ("DELETE", f"rses/{cast.origin}/protocols/http", None),
        ("PUT", f"rses/{cast.origin}", {"availability_write": False}),
        ("PUT", f"rses/{cast.origin}/distances/VIENNA-DISK", {"distance": 9}),
        ("POST", "replicas", {"rse": cast.origin, "files": files(cast, "alices")}),
        ("DELETE", "replicas", {"rse": cast.origin, "files": [{"scope": cast.scope, "name": "first"}]}),
        ("PUT", "replicas", {"rse": cast.origin, "files": [{"scope": cast.scope, "name": "first", "state": "U"}]}),
        ("POST", f"dids/{cast.scope}/first/meta", {"meta": {"colour": "blue"}}),
    ]
    answers = {f"{verb} {path}": outcome(cast.alice, verb, path, body) for verb, path, body in attempts}
    assert answers == dict.fromkeys(answers, REFUSED)
    assert cast.root.replicas(cast.scope, "first") == before


def test_an_ingest_account_edits_its_own_dids_only(cast: Cast) -> None:
    meta = {"meta": {"colour": "blue"}}
    cast.ingest.do("POST", f"dids/{cast.scope}/{name_dataset(cast)}/meta", meta)
    foreign = "t" + uuid.uuid4().hex[:12]
    cast.root.do("POST", f"scopes/alice/{foreign}")
    cast.root.do("POST", f"dids/{foreign}/theirs", {"type": "DATASET"})
    assert outcome(cast.ingest, "POST", f"dids/{foreign}/theirs/meta", meta) == REFUSED
    attachment = {"dids": [{"scope": cast.scope, "name": "first"}]}
    assert outcome(cast.ingest, "POST", f"dids/{foreign}/theirs/dids", attachment) == REFUSED


def name_dataset(cast: Cast) -> str:
    """Make a dataset with the first file, take the file out again, and return the dataset's name."""
    name = "set-" + uuid.uuid4().hex
    attachment = {"dids": [{"scope": cast.scope, "name": "first"}]}
    cast.ingest.do("POST", f"dids/{cast.scope}/{name}", {"type": "DATASET"})
    cast.ingest.do("POST", f"dids/{cast.scope}/{name}/dids", attachment)
    cast.ingest.do("DELETE", f"dids/{cast.scope}/{name}/dids", attachment)
    return name


def test_an_rse_that_others_use_cannot_be_declared_an_origin(cast: Cast) -> None:
    rse = new_rse()
    cast.root.do("POST", f"rses/{rse}", {"deterministic": False})
    cast.root.do("POST", f"rses/{rse}/protocols/http", origin_protocol("127.0.0.1", 1))
    assert outcome(cast.ingest, "POST", f"rses/{rse}/attr/origin", {"value": "x"}) == REFUSED


def test_everybody_ends_rules_of_their_own_and_changes_nothing_else_of_any(cast: Cast) -> None:
    alices = cast.alice.add_rule(cast.scope, "first", "VIENNA-DISK")
    ingests = cast.ingest.add_rule(cast.scope, "first", "VIENNA-DISK")
    attempts: list[tuple[str, str, Any]] = [
        ("DELETE", f"rules/{ingests}", {"purge_replicas": False}),
        ("PUT", f"rules/{ingests}", {"options": {"lifetime": 0}}),
        ("PUT", f"rules/{alices}", {"options": {"locked": True}}),
        ("PUT", f"rules/{alices}", {"options": {"lifetime": 0, "account": "ingest"}}),
    ]
    answers = {f"{verb} {path} {body}": outcome(cast.alice, verb, path, body) for verb, path, body in attempts}
    assert answers == dict.fromkeys(answers, REFUSED)
    assert cast.root.do("GET", f"rules/{ingests}").json()["expires_at"] is None

    cast.alice.do("DELETE", f"rules/{alices}", {"purge_replicas": False})
    assert cast.root.do("GET", f"rules/{alices}").json()["expires_at"] is not None
    cast.ingest.do("PUT", f"rules/{ingests}", {"options": {"lifetime": 0, "purge_replicas": True}})
