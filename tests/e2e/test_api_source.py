"""Items through a real STAC API server: rustac, in memory, which declares neither filter nor query nor sort."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import ItemRead
from stac_rucio_sync.sources import ReadOptions, open_source
from tests.e2e.annotated import stac_api

COUNT = 60


def _item(number: int) -> dict[str, Any]:
    longitude = -170.0 + 5 * number
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": f"scene {number}:a",
        "collection": "odd" if number % 2 else "even",
        "geometry": {"type": "Point", "coordinates": [longitude, 10.0]},
        "bbox": [longitude, 10.0, longitude, 10.0],
        "properties": {"datetime": f"2024-01-01T00:{number:02d}:00Z", "gsd": 2.5},
        "links": [],
        "assets": {"data": {"href": f"https://files.example.org/{number}.tif", "roles": ["data"]}},
    }


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running server with the items above."""
    folder = tmp_path_factory.mktemp("api")
    items = folder / "items.ndjson"
    items.write_text("".join(json.dumps(_item(number)) + "\n" for number in range(COUNT)))
    with stac_api(items, folder) as url:
        yield url


def _read(url: str, **options: Any) -> tuple[set[str], bool]:
    source = open_source(url, options=ReadOptions(page_size=7, **options))
    assert source.kind == "api"
    reading = source.read(None)
    changes = list(reading)
    assert all(isinstance(change, ItemRead) for change in changes)
    ids = [change.stac["id"] for change in changes if isinstance(change, ItemRead)]
    assert len(ids) == len(set(ids))
    return set(ids), reading.complete


def _ids(numbers: range) -> set[str]:
    return {f"scene {number}:a" for number in numbers}


def test_every_item_comes_once_over_many_pages(api: str) -> None:
    assert _read(api) == (_ids(range(COUNT)), True)


def test_the_content_is_what_the_item_says(api: str) -> None:
    changes = list(open_source(api).read(None))
    by_id = {change.stac["id"]: change for change in changes if isinstance(change, ItemRead)}
    for number in range(COUNT):
        wanted, got = _item(number), by_id[f"scene {number}:a"].stac
        for field in ("collection", "geometry", "bbox", "properties", "assets"):
            assert got[field] == wanted[field]


def test_what_item_search_must_select_by_is_selected(api: str) -> None:
    assert _read(api, collections=("odd",)) == (_ids(range(1, COUNT, 2)), False)
    assert _read(api, bbox=(-150.5, 0.0, -129.5, 20.0)) == (_ids(range(4, 9)), False)
    assert _read(api, datetime="2024-01-01T00:10:00Z/2024-01-01T00:19:30Z") == (_ids(range(10, 20)), False)


def test_a_filter_that_the_server_does_not_know_is_refused(api: str) -> None:
    with pytest.raises(UsageError, match="no filter extension"):
        _read(api, filter={"op": "=", "args": [{"property": "gsd"}, 2.5]})


def test_a_cursor_that_the_server_cannot_use_reads_everything(api: str) -> None:
    reading = open_source(api).read({"updated": "2024-06-01T00:00:00Z", "query": [[], [], None, None]})
    assert len(list(reading)) == COUNT
    assert reading.complete
    assert reading.cursor is None
    assert "read whole" in reading.remarks[0]
