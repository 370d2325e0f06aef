"""Filters by axes that a file may lack: its one wavelength, time or polarization is that of its row."""

from __future__ import annotations

from dataclasses import replace

from datalink.cutouts.errors import NoOverlapError
from datalink.cutouts.region import Cutting, Interval
from stac_rucio_sync.model import Extent


def fitting(wanted: Cutting, product: str | None, extent: Extent | None) -> Cutting:
    """Return what is left to be cut of a product that has but one wavelength, time or state, as an image has of each.

    A filter that its row of ObsCore fits cuts nothing away; where the row does not say of a cube that it has but one,
    the file tells.

    Parameters
    ----------
    wanted
        Of the file.
    product
        The ``dataproduct_type`` of its item.
    extent
        What the item covers.

    Raises
    ------
    NoOverlapError
        The product is of another wavelength, time or polarization.
    """
    if extent is None:
        return wanted
    left, unsaid = wanted, 1 if product == "image" else 0
    if wanted.band is not None and extent.band is not None and (extent.channels or unsaid) == 1:
        _check("BAND", wanted.band, extent.band)
        left = replace(left, band=None)
    if wanted.time is not None and extent.time is not None and (extent.moments or unsaid) == 1:
        _check("TIME", wanted.time, extent.time)
        left = replace(left, time=None)
    if wanted.states and len(extent.states) == 1:
        if extent.states[0] not in wanted.states:
            raise NoOverlapError(f"POL: the file is of {extent.states[0]}")
        left = replace(left, states=())
    return left


def _check(name: str, wanted: Interval, extent: tuple[float, float]) -> None:
    if wanted.low > extent[1] or wanted.high < extent[0]:
        raise NoOverlapError(f"{name}: the file is from {extent[0]!r} to {extent[1]!r}")
