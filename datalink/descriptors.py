"""Descriptors of the services that cut the files of an answer (DataLink 1.1 section 4, SODA 1.0 section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from datalink.cuttable import Kind
from datalink.rows import Offer
from datalink.votable import ID_REF, quoted, text
from obscore_tap.results.fields import content
from stac_rucio_sync.mapping.identifiers import obs_publisher_did
from stac_rucio_sync.model import Extent
from stac_rucio_sync.settings import Settings

SYNC_ID: Final = "ivo://ivoa.net/std/SODA#sync-1.0"
ASYNC_ID: Final = "ivo://ivoa.net/std/SODA#async-1.0"
FORMATS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.FITS: ("application/fits", "image/fits", "image/png"),
    Kind.GEOTIFF: ("image/tiff; application=geotiff", "image/png"),
}
"""Media types of cut-outs; the first is the default."""
_AT_ONCE: Final = 1000
_WHAT: Final = {Kind.FITS: "Cuts regions of the sky out of the file", Kind.GEOTIFF: "Cuts regions out of the map"}
_NO_EXTENT: Final = {Kind.FITS: Extent(is_sky=True), Kind.GEOTIFF: Extent(is_sky=False)}


class _Input:
    """An input parameter: its three factors (SODA 1.0 section 3.5) and its VOTable type, rendered once.

    Parameters
    ----------
    name, ucd, unit
        The factors.
    form
        Attributes of its type.
    description
        What it is.
    """

    def __init__(self, name: str, ucd: str, unit: str, form: str, description: str) -> None:
        unit = f' unit="{unit}"' if unit else ""
        self._start = f'<PARAM name="{name}" {form} ucd="{ucd}"{unit} value="'
        self._told = f'"><DESCRIPTION>{content(description)}</DESCRIPTION>'

    def of(self, value: str) -> str:
        """Return it with its only value, or with none."""
        return f"{self._start}{quoted(value)}{self._told}</PARAM>\n"

    def within(self, most: str, least: str = "") -> str:
        """Return it with what it reaches to, where that is known; numbers."""
        lower = f'<MIN value="{least}"/>' if least else ""
        values = f'<VALUES>{lower}<MAX value="{most}"/></VALUES>' if most else ""
        return f"{self._start}{self._told}{values}</PARAM>\n"

    def among(self, options: Iterable[str]) -> str:
        """Return it with all values that it may have."""
        listed = "".join(f'<OPTION value="{quoted(option)}"/>' for option in options)
        return f"{self._start}{self._told}<VALUES>{listed}</VALUES></PARAM>\n"


_TEXT: Final = 'datatype="char" arraysize="*"'
_POLYGON_TYPE: Final = 'datatype="double" arraysize="*" xtype="polygon"'
_INTERVAL_TYPE: Final = 'datatype="double" arraysize="2" xtype="interval"'
_IDENTIFIER: Final = "meta.ref.url;meta.curation"
_SKY: Final = "pos.outline;obs"
_BODY: Final = "pos.outline;pos.bodyrc"
_ID: Final = _Input("ID", _IDENTIFIER, "", _TEXT, "The file that is cut")
_ID_OF_ROW: Final = _Input("ID", _IDENTIFIER, "", f'{_TEXT} ref="{ID_REF}"', "The product that is cut")
_CIRCLE: Final = _Input(
    "CIRCLE", _SKY, "deg", 'datatype="double" arraysize="3" xtype="circle"', "A circle that the cut-out covers, ICRS"
)
_POLYGON: Final = _Input("POLYGON", _SKY, "deg", _POLYGON_TYPE, "A polygon that the cut-out covers, ICRS")
_POS: Final = _Input(
    "POS", _SKY, "", _TEXT, "A region that the cut-out covers: CIRCLE, RANGE or POLYGON, ICRS degrees"
).of("")
_BAND: Final = _Input("BAND", "em.wl;stat.interval", "m", _INTERVAL_TYPE, "Wavelengths of the cut-out")
_TIME: Final = _Input("TIME", "time.interval;obs.exposure", "d", _INTERVAL_TYPE, "Times of the cut-out, MJD, UTC")
_POL: Final = _Input(
    "POL", "meta.code;phys.polarization", "", _TEXT, "Polarization states of the cut-out; may be repeated"
)
_BODY_BBOX: Final = _Input(
    "BODY_BBOX",
    _BODY,
    "deg",
    'datatype="double" arraysize="4"',
    "A box that the cut-out covers: west, south, east, north; longitudes eastward, on the body",
)
_BODY_POLYGON: Final = _Input(
    "BODY_POLYGON",
    _BODY,
    "deg",
    _POLYGON_TYPE,
    "A polygon that the cut-out covers: eastward longitudes and latitudes of the body",
)
_FORMAT: Final[Mapping[Kind, str]] = {
    kind: _Input("RESPONSEFORMAT", "meta.code.mime", "", _TEXT, "Media type of the cut-out").among(formats)
    for kind, formats in FORMATS.items()
}


def descriptors(
    offers: Sequence[Offer], extents: Callable[[Sequence[str]], Mapping[str, Extent]], settings: Settings
) -> Iterator[str]:
    """Yield the pieces of two RESOURCE elements for each file that can be cut: the service at once, and as jobs.

    Parameters
    ----------
    offers
        The files.
    extents
        Tells what data products cover, by their ``obs_publisher_did``.
    settings
        Where the services lie, and how files are named.
    """
    if sum(offer.kind is Kind.FITS for offer in offers) > 1:
        yield from _for_any_row(settings)
    for start in range(0, len(offers), _AT_ONCE):
        some = offers[start : start + _AT_ONCE]
        unknown = {offer.held.obs_publisher_did for offer in some if offer.held.extent is None} - {""}
        known = extents(list(unknown)) if unknown else {}
        for offer in some:
            extent = offer.held.extent or known.get(offer.held.obs_publisher_did, _NO_EXTENT[offer.kind])
            yield from _described(offer, extent, settings)


def _for_any_row(settings: Settings) -> Iterator[str]:
    """Yield a descriptor that takes its ID from the row, as `_described` has it for one file.

    pyvo's ``processed()`` takes the first descriptor of SODA for every row: of several products it would always cut the
    first one's file.
    """
    at_once, _ = _services(Kind.FITS, settings.services.base_url)
    inputs = (_ID_OF_ROW.of(""), *_of_the_sky(None, _NO_EXTENT[Kind.FITS]), _FORMAT[Kind.FITS])
    return _resource("cutout", "Cuts regions of the sky out of the one file of a product", at_once, inputs)


def _described(offer: Offer, extent: Extent, settings: Settings) -> Iterator[str]:
    kind = offer.kind
    ranges = _of_the_sky(offer.held.dataproduct_type, extent) if kind is Kind.FITS else _of_a_body(extent)
    inputs = (_ID.of(obs_publisher_did(offer.file.did, settings)), *ranges, _FORMAT[kind])
    name, name_of_jobs = offer.service_defs
    at_once, as_job = _services(kind, settings.services.base_url)
    told = f"{_WHAT[kind]} {text(offer.file.did.name)}"
    yield from _resource(name, told, at_once, inputs)
    yield from _resource(name_of_jobs, f"{told}, as a job (UWS)", as_job, inputs)


def _resource(name: str, told: str, service: str, inputs: Iterable[str]) -> Iterator[str]:
    yield f'<RESOURCE type="meta" utype="adhoc:service" ID="{name}" name="{name}">\n<DESCRIPTION>{told}</DESCRIPTION>\n'
    yield service
    yield '<GROUP name="inputParams">\n'
    yield from inputs
    yield "</GROUP>\n</RESOURCE>\n"


@lru_cache(maxsize=8)
def _services(kind: Kind, base_url: str) -> tuple[str, str]:
    """Return what says which service it is, and where, for the one that answers at once and for the one with jobs."""
    url = f"{base_url}{kind.path}"
    is_soda = kind is Kind.FITS  # maps have a service of their own, of no standard
    at_once, as_job = (
        (f'<PARAM name="standardID" {_TEXT} value="{standard}"/>\n' if is_soda else "")
        + f'<PARAM name="accessURL" {_TEXT} ucd="meta.ref.url" value="{quoted(f"{url}/{path}")}"/>\n'
        for standard, path in ((SYNC_ID, "sync"), (ASYNC_ID, "async"))
    )
    return at_once, as_job


def _of_the_sky(product: str | None, extent: Extent) -> Iterator[str]:
    """Yield the parameters of SODA that mean something for a file, with what is known of their ranges."""
    sky = extent if extent.is_sky else _NO_EXTENT[Kind.FITS]
    yield _CIRCLE.within(_numbers(sky.circle))
    yield _POLYGON.within(_numbers(sky.polygon))
    yield _POS
    is_image = product == "image"
    if extent.band is not None and extent.channels != 1 and not is_image:
        least, most = map(repr, extent.band)
        yield _BAND.within(most, least)
    if extent.time is not None and (extent.moments or 0) > 1:
        least, most = map(repr, extent.time)
        yield _TIME.within(most, least)
    if extent.states and not is_image:
        yield _POL.among(extent.states)


def _of_a_body(extent: Extent) -> Iterator[str]:
    body = extent if not extent.is_sky else _NO_EXTENT[Kind.GEOTIFF]
    yield _BODY_BBOX.within(_numbers(body.box))
    yield _BODY_POLYGON.within(_numbers(body.polygon))


def _numbers(numbers: Sequence[float] | None) -> str:
    return " ".join(map(repr, numbers)) if numbers else ""
