"""What the services of cut-outs say of themselves: VOSI capabilities and availability."""

from __future__ import annotations

from datetime import datetime

from datalink.cuttable import Kind
from datalink.description import mirror_faults
from datalink.descriptors import ASYNC_ID, SYNC_ID
from obscore_tap.vosi import (
    availability_document,
    capabilities_document,
    capability,
    parameter_interface,
    support_capabilities,
)
from stac_rucio_sync.stores.tables.mirror import Mirror


def capabilities_of(url: str, kind: Kind) -> bytes:
    """Return the VOSI capabilities (SODA 1.0 section 2.5); maps of bodies are cut by no standard.

    Parameters
    ----------
    url
        Below which the service lies.
    kind
        What it cuts.
    """
    standard = [
        capability(SYNC_ID, parameter_interface(f"{url}/sync", version="1.0")),
        capability(ASYNC_ID, parameter_interface(f"{url}/async", version="1.0")),
    ]
    return capabilities_document([*support_capabilities(url), *(standard if kind is Kind.FITS else [])])


def availability_of(mirror: Mirror, up_since: datetime) -> bytes:
    """Return the VOSI availability: files are found as long as the mirror answers."""
    faults, notes = mirror_faults(mirror)
    return availability_document(available=not faults, up_since=up_since, notes=[*faults, *notes])
