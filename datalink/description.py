"""DataLink's description of itself: the descriptor of an answer without IDs, and its VOSI documents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from pydantic_xml import BaseXmlModel, attr, element
from vo_models.vodataservice.models import ParamHTTP
from vo_models.voresource.models import NSMAP, AccessURL, Capability
from vo_models.vosi.capabilities import VOSICapabilities

from datalink.asked import LINKS_TYPE
from datalink.votable import STANDARD_ID
from obscore_tap.availability import OTHER_VERSION, our_checksums
from obscore_tap.results.fields import attribute, content
from obscore_tap.vosi import availability_document, support_capabilities
from stac_rucio_sync.errors import SyncError, TransientError
from stac_rucio_sync.model import Did, MirrorState, Topology
from stac_rucio_sync.stores.tables.mirror import Mirror

_SILENCE: Final = timedelta(minutes=10)
"""A watcher that was not heard of for so long is none."""
_NOTHING: Final = Did("", "")
_OPTIONS: Final = 100
"""Sites and RSEs that the descriptor lists at most."""


class Parameter(NamedTuple):
    """A parameter of the service."""

    name: str
    description: str
    ucd: str = ""
    datatype: str = "char"
    unit: str = ""
    options: tuple[str, ...] = ()
    standard: bool = False
    """DataLink or DALI defines it."""


PARAMETERS: Final = (
    Parameter(
        "ID",
        "What to give links of: obs_publisher_did, or scope:name of the dataset or file in the data lake; may be "
        "repeated",
        "meta.id;meta.main",
        standard=True,
    ),
    Parameter(
        "RESPONSEFORMAT", "Media type of the answer", "meta.code.mime", options=("votable", "text/html"), standard=True
    ),
    Parameter(
        "MAXREC", "Most rows of the answer; what one ID has is given whole or not at all", datatype="int", standard=True
    ),
    Parameter("SITE", "The site where you are: copies near it come first"),
    Parameter("RSE", "The storage element that you are next to"),
    Parameter("LAT", "Where you are, with LON: degrees north", "pos.earth.lat", "double", "deg"),
    Parameter("LON", "Where you are, with LAT: degrees east", "pos.earth.lon", "double", "deg"),
    Parameter(
        "REPLICAS",
        "this: further copies of a file get the term of the first, too, not one of their own",
        options=("this",),
    ),
)


class _InputParam(BaseXmlModel, tag="param"):
    """``vs:InputParam`` with its name, for which the one of vo-models has no place."""

    std: bool = attr(name="std")
    use: str = attr(name="use")
    name: str = element(tag="name")
    description: str = element(tag="description")
    unit: str | None = element(tag="unit", default=None)
    ucd: str | None = element(tag="ucd", default=None)


class _Interface(ParamHTTP):
    param: list[_InputParam] = element(tag="param")  # type: ignore[assignment] # see _InputParam


class _Links(Capability, tag="capability", nsmap={"": "", **NSMAP}):
    """The capability; pydantic writes of an interface what the type in the model has, so this names ours."""

    interface: list[_Interface] = element(tag="interface")  # type: ignore[assignment] # see above


class _Capabilities(VOSICapabilities, tag="capabilities", ns="vosi", nsmap=VOSICapabilities.__xml_nsmap__):
    capability: list[_Links | Capability] = element(tag="capability", ns="", nsmap={"": ""}, default=[])


def descriptor(access_url: str, topology: Topology) -> str:
    """Return the RESOURCE that describes the service (DataLink 1.1 section 4.5).

    Parameters
    ----------
    access_url
        Of the links.
    topology
        The RSEs: sites and RSEs that a client can name.
    """
    sites = sorted({rse.site for rse in topology.rses.values() if rse.site})
    options = {"SITE": tuple(sites[:_OPTIONS]), "RSE": tuple(sorted(topology.rses)[:_OPTIONS])}
    parameters = "".join(_param(one, options.get(one.name, one.options)) for one in PARAMETERS)
    return (
        '<RESOURCE type="meta" utype="adhoc:this" name="links">\n'
        "<DESCRIPTION>Where the files of data products are, the copy nearest to you first, and what belongs to them"
        "</DESCRIPTION>\n"
        f'<PARAM name="standardID" datatype="char" arraysize="*" value="{STANDARD_ID}"/>\n'
        f'<PARAM name="accessURL" datatype="char" arraysize="*" value="{attribute(access_url)}"/>\n'
        f'<PARAM name="contentType" datatype="char" arraysize="*" value="{LINKS_TYPE}"/>\n'
        f'<GROUP name="inputParams">\n{parameters}</GROUP>\n</RESOURCE>\n'
    )


def _param(one: Parameter, options: Iterable[str]) -> str:
    listed = "".join(f'<OPTION value="{attribute(option)}"/>' for option in options if option.isprintable())
    is_text = one.datatype == "char"
    datatype = "unicodeChar" if is_text and not listed.isascii() else one.datatype
    attributes = f'name="{one.name}" datatype="{datatype}"'
    attributes += ' arraysize="*"' if is_text else ""
    attributes += "".join(f' {name}="{word}"' for name, word in (("unit", one.unit), ("ucd", one.ucd)) if word)
    values = f"<VALUES>{listed}</VALUES>" if listed else ""
    return f'<PARAM {attributes} value=""><DESCRIPTION>{content(one.description)}</DESCRIPTION>{values}</PARAM>\n'


def capabilities_of(service_url: str) -> bytes:
    """Return the VOSI capabilities (DataLink 1.1 section 2.2)."""
    interface = _Interface(
        role="std",
        version="1.1",
        access_url=[AccessURL(value=f"{service_url}/links", use="base")],  # type: ignore[arg-type] # pydantic makes the URL
        query_type=["GET", "POST"],
        result_type=LINKS_TYPE,
        param=[
            _InputParam(
                name=one.name,
                description=one.description,
                unit=one.unit or None,
                ucd=one.ucd or None,
                use="required" if one.name == "ID" else "optional",
                std=one.standard,
            )
            for one in PARAMETERS
        ],
    )
    links = _Links(standard_id=STANDARD_ID, interface=[interface])  # type: ignore[arg-type] # pydantic makes the URI
    written = _Capabilities(capability=[*support_capabilities(service_url), links]).to_xml(skip_empty=True)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + (written.encode() if isinstance(written, str) else written)


def availability_of(mirror: Mirror, up_since: datetime) -> bytes:
    """Return the VOSI availability: links are there as long as the mirror answers; notes tell how old it is."""
    faults, notes = mirror_faults(mirror)
    return availability_document(available=not faults, up_since=up_since, notes=[*faults, *notes])


def mirror_faults(mirror: Mirror) -> tuple[list[str], list[str]]:
    """Ask the mirror for nothing, by the statements that every request asks it with.

    Returns
    -------
    tuple of list of str
        Why it cannot answer (none: it does), and what else there is to say of it.
    """
    try:
        mirror.held([_NOTHING])
        mirror.held([_NOTHING, _NOTHING])
        mirror.extents([""])
        notes = list(freshness_notes(mirror.freshness(), datetime.now(UTC)))
        if mirror.applied() != our_checksums():
            notes.append(OTHER_VERSION)
    except TransientError:
        return ["the database cannot be reached"], []
    except SyncError:
        return ["the tables cannot be read: they are missing, or of another version"], []
    return [], notes


def freshness_notes(state: MirrorState, now: datetime) -> tuple[str, ...]:
    """Return what there is to say of how far the mirror follows Rucio at a time."""
    if state.rucio_ok is None:
        return ("nobody watches Rucio (stac-rucio-sync watch): links are as the last sync or verify left them",)
    if state.rucio_ok:
        if state.last_poll is None or now - state.last_poll < _SILENCE:
            return ()
        return (f"nobody watches Rucio since {_instant(state.last_poll)}: links are those of then, and of later syncs",)
    known = f", as of {_instant(state.last_poll)}" if state.last_poll else ""
    since = f" since {_instant(state.since)}" if state.since else ""
    return (f"Rucio does not answer{since}: links are those of the mirror{known}",)


def _instant(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
