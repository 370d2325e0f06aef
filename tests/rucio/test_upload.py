"""Uploads to the real lake: Rucio's upload workflow step by step, and every fate that a file can have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.lake.home import server_user
from stac_rucio_sync.model import Did, UploadFate
from stac_rucio_sync.stores.storage import failures as storage_failures
from stac_rucio_sync.upload.work import send
from tests.conftest import RunningLake
from tests.ports import free_port
from tests.rucio.uploading import ARCHIVE, RSE, Meeting, Uploading, Watched, uploading


@pytest.fixture
def alice(lake: RunningLake, scope: str, tmp_path: Path) -> Iterator[Uploading]:
    """An ordinary account, which may upload to its own scopes."""
    with uploading(lake, "alice", scope, tmp_path) as one:
        yield one


@pytest.fixture
def dataset(scope: str) -> Did:
    return Did(scope, "night")


def content_of(alice: Uploading, dataset: Did) -> set[str]:
    return {row["name"] for row in alice.root.send("list_content", dataset.scope, dataset.name)}


# -------------------------------------------------------------------------------------- the workflow, step by step


def test_the_dataset_is_registered_before_any_file_of_it(alice: Uploading, dataset: Did) -> None:
    alice.write(a=b"1", b=b"2")
    seen: list[tuple[str, int, set[str]]] = []

    def look(name: str, _task: Any) -> None:
        if name == "read":
            kind = alice.root.send("get_did", dataset.scope, dataset.name)["type"]
            rules = alice.root.send("list_did_rules", dataset.scope, dataset.name)
            seen.append((kind, len(rules), content_of(alice, dataset)))

    alice.run(Watched(look), dataset=dataset)
    assert seen == [("DATASET", 1, set())] * 2
    assert content_of(alice, dataset) == {"files..a", "files..b"}


def test_a_replica_is_copying_while_its_file_is_sent_and_available_afterwards(alice: Uploading) -> None:
    alice.write(a=b"1")
    states: list[str | None] = []
    alice.run(Watched(lambda name, _: states.append(alice.state("a")) if name in ("read", "send") else None))
    assert [*states, alice.state("a")] == [None, "COPYING", "AVAILABLE"]
    assert alice.content("a") == b"1"


def test_registered_after_the_upload_a_replica_is_never_copying(alice: Uploading) -> None:
    alice.write(a=b"1")
    states: list[str | None] = []
    watched = Watched(lambda _name, _task: states.append(alice.state("a")))
    alice.run(watched, register_after=True)
    assert watched.calls == ["send"]
    assert [*states, alice.state("a")] == [None, "AVAILABLE"]
    assert (alice.fates[0].adler32, alice.fates[0].md5) == ("00320032", "c4ca4238a0b923820dcc509a6f75849b")


def test_the_address_is_protocol_prefix_and_path_of_the_rse(alice: Uploading) -> None:
    alice.write(a=b"1")
    alice.run()
    url = alice.lake.facts["rses"][RSE]["url"]
    expected = alice.root.send("lfns2pfns", RSE, [str(alice.did("a"))], scheme="http")[str(alice.did("a"))]
    assert alice.fates[0].pfn == expected
    assert expected.startswith(f"{url}/{alice.scope}/")


def test_a_non_deterministic_rse_has_its_files_by_their_dataset(alice: Uploading, dataset: Did) -> None:
    alice.write(a=b"1")
    alice.run(rse=ARCHIVE, dataset=dataset)
    assert alice.told() == {"a": UploadFate.UPLOADED}
    (pfn,) = (file.pfn or "" for file in alice.fates)
    assert pfn.endswith(f"/{dataset.scope}/{dataset.name}/{alice.scope}/files..a")
    assert alice.content("a", ARCHIVE) == b"1"


def test_a_non_deterministic_rse_needs_a_dataset(alice: Uploading) -> None:
    alice.write(a=b"1")
    with pytest.raises(UsageError, match="--dataset is needed"):
        alice.run(rse=ARCHIVE)


def test_files_of_a_dataset_are_sent_in_parallel(alice: Uploading, dataset: Did) -> None:
    alice.write(a=b"1", b=b"2")
    alice.run(Watched(Meeting("send")), dataset=dataset)
    assert set(alice.told().values()) == {UploadFate.UPLOADED}


# ------------------------------------------------------------------------------------------------------- protocols


@pytest.fixture
def rse_with(alice: Uploading, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make an RSE on the lake's folder for uploads with some protocols to write by, in their order."""
    monkeypatch.setattr(storage_failures, "FIRST_PAUSE", 0.01)  # for those at closed ports
    return alice.rse_with


def test_where_a_protocol_is_down_the_next_one_is_taken(alice: Uploading, rse_with: Any) -> None:
    rse = rse_with(("http", {"port": free_port()}), ("file", {}))
    alice.write(**{f"f{number}": bytes([number]) * 1000 for number in range(5)})
    job = alice.run(rse=rse)
    assert set(alice.told().values()) == {UploadFate.UPLOADED}
    did = alice.did("f3")
    (row,) = alice.root.send("list_replicas", [{"scope": did.scope, "name": did.name}], schemes=["file"])
    path = row["rses"][rse][0].removeprefix("file://localhost")
    assert all((file.reason or "").startswith("http: ") for file in alice.fates)
    assert sum(job.report.remarks.values()) == 5
    assert Path(path).read_bytes() == b"\x03" * 1000
    assert not [path for path in alice.stored() if path.name.endswith(".rucio.upload")]


def test_protocols_are_tried_strictly_in_their_order(alice: Uploading, rse_with: Any) -> None:
    rse = rse_with(("file", {}), ("http", {"port": free_port()}))
    alice.write(a=b"1")
    alice.run(rse=rse)
    assert alice.told() == {"a": UploadFate.UPLOADED}
    assert alice.reasons() == {"a": None}


def test_webdav_takes_files_of_any_size_when_it_comes_first(alice: Uploading) -> None:
    alice.write(empty=b"", small=b"1", larger=b"2" * 3_000_000)
    alice.run()
    assert alice.told() == dict.fromkeys(("empty", "small", "larger"), UploadFate.UPLOADED)
    assert set(alice.reasons().values()) == {None}
    assert (alice.content("empty"), alice.content("larger")) == (b"", b"2" * 3_000_000)


def test_where_no_protocol_takes_a_file_nothing_of_it_stays_and_each_reason_is_told(
    alice: Uploading, rse_with: Any
) -> None:
    rse = rse_with(("http", {"port": free_port()}), ("file", {"prefix": "/proc/nowhere/"}))
    alice.write(a=b"1")
    job = alice.run(rse=rse)
    assert alice.told() == {"a": UploadFate.FAILED}
    reason = alice.reasons()["a"] or ""
    assert "http: ServiceUnavailable" in reason
    assert "file: " in reason
    assert not job.report.is_clean
    assert alice.state("a", rse) is None


def test_a_storage_that_takes_nothing_ends_the_upload(alice: Uploading, rse_with: Any) -> None:
    rse = rse_with(("http", {"port": free_port()}))
    alice.write(**{f"f{number}": b"1" for number in range(25)})
    with pytest.raises(FatalError, match="took none of 10 files"):
        alice.run(rse=rse, batch_files=10)
    assert len(alice.fates) < 25


# ----------------------------------------------------------------------------------------------------------- fates


def test_what_the_lake_has_is_not_sent_again(alice: Uploading, dataset: Did, tmp_path: Path) -> None:
    alice.write(a=b"1", b=b"2")
    alice.run(dataset=dataset)
    watched = Watched()
    alice.run(watched, dataset=dataset)
    assert watched.calls == []
    assert set(alice.told().values()) == {UploadFate.PRESENT}
    (tmp_path / "journal-None.sqlite").unlink()
    alice.run(watched := Watched(), dataset=dataset)
    assert set(watched.calls) == {"read"}
    assert set(alice.told().values()) == {UploadFate.PRESENT}


def test_other_bytes_under_the_same_name_are_a_conflict(alice: Uploading) -> None:
    alice.write(a=b"1")
    alice.run()
    alice.write(a=b"22")
    alice.run()
    assert alice.told() == {"a": UploadFate.CONFLICT}
    assert "give it another name" in (alice.reasons()["a"] or "")
    assert alice.content("a") == b"1"
    alice.run(template="v2.{path}")
    assert alice.told() == {"a": UploadFate.UPLOADED}


def test_a_file_that_changes_while_it_is_sent_is_not_in_the_lake(alice: Uploading) -> None:
    alice.write(a=b"1", b=b"2")
    alice.run(Watched(lambda name, _: alice.write(a=b"later") if name == "send" else None))
    assert alice.told() == {"a": UploadFate.CHANGED, "b": UploadFate.UPLOADED}
    assert alice.state("a") is None
    assert [path.name for path in alice.stored()] == ["files..b"]
    alice.run()
    assert alice.told() == {"a": UploadFate.UPLOADED, "b": UploadFate.PRESENT}
    assert alice.content("a") == b"later"


def test_a_file_that_goes_before_it_is_read_is_unreadable(alice: Uploading) -> None:
    alice.write(a=b"1", b=b"2")
    alice.run(Watched(lambda name, task: task.path.unlink() if name == "read" and task.path.name == "a" else None))
    assert alice.told() == {"a": UploadFate.UNREADABLE, "b": UploadFate.UPLOADED}


def test_files_that_would_have_one_name_are_told_apart_or_refused(alice: Uploading) -> None:
    for folder in ("one", "two"):
        (alice.files / folder).mkdir(parents=True)
        (alice.files / folder / "a").write_bytes(folder.encode())
    alice.run(template="{name}")
    assert sorted(file.fate.value for file in alice.fates) == ["refused", "uploaded"]
    assert "--name-template" in str([file.reason for file in alice.fates])
    alice.run()
    assert {str(file.did) for file in alice.fates} == {f"{alice.scope}:files..{one}..a" for one in ("one", "two")}


def test_a_dry_run_tells_and_changes_nothing(alice: Uploading, dataset: Did) -> None:
    alice.write(a=b"1")
    alice.run()
    alice.write(b=b"2")
    watched = Watched()
    job = alice.run(watched, dry_run=True, dataset=dataset)
    assert alice.told() == {"a": UploadFate.PRESENT, "b": UploadFate.PLANNED}
    assert watched.calls == ["read"]
    assert job.report.is_clean
    assert [path.name for path in alice.stored()] == ["files..a"]
    assert dataset.name not in set(alice.root.send("list_dids", alice.scope, {}, did_type="dataset"))


# ----------------------------------------------------------------------------------------------------------- rules


def rules_of(alice: Uploading, did: Did) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = alice.root.send("list_did_rules", did.scope, did.name)
    return rules


def test_files_are_held_for_good_unless_a_lifetime_is_given(alice: Uploading) -> None:
    alice.write(a=b"1")
    alice.run()
    (rule,) = rules_of(alice, alice.did("a"))
    assert (rule["state"], rule["expires_at"], rule["account"], rule["rse_expression"]) == ("OK", None, "alice", RSE)
    alice.run()
    assert len(rules_of(alice, alice.did("a"))) == 1
    alice.write(b=b"2")
    alice.run(lifetime=3600)
    (rule,) = rules_of(alice, alice.did("b"))
    assert rule["expires_at"] is not None


def test_no_rule_is_made_when_none_is_wanted(alice: Uploading) -> None:
    alice.write(a=b"1")
    alice.run(rule=False)
    assert rules_of(alice, alice.did("a")) == []


def test_a_quota_that_is_used_up_is_told(alice: Uploading, rse_with: Any, dataset: Did) -> None:
    rse = rse_with(("file", {}))
    alice.root.send("set_local_account_limit", "alice", rse, 1)
    alice.write(a=b"12345")
    alice.run(rse=rse)
    assert alice.told() == {"a": UploadFate.REFUSED}
    assert "quota" in (alice.reasons()["a"] or "").lower()


# ------------------------------------------------------------------------------------------------------- going on


def register(alice: Uploading, name: str, content: bytes, adler32: str) -> None:
    """Register a file as COPYING, as an upload does that is killed then."""
    did = alice.did(name)
    file = {"scope": did.scope, "name": did.name, "bytes": len(content), "adler32": adler32, "state": "C"}
    alice.root.send("add_replicas", RSE, [file])


def test_what_somebody_began_to_upload_is_sent(alice: Uploading) -> None:
    register(alice, "a", b"1", "00320032")
    alice.write(a=b"1")
    alice.run()
    assert alice.told() == {"a": UploadFate.UPLOADED}
    assert (alice.state("a"), alice.content("a")) == ("AVAILABLE", b"1")


def test_what_somebody_began_to_upload_stays_theirs_where_we_fail(alice: Uploading) -> None:
    register(alice, "a", b"1", "00320032")
    alice.write(a=b"1")
    alice.run(Watched(lambda name, task: task.file.path.write_bytes(b"2") if name == "send" else None))
    assert alice.told() == {"a": UploadFate.CHANGED}
    assert alice.state("a") == "COPYING"


class _KilledError(Exception):
    """As if the process had died."""


def killed_at(alice: Uploading, step: str) -> None:
    """Run an upload that dies when a worker is asked to do something."""

    class Dying(Watched):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            if fn.__name__ == step:
                raise _KilledError
            return super().submit(fn, *args, **kwargs)

    with pytest.raises(_KilledError):
        alice.run(Dying())


def test_a_file_that_changes_between_two_runs_is_uploaded_as_it_is_now(alice: Uploading) -> None:
    alice.write(a=b"1")
    killed_at(alice, "send")
    assert alice.state("a") == "COPYING"
    alice.write(a=b"22")
    alice.run()
    assert alice.told() == {"a": UploadFate.UPLOADED}
    assert alice.content("a") == b"22"


def test_what_was_begun_of_a_file_that_is_gone_is_taken_back(alice: Uploading) -> None:
    alice.write(a=b"1", b=b"2")
    killed_at(alice, "send")
    (alice.files / "a").unlink()
    job = alice.run()
    assert alice.told() == {"b": UploadFate.UPLOADED}
    assert sum(job.report.remarks.values()) == 1
    assert alice.state("a") is None
    assert [path.name for path in alice.stored()] == ["files..b"]


@pytest.mark.parametrize("register_after", [False, True])
def test_leftovers_of_a_process_that_died_while_it_sent_are_overwritten(alice: Uploading, register_after: bool) -> None:
    alice.write(a=b"whole")
    target = Path(alice.lake.facts["rses"][RSE]["folder"])
    path = alice.root.send("lfns2pfns", RSE, [str(alice.did("a"))], scheme="http")[str(alice.did("a"))]
    place = target / path.partition("localgroupdisk/")[2]
    for leftover in (place, place.with_name(place.name + ".rucio.upload")):
        leftover.parent.mkdir(parents=True, exist_ok=True)
        leftover.write_bytes(b"who")
        server_user().own(*leftover.parents[:3], leftover)
    alice.run(register_after=register_after)
    assert alice.told() == {"a": UploadFate.UPLOADED}
    assert alice.content("a") == b"whole"
    assert alice.stored() == [place]


def test_ctrl_c_finishes_what_is_being_sent_and_begins_nothing_more(alice: Uploading) -> None:
    alice.write(**{f"f{number}": bytes([number]) for number in range(6)})
    sent: list[str] = []

    class Interrupted(Watched):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            if len(sent) == 3:
                raise KeyboardInterrupt
            if fn is send:
                sent.append(args[0].file.path.name)
            return super().submit(fn, *args, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        alice.run(Interrupted(workers=4))
    alice.run()
    assert set(alice.told().values()) <= {UploadFate.UPLOADED, UploadFate.PRESENT}
    assert {alice.state(f"f{number}") for number in range(6)} == {"AVAILABLE"}


# ------------------------------------------------------------------------------------------------- who may, where


def test_an_account_that_may_not_finish_is_told_before_anything_is_sent(lake: RunningLake, alice: Uploading) -> None:
    alice.write(a=b"1")
    with pytest.raises(UsageError, match="no RSE NOWHERE"):
        alice.run(rse="NOWHERE")
    with pytest.raises(UsageError, match="has no protocol|may register|not make them AVAILABLE"):
        alice.run(rse="VIENNA-DISK")


def test_a_dataset_that_is_no_dataset_is_told(alice: Uploading) -> None:
    alice.write(a=b"1")
    alice.run()
    with pytest.raises(UsageError, match="is a file in Rucio, not a dataset"):
        alice.run(dataset=alice.did("a"))
