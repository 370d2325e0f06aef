"""A PostgreSQL cluster of the lake's own, with pgSphere, from the system's packages and without touching them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.lake.home import DATABASE_ROLES, ServerUser
from stac_rucio_sync.lake.processes import Processes

DATABASE = "archive"
_INSTALLATIONS = Path("/usr/lib/postgresql")
_SHARE = Path("/usr/share/postgresql")
_LONGEST_SOCKET_FOLDER = 90  # sun_path holds 107 bytes with the socket's own name

# Two deprecated operators of pgSphere 1.2 name a commutator and a negator that belong to other operators, which
# the PostgreSQL that Debian 12 ships now refuses.
_BAD_OPERATOR = re.compile(
    r"CREATE OPERATOR @ \(\s*LEFTARG\s*=\s*(?:bigint|spoint),\s*RIGHTARG\s*=\s*smoc,.*?\);", re.DOTALL | re.IGNORECASE
)
_BAD_CLAUSES = re.compile(r",?\s*\b(?:COMMUTATOR|NEGATOR)\s*=\s*'?[^,\s)']+'?", re.IGNORECASE)

_CONFIGURATION = """
listen_addresses = '127.0.0.1'
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = '256MB'
maintenance_work_mem = '256MB'
max_wal_size = '2GB'
checkpoint_timeout = '15min'
timezone = 'UTC'
log_timezone = 'UTC'
log_min_duration_statement = '5s'
"""
_ACCESS = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class Installation:
    """A packaged PostgreSQL that has pgSphere.

    Attributes
    ----------
    version : str
        Major version, e.g. ``15``.
    """

    version: str

    @property
    def programs(self) -> Path:
        """Folder of initdb and postgres."""
        return _INSTALLATIONS / self.version / "bin"

    @property
    def share(self) -> Path:
        """Folder that holds ``extension``."""
        return _SHARE / self.version


def find_installation(wanted: str | None = None) -> Installation:
    """Find a packaged PostgreSQL with pgSphere.

    Parameters
    ----------
    wanted : str, optional
        The major version that it must be; unset: the newest.

    Raises
    ------
    FatalError
        There is none; the message names the packages.
    """
    versions = [path.name for path in _INSTALLATIONS.glob("*") if path.name.isdigit()]
    for version in sorted(versions, key=int, reverse=True):
        found = Installation(version)
        complete = (found.programs / "initdb").exists() and (found.share / "extension" / "pg_sphere.control").exists()
        if complete and wanted in (None, version):
            return found
    version = wanted or "15"
    made = f"The lake's data were made by PostgreSQL {wanted}. " if wanted else ""
    raise FatalError(
        f"{made}No PostgreSQL {wanted or ''} with pgSphere was found. Install it: apt-get install postgresql-{version} "
        f"postgresql-{version}-pgsphere (or run scripts/system-packages.sh)."
    )


def mend_pgsphere(script: str) -> str:
    """Drop the COMMUTATOR and NEGATOR clauses of the two operators that name wrong ones.

    Parameters
    ----------
    script : str
        An installation script of pgSphere.

    Returns
    -------
    str
        The script, unchanged where it has no such operators.
    """
    return _BAD_OPERATOR.sub(lambda operator: _BAD_CLAUSES.sub("", operator.group(0)), script)


def make_prefix(installation: Installation, prefix: Path) -> Path:
    """Make a private installation whose pgSphere is mended; return its folder of programs.

    PostgreSQL finds its share folder relative to its program, so a copy of the programs beside links to everything
    else, with an ``extension`` folder of its own, reads the mended script and leaves the system's alone.
    """
    shutil.rmtree(prefix, ignore_errors=True)
    programs = prefix / "lib" / "postgresql" / installation.version / "bin"
    share = prefix / "share" / "postgresql" / installation.version
    programs.mkdir(parents=True)
    (share / "extension").mkdir(parents=True)
    for name in ("postgres", "initdb", "psql", "pg_dump", "pg_restore"):
        if (installation.programs / name).exists():
            shutil.copy2(os.path.realpath(installation.programs / name), programs / name)
    (programs.parent / "lib").symlink_to(installation.programs.parent / "lib")
    for entry in installation.share.iterdir():
        if entry.name != "extension":
            (share / entry.name).symlink_to(entry)
    for entry in (installation.share / "extension").iterdir():
        target = share / "extension" / entry.name
        if re.fullmatch(r"pg_sphere--[\d.]+\.sql", entry.name):
            target.write_text(mend_pgsphere(entry.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            target.symlink_to(entry)
    return programs


class Cluster:
    """The lake's database server.

    Parameters
    ----------
    folder : Path
        Where its installation, its data and its socket lie.
    user : ServerUser
        Who it runs as.
    processes : Processes
        The lake's processes; this one is called ``postgres``.
    """

    def __init__(self, folder: Path, user: ServerUser, processes: Processes) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._complete = folder / "data-complete"
        self._user = user
        self._processes = processes

    def start(self, port: int, passwords: dict[str, str]) -> None:
        """Make the cluster when there is none, start it, and bring database, extension and roles up to date."""
        made_by = self._made_by()
        programs = make_prefix(find_installation(made_by), self._folder / "prefix")
        if made_by is None:
            shutil.rmtree(self._data, ignore_errors=True)
            self._initialize(programs, passwords["role:postgres"])
        self._write_configuration(port)
        self._clear_stale_locks()
        self._processes.start(
            "postgres", [str(programs / "postgres"), "-D", str(self._data)], {"LC_ALL": "C.UTF-8"}, self._folder
        )
        url = database_url("postgres", passwords, port, database="postgres")
        self._processes.wait_until("postgres", lambda: _answers(url), seconds=60)
        with psycopg.connect(url, autocommit=True) as connection:
            _set_up_server(connection, passwords)
        with psycopg.connect(database_url("postgres", passwords, port), autocommit=True) as connection:
            _set_up_database(connection)

    def stop(self) -> bool:
        """Stop the server ("fast": transactions are rolled back, data are flushed); say whether it ran."""
        return bool(self._processes.stop(["postgres"], first_signal=signal.SIGINT))

    def _initialize(self, programs: Path, password: str) -> None:
        password_file = self._folder / "initial-password"
        password_file.touch(mode=0o600)
        password_file.write_text(password, encoding="ascii")
        self._user.own(password_file)
        command = [str(programs / "initdb"), "--pgdata", str(self._data), "--username", "postgres", "--no-sync"]
        command += ["--auth", "scram-sha-256", "--pwfile", str(password_file)]
        command += ["--encoding", "UTF8", "--locale", "C.UTF-8"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=self._folder, check=False, **self._processes.identity()
            )
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise FatalError(f"initdb failed: {done.stderr.strip()}")
        self._complete.touch()

    def _made_by(self) -> str | None:
        """Return the major version that made the data; None when there are none, or half made ones."""
        if not self._complete.exists():
            return None
        return (self._data / "PG_VERSION").read_text(encoding="ascii").strip()

    def _write_configuration(self, port: int) -> None:
        sockets = self._folder / "socket"
        sockets.mkdir(exist_ok=True)
        sockets.chmod(0o700)
        self._user.own(sockets)
        place = str(sockets) if len(os.fsencode(sockets)) < _LONGEST_SOCKET_FOLDER else ""
        quoted = place.replace("'", "''")
        text = f"{_CONFIGURATION}port = {port}\nunix_socket_directories = '{quoted}'\nunix_socket_permissions = 0700\n"
        (self._data / "postgresql.auto.conf").write_text(text, encoding="utf-8")
        (self._data / "pg_hba.conf").write_text(_ACCESS, encoding="ascii")

    def _clear_stale_locks(self) -> None:
        """Remove lock files of a server that is gone.

        PostgreSQL takes any process of the number in them for a server that runs, be it one that got the number
        since, or one that is dead and not yet collected by its parent.
        """
        for lock in (self._data / "postmaster.pid", *(self._folder / "socket").glob(".s.PGSQL.*.lock")):
            if not lock.exists():
                continue
            pid = lock.read_text(encoding="ascii").split("\n", 1)[0].strip()
            command = b""
            with suppress(FileNotFoundError, ProcessLookupError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if os.fsencode(self._data) not in command:
                lock.unlink()


def database_url(role: str, passwords: dict[str, str], port: int, database: str = DATABASE) -> str:
    """Return the ``postgresql://`` URL of a role."""
    return f"postgresql://{role}:{passwords[f'role:{role}']}@127.0.0.1:{port}/{database}"


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _set_up_server(connection: psycopg.Connection, passwords: dict[str, str]) -> None:
    roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for role in DATABASE_ROLES:
        verb = sql.SQL("ALTER") if role in roles else sql.SQL("CREATE")
        statement = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
        connection.execute(statement.format(verb, sql.Identifier(role), sql.Literal(passwords[f"role:{role}"])))
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _set_up_database(connection: psycopg.Connection) -> None:
    """Make the extension, Rucio's two schemas, and the table of its external metadata plugin.

    The table is the one that ``ExternalPostgresJSONDidMeta`` documents. It is made here, and told to Rucio as
    managed, because the plugin's check of a foreign table takes Rucio's own ``dev.dids`` for it.
    """
    connection.execute("CREATE EXTENSION IF NOT EXISTS pg_sphere")
    for schema in ("dev", "rucio"):
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION rucio").format(sql.Identifier(schema)))
    connection.execute(
        "CREATE TABLE IF NOT EXISTS rucio.dids (id bigint NOT NULL GENERATED ALWAYS AS IDENTITY, vo varchar NOT NULL, "
        "scope varchar NOT NULL, name varchar NOT NULL, data jsonb DEFAULT '{}'::jsonb, UNIQUE (scope, name))"
    )
    connection.execute("ALTER TABLE rucio.dids OWNER TO rucio")
