"""The conversation with Git LFS: its protocol for transfer agents, a line of JSON for every event.

https://github.com/git-lfs/git-lfs/blob/main/docs/custom-transfers.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import orjson

from stac_rucio_sync.errors import SyncError

Get = Callable[[str, str, Callable[[int], None]], Path]
"""Brings the bytes of (remote, SHA-256) and tells how many came so far; returns where they lie."""
_REFUSED = 2
_NO_UPLOAD = "large files get into the catalogue by stac-rucio-sync catalog ingest, not by a push"


def talk(said: Iterable[bytes], answers: IO[bytes], get: Get) -> None:
    """Answer Git LFS until it ends the conversation.

    Parameters
    ----------
    said, answers
        What it says, line by line, and where to answer.
    get
        Brings a file.
    """

    def answer(event: dict[str, Any]) -> None:
        answers.write(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
        answers.flush()

    remote = "origin"
    for line in said:
        event = orjson.loads(line)
        kind = event.get("event")
        if kind == "terminate":
            return
        if kind == "init":
            remote = event.get("remote") or remote
            answer({} if event.get("operation") == "download" else {"error": _error(_NO_UPLOAD)})
        elif kind == "download":
            answer(_downloaded(event["oid"], remote, get, answer))
        else:
            answer({"event": "complete", "oid": event.get("oid"), "error": _error(_NO_UPLOAD)})


def _downloaded(oid: str, remote: str, get: Get, answer: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    told = 0

    def on_bytes(so_far: int) -> None:
        nonlocal told
        if so_far > told:
            answer({"event": "progress", "oid": oid, "bytesSoFar": so_far, "bytesSinceLast": so_far - told})
            told = so_far

    try:
        path = get(remote, oid, on_bytes)
    except (SyncError, OSError) as error:
        return {"event": "complete", "oid": oid, "error": _error(str(error))}
    return {"event": "complete", "oid": oid, "path": str(path)}


def _error(message: str) -> dict[str, Any]:
    return {"code": _REFUSED, "message": message}
