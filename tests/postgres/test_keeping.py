"""Backup and restore of tables and catalogues together: one instant, whole or not at all; a sync goes on from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg
import pytest

from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.keeping import Kept, back_up, lines_of, read_backup, restore
from stac_rucio_sync.model import ItemRead, ReadEnd
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.tables.schema import apply_schema, schema_is_current
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.catalog.examples import item
from tests.postgres.conftest import Database, Server, make_database
from tests.postgres.examples import settled_item, wanted_item
from tests.postgres.test_upgrade import FIRST_RELEASE, TABLES, rows_of

Rows = dict[str, list[dict[str, object]]]


@pytest.fixture
def target(server: Server) -> Iterator[Database]:
    """The database that a backup is restored to."""
    yield from make_database(server, None)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "survey") as made:
        yield made


def commit(repository: Repository, *names: str) -> str:
    with transaction(repository) as changes:
        for name in names:
            changes.put_item(item(name))
        made = changes.commit(f"Add {', '.join(names)}")
    assert made is not None
    return made.oid


def synced(store: PostgresStore, repository: Repository, cursor: str) -> None:
    """Leave in the tables what a sync of a version leaves."""
    location = str(repository.place)
    with store.lock_source("survey", kind="catalog", location=location):
        pass
    end = ReadEnd({"commit": cursor, "collections": []}, complete=True, started=datetime.now(UTC))
    store.commit("survey", [settled_item(wanted_item(number)) for number in (1, 2)], [], end)


def contents(url: str) -> Rows:
    with psycopg.connect(url) as connection:
        return {table: rows_of(connection, table) for table in TABLES}


def restored(target: Database, backup: Path, catalogues: Path) -> Kept:
    return restore(target.admin_url, backup, catalogues, epn_schema="epn", base_url=None)


def test_what_was_kept_comes_back_and_a_sync_goes_on_from_it(
    database: Database, store: PostgresStore, repository: Repository, target: Database, tmp_path: Path
) -> None:
    first = commit(repository, "a", "b")
    synced(store, repository, first)
    before = contents(database.admin_url)
    commit(repository, "c")  # the catalogue is ahead of the tables
    kept = back_up(database.admin_url, tmp_path / "backup")
    assert [(one.tables_at, one.head) for one in kept.catalogues] == [(first, repository.head().commit.oid)]
    assert first[:10] in "\n".join(lines_of(kept))
    shutil.rmtree(repository.place)

    told = restored(target, tmp_path / "backup", tmp_path / "home")
    assert schema_is_current(target.ingest_url)
    assert contents(target.admin_url) == before
    with psycopg.connect(target.reader_url) as connection:  # indexes, views and grants are there, too
        query = "SELECT count(*) FROM lake.obscore WHERE bound && '<(1.5d,20d),3d>'::scircle"
        assert connection.execute(query).fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM ivoa.obscore").fetchone() == (2,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM lake.quarantine")
    source = open_source(told.catalogues[0].folder, options=ReadOptions())
    reading = source.read({"commit": first, "collections": []})
    assert [one.stac["id"] for one in reading if isinstance(one, ItemRead)] == ["c"]


def test_a_backup_is_brought_in_step_and_holds_one_dump(
    database: Database, store: PostgresStore, repository: Repository, target: Database, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    synced(store, repository, commit(repository, "a"))
    back_up(database.admin_url, backup)
    synced(store, repository, second := commit(repository, "b"))
    kept = back_up(database.admin_url, backup)
    assert [path.name for path in backup.glob("*.dump")] == [kept.dump]
    assert kept.catalogues[0].tables_at == second
    assert read_backup(backup) == kept
    assert backup.stat().st_mode & 0o077 == 0
    restored(target, backup, tmp_path / "home")
    assert contents(target.admin_url) == contents(database.admin_url)


def test_tables_of_the_first_release_come_back_as_those_of_today(
    empty_database: Database, target: Database, tmp_path: Path
) -> None:
    with psycopg.connect(empty_database.admin_url) as connection:
        connection.execute(FIRST_RELEASE.read_bytes())
    back_up(empty_database.admin_url, tmp_path / "backup")
    restored(target, tmp_path / "backup", tmp_path / "home")
    assert schema_is_current(target.ingest_url)
    apply_schema(empty_database.admin_url)
    assert contents(target.admin_url) == contents(empty_database.admin_url)


def test_a_catalogue_that_is_elsewhere_is_told(database: Database, store: PostgresStore, tmp_path: Path) -> None:
    for name, kind, location in (("survey", "catalog", "/nowhere/survey"), ("api", "api", "https://stac.example.org")):
        with store.lock_source(name, kind=kind, location=location):
            pass
    kept = back_up(database.admin_url, tmp_path / "backup")
    assert kept.left_out == ["survey: /nowhere/survey is not on this machine; back it up where it is"]
    assert kept.catalogues == []


def test_a_catalogue_that_lacks_the_commit_of_the_tables_is_no_backup(
    database: Database, store: PostgresStore, repository: Repository, tmp_path: Path
) -> None:
    synced(store, repository, commit(repository, "a"))
    good = back_up(database.admin_url, tmp_path / "backup")
    synced(store, repository, "0" * 40)
    with pytest.raises(FatalError, match="0000000000, which .* has not"):
        back_up(database.admin_url, tmp_path / "backup")
    assert read_backup(tmp_path / "backup") == good  # the one before is whole
    assert len(list((tmp_path / "backup").glob("*.dump"))) == 1


def test_tables_that_are_there_are_not_written_over(
    database: Database, store: PostgresStore, repository: Repository, tmp_path: Path
) -> None:
    synced(store, repository, commit(repository, "a"))
    back_up(database.admin_url, tmp_path / "backup")
    before = contents(database.admin_url)
    with pytest.raises(UsageError, match="has a schema lake already"):
        restored(database, tmp_path / "backup", tmp_path / "home")
    assert contents(database.admin_url) == before
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("what", ["dump", "manifest", "catalogue", "nothing"])
def test_a_backup_that_is_damaged_is_refused_before_anything_is_made(
    what: str, database: Database, store: PostgresStore, repository: Repository, target: Database, tmp_path: Path
) -> None:
    synced(store, repository, commit(repository, "a"))
    backup = tmp_path / "backup"
    kept = back_up(database.admin_url, backup)
    if what == "dump":
        (backup / kept.dump).write_bytes((backup / kept.dump).read_bytes()[:-1])
    elif what == "manifest":
        (backup / "backup.json").write_bytes(orjson.dumps({"catalogues": []}))
    elif what == "catalogue":
        shutil.rmtree(backup / kept.catalogues[0].folder)
    else:
        (backup / "backup.json").unlink()
    with pytest.raises((FatalError, UsageError), match="holds no backup" if what == "nothing" else "damaged"):
        restored(target, backup, tmp_path / "home")
    with psycopg.connect(target.admin_url) as connection:
        assert connection.execute("SELECT to_regnamespace('lake')").fetchone() == (None,)


def test_a_folder_of_something_else_is_left_alone(database: Database, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        back_up(database.admin_url, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_database_without_our_tables_is_none_to_back_up(empty_database: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="db apply"):
        back_up(empty_database.admin_url, tmp_path / "backup")
    with pytest.raises(UsageError, match="holds no backup"):
        read_backup(tmp_path / "backup")
