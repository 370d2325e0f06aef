"""Rucio's replica workflow, as far as rules bring files: from the rule to the request, the submitter and the bytes.

What an upload does of it is in tests/rucio/test_upload.py, how failed copies are told in test_transfers.py.
"""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stac_rucio_sync.model import Did
from tests.conftest import RunningLake
from tests.lake.rest import Account, replica

SOURCE, ARCHIVE = "VIENNA-DISK", "VIENNA-ARCHIVE-LOCALGROUPDISK"
EXAMPLE, DATASET = Did("user.jdoe", "test.file.1"), Did("data", "dataset1234")


@dataclass
class Workflow:
    """An administrator of a lake, and RSEs of the tests' own."""

    lake: RunningLake
    root: Account
    scopes: set[str] = field(default_factory=set)

    def add_scope(self, scope: str) -> None:
        if scope not in self.scopes:
            self.root.add_scope(scope)
            self.scopes.add(scope)

    def add_file(self, did: Did, content: bytes, *, stored: bool = True) -> None:
        """Register a file at the source, and bring it there unless it is to be missing."""
        self.add_scope(did.scope)
        file = {key: value for key, value in replica(*did, content, "").items() if key != "pfn"}
        self.root.do("POST", "replicas", {"rse": SOURCE, "files": [file]})
        if stored:
            site = self.lake.facts["rses"][SOURCE]
            [pfn] = self.root.replicas(*did)["pfns"]
            place = Path(site["folder"]) / pfn.removeprefix(site["url"] + "/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def add_dataset(self, dataset: Did, *files: Did) -> None:
        self.add_scope(dataset.scope)
        self.root.do("POST", f"dids/{dataset.scope}/{dataset.name}", {"type": "DATASET"})
        self.root.do("POST", f"dids/{dataset.scope}/{dataset.name}/dids", {"dids": [did._asdict() for did in files]})

    def add_rse(self, **attributes: str) -> tuple[str, Path]:
        """Make an RSE of a folder; return its name and the folder."""
        rse = f"WORKFLOW-{uuid.uuid4().hex[:8].upper()}"
        folder = self.lake.home / "rse" / rse
        self.root.do("POST", f"rses/{rse}", {"deterministic": True})
        for key, value in attributes.items():
            self.set_attribute(rse, key, value)
        self.add_protocol(rse, folder)
        self.root.do("POST", f"rses/{SOURCE}/distances/{rse}", {"distance": 1})
        self.root.do("POST", f"accounts/root/limits/local/{rse}", {"bytes": 10**9})
        return rse, folder

    def add_protocol(self, rse: str, folder: Path) -> None:
        impl = "rucio.rse.protocols.posix.Default"
        domain = {"read": 1, "write": 1, "delete": 1}
        domains = {"lan": domain, "wan": domain | {"third_party_copy_write": 1}}
        protocol = {"hostname": "localhost", "port": 0, "prefix": f"{folder}/", "impl": impl, "domains": domains}
        self.root.do("POST", f"rses/{rse}/protocols/file", protocol | {"scheme": "file"})

    def set_attribute(self, rse: str, key: str, value: str) -> None:
        self.root.do("POST", f"rses/{rse}/attr/{key}", {"value": value})

    def state(self, did: Did, rse: str) -> str | None:
        """Return the state of a replica."""
        told: dict[str, str] = self.root.replicas(*did).get("states", {})
        return told.get(rse)

    def request(self, did: Did, rse: str) -> dict[str, Any] | None:
        """Return the request that waits for a file at an RSE."""
        answer = self.root.ask("GET", f"requests/{did.scope}/{did.name}/{rse}")
        found: dict[str, Any] | None = answer.json() if answer.ok else None
        return found

    def ended_request(self, did: Did, rse: str) -> dict[str, Any]:
        """Return the last request for a file at an RSE, out of Rucio's history."""
        found: dict[str, Any] = self.root.do("GET", f"requests/history/{did.scope}/{did.name}/{rse}").json()
        return found

    def locks(self, rule: str) -> dict[str, str]:
        told = self.root.do("GET", f"rules/{rule}/locks").text.splitlines()
        return {lock["name"]: lock["state"] for lock in map(json.loads, told)}

    @contextmanager
    def daemons_asleep(self) -> Iterator[None]:
        """Keep the submitter, poller and finisher from doing anything, so that one sees what is there before."""
        pid = self.lake.lake.status()["servers"]["daemons"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            until = time.monotonic() + 60
            while self._rucio_is_in_a_transaction():  # whose locks would be kept from the test
                assert time.monotonic() < until
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.05)
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.05)  # what was asked before is answered
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _rucio_is_in_a_transaction(self) -> bool:
        assert self.lake.settings.database.admin_url is not None
        with psycopg.connect(self.lake.settings.database.admin_url.get_secret_value()) as connection:
            query = "SELECT 1 FROM pg_stat_activity WHERE usename = 'rucio' AND state <> 'idle'"
            return connection.execute(query).fetchone() is not None


@pytest.fixture(scope="module")
def workflow(lake: RunningLake) -> Workflow:
    return Workflow(lake, Account(Path(lake.facts["accounts"]["root"])))


@pytest.fixture(scope="module")
def example(workflow: Workflow) -> bytes:
    """The bytes of the file of the worked examples, which is in the dataset of the last one."""
    content = os.urandom(100_000)
    workflow.add_file(EXAMPLE, content)
    workflow.add_dataset(DATASET, EXAMPLE)
    return content


def files_below(folder: Path) -> dict[str, bytes]:
    return {f"/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_rule_makes_a_request_and_a_copying_replica_for_each_file_that_is_not_there(
    workflow: Workflow, scope: str
) -> None:
    rse, _ = workflow.add_rse()
    files = [Did(scope, name) for name in ("a", "b", "there")]
    for did in files:
        workflow.add_file(did, did.name.encode())
    workflow.add_dataset(Did(scope, "set"), *files)
    there = {key: value for key, value in replica(*files[2], b"there", "").items() if key != "pfn"}
    workflow.root.do("POST", "replicas", {"rse": rse, "files": [there]})

    with workflow.daemons_asleep():
        rule = workflow.root.add_rule(scope, "set", rse)
        told = workflow.root.do("GET", f"rules/{rule}").json()
        assert told["state"] == "REPLICATING"
        assert workflow.locks(rule) == {"a": "REPLICATING", "b": "REPLICATING", "there": "OK"}
        assert [workflow.state(did, rse) for did in files] == ["COPYING", "COPYING", "AVAILABLE"]
        requests = [workflow.request(did, rse) for did in files]
        assert [request and request["state"] for request in requests] == ["QUEUED", "QUEUED", None]
    workflow.root.wait_for_rule(rule, "OK")


def test_the_transfer_tool_brings_equal_bytes_and_the_replica_is_available(workflow: Workflow, scope: str) -> None:
    rse, folder = workflow.add_rse()
    did, content = Did(scope, "image.fits"), os.urandom(1_500_000)
    workflow.add_file(did, content)
    with workflow.daemons_asleep():
        rule = workflow.root.add_rule(*did, rse)
        assert workflow.state(did, rse) == "COPYING"
        assert files_below(folder) == {}

    workflow.root.wait_for_rule(rule, "OK")

    assert workflow.locks(rule) == {did.name: "OK"}
    assert workflow.state(did, rse) == "AVAILABLE"
    assert list(files_below(folder).values()) == [content]
    ended = workflow.ended_request(did, rse)
    assert (ended["state"], ended["source_rse"]) == ("DONE", SOURCE)
    assert all(ended[step] for step in ("submitted_at", "started_at", "transferred_at"))
    assert workflow.request(did, rse) is None


def test_the_submitter_reads_the_destination_as_it_is_when_the_file_is_sent(workflow: Workflow, example: bytes) -> None:
    rse, folder = workflow.add_rse()
    elsewhere = folder.with_name(f"{rse}-MOVED")
    with workflow.daemons_asleep():
        rule = workflow.root.add_rule(*EXAMPLE, rse)
        workflow.root.do("DELETE", f"rses/{rse}/protocols/file")
        workflow.add_protocol(rse, elsewhere)
        workflow.set_attribute(rse, "lfn2pfn_algorithm", "documented_hash")

    workflow.root.wait_for_rule(rule, "OK")

    assert files_below(folder) == {}
    assert files_below(elsewhere) == {"/07/7c/user.jdoe/test.file.1": example}


def test_what_a_rule_brought_counts_for_the_quota(workflow: Workflow, scope: str) -> None:
    rse, _ = workflow.add_rse()
    first, second = Did(scope, "first"), Did(scope, "second")
    for did in (first, second):
        workflow.add_file(did, bytes(60_000))
    workflow.root.do("POST", f"accounts/root/limits/local/{rse}", {"bytes": 100_000})
    workflow.root.wait_for_rule(workflow.root.add_rule(*first, rse), "OK")

    def usage() -> tuple[int, int]:
        told = json.loads(workflow.root.do("GET", f"accounts/root/usage/local/{rse}").text)
        return told["files"], told["bytes"]

    wait_until(lambda: usage() == (1, 60_000))
    wish = {"dids": [second._asdict()], "copies": 1, "rse_expression": rse, "account": "root"}
    refused = workflow.root.ask("POST", "rules", wish | {"grouping": "DATASET", "locked": False, "lifetime": None})
    assert (refused.status_code, refused.headers["ExceptionClass"]) == (409, "InsufficientAccountLimit")


EXAMPLES = {
    "documented_hash": "/07/7c/user.jdoe/test.file.1",
    "hash": "/user/jdoe/07/7c/test.file.1",
    "naming_convention": "/test/user.jdoe/file.1",
    "identity": "/user/jdoe/test.file.1",
}


@pytest.fixture(scope="module")
def arrived(workflow: Workflow, example: bytes) -> dict[str, Path]:
    """The folder of an RSE for each algorithm, where a rule has brought the file of the examples."""
    made = {algorithm: workflow.add_rse(lfn2pfn_algorithm=algorithm) for algorithm in EXAMPLES}
    for rule in [workflow.root.add_rule(*EXAMPLE, rse) for rse, _ in made.values()]:
        workflow.root.wait_for_rule(rule, "OK")
    return {algorithm: folder for algorithm, (_, folder) in made.items()}


@pytest.mark.parametrize(("algorithm", "path"), EXAMPLES.items())
def test_the_worked_examples_are_where_files_arrive(
    arrived: dict[str, Path], example: bytes, algorithm: str, path: str
) -> None:
    assert files_below(arrived[algorithm]) == {path: example}


def test_the_worked_example_of_a_parent_dataset_is_where_its_file_arrives(workflow: Workflow, example: bytes) -> None:
    # An RSE of the lake's: Rucio's finisher remembers for fifteen minutes which ones are not deterministic.
    archive = workflow.lake.facts["rses"][ARCHIVE]
    workflow.root.wait_for_rule(workflow.root.add_rule(*DATASET, ARCHIVE), "OK")
    path = "/data/dataset1234/user.jdoe/test.file.1"
    assert files_below(Path(archive["folder"]))[path] == example
    assert workflow.root.replicas(*EXAMPLE)["rses"][ARCHIVE] == [archive["url"] + path]


def test_a_missing_source_ends_stuck_with_its_reason_and_spares_the_others(workflow: Workflow, scope: str) -> None:
    rse, folder = workflow.add_rse()
    gone, good = Did(scope, "gone"), Did(scope, "good")
    workflow.add_file(gone, b"gone", stored=False)
    workflow.add_file(good, b"good")
    workflow.add_dataset(Did(scope, "set"), gone, good)

    rule = workflow.root.add_rule(scope, "set", rse)
    told = workflow.root.wait_for_rule(rule, "STUCK")

    assert "answered 404" in told["error"]
    assert "/gone" in told["error"]
    wait_until(lambda: workflow.locks(rule) == {"gone": "STUCK", "good": "OK"})
    assert workflow.state(good, rse) == "AVAILABLE"
    assert workflow.state(gone, rse) != "AVAILABLE"
    assert list(files_below(folder).values()) == [b"good"]
    assert workflow.ended_request(gone, rse)["err_msg"]


def wait_until(fulfilled: Callable[[], bool], seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.2)
