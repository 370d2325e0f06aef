"""Rucio's daemons in one process: each is Rucio's own, run once a round, whenever there is work for it.

One cheap query a round tells which daemons have work, so an idle lake costs next to nothing and a busy one does not
wait: Rucio's own loops sleep for tens of seconds and wait ten more for other workers, which there are none of.
An error in a daemon is logged and counted in ``DAEMONS_STATUS``, and the round goes on.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import transfer
from dogpile.cache import make_region
from rucio.common.config import config_get
from rucio.core import heartbeat
from rucio.core.rse import list_rses
from rucio.daemons.abacus import account as account_usage
from rucio.daemons.abacus import rse as rse_usage
from rucio.daemons.common import run_daemon
from rucio.daemons.conveyor.finisher import finisher
from rucio.daemons.conveyor.poller import poller
from rucio.daemons.conveyor.submitter import submitter
from rucio.daemons.hermes import hermes
from rucio.daemons.judge import cleaner, evaluator, repairer
from rucio.daemons.reaper import reaper
from rucio.daemons.undertaker import undertaker
from rucio.db.sqla.constants import DatabaseOperationType
from rucio.db.sqla.session import db_session
from sqlalchemy import text

ROUND_SECONDS = 1.0
BUSY_ROUND_SECONDS = 0.1
RARE_SECONDS = 5.0
#: A stuck rule is tried again after this time (Rucio's own default is 1800 s).
REPAIR_AFTER_SECONDS = 300
#: Events that nobody listened to for so long are dropped.
EVENTS_KEPT = "1 hour"
#: Hermes waits for an answer without end; one that takes longer is asked for again.
EVENTS_TIMEOUT_SECONDS = 60.0
ORIGIN_ATTRIBUTE = "origin"

LOGGER = logging.getLogger("daemons")
STOP = threading.Event()

# What there is to do, by daemon. States: Q(ueued), (submittin)G, (submitted) S and the final ones of requests.
_WORK = """
SELECT EXISTS (SELECT 1 FROM dev.updated_dids) AS evaluator,
       EXISTS (SELECT 1 FROM dev.rules WHERE expires_at < now() AT TIME ZONE 'UTC') AS cleaner,
       EXISTS (SELECT 1 FROM dev.requests WHERE state = 'Q') AS submitter,
       EXISTS (SELECT 1 FROM dev.requests WHERE state = 'S') AS poller,
       EXISTS (SELECT 1 FROM dev.requests WHERE state NOT IN ('Q', 'S')) AS finisher
"""
_RARE_WORK = """
SELECT EXISTS (SELECT 1 FROM dev.rules WHERE state = 'S') AS repairer,
       EXISTS (SELECT 1 FROM dev.dids WHERE expired_at < now() AT TIME ZONE 'UTC') AS undertaker,
       EXISTS (SELECT 1 FROM dev.replicas WHERE tombstone < now() AT TIME ZONE 'UTC') AS reaper,
       EXISTS (SELECT 1 FROM dev.updated_account_counters) AS account_usage,
       EXISTS (SELECT 1 FROM dev.updated_rse_counters) AS rse_usage,
       EXISTS (SELECT 1 FROM dev.messages) AS hermes
"""
_EVENTS = "SELECT EXISTS (SELECT 1 FROM dev.messages) AS hermes"


def has_work(query: str) -> list[str]:
    """Return the names of the daemons that a query finds work for, in the query's order."""
    with db_session(DatabaseOperationType.READ) as session:
        row = session.execute(text(query)).mappings().one()
        return [name for name, exists in row.items() if exists]


def once(name: str, run_once: Callable[..., object], **arguments: object) -> None:
    """Run one of Rucio's daemon bodies once, without its wait for other workers."""
    run_daemon(
        once=True,
        graceful_stop=STOP,
        executable=name,
        partition_wait_time=0,
        sleep_time=60,
        run_once_fnc=functools.partial(run_once, **arguments),
    )


def run_submitter() -> None:
    """Hand queued requests to the transfer tool."""
    submitter(once=True, bulk=500, group_bulk=50, partition_wait_time=0, transfertools=[transfer.NAME], sleep_time=60)


def run_poller() -> None:
    """Ask the transfer tool how submitted requests fare."""
    poller(once=True, older_than=0, partition_wait_time=0, transfertool=transfer.NAME, sleep_time=60)


def run_finisher() -> None:
    """Update replicas, locks and rules from requests that ended."""
    finisher(once=True, partition_wait_time=0, sleep_time=60)


def run_reaper() -> None:
    """Delete what nobody wants any more; at an origin, only the registration.

    The bytes at an origin belong to somebody else: whatever delete protocol such an RSE has, only a ``mock`` one is
    ever used.
    """
    origins = set(_origin_rses())
    others = sorted({rse["rse"] for rse in list_rses()} - origins)
    for names, scheme in ((others, None), (sorted(origins), "mock")):
        if names:
            once(
                "reaper",
                reaper.run_once,
                rses=names,
                include_rses=None,
                exclude_rses=None,
                vos=None,
                chunk_size=500,
                greedy=True,
                scheme=scheme,
                delay_seconds=0,
                auto_exclude_threshold=100,
                auto_exclude_timeout=600,
            )


def _origin_rses() -> list[str]:
    with db_session(DatabaseOperationType.READ) as session:
        query = text("SELECT r.rse FROM dev.rses r JOIN dev.rse_attr_map a ON a.rse_id = r.id WHERE a.key = :key")
        return [name for (name,) in session.execute(query, {"key": ORIGIN_ATTRIBUTE})]


def run_hermes() -> None:
    """Post Rucio's events, where somebody listens; drop those that nobody wanted for an hour."""
    endpoint = urlsplit(config_get("hermes", "elastic_endpoint"))
    try:
        socket.create_connection((endpoint.hostname, endpoint.port or 80), timeout=1.0).close()
    except OSError:
        with db_session(DatabaseOperationType.WRITE) as session:
            old = "created_at < now() AT TIME ZONE 'UTC' - CAST(:kept AS interval)"
            session.execute(text(f"DELETE FROM dev.messages WHERE {old}"), {"kept": EVENTS_KEPT})  # noqa: S608 - constants
        return
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(EVENTS_TIMEOUT_SECONDS)
    try:
        once("hermes", hermes.run_once, bulk=1000)
    finally:
        socket.setdefaulttimeout(before)


def daemons() -> dict[str, Callable[[], None]]:
    """Return the daemons by name."""
    return {
        "evaluator": functools.partial(once, "judge-evaluator", evaluator.run_once, paused_dids={}, did_limit=200),
        "cleaner": functools.partial(once, "judge-cleaner", cleaner.run_once, paused_rules={}),
        "repairer": functools.partial(
            once, "judge-repairer", repairer.run_once, paused_rules={}, delta=REPAIR_AFTER_SECONDS
        ),
        "submitter": run_submitter,
        "poller": run_poller,
        "finisher": run_finisher,
        "undertaker": functools.partial(once, "undertaker", undertaker.run_once, paused_dids={}, chunk_size=100),
        "reaper": run_reaper,
        # What accounts and RSEs hold: without it no quota is ever used up.
        "account_usage": functools.partial(once, "abacus-account", account_usage.run_once),
        "rse_usage": functools.partial(once, "abacus-rse", rse_usage.run_once),
        "hermes": run_hermes,
    }


class Rounds:
    """The loop, and what it counts."""

    def __init__(self, status: Path) -> None:
        self._status = status
        self._daemons = daemons()
        self._runs: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._last_error = ""
        self._next_rare = 0.0
        self._last_names: list[str] = []
        self._wait = ROUND_SECONDS

    def round(self) -> float:
        """Run each daemon that has work, once; say how many seconds to wait before the next round.

        The wait is short while work comes and goes, and grows while there is always the same to do, which is a long
        copy or a request that cannot be submitted yet.
        """
        names = has_work(_WORK)
        rare: list[str] = []
        if time.monotonic() >= self._next_rare:
            self._next_rare = time.monotonic() + RARE_SECONDS
            rare = has_work(_RARE_WORK)
        for name in names + rare:
            if STOP.is_set():
                break
            self.run(name)
        if (names or rare) and not STOP.is_set() and has_work(_EVENTS):
            self.run("hermes")  # what has just been done is told at once
        if not names:
            self._wait = ROUND_SECONDS
        elif names != self._last_names:
            self._wait = BUSY_ROUND_SECONDS
        else:
            self._wait = min(2 * self._wait, ROUND_SECONDS)
        self._last_names = names
        return self._wait

    def run(self, name: str) -> None:
        """Run one daemon; its error is logged and counted, never lost and never the end of the others."""
        self._runs[name] += 1
        try:
            self._daemons[name]()
        except Exception as error:  # noqa: BLE001 - counted and logged, and the other daemons go on
            self.failed(name, error)
        except SystemExit as error:  # hermes leaves the process when its configuration is incomplete
            self.failed(name, error)

    def failed(self, name: str, error: BaseException) -> None:
        """Count an error."""
        LOGGER.error("%s failed", name, exc_info=error)
        self._errors[name] += 1
        self._last_error = f"{name}: {type(error).__name__}: {error}"[:500]

    def report(self) -> None:
        """Write the counts where `lake status` finds them."""
        fresh = self._status.with_suffix(".part")
        counts = {"runs": self._runs, "errors": self._errors, "last_error": self._last_error}
        fresh.write_text(json.dumps({**counts, "pid": os.getpid()}), encoding="utf-8")
        fresh.replace(self._status)


def jobs_in_flight() -> set[str]:
    """Return the transfer jobs that Rucio still asks for."""
    with db_session(DatabaseOperationType.READ) as session:
        return {
            job for (job,) in session.execute(text("SELECT DISTINCT external_id FROM dev.requests WHERE state = 'S'"))
        }


def main() -> None:
    """Run rounds until told to stop."""
    level = os.environ.get("LAKE_LOG_LEVEL", "WARNING")
    logging.basicConfig(level=level, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    LOGGER.setLevel(logging.INFO)
    # Said at every submission of a lake, where multi-hop transfers have nothing to hop over.
    logging.getLogger("conveyor-submitter").setLevel(logging.ERROR)
    copier = transfer.register(Path(os.environ["LAKE_RSE_FOLDER"]))
    # The reaper remembers for two minutes that an RSE had nothing to delete; it is asked only when one has.
    reaper.REGION = make_region().configure("dogpile.cache.null")

    def stop(_number: int, _frame: FrameType | None) -> None:
        STOP.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    rounds = Rounds(Path(os.environ["LAKE_DAEMONS_STATUS"]))
    # Nobody else runs daemons on this lake; what a killed process left behind would be counted as a second worker.
    heartbeat.cardiac_arrest()
    LOGGER.info("ready")
    while not STOP.is_set():
        wait = ROUND_SECONDS
        try:
            wait = rounds.round()
            copier.forget(jobs_in_flight())
        except Exception as error:  # noqa: BLE001 - the database may be away for a while
            rounds.failed("round", error)
        rounds.report()
        STOP.wait(wait)
    copier.stop()
    LOGGER.info("stopped")


if __name__ == "__main__":
    main()
