"""What the events of Hermes name: DIDs to look at. An event is a hint and never a truth.

Hermes posts, as to Elasticsearch, lines of JSON: ``{"index": {}}`` and an event, in turn. An event has a type
(``transfer-done``, ``deletion-done``, ``RULE_OK`` ...) and a payload with the scope and the name of a DID. What has
become of the DID is asked of Rucio when the event is read, so that it does not matter whether events come twice, late
or in another order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from stac_rucio_sync.model import Did

LINE_BYTES = 4_000_000
"""The longest line; a longer one is no event of Rucio."""


class NoEventsError(ValueError):
    """A text is no lines of JSON."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a post of Hermes named."""

    events: int = 0
    dids: frozenset[Did] = field(default_factory=frozenset)


def heard_in(lines: Iterable[bytes]) -> Heard:
    """Return the DIDs that events name.

    Parameters
    ----------
    lines
        NDJSON, as Hermes' service ``elastic`` sends it; objects without a scope and a name count as nothing heard of.

    Raises
    ------
    NoEventsError
        A line is too long, is no JSON, or no object.
    """
    events = 0
    dids: set[Did] = set()
    for line in lines:
        if len(line) > LINE_BYTES:
            raise NoEventsError(f"a line of more than {LINE_BYTES} bytes")
        if not line.strip():
            continue
        try:
            told = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise NoEventsError(f"a line that is no JSON: {error}") from error
        if not isinstance(told, dict):
            raise NoEventsError("a line that is no JSON object")
        if "event_type" not in told:
            continue  # Elasticsearch's word for what to do with the next line
        events += 1
        did = _did(told.get("payload"))
        if did is not None:
            dids.add(did)
    return Heard(events, frozenset(dids))


def _did(payload: Any) -> Did | None:  # noqa: ANN401 - any JSON value
    if isinstance(payload, str):
        try:
            payload = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
    if not isinstance(payload, dict):
        return None
    scope, name = payload.get("scope"), payload.get("name")
    if not isinstance(scope, str) or not isinstance(name, str) or "\x00" in scope + name:
        return None
    return Did(scope, name)
