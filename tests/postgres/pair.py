"""A primary and the hot standby that follows it by streaming replication, and ways to lose either."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from stac_rucio_sync.lake.cluster import DATABASE, find_installation
from stac_rucio_sync.lake.home import LakeHome, server_user
from stac_rucio_sync.lake.processes import Processes
from stac_rucio_sync.stores.tables.schema import apply_schema
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.ports import free_port
from tests.postgres.conftest import Server, make_server
from tests.postgres.examples import settled_item, wanted_item

Side = Literal["postgres", "standby"]
ITEMS = 1500


@dataclass
class Pair:
    """Both servers; ``postgres`` is the first primary."""

    first: Server
    standby_port: int

    def __post_init__(self) -> None:
        user = server_user()
        home = LakeHome(self.first.folder)
        self.folder = home.postgres
        self.processes = Processes(home.run, home.log, user)
        (self.programs,) = self.folder.glob("prefix/lib/postgresql/*/bin")

    def url(self, role: str, side: Side | None = None) -> str:
        """The URL of an account: with both hosts, or with one of them."""
        ports = {"postgres": self.first.port, "standby": self.standby_port}
        hosts = ",".join(f"127.0.0.1:{port}" for name, port in ports.items() if side in (None, name))
        password = self.first.passwords[f"role:{role}"]
        return f"postgresql://{role}:{password}@{hosts}/{DATABASE}"

    def ask(self, side: Side, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url("postgres", side), autocommit=True, connect_timeout=60) as connection:
            asked = connection.execute(query)
            return asked.fetchall() if asked.description else []

    def make_standby(self) -> None:
        access = self.folder / "data" / "pg_hba.conf"
        access.write_text(access.read_text() + "host replication postgres 127.0.0.1/32 scram-sha-256\n")
        self.ask("postgres", "SELECT pg_reload_conf()")
        copy = self.folder / "standby"
        source = f"host=127.0.0.1 port={self.first.port} user=postgres password={self.first.passwords['role:postgres']}"
        command: list[str | Path] = [find_installation().programs / "pg_basebackup", "--dbname", source]
        command += ["--pgdata", copy, "--write-recovery-conf", "--checkpoint", "fast", "--no-sync"]
        subprocess.run(command, check=True, cwd=self.folder, **self.processes.identity())
        own = copy / "postgresql.auto.conf"
        own.write_text(own.read_text() + f"port = {self.standby_port}\nunix_socket_directories = ''\n")
        self.start("standby")

    def start(self, side: Side) -> None:
        place = self.folder / ("data" if side == "postgres" else "standby")
        (place / "postmaster.pid").unlink(missing_ok=True)
        command = [str(self.programs / "postgres"), "-D", str(place)]
        self.processes.start(side, command, {"LC_ALL": "C.UTF-8"}, self.folder)
        self.processes.wait_until(side, lambda: self._answers(side), 60)

    def _answers(self, side: Side) -> bool:
        with suppress(psycopg.OperationalError):
            return self.ask(side, "SELECT 1") == [(1,)]
        return False

    def kill(self, side: Side) -> None:
        """End a server as a machine ends that loses its power: all of its processes, at once, with nothing written."""
        record = self.processes.record(side)
        assert record is not None
        children = Path(f"/proc/{record.pid}/task/{record.pid}/children").read_text().split()
        for pid in (record.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def promote(self) -> None:
        assert self.ask("standby", "SELECT pg_promote()") == [(True,)]

    def caught_up(self) -> None:
        (((wanted,),), until) = self.ask("postgres", "SELECT pg_current_wal_lsn()::text"), time.monotonic() + 100
        while self.ask("standby", f"SELECT pg_last_wal_replay_lsn() >= '{wanted}'") != [(True,)]:
            assert time.monotonic() < until
            time.sleep(0.02)

    def stop(self) -> None:
        self.processes.stop(["standby", "postgres"], first_signal=signal.SIGINT)


@contextmanager
def running_pair() -> Iterator[Pair]:
    """A pair whose tables hold some items."""
    port = free_port()
    for server in make_server():
        pair = Pair(server, port)
        try:
            apply_schema(pair.url("postgres", "postgres"))
            store = PostgresStore.open(pair.url("lake_ingest", "postgres"))
            for start in range(0, ITEMS, 500):
                store.commit("s", [settled_item(wanted_item(number)) for number in range(start, start + 500)], [])
            store.close()
            pair.make_standby()
            pair.caught_up()
            yield pair
        finally:
            pair.stop()
            shutil.rmtree(pair.folder / "standby", ignore_errors=True)
