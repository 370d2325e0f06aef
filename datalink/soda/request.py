"""What a request for cut-outs asks: files, and what of them (SODA 1.0 section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar

from datalink.cutouts import region
from datalink.cutouts.errors import ManyValuesError, RequestError
from datalink.cutouts.region import Cutting, Interval, Region
from datalink.cuttable import Kind
from datalink.descriptors import FORMATS
from obscore_tap.parameters import Parameters
from obscore_tap.values import shown

_Read = TypeVar("_Read")
PNG: Final = "image/png"
FITS: Final = "application/fits"
GEOTIFF: Final = "image/tiff; application=geotiff"
_FORMATS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.FITS: {FITS: FITS, "image/fits": "image/fits", "fits": FITS, PNG: PNG, "png": PNG},
    Kind.GEOTIFF: {"image/tiff": GEOTIFF, "image/tiff;application=geotiff": GEOTIFF, PNG: PNG, "png": PNG},
}
"""How formats are asked for, without blanks and in small letters, and what the answer is called."""
_REGIONS: Final[Mapping[Kind, Mapping[str, Callable[[str], Region]]]] = {
    Kind.FITS: {"POS": region.position, "CIRCLE": region.circle, "POLYGON": region.polygon},
    Kind.GEOTIFF: {"BODY_BBOX": region.body_box, "BODY_POLYGON": region.body_polygon},
}
_INTERVALS: Final[Mapping[str, Callable[[str], Interval]]] = {"BAND": region.band, "TIME": region.time}
_SKY: Final = ("POS", "CIRCLE", "POLYGON", "BAND", "TIME", "POL")
_BODY: Final = ("BODY_BBOX", "BODY_POLYGON")
REPEATABLE: Final = frozenset({"ID", *_SKY, *_BODY})


@dataclass(frozen=True, slots=True)
class CutRequest:
    """A request, read: every combination of an ID, a region, a band and a time is one cut-out."""

    ids: tuple[str, ...]
    regions: tuple[tuple[str, Region], ...]
    """With the names of their parameters."""
    bands: tuple[Interval, ...]
    times: tuple[Interval, ...]
    states: tuple[str, ...]
    """One filter together (section 3.3.6)."""
    form: str
    """Media type of the answer."""

    @property
    def count(self) -> int:
        """Return how many cut-outs are asked for."""
        return len(self.ids) * max(1, len(self.regions)) * max(1, len(self.bands)) * max(1, len(self.times))

    def cuttings(self) -> Iterator[tuple[str, Cutting]]:
        """Yield the combinations: each ID with what is wanted of it, IDs changing last."""
        regions: Sequence[Region | None] = [one for _, one in self.regions] or [None]
        for asked, area, band, time in product(self.ids, regions, self.bands or [None], self.times or [None]):
            yield asked, Cutting(area, band, time, self.states)

    def only(self) -> tuple[str, Cutting]:
        """Return the one cut-out that is asked for.

        Raises
        ------
        ManyValuesError
            There are several; the text names the parameter.
        """
        several = {"ID": self.ids, "BAND": self.bands, "TIME": self.times}
        name = next((name for name, values in several.items() if len(values) > 1), "")
        if len(self.regions) > 1:
            name = " and ".join(dict.fromkeys(name for name, _ in self.regions))
        if name:
            raise ManyValuesError(f"{name}: there are several values, and this resource takes one; a job takes more")
        return next(self.cuttings())


def read(parameters: Parameters, kind: Kind) -> CutRequest:
    """Read a request.

    Raises
    ------
    RequestError
        It is none; the text names the parameter.
    """
    request = checked(parameters, kind)
    if not request.ids:
        raise RequestError("ID is missing: which file shall be cut? DataLink's links name it")
    return request


def checked(parameters: Parameters, kind: Kind) -> CutRequest:
    """Read a request that may still be incomplete, as a job's may until it runs.

    Raises
    ------
    RequestError
        What there is of it is wrong.
    """
    _refuse_foreign(parameters, kind)
    return CutRequest(
        tuple(dict.fromkeys(text.strip() for text in parameters.many("ID"))),
        tuple((name, one) for name, take in _REGIONS[kind].items() for one in _each(parameters.many(name), take)),
        tuple(_each(parameters.many("BAND"), _INTERVALS["BAND"])),
        tuple(_each(parameters.many("TIME"), _INTERVALS["TIME"])),
        region.states([text.strip() for text in parameters.many("POL")]),
        _form(parameters, kind),
    )


def _each(texts: Sequence[str], take: Callable[[str], _Read]) -> Iterator[_Read]:
    return (take(text) for text in dict.fromkeys(texts))


def _refuse_foreign(parameters: Parameters, kind: Kind) -> None:
    names = set(parameters.names())
    if kind is Kind.FITS and (found := names.intersection(_BODY)):
        raise RequestError(
            f"{min(found)} is of maps of bodies, and this service cuts files of the sky: maps are cut at "
            f"{Kind.GEOTIFF.path}/sync and {Kind.GEOTIFF.path}/async"
        )
    if kind is Kind.GEOTIFF and (found := names.intersection(_SKY)):
        raise RequestError(
            f"{min(found)} is ICRS or of spectral cubes, and maps of bodies have neither: BODY_BBOX and BODY_POLYGON "
            "take longitudes and latitudes of the body"
        )


def _form(parameters: Parameters, kind: Kind) -> str:
    texts = parameters.many("RESPONSEFORMAT")
    if len(texts) > 1:
        raise ManyValuesError("RESPONSEFORMAT: one format is taken")
    if not texts:
        return FORMATS[kind][0]
    form = _FORMATS[kind].get(texts[0].lower().replace(" ", ""))
    if form is None:
        raise RequestError(f"RESPONSEFORMAT: {shown(texts[0])} is none of {', '.join(FORMATS[kind])}")
    return form
