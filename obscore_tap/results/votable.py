"""What stands around the rows of a VOTable, and the VOTables that have no rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from obscore_tap.results.fields import attribute, content, field_ids, fields
from obscore_tap.results.writer import Ending, Heading, Info
from obscore_tap.schema import OutputColumn

DEFAULT_VERSION = "1.4"
VERSIONS = ("1.3", "1.4", "1.5")
"""From 1.3 on there is BINARY2; all of them share one XML namespace."""
NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"
DATALINK = "ivo://ivoa.net/std/DataLink#links-1.1"
ENDED_EARLY = "the result broke off: "


def opening(version: str = DEFAULT_VERSION) -> str:
    """Return the first lines of a VOTable."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="{version}" xmlns="{NAMESPACE}">\n'


def info(one: Info) -> str:
    """Return an INFO element."""
    start = f'<INFO name="{attribute(one.name)}" value="{attribute(one.value)}"'
    return f"{start}>{content(one.text)}</INFO>\n" if one.text else f"{start}/>\n"


def error_votable(message: str, infos: Iterable[Info] = ()) -> bytes:
    """Return the document that says why there is no result (DALI 1.1 section 4.4)."""
    status = Info("QUERY_STATUS", "ERROR", message)
    told = "".join(map(info, (status, *infos)))
    return f'{opening(DEFAULT_VERSION)}<RESOURCE type="results">\n{told}</RESOURCE>\n</VOTABLE>\n'.encode()


def head(columns: Sequence[OutputColumn], heading: Heading, declare_nulls: bool, version: str) -> str:
    """Return a VOTable down to its last FIELD; DALI 1.1 section 4.4.1 asks for the first INFO."""
    infos = "".join(map(info, (Info("QUERY_STATUS", "OK"), *heading.infos)))
    described = f"<DESCRIPTION>{content(heading.title)}</DESCRIPTION>\n" if heading.title else ""
    declared = _fields(tuple(columns), declare_nulls)
    return f'{opening(version)}<RESOURCE type="results">\n{described}{infos}<TABLE name="result">\n{declared}'


def tail(columns: Sequence[OutputColumn], heading: Heading, ending: Ending) -> str:
    """Return a VOTable from the end of its TABLE on: what is known only after the last row comes here."""
    status = ""
    if ending.error:
        status = info(Info("QUERY_STATUS", "ERROR", ENDED_EARLY + ending.error))
    elif ending.overflow:
        status = info(Info("QUERY_STATUS", "OVERFLOW", "there are more rows than were asked for or are allowed"))
    links = _links(tuple(columns), heading.datalink_url) if heading.datalink_url else ""
    return f"</TABLE>\n{status}</RESOURCE>\n{links}{''.join(heading.resources)}</VOTABLE>\n"


def without_rows(columns: Sequence[OutputColumn], heading: Heading) -> bytes:
    """Return the VOTable that describes rows which lie elsewhere."""
    return (head(columns, heading, False, DEFAULT_VERSION) + tail(columns, heading, Ending())).encode()


@lru_cache(maxsize=256)
def _fields(columns: tuple[OutputColumn, ...], declare_nulls: bool) -> str:
    return fields(columns, declare_nulls)


@lru_cache(maxsize=256)
def _links(columns: tuple[OutputColumn, ...], url: str) -> str:
    """Return service descriptors: how to get from each obs_publisher_did to its links (DataLink 1.1 section 4)."""
    ids = field_ids(columns).values()
    return "".join(_descriptor(f"links_{number}", xml_id, url) for number, xml_id in enumerate(ids, 1))


def _descriptor(own_id: str, xml_id: str, url: str) -> str:
    return (
        f'<RESOURCE ID="{own_id}" name="links" type="meta" utype="adhoc:service">\n'
        "<DESCRIPTION>The files of a data product, and what can be done with them</DESCRIPTION>\n"
        f'<PARAM name="standardID" datatype="char" arraysize="*" value="{DATALINK}"/>\n'
        f'<PARAM name="accessURL" datatype="char" arraysize="*" value="{attribute(url)}"/>\n'
        '<GROUP name="inputParams">\n'
        f'<PARAM name="ID" datatype="char" arraysize="*" ucd="meta.id;meta.main" value="" ref="{xml_id}"/>\n'
        '<PARAM name="SITE" datatype="char" arraysize="*" value="">'
        "<DESCRIPTION>The site where you are, if your address does not tell: copies near it come first</DESCRIPTION>"
        "</PARAM>\n"
        "</GROUP>\n</RESOURCE>\n"
    )
