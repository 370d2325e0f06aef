"""Requests have ids in their answers and in the log, and are counted by the rule that answered them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from flask import Flask, Response, abort, stream_with_context

from obscore_tap.meters import Meters
from obscore_tap.observed import observe
from stac_rucio_sync.logs import subject

LOG = logging.getLogger("stac_rucio_sync.test")


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def app(meters: Meters) -> Flask:
    made = Flask("observed", static_folder=None)
    observe(made, meters)

    @made.get("/one/<name>")
    def one(name: str) -> str:
        return f"{name} {subject()}"

    @made.get("/stream")
    def stream() -> Response:
        def pieces() -> Iterator[str]:
            for _ in range(3):
                yield f"{subject()}\n"

        return Response(stream_with_context(pieces()))

    @made.get("/gone")
    def gone() -> Response:
        abort(410)

    return made


def count(meters: Meters, name: str, **labels: str) -> float | None:
    return meters.registry.get_sample_value(f"stac_rucio_sync_{name}", labels)


def test_a_request_has_an_id_that_its_work_knows(app: Flask) -> None:
    first, second = (app.test_client().get("/one/x") for _ in range(2))
    ids = [answer.headers["X-Request-Id"] for answer in (first, second)]
    assert first.text == f"x {ids[0]}"
    assert ids[0] != ids[1]
    assert subject() == ""


def test_the_id_of_a_proxy_is_taken_over(app: Flask) -> None:
    answer = app.test_client().get("/one/x", headers={"X-Request-Id": "edge-1.2_3"})
    assert (answer.headers["X-Request-Id"], answer.text) == ("edge-1.2_3", "x edge-1.2_3")


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", 'a"b', "é", "<a>"])
def test_an_id_that_could_forge_a_line_is_not(app: Flask, given: str) -> None:
    answer = app.test_client().get("/one/x", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])


def test_an_answer_that_streams_knows_its_request_to_the_end(app: Flask, meters: Meters) -> None:
    answer = app.test_client().get("/stream", buffered=False)
    assert count(meters, "requests_under_way", route="/stream") == 1
    assert count(meters, "requests_total", route="/stream", method="GET", status="200") is None
    told = answer.text.split()
    answer.close()
    assert told == [answer.headers["X-Request-Id"]] * 3
    assert count(meters, "requests_under_way", route="/stream") == 0
    assert count(meters, "requests_total", route="/stream", method="GET", status="200") == 1
    assert count(meters, "response_bytes_total", route="/stream") == 51


def test_a_client_that_goes_is_counted_once(app: Flask, meters: Meters) -> None:
    answer = app.test_client().get("/stream", buffered=False)
    answer.close()
    answer.close()
    assert count(meters, "requests_under_way", route="/stream") == 0
    assert count(meters, "request_seconds_count", route="/stream") == 1


def test_paths_are_counted_by_their_rule(app: Flask, meters: Meters) -> None:
    for name in "abc":
        app.test_client().get(f"/one/{name}", buffered=True)
    app.test_client().get("/nowhere/1", buffered=True)
    app.test_client().open("/nowhere/2", method="BREW", buffered=True)
    app.test_client().get("/gone", buffered=True)
    assert count(meters, "requests_total", route="/one/<name>", method="GET", status="200") == 3
    assert count(meters, "requests_total", route="none", method="GET", status="404") == 1
    assert count(meters, "requests_total", route="none", method="other", status="404") == 1
    assert count(meters, "requests_total", route="/gone", method="GET", status="410") == 1


def test_a_request_is_logged_when_it_is_over(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stac_rucio_sync.access"):
        app.test_client().get("/one/x?token=secret", buffered=True)
    (record,) = [one for one in caplog.records if one.name == "stac_rucio_sync.access"]
    assert record.getMessage() == "GET /one/x"
    told = record.told  # type: ignore[attr-defined] # given by extra=
    assert (told["status"], told["bytes"], told["client"]) == (200, 18, "127.0.0.1")
    assert told["seconds"] >= 0
