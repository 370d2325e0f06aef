"""What a repository lets its writers do: all, or only some operations; a processor may be kept to fewer.

It is a rule of the place, not of the catalogue: kept beside the commits, it is in no version, clone or backup.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.errors import FatalError, UsageError

OPERATIONS = ("ingest", "update", "prune", "move")
"""New objects, other states of objects that are there, removal, and another place in the catalogue."""
FILE = "operations.json"


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What may be done."""

    repository: frozenset[str] = frozenset(OPERATIONS)
    """By anybody."""
    processors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By products of a processor, by its name; of what anybody may do. All of that where it is not named."""

    def allows(self, operation: str, processor: str | None = None) -> bool:
        """Tell whether an operation may be done (with the products of a processor)."""
        of_processor = OPERATIONS if processor is None else self.processors.get(processor, OPERATIONS)
        return operation in self.repository and operation in of_processor

    def check(self, operation: str, processor: str | None = None) -> None:
        """Refuse what may not be done.

        Raises
        ------
        UsageError
            It may not; the text says what may, and how that is changed.
        """
        if self.allows(operation, processor):
            return
        allowed = ", ".join(one for one in OPERATIONS if self.allows(one, processor)) or "nothing"
        whom = f"the processor {processor}" if operation in self.repository and processor else "this catalogue"
        raise UsageError(
            f"{whom} does not allow to {operation}, but {allowed}; who keeps it can change that: "
            "stac-rucio-sync catalog allow"
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON, operations in their order."""
        return {
            "repository": [one for one in OPERATIONS if one in self.repository],
            "processors": {
                name: [one for one in OPERATIONS if one in allowed] for name, allowed in sorted(self.processors.items())
            },
        }


def restrictions(place: Path) -> Restrictions:
    """Return what the repository at a place lets its writers do.

    Raises
    ------
    FatalError
        What is kept of it cannot be read: nothing may be done then.
    """
    try:
        said = json.loads((place / FILE).read_bytes())
        kept = {name: frozenset(map(str, allowed)) for name, allowed in said["processors"].items()}
        return Restrictions(frozenset(map(str, said["repository"])), kept)
    except FileNotFoundError:
        return Restrictions()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise FatalError(f"{place / FILE} says what may be done here, and cannot be read: {error}") from error


def restrict(place: Path, operations: Iterable[str], *, processor: str | None = None) -> Restrictions:
    """Say what may be done from now on; transactions that are under way end first.

    Parameters
    ----------
    place
        The repository.
    operations
        What may be done; all `OPERATIONS` lift a restriction.
    processor
        By products of this processor; None: by anybody.

    Raises
    ------
    UsageError
        There is no such operation.
    """
    allowed = frozenset(operations)
    if unknown := sorted(allowed - set(OPERATIONS)):
        raise UsageError(f"there is no operation {unknown[0]}, but {', '.join(OPERATIONS)}")
    with writer_lock(place):
        known = restrictions(place)
        if processor is None:
            made = Restrictions(allowed, known.processors)
        else:
            kept = {name: one for name, one in known.processors.items() if name != processor}
            if len(allowed) < len(OPERATIONS):
                kept[processor] = allowed
            made = Restrictions(known.repository, kept)
        incoming = place / f"{FILE}.incoming"
        incoming.write_text(json.dumps(made.as_json(), indent=1))
        incoming.replace(place / FILE)
    return made
