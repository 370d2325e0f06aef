"""What an operator asks in the morning: did last night's sync work, and if not, why?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from stac_rucio_sync.cli import cli
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.conftest import RunningLake
from tests.e2e.test_sync import Bench, an_item, bench, make_bench

__all__ = ["bench", "make_bench"]


class Operator:
    """Runs commands on the session's lake, and reads what ``status`` says of one source."""

    def __init__(self, lake: RunningLake, name: str) -> None:
        self._home = str(lake.home)
        self._name = name

    def run(self, *arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(cli, ["--home", self._home, *arguments], catch_exceptions=False)
        assert done.exit_code == code
        return done

    def state(self) -> dict[str, Any]:
        sources = orjson.loads(self.run("status", "--json").stdout)["sources"]
        (state,) = (one for one in sources if one["name"] == self._name)
        return dict(state)

    def lines(self) -> list[str]:
        return [line for line in self.run("status").stdout.splitlines() if line.startswith(f"{self._name}: ")]


def test_status_says_how_the_last_run_ended_and_why(lake: RunningLake, bench: Bench, tmp_path: Path) -> None:
    operator = Operator(lake, bench.collection)
    items: list[Any] = [an_item(number, collection=bench.collection) for number in range(3)]
    bench.sync(items)
    state = operator.state()
    assert (state["last_outcome"], state["last_error"], state["last_report"]["added"]) == ("clean", None, 3)
    assert operator.lines() == []

    bench.sync([*items, "no JSON"])
    assert operator.state()["last_outcome"] == "some failed"
    assert "with 1 quarantined" in operator.lines()[0]

    before = operator.state()
    operator.run("quarantine", "--name", bench.collection, "--retry", "--json", code=1)
    assert operator.state() == before  # a retry is no run over the source

    with pytest.raises(FatalError, match="no item"):
        bench.sync([])
    state = operator.state()
    assert (state["last_outcome"], state["items"]) == ("failed", 3)
    assert "answered with no item" in state["last_error"]
    assert state["last_error"] in operator.lines()[0]

    gone = tmp_path / "gone.ndjson"
    with pytest.raises(UsageError, match="no such file"):
        operator.run("sync", str(gone), "--name", bench.collection)
    assert operator.state()["last_error"] == f"source {gone}: there is no such file or folder"

    tables = PostgresStore.open(bench.settings.database_url())
    with tables.lock_source(bench.collection):  # as a run that is killed leaves it
        assert operator.state()["last_outcome"] == "running"
    tables.close()
    assert operator.state()["last_outcome"] == "unfinished"
    assert "was killed" in operator.lines()[0]


def test_a_source_that_was_never_synced_is_not_made_one_by_a_wrong_command(lake: RunningLake, tmp_path: Path) -> None:
    operator = Operator(lake, "nobody")
    with pytest.raises(UsageError, match="no such file"):
        operator.run("sync", str(tmp_path / "gone.ndjson"), "--name", "nobody")
    assert "nobody" not in operator.run("status", "--json").stdout
