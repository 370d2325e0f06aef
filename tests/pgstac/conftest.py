"""Opt-in: these tests need PostGIS and a server environment of their own, which `make test-pgstac` brings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.homes import session_home
from tests.pgstac.catalogue import COLLECTIONS, an_item, everything
from tests.pgstac.server import PgstacServer, running

OPT_IN = "STAC_RUCIO_SYNC_PGSTAC"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what lies in this folder, with the reason, unless it is asked for."""
    if os.environ.get(OPT_IN) == "1":
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="opt-in: make test-pgstac"))


@pytest.fixture(scope="session")
def pgstac() -> Iterator[PgstacServer]:
    """A running server with two collections, as pgstac is out of the box."""
    with running(session_home().with_name(f"{session_home().name}-pgstac")) as server:
        server.load("collections", COLLECTIONS)
        yield server


@pytest.fixture
def server(pgstac: PgstacServer) -> PgstacServer:
    """The server, holding the items of the catalogue and no others, with its default settings."""
    pgstac.execute("DELETE FROM items")
    pgstac.execute("DELETE FROM queryables WHERE name = 'updated'")
    pgstac.execute("UPDATE pgstac_settings SET value = 'off' WHERE name = 'context'")
    pgstac.load("items", map(an_item, everything()))
    return pgstac


@pytest.fixture
def dated_server(server: PgstacServer) -> PgstacServer:
    """The server, told that `updated` is an instant, as docs/sources.md advises."""
    server.declare("updated", {"type": "string", "format": "date-time"})
    return server
