"""History in terms of STAC objects, by number, name and date; going back is a step forward."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stac_rucio_sync.catalog.comparison import Difference, FileChange
from stac_rucio_sync.catalog.fields import FieldChange
from stac_rucio_sync.catalog.history import changes_of, compare, history_of, log, rollback
from stac_rucio_sync.catalog.index import ObjectKey
from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.catalog.trees import TreeEdits
from stac_rucio_sync.errors import TransientError, UsageError
from tests.catalog.examples import collection, item

BEGIN = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
"""Later than the first commit, which is made now; commits never go back in time."""


@pytest.fixture(params=["filesystem", "git"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """Five versions: empty; a and b; a changed; b moved with its file; a gone."""
    with Repository.create(tmp_path / "repository", backend=request.param, identifier="archive") as made:
        with transaction(made, author="Ada") as changes:
            changes.put_collection(collection("fields"))
            changes.put_collection(collection("old"))
            changes.put_item(item("a"))
            changes.put_item(item("b"), assets={"raw/b.txt": changes.writing.put_file(b"one")})
            changes.commit("a, b", when=BEGIN)
            changes.put_item(item("a", gsd=3.0))
            changes.commit("a again\n\nIn other words.", when=BEGIN + timedelta(days=1))
            (b,) = made.head().find("b")
            changes.move(b, "old/collection.json")
            changes.commit("b away", when=BEGIN + timedelta(days=2))
            (a,) = made.head().find("a")
            changes.remove(a)
            changes.commit("no a", when=BEGIN + timedelta(days=3))
        yield made


def of_items(differences: Iterator[Difference]) -> dict[str, Difference]:
    return {one.key.id: one for one in differences if one.key.kind == "item"}


def state(repository: Repository, ref: int | str | datetime) -> dict[str, object]:
    return {located.path: stac for located, stac in repository.version(ref).objects()}


def test_commits_are_listed_the_latest_first(repository: Repository) -> None:
    listed = list(log(repository))
    assert [one.number for one in listed] == [5, 4, 3, 2, 1]
    assert [one.commit.message.split("\n")[0] for one in listed][:4] == ["no a", "b away", "a again", "a, b"]
    assert listed[0].commit.author == "Ada"
    assert listed[1].counts["moved"] == 1
    assert "added" not in listed[1].counts
    assert listed[3].counts == {"added": 4}
    assert list(log(repository, 2)) == listed[:2]


def test_an_object_has_a_history_after_its_end(repository: Repository) -> None:
    events = list(history_of(repository, "a"))
    assert [(one.number, one.fate) for one in events] == [(5, "removed"), (3, "modified"), (2, "added")]
    assert events[0].key == ObjectKey("item", "fields", "a")
    assert list(history_of(repository, "fields/a")) == events
    assert list(history_of(repository, events[0].path)) == events
    assert list(history_of(repository, "a", 2)) == events[:2]


def test_a_move_is_one_event(repository: Repository) -> None:
    moved, added = history_of(repository, "b")
    assert (moved.fate, moved.number, moved.old_path, added.fate) == ("moved", 4, added.path, "added")
    assert moved.path.startswith("old/items/")


def test_what_never_was_has_no_history(repository: Repository) -> None:
    with pytest.raises(UsageError, match="there never was a nobody/x"):
        list(history_of(repository, "nobody/x"))


def test_ids_with_slashes_are_found_by_collection_and_id(repository: Repository) -> None:
    with transaction(repository) as changes:
        changes.put_item(item("x/y", "c/d"))
        changes.commit("slashes")
    assert [one.fate for one in history_of(repository, "x/y")] == ["added"]
    assert [one.key.id for one in history_of(repository, "c/d/x/y")] == ["x/y"]
    assert repository.head().find_one("c/d/x/y").key == ObjectKey("item", "c/d", "x/y")


def test_versions_are_had_by_number_name_and_date(repository: Repository) -> None:
    third = repository.version(3)
    assert third.number == 3
    for ref in (-3, "3", "-3", third.commit.oid, third.commit.oid[:8], BEGIN + timedelta(days=1, hours=5)):
        assert repository.version(ref).commit == third.commit
    assert repository.version(f"{BEGIN + timedelta(days=1):%Y-%m-%d}").commit == third.commit
    naive = (BEGIN + timedelta(days=1)).replace(tzinfo=None)
    assert repository.version(naive).commit == third.commit
    assert repository.version("HEAD").number == repository.version(None).number == 5
    for wrong in (0, 6, -6, "abcdef", "nonsense", datetime(1999, 1, 1, tzinfo=UTC)):
        with pytest.raises(UsageError, match="commit"):
            repository.version(wrong)


def test_a_short_name_of_digits_only_is_a_name(repository: Repository) -> None:
    for gsd in range(1, 1000):
        with transaction(repository) as changes:
            changes.put_item(item("c", gsd=float(gsd)))
            made = changes.commit("again")
        if made is not None and made.oid[:7].isdigit():
            break
    else:
        pytest.fail("no commit's name begins with seven digits")
    assert repository.version(made.oid[:7]).commit == made


def test_the_catalogue_is_opened_as_it_was(repository: Repository) -> None:
    def gsd(when: datetime) -> object:
        version = repository.version(when)
        return version.stac(version.find_one("a").path)["properties"].get("gsd")

    assert gsd(BEGIN) is None
    assert gsd(BEGIN + timedelta(days=1)) == gsd(BEGIN + timedelta(days=2, hours=23)) == 3.0
    with pytest.raises(UsageError, match="there is no a in the catalogue at commit 5"):
        gsd(BEGIN + timedelta(days=3))


def test_a_commit_says_what_it_changed_field_by_field(repository: Repository) -> None:
    second = of_items(changes_of(repository, repository.version(2)))
    assert {name: one.fate for name, one in second.items()} == {"a": "added", "b": "added"}
    assert second["b"].files == (FileChange("raw/b.txt", "added"),)
    third = {one.key.id: one for one in changes_of(repository, repository.version(3))}
    assert third["a"].fields == (FieldChange("/properties/gsd", "added", None, 3.0),)
    assert third["fields"].fields == (FieldChange("/summaries/gsd", "added", None, {"minimum": 3.0, "maximum": 3.0}),)
    assert set(third) == {"a", "fields"}
    fourth = of_items(changes_of(repository, repository.version(4)))
    assert (fourth["b"].fate, fourth["b"].fields, fourth["b"].files) == ("moved", (), ())
    assert fourth["b"].old_path == second["b"].path
    (first,) = changes_of(repository, repository.version(1))
    assert (first.key.kind, first.key.id, first.fate) == ("catalog", "archive", "added")


def test_two_versions_differ_either_way(repository: Repository) -> None:
    there = of_items(compare(repository, repository.version(2), repository.version(5)))
    back = of_items(compare(repository, repository.version(5), repository.version(2)))
    assert {name: one.fate for name, one in there.items()} == {"a": "removed", "b": "moved"}
    assert {name: one.fate for name, one in back.items()} == {"a": "added", "b": "moved"}
    assert there["b"].path == back["b"].old_path
    assert not list(compare(repository, repository.version(3), repository.version(3)))


def test_another_file_beside_an_item_is_a_change_of_the_item(repository: Repository) -> None:
    with transaction(repository) as changes:
        put = changes.writing.put_file
        assert changes.put_item(item("b"), assets={"raw/b.txt": put(b"two"), "c.txt": put(b"c")}) == "modified"
        changes.commit("b's file")
    assert [one.fate for one in history_of(repository, "b")] == ["modified", "moved", "added"]
    (difference,) = changes_of(repository, repository.head())
    assert difference.key.id == "b"
    assert difference.fields == ()
    assert difference.files == (FileChange("c.txt", "added"), FileChange("raw/b.txt", "modified"))


def test_an_item_that_changes_its_collection_where_it_lies_is_another_item(repository: Repository) -> None:
    """The files of a tree that came whole may do so."""
    (old,) = repository.head().find("b")
    with writer_lock(repository.place), repository.objects.writing() as writing:
        edits = TreeEdits(writing, repository.head().commit.tree)
        stac = repository.head().stac(old.path) | {"collection": "a new one"}
        edits.write(old.path, json.dumps(stac).encode())
        writing.save(edits.save(), "b is another's", "Ada", BEGIN + timedelta(days=4))
    assert [one.key.collection for one in repository.head().find("b")] == ["a new one"]
    assert [one.key.collection for one in repository.version(5).find("b")] == ["fields"]
    assert [(one.number, one.fate) for one in history_of(repository, "a new one/b")] == [(6, "added")]
    assert {(one.fate, one.key.collection) for one in changes_of(repository, repository.head())} == {
        ("removed", "fields"),
        ("added", "a new one"),
    }


def test_going_back_is_a_new_commit(repository: Repository) -> None:
    before = [one.commit for one in log(repository)]
    commit = rollback(repository, repository.version(2), author="Ada")
    assert commit is not None
    assert commit.message.startswith("Go back to commit 2 (")
    assert state(repository, "HEAD") == state(repository, 2)
    assert [one.commit for one in log(repository)] == [commit, *before]
    assert rollback(repository, repository.version(2)) is None
    assert {one.key.id for one in history_of(repository, "a")} == {"a"}
    assert next(history_of(repository, "a")).fate == "added"
    rollback(repository, repository.version(5), message="and again")
    assert state(repository, -1) == state(repository, 5)
    with transaction(repository) as changes:
        assert changes.put_item(item("c")) == "added"
        assert changes.commit("c") is not None


def test_going_back_waits_for_other_writers(repository: Repository) -> None:
    with writer_lock(repository.place), Repository(repository.place) as other, pytest.raises(TransientError):
        rollback(other, other.version(2), wait=0.1)
    assert repository.head().number == 5


@pytest.mark.parametrize("content", [None, b"", b"no database, but words" * 400])
def test_the_index_is_made_again_where_it_is_lost(repository: Repository, content: bytes | None) -> None:
    events = list(history_of(repository, "b"))
    place = repository.place
    repository.close()
    for path in place.glob("history.sqlite*"):
        path.unlink()
    if content is not None:
        (place / "history.sqlite").write_bytes(content)
    with Repository(place) as opened:
        assert list(history_of(opened, "b")) == events
    with Repository(place) as opened:
        assert list(history_of(opened, "b")) == events


def test_who_may_not_write_there_reads_the_history_all_the_same(repository: Repository) -> None:
    events = list(history_of(repository, "b"))
    place = repository.place
    repository.close()
    for path in place.glob("history.sqlite*"):
        path.unlink()
    (place / "history.sqlite").mkdir()  # stands for a folder without the right to write, which root always has
    with Repository(place) as opened:
        assert list(history_of(opened, "b")) == events
        with transaction(opened) as changes:
            changes.put_item(item("c"))
            changes.commit("c")
        assert [one.fate for one in history_of(opened, "c")] == ["added"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_history_is_opened_and_asked_at_once(tmp_path: Path) -> None:
    with Repository.create(tmp_path / "r") as made, transaction(made) as changes:
        for number in range(2000):
            changes.put_item(item(f"i{number % 100}", lon=number % 90, gsd=number))
            changes.commit(f"commit {number}")
    started = time.perf_counter()
    with Repository(tmp_path / "r") as opened:
        assert opened.head().number == 2001
        assert len(list(history_of(opened, "i7"))) == 20
    assert time.perf_counter() - started < 1
