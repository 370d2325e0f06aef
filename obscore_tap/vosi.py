"""VOSI 1.1: availability, capabilities and tables, as every service here gives them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from vo_models.vodataservice.models import ParamHTTP
from vo_models.voresource.models import AccessURL, Capability, Interface, WebBrowser
from vo_models.vosi.availability import Availability
from vo_models.vosi.capabilities import VOSICapabilities

from obscore_tap.schema import Column, Published, SchemaEntry, Table
from obscore_tap.tap_schema import votable_type

XML = "application/xml"
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_TABLES = "http://www.ivoa.net/xml/VOSITables/v1.0"
_DATA_SERVICE = "http://www.ivoa.net/xml/VODataService/v1.1"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"

AVAILABILITY_ID = "ivo://ivoa.net/std/VOSI#availability"
CAPABILITIES_ID = "ivo://ivoa.net/std/VOSI#capabilities"
TABLES_ID = "ivo://ivoa.net/std/VOSI#tables-1.1"


def availability_document(*, available: bool, up_since: datetime, notes: Iterable[str] = ()) -> bytes:
    """Return a VOSI availability document (VOSI 1.1 section 3)."""
    told = Availability(available=available, up_since=up_since if available else None, note=list(notes))
    return _DECLARATION + _encoded(told.to_xml(skip_empty=True))


def capabilities_document(capabilities: Sequence[Capability]) -> bytes:
    """Return a VOSI capabilities document (VOSI 1.1 section 4)."""
    return _DECLARATION + _encoded(VOSICapabilities(capability=list(capabilities)).to_xml(skip_empty=True))


def parameter_interface(url: str, *, use: str = "base", version: str | None = None, standard: bool = True) -> ParamHTTP:
    """Return an interface that is asked with parameters.

    Parameters
    ----------
    url
        Where it is.
    use
        ``base`` where parameters are to be added, ``full`` where the address is all.
    version
        Of the standard.
    standard
        Whether it is the interface that the capability's standard defines.
    """
    address = AccessURL(value=url, use=use)  # type: ignore[arg-type] # pydantic makes and checks both
    return ParamHTTP(role="std" if standard else None, version=version, access_url=[address])


def capability(standard_id: str, *interfaces: Interface, description: str | None = None) -> Capability:
    """Return a capability of a kind that has no fields of its own."""
    return Capability(standard_id=standard_id, description=description, interface=list(interfaces))  # type: ignore[arg-type] # pydantic makes the URI


def support_capabilities(service_url: str) -> list[Capability]:
    """Return what DALI wants beside every service: its availability and its capabilities (DALI 1.1 section 2)."""
    return [
        capability(CAPABILITIES_ID, parameter_interface(f"{service_url}/capabilities", use="full", standard=False)),
        capability(AVAILABILITY_ID, parameter_interface(f"{service_url}/availability", use="full", standard=False)),
    ]


def page_capability(standard_id: str, url: str) -> Capability:
    """Return the capability of a page for people."""
    return capability(standard_id, WebBrowser(access_url=[AccessURL(value=url, use="full")]))  # type: ignore[arg-type] # pydantic makes the URL


def tables_document(published: Published, *, with_columns: bool) -> bytes:
    """Return the document of all tables (VOSI 1.1 section 5).

    The models of vo-models escape words twice and have no place for an xtype; so the elements are made here.

    Parameters
    ----------
    published
        What there is.
    with_columns
        Whether columns and foreign keys are in it (``detail=max``).
    """
    root = _root("tableset")
    for schema in published.schemas:
        element = _add_schema(root, schema)
        for table in published:
            if table.schema == schema.name:
                _fill_table(ET.SubElement(element, "table"), table, with_columns=with_columns)
    return _DECLARATION + ET.tostring(root)


def table_document(table: Table) -> bytes:
    """Return the document of one table (VOSI 1.1 section 5.2)."""
    root = _root("table")
    _fill_table(root, table, with_columns=True)
    return _DECLARATION + ET.tostring(root)


def _encoded(document: str | bytes) -> bytes:
    return document.encode() if isinstance(document, str) else document


def _root(name: str) -> ET.Element:
    attributes = {"xmlns:vosi": _TABLES, "xmlns:vs": _DATA_SERVICE, "xmlns:xsi": _INSTANCE}
    return ET.Element(f"vosi:{name}", attributes)


def _add_schema(root: ET.Element, schema: SchemaEntry) -> ET.Element:
    element = ET.SubElement(root, "schema")
    _add_words(element, name=schema.name, description=schema.description, utype=schema.utype)
    return element


def _fill_table(element: ET.Element, table: Table, *, with_columns: bool) -> None:
    element.set("type", "view" if table.is_view else "table")
    _add_words(element, name=table.full_name, description=table.description, utype=table.utype)
    if not with_columns:
        return
    for column in table.columns:
        _add_column(element, column)
    for key in table.foreign_keys:
        made = ET.SubElement(element, "foreignKey")
        _add_words(made, targetTable=key.target)
        for here, there in key.columns:
            _add_words(ET.SubElement(made, "fkColumn"), fromColumn=here, targetColumn=there)
        _add_words(made, description=key.description, utype=key.utype)


def _add_column(table: ET.Element, column: Column) -> None:
    element = ET.SubElement(table, "column", {"std": "true"} if column.std else {})
    words = {"description": column.description, "unit": column.unit, "ucd": column.ucd, "utype": column.utype}
    _add_words(element, name=column.name, **words)
    kind = votable_type(column)
    attributes = {"xsi:type": "vs:VOTableType", "arraysize": kind.arraysize, "extendedType": kind.xtype}
    given = {name: value for name, value in attributes.items() if value is not None}
    ET.SubElement(element, "dataType", given).text = kind.datatype
    for flag, is_set in (("indexed", column.indexed), ("principal", column.principal)):
        if is_set:
            ET.SubElement(element, "flag").text = flag


def _add_words(element: ET.Element, **words: str) -> None:
    for name, word in words.items():
        if word:
            ET.SubElement(element, name).text = word
