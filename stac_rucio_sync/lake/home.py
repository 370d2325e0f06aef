"""Where a lake lives on disk, who owns what in it, and what it must remember between two runs."""

from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stac_rucio_sync.errors import FatalError, UsageError

#: The system user that a lake started by root drops its servers to.
SERVER_USER = "stac-rucio-lake"
HOME_VARIABLE = "STAC_RUCIO_SYNC_LAKE_HOME"
PROJECT_FOLDER = "stac-rucio-sync"

ACCOUNTS = ("root", "ingest", "alice")
DATABASE_ROLES = ("postgres", "rucio", "lake_ingest", "lake_reader", "lake_query", "lake_jobs")
PORT_NAMES = ("postgres", "rucio", "memcached", "origin", "vienna", "sydney", "sanfrancisco", "webdav", "watch")
#: The port that `stac-rucio-sync watch` takes events at: no server of the lake listens there.
WATCH_PORT = "watch"
#: Who sends it events, among the passwords.
WATCH_SENDER = "hermes:watch"


@dataclass(frozen=True)
class ServerUser:
    """The operating-system user that the servers run as.

    Attributes
    ----------
    uid, gid : int
        Ids of that user.
    name : str
        Its name, for messages.
    dropped : bool
        True when the lake is started by root and the servers run as somebody else.
    """

    uid: int
    gid: int
    name: str
    dropped: bool

    def own(self, *paths: Path) -> None:
        """Give paths to the server user (nothing to do unless started by root)."""
        if self.dropped:
            for path in paths:
                os.chown(path, self.uid, self.gid)

    def can_traverse(self, folder: Path) -> bool:
        """Tell whether the server user may pass through a folder, by its mode bits."""
        status = folder.stat()
        mode = status.st_mode
        if status.st_uid == self.uid:
            return bool(mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(mode & stat.S_IXGRP)
        return bool(mode & stat.S_IXOTH)


def server_user() -> ServerUser:
    """Say who the servers run as: the caller, or, when the caller is root, a system user made for it.

    Raises
    ------
    FatalError
        Started by root, and the system user neither exists nor can be made.
    """
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return ServerUser(entry.pw_uid, entry.pw_gid, entry.pw_name, dropped=False)
    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        made = subprocess.run(
            [*command, "--shell", "/usr/sbin/nologin", SERVER_USER], capture_output=True, text=True, check=False
        )
        try:
            entry = pwd.getpwnam(SERVER_USER)
        except KeyError:
            raise FatalError(
                f"PostgreSQL refuses to run as root, and the system user {SERVER_USER!r} could not be made: "
                f"{made.stderr.strip() or made.returncode}. Make it, or start the lake as an ordinary user."
            ) from None
    return ServerUser(entry.pw_uid, grp.getgrgid(entry.pw_gid).gr_gid, entry.pw_name, dropped=True)


def default_home() -> Path:
    """Return the lake's home when none is named: the environment's, else the usual place of the user."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib") / PROJECT_FOLDER / "lake"
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / PROJECT_FOLDER / "lake"


def cache_folder() -> Path:
    """Return the folder of what can be made again but takes time: the server environment."""
    if os.geteuid() == 0:
        return Path("/var/cache") / PROJECT_FOLDER
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / PROJECT_FOLDER


@dataclass
class LakeState:
    """What a lake remembers: its secrets, its ports and its choices (``HOME/state.json``, mode 0600).

    Attributes
    ----------
    passwords : dict of str to str
        Of the Rucio accounts (``account:NAME``), the database roles (``role:NAME``) and the sender of events;
        generated.
    ports : dict of str to int
        The ports of the last run, taken again when they are still free.
    metadata : str
        ``json`` or ``postgres``: which metadata plugin Rucio runs with.
    events_url : str
        Where Rucio's events are posted as NDJSON; empty for the watcher.
    bootstrapped : str
        Digest of the accounts and RSEs that were set up last.
    """

    passwords: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    metadata: str = "json"
    events_url: str = ""
    bootstrapped: str = ""


@dataclass(frozen=True)
class LakeHome:
    """The folders and files of one lake.

    Parameters
    ----------
    path : Path
        The lake's home, absolute.
    """

    path: Path

    @property
    def log(self) -> Path:
        """Logs of all servers, one file each."""
        return self.path / "log"

    @property
    def run(self) -> Path:
        """Process records, and the two files that say how to reach a running lake."""
        return self.path / "run"

    @property
    def postgres(self) -> Path:
        """The cluster, its private installation and its socket."""
        return self.path / "postgres"

    @property
    def server(self) -> Path:
        """What Rucio's server reads: its configuration, the policy package, the scripts that run in its environment."""
        return self.path / "server"

    @property
    def client(self) -> Path:
        """One folder per account with the configuration of Rucio's client."""
        return self.path / "client"

    @property
    def origin(self) -> Path:
        """Files that the loopback origin server publishes."""
        return self.path / "origin"

    @property
    def rse(self) -> Path:
        """One folder per POSIX RSE."""
        return self.path / "rse"

    @property
    def settings_file(self) -> Path:
        """The settings layer that other commands read while the lake is up."""
        return self.run / "settings.toml"

    @property
    def facts_file(self) -> Path:
        """Ports, folders, RSEs and process ids of a running lake, without secrets."""
        return self.run / "lake.json"

    @property
    def state_file(self) -> Path:
        """Secrets and choices that outlive a run."""
        return self.path / "state.json"

    def client_config(self, account: str) -> Path:
        """Return the configuration file of Rucio's client for one account."""
        return self.client / account / "rucio.cfg"

    def make(self, user: ServerUser) -> None:
        """Make the folders, and check that the server user can reach them.

        Raises
        ------
        UsageError
            A folder above the home is closed to the server user.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for folder in (self.run, self.log, self.postgres, self.server, self.client, self.origin, self.rse):
            folder.mkdir(exist_ok=True)
        for folder in (self.path, self.run, self.origin):
            folder.chmod(0o755)
        for folder in (self.log, self.rse):
            user.own(folder)
            folder.chmod(0o755)
        for folder in (self.postgres, self.server):
            user.own(folder)
            folder.chmod(0o700)
        self.client.chmod(0o700)
        for folder in (self.path, *self.path.parents):
            if not user.can_traverse(folder):
                raise UsageError(
                    f"The servers run as user {user.name!r}, which may not pass through {folder}. "
                    f"Either name a home that it can reach (--home DIR), or open the folder: chmod o+x {folder}"
                )

    def load_state(self) -> LakeState:
        """Read what the lake remembers; passwords that are missing are generated.

        Raises
        ------
        FatalError
            The file that keeps it is damaged.
        """
        state = LakeState()
        if self.state_file.exists():
            try:
                state = LakeState(**json.loads(self.state_file.read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                raise FatalError(f"{self.state_file} cannot be read ({error}); `lake reset` starts afresh.") from error
        accounts, roles = [f"account:{account}" for account in ACCOUNTS], [f"role:{role}" for role in DATABASE_ROLES]
        for name in (*accounts, *roles, WATCH_SENDER):
            state.passwords.setdefault(name, secrets.token_urlsafe(24))
        return state

    def save_state(self, state: LakeState) -> None:
        """Write what the lake remembers, atomically."""
        write_private(self.state_file, json.dumps(asdict(state), indent=1))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lake's lock: only one command at a time starts, stops or removes a lake.

        Raises
        ------
        UsageError
            Another command holds it, or the lake belongs to somebody else.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        owner = self.path.stat().st_uid
        if owner != os.geteuid():
            raise UsageError(f"{self.path} belongs to user {owner}; start and stop that lake as its owner.")
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"Another command is starting or stopping the lake in {self.path}.") from None
            yield
        finally:
            os.close(folder)

    def remove(self) -> None:
        """Remove the home and all in it."""
        if self.path.exists():
            shutil.rmtree(self.path)


def write_private(path: Path, text: str, user: ServerUser | None = None) -> None:
    """Write a file that only its owner reads (mode 0600), atomically.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        Its whole content.
    user : ServerUser, optional
        Who shall own it, when not the caller.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    if user is not None:
        user.own(fresh)
    fresh.replace(path)
