"""Records of the services for the Registry, by VOResource 1.1, VODataService 1.2 and the extensions of the standards.

What a service can do and what its tables hold is in its VOSI documents; a record is these with the words of the
settings around them. Records are published by a publishing registry that exists, which gives them out by OAI-PMH.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from obscore_tap import scs
from obscore_tap.published import make_published
from obscore_tap.schema import Published
from obscore_tap.sia2.description import STANDARD_ID as SIA_ID
from obscore_tap.tap.capabilities import tap_capabilities
from obscore_tap.vosi import (
    capabilities_document,
    capability,
    parameter_interface,
    support_capabilities,
    tables_document,
)
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.settings import Registry, Settings

TAP_AUXILIARY: Final = "ivo://ivoa.net/std/TAP#aux"
_INSIDE: Final = re.compile(rb"<vosi:\w+[^>]*>(.*)</vosi:\w+>\s*\Z", re.DOTALL)
_NAMESPACES: Final = {
    "ri": "http://www.ivoa.net/xml/RegistryInterface/v1.0",
    "vr": "http://www.ivoa.net/xml/VOResource/v1.0",
    "vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    "vm": "http://www.ivoa.net/xml/VOMetadata/v0.1",
    "cs": "http://www.ivoa.net/xml/ConeSearch/v1.0",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_NEEDED: Final = ("publisher", "contact_name", "contact_email", "subjects", "description")
_UNREGISTERED: Final = ".invalid"
_SHORTEST_NAME: Final = 16
"""Characters of a shortName (VOResource 1.1 section 3.1.1)."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What one record has beside the words that all have."""

    of: str
    """The service, for its title and its short name."""
    content: str
    """XML of its capabilities and tables."""
    kind: str = "vs:CatalogService"
    served_by: str = ""
    """The service whose tables these are."""


def record(kind: str, settings: Settings, now: datetime) -> bytes:
    """Return the record of a service.

    Parameters
    ----------
    kind
        One of `KINDS`.
    settings
        With [registry], the authority of [identity], and the public address of [services].
    now
        When the record was changed last.

    Raises
    ------
    UsageError
        What a record needs is not set; the text names it.
    """
    said = settings.registry
    _need(settings)
    made = KINDS[kind](settings)
    identifier = identifier_of(kind, settings)
    created = datetime(said.created.year, said.created.month, said.created.day) if said.created else now
    spaces = " ".join(f"xmlns:{name}={quoteattr(space)}" for name, space in _NAMESPACES.items())
    title = f"{settings.services.title} {made.of}"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ri:Resource {spaces} xsi:type="{made.kind}" created="{_instant(created)}" updated="{_instant(now)}" '
        f'status="active">\n<title>{escape(title)}</title>\n'
        f"<shortName>{escape(_short(settings, made.of))}</shortName>\n"
        f"<identifier>{escape(identifier)}</identifier>\n{_curation(said, now)}{_content(settings, made)}{made.content}"
        "</ri:Resource>\n"
    ).encode()


def identifier_of(kind: str, settings: Settings) -> str:
    """Return the IVOA identifier of a service."""
    return f"ivo://{settings.identity.authority}/{settings.identity.path}/{kind}"


def _need(settings: Settings) -> None:
    lacking = [name for name in _NEEDED if not getattr(settings.registry, name)]
    if lacking:
        raise UsageError(f"a record needs [registry] {', '.join(lacking)} (docs/registration.md)")
    if settings.identity.authority.endswith(_UNREGISTERED):
        raise UsageError("a record needs [identity] authority: the IVOA naming authority that is registered for you")
    host = urlsplit(settings.services.base_url).hostname or ""
    if "base_url" not in settings.services.model_fields_set or host == "localhost" or host.startswith("127."):
        raise UsageError("a record needs [services] base_url: the address by which everybody reaches the services")


def _curation(said: Registry, now: datetime) -> str:
    publisher_id = f" ivo-id={quoteattr(said.publisher_id)}" if said.publisher_id else ""
    creators = "".join(f"<creator><name>{escape(name)}</name></creator>\n" for name in said.creators)
    return (
        f"<curation>\n<publisher{publisher_id}>{escape(said.publisher or '')}</publisher>\n{creators}"
        f'<date role="updated">{now.astimezone(UTC):%Y-%m-%d}</date>\n'
        f"<contact><name>{escape(said.contact_name or '')}</name><email>{escape(said.contact_email or '')}</email>"
        "</contact>\n</curation>\n"
    )


def _content(settings: Settings, made: _Record) -> str:
    said = settings.registry
    subjects = "".join(f"<subject>{escape(one)}</subject>\n" for one in said.subjects)
    address = said.reference_url or f"{settings.services.base_url}/"
    related = (
        "<relationship><relationshipType>IsServedBy</relationshipType>"
        f"<relatedResource ivo-id={quoteattr(made.served_by)}>{escape(settings.services.title)} TAP</relatedResource>"
        "</relationship>\n"
        if made.served_by
        else ""
    )
    return (
        f"<content>\n{subjects}<description>{escape(said.description or '')}</description>\n"
        f"<referenceURL>{escape(address)}</referenceURL>\n<type>{'Catalog' if made.served_by else 'Archive'}</type>\n"
        f"<contentLevel>Research</contentLevel>\n{related}</content>\n"
    )


def _tap(settings: Settings) -> _Record:
    url = f"{settings.services.base_url}/tap"
    found = capabilities_document(tap_capabilities(url, settings.tap))
    return _Record("TAP", _inside(found) + _tableset(make_published(settings.epn.schema_name)))


def _sia(settings: Settings) -> _Record:
    url = f"{settings.services.base_url}/sia2"
    searching = capability(SIA_ID, parameter_interface(f"{url}/query", version="2.0"))
    return _Record("SIA", _inside(capabilities_document([*support_capabilities(url), searching])))


def _scs(settings: Settings) -> _Record:
    url = f"{settings.services.base_url}/scs"
    searching = (
        f'<capability standardID="{scs.STANDARD_ID}" xsi:type="cs:ConeSearch">'
        '<interface role="std" version="1.03" xsi:type="vs:ParamHTTP">'
        f'<accessURL use="base">{escape(url)}?</accessURL></interface>'
        f"<maxSR>180.0</maxSR><maxRecords>{settings.tap.max_maxrec}</maxRecords><verbosity>true</verbosity>"
        "<testQuery><ra>180.0</ra><dec>0.0</dec><sr>0.1</sr></testQuery></capability>\n"
    )
    tables = _tableset(_only(make_published(settings.epn.schema_name), {scs.TABLE}))
    return _Record("SCS", _inside(capabilities_document(support_capabilities(url))) + searching + tables)


def _epn(settings: Settings) -> _Record:
    """Return the record of the table that is found by its utype, and asked through the TAP service (DDC 1.1)."""
    url = f"{settings.services.base_url}/tap"
    auxiliary = capability(TAP_AUXILIARY, parameter_interface(url, version="1.1"))
    schema = settings.epn.schema_name
    tables = _tableset(_only(make_published(schema), {f"{schema}.epn_core"}))
    content = _inside(capabilities_document([auxiliary])) + tables
    return _Record("EPN-TAP", content, "vs:CatalogResource", identifier_of("tap", settings))


KINDS: Final[dict[str, Callable[[Settings], _Record]]] = {"tap": _tap, "sia2": _sia, "scs": _scs, "epn": _epn}
"""What there are records of."""


def _only(published: Published, names: Iterable[str]) -> Published:
    tables = [table for table in published if table.full_name in set(names)]
    schemas = {table.schema for table in tables}
    return Published(tables, [schema for schema in published.schemas if schema.name in schemas])


def _tableset(published: Published) -> str:
    return f"<tableset>{_inside(tables_document(published, with_columns=True))}</tableset>\n"


def _inside(document: bytes) -> str:
    """Return what a VOSI document holds; the prefixes that it uses are those of a record, too."""
    found = _INSIDE.search(document)
    assert found is not None  # noqa: S101 - a document of ours
    return found[1].decode() + "\n"


def _short(settings: Settings, of: str) -> str:
    room = _SHORTEST_NAME - len(of) - 1
    return f"{settings.services.title[:room].strip()} {of}"


def _instant(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
