"""One replica against one file: fates, signs and remedies, and names that a path may stand for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import click
import pytest
import requests
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from rucio_policy.paths import documented_hash, identity, rucio_hash
from stac_rucio_sync.commands.parameters import DURATION, PERCENT
from stac_rucio_sync.consistency.comparison import (
    compared,
    folder_of_scope,
    lacking,
    other_checksum,
    possible_names,
    stray,
    unfinished,
)
from stac_rucio_sync.consistency.examining import Examiner, Subject
from stac_rucio_sync.consistency.findings import DIFFERENCES, FILE_FATES, REPLICA_FATES, Fate, Finding, Remedy
from stac_rucio_sync.consistency.report import RseReport
from stac_rucio_sync.consistency.shelf import Shelf
from stac_rucio_sync.errors import FatalError, RefusedError
from stac_rucio_sync.model import Did, Hashed
from stac_rucio_sync.model.storage import Elsewhere, RseReplica, StoredFile
from stac_rucio_sync.plan import Sign
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.consistency import RucioConsistency, path_below, prefixes_of
from stac_rucio_sync.stores.storage import failures as storage_failures
from stac_rucio_sync.stores.storage import webdav as storage_webdav
from stac_rucio_sync.stores.storage.folder import confined, hashed
from stac_rucio_sync.stores.storage.webdav import WebDavStorage
from tests.unit.loopback import Answer, Asked, serving

REPLICA = RseReplica(Did("s", "n"), "DISK", "AVAILABLE", "s/n", 3, "024d0127", "900150983cd24fb0d6963f7d28e17f72")
COPYING = replace(REPLICA, state="COPYING")
WHOLE, OTHER = hashed([b"a", b"bc"]), hashed([b"abd"])


def test_sizes_that_both_sides_tell_are_compared() -> None:
    assert compared(REPLICA, None) is Fate.MISSING
    assert compared(REPLICA, StoredFile("s/n", 3)) is Fate.SAME
    assert compared(REPLICA, StoredFile("s/n", 4)) is Fate.WRONG_SIZE
    assert compared(REPLICA, StoredFile("s/n")) is Fate.SAME


def test_checksums_that_rucio_knows_are_compared() -> None:
    assert Hashed(3, "024d0127", "900150983cd24fb0d6963f7d28e17f72") == WHOLE
    assert other_checksum(REPLICA, WHOLE) is None
    assert other_checksum(REPLICA, OTHER) == "the storage has adler32 024e0128, Rucio says 024d0127"
    assert other_checksum(RseReplica(REPLICA.did, "DISK", "AVAILABLE", "s/n"), OTHER) is None
    assert other_checksum(RseReplica(REPLICA.did, "DISK", "AVAILABLE", "s/n", 2), OTHER) is not None


def test_the_last_replica_is_told_from_one_that_is_copied_again() -> None:
    one = lacking(REPLICA, Fate.MISSING, "why", Elsewhere(available=("DISK", "TAPE")))
    assert (one.sign, one.remedy, one.then) == (Sign.ADD, Remedy.DECLARE_BAD, "so that Rucio copies it again from TAPE")
    away = lacking(REPLICA, Fate.MISSING, "why", Elsewhere(available=("DISK",), away=("TAPE",)))
    assert away == one  # Rucio waits for it
    around = Elsewhere(available=("DISK",), parents=("s:a", "s:b", "s:c", "s:d"))
    last = lacking(REPLICA, Fate.WRONG_SIZE, "why", around)
    assert (last.fate, last.sign, last.remedy) == (Fate.LAST, Sign.ERROR, None)
    assert "take it out of s:a, s:b, s:c and 1 more" in last.why
    assert "--declare-lost" in last.why
    given_up = lacking(REPLICA, Fate.WRONG_SIZE, "why", around, declare_lost=True)
    assert (given_up.fate, given_up.sign, given_up.remedy) == (Fate.LAST, Sign.CHANGE, Remedy.DECLARE_BAD)
    assert "call the file lost" in given_up.then


@pytest.mark.parametrize(
    ("file", "read", "elsewhere", "ruled_by", "sign", "remedy"),
    [
        (None, None, Elsewhere(), None, Sign.REMOVE, Remedy.WITHDRAW),
        (StoredFile("s/n", 3), OTHER, Elsewhere(), None, Sign.REMOVE, Remedy.WITHDRAW_AND_DELETE),
        (StoredFile("s/n", 3), WHOLE, Elsewhere(), None, Sign.CHANGE, Remedy.MAKE_AVAILABLE),
        (StoredFile("s/n", 3), WHOLE, Elsewhere(), "alice", Sign.CHANGE, Remedy.MAKE_AVAILABLE),
        (None, None, Elsewhere(), "alice", Sign.ERROR, None),
        (None, None, Elsewhere(rses=frozenset({"DISK"}), parents=("s:d",)), None, Sign.ERROR, None),
        (None, None, Elsewhere(rses=frozenset({"DISK", "TAPE"}), parents=("s:d",)), None, Sign.REMOVE, Remedy.WITHDRAW),
        (None, None, Elsewhere(rses=frozenset({"DISK"})), None, Sign.REMOVE, Remedy.WITHDRAW),
    ],
    ids=["nothing", "half", "whole", "whole and ruled", "ruled", "last in a dataset", "in a dataset", "last"],
)
def test_a_replica_that_is_copying_for_long(
    file: StoredFile | None,
    read: Hashed | None,
    elsewhere: Elsewhere,
    ruled_by: str | None,
    sign: Sign,
    remedy: Remedy | None,
) -> None:
    finding = unfinished(COPYING, file, read, elsewhere, ruled_by)
    assert (finding.fate, finding.sign, finding.remedy) == (Fate.UNFINISHED, sign, remedy)


def test_bytes_without_a_checksum_to_prove_them_are_not_made_available() -> None:
    unproved = RseReplica(Did("s", "n"), "DISK", "COPYING", "s/n", 3)
    finding = unfinished(unproved, StoredFile("s/n", 3), WHOLE, Elsewhere(), None)
    assert finding.remedy is Remedy.WITHDRAW_AND_DELETE


def test_files_that_no_replica_accounts_for() -> None:
    assert stray(StoredFile("a", 1, 99.0), 100.0, ()) is Fate.DARK
    assert stray(StoredFile("a", 1, 101.0), 100.0, ()) is Fate.YOUNG
    assert stray(StoredFile("a"), 100.0, ()) is Fate.DARK
    assert stray(StoredFile("a.rucio.upload", 1, 99.0), 100.0, ()) is Fate.LEFTOVER
    assert stray(StoredFile("lost+found/a", 1, 99.0), 100.0, ("x", "lost+found/*")) is Fate.IGNORED


def test_each_fate_is_of_replicas_or_of_files() -> None:
    assert set(REPLICA_FATES) | set(FILE_FATES) == set(Fate)
    assert not set(REPLICA_FATES) & set(FILE_FATES)
    for fate in DIFFERENCES - {Fate.UNFINISHED}:
        assert Finding(fate, "DISK", "a", "why").sign is not Sign.SAME


def test_a_line_holds_whatever_is_in_a_path() -> None:
    finding = Finding(Fate.DARK, "DISK", "a\nb\udce9\x1b[31m", "dark", remedy=Remedy.DELETE)
    assert str(finding.action) == r"- file a\nb\xe9\x1b[31m at DISK  (dark; repair: delete the file)"
    assert finding.as_json()["path"] == r"a\nb\xe9\x1b[31m"


def test_a_report_is_clean_when_nothing_remains() -> None:
    report = RseReport("DISK", "file:///disk")
    report.counts.update({Fate.SAME: 5, Fate.MISSING: 2, Fate.BAD: 1, Fate.KNOWN: 5, Fate.DARK: 1})
    assert (report.replicas, report.files, report.differences, report.promised) == (8, 6, 3, 7)
    assert not report.clean
    report.repaired = 3
    assert report.clean


# ------------------------------------------------------------------------------------------------------- names, paths

USERS = st.from_regex(r"(user|group)\.[a-z]{1,10}", fullmatch=True)
SCOPES = st.from_regex(r"[a-fh-tv-zA-Z0-9][a-zA-Z_\-.0-9]{0,24}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.\-_]{0,60}", fullmatch=True)


@pytest.mark.parametrize("path_of", [rucio_hash, identity, documented_hash])
@trials(max_examples=100)
@given(USERS | SCOPES, NAMES)
def test_a_path_leads_back_to_its_file(path_of: Callable[[str, str], str], scope: str, name: str) -> None:
    assert Did(scope, name) in possible_names(path_of(scope, name).lstrip("/"))


@pytest.mark.parametrize(("path_of", "algorithm"), [(rucio_hash, "hash"), (identity, "identity")])
@trials(max_examples=50)
@given(USERS | SCOPES, NAMES)
def test_all_files_of_a_scope_are_in_its_folder(
    path_of: Callable[[str, str], str], algorithm: str, scope: str, name: str
) -> None:
    folder = folder_of_scope(scope, {"deterministic": True, "lfn2pfn_algorithm": algorithm})
    assert path_of(scope, name).lstrip("/").startswith(f"{folder}/")


def test_the_documented_paths_lead_back_to_their_file() -> None:
    did = Did("user.jdoe", "test.file.1")
    for path in (
        "07/7c/user.jdoe/test.file.1",
        "user/jdoe/07/7c/test.file.1",
        "test/user.jdoe/file.1",
        "data/dataset1234/user.jdoe/test.file.1",
        "user/jdoe/test.file.1",
    ):
        assert did in possible_names(path), path
    assert possible_names("no slash") == []
    assert possible_names("a b/cé") == []
    assert folder_of_scope("s", {"deterministic": False, "lfn2pfn_algorithm": "hash"}) is None


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://a.example.org:443/data/s/n", "s/n"),
        ("https://a.example.org/data//s/n?X-Amz-Signature=abc", "s/n"),
        ("root://a.example.org:1094//data/deep/s/n", "s/n"),
        ("file://localhost/mnt/disk/s/n", "s/n"),
        ("file:///mnt/disk/s/n", "s/n"),
        ("srm://a.example.org:8443/srm/managerv2?SFN=/data/s/n", "s/n"),
        ("https://a.example.org/other/s/n", None),
        ("https://a.example.org/data/", None),
        ("davs://a.example.org/data/s/n", None),
    ],
)
def test_the_path_of_an_address_is_what_follows_the_prefix(address: str, path: str | None) -> None:
    protocols = [
        {"scheme": "https", "prefix": "/data/"},
        {"scheme": "root", "prefix": "//data/deep"},
        {"scheme": "root", "prefix": "/data"},
        {"scheme": "file", "prefix": "/mnt/disk/"},
        {"scheme": "srm", "prefix": "/data"},
    ]
    assert path_below(address, prefixes_of({"protocols": protocols})) == path


@pytest.mark.parametrize("path", ["", "/etc/passwd", "..", "a/../../b", "a/..", "a\0b"])
def test_a_path_never_leaves_the_folder_of_the_rse(path: str) -> None:
    with pytest.raises(RefusedError, match="leaves the folder"):
        confined(path)
    assert confined("..x/a..b") == "..x/a..b"


# ---------------------------------------------------------------------------------------------------------- the shelf


def test_what_was_read_is_kept_by_path() -> None:
    shelf = Shelf()
    shelf.put_files("DISK", [StoredFile("a\udce9", 1, 2.5), StoredFile("b", None, None), StoredFile("c", 3)])
    shelf.put_files("DISK", [StoredFile("c", 4)])  # listed again after a broken connection
    shelf.put_files("TAPE", [StoredFile("a\udce9", 9)])
    assert shelf.meet("DISK", ["a\udce9", "nosuch", "a\udce9"]) == {"a\udce9": StoredFile("a\udce9", 1, 2.5)}
    assert shelf.count_files("DISK") == (3, 1)
    assert list(shelf.unmet("DISK")) == [StoredFile("b"), StoredFile("c", 4)]
    assert (shelf.count_files("TAPE"), shelf.count_files("NONE")) == ((1, 0), (0, 0))
    shelf.put_names([Did("s", str(number)) for number in range(5)] * 2)
    assert [len(batch) for batch in shelf.names(2)] == [2, 2, 1]
    findings = [Finding(Fate.DARK, "DISK", str(number), "why") for number in range(5)]
    shelf.put_findings([*findings, Finding(Fate.DARK, "TAPE", "0", "why")])
    assert [one for batch in shelf.findings("DISK", Fate.DARK, 2) for one in batch] == findings
    shelf.close()


# ------------------------------------------------------------------------------------------------------ a second look


def test_a_storage_that_answers_no_more_ends_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One file that cannot be read is told, and the next is read."""
    monkeypatch.setattr(storage_failures, "FIRST_PAUSE", 0.0)
    down = {"s/17"}

    def answer(asked: Asked) -> Answer:
        return Answer(503) if "all" in down or asked.path[1:] in down else Answer(200, b"abc")

    replicas = [replace(REPLICA, did=Did("s", str(number)), path=f"s/{number}") for number in range(40)]
    files = {one.path: StoredFile(one.path, 3) for one in replicas if one.path is not None}
    with serving(answer) as server, ThreadPoolExecutor(2) as pool, closing(RucioConsistency(Settings())) as edge:
        storage = WebDavStorage(server.url, lambda: SimpleNamespace(session=requests.Session(), cert=None, timeout=60))
        subject = Subject("DISK", storage, RseReport("DISK", server.url))
        examiner = Examiner(edge, pool, datetime.now(UTC))
        examined = examiner.replicas(subject, replicas, files, lambda _: True)
        assert [one.replica.path for one in examined if one.fate is Fate.UNCHECKED] == ["s/17"]
        assert sum(one.fate is Fate.SAME for one in examined) == 39
        down.add("all")
        with pytest.raises(FatalError, match="does not answer any more"):
            examiner.replicas(subject, replicas, files, lambda _: True)
        assert len(server.asked) < 40 + 3 + 30 * storage_webdav.ATTEMPTS
        storage.close()


# --------------------------------------------------------------------------------------------------------- parameters


def test_lengths_of_time() -> None:
    assert DURATION.convert("90m", None, None) == timedelta(hours=1.5)
    assert DURATION.convert("1.5d", None, None) == timedelta(hours=36)
    for wrong in ("1", "d", "-1d", "1 d", "1y", ""):
        with pytest.raises(click.BadParameter, match="no length of time"):
            DURATION.convert(wrong, None, None)


def test_parts() -> None:
    assert [PERCENT.convert(text, None, None) for text in ("none", "all", "5%", "0.5%")] == [0.0, 1.0, 0.05, 0.005]
    for wrong in ("5", "101%", "-1%", "%", "some"):
        with pytest.raises(click.BadParameter, match="is not none, all"):
            PERCENT.convert(wrong, None, None)
