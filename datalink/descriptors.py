"""Descriptors of the services that cut the files of an answer (DataLink 1.1 section 4, SODA 1.0 section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from datalink.cuttable import Kind
from datalink.rows import Offer
from datalink.votable import ID_REF
from obscore_tap.results.fields import attribute, content
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


class _Input(NamedTuple):
    """An input parameter: its three factors (SODA 1.0 section 3.5), its VOTable type, and what it may be."""

    name: str
    ucd: str
    unit: str
    form: str
    """Attributes of its type."""
    description: str
    least: str = ""
    most: str = ""
    options: tuple[str, ...] = ()
    value: str = ""


_TEXT: Final = 'datatype="char" arraysize="*"'
_CIRCLE: Final = 'datatype="double" arraysize="3" xtype="circle"'
_POLYGON: Final = 'datatype="double" arraysize="*" xtype="polygon"'
_INTERVAL: Final = 'datatype="double" arraysize="2" xtype="interval"'
_BOX: Final = 'datatype="double" arraysize="4"'


def descriptors(
    offers: Sequence[Offer], extents: Callable[[Sequence[str]], Mapping[str, Extent]], settings: Settings
) -> Iterator[str]:
    """Yield two RESOURCE elements for each file that can be cut: the service at once, and as jobs.

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
        yield _for_any_row(settings)
    for start in range(0, len(offers), _AT_ONCE):
        some = offers[start : start + _AT_ONCE]
        unknown = {offer.held.obs_publisher_did for offer in some if offer.held.extent is None} - {""}
        known = extents(list(unknown)) if unknown else {}
        for offer in some:
            extent = offer.held.extent or known.get(offer.held.obs_publisher_did, _NO_EXTENT[offer.kind])
            yield _described(offer, extent, settings)


def _for_any_row(settings: Settings) -> str:
    """Return a descriptor that takes its ID from the row, as `_described` has it for one file.

    pyvo's ``processed()`` takes the first descriptor of SODA for every row: of several products it would always cut the
    first one's file.
    """
    asked = _Input("ID", "meta.ref.url;meta.curation", "", f'{_TEXT} ref="{ID_REF}"', "The product that is cut")
    inputs = "".join(map(_param, (asked, *_of_the_sky(None, _NO_EXTENT[Kind.FITS]), _format(Kind.FITS))))
    told = "Cuts regions of the sky out of the one file of a product"
    return _resource("cutout", f"{settings.services.base_url}{Kind.FITS.path}/sync", SYNC_ID, told, inputs)


def _described(offer: Offer, extent: Extent, settings: Settings) -> str:
    asked = obs_publisher_did(offer.file.did, settings)
    make = _of_the_sky if offer.kind is Kind.FITS else _of_a_body
    inputs = "".join(map(_param, (_id(asked), *make(offer.held.dataproduct_type, extent), _format(offer.kind))))
    url = f"{settings.services.base_url}{offer.kind.path}"
    is_soda = offer.kind is Kind.FITS
    at_once, as_job = offer.service_defs
    told = f"{_WHAT[offer.kind]} {offer.file.did.name}"
    return _resource(at_once, f"{url}/sync", SYNC_ID if is_soda else "", told, inputs) + _resource(
        as_job, f"{url}/async", ASYNC_ID if is_soda else "", f"{told}, as a job (UWS)", inputs
    )


def _resource(name: str, url: str, standard: str, told: str, inputs: str) -> str:
    standard_id = f'<PARAM name="standardID" {_TEXT} value="{standard}"/>\n' if standard else ""
    return (
        f'<RESOURCE type="meta" utype="adhoc:service" ID="{name}" name="{name}">\n'
        f"<DESCRIPTION>{content(told)}</DESCRIPTION>\n{standard_id}"
        f'<PARAM name="accessURL" {_TEXT} ucd="meta.ref.url" value="{attribute(url)}"/>\n'
        f'<GROUP name="inputParams">\n{inputs}</GROUP>\n</RESOURCE>\n'
    )


def _id(asked: str) -> _Input:
    return _Input("ID", "meta.ref.url;meta.curation", "", _TEXT, "The file that is cut", value=asked)


def _format(kind: Kind) -> _Input:
    return _Input("RESPONSEFORMAT", "meta.code.mime", "", _TEXT, "Media type of the cut-out", options=FORMATS[kind])


def _of_the_sky(product: str | None, extent: Extent) -> Iterator[_Input]:
    """Yield the parameters of SODA that mean something for a file, with what is known of their ranges."""
    sky = extent if extent.is_sky else _NO_EXTENT[Kind.FITS]
    ucd = "pos.outline;obs"
    circle, polygon = _numbers(sky.circle), _numbers(sky.polygon)
    yield _Input("CIRCLE", ucd, "deg", _CIRCLE, "A circle that the cut-out covers, ICRS", most=circle)
    yield _Input("POLYGON", ucd, "deg", _POLYGON, "A polygon that the cut-out covers, ICRS", most=polygon)
    yield _Input("POS", ucd, "", _TEXT, "A region that the cut-out covers: CIRCLE, RANGE or POLYGON, ICRS degrees")
    is_image = product == "image"
    if extent.band is not None and extent.channels != 1 and not is_image:
        least, most = map(repr, extent.band)
        yield _Input("BAND", "em.wl;stat.interval", "m", _INTERVAL, "Wavelengths of the cut-out", least, most)
    if extent.time is not None and (extent.moments or 0) > 1:
        least, most = map(repr, extent.time)
        told = "Times of the cut-out, MJD, UTC"
        yield _Input("TIME", "time.interval;obs.exposure", "d", _INTERVAL, told, least, most)
    if extent.states and not is_image:
        ucd, told = "meta.code;phys.polarization", "Polarization states of the cut-out; may be repeated"
        yield _Input("POL", ucd, "", _TEXT, told, options=extent.states)


def _of_a_body(_: str | None, extent: Extent) -> Iterator[_Input]:
    body = extent if not extent.is_sky else _NO_EXTENT[Kind.GEOTIFF]
    ucd = "pos.outline;pos.bodyrc"
    told = "A box that the cut-out covers: west, south, east, north; longitudes eastward, on the body"
    yield _Input("BODY_BBOX", ucd, "deg", _BOX, told, most=_numbers(body.box))
    told = "A polygon that the cut-out covers: eastward longitudes and latitudes of the body"
    yield _Input("BODY_POLYGON", ucd, "deg", _POLYGON, told, most=_numbers(body.polygon))


def _numbers(numbers: Sequence[float] | None) -> str:
    return " ".join(map(repr, numbers or ()))


@lru_cache(maxsize=1024)
def _param(one: _Input) -> str:
    unit = f' unit="{one.unit}"' if one.unit else ""
    words = f'name="{one.name}" {one.form} ucd="{one.ucd}"{unit}'
    values = f'<MIN value="{one.least}"/>' if one.least else ""
    values += f'<MAX value="{one.most}"/>' if one.most else ""
    values += "".join(f'<OPTION value="{attribute(option)}"/>' for option in one.options)
    described = f"<DESCRIPTION>{content(one.description)}</DESCRIPTION>"
    listed = f"<VALUES>{values}</VALUES>" if values else ""
    return f'<PARAM {words} value="{attribute(one.value)}">{described}{listed}</PARAM>\n'
