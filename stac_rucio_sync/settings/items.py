"""What becomes of items: their names, their rows, and how the sync goes about it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stac_rucio_sync.settings.section import Section


class Identity(Section):
    """How items and assets are named outside STAC."""

    authority: str = Field(default="stac-rucio-sync.invalid", pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{2,}$")
    """The IVOA naming authority of the archive. The default says by its name that none is registered."""
    path: str = Field(default="lake", pattern=r"^[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$")
    scope: str = Field(default="stac", pattern=r"^[a-zA-Z_\-.0-9]{1,25}$")
    """Rucio scope of collections that name none of their own."""
    template: str | None = None
    """File names by a template (``{collection}``, ``{item}``, ``{asset}``), e.g. stac-rucio's ``{item}_{asset}``."""
    default_collection: str = "items"
    """The collection of items that have none."""


class Collection(Section):
    """What the settings say of one collection; whatever is unset follows the item."""

    scope: str | None = Field(default=None, pattern=r"^[a-zA-Z_\-.0-9]{1,25}$")
    frame: Literal["sky", "body"] | None = None
    """``sky``: the geometry is ICRS (longitude = RA). Unset: body-fixed unless the item has s_ra and s_dec."""
    target_name: str | None = None
    calib_level: int | None = Field(default=None, ge=0, le=4)
    dataproduct_type: str | None = None
    science_roles: tuple[str, ...] | None = None
    """Asset roles that make an asset the data themselves."""
    template: str | None = None
    columns: dict[str, str | int | float] = Field(default_factory=dict)
    """Fixed ObsCore columns."""
    epn_columns: dict[str, str | int | float] = Field(default_factory=dict)
    """Fixed EPN-TAP columns."""


class Sync(Section):
    """The job."""

    sizes: Literal["item", "head", "stream"] = "item"
    batch_items: int = Field(default=500, ge=1, le=500)
    workers: int = Field(default=1, ge=1, le=32)
    on_changed_content: Literal["new", "quarantine"] = "new"
    connections_per_host: int = Field(default=4, ge=1, le=64)
    """How many requests for sizes one host gets at a time."""
    allow_private_addresses: bool = False
    """Whether sizes may be asked from loopback, private and link-local addresses."""


class Epn(Section):
    """The EPN-TAP table."""

    schema_name: str = Field(default="epn", alias="schema", pattern=r"^[a-z_][a-z0-9_]*$")
    """Its schema, which is also every row's ``service_title``."""
