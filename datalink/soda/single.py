"""Filters by axes that a picture does not have: its one wavelength, time and polarization are those of its row."""

from __future__ import annotations

from dataclasses import replace

from datalink.cutouts.errors import NoOverlapError
from datalink.cutouts.region import Cutting, Interval
from stac_rucio_sync.model import Extent


def fitting(wanted: Cutting, product: str | None, extent: Extent | None) -> Cutting:
    """Return what is left to be cut of an image, which has no axes but those of the sky.

    A filter that its row of ObsCore fits cuts nothing away; without a row, or for other products, the file tells.

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
        The image is of another wavelength, time or polarization.
    """
    if product != "image" or extent is None:
        return wanted
    left = wanted
    if wanted.band is not None and extent.band is not None and (extent.channels or 1) == 1:
        _check("BAND", wanted.band, extent.band)
        left = replace(left, band=None)
    if wanted.time is not None and extent.time is not None and (extent.moments or 1) == 1:
        _check("TIME", wanted.time, extent.time)
        left = replace(left, time=None)
    if wanted.states and len(extent.states) == 1:
        if extent.states[0] not in wanted.states:
            raise NoOverlapError(f"POL: the image is of {extent.states[0]}")
        left = replace(left, states=())
    return left


def _check(name: str, wanted: Interval, extent: tuple[float, float]) -> None:
    if wanted.low > extent[1] or wanted.high < extent[0]:
        raise NoOverlapError(f"{name}: the image is from {extent[0]!r} to {extent[1]!r}")
