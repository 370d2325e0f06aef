"""FIELDs: what a VOTable says of a column (VOTable 1.4 section 4.1, DALI 1.1 section 3.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

from obscore_tap.results.values import INTEGERS
from obscore_tap.schema import Datatype, OutputColumn

_TYPES = {
    Datatype.SMALLINT: ("short", "", ""),
    Datatype.INTEGER: ("int", "", ""),
    Datatype.BIGINT: ("long", "", ""),
    Datatype.REAL: ("float", "", ""),
    Datatype.DOUBLE: ("double", "", ""),
    Datatype.BOOLEAN: ("boolean", "", ""),
    Datatype.TEXT: ("char", "*", ""),
    Datatype.TIMESTAMP: ("char", "*", "timestamp"),
    Datatype.POINT: ("double", "2", "point"),
    Datatype.CIRCLE: ("double", "3", "circle"),
    Datatype.POLYGON: ("double", "*", "polygon"),
    Datatype.DOUBLES: ("double", "*", ""),
    Datatype.INTEGERS: ("int", "*", ""),
    Datatype.INTERVAL: ("double", "2", "interval"),
    Datatype.BLOB: ("unsignedByte", "*", ""),
}
"""Datatype, arraysize and xtype of a value."""
_XTYPES = frozenset({"timestamp", "interval", "point", "circle", "polygon", "adql:REGION"})
"""DALI 1.1's, and TAP 1.0's for STC-S: readers warn of the ones that came later."""
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DID = "obs_publisher_did"
_UPLOADS = "tap_upload."


def attribute(text: str) -> str:
    """Return a text as it stands between double quotes in XML; what XML cannot hold becomes U+FFFD."""
    return escape(_NOT_XML.sub("\ufffd", text), {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def content(text: str) -> str:
    """Return a text as it stands between tags."""
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})


def null_of(datatype: Datatype) -> int | None:
    """Return the integer that stands for null where a row has no flags for it: the lowest one of the type."""
    bits = INTEGERS.get(datatype)
    return None if bits is None else -(1 << (bits - 1))


def votable_type(column: OutputColumn) -> tuple[str, str, str]:
    """Return datatype, arraysize and xtype of a column (the last two may be empty)."""
    datatype, size, xtype = _TYPES[column.datatype]
    if column.datatype is Datatype.TEXT and column.unicode:
        datatype = "unicodeChar"
    said = column.xtype if column.xtype in _XTYPES else ""
    return datatype, size, said or xtype


def field_ids(columns: Sequence[OutputColumn]) -> dict[int, str]:
    """Return the XML IDs of the columns that hold a published obs_publisher_did, by their position.

    Whatever such a column is called in the result: what it was decides whether its values have links.
    """
    found = [
        number
        for number, column in enumerate(columns)
        if column.source is not None
        and column.source[1].lower() == _DID
        and not column.source[0].lower().startswith(_UPLOADS)
    ]
    return {number: _DID + (f"_{count}" if count else "") for count, number in enumerate(found)}


def fields(columns: Sequence[OutputColumn], declare_nulls: bool) -> str:
    """Return the FIELD elements of a table.

    Parameters
    ----------
    columns
        The columns of the result.
    declare_nulls
        Whether integers need a value that stands for null (all serializations but BINARY2).
    """
    ids = field_ids(columns)
    return "".join(_field(column, ids.get(number, ""), declare_nulls) for number, column in enumerate(columns))


def _field(column: OutputColumn, xml_id: str, declare_nulls: bool) -> str:
    datatype, size, xtype = votable_type(column)
    said = {
        "ID": xml_id,
        "datatype": datatype,
        "arraysize": size,
        "xtype": xtype,
        "unit": column.unit,
        "ucd": column.ucd,
        "utype": column.utype,
    }
    attributes = f'name="{attribute(column.name)}"'
    attributes += "".join(f' {name}="{attribute(value)}"' for name, value in said.items() if value)
    null = null_of(column.datatype) if declare_nulls else None
    inside = f"<DESCRIPTION>{content(column.description)}</DESCRIPTION>" if column.description else ""
    inside += "" if null is None else f'<VALUES null="{null}"/>'
    return f"<FIELD {attributes}>{inside}</FIELD>\n" if inside else f"<FIELD {attributes}/>\n"
