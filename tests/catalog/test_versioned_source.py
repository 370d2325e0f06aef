"""The versioned catalogue as a source: what commits touched is read, and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from stac_rucio_sync.catalog.git_objects import GitObjects
from stac_rucio_sync.catalog.grafting import graft
from stac_rucio_sync.catalog.history import rollback
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.catalog.trees import TreeEdits
from stac_rucio_sync.commands.choosing import item_options, source_of
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import Change, Cursor, ItemBroken, ItemKey, ItemRead, ItemRemoved
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import Reading, ReadOptions, open_source
from tests.catalog.examples import collection, item

TREES = Path(__file__).parents[3] / "shared" / "data" / "tree"


@pytest.fixture(params=["git", "filesystem"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "repository", backend=request.param) as made:
        yield made


def commit(repository: Repository, **items: int | None) -> str:
    """Put items in a state that is given by a number, or take them away, in one commit; return its name."""
    with transaction(repository) as changes:
        for name, state in items.items():
            if state is not None:
                changes.put_item(item(name, state=state))
            else:
                changes.remove(repository.head().find(name)[0])
        made = changes.commit("Change some items")
    assert made is not None
    return made.oid


def read(repository: Repository, cursor: Cursor | None = None, **options: object) -> tuple[list[Change], Reading]:
    source = open_source(str(repository.place), options=ReadOptions(**options))  # type: ignore[arg-type] # any option
    assert source.kind == "catalog"
    reading = source.read(cursor)
    return list(reading), reading


def states(changes: list[Change]) -> dict[str, int]:
    return {one.stac["id"]: one.stac["properties"]["state"] for one in changes if isinstance(one, ItemRead)}


def contents(changes: Iterable[Change]) -> Counter[str]:
    """The items without the links, some of which the catalogue makes."""
    return Counter(str(one.stac | {"links": []}) for one in changes if isinstance(one, ItemRead))


def gone(changes: list[Change]) -> set[str]:
    return {one.key.id for one in changes if isinstance(one, ItemRemoved)}


def test_the_first_read_is_whole_and_its_cursor_is_the_commit(repository: Repository) -> None:
    first = commit(repository, a=1, b=1)
    last = commit(repository, b=2, c=1)
    changes, reading = read(repository)
    assert states(changes) == {"a": 1, "b": 2, "c": 1}
    assert {one.stac["id"]: one.commit for one in changes if isinstance(one, ItemRead)} == {
        "a": first,
        "b": last,
        "c": last,
    }
    assert reading.complete
    assert reading.fraction() == 1
    assert reading.cursor == {"commit": last, "collections": []}


def test_several_commits_are_read_as_one_difference(repository: Repository) -> None:
    commit(repository, a=1, b=1, c=1, d=1)
    _, before = read(repository)
    commit(repository, a=2, e=1)
    commit(repository, a=3, b=None, e=2, f=1)
    last = commit(repository, f=None, c=2)
    changes, reading = read(repository, before.cursor)
    assert states(changes) == {"a": 3, "c": 2, "e": 2}
    assert gone(changes) == {"b", "f"}
    assert len(changes) == 5
    assert not reading.complete  # what is not met is there all the same
    assert reading.cursor == {"commit": last, "collections": []}
    changes, reading = read(repository, reading.cursor)
    assert (changes, reading.begun, reading.remarks) == ([], None, [])


def test_links_and_pages_are_no_changes(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stac_rucio_sync.catalog.pages.MOST_MEMBERS", 3)
    commit(repository, **{f"i{number}": 1 for number in range(12)})
    _, before = read(repository)
    tree = repository.head().commit.tree
    commit(repository, **{f"j{number}": 1 for number in range(30)})
    commit(repository, **{f"j{number}": None for number in range(30)})
    assert repository.head().commit.tree != tree  # the pages were divided, and the items' links upward written again
    changes, _ = read(repository, before.cursor)
    assert (states(changes), len(gone(changes))) == ({}, 30)


@pytest.mark.parametrize("items", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_object_is_read_but_those_that_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, items: int) -> None:
    with Repository.create(tmp_path / "repository") as repository:
        commit(repository, **{f"i{number}": 1 for number in range(items)})
        _, before = read(repository)
        changed: dict[str, int | None] = {f"i{number * items // 20}": 2 for number in range(10)}
        removed: dict[str, int | None] = {f"i{items - 1 - number}": None for number in range(3)}
        commit(repository, **changed, **removed, new0=1, new1=1, new2=1, new3=1, new4=1)
        asked: list[str] = []
        answer = GitObjects.file

        def counted(objects: GitObjects, oid: str) -> bytes:
            asked.append(oid)
            return answer(objects, oid)

        monkeypatch.setattr(GitObjects, "file", counted)
        changes, _ = read(repository, before.cursor)
    assert (len(states(changes)), len(gone(changes))) == (15, 3)
    assert len(asked) == 15  # what is gone needs no look at all


def test_an_earlier_version_is_read_as_the_difference_backwards(repository: Repository) -> None:
    commit(repository, a=1, b=1, c=1)
    then = commit(repository, a=2, d=1)
    commit(repository, a=3, b=None, e=1)
    _, latest = read(repository)
    changes, reading = read(repository, latest.cursor, at="3")
    assert states(changes) == {"a": 2, "b": 1}
    assert gone(changes) == {"e"}
    assert reading.cursor == {"commit": then, "collections": []}
    changes, _ = read(repository, reading.cursor)
    assert (states(changes), gone(changes)) == ({"a": 3, "e": 1}, {"b"})
    changes, reading = read(repository, at=then[:10])
    assert states(changes) == {"a": 2, "b": 1, "c": 1, "d": 1}
    assert reading.complete


def test_an_item_names_the_commit_that_made_it_what_it_is_in_the_version_that_is_read(repository: Repository) -> None:
    first = commit(repository, a=1, b=1)
    commit(repository, a=2)
    _, latest = read(repository)
    changes, _ = read(repository, latest.cursor, at=first)
    (a,) = changes
    assert isinstance(a, ItemRead)
    assert a.commit == first


@pytest.mark.parametrize("version", [None, "4", "5"])
def test_what_a_run_that_was_cut_short_may_have_done_is_read_again(repository: Repository, version: str | None) -> None:
    """The tables may hold a part of a version that was never reached: that is undone, too."""
    commit(repository, a=1, b=1)
    _, before = read(repository)
    bad = commit(repository, a=9, x=1)
    _, cut_short = read(repository, before.cursor)
    assert cut_short.begun is not None
    rollback(repository, repository.version(2))
    commit(repository, b=2)
    changes, reading = read(repository, cut_short.begun, at=version)
    assert states(changes) == {"a": 1} | ({"b": 2} if version != "4" else {})
    assert gone(changes) == {"x"}
    assert bad not in str(reading.cursor)


def test_a_cut_short_run_backwards_is_taken_forward_again(repository: Repository) -> None:
    commit(repository, a=1, b=1)
    commit(repository, a=2)
    _, latest = read(repository)
    _, cut_short = read(repository, latest.cursor, at="2")
    changes, reading = read(repository, cut_short.begun)
    assert states(changes) == {"a": 2}
    assert reading.cursor == latest.cursor


def test_a_whole_read_that_was_cut_short_is_begun_again(repository: Repository) -> None:
    commit(repository, a=1)
    _, cut_short = read(repository)
    changes, reading = read(repository, cut_short.begun)
    assert states(changes) == {"a": 1}
    assert reading.complete
    assert any("cut short" in remark for remark in reading.remarks)


@pytest.mark.parametrize(
    "cursor",
    [{"commit": "0" * 40, "collections": []}, {"updated": "2020-01-01T00:00:00Z", "query": [[], [], None, None]}],
    ids=["vanished", "foreign"],
)
def test_a_cursor_that_is_no_commit_of_the_history_reads_everything(repository: Repository, cursor: Cursor) -> None:
    commit(repository, a=1)
    changes, reading = read(repository, cursor)
    assert states(changes) == {"a": 1}
    assert reading.complete
    assert any("no commit of its history" in remark for remark in reading.remarks)


def test_items_that_no_commit_touched_are_had_by_their_names(repository: Repository) -> None:
    commit(repository, a=1, b=1, c=1)
    _, first = read(repository)
    assert first.again is None
    commit(repository, b=2, c=None)
    _, reading = read(repository, first.cursor)
    assert reading.again is not None
    keys = [ItemKey("fields", name) for name in ("a", "b", "c", "never")]
    assert states(list(reading.again(keys))) == {"a": 1, "b": 2}


def test_full_reads_everything(repository: Repository) -> None:
    commit(repository, a=1)
    _, before = read(repository)
    changes, reading = read(repository, before.cursor, full=True)
    assert (states(changes), reading.complete, reading.remarks) == ({"a": 1}, True, [])


def test_another_selection_reads_everything_of_it(repository: Repository) -> None:
    with transaction(repository) as changes:
        for name in ("one", "two"):
            changes.put_collection(collection(name))
            changes.put_item(item(f"of-{name}", name, state=1))
        changes.put_item(item("bare", None, state=1))
        changes.commit("Begin")
    found, reading = read(repository, collections=("one", "items"))
    assert set(states(found)) == {"of-one", "bare"}
    assert not reading.complete
    commit(repository, new=1)  # of a third collection
    assert read(repository, reading.cursor, collections=("items", "one"))[0] == []
    found, again = read(repository, reading.cursor)
    assert set(states(found)) == {"of-one", "of-two", "bare", "new"}
    assert any("other collections" in remark for remark in again.remarks)


def test_which_items_a_version_lacks_is_known_without_reading_it(repository: Repository) -> None:
    commit(repository, a=1, b=1)
    commit(repository, b=None)
    source = open_source(str(repository.place), options=ReadOptions(collections=("fields",)))
    reading = source.read(None)
    assert reading.lacking is not None
    keys = [ItemKey("fields", "a"), ItemKey("fields", "b"), ItemKey("fields", "c"), ItemKey("others", "d")]
    assert list(reading.lacking(keys)) == keys[1:3]


def test_a_file_that_is_no_json_any_more_is_broken_and_not_gone(repository: Repository) -> None:
    commit(repository, a=1)
    _, before = read(repository)
    (a,) = repository.head().find("a")
    head = repository.head().commit
    with repository.objects.writing() as writing:
        edits = TreeEdits(writing, head.tree)
        edits.write(a.path, b'{"type": "Feature"')
        writing.save(edits.save(), "Pushed by hand", "somebody", head.when)
    changes, reading = read(repository, before.cursor)
    (broken,) = changes
    assert isinstance(broken, ItemBroken)
    assert a.path in broken.position
    assert reading.partial
    assert reading.lacking is not None
    assert list(reading.lacking([ItemKey("fields", "a")])) == []
    changes, reading = read(repository)
    assert [type(one) for one in changes] == [ItemBroken]
    assert not reading.complete


def test_a_bare_clone_goes_on_where_its_repository_was_left(tmp_path: Path) -> None:
    with Repository.create(tmp_path / "repository") as repository:
        commit(repository, a=1, b=1)
        _, before = read(repository)
        commit(repository, a=2, b=None)
    subprocess.run(["git", "clone", "--quiet", "--bare", repository.place, tmp_path / "clone"], check=True)
    with Repository(tmp_path / "clone") as clone:
        changes, _ = read(clone, before.cursor)
    assert (states(changes), gone(changes)) == ({"a": 2}, {"b"})


def test_a_moved_item_is_read_where_it_lies_now(repository: Repository) -> None:
    commit(repository, a=1)
    _, before = read(repository)
    with transaction(repository) as changes:
        changes.put_collection(collection("elsewhere"))
        (a,) = repository.head().find("a")
        changes.move(a, "elsewhere/collection.json")
        changes.commit("Move it")
    found, _ = read(repository, before.cursor)
    assert (states(found), gone(found)) == ({"a": 1}, set())


@pytest.mark.parametrize(("name", "items", "orphans"), [("pystac", 130, 0), ("noaa-cdr", 113, 2)])
def test_a_catalogue_that_came_whole_has_the_items_that_its_links_lead_to_and_its_orphans(
    tmp_path: Path, name: str, items: int, orphans: int
) -> None:
    if not (TREES / f"{name}.tar.gz").is_file():
        pytest.skip(f"{name}.tar.gz is not there")
    subprocess.run(["tar", "-xzf", TREES / f"{name}.tar.gz", "-C", tmp_path], check=True)
    roots = [tmp_path / name] if (tmp_path / name / "catalog.json").is_file() else list((tmp_path / name).iterdir())
    linked = contents(one for root in roots for one in open_source(str(root)).read(None))
    with Repository.create(tmp_path / "repository") as repository:
        with transaction(repository) as changes:
            graft(changes, tmp_path / name)
            changes.commit("Take it in")
        found, reading = read(repository)
    assert reading.complete
    met = contents(found)
    assert linked.total() == items
    assert linked - met == Counter()
    assert (met - linked).total() == orphans


def test_an_old_item_has_the_properties_that_it_leaves_to_its_collection(
    repository: Repository, tmp_path: Path
) -> None:
    old = {"stac_version": "0.8.1", "links": []}
    documents = {
        "catalog.json": {"id": "old", "description": "", **old, "links": [{"rel": "child", "href": "c/catalog.json"}]},
        "c/catalog.json": collection("fields", properties={"gsd": 2.5})
        | old
        | {"links": [{"rel": "item", "href": "a.json"}]},
        "c/a.json": item("a", state=1) | old,
    }
    for path, stac in documents.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(json.dumps(stac))
    _, before = read(repository)
    with transaction(repository) as changes:
        graft(changes, tmp_path / "tree")
        changes.commit("Take it in")
    for cursor in (None, before.cursor):
        ((one,), _) = read(repository, cursor)
        assert isinstance(one, ItemRead)
        assert one.stac["properties"]["gsd"] == 2.5


def test_what_is_no_repository_or_no_version_is_said(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no commit"):
        read(repository, at="77")
    with pytest.raises(UsageError, match="--bbox"):
        open_source(str(repository.place), options=ReadOptions(bbox=(0, 0, 1, 1)))
    with pytest.raises(UsageError, match="no repository"):
        open_source(str(tmp_path), options=ReadOptions(kind="catalog"))
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    (clone / "catalog.json").write_text('{"type": "Catalog", "id": "c", "links": []}')
    assert open_source(str(clone)).kind == "static"
    with pytest.raises(UsageError, match="work tree"):
        open_source(str(clone), options=ReadOptions(kind="catalog"))
    with pytest.raises(UsageError, match="--at"):
        open_source(str(clone), options=ReadOptions(at="1"))


def test_copies_are_asked_for_of_any_version_and_under_any_name(repository: Repository) -> None:
    """The options of fetch, replicate and rules mean what those of sync mean."""
    then = commit(repository, a=1, b=1)
    commit(repository, a=2, b=None)

    @click.command()
    @item_options
    def asked(**options: object) -> None:
        source = source_of(str(repository.place), Settings(), options)
        click.echo(f"{source.name} {sorted(states(list(source.read(None))).items())}")

    latest = CliRunner().invoke(asked, [], catch_exceptions=False).stdout
    assert latest == f"{repository.place} [('a', 2)]\n"
    earlier = CliRunner().invoke(asked, ["--at", then, "--name", "survey"], catch_exceptions=False).stdout
    assert earlier == "survey [('a', 1), ('b', 1)]\n"
