from __future__ import annotations

import hashlib
import threading
import time
import zlib
from collections.abc import Callable

import pytest

from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Measured
from stac_rucio_sync.sizes import Sizer
from tests.unit.loopback import Answer, Asked, serving

HASTY = Patience(attempts=2, backoff=0.01, connect=2.0, read=1.0)
BYTES = bytes(range(256)) * 5000


def _head() -> Sizer:
    return Sizer("head", allow_private=True, patience=HASTY)


def _stream(seconds: float = 60.0) -> Sizer:
    return Sizer("stream", allow_private=True, patience=HASTY, seconds=seconds)


def test_head_takes_the_length_that_the_origin_states_and_no_checksum() -> None:
    with serving(lambda _: Answer(body=BYTES)) as server:
        href = server.url + "/a.tif"
        assert _head().measure([href]) == ({href: Measured(len(BYTES))}, {}, {})
        assert server.paths() == ["HEAD /a.tif"]
        assert server.asked[0].headers["Accept-Encoding"] == "identity"


def _only_get(asked: Asked) -> Answer:
    if asked.method == "HEAD":
        return Answer(405)
    assert asked.headers["Range"] == "bytes=0-0"
    return Answer(206, BYTES[:1], {"Content-Range": f"bytes 0-0/{len(BYTES)}"})


def _no_length(asked: Asked) -> Answer:
    return Answer(length=False) if asked.method == "HEAD" else _only_get(asked)


def _no_ranges(asked: Asked) -> Answer:
    return Answer(403) if asked.method == "HEAD" else Answer(200, BYTES)


def _compressed_head(asked: Asked) -> Answer:
    if asked.method == "HEAD":
        return Answer(headers={"Content-Encoding": "gzip", "Content-Length": "77"})
    return _only_get(asked)


@pytest.mark.parametrize("origin", [_only_get, _no_length, _no_ranges, _compressed_head])
def test_where_head_does_not_help_the_first_byte_tells_the_whole_length(origin: Callable[[Asked], Answer]) -> None:
    with serving(origin) as server:
        href = server.url + "/a.tif"
        assert _head().measure([href]) == ({href: Measured(len(BYTES))}, {}, {})


def test_an_empty_file_has_zero_bytes() -> None:
    def empty(asked: Asked) -> Answer:
        return Answer(405) if asked.method == "HEAD" else Answer(416, headers={"Content-Range": "bytes */0"})

    with serving(empty) as server:
        assert _head().measure([server.url + "/a"])[0] == {server.url + "/a": Measured(0)}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404), "answers 404"),
        (Answer(503), "answers 503"),
        (Answer(206, b"1", {"Content-Range": "bytes 0-0/*"}, length=False), "does not state the size"),
        (Answer(200, b"<form>", {"Content-Type": "text/html; charset=utf-8"}), "HTML page"),
    ],
)
def test_what_the_origin_does_not_say_stays_unknown(answer: Answer, reason: str) -> None:
    with serving(lambda _: answer) as server:
        href = server.url + "/a.tif"
        measured, untold, unanswered = _head().measure([href])
    assert measured == {}
    # A failing server may answer the next time; the others have said all that they will.
    assert bool(unanswered) == (answer.status == 503)
    assert reason in (untold | unanswered)[href]
    assert "a.tif" not in (untold | unanswered)[href]  # one remark for an origin, however many files it has


def test_only_http_is_asked() -> None:
    measured, reasons, _ = _head().measure(["s3://bucket/key", "/data/a.tif"])
    assert measured == {}
    assert "s3" in reasons["s3://bucket/key"]
    assert set(reasons) == {"s3://bucket/key", "/data/a.tif"}


def test_private_addresses_are_refused_unless_allowed() -> None:
    with serving(lambda _: Answer(body=BYTES)) as server:
        href = server.url + "/a.tif"
        measured, reasons, _ = Sizer("head", patience=HASTY).measure([href])
        assert measured == {}
        assert "private" in reasons[href]
        assert server.asked == []


def test_redirects_are_followed() -> None:
    def moved(asked: Asked) -> Answer:
        return Answer(302, headers={"Location": "/there.tif"}) if asked.path == "/here.tif" else Answer(body=BYTES)

    with serving(moved) as server:
        href = server.url + "/here.tif"
        assert _head().measure([href])[0] == {href: Measured(len(BYTES))}


def test_reading_the_bytes_gives_both_checksums() -> None:
    with serving(lambda _: Answer(body=BYTES)) as server:
        href = server.url + "/a.tif"
        measured, reasons, _ = _stream().measure([href])
    assert reasons == {}
    assert measured[href] == Measured(
        len(BYTES), f"{zlib.adler32(BYTES):08x}", hashlib.md5(BYTES, usedforsecurity=False).hexdigest()
    )


def test_an_adler32_keeps_its_leading_zeros() -> None:
    with serving(lambda _: Answer(body=b"a")) as server:
        assert _stream().measure([server.url + "/a"])[0][server.url + "/a"].adler32 == "00620062"


def test_a_body_that_stops_short_is_read_again_and_never_measured_short() -> None:
    answers = [Answer(body=BYTES, cut=1000), Answer(body=BYTES)]
    with serving(lambda _: answers.pop(0)) as server:
        assert _stream().measure([server.url + "/a"])[0][server.url + "/a"].bytes == len(BYTES)
    with serving(lambda _: Answer(body=BYTES, cut=1000)) as server:
        measured, _, reasons = _stream().measure([server.url + "/a"])
    assert measured == {}
    assert "does not answer" in reasons[server.url + "/a"]


def test_a_compressed_body_is_not_the_file() -> None:
    with serving(lambda _: Answer(body=b"12345678", headers={"Content-Encoding": "gzip"})) as server:
        measured, reasons, _ = _stream().measure([server.url + "/a"])
    assert measured == {}
    assert "compressed" in reasons[server.url + "/a"]


def test_reading_ends_when_its_time_is_up() -> None:
    with serving(lambda _: Answer(body=BYTES)) as server:
        measured, reasons, _ = _stream(seconds=0.0).measure([server.url + "/a"])
    assert measured == {}
    assert "seconds" in reasons[server.url + "/a"]


def test_each_file_is_asked_once_a_run() -> None:
    with serving(lambda asked: Answer(body=BYTES) if "good" in asked.path else Answer(404)) as server:
        hrefs = [f"{server.url}/{name}" for name in ("good", "bad", "good")]
        sizer = _head()
        first, second = sizer.measure(hrefs), sizer.measure(hrefs)
        assert first == second
        assert len(first[0]) == len(first[1]) == 1
        # The missing one is asked by HEAD and by GET, as some servers refuse only HEAD.
        assert sorted(server.paths()) == ["GET /bad", "HEAD /bad", "HEAD /good"]


def test_a_host_sees_no_more_requests_at_a_time_than_it_may() -> None:
    lock, now, most, together = threading.Lock(), 0, 0, threading.Event()

    def slow(_: Asked) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now > 1:
                together.set()
        together.wait(60)
        time.sleep(0.01)
        with lock:
            now -= 1
        return Answer(body=b"1")

    sizer = Sizer("head", per_host=3, allow_private=True, patience=HASTY)
    with serving(slow) as server:
        halves = [[f"{server.url}/{half}/{number}" for number in range(20)] for half in "ab"]
        threads = [threading.Thread(target=sizer.measure, args=(half,)) for half in halves]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.asked) == 40
    assert 2 <= most <= 3
