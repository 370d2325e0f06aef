"""A repository, or a processor, may be kept to some operations: what is refused leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stac_rucio_sync.catalog.backup import backup
from stac_rucio_sync.catalog.history import rollback
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.restrictions import FILE, OPERATIONS, Restrictions, restrict, restrictions
from stac_rucio_sync.catalog.transaction import Transaction, transaction
from stac_rucio_sync.errors import FatalError, UsageError
from tests.catalog.examples import collection, item


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "repository") as made:
        with transaction(made) as changes:
            changes.put_collection(collection("other"))
            changes.put_item(item("a"))
            changes.commit("a")
        yield made


DO: dict[str, Callable[[Transaction, Repository], object]] = {
    "ingest": lambda changes, _: changes.put_item(item("b")),
    "update": lambda changes, _: changes.put_item(item("a", gsd=2)),
    "prune": lambda changes, repository: changes.remove(repository.head().find_one("a")),
    "move": lambda changes, repository: changes.move(repository.head().find_one("a"), "other/collection.json"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_only_what_is_allowed_is_done(repository: Repository, operation: str) -> None:
    restrict(repository.place, [operation])
    before = repository.head().commit
    for other in set(OPERATIONS) - {operation}:
        with transaction(repository) as changes:
            with pytest.raises(UsageError, match=f"does not allow to {other}, but {operation};.*catalog allow"):
                DO[other](changes, repository)
            with pytest.raises(UsageError, match=f"does not allow to {other}"):
                changes.commit("all the same")
        assert repository.head().commit == before
    with transaction(repository) as changes:
        DO[operation](changes, repository)
        assert changes.commit(operation) is not None


def test_collections_are_objects_like_others(repository: Repository) -> None:
    restrict(repository.place, ["update"])
    with transaction(repository) as changes:
        assert changes.put_collection(collection("other", title="Other")) == "modified"
        assert changes.put_item(item("a")) == "unchanged"
        assert changes.commit("other") is not None
        with pytest.raises(UsageError, match="does not allow to ingest"):
            changes.put_item(item("x", "a new one"))


def test_a_processor_may_be_kept_to_less(repository: Repository) -> None:
    restrict(repository.place, ["ingest"], processor="fits")
    with transaction(repository, processor="fits") as changes:
        changes.put_item(item("b"))
        changes.commit("b")
        with pytest.raises(UsageError, match="the processor fits does not allow to update, but ingest"):
            changes.put_item(item("b", gsd=1))
    for number, processor in enumerate(("stac", None)):
        with transaction(repository, processor=processor) as changes:
            changes.put_item(item("b", gsd=number))
            assert changes.commit("b") is not None
    restrict(repository.place, [])
    with (
        transaction(repository, processor="fits") as changes,
        pytest.raises(UsageError, match="this catalogue.*nothing"),
    ):
        changes.put_item(item("c"))


def test_going_back_may_be_anything(repository: Repository) -> None:
    restrict(repository.place, ["ingest", "update", "move"])
    with pytest.raises(UsageError, match="does not allow to prune"):
        rollback(repository, repository.version(1))
    restrict(repository.place, OPERATIONS)
    assert rollback(repository, repository.version(1)) is not None


def test_what_is_allowed_is_said_and_lifted(repository: Repository) -> None:
    assert restrictions(repository.place) == Restrictions()
    restrict(repository.place, ["move", "ingest"])
    made = restrict(repository.place, ["ingest"], processor="fits")
    assert restrictions(repository.place) == made
    assert made.as_json() == {"repository": ["ingest", "move"], "processors": {"fits": ["ingest"]}}
    assert restrict(repository.place, OPERATIONS, processor="fits").processors == {}
    with pytest.raises(UsageError, match="there is no operation fly, but ingest"):
        restrict(repository.place, ["fly"])


def test_it_is_a_rule_of_the_place(repository: Repository, tmp_path: Path) -> None:
    restrict(repository.place, ["ingest"])
    backup(repository, str(tmp_path / "backup"))
    assert restrictions(tmp_path / "backup") == Restrictions()


@pytest.mark.parametrize("content", ["", "[]", '{"repository": null}', '{"repository": [], "processors": []}'])
def test_a_rule_that_cannot_be_read_allows_nothing(repository: Repository, content: str) -> None:
    (repository.place / FILE).write_text(content)
    with pytest.raises(FatalError, match="operations.json"), transaction(repository):
        pass
