from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stac_rucio_sync.errors import FatalError, TransientError, UsageError
from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Change, Cursor, ItemBroken, ItemKey, ItemRead
from stac_rucio_sync.sources import Reading, ReadOptions, Source, open_source
from stac_rucio_sync.sources.cql2 import JSON, TEXT
from tests.unit.loopback import Answer, Asked, Loopback, as_json, serving
from tests.unit.stac_server import StacServer, item

HASTY = Patience(attempts=3, backoff=0.01, connect=1.0, read=1.0)
NEWER = "2025-06-01T00:00:00Z"


def _dated(count: int = 25) -> list[Any]:
    return [
        item(number % 20, "odd" if number % 2 else "even", updated=f"2025-01-01T00:00:{number:02d}Z")
        | {"id": str(number)}
        for number in range(count)
    ]


@contextmanager
def _opened(server: StacServer, **options: Any) -> Iterator[tuple[Source, Loopback]]:
    with serving(server) as loopback:
        source = open_source(loopback.url + "/", options=ReadOptions(patience=HASTY, **options))
        assert source.kind == "api"
        yield source, loopback


def _all(source: Source, cursor: Cursor | None = None) -> tuple[list[Change], Reading]:
    reading = source.read(cursor)
    return list(reading), reading


def _ids(changes: list[Change]) -> list[str]:
    return [change.stac["id"] for change in changes if isinstance(change, ItemRead)]


def test_all_pages_are_read_and_the_items_are_as_the_server_sent_them() -> None:
    server = StacServer(_dated())
    with _opened(server) as (source, loopback):
        changes, reading = _all(source)
        assert [change.stac for change in changes if isinstance(change, ItemRead)] == server.items
        assert reading.complete
        assert reading.expected == 25
        assert reading.fraction() == 1.0
        assert source.name == loopback.url
        assert loopback.paths() == ["GET /", *["POST /search"] * 3]
        first = changes[0]
        assert isinstance(first, ItemRead)
        assert first.href == "https://stac.example.org/items/0"


def test_a_page_that_fails_is_asked_again_and_no_item_comes_twice() -> None:
    server = StacServer(_dated())
    whole = server(Asked("POST", "/search", {}, {"Host": "x"}, {}))
    server.trips = [Answer(503), Answer(429, headers={"Retry-After": "0"})]
    with _opened(server) as (source, _):
        reading = source.read(None)
        changes: list[Change] = []
        for change in reading:
            if len(changes) == 5:  # in the middle of a page: the next one is cut off
                server.trips = [Answer(body=whole.body, cut=100), Answer(502)]
            changes.append(change)
    assert _ids(changes) == [str(number) for number in range(25)]


def test_a_server_that_stays_away_ends_the_read_incomplete() -> None:
    server = StacServer(_dated())
    with _opened(server) as (source, _):
        reading = source.read(None)
        next(iter(reading))
        server.trips = [Answer(503)] * 9
        with pytest.raises(TransientError, match="503"):
            list(reading)
        assert not reading.complete
        assert reading.cursor is None


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(body=b"<html>log in</html>"), "is not JSON"),
        (as_json({"code": "RateLimited"}), "without a list of features"),
        (as_json([1]), "FeatureCollection"),
        (as_json({"type": "Feature", "features": []}), "FeatureCollection"),
        (Answer(400), "answers 400"),
    ],
)
def test_an_answer_that_is_no_page_is_an_error_that_names_the_url(answer: Answer, problem: str) -> None:
    server = StacServer(_dated(), trips=[answer])
    with _opened(server) as (source, loopback), pytest.raises(FatalError, match=problem) as caught:
        _all(source)
    assert f"{loopback.url}/search" in str(caught.value)


def _paging(next_of: Any, ids_of: Any) -> Any:
    """A server whose paging is given by two functions of the page's number."""

    def answer(asked: Asked) -> Answer:
        if asked.path == "/":
            return as_json({"type": "Catalog", "id": "x", "links": [{"rel": "search", "href": "/search"}]})
        page = int(asked.query.get("page", 0))
        following = next_of(page)
        links = [] if following is None else [{"rel": "next", "href": f"search?page={following}"}]
        features = [item(1) | {"id": one} for one in ids_of(page)]
        return as_json({"type": "FeatureCollection", "features": features, "links": links})

    return answer


def test_links_in_a_circle_end_with_an_error() -> None:
    with serving(_paging(lambda page: (page + 1) % 3, lambda page: [str(page)])) as server:
        with pytest.raises(FatalError, match="in a circle"):
            _all(open_source(server.url))
        assert len(server.asked) < 8


def test_paging_that_is_ignored_ends_with_an_error() -> None:
    with (
        serving(_paging(lambda page: page + 1, lambda _: ["same"])) as server,
        pytest.raises(FatalError, match="same items"),
    ):
        _all(open_source(server.url))


def test_an_empty_page_is_not_the_end_but_endless_ones_are() -> None:
    pages = {0: ["a"], 1: [], 2: ["b"]}
    with serving(_paging(lambda page: page + 1, lambda page: pages.get(page, []))) as server:
        changes, reading = _all(open_source(server.url))
        assert _ids(changes) == ["a", "b"]
        assert reading.complete
        assert len(server.asked) < 10


def test_fewer_items_than_the_server_counts_hide_some() -> None:
    short = as_json({"type": "FeatureCollection", "features": [item(1)], "numberMatched": 3})
    with _opened(StacServer([], trips=[short])) as (source, _):
        changes, reading = _all(source)
        assert len(changes) == 1
        assert not reading.complete
        assert "counts 3 items and delivered only 1" in reading.remarks[0]


def test_a_feature_that_is_no_object_is_one_broken_item() -> None:
    with _opened(StacServer([item(0), "text", item(1)])) as (source, _):
        changes, reading = _all(source)
    assert [type(change) for change in changes] == [ItemRead, ItemBroken, ItemRead]
    assert not reading.complete


def test_an_empty_server_is_read_to_its_end() -> None:
    with _opened(StacServer([])) as (source, _):
        changes, reading = _all(source)
    assert changes == []
    assert reading.complete


# ------------------------------------------------------------------------------------- collections, bbox, datetime


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"collections": ("odd",)}, 12),
        ({"bbox": (9.5, 49.0, 11.5, 51.0)}, 4),
        ({"bbox": (9.5, 49.0, -10.0, 11.5, 51.0, 10.0)}, 4),
        ({"datetime": "2024-01-03T00:00:00Z/2024-01-04T00:00:00Z"}, 4),
        ({"datetime": "../2024-01-01T00:00:00Z"}, 2),
    ],
)
def test_a_selection_is_asked_of_the_server_and_is_not_the_whole(options: dict[str, Any], expected: int) -> None:
    with _opened(StacServer(_dated()), **options) as (source, _):
        changes, reading = _all(source)
    assert len(changes) == expected
    assert reading.filtered
    assert not reading.complete


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"collections": ("odd",)}, "collections"),
        ({"bbox": (100.0, 0.0, 101.0, 1.0)}, "bbox"),
        ({"datetime": "2020-01-01T00:00:00Z/2020-01-02T00:00:00Z"}, "datetime"),
    ],
)
def test_a_server_that_ignores_a_selection_is_found_out(options: dict[str, Any], named: str) -> None:
    with (
        _opened(StacServer(_dated(), obeys_core=False), **options) as (source, _),
        pytest.raises(FatalError, match=f"does not obey {named}"),
    ):
        _all(source)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"bbox": (1.0, 2.0, 3.0)}, "4 or 6 numbers"),
        ({"bbox": (0.0, 10.0, 1.0, 5.0)}, "south"),
        ({"datetime": "yesterday"}, "invalid datetime"),
        ({"datetime": "a/b/c"}, "one /"),
        ({"filter": '{"op": '}, "not CQL2 JSON"),
    ],
)
def test_a_selection_that_makes_no_sense_is_a_usage_error(options: dict[str, Any], problem: str) -> None:
    with _opened(StacServer(_dated()), **options) as (source, _), pytest.raises(UsageError, match=problem):
        _all(source)


# -------------------------------------------------------------------------------------------------------- filter

FILTER = {"op": "=", "args": [{"property": "id"}, "7"]}


@pytest.mark.parametrize("expression", [FILTER, '{"op": "=", "args": [{"property": "id"}, "7"]}'])
def test_a_filter_is_sent_where_it_is_obeyed(expression: Any) -> None:
    with _opened(StacServer(_dated()), filter=expression) as (source, _):
        changes, reading = _all(source)
    assert _ids(changes) == ["7"]
    assert reading.filtered


def test_a_filter_that_is_not_declared_is_refused_without_a_question() -> None:
    with _opened(StacServer(_dated(), filters=False), filter=FILTER) as (source, loopback):
        with pytest.raises(UsageError, match="no filter extension"):
            source.read(None)
        assert loopback.paths() == ["GET /"]


def test_a_filter_in_a_language_that_is_not_declared_is_refused() -> None:
    with (
        _opened(StacServer(_dated()), filter="id = '7'") as (source, _),
        pytest.raises(UsageError, match="cql2-text: its conformance declares cql2-json"),
    ):
        source.read(None)


@pytest.mark.parametrize(("methods", "sent"), [(("GET", "POST"), "GET"), (("POST",), "POST")])
def test_a_filter_as_text_goes_by_get_where_there_is_one(methods: tuple[str, ...], sent: str) -> None:
    asked_filters: list[tuple[str, str, str]] = []

    def text_only(asked: Asked) -> Answer:
        if asked.path == "/":
            links = [{"rel": "search", "href": "/search", "method": method} for method in methods]
            conforms = ["https://api.stacspec.org/v1.0.0/item-search#filter", "x/conf/cql2-text"]
            return as_json({"type": "Catalog", "id": "x", "links": links, "conformsTo": conforms})
        wanted = asked.body if asked.method == "POST" else asked.query
        asked_filters.append((asked.method, wanted["filter"], wanted["filter-lang"]))
        features = [] if wanted["filter"].startswith("id = 'no-item") else [item(7)]
        return as_json({"type": "FeatureCollection", "features": features})

    with serving(text_only) as server:
        changes, _ = _all(open_source(server.url, options=ReadOptions(filter="eo:cloud_cover < 5")))
    assert _ids(changes) == ["item-7"]
    assert {method for method, _, _ in asked_filters} == {sent}
    assert {language for _, _, language in asked_filters} == {"cql2-text"}
    assert asked_filters[-1][1] == "eo:cloud_cover < 5"


def test_cql2_is_written_as_the_standard_has_it() -> None:
    instant = "2024-01-01T00:00:00Z"
    assert TEXT.compare("id", "=", "o'hara") == "id = 'o''hara'"
    assert TEXT.both("a = 1 OR b = 2", TEXT.compare("updated", ">=", instant, instant=True)) == (
        "(a = 1 OR b = 2) AND (updated >= TIMESTAMP('2024-01-01T00:00:00Z'))"
    )
    assert TEXT.is_null("updated") == "updated IS NULL"
    assert JSON.both(FILTER, JSON.compare("updated", ">=", instant, instant=True)) == {
        "op": "and",
        "args": [FILTER, {"op": ">=", "args": [{"property": "updated"}, {"timestamp": instant}]}],
    }
    assert JSON.is_null("updated") == {"op": "isNull", "args": [{"property": "updated"}]}


def test_a_filter_that_is_declared_and_ignored_is_refused() -> None:
    with (
        _opened(StacServer(_dated(), obeys_filter=False), filter=FILTER) as (source, _),
        pytest.raises(UsageError, match=re.escape("does not obey --filter")),
    ):
        source.read(None)


def test_a_server_that_answers_every_filter_with_nothing_is_refused() -> None:
    server = StacServer(_dated())

    def nothing(asked: Asked) -> Answer:
        if isinstance(asked.body, dict) and "filter" in asked.body:
            return as_json({"type": "FeatureCollection", "features": []})
        return server(asked)

    with serving(nothing) as loopback, pytest.raises(UsageError, match="every item fulfils with nothing"):
        open_source(loopback.url, options=ReadOptions(filter=FILTER)).read(None)


def test_a_filter_that_the_server_refuses_is_a_usage_error() -> None:
    server = StacServer(_dated())

    def choosy(asked: Asked) -> Answer:
        wrong = isinstance(asked.body, dict) and asked.body.get("filter") == FILTER
        return Answer(400) if wrong else server(asked)

    with serving(choosy) as loopback, pytest.raises(UsageError, match="not this --filter: .* answers 400"):
        open_source(loopback.url, options=ReadOptions(filter=FILTER)).read(None)


# -------------------------------------------------------------------------------------------------------- cursor


def test_a_server_that_fails_to_compare_updated_is_read_whole_after_two_tries() -> None:
    server = StacServer(_dated())

    def untyped(asked: Asked) -> Answer:
        return Answer(500) if "timestamp" in str(asked.body) else server(asked)

    with serving(untyped) as loopback:
        patience = Patience(attempts=5, backoff=0.01)
        source = open_source(loopback.url, options=ReadOptions(patience=patience))
        changes, reading = _all(source, {"updated": NEWER, "query": [[], [], None, None]})
        assert sum("timestamp" in str(asked.body) for asked in loopback.asked) == 2
    assert len(changes) == 25
    assert reading.complete
    assert "refuses a filter by 'updated'" in reading.remarks[0]


def test_the_next_read_asks_only_for_what_is_new() -> None:
    server = StacServer(_dated())
    with _opened(server) as (source, _):
        _, first = _all(source)
        assert first.cursor is not None
        server.items.append(item(1, updated=NEWER) | {"id": "new"})
        changes, second = _all(source, first.cursor)
        # The overlap reads the last five minutes again; fingerprints make that free.
        assert set(_ids(changes)) == {str(number) for number in range(25)} | {"new"}
        changes, third = _all(source, second.cursor)
        assert _ids(changes) == ["new"]
        assert third.filtered
        assert not third.complete  # it cannot see what was removed
        assert third.cursor == second.cursor
        server.items.clear()
        server.items.append(item(2, updated="2024-01-01T00:00:00Z"))
        changes, fourth = _all(source, third.cursor)
        assert changes == []
        assert fourth.cursor == third.cursor


def test_items_that_are_not_new_are_had_by_their_ids_beside_a_read_of_what_is_new() -> None:
    items = [*_dated(), item(3, "other", updated="2025-01-01T00:00:03Z") | {"id": "3"}]
    with _opened(StacServer(items), page_size=2) as (source, _):
        whole, first = _all(source)
        assert first.again is None
        reading = source.read(first.cursor)
        assert reading.again is not None
        asked = [ItemKey("odd", name) for name in ("3", "5", "7", "gone")]
        again = list(reading.again(asked))
        assert _ids(again) == ["3", "5", "7"]
        assert all(one in whole for one in again)
        assert len(list(reading)) == len(whole)  # the overlap
    assert reading.remarks == []


@pytest.mark.parametrize("answer", [None, Answer(400)])
def test_a_server_that_cannot_be_asked_by_ids_is_read_all_the_same(answer: Answer | None) -> None:
    server = StacServer(_dated())

    def by_no_ids(asked: Asked) -> Answer:
        if isinstance(asked.body, dict) and asked.body.pop("ids", None) and answer is not None:
            return answer
        return server(asked)

    with serving(by_no_ids) as loopback:
        source = open_source(loopback.url, options=ReadOptions(patience=HASTY))
        _, first = _all(source)
        reading = source.read(first.cursor)
        assert reading.again is not None
        assert list(reading.again([ItemKey("odd", "3")])) == []
        assert len(list(reading)) == 25
    assert ["by their ids" in remark for remark in reading.remarks] == [True]


def test_full_reads_everything_whatever_the_cursor_says() -> None:
    with _opened(StacServer(_dated()), full=True) as (source, _):
        changes, reading = _all(source, {"updated": NEWER, "query": [[], [], None, None]})
    assert len(changes) == 25
    assert reading.complete


def test_a_cursor_of_another_selection_is_not_used() -> None:
    server = StacServer(_dated())
    with _opened(server, collections=("odd",)) as (source, _):
        _, first = _all(source)
        changes, _ = _all(source, first.cursor)
        assert len(changes) == 12
    with _opened(server) as (source, _):
        changes, reading = _all(source, first.cursor)
    assert len(changes) == 25
    assert reading.complete


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (StacServer(_dated(), filters=False), "no filter extension"),
        (StacServer(_dated(), obeys_filter=False), "no item fulfils with items"),
        (StacServer([*_dated(), item(1)]), "items without 'updated'"),
        (StacServer([item(1)]), "no item by its 'updated'"),
    ],
)
def test_where_new_items_cannot_be_asked_for_everything_is_read(server: StacServer, why: str) -> None:
    cursor: Cursor = {"updated": NEWER, "query": [[], [], None, None]}
    with _opened(server) as (source, _):
        changes, reading = _all(source, cursor)
    assert len(changes) == len(server.items)
    assert reading.complete
    assert why in reading.remarks[0]


def test_items_without_updated_leave_no_cursor() -> None:
    with _opened(StacServer([*_dated(), item(1)])) as (source, _):
        assert _all(source)[1].cursor is None


def test_an_item_from_the_future_does_not_hide_those_that_come() -> None:
    ahead = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    with _opened(StacServer([item(1, updated=ahead)])) as (source, _):
        cursor = _all(source)[1].cursor
    assert cursor is not None
    assert datetime.fromisoformat(cursor["updated"]) < datetime.now(UTC)


def test_since_reads_what_is_newer_and_keeps_the_old_cursor() -> None:
    server = StacServer([*_dated(), item(1, updated=NEWER) | {"id": "new"}])
    old: Cursor = {"updated": "2025-01-01T00:00:00.000Z", "query": [[], [], None, None]}
    with _opened(server, since=datetime(2025, 5, 1, tzinfo=UTC)) as (source, _):
        changes, reading = _all(source, old)
    assert _ids(changes) == ["new"]
    assert reading.cursor == old
    assert not reading.complete


# ------------------------------------------------------------------------------------------------- what it is at all


def test_a_collection_of_an_api_is_told_apart_from_a_static_one() -> None:
    root = {"rel": "root", "href": "https://stac.example.org/"}
    collection = {"type": "Collection", "id": "odd", "links": [root, {"rel": "items", "href": "x"}]}
    with (
        serving(lambda _: as_json(collection)) as server,
        pytest.raises(UsageError, match=re.escape("(https://stac.example.org/) and --collection odd")),
    ):
        open_source(server.url + "/collections/odd")


def test_what_is_neither_is_a_usage_error() -> None:
    with (
        serving(lambda _: as_json({"hello": "world"})) as server,
        pytest.raises(UsageError, match="neither a STAC API"),
    ):
        open_source(server.url)


def test_the_name_holds_neither_login_nor_slash() -> None:
    with serving(StacServer(_dated())) as server:
        source = open_source(server.url.replace("//", "//me:secret@") + "/")
    assert source.name == server.url
    assert source.location == server.url + "/"
