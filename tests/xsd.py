"""Documents against the IVOA's XML schemas, without the network.

The schemas are in the folder beside this checkout; those that they import come out of the archive of STILTS.
"""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from tests.conftest import SHARED

STILTS = Path("/usr/share/java/starlink-ttools.jar")
_IN_STILTS = "uk/ac/starlink/ttools/taplint/"
_XSD = "http://www.w3.org/2001/XMLSchema"
_SCHEMAS = (
    ("http://www.w3.org/XML/1998/namespace", "xmlnamespace.xsd"),
    ("http://www.w3.org/1999/xlink", "xlink.xsd"),
    ("http://www.ivoa.net/xml/STC/stc-v1.30.xsd", "stc-v1.30.xsd"),
    ("http://www.ivoa.net/xml/VOResource/v1.0", "VOResource-v1.3.xsd"),
    ("http://www.ivoa.net/xml/VODataService/v1.1", "VODataService-v1.3.xsd"),
    ("http://www.ivoa.net/xml/TAPRegExt/v1.0", "TAPRegExt-v1.0-with-erratum1.xsd"),
    ("http://www.ivoa.net/xml/VOSIAvailability/v1.0", "VOSIAvailability-v1.0.xsd"),
    ("http://www.ivoa.net/xml/VOSICapabilities/v1.0", "VOSICapabilities-v1.0.xsd"),
    ("http://www.ivoa.net/xml/VOSITables/v1.0", "VOSITables-v1.1.xsd"),
    ("http://www.ivoa.net/xml/UWS/v1.0", "UWS-v1.1.xsd"),
)
"""Namespaces and their schemas; each after those that it imports."""


_RECORD = "record.xsd"
_RECORD_XSD = b"""<schema xmlns="http://www.w3.org/2001/XMLSchema" xmlns:vr="http://www.ivoa.net/xml/VOResource/v1.0"
    targetNamespace="http://www.ivoa.net/xml/RegistryInterface/v1.0">
    <import namespace="http://www.ivoa.net/xml/VOResource/v1.0" schemaLocation="VOResource-v1.3.xsd"/>
    <element name="Resource" type="vr:Resource"/>
</schema>"""
"""Of RegistryInterface 1.0 what a record needs: its root."""
_CONE_SEARCH = Path("/usr/lib/python3/dist-packages/gavo/resources/schemata/ConeSearch.xsd")
"""Of Debian's DaCHS."""


class _Local(etree.Resolver):  # type: ignore[misc] # lxml has no types
    def resolve(self, url: str, _public: str | None, context: object) -> object:
        found = _read(url.rsplit("/", 1)[-1])
        return self.resolve_string(found, context) if found is not None else None


def _read(name: str) -> bytes | None:
    if name == _RECORD:
        return _RECORD_XSD
    local = _CONE_SEARCH if name == _CONE_SEARCH.name else SHARED / "schemas" / name
    if local.is_file():
        return local.read_bytes()
    with zipfile.ZipFile(STILTS) as archive:
        inside = _IN_STILTS + name
        return archive.read(inside) if inside in archive.namelist() else None


@cache
def _schema(*further: tuple[str, str]) -> etree.XMLSchema:
    listed = (*_SCHEMAS, *further)
    imports = "".join(f'<import namespace="{space}" schemaLocation="{name}"/>' for space, name in listed)
    parser = etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(_Local())
    return etree.XMLSchema(etree.fromstring(f'<schema xmlns="{_XSD}">{imports}</schema>'.encode(), parser))


def schema_faults(document: bytes) -> list[str]:
    """Return what the schemas say against a document; the test is skipped where they are not here."""
    if not (SHARED / "schemas").is_dir() or not STILTS.is_file():
        pytest.skip("the XML schemas are not beside this checkout, or STILTS is not installed")
    schema = _schema()
    schema.validate(etree.fromstring(document))
    return [str(fault) for fault in schema.error_log]


@cache
def _votable_schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SHARED / "schemas" / "VOTable.xsd"))


def votable_faults(document: bytes) -> list[str]:
    """Return what the schema of VOTable says against a document; the test is skipped where it is not here."""
    if not (SHARED / "schemas" / "VOTable.xsd").is_file():
        pytest.skip("the XML schema of VOTable is not beside this checkout")
    schema = _votable_schema()
    schema.validate(etree.fromstring(document))
    return [str(fault) for fault in schema.error_log]


def record_faults(document: bytes) -> list[str]:
    """Return what the schemas say against a record of the Registry; the test is skipped where they are not here."""
    if not (SHARED / "schemas").is_dir() or not STILTS.is_file():
        pytest.skip("the XML schemas are not beside this checkout, or STILTS is not installed")
    further = [("http://www.ivoa.net/xml/RegistryInterface/v1.0", _RECORD)]
    if b"cs:ConeSearch" in document:
        if not _CONE_SEARCH.is_file():
            pytest.skip("the XML schema of ConeSearch is not here: DaCHS (gavodachs2-server) brings it")
        further.append(("http://www.ivoa.net/xml/ConeSearch/v1.0", _CONE_SEARCH.name))
    schema = _schema(*further)
    schema.validate(etree.fromstring(document))
    return [str(fault) for fault in schema.error_log]
