"""Trees of any shape, with links as wrong as they come, through any order of changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stac_rucio_sync.catalog.exporting import export
from stac_rucio_sync.catalog.grafting import graft
from stac_rucio_sync.catalog.index import ObjectKey
from stac_rucio_sync.catalog.paths import path_of_href
from stac_rucio_sync.catalog.repository import Located, Repository, Version
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.errors import ItemError, UsageError
from tests.catalog.examples import collection, item
from tests.catalog.test_grafting import files_of, link

Json = dict[str, Any]
NAMES = st.sampled_from(["a", "b", "c d", "é", "items"])
TREES: st.SearchStrategy[Json] = st.recursive(
    st.just({}), lambda below: st.dictionaries(NAMES, below, min_size=1, max_size=3), max_leaves=6
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Json]:
    """Draw the documents of a tree: catalogues in folders, items beside them, links with and without errors."""
    made: dict[str, Json] = {}

    def add(folder: str, shape: Json, parent: str | None) -> None:
        kind = "catalog" if parent is None else draw(st.sampled_from(["catalog", "collection"]))
        path = f"{folder}{kind}.json"
        name = folder.strip("/") or "root"
        stac: Json = {"type": "Catalog", "stac_version": "1.1.0", "id": name, "description": "Any.", "links": []}
        if kind == "collection":
            stac = collection(name)
        made[path] = stac
        if parent is not None:
            _link(made, path, "parent", parent, draw)
            _link(made, parent, "child", path, draw)
        for one in draw(st.sets(NAMES, max_size=2)):
            below = f"{folder}{one}.json"
            made[below] = item(f"{folder}{one}", name if kind == "collection" else None)
            _link(made, below, "parent", path, draw)
            _link(made, path, "item", below, draw)
            if draw(st.booleans()) and parent is not None:
                _link(made, parent, "item", below, draw)  # it has two homes
        for one, inner in shape.items():
            add(f"{folder}{one}/", inner, path)
        if draw(st.integers(0, 4)) == 0:
            stac["links"].append(link("item", "./gone.json"))

    add("", draw(TREES), None)
    return made


def _link(made: dict[str, Json], start: str, rel: str, target: str, draw: st.DrawFn) -> None:
    """Add a link, or (one in five) none."""
    if draw(st.integers(0, 4)):
        ups = start.count("/")
        made[start]["links"].append(link(rel, "../" * ups + target))


def write(folder: Path, made: dict[str, Json]) -> Path:
    for path, stac in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(stac, indent=1))
    return folder


def links_down(version: Version) -> set[tuple[str, str]]:
    """Return the links down that lead to nothing."""
    found = set()
    for located, stac in version.objects():
        for one in stac["links"]:
            if one["rel"] in {"item", "child"}:
                target = path_of_href(one["href"], located.path)
                assert target is not None
                if version.tree.entry(target) is None:
                    found.add((located.path, target))
    return found


def keys(version: Version) -> dict[str, ObjectKey]:
    return {located.path: located.key for located, _ in version.objects()}


def assert_index_is_right(version: Version) -> None:
    for path, key in keys(version).items():
        assert Located(key, path) in version.find(key.id, key.collection)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.booleans())
def test_any_tree(data: st.DataObject, below_parent: bool) -> None:
    with TemporaryDirectory() as folder, Repository.create(Path(folder) / "r", backend="filesystem") as repository:
        _go_through(repository, Path(folder), data, "catalog.json" if below_parent else None)


def _go_through(repository: Repository, folder: Path, data: st.DataObject, parent: str | None) -> None:
    made = data.draw(documents())
    source = write(folder / "source", made)
    with transaction(repository) as changes:
        grafted = graft(changes, source, parent=parent)
        changes.commit("tree")
    inside = grafted.path.removesuffix("catalog.json")
    head = repository.head()
    assert {f"{inside}{path}" for path in made} | {"catalog.json"} == set(keys(head))
    assert grafted.nodes == len(made)
    gone = links_down(head)
    assert len(gone) == grafted.dangling.total
    assert_index_is_right(head)
    for _ in range(3):
        path = data.draw(st.sampled_from(sorted(keys(repository.head()))))
        key = keys(repository.head())[path]
        try:
            with transaction(repository) as changes:
                if key.kind != "item" and data.draw(st.booleans()):
                    changes.put_item(item(f"late-{path}", None), parent=path)
                else:
                    changes.remove(Located(key, path))
                changes.commit("change")
        except UsageError:
            continue
        # What goes leaves no link behind.
        assert links_down(repository.head()) <= gone
        assert_index_is_right(repository.head())
    _renew(repository, source, grafted.path, data, parent)
    export(repository.head(), folder / "out")
    with Repository.create(folder / "again") as again:
        with transaction(again) as changes:
            graft(changes, folder / "out")
            changes.commit("export")
        export(again.head(), folder / "out again")
    assert files_of(folder / "out") == files_of(folder / "out again")


def _renew(
    repository: Repository, source: Path, at: str, data: st.DataObject, parent: str | None
) -> None:  # fmt: skip
    """Put another tree in the place of the first."""
    late = {path for path, key in keys(repository.head()).items() if key.id.startswith("late-")}
    shutil.rmtree(source)
    made = data.draw(documents())
    write(source, made)
    refused = ""
    try:
        with transaction(repository) as changes:
            grafted = graft(changes, source, parent=parent, at=at)
            changes.commit("tree again")
    except ItemError as error:
        refused = str(error)
    if refused:
        assert "was put below" in refused or "no longer has" in refused
        return
    head = repository.head()
    inside = at.removesuffix("catalog.json")
    assert {f"{inside}{path}" for path in made} | late | {"catalog.json"} == set(keys(head))
    assert len(links_down(head)) == grafted.dangling.total
    for path in late:
        (up,) = [one["href"] for one in head.stac(path)["links"] if one["rel"] == "parent"]
        home = path_of_href(up, path)
        assert home is not None
        assert path in {path_of_href(one["href"], home) for one in head.stac(home)["links"] if one["rel"] == "item"}
    assert_index_is_right(head)
