"""The watcher of Rucio, for the time in which a rule makes copies: they show in the tables without another sync."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from stac_rucio_sync.demo.copies import RSE, CubeFile
from stac_rucio_sync.demo.terminal import Terminal, check
from stac_rucio_sync.errors import FatalError

START_SECONDS = 30.0
MIRROR_SECONDS = 30.0
"""In which the tables must show what the rule made."""
_ANOTHER = "another watcher"
_LISTENS = "events are taken at"
_SHOWN = "SELECT name FROM lake.replica WHERE rse = %s AND state = 'AVAILABLE' AND name = ANY(%s)"


@contextmanager
def watching(terminal: Terminal, command: Sequence[str]) -> Iterator[None]:
    """Run the watcher, unless one runs already.

    Raises
    ------
    FatalError
        It did not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "watch.log"
        with terminal.server(*command, log=log) as server:
            deadline = time.monotonic() + START_SECONDS
            while _LISTENS not in (said := log.read_text(errors="replace")):
                if server.poll() is not None:
                    check(_ANOTHER in said, f"the watcher ended at once:\n{said}")
                    terminal.say("one runs already")
                    break
                check(time.monotonic() < deadline, f"the watcher does not begin after {START_SECONDS:.0f} s:\n{said}")
                time.sleep(0.05)
            yield


def wait_for_mirror(terminal: Terminal, tables: psycopg.Connection[Any], files: Sequence[CubeFile]) -> dict[str, Any]:
    """Wait until the tables show the copies that a rule made.

    Raises
    ------
    FatalError
        They do not.
    """
    names = {file.name for file in files}
    began = time.monotonic()
    terminal.show_query(f"SELECT name, state FROM lake.replica WHERE rse = '{RSE}'")  # noqa: S608 - shown, not run
    while True:
        try:
            shown = {name for (name,) in tables.execute(_SHOWN, [RSE, sorted(names)])}
        except psycopg.Error as error:
            raise FatalError(f"the demo failed: the tables gave no answer: {error}") from error
        waited = time.monotonic() - began
        if shown == names:
            break
        check(
            waited < MIRROR_SECONDS,
            f"after {waited:.0f} s the tables show {len(shown)} of {len(names)} copies at {RSE}",
        )
        time.sleep(0.1)
    terminal.say(f"{len(names)} copies at {RSE}, {waited:.1f} s after the rule was OK")
    return {"files": len(names), "seconds": round(waited, 1)}
