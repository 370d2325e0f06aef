"""A PostgreSQL cluster with pgSphere for this folder, and a database for each test, copied from one template."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from stac_rucio_sync.lake.cluster import Cluster, database_url
from stac_rucio_sync.lake.home import DATABASE_ROLES, LakeHome, server_user
from stac_rucio_sync.lake.processes import Processes
from stac_rucio_sync.stores.tables.schema import apply_schema
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.disk import spare_the_disk
from tests.ports import free_port

TEMPLATE = "template_lake"
ROLES = ("postgres", "lake_ingest", "lake_reader", "lake_query", "lake_jobs")
"""Those that log in, in the order of the fields of `Database`."""


@dataclass
class Server:
    """The PostgreSQL part of an embedded lake, alone."""

    folder: Path
    port: int
    passwords: dict[str, str] = field(
        default_factory=lambda: {f"role:{role}": uuid.uuid4().hex for role in DATABASE_ROLES}
    )

    def __post_init__(self) -> None:
        home, user = LakeHome(self.folder), server_user()
        home.make(user)
        self._cluster = Cluster(home.postgres, user, Processes(home.run, home.log, user))

    def start(self) -> None:
        self._cluster.start(self.port, self.passwords)
        spare_the_disk(self.url("postgres", "postgres"))

    def stop(self) -> None:
        self._cluster.stop()

    def url(self, role: str, database: str) -> str:
        return database_url(role, self.passwords, self.port, database)


@dataclass(frozen=True)
class Database:
    """A database and the ways into it."""

    admin_url: str
    ingest_url: str
    reader_url: str
    query_url: str
    jobs_url: str


def make_server() -> Iterator[Server]:
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="stac-rucio-sync-postgres-"))
    server = Server(folder, port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def make_database(server: Server, template: str | None) -> Iterator[Database]:
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        copied = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + copied)
        try:
            yield Database(*(server.url(role, name) for role in ROLES))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The cluster that the tests of this folder share."""
    yield from make_server()


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    apply_schema(server.url("postgres", TEMPLATE))
    return TEMPLATE


@pytest.fixture
def empty_database(server: Server) -> Iterator[Database]:
    """A database without our schema."""
    yield from make_database(server, None)


@pytest.fixture
def database(server: Server, template: str) -> Iterator[Database]:
    """A database with our schema and no rows."""
    yield from make_database(server, template)


@pytest.fixture
def store(database: Database) -> Iterator[PostgresStore]:
    """The store, as the role that ingests."""
    store = PostgresStore.open(database.ingest_url)
    yield store
    store.close()


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection]:
    """A superuser's connection that sees what was committed."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        yield connection
