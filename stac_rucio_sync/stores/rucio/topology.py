"""What RSEs say of themselves and how far they are declared from each other, in as few calls as the account may make.

One call exports everything, to administrators and whom the policy of the server lets. For everybody else Rucio has one
call that lists the RSEs with their availability, one a RSE for its attributes, and one a pair for a distance.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.model import Rse
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.origins import ORIGIN_ATTRIBUTE
from stac_rucio_sync.stores.rucio.refusals import DeniedError, FaultError, MissingError

LOG = logging.getLogger(__name__)

Way = tuple[str, str]
"""From the RSE of a replica to the RSE that it would be copied to, or read near."""


@dataclass(frozen=True, slots=True)
class Exported:
    """All RSEs, and all distances that are declared."""

    rses: Mapping[str, Rse]
    distances: Mapping[Way, int]


class RucioTopology:
    """Asks for RSEs and distances; remembers only whether the account may export them.

    Parameters
    ----------
    calls
        The edge to Rucio.
    """

    def __init__(self, calls: RucioCalls) -> None:
        self._calls = calls
        self._may_export = True

    def listed(self) -> dict[str, Mapping[str, Any]]:
        """Return the RSEs by name in Rucio's words, availability included and attributes left out: one call."""
        return {row["rse"]: row for row in self._calls.send("list_rses")}

    def described(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Rse]:
        """Return listed RSEs with their attributes: one call each; one that is gone meanwhile is left out."""
        found = {}
        for row in rows:
            try:
                found[row["rse"]] = _rse(row, self._calls.send("list_rse_attributes", row["rse"]))
            except MissingError:
                continue
        return found

    def distances(self, ways: Iterable[Way]) -> dict[Way, int | None]:
        """Return declared distances; None where there is none: one call each."""
        return {way: self._distance(*way) for way in ways}

    def _distance(self, source: str, destination: str) -> int | None:
        try:
            rows = self._calls.send("get_distance", source, destination)
        except MissingError:
            return None
        return next((int(row["distance"]) for row in rows if row.get("distance") is not None), None)

    def exported(self) -> Exported | None:
        """Return everything by one call; None where the account may not, or Rucio does not bring it in time."""
        if not self._may_export:
            return None
        try:
            told = self._calls.send_once("export_data")
        except DeniedError:
            self._may_export = False
            return None
        except (TransientError, FaultError) as error:  # whether Rucio is away altogether, shorter calls will tell
            LOG.warning("Rucio brings no export of its RSEs, so they are asked for one by one: %s", error)
            return None
        rses = {name: _rse({**row, "rse": name}, row["attributes"]) for name, row in told["rses"].items()}
        distances = {
            (source, destination): int(row["distance"])
            for source, row_of in told["distances"].items()
            for destination, row in row_of.items()
            if row.get("distance") is not None and {source, destination} <= rses.keys()
        }
        return Exported(rses, distances)


def ways(sources: Iterable[str], rses: Mapping[str, Rse]) -> list[Way]:
    """Return the ways from RSEs to all places where clients can be: an origin is nobody's place."""
    destinations = sorted(name for name, rse in rses.items() if rse.origin is None)
    return [
        (source, destination) for source in sorted(sources) for destination in destinations if source != destination
    ]


def _rse(row: Mapping[str, Any], attributes: Mapping[str, Any]) -> Rse:
    return Rse(
        rse=row["rse"],
        deterministic=row["deterministic"],
        rse_type=str(row["rse_type"]),
        available_read=row["availability_read"],
        site=attributes.get("site"),
        latitude=_degrees(attributes.get("latitude", row["latitude"]), 90),
        longitude=_degrees(attributes.get("longitude", row["longitude"]), 180),
        origin=attributes.get(ORIGIN_ATTRIBUTE),
    )


def _degrees(value: object, limit: int) -> float | None:
    """Return an angle; attributes are free text, and nonsense in them is no position."""
    try:
        angle = float(value)  # type: ignore[arg-type] # anything else is a TypeError, handled below
    except (TypeError, ValueError):
        return None
    return angle if abs(angle) <= limit else None
