"""A source that is synced no more is forgotten, with its items or without; nothing of others goes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from stac_rucio_sync.cli import cli
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.conftest import RunningLake
from tests.e2e.test_sync import Bench, an_item, bench, make_bench

__all__ = ["bench", "make_bench"]

COUNTS = ("removed", "kept", "left", "quarantined", "forgotten")


def forget(lake: RunningLake, bench: Bench, *arguments: str) -> tuple[Any, ...]:
    scope = {"STAC_RUCIO_SYNC_IDENTITY__SCOPE": bench.settings.identity.scope}
    command = ["--home", str(lake.home), "forget", *arguments, "--json"]
    done = CliRunner().invoke(cli, command, env=scope, catch_exceptions=False)
    assert done.exit_code == 0
    report = orjson.loads(done.stdout)
    return tuple(report[name] for name in COUNTS)


def counted(bench: Bench, *names: str) -> list[int]:
    """How many items and entries of the quarantine are recorded under names, and how many sources."""
    return [
        bench.query(f"SELECT count(*) FROM lake.{table} WHERE {column} = ANY (%s)", list(names))[0][0]  # noqa: S608
        for table, column in (("item", "source"), ("quarantine", "source"), ("source", "name"), ("removal", "source"))
    ]


def test_a_source_is_forgotten_first_and_its_items_later(lake: RunningLake, bench: Bench) -> None:
    name, other = bench.collection, f"{bench.collection}-other"
    bench.sync([*(an_item(number, collection=name) for number in range(12)), "no JSON"])
    bench.sync([an_item(12, collection=name)], name=other)

    assert forget(lake, bench, name, "--dry-run") == (0, 0, 12, 1, True)
    assert forget(lake, bench, name, "--items", "--dry-run") == (12, 0, 0, 1, True)
    assert counted(bench, name) == [12, 1, 1, 0]

    assert forget(lake, bench, name) == (0, 0, 12, 1, True)
    assert counted(bench, name) == [12, 0, 0, 0]
    rows = "SELECT count(*) FROM ivoa.obscore WHERE obs_collection = %s"
    assert bench.query(rows, name) == [(13,)]

    # Items that stayed belong to whoever writes them next.
    bench.sync([an_item(0, collection=name)], name=other, full=True)
    assert counted(bench, name)[0] == 11
    assert forget(lake, bench, name, "--items") == (11, 0, 0, 0, True)
    assert counted(bench, name) == [0, 0, 0, 0]
    assert (bench.query(rows, name), counted(bench, other)) == ([(2,)], [2, 0, 1, 0])
    with pytest.raises(UsageError, match="nothing is known"):
        forget(lake, bench, name)


def test_a_removal_that_was_cut_short_is_ended(lake: RunningLake, bench: Bench) -> None:
    bench.sync([an_item(number, collection=bench.collection) for number in range(3)])
    tables = PostgresStore.open(bench.settings.database_url())
    tables.removals.begin(bench.collection, list(tables.items_of_source(bench.collection))[:2])
    tables.close()
    assert forget(lake, bench, bench.collection, "--items") == (3, 0, 0, 0, True)
    assert counted(bench, bench.collection) == [0, 0, 0, 0]


def test_what_is_synced_now_and_what_is_no_source_are_left_alone(lake: RunningLake, bench: Bench) -> None:
    bench.sync([an_item(0, collection=bench.collection)])
    tables = PostgresStore.open(bench.settings.database_url())
    with tables.lock_source(bench.collection), pytest.raises(UsageError, match="running"):
        forget(lake, bench, bench.collection, "--items")
    tables.close()
    assert counted(bench, bench.collection) == [1, 0, 1, 0]
    with pytest.raises(UsageError, match="is no source"):
        forget(lake, bench, "rucio:metadata", "--items")
