"""The policy package on a live server: who uploads says what has arrived, and takes back what never did."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningLake
from tests.lake.rest import Account, replica

RSE, SCOPE = "VIENNA-LOCALGROUPDISK", "user.alice"


@dataclass(frozen=True)
class Uploads:
    """Accounts, and what one of them has registered."""

    alice: Account
    ingest: Account
    root: Account

    def registered(self, owner: Account, scope: str, state: str = "C") -> str:
        """Register a file without a byte of it in storage; return its name."""
        name = "file-" + uuid.uuid4().hex
        file = {key: value for key, value in replica(scope, name, b"bytes", "").items() if key != "pfn"}
        owner.do("POST", "replicas", {"rse": RSE, "files": [file | {"state": state}]})
        return name

    def states(self, scope: str, *names: str) -> list[str | None]:
        return [self.root.replicas(scope, name).get("states", {}).get(RSE) for name in names]


@pytest.fixture(scope="module")
def uploads(lake: RunningLake) -> Uploads:
    accounts = {name: Account(Path(config)) for name, config in lake.facts["accounts"].items()}
    return Uploads(accounts["alice"], accounts["ingest"], accounts["root"])


def outcome(account: Account, verb: str, *files: dict[str, Any], rse: str = RSE) -> str:
    answer = account.ask(verb, "replicas", {"rse": rse, "files": list(files)})
    return "allowed" if answer.ok else str(answer.json()["ExceptionClass"])


def finish(account: Account, scope: str, *names: str, state: str = "A") -> str:
    return outcome(account, "PUT", *({"scope": scope, "name": name, "state": state} for name in names))


def withdraw(account: Account, scope: str, *names: str, rse: str = RSE) -> str:
    return outcome(account, "DELETE", *({"scope": scope, "name": name} for name in names), rse=rse)


def test_who_uploads_says_that_files_have_arrived_also_twice(uploads: Uploads) -> None:
    names = [uploads.registered(uploads.alice, SCOPE) for _ in range(3)]
    assert uploads.states(SCOPE, *names) == ["COPYING"] * 3
    assert finish(uploads.alice, SCOPE, *names) == "allowed"
    assert finish(uploads.alice, SCOPE, *names) == "allowed"
    assert uploads.states(SCOPE, *names) == ["AVAILABLE"] * 3


def test_who_uploads_gives_files_no_other_state(uploads: Uploads) -> None:
    name = uploads.registered(uploads.alice, SCOPE)
    assert [finish(uploads.alice, SCOPE, name, state=state) for state in "UBDT"] == ["AccessDenied"] * 4
    assert uploads.states(SCOPE, name) == ["COPYING"]


def test_who_uploads_takes_back_what_never_arrived_and_nothing_else(uploads: Uploads) -> None:
    begun = [uploads.registered(uploads.alice, SCOPE) for _ in range(2)]
    arrived, held = uploads.registered(uploads.alice, SCOPE, "A"), uploads.registered(uploads.alice, SCOPE)
    uploads.alice.add_rule(SCOPE, held, RSE)
    assert withdraw(uploads.alice, SCOPE, arrived) == "AccessDenied"
    assert withdraw(uploads.alice, SCOPE, begun[0], arrived) == "AccessDenied"
    assert withdraw(uploads.alice, SCOPE, held) == "AccessDenied"
    assert uploads.states(SCOPE, *begun, arrived, held) == ["COPYING", "COPYING", "AVAILABLE", "COPYING"]

    assert withdraw(uploads.alice, SCOPE, *begun) == "allowed"
    assert uploads.states(SCOPE, *begun) == [None, None]
    assert withdraw(uploads.alice, SCOPE, begun[0]) == "ReplicaNotFound"


def test_the_uploads_of_others_are_left_alone(uploads: Uploads, scope: str) -> None:
    uploads.ingest.add_scope(scope)
    theirs = uploads.registered(uploads.ingest, scope)
    assert finish(uploads.alice, scope, theirs) == "AccessDenied"
    assert withdraw(uploads.alice, scope, theirs) == "AccessDenied"
    assert uploads.states(scope, theirs) == ["COPYING"]
    assert finish(uploads.ingest, scope, theirs) == "allowed"


def test_an_administrator_takes_back_anybodys_uploads_that_never_arrived(uploads: Uploads) -> None:
    begun, arrived = uploads.registered(uploads.alice, SCOPE), uploads.registered(uploads.alice, SCOPE, "A")
    assert withdraw(uploads.root, SCOPE, arrived) == "AccessDenied"
    assert withdraw(uploads.root, SCOPE, begun) == "allowed"
    assert uploads.states(SCOPE, begun, arrived) == [None, "AVAILABLE"]


def test_an_account_learns_whether_it_may_without_naming_a_file(uploads: Uploads) -> None:
    assert outcome(uploads.alice, "PUT") == "allowed"
    assert outcome(uploads.alice, "PUT", rse="VIENNA-DISK") == "AccessDenied"


def test_at_other_rses_nothing_is_allowed(uploads: Uploads) -> None:
    name = uploads.registered(uploads.alice, SCOPE)
    assert withdraw(uploads.alice, SCOPE, name, rse="VIENNA-DISK") == "AccessDenied"
    assert (
        outcome(uploads.alice, "PUT", {"scope": SCOPE, "name": name, "state": "A"}, rse="VIENNA-DISK") == "AccessDenied"
    )
    assert uploads.states(SCOPE, name) == ["COPYING"]
