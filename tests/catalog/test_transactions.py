"""Transactions: all or nothing, every link right, at the cost of what is touched; the same for both backends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pystac
import pytest

from stac_rucio_sync.catalog.grafting import graft
from stac_rucio_sync.catalog.index import PAGE, ObjectKey
from stac_rucio_sync.catalog.paths import path_of_href
from stac_rucio_sync.catalog.repository import Repository, Version
from stac_rucio_sync.catalog.transaction import transaction
from tests.catalog.examples import Json, collection, item


@pytest.fixture(params=["filesystem", "git"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "repository", backend=request.param, identifier="archive") as made:
        yield made


def checked_out(version: Version, folder: Path) -> Path:
    """Write a version's files, without the hidden ones."""
    for path, entry in version.tree.files():
        if "/." not in f"/{path}":
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(version._repository.objects.file(entry.oid))
    return folder / "catalog.json"


_VALID: set[bytes] = set()
"""Documents that are valid: the schemas take long, and most documents of a version are those of the one before."""


def assert_valid(one: pystac.STACObject) -> None:
    """Validate what was read from a file, unless the same document was valid before."""
    said = Path(one.get_self_href() or "").read_bytes()
    if said not in _VALID:
        one.validate()
        _VALID.add(said)


def assert_sound(version: Version, folder: Path) -> dict[tuple[str | None, str], pystac.Item]:
    """Walk a version as pystac does; every link leads somewhere, up and down agree, all is valid."""
    root = pystac.Catalog.from_file(str(checked_out(version, folder)))
    found: dict[tuple[str | None, str], pystac.Item] = {}
    for catalog, _, items in root.walk():
        assert_valid(catalog)
        here = Path(catalog.get_self_href() or "")
        for one in items:
            assert_valid(one)
            key = (one.collection_id, one.id)
            assert key not in found
            found[key] = one
        for link in json.loads(here.read_bytes())["links"]:
            if link["rel"] in {"item", "child"}:
                below = (here.parent / link["href"]).resolve()
                up = [one for one in json.loads(below.read_bytes())["links"] if one["rel"] == "parent"]
                assert [(below.parent / one["href"]).resolve() for one in up] == [here.resolve()]
    files = {
        path
        for path in folder.rglob("*.json")
        if path.is_file() and json.loads(path.read_bytes()).get("type") == "Feature"
    }
    assert len(files) == len(found)
    return found


def test_items_go_to_the_collection_that_they_name(repository: Repository, tmp_path: Path) -> None:
    with transaction(repository) as changes:
        assert changes.put_collection(collection("fields")) == "added"
        for number in range(5):
            assert changes.put_item(item(f"f{number}", day=number + 1, lon=number)) == "added"
        assert changes.put_item(item("lonely", None)) == "added"
        assert changes.put_item(item("x", "made on the way")) == "added"
        commit = changes.commit("first items")
    assert commit is not None
    found = assert_sound(repository.head(), tmp_path / "out")
    assert {key[0] for key in found} == {"fields", None, "made on the way"}
    assert len(found) == 7
    fields = repository.head().stac("fields/collection.json")
    assert fields["extent"]["spatial"]["bbox"] == [[0, 0, 5, 21]]
    assert fields["summaries"]["platform"] == ["telescope"]
    made = repository.head().stac("made=20on=20the=20way/collection.json")
    assert made["extent"]["temporal"]["interval"] == [["2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"]]


def test_nothing_is_seen_before_the_commit_and_nothing_stays_without(repository: Repository) -> None:
    before = repository.objects.head()
    with transaction(repository) as changes:
        changes.put_item(item("a"))
        assert repository.objects.head() == before
    assert repository.objects.head() == before
    assert repository.head().find("a") == []


def test_an_item_that_is_the_same_is_unchanged(repository: Repository) -> None:
    with transaction(repository) as changes:
        changes.put_item(item("a"))
        changes.commit("a")
    with transaction(repository) as changes:
        assert changes.put_item(item("a")) == "unchanged"
        assert changes.commit("nothing") is None
        assert changes.put_item(item("a", gsd=3.0)) == "modified"
        assert changes.commit("a again") is not None
    (located,) = repository.head().find("a")
    stac = repository.head().stac(located.path)
    assert stac["properties"]["gsd"] == 3.0
    assert {link["rel"] for link in stac["links"]} == {"root", "parent", "collection", "license"}
    assert repository.head().stac("fields/collection.json")["summaries"]["gsd"] == {"minimum": 3.0, "maximum": 3.0}


def test_pages_are_divided_and_every_link_follows(repository: Repository, tmp_path: Path) -> None:
    with transaction(repository) as changes:
        for number in range(300):
            changes.put_item(item(f"i{number}", lon=number % 90))
        changes.commit("many")
        for number in range(300, 320):
            changes.put_item(item(f"i{number}", lon=95))
        changes.commit("more")
    found = assert_sound(repository.head(), tmp_path / "out")
    assert len(found) == 320
    fields = repository.head().stac("fields/collection.json")
    assert len([link for link in fields["links"] if link["rel"] == "child"]) == 16
    assert not [link for link in fields["links"] if link["rel"] == "item"]
    assert fields["extent"]["spatial"]["bbox"] == [[0, 20.0, 96, 21.0]]
    with transaction(repository) as changes:
        for number in range(310, 320):
            (located,) = repository.head().find(f"i{number}")
            changes.remove(located)
        changes.commit("fewer")
    assert len(assert_sound(repository.head(), tmp_path / "fewer")) == 310
    pages = [path for path, _ in repository.head().tree.files() if "/pages/" in path and path.endswith("/catalog.json")]
    assert all(repository.head().stac(path)[PAGE] for path in pages)


def test_a_removal_takes_its_sums_with_it(repository: Repository, tmp_path: Path) -> None:
    with transaction(repository) as changes:
        changes.put_item(item("west", lon=-100, day=1, platform="a"))
        changes.put_item(item("east", lon=100, day=9, platform="b"))
        changes.commit("two")
        (located,) = repository.head().find("east")
        changes.remove(located)
        changes.commit("one")
    fields = repository.head().stac("fields/collection.json")
    assert fields["extent"]["spatial"]["bbox"] == [[-100, 20.0, -99, 21.0]]
    assert fields["summaries"]["platform"] == ["a"]
    assert set(assert_sound(repository.head(), tmp_path / "out")) == {("fields", "west")}


def test_a_collection_goes_with_all_below_it(repository: Repository, tmp_path: Path) -> None:
    with transaction(repository) as changes:
        for number in range(280):
            changes.put_item(item(f"i{number}"))
        changes.put_item(item("other", "kept"))
        changes.commit("much")
        (fields,) = repository.head().find("fields")
        changes.remove(fields)
        changes.commit("little")
    assert set(assert_sound(repository.head(), tmp_path / "out")) == {("kept", "other")}
    assert not [path for path, _ in repository.head().tree.files() if path.startswith("fields/")]


def test_items_move(repository: Repository, tmp_path: Path) -> None:
    with transaction(repository) as changes:
        changes.put_collection(collection("a"))
        changes.put_item(item("x", "a"), assets={"notes/readme.txt": changes.writing.put_file(b"hello")})
        changes.commit("x in a")
        (located,) = repository.head().find("x")
        changes.put_collection(collection("b"))
        changes.move(located, "b/collection.json")
        changes.commit("x in b")
    assert_sound(repository.head(), tmp_path / "out")
    (located,) = repository.head().find("x")
    assert located.path.startswith("b/")
    beside = located.path.rsplit("/", 1)[0] + "/notes/readme.txt"
    assert repository.head().tree.read(beside) == b"hello"


def test_relative_hrefs_lead_where_they_led_when_an_item_moves(repository: Repository, tmp_path: Path) -> None:
    place = tmp_path / "tree"
    (place / "shared").mkdir(parents=True)
    (place / "shared" / "dark frame.fits").write_bytes(b"dark")
    tree: Json = {"type": "Catalog", "stac_version": "1.1.0", "id": "tree", "description": "A tree.", "links": []}
    x = item("x", None)
    x["assets"]["dark"] = {"href": "shared/dark%20frame.fits"}
    x["links"] = [{"rel": "root", "href": "./catalog.json"}, {"rel": "parent", "href": "./catalog.json"}]
    x["links"] += [{"rel": "derived_from", "href": "./y.json"}]
    y = item("y", None) | {"links": x["links"][:2]}
    tree["links"] = [{"rel": "item", "href": f"./{one}.json"} for one in "xy"]
    for name, stac in (("catalog", tree), ("x", x), ("y", y)):
        (place / f"{name}.json").write_text(json.dumps(stac))
    with transaction(repository) as changes:
        graft(changes, place, assets="copy")
        changes.put_collection(collection("b"))
        changes.commit("a tree")
        (located,) = repository.head().find("x")
        changes.move(located, "b/collection.json")
        changes.commit("x in b")
    version = repository.head()
    (located,) = version.find("x")
    stac = version.stac(located.path)
    dark = path_of_href(stac["assets"]["dark"]["href"], located.path)
    assert dark is not None
    assert version.tree.read(dark) == b"dark"
    assert stac["assets"]["image"] == x["assets"]["image"]
    (derived,) = [link for link in stac["links"] if link["rel"] == "derived_from"]
    other = path_of_href(derived["href"], located.path)
    assert other is not None
    assert version.stac(other)["id"] == "y"


def test_files_that_move_along_keep_their_names(repository: Repository) -> None:
    made = item("x", "a")
    made["assets"]["notes"] = {"href": "./notes/readme.txt"}
    with transaction(repository) as changes:
        changes.put_item(made, assets={"notes/readme.txt": changes.writing.put_file(b"hello")})
        changes.put_collection(collection("b"))
        changes.commit("x")
        (located,) = repository.head().find("x")
        changes.move(located, "b/collection.json")
        changes.commit("x in b")
    (located,) = repository.head().find("x")
    assert repository.head().stac(located.path)["assets"]["notes"] == {"href": "./notes/readme.txt"}


def test_history_names_what_changed(repository: Repository) -> None:
    with transaction(repository) as changes:
        changes.put_item(item("a"))
        changes.commit("a")
        changes.put_item(item("a", gsd=1))
        changes.put_item(item("b"))
        changes.commit("a, b")
        (located,) = repository.head().find("a")
        changes.remove(located)
        changes.commit("no a")
    fates = [(change.number, change.fate) for change in repository.index.changes("a")]
    assert fates == [(4, "removed"), (3, "modified"), (2, "added")]
    assert repository.version(3).find("a")
    assert not repository.version(-1).find("a")
    assert {change.key for change in repository.index.changes_of(3)} == {
        ObjectKey("item", "fields", "a"),
        ObjectKey("item", "fields", "b"),
        ObjectKey("collection", "", "fields"),
    }


IDS = [
    "../../../evil", "a/b", "CON", "con.json", "x" * 300, "\u00e9", "e\u0301", ".", "..", "-", "~", "a b", "A", "a",
    "ü" * 90, "x.", "=", "a=2Fb", "\\", "new\nline", "%2e%2e", "🛰",
]  # fmt: skip
TAKEN = ["items", "pages", "catalog.json", "collection.json"]


def test_any_id_stays_inside_and_comes_back_equal(repository: Repository, tmp_path: Path) -> None:
    with transaction(repository) as changes:
        for identifier in IDS:
            changes.put_item(item(identifier, "ids"))
            changes.put_item(item("x", f"c{identifier}"))
        for identifier in TAKEN:
            changes.put_item(item("x", identifier))
        changes.commit("ids")
    found = assert_sound(repository.head(), tmp_path / "out")
    assert {identifier for collection_id, identifier in found if collection_id == "ids"} == set(IDS)
    assert {collection_id for collection_id, _ in found} == {"ids", *TAKEN, *(f"c{identifier}" for identifier in IDS)}
    for identifier in IDS:
        assert len(repository.head().find(identifier, "ids")) == 1
    inside = set(Path(str(repository.place)).parent.iterdir())
    assert inside == {repository.place, tmp_path / "out"}


def test_a_clone_is_the_catalogue(tmp_path: Path) -> None:
    with Repository.create(tmp_path / "r") as repository, transaction(repository) as changes:
        for number in range(400):
            changes.put_item(item(f"i{number}", day=number % 28 + 1))
        changes.commit("all")
    subprocess.run(["git", "clone", "-q", str(tmp_path / "r"), str(tmp_path / "clone")], check=True)
    root = pystac.Catalog.from_file(str(tmp_path / "clone" / "catalog.json"))
    assert len(list(root.get_items(recursive=True))) == 400


def test_a_collection_that_is_put_as_it_was_or_as_it_became_is_unchanged(repository: Repository) -> None:
    with transaction(repository) as changes:
        changes.put_collection(collection("fields"))
        changes.put_item(item("a", lon=40))
        changes.put_item(item("b", lon=50))
        changes.commit("a, b")
        grown = repository.head().stac("fields/collection.json")
        assert grown["extent"]["spatial"]["bbox"] == [[0, 0, 51, 21]]
        assert changes.put_collection(collection("fields")) == "unchanged"
        assert changes.put_collection(grown) == "unchanged"
        (located,) = repository.head().find("b")
        changes.remove(located)
        assert changes.put_collection(collection("fields")) == "unchanged"
        changes.commit("a")
        assert repository.head().stac("fields/collection.json")["extent"]["spatial"]["bbox"] == [[0, 0, 41, 21]]
        wider = {"spatial": {"bbox": [[-9, 0, 1, 1]]}, "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}}
        assert changes.put_collection(collection("fields", extent=wider)) == "modified"
        changes.commit("wider")
    assert repository.head().stac("fields/collection.json")["extent"]["spatial"]["bbox"] == [[-9, 0, 41, 21]]
