from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from datalink.cutouts.contract import Limits
from datalink.cutouts.errors import (
    CutError,
    FileError,
    ForbiddenError,
    LimitError,
    LoginError,
    UnavailableError,
)
from datalink.cutouts.reading import AHEAD, BLOCK, open_path, open_url
from tests.unit.cutouts.ranged import LIMITS, giving, giving_always, told
from tests.unit.loopback import Answer, Asked, serving

CONTENT = random.Random(8).randbytes(5 * 2**20 + 12_345)  # noqa: S311 - of a test


def test_a_file_is_read_as_a_file_by_url_and_by_path(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    plain = io.BytesIO(CONTENT)
    chance = random.Random(1)  # noqa: S311 - of a test
    with serving(giving(CONTENT)) as server, open_url(server.url, LIMITS) as far, open_path(path, LIMITS) as near:
        for file in (far, near):
            assert file.size == len(CONTENT)
            for _ in range(40):
                start, length = chance.randrange(len(CONTENT) + 10), chance.choice((1, 80, 2880, BLOCK + 1, 700_000))
                file.seek(start)
                plain.seek(start)
                assert file.read(length) == plain.read(length)
                assert file.tell() == min(start + length, len(CONTENT)) or start > len(CONTENT)
            assert file.seek(-10, io.SEEK_END) == len(CONTENT) - 10
            assert file.read() == CONTENT[-10:]
            ranges = [(5, 10), (4_000_000, 5_000_000), (0, 1), (len(CONTENT) - 1, len(CONTENT)), (7, 7)] * 5
            assert list(file.ranges(ranges)) == [CONTENT[start:stop] for start, stop in ranges]


def test_opening_asks_once_and_what_was_read_is_kept() -> None:
    with serving(giving(CONTENT)) as server, open_url(server.url, LIMITS) as file:
        file.read(2880)
        assert len(server.asked) == 1
        assert file.read_so_far == BLOCK
        file.seek(3_000_000)
        file.read(100)
        file.seek(3_000_050)
        file.read(100)
        assert len(server.asked) == 2
        assert file.read_so_far == 2 * BLOCK


def test_reading_on_and_on_takes_few_requests() -> None:
    with serving(giving(CONTENT)) as server, open_url(server.url, LIMITS) as file:
        while file.read(2880):
            pass
        assert len(server.asked) < 3 + 4 + len(CONTENT) // AHEAD
        assert file.read_so_far == len(CONTENT)


def test_blocks_are_fetched_together_before_they_are_read() -> None:
    with serving(giving(CONTENT)) as server, open_url(server.url, LIMITS) as file:
        file.prepare([(10, 20), (1_000_000, 1_300_000), (1_310_000, 1_310_010), (4_000_000, 99_000_000)])
        asked = len(server.asked)
        assert asked == 1 + 1 + 2
        for start, stop in ((1_000_000, 1_310_010), (4_000_000, len(CONTENT))):
            file.seek(start)
            assert file.read(stop - start) == CONTENT[start:stop]
        assert len(server.asked) == asked


def test_a_limit_can_be_set_for_a_while() -> None:
    with serving(giving(CONTENT)) as server, open_url(server.url, LIMITS) as file:
        file.seek(1_000_000)
        with pytest.raises(LimitError), file.no_more_than(BLOCK - 1):
            file.read(10)
        assert file.read(10) == CONTENT[1_000_000:1_000_010]


def test_a_range_that_breaks_off_is_asked_for_again() -> None:
    broken = [True, False, True, True, False]

    def change(answer: Answer) -> Answer:
        return replace(answer, cut=len(answer.body) // 2) if broken and broken.pop(0) else answer

    with serving(giving(CONTENT, change)) as server, open_url(server.url, LIMITS) as file:
        assert list(file.ranges([(100_000, 300_000)])) == [CONTENT[100_000:300_000]]


def test_a_server_without_ranges_is_read_whole_up_to_a_limit() -> None:
    whole = replace(LIMITS, unranged_bytes=len(CONTENT))
    with serving(giving_always(Answer(body=CONTENT))) as server:
        with open_url(server.url, whole) as file:
            assert file.size == len(CONTENT)
            file.seek(4_000_000)
            assert file.read(1000) == CONTENT[4_000_000:4_001_000]
        assert len(server.asked) == 1
    less = replace(LIMITS, unranged_bytes=len(CONTENT) - 1)
    for states_length in (True, False):
        long = Answer(body=CONTENT, length=states_length)
        with serving(giving_always(long)) as server, pytest.raises(UnavailableError, match="gives no ranges"):
            open_url(server.url, less)


def _at(place: str) -> Callable[[Answer], Answer]:
    """Change the answers from the second on."""
    first = [True]

    def change(answer: Answer) -> Answer:
        if first:
            first.clear()
            return answer
        match place:
            case "other version":
                return replace(answer, headers=answer.headers | {"ETag": '"2"'})
            case "other length":
                return replace(answer, headers={**answer.headers, "Content-Range": "bytes 200000-299999/9999999"})
            case "other range":
                return replace(answer, headers={**answer.headers, "Content-Range": f"bytes 0-99999/{len(CONTENT)}"})
            case "no range":
                return replace(answer, headers={})
        return Answer(body=CONTENT)

    return change


@pytest.mark.parametrize("place", ["other version", "other length", "other range", "no range", "the whole"])
def test_a_file_that_changes_while_it_is_read_is_not_mixed(place: str) -> None:
    with serving(giving(CONTENT, _at(place))) as server, open_url(server.url, LIMITS) as file:
        with pytest.raises(UnavailableError):
            list(file.ranges([(200_000, 300_000)]))
        file.seek(200_000)
        with pytest.raises(UnavailableError):
            file.read(10)
        assert isinstance(file.fault, UnavailableError)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (Answer(401), LoginError, "AuthenticationError: "),
        (Answer(403), ForbiddenError, "AuthorizationError: "),
        (Answer(404), UnavailableError, "ServiceUnavailable: "),
        (Answer(500), UnavailableError, "ServiceUnavailable: "),
        (Answer(416, headers={"Content-Range": "bytes */0"}), FileError, "Error: .* is empty"),
        (Answer(200), FileError, "Error: .* is empty"),
        (Answer(200, b"<html>", {"Content-Type": "text/html; charset=utf-8"}), UnavailableError, "log-in form"),
        (Answer(302, headers={"Location": "file:///etc/passwd"}), UnavailableError, "not a URL"),
    ],
)
def test_what_is_no_file_has_one_of_the_words_of_soda(answer: Answer, error: type[CutError], text: str) -> None:
    with serving(giving_always(answer)) as server, pytest.raises(error, match=text) as caught:
        open_url(f"{server.url}/a.fits", LIMITS)
    assert str(caught.value).startswith(caught.value.label + ": ")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_a_compressed_transfer_is_refused(encoding: str) -> None:
    with (
        serving(giving(CONTENT, told(Content_Encoding=encoding))) as server,
        pytest.raises(UnavailableError, match="compressed"),
    ):
        open_url(server.url, LIMITS)
    assert all(one.headers["Accept-Encoding"] == "identity" for one in server.asked)


def test_a_private_address_is_not_asked() -> None:
    refusing = replace(LIMITS, allow_private=False)
    with serving(giving(CONTENT)) as server:
        with pytest.raises(ForbiddenError, match="private or loopback"):
            open_url(server.url, refusing)
        assert server.asked == []


def test_a_token_goes_to_its_server_and_to_no_other() -> None:
    with serving(giving(CONTENT)) as other:

        def answer(asked: Asked) -> Answer:
            if asked.path == "/moved":
                return Answer(307, headers={"Location": f"{other.url}/here"})
            return giving(CONTENT)(asked)

        with serving(answer) as server:
            for path in ("/file", "/moved"):
                with open_url(f"{server.url}{path}", LIMITS, token="secret") as file:
                    file.seek(500_000)
                    assert file.read(5) == CONTENT[500_000:500_005]
            with open_url(f"{server.url}/file?token=secret", LIMITS) as file:
                assert "secret" not in file.name
        assert [one.headers.get("Authorization") for one in server.asked] == ["Bearer secret"] * 4 + [None]
        assert [one.headers.get("Authorization") for one in other.asked] == [None] * 2


def test_no_more_is_read_than_may_be() -> None:
    with (
        serving(giving(CONTENT)) as server,
        open_url(server.url, replace(LIMITS, read_bytes=BLOCK + 1000)) as file,
        pytest.raises(LimitError, match="than may be"),
    ):
        list(file.ranges([(100_000, 100_900), (200_000, 200_900)]))


def test_reading_ends_when_its_time_is_over() -> None:
    def slowly(asked: Asked) -> Answer:
        time.sleep(0.03)
        return giving(CONTENT)(asked)

    with serving(slowly) as server:
        begun = time.monotonic()
        with (
            pytest.raises(UnavailableError, match="0.15 seconds|in time"),
            open_url(server.url, replace(LIMITS, seconds=0.15)) as file,
        ):
            list(file.ranges([(start, start + 10) for start in range(0, 1_000_000, 1000)]))
        assert time.monotonic() - begun < 20.0  # all of it takes half a minute


def test_a_path_that_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "none", tmp_path / "pipe", Path("nul\0byte")):
        with pytest.raises(UnavailableError):
            open_path(path, Limits())


def test_a_file_that_is_cut_short_while_it_is_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with open_path(path, Limits()) as file:
        os.truncate(path, 1_000_000)
        with pytest.raises(UnavailableError, match="shorter"):
            list(file.ranges([(999_990, 1_000_010)]))
