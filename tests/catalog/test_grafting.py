"""Static catalogues come in whole, keep their layout, and go out as they came; the same for both backends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pystac
import pytest

from stac_rucio_sync.catalog.exporting import export
from stac_rucio_sync.catalog.grafting import Grafted, graft
from stac_rucio_sync.catalog.index import ObjectKey
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.errors import ItemError
from tests.catalog.examples import collection, item

TREES = Path(__file__).parents[2].parent / "shared" / "data" / "tree"
Json = dict[str, Any]


@pytest.fixture(params=["filesystem", "git"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "repository", backend=request.param, identifier="archive") as made:
        yield made


def written(folder: Path, documents: dict[str, Json]) -> Path:
    for path, stac in documents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        # Not as the catalogue itself would write it: what keeps its bytes can be told from what was written anew.
        (folder / path).write_text(json.dumps(stac, indent=3) + "\n\n")
    return folder


def link(rel: str, href: str) -> Json:
    return {"rel": rel, "href": href, "type": "application/json"}


def survey(folder: Path, *, items: tuple[str, ...] = ("a", "b")) -> Path:
    """Write a catalogue of one collection; the item b does not say who its parent is."""
    documents: dict[str, Json] = {
        "catalog.json": {
            "type": "Catalog", "stac_version": "1.1.0", "id": "survey", "description": "A survey.",
            "links": [link("root", "./catalog.json"), link("child", "deep/collection.json")],
        },
        "deep/collection.json": collection("deep")
        | {"links": [link("root", "../catalog.json"), link("parent", "../catalog.json")]
           + [link("item", f"./{one}/{one}.json") for one in items]},
    }  # fmt: skip
    for one in items:
        own = [link("root", "../../catalog.json"), link("collection", "../collection.json")]
        parent = [] if one == "b" else [link("parent", "../collection.json")]
        documents[f"deep/{one}/{one}.json"] = item(one, "deep") | {"links": own + parent}
    return written(folder, documents)


def taken(repository: Repository, place: Path, **options: Any) -> Grafted:
    with transaction(repository) as changes:
        grafted = graft(changes, place, **options)
        changes.commit(f"Take in {place.name}")
    return grafted


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def exported(repository: Repository, folder: Path, **options: Any) -> dict[str, bytes]:
    export(repository.head(), folder, **options)
    return files_of(folder)


def test_a_tree_becomes_an_empty_catalogue_and_goes_out_byte_for_byte(repository: Repository, tmp_path: Path) -> None:
    place = survey(tmp_path / "survey")
    grafted = taken(repository, place)
    assert (grafted.path, grafted.fate, grafted.nodes, grafted.remarks()) == ("catalog.json", "added", 4, ())
    assert exported(repository, tmp_path / "out") == files_of(place)
    assert taken(repository, place).fate == "unchanged"


def test_a_tree_goes_below_a_parent_and_its_links_follow(repository: Repository, tmp_path: Path) -> None:
    with transaction(repository) as changes:
        changes.put_collection(collection("others"))
        changes.commit("others")
    place = survey(tmp_path / "survey")
    grafted = taken(repository, place, parent="others/collection.json")
    assert grafted.path == "others/survey/catalog.json"
    assert set(exported(repository, tmp_path / "out")) == {
        "catalog.json", "others/collection.json", *(f"others/survey/{path}" for path in files_of(place))
    }  # fmt: skip
    root = pystac.Catalog.from_file(str(tmp_path / "out" / "catalog.json"))
    assert {one.id for one in root.get_items(recursive=True)} == {"a", "b"}
    root.validate_all()
    if repository.backend == "git":
        checked = subprocess.run(
            ["git", "-C", repository.place, "fsck", "--strict"], capture_output=True, text=True, check=True
        )
        assert "dangling" not in checked.stdout + checked.stderr
    for path in (tmp_path / "out").rglob("*.json"):
        for one in json.loads(path.read_bytes())["links"]:
            if one["rel"] == "root":
                assert (path.parent / one["href"]).resolve() == (tmp_path / "out" / "catalog.json").resolve()
    (located,) = repository.head().find("a")
    assert located.key == ObjectKey("item", "deep", "a")


def test_what_links_get_wrong_is_reported_and_comes_along(repository: Repository, tmp_path: Path) -> None:
    place = survey(tmp_path / "survey")
    deep = json.loads((place / "deep/collection.json").read_bytes())
    deep["links"] = [one for one in deep["links"] if "/a/" not in one["href"]] + [link("item", "gone.json")]
    written(place, {"deep/collection.json": deep, "deep/a/other.json": {"any": "thing"}})
    (place / "deep/broken.json").write_text("{")
    (place / "notes.txt").write_text("notes")
    grafted = taken(repository, place)
    assert grafted.nodes == 4
    assert grafted.dangling.examples == ("deep/collection.json -> deep/gone.json",)
    assert grafted.orphans.examples == ("deep/a/a.json",)
    assert grafted.left == 3
    assert len(grafted.unreadable) == 1
    assert len(grafted.remarks()) == 4
    assert repository.head().find("a")


def test_the_file_of_a_root_stands_for_what_its_links_reach(repository: Repository, tmp_path: Path) -> None:
    place = survey(tmp_path / "survey")
    written(place, {"elsewhere/catalog.json": json.loads((place / "catalog.json").read_bytes())})
    grafted = taken(repository, place / "catalog.json")
    assert (grafted.nodes, grafted.orphans.total) == (4, 0)
    assert "elsewhere/catalog.json" not in exported(repository, tmp_path / "out")


def test_an_item_without_a_parent_link_leaves_no_link_behind(repository: Repository, tmp_path: Path) -> None:
    taken(repository, survey(tmp_path / "survey"))
    with transaction(repository) as changes:
        (located,) = repository.head().find("b")
        changes.remove(located)
        changes.commit("without b")
    exported(repository, tmp_path / "out")
    hrefs = [one["href"] for one in json.loads((tmp_path / "out/deep/collection.json").read_bytes())["links"]]
    assert "./b/b.json" not in hrefs
    assert "./a/a.json" in hrefs


def test_a_new_version_of_a_tree_replaces_it_and_what_was_put_below_it_stays(
    repository: Repository, tmp_path: Path
) -> None:
    place = survey(tmp_path / "survey")
    taken(repository, place)
    with transaction(repository) as changes:
        changes.put_item(item("late", "deep"))
        changes.commit("late")
    grafted = taken(repository, survey(tmp_path / "survey 2", items=("b", "c")), at="catalog.json")
    assert grafted.fate == "modified"
    exported(repository, tmp_path / "out")
    root = pystac.Catalog.from_file(str(tmp_path / "out" / "catalog.json"))
    assert {one.id for one in root.get_items(recursive=True)} == {"b", "c", "late"}
    assert not repository.head().find("a")
    assert repository.version(2).find("a")


def test_a_tree_does_not_drop_the_home_of_others(repository: Repository, tmp_path: Path) -> None:
    taken(repository, survey(tmp_path / "survey"))
    with transaction(repository) as changes:
        changes.put_item(item("late", "deep"))
        changes.commit("late")
    bare = tmp_path / "bare"
    written(bare, {"catalog.json": {**json.loads((tmp_path / "survey/catalog.json").read_bytes()), "links": []}})
    with pytest.raises(ItemError, match="no longer has deep/collection.json, below which 1 objects were put"):
        taken(repository, bare, at="catalog.json")


def test_a_folder_of_several_trees_gets_a_root(repository: Repository, tmp_path: Path) -> None:
    survey(tmp_path / "both" / "one")
    survey(tmp_path / "both" / "two")
    grafted = taken(repository, tmp_path / "both")
    assert grafted.repeated.total == 4
    exported(repository, tmp_path / "out")
    root = pystac.Catalog.from_file(str(tmp_path / "out" / "catalog.json"))
    assert root.id == "archive"
    assert len(list(root.get_items(recursive=True))) == 4
    with transaction(repository) as changes, pytest.raises(ItemError, match="lies at 2 places"):
        changes.put_item(item("a", "deep"))


def test_a_published_catalogue_comes_in_with_relative_links_and_goes_out_the_same(
    repository: Repository, tmp_path: Path
) -> None:
    base = "https://example.org/stac/"
    with transaction(repository) as changes:
        for number in range(4):
            image = changes.writing.put_file(b"image")
            stac = item(f"i{number}") | {"assets": {"image": {"href": "./images/im%20age.fits"}}}
            changes.put_item(stac, assets={"images/im age.fits": image})
        changes.commit("items")
    out = exported(repository, tmp_path / "out", base_url=base)
    for path, content in out.items():
        if path.endswith(".json"):
            said = json.loads(content)
            hrefs = {one["rel"]: one["href"] for one in said["links"]}
            assert hrefs["self"] == base + path
            assert all(href.startswith("https://example.org/") for href in hrefs.values())
            assert all(one["href"].startswith(base) for one in said.get("assets", {}).values())
    with Repository.create(tmp_path / "again", backend="git") as again:
        taken(again, tmp_path / "out", assets="copy")
        (located,) = again.head().find("i1")
        stac = again.head().stac(located.path)
        assert {one["href"] for one in stac["links"] if one["rel"] in {"root", "collection"}} == {
            one["href"] for one in repository.head().stac(located.path)["links"] if one["rel"] in {"root", "collection"}
        }
        assert stac["assets"]["image"]["href"] == "./images/im%20age.fits"
        assert exported(again, tmp_path / "out again", base_url=base) == out


def test_what_a_published_tree_has_elsewhere_stays_reachable(repository: Repository, tmp_path: Path) -> None:
    base = "https://example.org/stac/"
    place = survey(tmp_path / "survey")
    root = json.loads((place / "catalog.json").read_bytes())
    root["links"] += [link("self", f"{base}catalog.json"), link("child", f"{base}not%20here/collection.json")]
    written(place, {"catalog.json": root})
    stac = json.loads((place / "deep/a/a.json").read_bytes()) | {"assets": {"image": {"href": "../images/a.fits"}}}
    written(place, {"deep/a/a.json": stac})
    grafted = taken(repository, place)
    assert grafted.dangling.total == 0
    out = exported(repository, tmp_path / "out")
    hrefs = [one["href"] for one in json.loads(out["catalog.json"])["links"]]
    assert f"{base}not%20here/collection.json" in hrefs
    assert json.loads(out["deep/a/a.json"])["assets"]["image"]["href"] == f"{base}deep/images/a.fits"


def test_an_export_with_pages_comes_back_and_takes_more_items(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stac_rucio_sync.catalog.pages.MOST_MEMBERS", 3)
    with transaction(repository) as changes:
        for number in range(12):
            changes.put_item(item(f"i{number}"))
        changes.commit("items")
    out = exported(repository, tmp_path / "out")
    assert any("/pages/" in path for path in out)
    with Repository.create(tmp_path / "again", backend="git") as again:
        taken(again, tmp_path / "out")
        assert exported(again, tmp_path / "out again") == out
        with transaction(again) as changes:
            for number in range(12, 24):
                changes.put_item(item(f"i{number}"))
            (located,) = again.head().find("i3")
            changes.remove(located)
            changes.commit("more")
        exported(again, tmp_path / "more")
    root = pystac.Catalog.from_file(str(tmp_path / "more" / "catalog.json"))
    found = [one.id for one in root.get_items(recursive=True)]
    assert sorted(found) == sorted(f"i{number}" for number in range(24) if number != 3)


@pytest.mark.parametrize(
    ("name", "files", "dangling", "orphans"),
    [
        ("noaa-cdr", 120, 0, 2),
        ("pystac", 155, 0, 1),
        ("linz-elevation", 215, 30_509, 0),
        pytest.param("planet-open-stac", 10_772, 0, 0, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_real_catalogues_come_in_whole_and_go_out_the_same(
    name: str, files: int, dangling: int, orphans: int, tmp_path: Path
) -> None:
    if not TREES.is_dir():
        pytest.skip(f"{TREES} is not there")
    (tmp_path / "source").mkdir()
    subprocess.run(["tar", "-xzf", TREES / f"{name}.tar.gz", "-C", tmp_path / "source"], check=True)
    source = tmp_path / "source" / name
    with Repository.create(tmp_path / "repository", backend="git") as first:
        grafted = taken(first, source)
        assert (grafted.nodes, grafted.dangling.total, grafted.orphans.total) == (files, dangling, orphans)
        out = exported(first, tmp_path / "out")
    if (source / "catalog.json").exists():
        assert out == files_of(source)
    else:
        assert out.keys() == files_of(source).keys() | {"catalog.json"}
    with Repository.create(tmp_path / "again", backend="git") as again:
        taken(again, tmp_path / "out")
        assert exported(again, tmp_path / "out again") == out
