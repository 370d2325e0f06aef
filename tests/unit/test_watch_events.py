"""Events of Hermes as its service ``elastic`` posts them, and what the receiver answers to those and to others."""

from __future__ import annotations

import json
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from stac_rucio_sync.errors import TransientError, UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.settings import Watch
from stac_rucio_sync.watch import Heard, Receiver, heard_in
from stac_rucio_sync.watch import receiver as receiver_module
from stac_rucio_sync.watch.events import LINE_BYTES, NoEventsError
from stac_rucio_sync.watch.repeats import DELAYS, Repeats
from tests.ports import free_port

INDEX = b'{ "index":{ } }\n'


def event(kind: str, **payload: Any) -> bytes:
    """Two lines, as Rucio 41 writes them."""
    told = {
        "id": "7c6c",
        "created_at": "2026-11-21T10:00:00",
        "event_type": kind,
        "payload": payload,
        "services": "elastic",
    }
    return INDEX + json.dumps(told).encode() + b"\n"


def lines(body: bytes) -> list[bytes]:
    return body.splitlines(keepends=True)


def test_transfers_deletions_and_rules_name_their_dids() -> None:
    body = (
        event("transfer-done", scope="stac", name="a.fits", **{"dst-rse": "VIENNA-DISK"})
        + event("deletion-done", scope="stac", name="b.fits", rse="VIENNA-DISK")
        + event("RULE_OK", scope="stac", name="dataset", rule_id="1")
        + event("transfer-done", scope="stac", name="a.fits")
    )
    assert heard_in(lines(body)) == Heard(
        4, frozenset({Did("stac", "a.fits"), Did("stac", "b.fits"), Did("stac", "dataset")})
    )


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"scope": "s"},
        {"name": "n"},
        {"scope": 1, "name": "n"},
        {"scope": None, "name": None},
        {"scope": "s\x00", "name": "n"},
    ],
)
def test_events_of_no_did_are_counted_and_name_nothing(payload: dict[str, Any]) -> None:
    assert heard_in(lines(event("email", **payload))) == Heard(1, frozenset())


@pytest.mark.parametrize("payload", [None, [], "no JSON", '"text"', 7, '{"scope": "s", "name": "n"}'])
def test_a_payload_may_be_anything(payload: object) -> None:
    told = heard_in([json.dumps({"event_type": "x", "payload": payload}).encode()])
    assert told.events == 1
    assert told.dids == ({Did("s", "n")} if isinstance(payload, str) and "scope" in payload else set())


@pytest.mark.parametrize(
    "text", [b"no json", b"[]", b"7", b"\xff\xfe", b'{"a"', b"{" * 5000, b'{"a":"' + b"x" * LINE_BYTES + b'"}']
)
def test_what_is_no_lines_of_objects_is_refused(text: bytes) -> None:
    with pytest.raises(NoEventsError):
        heard_in([INDEX, text])


@settings(max_examples=60)
@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6))
def test_order_and_repetition_make_no_difference(order: list[int], again: list[int]) -> None:
    events = [event("transfer-done", scope="s", name=f"f{number}") for number in range(6)]
    told = heard_in(lines(b"".join(events[number] for number in [*order, *again])))
    assert told.dids == {Did("s", f"f{number}") for number in range(6)}


def test_files_are_due_again_after_each_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    repeats = Repeats()
    assert (repeats.due(), repeats.seconds_left()) == (set(), None)
    first, second = Did("s", "1"), Did("s", "2")
    repeats.add([first])
    now += 0.5
    repeats.add([second])
    assert (repeats.due(), repeats.seconds_left()) == (set(), DELAYS[0] - 0.5)
    found = []
    for delay in DELAYS:
        now = 100.0 + delay
        found.append(repeats.due())
        now += 0.5
        found.append(repeats.due())
    assert found == [{first}, {second}] * len(DELAYS)
    assert repeats.seconds_left() is None


# --------------------------------------------------------------------------------------------------------- receiver

Hear = Callable[[Heard], Any]
SECRET = "a word"


@pytest.fixture
def listen() -> Iterator[Callable[..., str]]:
    """Start receivers."""
    started: list[Receiver] = []

    def start(hear: Hear, **fields: Any) -> str:
        receiver = Receiver(Watch(port=free_port(), **fields), hear)
        receiver.start()
        started.append(receiver)
        return receiver.url

    yield start
    for receiver in started:
        receiver.stop()


def test_the_answer_comes_when_the_events_were_heard(listen: Callable[..., str]) -> None:
    heard: list[Heard] = []
    url = listen(heard.append)
    answer = requests.post(url, data=event("transfer-done", scope="s", name="n"), timeout=60)
    assert (answer.status_code, answer.json()) == (200, {"events": 1, "dids": 1})
    assert heard == [Heard(1, frozenset({Did("s", "n")}))]


def test_events_that_could_not_be_written_are_to_be_sent_again(listen: Callable[..., str]) -> None:
    def hear(_heard: Heard) -> None:
        raise TransientError("Rucio is away")

    answer = requests.post(listen(hear), data=event("transfer-done", scope="s", name="n"), timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (503, "Rucio is away")


def test_a_token_is_asked_for(listen: Callable[..., str]) -> None:
    heard: list[Heard] = []
    url = listen(heard.append, token=SecretStr(SECRET))
    body = event("transfer-done", scope="s", name="n")

    def post(authorization: str | None) -> int:
        headers = {"Authorization": authorization} if authorization else {}
        return requests.post(url, data=body, headers=headers, timeout=60).status_code

    wrong = [
        None,
        "Bearer",
        "Bearer other",
        "Basic !!",
        "Basic " + b64encode(b"hermes:other").decode(),
        f"Digest {SECRET}",
    ]
    assert [post(one) for one in wrong] == [401] * len(wrong)
    assert heard == []
    basic = "Basic " + b64encode(f"hermes:{SECRET}".encode()).decode()
    assert [post(one) for one in (basic, f"Bearer {SECRET}")] == [200, 200]


def test_bodies_have_a_limit_a_length_and_a_form(listen: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Heard] = []
    url = listen(heard.append)
    monkeypatch.setattr(receiver_module, "BODY_BYTES", 1000)
    assert requests.post(url, data=b" " * 1001, timeout=60).status_code == 413
    assert requests.post(url, data=iter([b"chunk"]), timeout=60).status_code == 411
    assert requests.post(url, data=b"<xml/>", timeout=60).status_code == 400
    assert requests.post(url, data=bytes(range(256)), timeout=60).status_code == 400
    assert requests.get(url, timeout=60).status_code == 501
    assert heard == []
    assert requests.post(url, data=b"", timeout=60).json() == {"events": 0, "dids": 0}


def test_a_post_that_breaks_off_is_not_heard(listen: Callable[..., str]) -> None:
    heard: list[Heard] = []
    host, _, port = listen(heard.append).removeprefix("http://").removesuffix("/events").partition(":")
    body = event("transfer-done", scope="s", name="n")
    with socket.create_connection((host, int(port)), timeout=60) as sender:
        sender.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1) + body)
        sender.shutdown(socket.SHUT_WR)
        assert b" 400 " in sender.recv(1000).split(b"\r\n")[0]
    assert heard == []


def test_posts_at_the_same_time_are_all_heard(listen: Callable[..., str]) -> None:
    heard: list[Heard] = []

    def hear(one: Heard) -> None:
        time.sleep(0.01)
        heard.append(one)

    url = listen(hear)
    codes: list[int] = []

    def post(number: int) -> None:
        answer = requests.post(url, data=event("transfer-done", scope="s", name=f"f{number}"), timeout=60)
        codes.append(answer.status_code)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 12
    assert {did.name for one in heard for did in one.dids} == {f"f{number}" for number in range(12)}


def test_other_machines_are_let_in_with_a_token_only() -> None:
    with pytest.raises(UsageError, match="token"):
        Receiver(Watch(host="0.0.0.0", port=1), lambda _heard: None)  # noqa: S104 - that is the point
    with pytest.raises(UsageError, match="token"):
        Receiver(Watch(host="192.0.2.1", port=1, token=SecretStr("")), lambda _heard: None)
    with pytest.raises(UsageError, match="port"):
        Receiver(Watch(), lambda _heard: None)
