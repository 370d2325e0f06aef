"""The proxy before a STAC API: what it passes on, what it changes, what it refuses."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from stac_rucio_sync.alternates import ReplicaAlternates
from stac_rucio_sync.alternates import proxy as module
from stac_rucio_sync.alternates.proxy import make_proxy
from stac_rucio_sync.errors import TransientError, UsageError
from stac_rucio_sync.settings import Locality, Settings
from tests.unit.alternates_lake import HeldLake, held_file, held_item, stac_item
from tests.unit.loopback import Answer, Asked, Loopback, as_json, serving

SETTINGS = Settings(
    locality=Locality(
        networks={"192.0.2.0/24": "sydney", "198.51.100.0/24": "vienna"}, trusted_proxies=("127.0.0.1/32",)
    )
)
EVERYWHERE = ("ARCHIVE", "SYDNEY-DISK", "VIENNA-DISK")


def lake(**fields: Any) -> HeldLake:
    return HeldLake([held_item(held_file("image", EVERYWHERE))], settings=SETTINGS, **fields)


@contextmanager
def proxied(
    answer: Callable[[Asked], Answer], held: HeldLake | None = None, path: str = "/v1", **options: Any
) -> Iterator[tuple[FlaskClient, Loopback]]:
    """Give a client of the proxy, and the API behind it."""
    with serving(answer) as api:
        modifier = ReplicaAlternates(held or lake())
        app = make_proxy(api.url + path, modifier, SETTINGS, **options)
        yield app.test_client(), api
        app.extensions["stac-proxy"].close()


def json_of(answer: TestResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.data)
    return document


def first_alternate(item: dict[str, Any]) -> str:
    return str(next(iter(item["assets"]["image"]["alternate"])))


# ----------------------------------------------------------------------------------------------------------- items


def test_items_get_alternates_by_the_client_s_address() -> None:
    page = {"type": "FeatureCollection", "features": [stac_item()]}
    with proxied(lambda _: as_json(page)) as (client, api):
        for address, rse in (("192.0.2.1", "SYDNEY-DISK"), ("198.51.100.9", "VIENNA-DISK")):
            got = client.post("/search", json={"limit": 1}, headers={"X-Forwarded-For": f"203.0.113.5, {address}"})
            assert first_alternate(json_of(got)["features"][0]) == rse
            assert got.headers["Cache-Control"] == "private, no-store"
        assert api.paths() == ["POST /v1/search"] * 2
        assert api.asked[0].body == {"limit": 1}
        assert api.asked[0].headers["X-Forwarded-For"] == "203.0.113.5, 192.0.2.1, 127.0.0.1"


def test_an_item_alone_gets_alternates() -> None:
    with proxied(lambda _: as_json(stac_item(), 200, **{"ETag": '"1"', "Last-Modified": "x"})) as (client, api):
        got = client.get("/collections/c/items/i", headers={"If-None-Match": '"1"'})
        assert first_alternate(json_of(got))
        assert not {"ETag", "Last-Modified"} & set(got.headers.keys())  # the replicas have changed meanwhile
        assert "If-None-Match" not in api.asked[0].headers


def test_a_look_up_that_fails_is_no_page_without_alternates() -> None:
    held = lake(error=TransientError("Rucio is away"))
    with proxied(lambda _: as_json(stac_item()), held) as (client, _):
        got = client.get("/collections/c/items/i")
        assert (got.status_code, json_of(got)["code"]) == (503, "ReplicasUnavailable")
        assert "Rucio is away" not in got.text


def test_compressed_answers_are_understood() -> None:
    body = gzip.compress(json.dumps(stac_item()).encode())
    answer = Answer(body=body, headers={"Content-Type": "application/geo+json", "Content-Encoding": "gzip"})
    with proxied(lambda _: answer) as (client, _):
        got = client.get("/collections/c/items/i")
        assert first_alternate(json_of(got))
        assert "Content-Encoding" not in got.headers


# ------------------------------------------------------------------------------------------------------------ links


@pytest.mark.parametrize("base_url", [None, "https://near.example.org/stac"])
def test_links_to_the_api_lead_to_the_proxy_and_nothing_else_changes(base_url: str | None) -> None:
    def landing(asked: Asked) -> Answer:
        host = f"http://{asked.headers['Host']}"
        hrefs = [
            f"{host}/v1",
            f"{host}/v1/search?a=b",
            f"{host}/v10/x",
            f"{host}/v2",
            "https://else.example.org/v1",
            "./x",
        ]
        links = [{"rel": "x", "href": href} for href in hrefs]
        return as_json({"type": "Catalog", "links": [*links, None, {"href": 7}], "description": f"see {host}/v1"})

    with proxied(landing, base_url=base_url) as (client, api):
        document = json_of(client.get("/"))
        here = base_url or "http://localhost"
        assert [link["href"] for link in document["links"] if link] == [
            here,
            f"{here}/search?a=b",
            f"{api.url}/v10/x",
            f"{api.url}/v2",
            "https://else.example.org/v1",
            "./x",
            7,
        ]
        assert document["description"] == f"see {api.url}/v1"
        assert api.paths() == ["GET /v1/"]


def test_redirects_are_the_client_s_to_follow() -> None:
    def moved(asked: Asked) -> Answer:
        return Answer(307, headers={"Location": f"http://{asked.headers['Host']}/v1/search/"})

    with proxied(moved) as (client, api):
        got = client.get("/search")
        assert (got.status_code, got.headers["Location"]) == (307, "http://localhost/search/")
        assert len(api.asked) == 1


# -------------------------------------------------------------------------------------------------------- all the rest


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>", headers={"Content-Type": "text/html"}),
        Answer(404, b'{"code":"NotFound"}', {"Content-Type": "application/json"}),
        Answer(500, b"oops", {"Content-Type": "text/plain", "X-Trace": "1"}),
        Answer(body=gzip.compress(b"a page"), headers={"Content-Type": "text/html", "Content-Encoding": "gzip"}),
        Answer(body=b"{broken", headers={"Content-Type": "application/json"}),
        Answer(body=b'["a list"]', headers={"Content-Type": "application/json"}),
        Answer(204),
    ],
)
def test_everything_else_passes_as_it_came(answer: Answer) -> None:
    with proxied(lambda _: answer) as (client, _):
        got = client.get("/x")
        assert (got.status_code, got.data) == (answer.status, answer.body)
        for name, value in answer.headers.items():
            assert got.headers[name] == value


def test_headers_of_the_client_go_to_the_api_and_those_of_the_connection_do_not() -> None:
    headers = {"Authorization": "Bearer t", "Accept-Language": "de", "Connection": "close", "Upgrade": "h2c"}
    with proxied(lambda _: as_json({})) as (client, api):
        client.get("/x", headers=headers, query_string="q=a%20b&r=%2F")
        asked = api.asked[0]
        assert (asked.headers["Authorization"], asked.headers["Accept-Language"]) == ("Bearer t", "de")
        assert "Upgrade" not in asked.headers
        assert asked.query == {"q": "a b", "r": "/"}


def test_cookies_of_one_client_reach_no_other() -> None:
    with proxied(lambda _: as_json({}, 200, **{"Set-Cookie": "session=secret"})) as (client, api):
        got = client.get("/x")
        assert got.headers["Set-Cookie"] == "session=secret"
        client.delete_cookie("session")
        client.get("/x")
        assert "Cookie" not in api.asked[1].headers


def test_an_identifier_reaches_the_api_as_it_was_written() -> None:
    with proxied(lambda _: as_json({})) as (client, api):
        client.get("/collections/c/items/a%20b%3Fc%23d%C3%A9")
        assert api.asked[0].path == "/v1/collections/c/items/a%20b%3Fc%23d%C3%A9"


@pytest.mark.parametrize("path", ["/../secret", "/a/../../secret", "/%2e%2e/secret", "/a/%2E%2E/x", "/./x"])
def test_no_path_leads_out_of_the_api(path: str) -> None:
    with proxied(lambda _: as_json({})) as (client, api):
        assert client.get(path).status_code == 404
        assert api.asked == []


def test_other_methods_and_large_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxied(lambda _: as_json({})) as (client, api):
        for method in ("PUT", "DELETE", "PATCH"):
            assert client.open("/collections/c/items/i", method=method).status_code == 405
        got = client.post("/search", data=b" " * (module.MAX_BODY + 1))
        assert (got.status_code, json_of(got)["code"]) == (413, "RequestEntityTooLarge")
        assert api.asked == []
        monkeypatch.setattr(module, "MAX_JSON", 1)
        assert client.get("/x").status_code == 502


def test_an_api_that_does_not_answer_is_a_bad_gateway() -> None:
    with proxied(lambda _: Answer(body=b"{" * 1000, headers={"Content-Type": "application/json"}, cut=10)) as (
        client,
        _,
    ):
        assert json_of(client.get("/x"))["code"] == "BadGateway"
    with serving(lambda _: Answer()) as gone:
        pass
    app = make_proxy(gone.url, ReplicaAlternates(lake()), SETTINGS)
    assert app.test_client().get("/").status_code == 502
    app.extensions["stac-proxy"].close()


@pytest.mark.parametrize(
    "url", ["file:///etc", "stac.example.org", "https://user:secret@h.example.org/", "https://h/?q=1"]
)
def test_a_url_that_is_none_is_refused_without_showing_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_proxy(url, ReplicaAlternates(lake()), SETTINGS)
    assert "secret" not in str(caught.value)
