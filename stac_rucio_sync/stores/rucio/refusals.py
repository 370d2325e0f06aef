"""Why Rucio refused a call: the kinds of `RefusedError` that the store acts on."""

from __future__ import annotations

from stac_rucio_sync.errors import RefusedError


class DeniedError(RefusedError):
    """The account may not do this (or not to this DID, scope or RSE)."""


class MissingError(RefusedError):
    """Something that the call names does not exist."""


class ExistsError(RefusedError):
    """Something that the call would make exists already."""


class FaultError(RefusedError):
    """Rucio's database did not like it: something in the call, or the database is unwell; Rucio does not say."""
