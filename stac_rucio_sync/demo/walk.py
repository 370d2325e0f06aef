"""The demo's steps: from a catalogue to a query and a download, each step checked by what it claims."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg
import requests

from stac_rucio_sync.demo.catalogue import Catalogue, ensure_catalogue
from stac_rucio_sync.demo.copies import ACCOUNT, RSE, cube_files, download, find_by_metadata, replicate, show_replicas
from stac_rucio_sync.demo.questions import QUESTIONS, Question
from stac_rucio_sync.demo.terminal import Terminal, check, program
from stac_rucio_sync.demo.watching import wait_for_mirror, watching
from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.lake import Lake, running_settings
from stac_rucio_sync.lake.ports import hold
from stac_rucio_sync.settings import Settings, load_settings

SOURCE = "demo"
FOLDER = "demo"
"""Where the catalogue lies below the lake's origin."""
SERVER_START = 20.0
"""Seconds."""
ROWS_SHOWN = 5
WHERE_THE_BYTES_ARE = (
    "SELECT TOP 5 obs_title, asset, rse, site FROM ivoa.obscore JOIN lake.replica USING (obs_publisher_did)"
)


@dataclass
class Walk:
    """One run of the demo.

    Attributes
    ----------
    terminal : Terminal
        Where it is shown.
    home : Path or None
        Home of the lake; None: the default one.
    count : int
        Number of items.
    facts : dict
        What was seen, for ``--json``.
    """

    terminal: Terminal
    home: Path | None
    count: int
    facts: dict[str, Any] = field(default_factory=dict)

    def go(self) -> None:
        """Do all steps.

        Raises
        ------
        FatalError
            A step did not do what it claims; the sentence says which and what was seen.
        """
        began = time.monotonic()
        lake = self.lake_up()
        catalogue = self.make_catalogue(lake)
        settings = load_settings(lake_settings=running_settings(Path(lake["home"])))
        self.synchronise(catalogue)
        with _reader(settings) as tables:
            files = cube_files(tables, catalogue)
            self.terminal.step("A watcher: what becomes of replicas in Rucio shows in the tables within seconds")
            with watching(self.terminal, self.ours("watch")):
                self.terminal.step(f"A rule: a copy of every cube at {RSE}, wanted by {ACCOUNT}, a user of Rucio")
                self.terminal.set_variable("RUCIO_CONFIG", lake["accounts"][ACCOUNT])
                self.facts["rule"] = replicate(self.terminal, lake, settings, files)
                self.terminal.step("The copies in the tables that the services read")
                self.facts["mirror"] = wait_for_mirror(self.terminal, tables, files)
            self.ask(tables, catalogue)
        self.terminal.step("A question to Rucio, whose datasets carry the same metadata: what lies north of Dec 60?")
        self.facts["metadata"] = find_by_metadata(self.terminal, settings, catalogue)
        self.terminal.step("Where the bytes are")
        self.facts["replicas"] = show_replicas(self.terminal, files, catalogue)
        self.terminal.step("Download by identifier, from whichever site Rucio chooses")
        self.facts["download"] = download(self.terminal, files)
        self.facts["seconds"] = round(time.monotonic() - began, 1)
        self.show_ways_on(lake, catalogue)

    # --------------------------------------------------------------------------------------------------- the lake

    def ours(self, *arguments: str) -> tuple[str, ...]:
        """Return a command of stac-rucio-sync for this lake."""
        return ("stac-rucio-sync", *(("--home", str(self.home)) if self.home else ()), *arguments)

    def lake_up(self) -> dict[str, Any]:
        """Start the lake, or find it running; return what it says of itself."""
        self.terminal.step(
            "A data lake on this machine: PostgreSQL with pgSphere, Rucio, its daemons, three storage sites"
        )
        self.terminal.run(*self.ours("lake", "up"))
        lake = Lake(self.home).status()
        check(lake["running"], f"the lake in {lake['home']} does not run")
        self.facts["home"] = lake["home"]
        return lake

    def make_catalogue(self, lake: dict[str, Any]) -> Catalogue:
        """Put the catalogue and its files where the lake's origin server publishes them."""
        self.terminal.step("A catalogue with real files, published by a web server that stands for an archive")
        catalogue = ensure_catalogue(Path(lake["origin_dir"]) / FOLDER, f"{lake['origin_url']}/{FOLDER}", self.count)
        self.terminal.say(
            f"{len(catalogue.items)} items, {catalogue.files} files, {catalogue.bytes / 1e6:.1f} MB: "
            f"{'made' if catalogue.fresh else 'still there'}"
        )
        self.terminal.say(f"{catalogue.url}/catalog.json = {catalogue.folder}")
        some = catalogue.items[0]["assets"]["image"]["href"]
        check(
            _read(some) == catalogue.path_of(some).read_bytes(),
            f"{some} does not give the bytes of {catalogue.path_of(some)} (the lake's log folder: {lake['log_dir']})",
        )
        self.facts |= {"items": len(catalogue.items), "files": catalogue.files, "catalogue": catalogue.url}
        return catalogue

    # --------------------------------------------------------------------------------------------------- the sync

    def synchronise(self, catalogue: Catalogue) -> None:
        """Serve the catalogue as a STAC API, and sync it twice."""
        self.terminal.step("The catalogue as a STAC API")
        with hold() as port, tempfile.TemporaryDirectory() as folder:
            address, log = f"127.0.0.1:{port.getsockname()[1]}", Path(folder) / "rustac.log"
            command = ("rustac", "serve", str(catalogue.ndjson), "--create-collections", "--addr", address)
            with self.terminal.server(*command, log=log) as server:
                deadline = time.monotonic() + SERVER_START
                while _read(f"http://{address}/") is None:
                    check(server.poll() is None, f"rustac ended at once:\n{log.read_text(errors='replace')}")
                    check(time.monotonic() < deadline, f"rustac does not answer after {SERVER_START:.0f} s")
                    time.sleep(0.05)
                self.terminal.step(
                    "Sync: items to datasets, files and replicas in Rucio, and to rows of ObsCore and EPN-TAP"
                )
                self.facts["first"] = self._sync(f"http://{address}")
                self.terminal.step("Sync again: nothing has changed, so nothing is done")
                self.facts["second"] = self._sync(f"http://{address}")
        second = self.facts["second"]
        check(second["unchanged"] == self.count, f"the second sync found changes where there are none: {second}")

    def _sync(self, url: str) -> dict[str, Any]:
        output = self.terminal.run(*self.ours("sync", url, "--name", SOURCE, "--json"))
        report: dict[str, Any] = orjson.loads(output)
        accounted = sum(report[fate] for fate in ("unchanged", "added", "changed"))
        check(report["read"] == self.count, f"{self.count} items are served, {report['read']} were read")
        check(accounted == self.count, f"{self.count - accounted} items were neither unchanged, added nor changed")
        return report

    # ------------------------------------------------------------------------------------------------ the answers

    def ask(self, tables: psycopg.Connection[Any], catalogue: Catalogue) -> None:
        """Query the tables as the role that may only read, and compare the answers with the files."""
        self.terminal.step("Questions to the tables, by position, time and band, as the role that may only read")
        self.facts["found"] = {
            question.name: sorted(self._answer(tables, question, catalogue)) for question in QUESTIONS
        }

    def _answer(self, connection: psycopg.Connection[Any], question: Question, catalogue: Catalogue) -> set[str]:
        self.terminal.console.print()
        self.terminal.say(question.title[0].upper() + question.title[1:])
        self.terminal.show_query(question.sql)
        try:
            cursor = connection.execute(question.sql)
            rows = cursor.fetchall()
        except psycopg.Error as error:
            raise FatalError(f"the demo failed: the tables gave no answer: {error}") from error
        columns = tuple(column.name for column in cursor.description or ())
        self.terminal.show_table(columns, [tuple(_cell(value) for value in row) for row in rows[:ROWS_SHOWN]])
        if len(rows) > ROWS_SHOWN:
            self.terminal.say(f"… {len(rows)} rows")
        # The lake may hold other sources, and items of a larger demo: only those of this catalogue are known here.
        answered = {row[0] for row in rows} & {item["id"] for item in catalogue.items}
        wanted = question.wanted(catalogue)
        wrong = ", ".join(sorted(answered ^ wanted)[:5])
        check(answered == wanted, f"{question.title} The tables and the files differ on: {wrong}")
        return answered

    def show_ways_on(self, lake: dict[str, Any], catalogue: Catalogue) -> None:
        """Say what to type next: the README says what comes of it."""
        self.terminal.head(f"All done and checked in {self.facts['seconds']} s. The lake stays up; go on with")
        if shutil.which("stac-rucio-sync") is None:
            self.terminal.show_command(f"export PATH={Path(program('stac-rucio-sync')).parent}:$PATH")
        site = lake["rses"][RSE]["site"]
        for command in (
            shlex.join(self.ours("status")),
            shlex.join(self.ours("serve")) + " &",
            f'stac-rucio-sync query "{WHERE_THE_BYTES_ARE}"',
            shlex.join(self.ours("explain", self.facts["download"]["did"], "--site", site)),
            shlex.join(("rustac", "serve", str(catalogue.ndjson), "--create-collections")) + " &",
            shlex.join(self.ours("lake", "down")),
        ):
            self.terminal.show_command(command)
        self.terminal.say(f"SQL: the URLs of the database are in {lake['settings']}")
        self.terminal.say(f"Rucio: RUCIO_CONFIG={lake['accounts'][ACCOUNT]} rucio whoami")


def clean_environment() -> None:
    """Forget settings of real servers: the demo talks to its own lake only."""
    for name in list(os.environ):
        if name.startswith(("STAC_RUCIO_SYNC_", "RUCIO_")):
            del os.environ[name]


def _read(url: str) -> bytes | None:
    """Return what a URL gives; None: it gives nothing."""
    try:
        answer = requests.get(url, timeout=5)
    except requests.RequestException:
        return None
    return answer.content if answer.ok else None


def _reader(settings: Settings) -> psycopg.Connection[Any]:
    url = settings.database.reader_url
    if url is None:
        raise FatalError("the lake's settings name no reader_url")
    try:
        return psycopg.connect(url.get_secret_value(), connect_timeout=10, autocommit=True)
    except psycopg.Error as error:
        raise FatalError(f"the lake's database does not answer: {error}") from error


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
