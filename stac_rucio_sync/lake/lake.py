"""The embedded lake: PostgreSQL with pgSphere, a Rucio server, its daemons and a file server, on one machine."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.lake import configs, servers
from stac_rucio_sync.lake.acl import let_write_below
from stac_rucio_sync.lake.cluster import Cluster, database_url
from stac_rucio_sync.lake.environment import ensure_environment
from stac_rucio_sync.lake.home import (
    ACCOUNTS,
    PORT_NAMES,
    LakeHome,
    LakeState,
    ServerUser,
    default_home,
    server_user,
    write_private,
)
from stac_rucio_sync.lake.ports import choose_ports
from stac_rucio_sync.lake.processes import Processes
from stac_rucio_sync.lake.sites import SITES, UPLOAD_RSES, wanted_state
from stac_rucio_sync.stores.tables.schema import apply_schema

Metadata = Literal["json", "postgres"]

#: In the order in which they are stopped; the database is stopped after them.
SERVERS = ("daemons", "rucio", "webdav", "files", "memcached")
GUEST = Path(__file__).with_name("guest")


def _silent(_message: str) -> None:
    """Say nothing."""


@contextmanager
def _open_umask() -> Iterator[None]:
    """Make files that the server user can read, whatever the caller's umask; private ones have modes of their own."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def running_settings(home: Path | None = None) -> Path | None:
    """Return the settings layer of a lake that is up, or None.

    Parameters
    ----------
    home : Path, optional
        Its home; unset: what ``STAC_RUCIO_SYNC_LAKE_HOME`` names, else the default one.
    """
    lake = Lake(home)
    try:
        if not lake.home.settings_file.exists():
            return None
        return lake.home.settings_file if lake.status()["running"] else None
    except PermissionError:
        return None  # somebody else's lake


class Lake:
    """One lake, found by its home.

    Parameters
    ----------
    home : Path, optional
        Its folder; see `stac_rucio_sync.lake.home.default_home`.
    say : callable, optional
        Told, step by step, what goes on.
    """

    def __init__(self, home: Path | None = None, say: Callable[[str], None] = _silent) -> None:
        self.home = LakeHome((home or default_home()).absolute())
        self._say = say

    def up(
        self,
        metadata: Metadata | None = None,
        ports: Mapping[str, int] | None = None,
        events_url: str | None = None,
    ) -> dict[str, Any]:
        """Bring the lake up, from nothing or from whatever is left of it; a lake that is up stays up.

        Parameters
        ----------
        metadata : {"json", "postgres"}, optional
            Rucio's metadata plugin; unset: as it was, at first ``json``. A change restarts the servers.
        ports : mapping of str to int, optional
            Fixed ports by the names of `stac_rucio_sync.lake.home.PORT_NAMES`; others are free ones, kept while free.
        events_url : str, optional
            Where hermes posts Rucio's events as NDJSON; empty for the watcher; unset: as it was.

        Returns
        -------
        dict
            As `status`.

        Raises
        ------
        UsageError
            A wish that cannot be met: a busy port, a home that the server user cannot reach, another `up` at work.
        FatalError
            Something is missing or did not start; the message says what, and what to do.
        """
        user = server_user()
        with _open_umask(), self.home.locked(), ExitStack() as held:
            self.home.make(user)
            state = self.home.load_state()
            wish = LakeState(**vars(state))
            wish.metadata = metadata or state.metadata
            wish.events_url = state.events_url if events_url is None else events_url
            fixed = dict(ports or {})
            same_ports = all(state.ports.get(name) == port for name, port in fixed.items())
            unchanged = wish.metadata == state.metadata and wish.events_url == state.events_url and same_ports
            unchanged = unchanged and set(PORT_NAMES) <= set(state.ports)  # else it was begun by an older release
            if unchanged and self._is_up(user):
                self._say(f"the lake in {self.home.path} is up")
                return self.status()
            processes = Processes(self.home.run, self.home.log, user)
            self._stop(processes, user)
            wish.ports = choose_ports(state.ports, fixed, held)
            self.home.save_state(wish)
            try:
                self._start(wish, processes, user)
            except BaseException:
                self._stop(processes, user)
                raise
            return self.status()

    def down(self) -> bool:
        """Stop everything that runs; data stay. Say whether anything ran."""
        if not self.home.path.exists():
            return False
        user = server_user()
        with self.home.locked():
            return self._stop(Processes(self.home.run, self.home.log, user), user)

    def reset(self) -> None:
        """Stop everything and remove the home with all data in it; the server environment stays in the cache.

        Raises
        ------
        UsageError
            The folder is not a lake's home.
        """
        if not self.home.path.exists():
            return
        if any(self.home.path.iterdir()) and not self.home.run.is_dir():
            raise UsageError(f"{self.home.path} is not the home of a lake: nothing is removed.")
        user = server_user()
        with self.home.locked():
            self._stop(Processes(self.home.run, self.home.log, user), user)
            self.home.remove()

    def status(self) -> dict[str, Any]:
        """Say what runs and how to reach it; no passwords.

        Returns
        -------
        dict
            ``running`` (bool: all servers), ``home``, ``metadata``, ``servers`` (by name: ``running``, ``pid``),
            ``ports``, ``database``, ``rucio_url``, ``origin_url``, ``origin_dir``, ``rses``, ``accounts``
            (client configuration by account), ``settings`` (the settings layer), ``log_dir`` and ``daemons``
            (runs and errors by name). Only ``running``, ``home`` and ``servers`` when it never was up.
        """
        user = server_user() if self.home.path.exists() else None
        running: dict[str, Any] = {}
        if user is not None:
            processes = Processes(self.home.run, self.home.log, user)
            for name in ("postgres", *reversed(SERVERS)):
                record = processes.record(name)
                if record is not None or name != "memcached":
                    alive = record is not None and processes.alive(name)
                    running[name] = {"running": alive, "pid": record.pid if record and alive else None}
        all_run = bool(running) and all(server["running"] for server in running.values())
        up = all_run and self.home.settings_file.exists()
        answer: dict[str, Any] = {"running": up, "home": str(self.home.path), "servers": running}
        if self.home.facts_file.exists():
            answer.update(json.loads(self.home.facts_file.read_text(encoding="utf-8")))
        # Who may not read the counts (another user) is not told them.
        with suppress(FileNotFoundError, PermissionError):
            answer["daemons"] = json.loads((self.home.server / "daemons.json").read_text(encoding="utf-8"))
        return answer

    def _is_up(self, user: ServerUser) -> bool:
        return bool(self.status()["running"]) and servers.answers(self.home.load_state().ports["rucio"])

    def _stop(self, processes: Processes, user: ServerUser) -> bool:
        for file in (self.home.settings_file, self.home.facts_file):
            file.unlink(missing_ok=True)
        stopped = processes.stop(SERVERS)
        if Cluster(self.home.postgres, user, processes).stop():
            stopped.append("postgres")
        if stopped:
            self._say("stopped " + ", ".join(stopped))
        return bool(stopped)

    def _start(self, state: LakeState, processes: Processes, user: ServerUser) -> None:
        began = time.monotonic()
        cluster = Cluster(self.home.postgres, user, processes)
        with ThreadPoolExecutor(2) as pool:
            self._say("starting PostgreSQL" if state.bootstrapped else "making and starting a PostgreSQL cluster")
            database = pool.submit(cluster.start, state.ports["postgres"], state.passwords)
            environment = pool.submit(ensure_environment, user, self._say)
            cached = servers.start_memcached(processes, state.ports["memcached"], self.home.server, self._say)
            self._write_configs(state, user, cached=cached)
            self._make_rse_folders(user)
            folder = environment.result()
            launcher = servers.Launcher(self.home, folder, processes)
            launcher.start_files(
                {state.ports[site.port]: self.home.rse / site.site for site in SITES}
                | {state.ports["origin"]: self.home.origin}
            )
            launcher.start_webdav(
                state.ports["webdav"],
                {
                    upload.share: {"root": str(self.home.rse / upload.share), "readonly": not upload.deterministic}
                    for upload in UPLOAD_RSES
                },
            )
            database.result()
        self._bootstrap(state, launcher, processes)
        self._say("starting Rucio's server and daemons")
        launcher.start_rucio(state)
        launcher.start_daemons()
        self._apply_schema(state)
        launcher.wait(state)
        self._publish(state, user)
        self._say(f"the lake in {self.home.path} is up after {time.monotonic() - began:.1f} s")

    def _make_rse_folders(self, user: ServerUser) -> None:
        for name in (*(site.site for site in SITES), *(upload.share for upload in UPLOAD_RSES)):
            folder = self.home.rse / name
            folder.mkdir(exist_ok=True)
            user.own(folder)
            if user.dropped:
                let_write_below(folder, user.uid)

    def _write_configs(self, state: LakeState, user: ServerUser, *, cached: bool) -> None:
        write_private(self.home.server / "rucio.cfg", configs.server_config(self.home, state, cached=cached), user)
        write_private(self.home.server / "alembic.ini", configs.alembic_config(state), user)
        for account in ACCOUNTS:
            file = self.home.client_config(account)
            file.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(file, configs.client_config(self.home, state, account))
        policy = importlib.util.find_spec("rucio_policy")
        if policy is None or policy.origin is None:
            raise FatalError("The policy package rucio_policy is not installed beside stac_rucio_sync.")
        for source, name in ((Path(policy.origin).parent, "rucio_policy"), (GUEST, "guest")):
            target = self.home.server / name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            user.own(target, *target.rglob("*"))

    def _bootstrap(self, state: LakeState, launcher: servers.Launcher, processes: Processes) -> None:
        wanted = json.dumps(wanted_state(state.passwords, state.ports, self.home.rse), sort_keys=True)
        script = self.home.server / "guest" / "bootstrap.py"
        digest = hashlib.sha256(wanted.encode() + script.read_bytes()).hexdigest()
        if digest == state.bootstrapped:
            return
        self._say("setting up Rucio: tables, accounts, RSEs, distances")
        done = subprocess.run(
            launcher.python("bootstrap.py"),
            input=wanted,
            capture_output=True,
            text=True,
            env=launcher.environment,
            cwd=self.home.server,
            check=False,
            **processes.identity(),
        )
        (self.home.log / "bootstrap.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode != 0:
            end = "\n".join(done.stderr.strip().splitlines()[-12:])
            raise FatalError(f"Rucio could not be set up (all of it in {self.home.log / 'bootstrap.log'}):\n{end}")
        state.bootstrapped = digest
        self.home.save_state(state)

    def _apply_schema(self, state: LakeState) -> None:
        """Apply the project's DDL (`sql/`) to the database."""
        admin_url = database_url("postgres", state.passwords, state.ports["postgres"])
        apply_schema(admin_url)

    def _publish(self, state: LakeState, user: ServerUser) -> None:
        facts = {
            "metadata": state.metadata,
            "ports": state.ports,
            "database": {"host": "127.0.0.1", "port": state.ports["postgres"], "name": "archive"},
            "rucio_url": f"http://127.0.0.1:{state.ports['rucio']}",
            "origin_url": f"http://127.0.0.1:{state.ports['origin']}",
            "origin_dir": str(self.home.origin),
            "rses": {
                rse: {
                    "site": site.site,
                    "latitude": site.latitude,
                    "longitude": site.longitude,
                    "url": f"http://127.0.0.1:{address}",
                    "folder": str(self.home.rse / folder),
                }
                for rse, site, address, folder in (
                    *((site.rse, site, state.ports[site.port], site.site) for site in SITES),
                    *((up.rse, up.place, f"{state.ports['webdav']}/{up.share}", up.share) for up in UPLOAD_RSES),
                )
            },
            "accounts": {account: str(self.home.client_config(account)) for account in ACCOUNTS},
            "settings": str(self.home.settings_file),
            "log_dir": str(self.home.log),
            "server_user": user.name,
            "events_url": state.events_url,
        }
        self.home.facts_file.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        write_private(self.home.settings_file, configs.settings_toml(self.home, state))
