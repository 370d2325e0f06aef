"""The index of the history may fail: the commits stand, that is said, and the file is made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stac_rucio_sync.catalog.index_file import INDEX
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from tests.catalog.examples import item


def put(repository: Repository, *identifiers: str) -> None:
    with transaction(repository) as changes:
        for identifier in identifiers:
            changes.put_item(item(identifier))
        assert changes.commit("more") is not None


def takes_no_more(repository: Repository) -> None:
    """As on a full disk, by SQLite's own limit."""
    connection = repository.index._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")


def is_damaged(repository: Repository) -> None:
    """All pages but the first, which is read when the file is opened."""
    repository.close()  # what SQLite keeps beside the file goes into it
    file = repository.place / INDEX
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * (file.stat().st_size - 4096))


@pytest.mark.parametrize("backend", ["git", "filesystem"])
@pytest.mark.parametrize("spoil", [takes_no_more, is_damaged])
def test_what_the_index_cannot_take_is_committed_and_indexed_by_the_next(
    tmp_path: Path, backend: str, spoil: Callable[[Repository], None], caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "r"
    many = [f"i{number}" for number in range(40)]
    with Repository.create(place, backend=backend) as repository:
        put(repository, *many)
        spoil(repository)
        put(repository, *(f"{one}-again" for one in many))
        put(repository, "last")
        assert repository.head().number == 4
        assert [repository.head().find(one) != [] for one in ("i0", "i39-again", "last")] == [True] * 3
        (warning,) = repository.warnings
    assert "the commits stand" in warning
    assert INDEX in warning
    assert [record.getMessage() for record in caplog.records] == [warning]
    with Repository(place) as repository:
        assert repository.head().number == 4
        assert repository.index.count_items(4) == 81
        assert not repository.index._is_in_memory
        assert repository.warnings == []
