"""Which assets of an item are the data themselves, and which are their company (previews, metadata, masks)."""

from __future__ import annotations

import re
from typing import Final

from stac_rucio_sync.mapping.identifiers import suffix_of
from stac_rucio_sync.model import Asset, HeldItem, Item, Link
from stac_rucio_sync.settings import Settings

_SCIENCE_ROLES: Final = frozenset(
    {"data", "science", "reflectance", "temperature", "emissivity", "pointcloud", "sigma0", "gamma0", "beta0"}
)
"""Roles of STAC's best practices and extensions that mean the measurement itself."""
_COMPANY_ROLES: Final = frozenset(
    {
        "thumbnail",
        "overview",
        "preview",
        "metadata",
        "graphic",
        "icon",
        "legend",
        "documentation",
        "report",
        "license",
        "tiles",
        "quality",
        "data-mask",
        "quality-mask",
        "cloud",
        "cloud-shadow",
        "snow-ice",
        "water-mask",
        "saturation",
    }
)
_SCIENCE_TYPE = re.compile(
    r"tiff|jp2|fits|netcdf|hdf|zarr|laszip|\blas\b|\blaz\b|copc|parquet|grib|arrow", re.ASCII | re.IGNORECASE
)
_SCIENCE_SUFFIX = re.compile(
    r"\.(?:tiff?|jp2|fits?|fz|nc4?|h5|hdf5?|he5|la[sz]|parquet|grib2?|zarr)", re.ASCII | re.IGNORECASE
)


def science_assets(item: Item, settings: Settings) -> frozenset[str]:
    """Return the keys of the assets that are the data themselves.

    By the collection's ``science_roles`` where the settings have them; else by the roles that STAC has for data; where
    no asset has one of those, by media type (or suffix, where there is no type) among the assets whose roles do not
    make them company.
    """
    roles = settings.collection(item.key.collection).science_roles
    if roles is not None:
        return frozenset(asset.key for asset in item.assets if not set(roles).isdisjoint(asset.roles))
    by_role = frozenset(asset.key for asset in item.assets if not _SCIENCE_ROLES.isdisjoint(asset.roles))
    if by_role:
        return by_role
    return frozenset(asset.key for asset in item.assets if _looks_like_science(asset))


def is_science_link(link: Link, held: HeldItem, settings: Settings) -> bool:
    """Say of an asset that stayed a link whether it is the data themselves, by the same rules."""
    roles = settings.collection(held.key.collection).science_roles
    if roles is not None:
        return not set(roles).isdisjoint(link.roles)
    if not _SCIENCE_ROLES.isdisjoint(link.roles):
        return True
    roles_of_all = [file.roles for file in held.files] + [other.roles for other in held.links]
    return all(map(_SCIENCE_ROLES.isdisjoint, roles_of_all)) and _looks_like_science(link)


def _looks_like_science(asset: Asset | Link) -> bool:
    if not _COMPANY_ROLES.isdisjoint(asset.roles):
        return False
    if asset.media_type is not None:
        return _SCIENCE_TYPE.search(asset.media_type) is not None
    return _SCIENCE_SUFFIX.fullmatch(suffix_of(asset.href)) is not None
