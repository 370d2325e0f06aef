"""The mirror follows Rucio: by events, by looks, after kills, outages and damage; rules and deletions are real ones."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest
import requests

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.lake.home import HOME_VARIABLE
from stac_rucio_sync.settings import Rucio, Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.watch import DidLinks, Look, Rebuild, Receiver, Watcher, heard_in
from stac_rucio_sync.watch.surroundings import FEWEST_WAYS_A_LOOK, RSES_A_LOOK, Surroundings
from tests.conftest import RunningLake
from tests.e2e.test_sync import Bench, an_item
from tests.faults.harness import restart_postgres, wait_until
from tests.ports import free_port
from tests.relay import relay_before
from tests.stumbling import stumbling

COMMAND = [sys.executable, str(Path(sys.executable).with_name("stac-rucio-sync"))]
EVENT_SECONDS = 100.0
"""From the rule to the mirror: Rucio's daemons copy, and tell of it, in rounds of a second and of five."""
ITEMS = 4


@dataclass
class Watched(Bench):
    """Items whose files lie on the lake's origin server, so that rules can copy them, and what watches them."""

    lake: RunningLake
    names: list[str] = field(default_factory=list)

    def fill(self) -> None:
        """Sync items."""
        items = []
        for number in range(ITEMS):
            item = an_item(number, collection=self.collection)
            content = os.urandom(1000 + number)
            path = Path(self.lake.facts["origin_dir"]) / self.collection / f"{number}.fits"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            url = f"{self.lake.facts['origin_url']}/{self.collection}/{number}.fits"
            item["assets"]["image"] |= {"href": url, "file:size": len(content)}
            del item["assets"]["image"]["file:checksum"]
            items.append(item)
        report, _ = self.sync(items)
        assert (report.added, report.replicas) == (ITEMS, ITEMS)
        rows = self.query("SELECT name FROM lake.file WHERE scope = %s ORDER BY name", self.scope)
        self.names = [name for (name,) in rows]

    @property
    def scope(self) -> str:
        return self.settings.identity.scope

    def rucio(self, account: str, verb: str, *arguments: Any, **options: Any) -> Any:
        calls = RucioCalls(Rucio(config=Path(self.lake.facts["accounts"][account]), account=account))
        try:
            return calls.send(verb, *arguments, **options)
        finally:
            calls.close()

    def rules(self, *names: str) -> list[str]:
        dids = [{"scope": self.scope, "name": name} for name in names]
        return list(self.rucio("root", "add_replication_rule", dids, 1, "VIENNA-DISK"))

    def end(self, rules: Iterable[str]) -> None:
        for rule in rules:
            self.rucio("root", "update_replication_rule", rule, {"lifetime": 0})

    def mirror(self) -> dict[tuple[str, str], tuple[str, str]]:
        """What the mirror says: PFN and state by name and RSE."""
        rows = self.query("SELECT name, rse, pfn, state FROM lake.replica WHERE scope = %s", self.scope)
        return {(name, rse): (pfn, state) for name, rse, pfn, state in rows}

    def truth(self) -> dict[tuple[str, str], str]:
        """What Rucio says: states by name and RSE."""
        dids = [{"scope": self.scope, "name": name} for name in self.names]
        rows = self.rucio("ingest", "list_replicas", dids, all_states=True)
        return {(row["name"], rse): state for row in rows for rse, state in row["states"].items()}

    def states(self) -> dict[tuple[str, str], str]:
        return {key: state for key, (_, state) in self.mirror().items()}

    def wait(self, condition: Callable[[], bool], seconds: float = EVENT_SECONDS) -> float:
        """Wait for something and return how long it took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, (self.mirror(), self.truth())
            time.sleep(0.05)
        return time.monotonic() - began

    def wait_for_rucio(self, name: str, rse: str, state: str | None) -> None:
        self.wait(lambda: self.truth().get((name, rse)) == state)

    @contextmanager
    def watcher(self, settings: Settings | None = None) -> Iterator[Watcher]:
        """A watcher in this process, that looks when it is told to."""
        chosen = settings or self.settings
        rucio, mirror = RucioWatch(chosen), MirrorWrites.open(chosen.database_url())
        try:
            yield Watcher(chosen, rucio, mirror)
        finally:
            rucio.close()
            mirror.close()

    def look(self) -> Look:
        with self.watcher() as watcher:
            look = watcher.look()
        assert look.failed is None
        return look

    def command(
        self, *arguments: str, stderr: int | IO[str] = subprocess.PIPE, **settings: object
    ) -> subprocess.Popen[str]:
        """Run a command on the lake."""
        given = {f"STAC_RUCIO_SYNC_{name}": str(value) for name, value in settings.items()}
        where = {HOME_VARIABLE: str(self.lake.home), "STAC_RUCIO_SYNC_IDENTITY__SCOPE": self.scope}
        environment = {**os.environ, **where, **given}
        command = [*COMMAND, *arguments]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        )


@pytest.fixture
def watched(lake: RunningLake, scope: str, tmp_path: Path) -> Watched:
    settings = lake.settings_with(identity={"scope": scope}, watch={"files": 2000})
    bench = Watched(settings, tmp_path, f"c-{scope}", lake)
    bench.fill()
    bench.look()  # the first look of all compares everything; later ones what is new
    return bench


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[list[dict[str, Any]]]:
    """Gather what a watcher tells, from its first look on, and stop it as Ctrl-C does."""
    told: list[dict[str, Any]] = []

    def gather() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(json.loads(line))

    reader = threading.Thread(target=gather, daemon=True)
    reader.start()
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stderr.readline()
    assert "events are taken at http://127.0.0.1:" in said, said + process.stderr.read()
    try:
        yield told
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        reader.join(60)
        said = process.stderr.read()
        for stream in (process.stdout, process.stderr):
            stream.close()
        assert code == 130, said


def test_what_rules_bring_and_take_away_shows_by_events_alone(watched: Watched) -> None:
    name = watched.names[0]
    with running(watched.command("watch", "--json", WATCH__POLL=3600, WATCH__FILES=1)) as told:
        rules = watched.rules(name)
        watched.wait(lambda: watched.states().get((name, "VIENNA-DISK")) == "AVAILABLE")
        watched.end(rules)
        watched.wait(lambda: (name, "VIENNA-DISK") not in watched.mirror())
        assert watched.states() == watched.truth()
    assert [look["why"] for look in told if look["removed"]] == ["events"]


@pytest.mark.slow
def test_looks_alone_find_what_changed_and_at_their_turn_what_went(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")  # the database tells instants in that zone, and Rucio is told UTC
    first, second = watched.names[:2]
    rules = watched.rules(first, second)
    watched.wait_for_rucio(first, "VIENNA-DISK", "AVAILABLE")
    watched.wait_for_rucio(second, "VIENNA-DISK", "AVAILABLE")
    look = watched.look()
    assert look.heard >= 2
    assert watched.states() == watched.truth()
    vienna = watched.mirror()[first, "VIENNA-DISK"][0]
    assert requests.get(vienna, timeout=60).ok
    again = watched.look()
    assert (again.heard, again.changes.any) == (0, 0), "what is in the mirror is not asked for again"
    watched.end(rules)
    watched.wait_for_rucio(first, "VIENNA-DISK", None)
    watched.wait_for_rucio(second, "VIENNA-DISK", None)
    for _ in range(3):  # a pass over all files, in portions of [watch] files
        watched.look()
    assert watched.states() == watched.truth()


@pytest.mark.slow
def test_events_twice_and_in_any_order_end_in_the_same_mirror(watched: Watched) -> None:
    rules = watched.rules(*watched.names)
    for name in watched.names:
        watched.wait_for_rucio(name, "VIENNA-DISK", "AVAILABLE")
    events = [
        {"event_type": kind, "payload": {"scope": watched.scope, "name": name, "dst-rse": "VIENNA-DISK"}}
        for name in watched.names
        for kind in ("transfer-queued", "transfer-done", "deletion-done", "transfer-failed")
    ]
    lines = [line for event in events for line in (b'{"index":{}}', json.dumps(event).encode())]
    with watched.watcher() as watcher:
        watcher.hear(heard_in(lines))
        assert watched.states() == watched.truth()
        first = watched.mirror()
        assert len(first) == 2 * ITEMS
        assert watcher.hear(heard_in(lines)).changes.any == 0
        assert watcher.hear(heard_in(lines[::-1])).changes.any == 0
        assert watched.mirror() == first
        datasets = watched.query("SELECT name FROM lake.item WHERE scope = %s", watched.scope)
        watched.end(rules)
        watched.wait_for_rucio(watched.names[0], "VIENNA-DISK", None)
        told = {"event_type": "RULE_OK", "payload": {"scope": watched.scope, "name": datasets[0][0]}}
        strangers = [{"event_type": "x", "payload": {"scope": "nobody", "name": "knows"}}, {"event_type": "x"}]
        watcher.hear(heard_in(json.dumps(one).encode() for one in [told, *strangers]))
    assert (watched.names[0], "VIENNA-DISK") not in watched.mirror()


def test_a_sync_records_how_far_all_places_are_from_an_rse_that_it_meets_first(
    lake: RunningLake, scope: str, tmp_path: Path
) -> None:
    bench = Bench(lake.settings_with(identity={"scope": scope}), tmp_path, f"c-{scope}")
    item = an_item(1, collection=bench.collection)
    item["assets"]["image"]["href"] = f"https://{scope}.example.org/1.fits"
    bench.sync([item])
    rse = f"HTTPS-{scope.upper()}_EXAMPLE_ORG"
    far = dict(bench.query("SELECT destination, distance FROM lake.rse_distance WHERE source = %s", rse))
    sites = ("SANFRANCISCO-DISK", "SYDNEY-DISK", "VIENNA-DISK")  # other tests may have made more RSEs
    assert {site: far.get(site) for site in sites} == dict.fromkeys(sites, 20_015)
    places = bench.query("SELECT site, latitude FROM lake.rse WHERE rse = 'SANFRANCISCO-DISK'")
    assert places == [("san-francisco", 37.7749)]
    assert bench.query("SELECT count(*) FROM lake.rse WHERE rse = %s", rse) == [(1,)]


SYDNEY = (True, -33.8688, 15976)


def told_of_sydney(watched: Watched) -> tuple[Any, ...]:
    """Availability, latitude, and the distance to Vienna."""
    rse = "SELECT available_read, latitude FROM lake.rse WHERE rse = 'SYDNEY-DISK'"
    way = "SELECT distance FROM lake.rse_distance WHERE (source, destination) = ('SYDNEY-DISK', 'VIENNA-DISK')"
    return (*watched.query(rse)[0], watched.query(way)[0][0])


def change_sydney(watched: Watched, available: bool, latitude: float, distance: int) -> None:
    watched.rucio("root", "update_rse", "SYDNEY-DISK", {"availability_read": available})
    watched.rucio("root", "delete_rse_attribute", "SYDNEY-DISK", "latitude")
    watched.rucio("root", "add_rse_attribute", "SYDNEY-DISK", "latitude", str(latitude))
    watched.rucio("root", "update_distance", "SYDNEY-DISK", "VIENNA-DISK", {"distance": distance})


def test_one_look_of_an_account_that_may_export_shows_what_all_rses_say_of_themselves(watched: Watched) -> None:
    assert told_of_sydney(watched) == SYDNEY
    change_sydney(watched, False, -34.5, 7)
    try:
        assert watched.look().rses == 2
        assert told_of_sydney(watched) == (False, -34.5, 7)
        assert watched.look().rses == 0
    finally:
        change_sydney(watched, *SYDNEY)
    watched.look()
    assert told_of_sydney(watched) == SYDNEY


def test_other_accounts_see_what_rses_say_of_themselves_after_as_many_looks_as_there_are(watched: Watched) -> None:
    config = Path(watched.lake.facts["accounts"]["alice"])
    settings = watched.settings.model_copy(update={"rucio": Rucio(config=config, account="alice")})
    rucio, mirror = RucioWatch(settings), MirrorWrites.open(settings.database_url())
    surroundings = Surroundings(rucio, mirror)
    places = sum(rse.origin is None for rse in mirror.rses().values())
    change_sydney(watched, False, -34.5, 7)
    try:
        before = rucio.requests
        surroundings.look()
        calls = rucio.requests - before
        assert told_of_sydney(watched)[0] is False, "availability comes with every look"
        looks = max(places, -(-len(mirror.rses()) // RSES_A_LOOK))
        for _ in range(looks):
            surroundings.look()
        assert told_of_sydney(watched) == (False, -34.5, 7)
        assert calls <= 5 + RSES_A_LOOK + 2 * max(places, FEWEST_WAYS_A_LOOK), "one look is short"
    finally:
        change_sydney(watched, *SYDNEY)
        rucio.close()
        mirror.close()
        watched.look()  # as an account that exports
    assert told_of_sydney(watched) == SYDNEY


def test_links_that_metadata_name_come_at_their_turn(watched: Watched) -> None:
    """The SKA's convention, on a Rucio whose metadata no trigger sees."""
    ((dataset, file),) = watched.query(
        "SELECT i.name, f.name FROM lake.item i JOIN lake.file f USING (collection, id) WHERE i.scope = %s LIMIT 1",
        watched.scope,
    )
    link = {"access_url": "https://a.example.org/log", "semantics": "#documentation", "content_type": "text/plain"}

    def told() -> list[tuple[Any, ...]]:
        columns = "name, number, access_url, semantics, description, content_type"
        return watched.query(f"SELECT {columns} FROM lake.did_link WHERE scope = %s ORDER BY name", watched.scope)  # noqa: S608 - constants

    def rebuild() -> int:
        rucio, mirror = RucioWatch(watched.settings), MirrorWrites.open(watched.settings.database_url())
        try:
            return DidLinks(watched.settings, rucio, mirror).all()
        finally:
            rucio.close()
            mirror.close()

    watched.rucio("ingest", "set_metadata", watched.scope, dataset, "datalinks", [{"semantics": "#no-url"}, link])
    watched.rucio("ingest", "set_metadata", watched.scope, file, "datalinks", [link])
    assert rebuild() == 2
    shown = ("https://a.example.org/log", "#documentation", None, "text/plain")
    assert told() == [(dataset, 2, *shown), (file, 1, *shown)]
    assert rebuild() == 0
    why = watched.query(
        "SELECT reason FROM lake.quarantine WHERE position = %s", f"{watched.scope}:{dataset} datalinks"
    )
    assert "access_url is needed" in why[0][0]
    watched.rucio("ingest", "delete_metadata", watched.scope, file, "datalinks")
    watched.rucio("ingest", "set_metadata", watched.scope, dataset, "datalinks", [link])
    assert rebuild() == 2
    assert told() == [(dataset, 1, *shown)]
    assert watched.query("SELECT 1 FROM lake.quarantine WHERE position LIKE %s", f"{watched.scope}:% datalinks") == []


def damage(watched: Watched) -> None:
    """Make the mirror differ from Rucio in each way."""
    first, second, third, _ = watched.names
    for statement, *values in (
        ("DELETE FROM lake.replica WHERE (scope, name) = (%s, %s)", watched.scope, first),
        ("UPDATE lake.replica SET state = 'BAD' WHERE (scope, name) = (%s, %s)", watched.scope, second),
        ("INSERT INTO lake.replica VALUES (%s, %s, 'TAPE', 'http://x/y', 'AVAILABLE', false)", watched.scope, third),
        ("INSERT INTO lake.replica VALUES (%s, 'of no file', 'R', 'http://x/y', 'AVAILABLE', false)", watched.scope),
    ):
        watched.query(statement + " RETURNING 1", *values)


@pytest.mark.slow
def test_a_rebuild_mends_all_and_says_what(watched: Watched) -> None:
    before = watched.mirror()
    damage(watched)
    damaged = watched.mirror()
    dry = watched.command("replicas", "rebuild", "--dry-run", "--json")
    out, _ = dry.communicate(timeout=200)
    would = json.loads(out)
    assert dry.returncode == 1
    assert watched.mirror() == damaged
    done = watched.command("replicas", "rebuild", "--json")
    out, said = done.communicate(timeout=200)
    assert done.returncode == 0, said
    told = json.loads(out)
    assert {key: told[key] for key in ("added", "changed", "removed")} == {"added": 1, "changed": 1, "removed": 2}
    assert {key: would[key] for key in ("added", "changed", "removed")} == {"added": 1, "changed": 1, "removed": 2}
    assert told["files"] == watched.query("SELECT count(*) FROM (SELECT DISTINCT scope, name FROM lake.file) f")[0][0]
    assert watched.mirror() == before
    ((full, ok),) = watched.query("SELECT now() - last_full < '1 minute', rucio_ok FROM lake.mirror")
    assert (full, ok) == (True, True)


@pytest.mark.slow
def test_a_rebuild_killed_in_the_middle_is_run_again(watched: Watched) -> None:
    before = watched.mirror()
    damage(watched)
    for wait in (0.6, 0.8):
        process = watched.command("replicas", "rebuild")
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=200)
    with watched.watcher() as watcher:
        Rebuild(watcher._rucio, watcher._mirror).run()
    assert watched.mirror() == before


@pytest.mark.slow
def test_a_watcher_killed_with_a_post_in_hand_gets_it_again(watched: Watched) -> None:
    """Hermes sends again what was not answered by 200, and that comes when the mirror is written."""
    name = watched.names[0]
    with running(watched.command("watch", "--json", WATCH__POLL=3600, WATCH__FILES=1)):
        rules = watched.rules(name)
        watched.wait(lambda: watched.states().get((name, "VIENNA-DISK")) == "AVAILABLE")
    watched.end(rules)  # nobody listens now
    watched.wait_for_rucio(name, "VIENNA-DISK", None)
    for _ in range(2):
        process = watched.command("watch", WATCH__POLL=3600, WATCH__FILES=1)
        time.sleep(0.7)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=200)
    with running(watched.command("watch", "--json", WATCH__POLL=3600, WATCH__FILES=1)):
        watched.wait(lambda: (name, "VIENNA-DISK") not in watched.mirror())
    assert watched.states() == watched.truth()


@pytest.mark.slow
def test_while_rucio_is_away_the_mirror_stays_and_says_so(watched: Watched, lake: RunningLake) -> None:
    settings = watched.settings.model_copy(update={"rucio": watched.settings.rucio.model_copy(update={"timeout": 1.0})})
    name = watched.names[0]
    before = watched.mirror()
    pid = lake.lake.status()["servers"]["rucio"]["pid"]
    with watched.watcher(settings) as watcher:
        assert watcher.look().failed is None
        os.killpg(pid, signal.SIGSTOP)
        try:
            look = watcher.look()
            post = requests_post_to(watcher, watched, name)
        finally:
            os.killpg(pid, signal.SIGCONT)
        assert look.failed
        assert "Rucio" in look.failed
        assert post == 503, "Hermes is to send it again"
        ((ok, said, since),) = watched.query("SELECT rucio_ok, rucio_said, since > last_poll FROM lake.mirror")
        assert (ok, since) == (False, True)
        assert "does not answer properly" in said
        assert watched.mirror() == before
        assert watcher.look().failed is None
        assert watched.query("SELECT rucio_ok, rucio_said, since <= last_poll FROM lake.mirror") == [(True, None, True)]
        assert requests_post_to(watcher, watched, name) == 200


def requests_post_to(watcher: Watcher, watched: Watched, name: str) -> int:
    """Post an event as Hermes does; return the status of the answer."""
    watch = watched.settings.watch
    assert watch.token is not None
    event = {"event_type": "transfer-done", "payload": {"scope": watched.scope, "name": name}}
    receiver = Receiver(watch, watcher.hear)
    receiver.start()
    try:
        return requests.post(
            receiver.url,
            data=b'{ "index":{ } }\n' + json.dumps(event).encode() + b"\n",
            auth=("hermes", watch.token.get_secret_value()),
            timeout=60,
        ).status_code
    finally:
        receiver.stop()


@pytest.mark.slow
def test_one_watcher_at_a_time(watched: Watched) -> None:
    with watched.watcher() as watcher, watcher._mirror.state.alone():
        second = watched.command("watch", "--once")
        _, said = second.communicate(timeout=200)
        assert second.returncode == 2
        assert "another watcher" in said
        with watched.watcher() as third, pytest.raises(UsageError, match="another watcher"):
            third.once()
    done = watched.command("watch", "--once", "--json")
    out, said = done.communicate(timeout=200)
    assert done.returncode == 0, said
    assert json.loads(out)["why"] == "look"


def mends(watched: Watched, process: subprocess.Popen[str], seconds: float = 100.0) -> None:
    """See that a running watcher still does its work: an event that names a damaged file has it mended."""
    watch = watched.settings.watch
    assert watch.token is not None
    name = watched.names[0]
    event = {"event_type": "transfer-done", "payload": {"scope": watched.scope, "name": name}}
    watched.query("UPDATE lake.replica SET state = 'BAD' WHERE name = %s RETURNING 1", name)
    deadline = time.monotonic() + seconds
    while "BAD" in watched.states().values():
        assert process.poll() is None, (process.returncode, process.stderr and process.stderr.read())
        assert time.monotonic() < deadline, process.stderr and process.stderr.read()
        with suppress(requests.RequestException):  # it is to be sent again, as Hermes does
            requests.post(
                f"http://127.0.0.1:{watch.port}/events",
                data=b'{"index":{}}\n' + json.dumps(event).encode() + b"\n",
                auth=("hermes", watch.token.get_secret_value()),
                timeout=60,
            )


def test_a_watcher_waits_for_a_database_that_is_away_at_its_start(watched: Watched) -> None:
    url = watched.settings.database_url()
    port = urlsplit(url).port or 0
    with relay_before("127.0.0.1", port) as relay:
        there, relay.target = relay.target, ("127.0.0.1", free_port())
        through = url.replace(f":{port}/", f":{relay.port}/")
        once = watched.command("watch", "--once", DATABASE__URL=through)
        assert "cannot connect to the database" in once.communicate(timeout=200)[1]
        assert once.returncode == 1
        process = watched.command("watch", WATCH__POLL=0.2, DATABASE__URL=through)
        assert process.stderr is not None
        assert "cannot connect to the database" in process.stderr.readline()
        relay.target = there
        try:
            while "events are taken at" not in (said := process.stderr.readline()):
                assert said
            mends(watched, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=200)
    assert process.returncode == 130


def test_a_watcher_does_not_wait_for_another_password(watched: Watched) -> None:
    parts = urlsplit(watched.settings.database_url())
    wrong = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":wrong@")).geturl()
    process = watched.command("watch", DATABASE__URL=wrong)
    assert "password authentication failed" in process.communicate(timeout=200)[1]
    assert process.returncode == 3


def test_a_watcher_whose_readers_went_away_keeps_the_mirror(watched: Watched) -> None:
    process = watched.command("watch", "--json", WATCH__POLL=3600, WATCH__FILES=1)
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stderr.readline()
    assert "events are taken at" in said, said + process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    try:
        for _ in range(3):  # each is told on both
            mends(watched, process)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    assert code == 130


@pytest.mark.slow
def test_a_watcher_lives_through_what_happens_to_its_servers(
    watched: Watched, lake: RunningLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chance = random.Random(14)  # noqa: S311 - to be repeated, not to be secret
    stumble: list[str] = []
    database = urlsplit(watched.settings.database_url())
    with (
        relay_before("127.0.0.1", database.port or 0) as relay,
        stumbling(lake, tmp_path, lambda _: stumble[0] if stumble and chance.random() < 0.5 else None) as (
            config,
            proxy,
        ),
        (tmp_path / "talk").open("w+") as talk,
    ):
        through = database.geturl().replace(f":{database.port}/", f":{relay.port}/")
        where = {"DATABASE__URL": through, "RUCIO__CONFIG": config, "RUCIO__TIMEOUT": 1, "RUCIO__ATTEMPTS": 1}
        process = watched.command("watch", WATCH__POLL=0.2, WATCH__FILES=20, stderr=talk, **where)
        try:
            mends(watched, process)
            for trouble in ("500", "503", "drop", "hang", "lost"):
                stumble[:] = [trouble]
                wanted, deadline = proxy.stumbled + 3, time.monotonic() + 60
                while proxy.stumbled < wanted:
                    assert time.monotonic() < deadline, (trouble, Path(talk.name).read_text())
                    time.sleep(0.1)
                relay.sever()
                stumble.clear()
                mends(watched, process)
            relay.room = 3000  # of each connection
            relay.sever()
            time.sleep(2)
            relay.room = None
            relay.sever()
            mends(watched, process)
            restart_postgres(lake)
            mends(watched, process)
            # Events are taken at once; looks come again after pauses that grew with each failure.
            wait_until(lambda: "answer again" in Path(talk.name).read_text(), "a look succeeds")
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
            assert process.stdout is not None
            process.stdout.close()
            talk.seek(0)
            told = talk.read()
        assert code == 130, told
        assert "Traceback" not in told
    assert watched.states() == watched.truth()


def test_a_watcher_outlives_connections_that_its_database_ends(watched: Watched) -> None:
    name = watched.names[0]
    admin = watched.settings.database.admin_url
    assert admin is not None
    with watched.watcher() as watcher, watcher._mirror.state.alone() as lock:
        assert watcher.look().failed is None
        watched.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = current_user AND pid <> pg_backend_pid() AND application_name = 'stac-rucio-sync'"
        )
        watched.query("UPDATE lake.replica SET state = 'BAD' WHERE name = %s RETURNING 1", name)
        event = {"event_type": "transfer-done", "payload": {"scope": watched.scope, "name": name}}
        assert watcher.hear(heard_in([json.dumps(event).encode()])).changes.changed == 1
        lock.hold()
        with watched.watcher() as second, pytest.raises(UsageError, match="another watcher"):
            second.once()
    assert watched.states() == watched.truth()
