"""A lake of its own goes up, down, through kill -9 and away."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.lake import Lake, running_settings, sites
from stac_rucio_sync.lake import lake as lake_module
from stac_rucio_sync.lake import ports as ports_module
from stac_rucio_sync.lake.home import PORT_NAMES, cache_folder, default_home
from stac_rucio_sync.settings import load_settings
from tests.homes import session_home
from tests.lake.rest import Account
from tests.ports import free_port

RUCIO = [sys.executable, str(Path(sys.executable).with_name("rucio"))]


@pytest.fixture(scope="module")
def own_lake() -> Iterator[Lake]:
    """A lake beside the session's, so that stopping it disturbs nobody."""
    lake = Lake(session_home().with_name(f"{session_home().name}-lifecycle"))
    lake.reset()
    lake.up()
    try:
        yield lake
    finally:
        lake.reset()


def whoami(lake: Lake, account: str) -> str:
    """Ask Rucio with its own command line client who one is."""
    environment = {**os.environ, "RUCIO_CONFIG": lake.status()["accounts"][account]}
    command = [*RUCIO, "whoami"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def processes_of(lake: Lake) -> dict[int, str]:
    """Return the processes whose command line or environment names the lake's home, and all that it recorded."""
    home = os.fsencode(lake.home.path)
    found = {server["pid"]: name for name, server in lake.status()["servers"].items() if server["pid"]}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if home in text and b"pytest" not in text:
                found.setdefault(int(entry.name), text.decode(errors="replace")[:80])
    return found


def account_of(lake: Lake, name: str) -> Account:
    return Account(Path(lake.status()["accounts"][name]))


def test_a_lake_that_is_up_can_be_used_and_stays_up(own_lake: Lake) -> None:
    for account in ("root", "ingest", "alice"):
        assert account in whoami(own_lake, account)
    before = own_lake.status()
    assert before["running"]
    assert own_lake.up()["servers"] == before["servers"]
    settings = load_settings(lake_settings=running_settings(own_lake.home.path))
    assert settings.database.url is not None
    with psycopg.connect(settings.database.url.get_secret_value()) as connection:
        assert connection.execute("SELECT current_user, '<(10d,10d),1d>'::scircle IS NOT NULL").fetchone() == (
            "lake_ingest",
            True,
        )


def test_secrets_are_private_and_are_not_shown(own_lake: Lake) -> None:
    home = own_lake.home
    secret_files = [home.state_file, home.settings_file, home.server / "rucio.cfg", home.server / "alembic.ini"]
    secret_files += [home.client_config(account) for account in ("root", "ingest", "alice")]
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in secret_files} == {
        path.name: 0o600 for path in secret_files
    }
    passwords = home.load_state().passwords.values()
    shown = json.dumps(own_lake.status())
    logs = "".join(path.read_text(encoding="utf-8", errors="replace") for path in home.log.iterdir())
    assert not [password for password in passwords if password in shown or password in logs]
    assert len(set(passwords)) == len(passwords)


def test_all_servers_listen_on_the_loopback_address_only(own_lake: Lake) -> None:
    ports = own_lake.status()["ports"]
    listening = {}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        address, _, port = fields[1].partition(":")
        if fields[3] == "0A" and int(port, 16) in ports.values():
            listening[int(port, 16)] = address
    # Little-endian 127.0.0.1.
    assert listening == dict.fromkeys(listening, "0100007F")
    assert set(listening) >= {port for name, port in ports.items() if name not in ("memcached", "watch")}
    tcp6 = Path("/proc/net/tcp6")
    lines = tcp6.read_text(encoding="ascii").splitlines()[1:] if tcp6.exists() else []
    assert not [line for line in lines if int(line.split()[1].partition(":")[2], 16) in ports.values()]


def test_after_kill_9_of_every_process_the_lake_comes_up_with_its_data(own_lake: Lake) -> None:
    account_of(own_lake, "ingest").add_scope("survivor")
    ports = own_lake.status()["ports"]
    for pid in processes_of(own_lake):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # a worker may end with its master
    deadline = time.monotonic() + 60
    while left := processes_of(own_lake):  # the system takes its time to end a process with much memory
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    assert not own_lake.status()["running"]

    own_lake.up()
    assert "ingest" in whoami(own_lake, "ingest")
    assert own_lake.status()["ports"] == ports
    scopes = account_of(own_lake, "root").do("GET", "scopes/").json()
    assert "survivor" in [entry["scope"] if isinstance(entry, dict) else entry for entry in scopes]


def test_down_leaves_nothing_running_and_the_data(own_lake: Lake) -> None:
    ports = own_lake.status()["ports"]
    assert own_lake.down()
    assert processes_of(own_lake) == {}
    for port in ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert running_settings(own_lake.home.path) is None
    assert not own_lake.status()["running"]
    assert not own_lake.down()
    assert (own_lake.home.postgres / "data" / "PG_VERSION").exists()


def test_a_process_that_got_the_number_of_an_old_one_is_left_alone(own_lake: Lake) -> None:
    own_lake.down()
    innocent = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    try:
        record = json.dumps({"pid": innocent.pid, "started": "another boot:1"})
        for name in ("rucio", "postgres", "daemons"):
            (own_lake.home.run / f"{name}.pid").write_text(record, encoding="utf-8")
        # PostgreSQL's own lock file names it too.
        lock = own_lake.home.postgres / "data" / "postmaster.pid"
        lock.write_text(f"{innocent.pid}\n{own_lake.home.postgres / 'data'}\n", encoding="ascii")
        own_lake.up()
        own_lake.down()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_the_external_metadata_plugin_writes_its_table_beside_rucios(own_lake: Lake) -> None:
    own_lake.up(metadata="postgres")
    assert own_lake.status()["metadata"] == "postgres"
    ingest = account_of(own_lake, "ingest")
    ingest.add_scope("external")
    ingest.do("POST", "dids/external/image", {"type": "DATASET"})
    ingest.do("POST", "dids/external/image/meta", {"meta": {"stac:collection": "c", "em_min": 5e-7}})
    settings = load_settings(lake_settings=running_settings(own_lake.home.path))
    assert settings.rucio.metadata == "postgres"
    assert settings.database.admin_url is not None
    with psycopg.connect(settings.database.admin_url.get_secret_value()) as connection:
        rows = connection.execute("SELECT scope, name, data FROM rucio.dids WHERE scope = 'external'").fetchall()
    assert rows == [("external", "image", {"stac:collection": "c", "em_min": 5e-7})]


def test_events_of_transfers_are_posted_where_one_listens(own_lake: Lake) -> None:
    events: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            events.extend(json.loads(line) for line in text.splitlines() if line)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    try:
        facts = own_lake.up(events_url=f"http://127.0.0.1:{receiver.server_port}/events")
        ingest = account_of(own_lake, "ingest")
        ingest.add_scope("events")
        ingest.add_origin("ORIGIN-EVENTS", facts["origin_url"])
        (Path(facts["origin_dir"]) / "file").write_bytes(b"bytes")
        ingest.add_replica("ORIGIN-EVENTS", "events", "file", b"bytes", facts["origin_url"] + "/file")
        ingest.wait_for_rule(ingest.add_rule("events", "file", "VIENNA-DISK"), "OK")
        deadline = time.monotonic() + 100
        while not any(event.get("event_type") == "transfer-done" for event in events):
            assert time.monotonic() < deadline, events
            time.sleep(0.1)
    finally:
        receiver.shutdown()
        receiver.server_close()


@pytest.mark.slow
def test_a_home_of_two_sites_comes_up_with_three(own_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Lake(own_lake.home.path.with_name("two-sites-lake"))
    old.reset()
    with monkeypatch.context() as before:
        for module in (lake_module, sites):
            before.setattr(module, "SITES", sites.SITES[:2])
        for module in (ports_module, lake_module):
            before.setattr(module, "PORT_NAMES", tuple(name for name in PORT_NAMES if name != "sanfrancisco"))
        assert len(old.up()["rses"]) == 2 + len(sites.UPLOAD_RSES)
        account_of(old, "ingest").add_origin("ORIGIN-OLD", "http://127.0.0.1:1", ("VIENNA-DISK", "SYDNEY-DISK"))
    try:
        facts = old.up()  # it runs already, but has no port for the third
        assert facts["rses"]["SANFRANCISCO-DISK"]["site"] == "san-francisco"
        assert requests.get(facts["rses"]["SANFRANCISCO-DISK"]["url"], timeout=60).ok
        alice = account_of(old, "alice")
        attributes = alice.do("GET", "rses/SANFRANCISCO-DISK/attr/").json()
        assert (attributes["country"], attributes["longitude"]) == ("US", "-122.4194")
        for source in ("VIENNA-DISK", "ORIGIN-OLD"):
            assert alice.do("GET", f"rses/{source}/distances/SANFRANCISCO-DISK").json()
    finally:
        old.reset()


def test_a_changed_port_is_the_rses_new_address(own_lake: Lake) -> None:
    port = free_port()
    own_lake.up(ports={"vienna": port})
    [http] = [
        protocol
        for protocol in account_of(own_lake, "alice").do("GET", "rses/VIENNA-DISK/protocols").json()
        if protocol["scheme"] == "http"
    ]
    assert http["port"] == port
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=60).ok


def test_a_busy_port_is_an_error_that_names_it(own_lake: Lake) -> None:
    own_lake.down()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"Port {port}"):
            own_lake.up(ports={"rucio": port})
    assert not own_lake.status()["running"]


def test_two_commands_at_once_do_not_mix(own_lake: Lake) -> None:
    with own_lake.home.locked(), pytest.raises(UsageError, match="Another command"):
        Lake(own_lake.home.path).up()


def test_reset_removes_a_lake_and_nothing_else(own_lake: Lake, tmp_path: Path) -> None:
    own_lake.reset()
    assert not own_lake.home.path.exists()
    (tmp_path / "thesis.tex").write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError, match="not the home of a lake"):
        Lake(tmp_path).reset()
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only a lake started by root drops its servers to another user")
def test_a_home_that_the_servers_cannot_reach_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(UsageError, match=r"chmod o\+x"):
        Lake(closed / "lake").up()


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
def test_an_ordinary_user_runs_a_lake() -> None:
    user = pwd.getpwnam("nobody")
    reach = ["/usr/bin/setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    probe = [*reach, sys.executable, "-c", "import stac_rucio_sync.lake"]
    if subprocess.run(probe, cwd="/", capture_output=True, check=False).returncode != 0:
        pytest.skip(f"user {user.pw_name} cannot reach this checkout")
    home = default_home().parent / f"nobody-{os.getpid()}"
    home.mkdir(parents=True)
    os.chown(home, user.pw_uid, user.pw_gid)
    # The environment of Rucio's server is read from root's cache, which saves making a second one.
    environment = {"PATH": os.defpath, "HOME": str(home), "XDG_CACHE_HOME": str(cache_folder().parent)}
    command = [*reach, sys.executable, "-c", "from stac_rucio_sync.lake.commands import lake; lake()"]
    try:
        for arguments in (["up"], ["status", "--json"], ["down"]):
            done = subprocess.run(
                [*command, *arguments],
                cwd="/",
                env=environment,
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            if "--json" in arguments:
                state = json.loads(done.stdout)
                assert state["running"]
                assert state["home"] == str(home / ".local/share/stac-rucio-sync/lake")
                owners = {Path(f"/proc/{server['pid']}").stat().st_uid for server in state["servers"].values()}
                assert owners == {user.pw_uid}
    finally:
        shutil.rmtree(home)
