from __future__ import annotations

import io
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from stac_rucio_sync.addresses import is_private_address, leads_inside, public_url, without_login
from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.http import STRIKES, Http, Patience, RefusedAnswer
from stac_rucio_sync.http.servers import Servers
from tests.unit.loopback import Answer, Asked, as_json, serving

HASTY = Patience(attempts=3, backoff=0.01, connect=2.0, read=0.5)


def _in_turn(*answers: Answer) -> Callable[[Asked], Answer]:
    rest = list(answers)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


@pytest.fixture
def http() -> Http:
    return Http(allow_private=True, patience=HASTY)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_transient_status_is_asked_again(http: Http, status: int) -> None:
    with serving(_in_turn(Answer(status), as_json({"id": 1}))) as server:
        assert http.json(server.url) == {"id": 1}
        assert len(server.asked) == 2
        http.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 501])
def test_a_lasting_status_is_asked_once(http: Http, status: int) -> None:
    with serving(_in_turn(Answer(status))) as server:
        with pytest.raises(RefusedAnswer, match=str(status)) as caught:
            http.json(server.url)
        assert caught.value.status == status
        assert len(server.asked) == 1
        http.close()


@pytest.mark.parametrize("location", ["http://[::1", "http://["])
def test_what_is_no_url_is_refused_wherever_it_comes_from(http: Http, location: str) -> None:
    with pytest.raises(RefusedAnswer, match="not a URL"):
        http.body(location)
    with serving(_in_turn(Answer(302, headers={"Location": location}))) as server:
        with pytest.raises(RefusedAnswer, match="not a URL"):
            http.body(server.url)
        http.close()


def test_a_dropped_connection_is_read_again_from_its_start(http: Http) -> None:
    whole = b"x" * 100_000
    with serving(_in_turn(Answer(body=whole, cut=40_000), Answer(body=whole))) as server:
        into = io.BytesIO()
        http.download(server.url, into)
        http.close()
    assert into.read() == whole


def test_retry_after_is_waited_for_within_reason(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stac_rucio_sync.http.edge.MAX_WAIT", 0.2)
    with serving(_in_turn(Answer(429, headers={"Retry-After": "3600"}), as_json({}))) as server:
        begun = time.monotonic()
        http.json(server.url)
        http.close()
    assert time.monotonic() - begun >= 0.2


def test_a_server_that_is_gone_is_given_up_after_some_requests(http: Http) -> None:
    with serving(_in_turn(Answer(503))) as server:
        for _ in range(STRIKES + 2):
            with pytest.raises(TransientError):
                http.json(server.url)
        http.close()
    assert len(server.asked) == STRIKES * HASTY.attempts


WAITING = Patience(attempts=3, backoff=0.001, connect=2.0, read=0.5, away=60.0)


def test_a_server_that_is_started_again_is_waited_for() -> None:
    http = Http(allow_private=True, patience=WAITING)
    away = [Answer(503)] * 8
    with serving(_in_turn(as_json({}), *away, as_json({"back": 1}))) as server:
        http.json(server.url)
        assert http.json(server.url) == {"back": 1}
        http.close()


@pytest.mark.parametrize("answers", [[Answer(503)], [as_json({}), Answer(500)]])
def test_one_that_never_was_there_and_one_that_fails_with_what_is_asked_are_not(answers: list[Answer]) -> None:
    http = Http(allow_private=True, patience=WAITING)
    with serving(_in_turn(*answers)) as server:
        for _ in answers[1:]:
            http.json(server.url)
        with pytest.raises(TransientError):
            http.json(server.url)
        http.close()
    assert len(server.asked) == len(answers) - 1 + WAITING.attempts


def test_a_server_that_answers_others_meanwhile_is_not_away() -> None:
    http = Http(allow_private=True, patience=WAITING)

    def answer(asked: Asked) -> Answer:
        if asked.path == "/bad":
            http.json(server.url + "/good")
            return Answer(503)
        return as_json({})

    with serving(answer) as server:
        http.json(server.url + "/good")
        with pytest.raises(TransientError):
            http.json(server.url + "/bad")
        http.close()
    assert server.paths().count("GET /bad") == WAITING.attempts


def test_waiting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("stac_rucio_sync.http.servers.time", SimpleNamespace(monotonic=lambda: now))
    servers = Servers()
    servers.answered("there")
    now = 200.0
    servers.away("there")
    now = 259.0
    assert servers.worth_waiting("there", 200.0, 60.0)
    now = 261.0
    assert not servers.worth_waiting("there", 200.0, 60.0)
    servers.answered("there")
    servers.away("there")
    assert servers.worth_waiting("there", 262.0, 60.0)


def test_nobody_is_waited_for_when_the_run_ends() -> None:
    http = Http(allow_private=True, patience=WAITING)
    with serving(_in_turn(as_json({}), Answer(503))) as server:
        http.json(server.url)
        http.hurry()
        with pytest.raises(TransientError):
            http.json(server.url)
        http.close()
    assert len(server.asked) == 1 + WAITING.attempts


def test_what_is_not_json_names_the_url_without_its_secrets(http: Http) -> None:
    with serving(_in_turn(Answer(body=b"<html>"))) as server:
        with pytest.raises(RefusedAnswer, match="is not JSON") as caught:
            http.json(server.url + "/page?X-Amz-Signature=abc")
        http.close()
    assert server.url + "/page" in str(caught.value)
    assert "abc" not in str(caught.value)


def test_a_body_over_the_limit_is_refused(http: Http) -> None:
    with serving(_in_turn(Answer(body=b"1" * 2000))) as server:
        with pytest.raises(RefusedAnswer, match="more than 1000 bytes"):
            http.body(server.url, limit=1000)
        http.close()


def test_a_private_address_is_refused_before_anything_is_sent() -> None:
    guarded = Http(patience=HASTY)
    with serving(_in_turn(as_json({}))) as server:
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(RefusedAnswer, match="private or loopback"):
                guarded.json(url)
        assert server.asked == []


def test_a_name_that_resolves_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more))
    guarded = Http(patience=HASTY)
    with serving(_in_turn(as_json({}))) as server:
        with pytest.raises(RefusedAnswer, match="private or loopback"):
            guarded.json(server.url.replace("127.0.0.1", "public.example.org"))
        assert server.asked == []


def test_a_login_goes_to_its_own_origin_only() -> None:
    with serving(_in_turn(as_json({}))) as own, serving(_in_turn(as_json({}))) as other:
        http = Http(allow_private=True, patience=HASTY, logins={own.url: ("user", "secret")})
        http.json(own.url + "/a")
        http.json(other.url + "/b")
        http.close()
    assert "Authorization" in own.asked[0].headers
    assert "Authorization" not in other.asked[0].headers


def test_user_and_password_leave_the_url() -> None:
    url, login = without_login("https://me:p%40ss@stac.example.org:8443/v1?a=1")
    assert (url, login) == ("https://stac.example.org:8443/v1?a=1", ("me", "p@ss"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.org/x?page=2#part", "https://a.org/x?page=2"),
        ("https://u:p@a.org/x", "https://a.org/x"),
        ("https://a.org/x?se=1&sig=abc", "https://a.org/x"),
        ("https://a.org/x?access_token=abc", "https://a.org/x"),
    ],
)
def test_shown_urls_hold_no_secrets(url: str, shown: str) -> None:
    assert public_url(url) == shown


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "100.64.0.1",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "224.0.0.1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert is_private_address(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_addresses_that_are_public(address: str) -> None:
    assert not is_private_address(address)


def test_where_a_name_leads() -> None:
    assert leads_inside("http://localhost:8080/x")
    assert leads_inside("http://[::1]:8080/x")
    assert not leads_inside("http://no-such-host.invalid/x")
