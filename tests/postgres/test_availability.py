"""What /availability says: only what was just proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import psycopg
import pytest
from lxml import etree

from datalink.description import availability_of as links_availability
from datalink.soda.description import availability_of as cutouts_availability
from obscore_tap.services import Services, open_services
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.mirror import Mirror
from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.postgres.conftest import Database

STARTED = datetime(2026, 1, 2, tzinfo=UTC)
_AVAILABILITY = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}"


def said(document: bytes) -> tuple[bool, list[str]]:
    root = etree.fromstring(document)
    available = root.findtext(f"{_AVAILABILITY}available") == "true"
    assert (root.find(f"{_AVAILABILITY}upSince") is not None) == available
    return available, [note.text for note in root.iter(f"{_AVAILABILITY}note")]


class Opener:
    """Opens what a test asks, and closes it at its end."""

    def __init__(self) -> None:
        self.stack = ExitStack()

    def services(self, database: Database, **urls: str) -> Services:
        given = {"query_url": database.query_url, "jobs_url": database.jobs_url} | urls
        return self.stack.enter_context(closing(open_services(Settings.model_validate({"database": given}))))

    def mirror(self, database: Database) -> Mirror:
        return self.stack.enter_context(closing(Mirror.open(database.reader_url)))


@pytest.fixture
def opened() -> Iterator[Opener]:
    opener = Opener()
    with opener.stack:
        yield opener


@pytest.fixture
def prepared(database: Database) -> Database:
    apply_schema(database.admin_url)  # a template does not hand on the privileges of the database itself
    return database


NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
MISSING = "it is missing, or of another version"


def test_services_whose_tables_answer_are_available(opened: Opener, prepared: Database) -> None:
    assert said(opened.services(prepared).availability()) == (True, [])


def test_a_database_that_is_gone_makes_them_unavailable_and_one_that_comes_back_available(
    opened: Opener, prepared: Database, admin: psycopg.Connection
) -> None:
    services = opened.services(prepared)
    assert said(services.availability())[0]
    admin.execute("ALTER ROLE lake_query NOLOGIN")
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lake_query'")
    try:
        available, (note,) = said(services.availability())
        assert (available, note.startswith("the database ")) == (False, True), note
    finally:
        admin.execute("ALTER ROLE lake_query LOGIN")
    assert said(services.availability()) == (True, [])


def test_a_database_that_never_was_there(opened: Opener, prepared: Database) -> None:
    available, notes = said(opened.services(prepared, query_url=NOWHERE).availability())
    assert (available, len(notes)) == (False, 1)


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("DROP VIEW tap_published.replica", "lake.replica"),
        ("ALTER TABLE lake.obscore RENAME TO other", "ivoa.obscore"),
        ("ALTER TABLE lake.obscore RENAME COLUMN s_ra TO ra", "ivoa.obscore"),
        ("REVOKE SELECT ON lake.obscore FROM lake_query; REVOKE SELECT (s_ra) ON lake.obscore FROM lake_query",
         "ivoa.obscore"),
        ("DROP TABLE tap_published.columns CASCADE", "tap_schema.columns"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_named(
    opened: Opener, prepared: Database, admin: psycopg.Connection, statement: str, table: str
) -> None:
    services = opened.services(prepared)
    admin.execute(statement)
    available, notes = said(services.availability())
    assert not available
    assert f"the table {table} cannot be read: {MISSING}" in notes


def test_tables_of_another_version_that_answer_are_available_with_a_note(
    opened: Opener, prepared: Database, admin: psycopg.Connection
) -> None:
    admin.execute("UPDATE lake.schema_version SET checksum = 'older' WHERE file = '050_obscore.sql'")
    for document in (
        opened.services(prepared).availability(),
        links_availability(opened.mirror(prepared), STARTED),
        cutouts_availability(opened.mirror(prepared), STARTED),
    ):
        available, notes = said(document)
        assert available
        assert any("of another version" in note for note in notes)


def test_queries_without_jobs_are_available_with_a_note(
    opened: Opener, prepared: Database, admin: psycopg.Connection
) -> None:
    services = opened.services(prepared)
    admin.execute("ALTER TABLE uws.job RENAME TO other")
    available, (note,) = said(services.availability())
    assert available
    assert note.startswith("asynchronous queries and uploaded tables cannot be had")
    available, (note,) = said(opened.services(prepared, jobs_url=NOWHERE).availability())
    assert available
    assert note.startswith("asynchronous queries and uploaded tables cannot be had")


@pytest.mark.parametrize("availability", [links_availability, cutouts_availability])
def test_links_and_cut_outs_are_available_as_long_as_the_mirror_answers(
    opened: Opener, prepared: Database, admin: psycopg.Connection, availability: Callable[[Mirror, datetime], bytes]
) -> None:
    mirror = opened.mirror(prepared)
    available, notes = said(availability(mirror, STARTED))
    assert available
    assert any("nobody watches Rucio" in note for note in notes)
    admin.execute("ALTER ROLE lake_reader NOLOGIN")
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lake_reader'")
    try:
        assert said(availability(mirror, STARTED)) == (False, ["the database cannot be reached"])
    finally:
        admin.execute("ALTER ROLE lake_reader LOGIN")
    assert said(availability(mirror, STARTED))[0]
    admin.execute("ALTER TABLE lake.replica RENAME TO other")
    assert said(availability(mirror, STARTED)) == (
        False,
        ["the tables cannot be read: they are missing, or of another version"],
    )


def test_an_empty_database_is_not_available(opened: Opener, empty_database: Database) -> None:
    available, notes = said(opened.services(empty_database).availability())
    assert not available
    assert f"the table ivoa.obscore cannot be read: {MISSING}" in notes
    available, (note,) = said(links_availability(opened.mirror(empty_database), STARTED))
    assert not available
    assert "missing" in note
