"""A storage that hiccups is asked again, a bounded number of times; one that refuses is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stac_rucio_sync.model import UploadFate
from stac_rucio_sync.stores.storage import failures as storage_failures
from stac_rucio_sync.stores.storage.protocol_calls import ATTEMPTS
from tests.conftest import RunningLake
from tests.rucio.uploading import Uploading, Watched, uploading
from tests.stumbling import Proxy, proxy_before


@pytest.fixture
def alice(lake: RunningLake, scope: str, tmp_path: Path) -> Iterator[Uploading]:
    with uploading(lake, "alice", scope, tmp_path) as one:
        yield one


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_failures, "FIRST_PAUSE", 0.01)


@contextmanager
def rse_behind(alice: Uploading, stumbles: Callable[[str], str | None]) -> Iterator[tuple[str, Proxy]]:
    """Make an RSE with WebDAV alone, behind a proxy that is told the verb of each request."""
    server = alice.protocols()["http"]
    verb = lambda request: stumbles(request.partition(b" ")[0].decode())  # noqa: E731 - shorter than its name
    with proxy_before(server["hostname"], server["port"], verb) as proxy:
        yield alice.rse_with(("http", {"port": proxy.server_address[1]})), proxy


# Rucio's class puts and moves a file twice where the first answer is no success.
@pytest.mark.parametrize(
    ("verb", "stumble", "times", "register_after"),
    [
        ("HEAD", "drop", 1, False),
        ("PUT", "drop", 1, True),
        ("PUT", "503", 2, True),
        ("PROPFIND", "drop", 2, False),
        ("MOVE", "503", 2, False),
    ],
)
def test_a_file_arrives_by_its_only_protocol_in_spite_of_a_hiccup(
    alice: Uploading, verb: str, stumble: str, times: int, register_after: bool
) -> None:
    left = Counter({verb: times})

    def stumbles(asked: str) -> str | None:
        left[asked] -= 1
        return stumble if left[asked] >= 0 else None

    alice.write(a=b"whole")
    with rse_behind(alice, stumbles) as (rse, proxy):
        job = alice.run(Watched(workers=1), rse=rse, register_after=register_after)
    assert proxy.stumbled == times
    assert alice.told() == {"a": UploadFate.UPLOADED}
    (file,) = alice.fates
    assert (file.sent_again, job.report.sent_again, job.report.as_json()["sent_again"]) == (1, 1, 1)
    assert alice.state("a", rse) == "AVAILABLE"
    (stored,) = alice.stored()
    assert (stored.name, stored.read_bytes()) == ("files..a", b"whole")


def test_an_answer_that_got_lost_is_no_second_sending(alice: Uploading) -> None:
    """The file was renamed: the storage shows it under its name."""
    lost = iter(["lost"])
    alice.write(a=b"whole")
    with rse_behind(alice, lambda verb: next(lost, None) if verb == "MOVE" else None) as (rse, _):
        alice.run(rse=rse)
    assert alice.told() == {"a": UploadFate.UPLOADED}
    assert [path.name for path in alice.stored()] == ["files..a"]


@pytest.mark.parametrize("status", ["403", "507"])
def test_what_a_storage_refuses_is_not_sent_again(alice: Uploading, status: str) -> None:
    asked: Counter[str] = Counter()

    def stumbles(verb: str) -> str | None:
        asked[verb] += 1
        return status if verb in ("PUT", "MKCOL") else None

    alice.write(a=b"whole")
    with rse_behind(alice, stumbles) as (rse, _):
        alice.run(Watched(workers=1), rse=rse)
    assert alice.told() == {"a": UploadFate.FAILED}
    assert status in (alice.reasons()["a"] or "")
    assert asked["PUT"] == 1
    assert alice.stored() == []


def test_a_storage_that_is_started_again_is_waited_for(alice: Uploading) -> None:
    puts = iter(["", *["drop"] * 2 * ATTEMPTS])

    def stumbles(verb: str) -> str | None:
        return next(puts, None) or None if verb == "PUT" else None

    alice.write(a=b"1", b=b"2", c=b"3")
    with rse_behind(alice, stumbles) as (rse, _):
        job = alice.run(Watched(workers=1), rse=rse)
    assert set(alice.told().values()) == {UploadFate.UPLOADED}
    assert job.report.sent_again == 2 * ATTEMPTS
    assert not job.report.remarks
    assert len(alice.stored()) == 3


def test_a_storage_that_stays_away_is_tried_so_often_and_then_once_a_file(alice: Uploading) -> None:
    asked: Counter[str] = Counter()

    def stumbles(verb: str) -> str | None:
        asked[verb] += 1
        return "drop" if verb == "PUT" else None

    alice.write(a=b"1", b=b"2", c=b"3")
    with rse_behind(alice, stumbles) as (rse, _):
        job = alice.run(Watched(workers=1), rse=rse)
    assert set(alice.told().values()) == {UploadFate.FAILED}
    assert asked["PUT"] == ATTEMPTS + 2
    assert sorted(f"tried {ATTEMPTS} times" in (reason or "") for reason in alice.reasons().values()) == [0, 0, 1]
    assert job.report.sent_again == 0
    assert alice.stored() == []
