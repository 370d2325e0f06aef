"""Downloads of single files: continued, verified, there only when whole; and paths that stay in their folder."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stac_rucio_sync.errors import FatalError, TransientError
from stac_rucio_sync.http import Http, Patience, RefusedAnswer
from stac_rucio_sync.model import Did
from stac_rucio_sync.replication.transfer import DamagedError, Expected, fetch, is_there, local_path
from tests.unit.loopback import Answer, Asked, serving

CONTENT = bytes(range(256)) * 4000
WHOLE = Expected(len(CONTENT), f"{zlib.adler32(CONTENT):08x}", hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())


def ranged(content: bytes = CONTENT, cut: int | None = None) -> Callable[[Asked], Answer]:
    """Answer as servers with ranges do; every answer breaks off after ``cut`` bytes."""

    def answer(asked: Asked) -> Answer:
        begin = int(asked.headers.get("Range", "bytes=0-")[6:-1])
        if begin == 0:
            return Answer(200, content, cut=cut)
        if begin >= len(content):
            return Answer(416, headers={"Content-Range": f"bytes */{len(content)}"})
        told = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        return Answer(206, content[begin:], told, cut=cut)

    return answer


@pytest.fixture
def http() -> Iterator[Http]:
    made = Http(allow_private=True, patience=Patience(attempts=3, backoff=0.01, connect=2.0, read=2.0))
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scope" / "file.fits"


def part_of(path: Path, content: bytes) -> Path:
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(content)
    return part


def test_what_breaks_off_is_continued_where_it_broke(http: Http, path: Path) -> None:
    came: list[int] = []
    with serving(ranged(cut=600_000)) as server:
        fetch(http, server.url, path, WHOLE, came.append)
        ranges = [one.headers.get("Range") for one in server.asked]
    assert path.read_bytes() == CONTENT
    assert ranges == [None, "bytes=600000-"]
    assert sum(came) == len(CONTENT)
    assert [one.name for one in path.parent.iterdir()] == ["file.fits"]


def test_what_an_earlier_run_left_is_continued(http: Http, path: Path) -> None:
    part_of(path, CONTENT[:1000])
    with serving(ranged()) as server:
        fetch(http, server.url, path, WHOLE)
        assert [one.headers.get("Range") for one in server.asked] == ["bytes=1000-"]
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_whole_is_not_asked_for_again(http: Http, path: Path) -> None:
    part_of(path, CONTENT)
    with serving(ranged()) as server:
        fetch(http, server.url, path, WHOLE)
        assert server.asked == []
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"other bytes", CONTENT + b"more", b"\0" * len(CONTENT)])
def test_a_part_of_something_else_is_thrown_away_and_the_file_fetched_afresh(
    http: Http, path: Path, left: bytes
) -> None:
    part_of(path, left)
    with serving(ranged()) as server:
        fetch(http, server.url, path, WHOLE)
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_gives_the_whole_file(http: Http, path: Path) -> None:
    part_of(path, CONTENT[:1000])
    with serving(lambda _: Answer(200, CONTENT)) as server:
        fetch(http, server.url, path, WHOLE)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (CONTENT[:-1], "has 1023999 bytes, registered are 1024000"),
        (CONTENT + b"x", "more than the 1024000 bytes"),
        (b"\0" + CONTENT[1:-1] + b"\1", "adler32"),
    ],
)
def test_other_bytes_are_an_error_and_nothing_of_them_is_kept(http: Http, path: Path, given: bytes, says: str) -> None:
    with serving(lambda _: Answer(200, given)) as server, pytest.raises(DamagedError, match=says):
        fetch(http, server.url, path, WHOLE)
    assert list(path.parent.iterdir()) == []


def test_a_wrong_md5_is_seen_although_the_adler32_fits(http: Http, path: Path) -> None:
    wrong = Expected(WHOLE.bytes, WHOLE.adler32, "0" * 32)
    with serving(ranged()) as server, pytest.raises(DamagedError, match="md5"):
        fetch(http, server.url, path, wrong)


def test_stored_gzip_is_kept_as_it_is_stored(http: Http, path: Path) -> None:
    """A server that calls a .gz file an encoding must not make the client unpack it (RFC 9110 section 8.4)."""
    packed = b"\x1f\x8b not really gzip"
    with serving(lambda _: Answer(200, packed, {"Content-Encoding": "gzip"})) as server:
        fetch(http, server.url, path, Expected(len(packed), f"{zlib.adler32(packed):08x}"))
    assert path.read_bytes() == packed


def test_what_came_before_a_server_stopped_is_left_for_the_next_one(http: Http, path: Path) -> None:
    answers = iter([Answer(200, CONTENT, cut=700_000)])
    with serving(lambda _: next(answers, Answer(503))) as server, pytest.raises(TransientError):
        fetch(http, server.url, path, WHOLE)
    assert not path.exists()
    with serving(ranged()) as other:
        fetch(http, other.url, path, WHOLE)
        assert [one.headers.get("Range") for one in other.asked] == ["bytes=700000-"]
    assert path.read_bytes() == CONTENT


def test_a_refusal_keeps_the_part(http: Http, path: Path) -> None:
    part = part_of(path, CONTENT[:1000])
    with serving(lambda _: Answer(403)) as server, pytest.raises(RefusedAnswer, match="403"):
        fetch(http, server.url, path, WHOLE)
    assert part.read_bytes() == CONTENT[:1000]


def test_a_folder_that_cannot_be_made_is_named(http: Http, tmp_path: Path) -> None:
    (tmp_path / "scope").write_bytes(b"a file")
    with serving(ranged()) as server, pytest.raises(FatalError, match="cannot be written"):
        fetch(http, server.url, tmp_path / "scope" / "file.fits", WHOLE)


def test_what_lies_there_whole_is_recognised(path: Path) -> None:
    assert not is_there(path, WHOLE)
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1])
    assert not is_there(path, WHOLE)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert not is_there(path, WHOLE)
    path.write_bytes(CONTENT)
    assert is_there(path, WHOLE)


scopes = st.from_regex(re.compile(r"[a-zA-Z_\-.0-9]{1,25}", re.ASCII), fullmatch=True)
names = st.from_regex(re.compile(r"[/A-Za-z0-9][/A-Za-z0-9.\-_]{0,249}", re.ASCII), fullmatch=True)
dids = st.builds(
    Did, scopes | st.sampled_from([".", "..", "..."]), names | st.sampled_from(["/..", "a/b", "a_x2F_b", "a_x5F_x2F_b"])
)


@settings(max_examples=150, deadline=None)
@given(did=dids, other=dids)
def test_every_did_has_a_path_of_its_own_in_the_folder(did: Did, other: Did) -> None:
    """Rucio takes slashes and dots in names and scopes; they must neither lead out nor let two files meet."""
    folder = Path("/folder")
    path = local_path(folder, did)
    assert path.parent.parent == folder
    assert path.name not in (".", "..")
    assert path.parent.name not in (".", "..")
    assert len(path.name.encode()) + len(".part") <= 255
    assert (path == local_path(folder, other)) == (did == other)


def test_ordinary_names_are_kept() -> None:
    assert local_path(Path("/x"), Did("stac", "images..m31..b1.fits")) == Path("/x/stac/images..m31..b1.fits")
