from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Change, ItemBroken, ItemRead
from stac_rucio_sync.sources import Reading, ReadOptions, lines, open_source
from tests.unit.loopback import Answer, serving
from tests.unit.stac_server import item

SHARED = Path(__file__).parents[3] / "shared" / "data"
ITEMS = [item(number, "odd" if number % 2 else "even") for number in range(6)]
LINES = "".join(json.dumps(one) + "\n" for one in ITEMS).encode()
COLLECTION = {"type": "FeatureCollection", "features": ITEMS}


def _read(path: Path | str, **options: Any) -> tuple[list[Change], Reading]:
    reading = open_source(str(path), options=ReadOptions(**options)).read(None)
    return list(reading), reading


def _ids(changes: list[Change]) -> list[str]:
    return [change.stac["id"] for change in changes if isinstance(change, ItemRead)]


ALL = [one["id"] for one in ITEMS]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ndjson", LINES),
        ("a.jsonl", LINES.rstrip(b"\n")),
        ("a.ndjson", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n\r\n")),
        ("a.ndjson.gz", gzip.compress(LINES)),
        ("named-as-if-plain.ndjson", gzip.compress(LINES)),
        ("lines-after-all.json", LINES),
        ("a.json", json.dumps(COLLECTION).encode()),
        ("a.geojson", b"\xef\xbb\xbf" + json.dumps(COLLECTION, indent=2).encode()),
        ("a.json.gz", gzip.compress(json.dumps(COLLECTION).encode())),
        ("array.json", json.dumps(ITEMS).encode()),
    ],
)
def test_every_way_to_write_items_gives_the_same_items(tmp_path: Path, name: str, text: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    changes, reading = _read(path)
    assert [change.stac for change in changes if isinstance(change, ItemRead)] == ITEMS
    assert all(isinstance(change, ItemRead) and change.href is None for change in changes)
    assert reading.complete
    assert reading.fraction() == 1.0


def test_relative_hrefs_of_a_single_item_start_at_its_file(tmp_path: Path) -> None:
    path = tmp_path / "item.json"
    path.write_text(json.dumps(ITEMS[0]))
    assert _read(path)[0] == [ItemRead(ITEMS[0], str(path), str(path))]


def test_a_bad_line_is_counted_by_its_place_and_the_next_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    good = LINES.splitlines()
    path.write_bytes(b"\n".join([good[0], b"{broken", b"", b"[1]", b"\xff\xfe", good[1]]))
    changes, reading = _read(path)
    assert _ids(changes) == ALL[:2]
    broken = [change for change in changes if isinstance(change, ItemBroken)]
    assert [one.position for one in broken] == [f"{path}:{number}" for number in (2, 4, 5)]
    assert "not JSON" in broken[0].reason
    assert "array" in broken[1].reason
    assert not reading.complete  # the bad line may be an item that another run knew
    assert reading.remarks == ["3 documents or lines of the source cannot be read"]


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 2000)
    path = tmp_path / "a.ndjson"
    good = LINES.splitlines()
    path.write_bytes(b"\n".join([good[0], b'{"a":"' + b"x" * 9000 + b'"}', good[1]]))
    changes, _ = _read(path)
    assert _ids(changes) == ALL[:2]
    assert changes[1] == ItemBroken(f"{path}:2", "the line is longer than 2000 bytes")


@pytest.mark.parametrize("name", ["a.ndjson.gz", "a.json.gz"])
def test_a_gzip_that_is_cut_off_gives_what_it_has_and_then_fails(tmp_path: Path, name: str) -> None:
    many = [item(number % 20, note=str(hash(str(number)))) for number in range(2000)]
    text = "\n".join(map(json.dumps, many)) if "nd" in name else json.dumps({**COLLECTION, "features": many})
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode())[: -len(gzip.compress(text.encode())) // 2])
    reading = open_source(str(path)).read(None)
    got: list[Change] = []
    with pytest.raises(FatalError, match="cut off"):
        got.extend(reading)
    assert len(got) > 100
    assert not reading.complete


def test_a_feature_collection_of_any_length_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_WHOLE", 1000)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"links": [], **COLLECTION}))
    changes, reading = _read(path)
    # The types of numbers too: 10.0 must not come back as 10 or as a Decimal.
    assert repr([change.stac for change in changes if isinstance(change, ItemRead)]) == repr(ITEMS)
    assert reading.complete


@pytest.mark.parametrize("whole", [10, 10**9])
@pytest.mark.parametrize("text", ['{"type":"Topology"}', '"text"', "", "no json", "[", '{"features":{}}'])
def test_a_document_without_items_is_an_error_not_an_empty_source(
    tmp_path: Path, text: str, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_WHOLE", whole)
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FatalError, match=r"a\.json"):
        _read(path)


def test_one_page_of_a_search_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.json"
    path.write_text(json.dumps({**COLLECTION, "links": [{"rel": "next", "href": "https://a.org/2"}]}))
    changes, reading = _read(path)
    assert _ids(changes) == ALL
    assert not reading.complete
    assert "one page" in reading.remarks[0]


def test_other_collections_are_left_out_and_the_read_is_not_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    nameless = {key: value for key, value in item(9).items() if key != "collection"}
    path.write_bytes(LINES + json.dumps(nameless).encode())
    changes, reading = _read(path, collections=("odd",))
    assert _ids(changes) == ["item-1", "item-3", "item-5"]
    assert reading.filtered
    assert not reading.complete
    assert reading.remarks == []
    assert _ids(_read(path, collections=("items",))[0]) == ["item-9"]


def test_a_collection_that_the_source_has_no_item_of_is_remarked(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(LINES)
    changes, reading = _read(path, collections=("odd", "od"))
    assert _ids(changes) == ["item-1", "item-3", "item-5"]
    assert reading.remarks == ["the source has no item of the collection od: is that its id?"]


def test_standard_input_holds_lines_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(LINES)))
    monkeypatch.setattr("sys.stdin", stdin)
    source = open_source("-")
    assert _ids(list(source.read(None))) == ALL
    assert source.name == "standard input"
    assert not stdin.closed


@pytest.mark.parametrize("path", ["/items.ndjson", "/items.ndjson.gz?download=1", "/export", "/a.json"])
def test_a_file_at_a_url_is_read_whole_over_a_dropped_connection(path: str) -> None:
    text = gzip.compress(LINES) if "gz" in path else LINES if "nd" in path else json.dumps(COLLECTION).encode()
    # An URL whose name says nothing is looked at first.
    answers = [*([] if "nd" in path else [Answer(body=text)]), Answer(body=text, cut=50), Answer(body=text)]
    with serving(lambda _: answers.pop(0)) as server:
        source = open_source(server.url + path, options=ReadOptions(patience=Patience(backoff=0.01)))
        assert source.kind == "file"
        assert _ids(list(source.read(None))) == ALL


def test_what_is_no_source_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither catalog"):
        open_source(str(tmp_path))
    with pytest.raises(UsageError, match="no such file"):
        open_source(str(tmp_path / "absent.ndjson"))
    with pytest.raises(UsageError, match="only paths, http and https"):
        open_source("ftp://a.org/items.ndjson")


@pytest.mark.parametrize("options", [{"bbox": (0, 0, 1, 1)}, {"datetime": "2024/2025"}, {"filter": "a=1"}])
def test_a_file_refuses_what_only_a_server_can_select(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "a.ndjson").write_bytes(LINES)
    with pytest.raises(UsageError, match="STAC API"):
        open_source(str(tmp_path / "a.ndjson"), options=ReadOptions(**options))


def test_the_name_is_the_path_and_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.ndjson").write_bytes(LINES)
    (tmp_path / "latest.ndjson").symlink_to(tmp_path / "a.ndjson")
    monkeypatch.chdir(tmp_path)
    assert open_source("./x/../a.ndjson").name == str(tmp_path / "a.ndjson")
    assert open_source("latest.ndjson").name == str(tmp_path / "latest.ndjson")
    assert open_source("a.ndjson", name="wild").name == "wild"


def test_a_given_name_does_not_hide_where_a_line_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text("no json")
    (broken,) = open_source(str(path), name="wild").read(None)
    assert isinstance(broken, ItemBroken)
    assert broken.position == f"{path}:1"


def test_the_real_items_are_all_read() -> None:
    path = SHARED / "items.ndjson.gz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    reading = open_source(str(path)).read(None)
    assert sum(isinstance(change, ItemRead) for change in reading) == 6329
    assert reading.complete


def test_a_name_that_is_empty_is_refused(tmp_path: Path) -> None:
    """A script's variable that is not set must not make a second source of the same items."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(LINES)
    with pytest.raises(UsageError, match="name of the source is empty"):
        open_source(str(path), name=" ")
