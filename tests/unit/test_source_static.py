from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.errors import FatalError, TransientError, UsageError
from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Change, ItemBroken, ItemRead
from stac_rucio_sync.sources import Reading, ReadOptions, open_source
from tests.unit.loopback import Answer, Asked, serving
from tests.unit.stac_server import item

TREES = Path(__file__).parents[3] / "shared" / "data" / "tree"
HASTY = Patience(attempts=2, backoff=0.01, connect=1.0, read=1.0)


def _catalogue(*links: tuple[str, str], **fields: Any) -> dict[str, Any]:
    return {
        "type": "Catalog",
        "id": "c",
        "stac_version": "1.0.0",
        "description": "",
        "links": [{"rel": rel, "href": href} for rel, href in links],
        **fields,
    }


def _write(root: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def _read(location: Path | str, **options: Any) -> tuple[list[Change], Reading]:
    source = open_source(str(location), options=ReadOptions(patience=HASTY, **options))
    assert source.kind == "static"
    reading = source.read(None)
    return list(reading), reading


def _ids(changes: list[Change]) -> list[str]:
    return [change.stac["id"] for change in changes if isinstance(change, ItemRead)]


def _broken(changes: list[Change]) -> list[ItemBroken]:
    return [change for change in changes if isinstance(change, ItemBroken)]


NESTED = {
    "catalog.json": _catalogue(("root", "./catalog.json"), ("child", "a/collection.json"), ("item", "./0.json")),
    "a/collection.json": _catalogue(
        ("parent", "../catalog.json"), ("item", "deep/1.json"), ("child", "../b/catalog.json"), type="Collection"
    ),
    "b/catalog.json": _catalogue(("item", "2.json"), ("child", "../catalog.json"), ("item", "../a/deep/1.json")),
    "0.json": item(0),
    "a/deep/1.json": item(1),
    "b/2.json": item(2),
}


def test_nested_catalogues_with_a_cycle_and_a_double_link_give_each_item_once(tmp_path: Path) -> None:
    _write(tmp_path, NESTED)
    changes, reading = _read(tmp_path)
    assert _ids(changes) == ["item-1", "item-2", "item-0"]  # depth first, in the order of the links
    assert [change.href for change in changes if isinstance(change, ItemRead)] == [
        str(tmp_path / name) for name in ("a/deep/1.json", "b/2.json", "0.json")
    ]
    assert reading.complete
    assert reading.fraction() == 1.0


def test_the_same_catalogue_by_http_gives_the_same_items_in_the_same_order(tmp_path: Path) -> None:
    _write(tmp_path, NESTED)

    def files(asked: Asked) -> Answer:
        return Answer(body=(tmp_path / asked.path.lstrip("/")).read_bytes())

    with serving(files) as server:
        changes, reading = _read(server.url + "/catalog.json")
        assert _ids(changes) == ["item-1", "item-2", "item-0"]
        assert all(isinstance(change, ItemRead) and change.href == change.position for change in changes)
        assert changes[0].href == server.url + "/a/deep/1.json"  # type: ignore[union-attr]  # asserted above
    assert reading.complete


def test_links_may_be_absolute_percent_encoded_or_file_urls(tmp_path: Path) -> None:
    links = (("item", str(tmp_path / "x/0.json")), ("item", "with%20space.json"), ("item", f"file://{tmp_path}/2.json"))
    _write(
        tmp_path,
        {
            "collection.json": _catalogue(*links, type="Collection"),
            "x/0.json": item(0),
            "with space.json": item(1),
            "2.json": item(2),
        },
    )
    changes, reading = _read(tmp_path)
    assert _ids(changes) == ["item-0", "item-1", "item-2"]
    assert reading.complete


def test_what_a_link_leads_to_is_told_by_its_content(tmp_path: Path) -> None:
    old = {"id": "old", "stac_version": "0.7.0", "description": "", "links": [{"rel": "item", "href": "0.json"}]}
    collection = {"type": "FeatureCollection", "features": [item(1), item(2), 7]}
    _write(
        tmp_path,
        {
            "catalog.json": _catalogue(("child", "old.json"), ("item", "many.json")),
            "old.json": old,
            "0.json": item(0),
            "many.json": collection,
        },
    )
    changes, _ = _read(tmp_path / "catalog.json")
    assert _ids(changes) == ["item-0", "item-1", "item-2"]
    assert _broken(changes)[0].position == f"{tmp_path}/many.json#features/2"
    assert _ids(_read(tmp_path / "old.json")[0]) == ["item-0"]


def test_pages_of_items_are_followed_to_their_last() -> None:
    def pages(asked: Asked) -> Answer:
        number = int(asked.query.get("page", 0))
        if asked.path == "/":
            document = _catalogue(("items", "./items"))
        else:
            links = [{"rel": "next", "href": f"items?page={number + 1}"}] if number < 3 else []
            document = {"type": "FeatureCollection", "features": [item(number)], "links": links}
        return Answer(body=json.dumps(document).encode())

    with serving(pages) as server:
        changes, reading = _read(server.url + "/")
    assert _ids(changes) == ["item-0", "item-1", "item-2", "item-3"]
    assert reading.complete


def test_properties_that_old_items_leave_to_their_collection_are_filled_in(tmp_path: Path) -> None:
    collection = _catalogue(
        ("item", "0.json"),
        ("item", "1.json"),
        id="c",
        type="Collection",
        stac_version="0.8.1",
        properties={"platform": "coral", "gsd": 3},
    )
    old = {**item(0, gsd=5), "stac_version": "0.8.1"}
    _write(tmp_path, {"collection.json": collection, "0.json": old, "1.json": item(1)})
    first, second = (change.stac["properties"] for change in _read(tmp_path)[0] if isinstance(change, ItemRead))
    assert (first["platform"], first["gsd"]) == ("coral", 5)
    assert "platform" not in second


def test_every_broken_link_is_counted_with_what_links_to_what(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "catalog.json": _catalogue(
                ("child", "absent/catalog.json"),
                ("item", "bad.json"),
                ("item", "other.json"),
                ("item", ""),
                ("item", "good.json"),
                ("item", "http://[bad/x.json"),
            ),
            "bad.json": '{"type": "Feat',
            "other.json": {"type": "Topology"},
            "good.json": item(1),
        },
    )
    changes, reading = _read(tmp_path)
    assert _ids(changes) == ["item-1"]
    broken = {one.position.removeprefix(str(tmp_path)): one.reason for one in _broken(changes)}
    assert set(broken) == {
        "/catalog.json#links/3",
        "/catalog.json#links/5",
        "/absent/catalog.json",
        "/bad.json",
        "/other.json",
    }
    assert f"{tmp_path}/catalog.json links to it as child" in broken["/absent/catalog.json"]
    assert "no file" in broken["/absent/catalog.json"]
    assert "not JSON" in broken["/bad.json"]
    assert not reading.complete
    assert reading.remarks == ["5 documents or lines of the source cannot be read"]


@pytest.mark.parametrize(
    "href",
    ["../secret.json", "{root}/secret.json", "file://{root}/secret.json", "%2e%2e/secret.json", "s3://bucket/x.json"],
)
def test_a_local_catalogue_leads_nowhere_outside_of_its_folder(tmp_path: Path, href: str) -> None:
    _write(tmp_path, {"secret.json": item(1), "in/catalog.json": _catalogue(("item", href.format(root=tmp_path)))})
    changes, reading = _read(tmp_path / "in")
    assert _ids(changes) == []
    assert len(_broken(changes)) == 1
    assert not reading.complete


def test_a_catalogue_by_http_leads_to_no_local_file(tmp_path: Path) -> None:
    _write(tmp_path, {"0.json": item(0)})
    links = _catalogue(("item", f"file://{tmp_path}/0.json"))
    with serving(lambda _: Answer(body=json.dumps(links).encode())) as server:
        changes, _ = _read(server.url)
    assert _ids(changes) == []
    assert "lies outside" in _broken(changes)[0].reason


def test_a_local_catalogue_does_not_lead_to_private_addresses_unless_allowed(tmp_path: Path) -> None:
    with serving(lambda _: Answer(body=json.dumps(item(1)).encode())) as server:
        _write(tmp_path, {"catalog.json": _catalogue(("item", server.url + "/1.json"))})
        changes, _ = _read(tmp_path)
        assert "private or loopback" in _broken(changes)[0].reason
        assert server.asked == []
        assert _ids(_read(tmp_path, allow_private=True)[0]) == ["item-1"]


def test_a_missing_document_is_broken_and_a_lost_server_ends_the_read() -> None:
    many = _catalogue(*(("item", f"{number}.json") for number in range(20)))

    def missing(asked: Asked) -> Answer:
        if asked.path == "/catalog.json":
            return Answer(body=json.dumps(many).encode())
        number = int(asked.path[1:-5])
        return Answer(404) if number % 2 else Answer(body=json.dumps(item(number % 9)).encode())

    def gone(asked: Asked) -> Answer:
        return missing(asked) if asked.path == "/catalog.json" else Answer(503)

    with serving(missing) as server:
        changes, reading = _read(server.url + "/catalog.json")
        assert len(_ids(changes)) == len(_broken(changes)) == 10
        assert not reading.complete
    with serving(gone) as server, pytest.raises(TransientError):
        _read(server.url + "/catalog.json")


def test_links_start_where_the_catalogue_was_found_after_redirects() -> None:
    def moved(asked: Asked) -> Answer:
        if asked.path == "/old":
            return Answer(302, headers={"Location": "/new/place/catalog.json"})
        if asked.path == "/new/place/catalog.json":
            return Answer(body=json.dumps(_catalogue(("item", "./1.json"))).encode())
        return Answer(body=json.dumps(item(1)).encode()) if asked.path == "/new/place/1.json" else Answer(404)

    with serving(moved) as server:
        source = open_source(server.url + "/old")
        assert source.name == server.url + "/old"
        assert _ids(list(source.read(None))) == ["item-1"]


def test_a_login_in_the_url_is_used_and_shown_nowhere() -> None:
    def guarded(asked: Asked) -> Answer:
        if "Authorization" not in asked.headers:
            return Answer(401)
        document = _catalogue(("item", "1.json")) if asked.path == "/catalog.json" else item(1)
        return Answer(body=json.dumps(document).encode())

    with serving(guarded) as server:
        source = open_source(server.url.replace("//", "//me:secret@") + "/catalog.json")
        changes = list(source.read(None))
        assert _ids(changes) == ["item-1"]
        assert "secret" not in repr((source.name, source.location, changes))
        with pytest.raises(FatalError, match="401"):
            open_source(server.url + "/catalog.json")


def test_only_what_a_server_can_select_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, NESTED)
    with pytest.raises(UsageError, match="--bbox asks a STAC API"):
        _read(tmp_path, bbox=(0, 0, 1, 1))
    changes, reading = _read(tmp_path, collections=("none",))
    assert changes == []
    assert reading.filtered
    assert not reading.complete


@pytest.mark.parametrize(
    ("tree", "items", "dangling"),
    [
        ("noaa-cdr", 113, 0),
        ("pystac", 130, 0),
        pytest.param("linz-elevation", 0, 30509, marks=pytest.mark.slow),
        pytest.param("planet-open-stac", 10731, 0, marks=pytest.mark.slow),
    ],
)
def test_real_catalogues_give_all_their_items(tmp_path: Path, tree: str, items: int, dangling: int) -> None:
    archive = TREES / f"{tree}.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} is absent")
    with tarfile.open(archive) as packed:
        for member in packed.getmembers():
            if member.isfile() and (content := packed.extractfile(member)):
                path = tmp_path / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    found: Counter[type] = Counter()
    for root in _roots(tmp_path):
        changes, reading = _read(root)
        found.update(type(change) for change in changes)
        assert reading.complete == (not _broken(changes))
    assert (found[ItemRead], found[ItemBroken]) == (items, dangling)


def _roots(folder: Path) -> list[Path]:
    """The highest documents that are catalogues."""
    below = [folder / name for name in ("catalog.json", "collection.json") if (folder / name).is_file()]
    return below[:1] or [root for child in sorted(folder.iterdir()) if child.is_dir() for root in _roots(child)]
