"""The VOTable of links (DataLink 1.1 sections 3.2 and 3.3.1): made of ready pieces, a row is one formatted string."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from datalink.rows import Row
from obscore_tap.results import Info
from obscore_tap.results.fields import attribute, content
from obscore_tap.results.votable import info, opening

STANDARD_ID: Final = "ivo://ivoa.net/std/DataLink#links-1.1"
_TO_ESCAPE: Final = re.compile("[^\t\n\u0020-\u0025\u0027-\u003b\u003d\u003f-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Whatever does not stand in XML as it is: & < >, carriage returns, characters that XML cannot hold."""


ID_REF: Final = "ID"
"""XML ID of the column of IDs, for descriptors that take theirs from there."""


class Field(NamedTuple):
    """A column."""

    name: str
    datatype: str
    ucd: str
    description: str
    unit: str = ""
    wide: bool = False
    """Its text may hold letters beyond ASCII, which ``char`` may not."""


FIELDS: Final = (
    Field("ID", "char", "meta.id;meta.main", "The identifier that was asked for, as it came", wide=True),
    Field("access_url", "char", "meta.ref.url", "Where the linked file or page is"),
    Field("service_def", "char", "meta.ref", "ID of the descriptor of the linked service"),
    Field("error_message", "char", "meta.code.error", "Why there is no link", wide=True),
    Field("description", "char", "meta.note", "What the link leads to", wide=True),
    Field("semantics", "char", "meta.code", "What the link is to the identified data, a term of a vocabulary"),
    Field("content_type", "char", "meta.code.mime", "Media type of what the link leads to"),
    Field("content_length", "long", "phys.size;meta.file", "Size of what the link leads to", "byte"),
    Field("content_qualifier", "char", "", "Type of the data product, a term of the IVOA's vocabulary product-type"),
    Field("local_semantics", "char", "meta.id.assoc", "Key of the asset in its STAC item, or link:relation", wide=True),
    Field("link_auth", "char", "meta.code", "Whether reading needs a log-in: false, optional or true"),
    Field("link_authorized", "boolean", "meta.code", "Whether the one who asks may read"),
    Field("rse", "char", "meta.id", "The storage element of the data lake (Rucio RSE) where the copy is"),
    Field("site", "char", "meta.id", "The site of the storage element", wide=True),
    Field("state", "char", "meta.code.status", "State of the copy, in Rucio's words"),
    Field("rank", "int", "meta.number", "Place of the copy among those of its file: 1 is the nearest"),
)


def document(rows: Iterable[Row], *, overflow: bool = False, resources: Iterable[str] = ()) -> bytes:
    """Return the VOTable of some rows.

    Parameters
    ----------
    rows
        All rows of an ID in succession.
    overflow
        More was asked for than is given.
    resources
        RESOURCE elements that follow the table.
    """
    body = "".join(map(row_xml, rows))
    return f"{head(is_ascii=body.isascii())}{body}{tail(overflow=overflow, resources=resources)}".encode()


@lru_cache(maxsize=2)
def head(*, is_ascii: bool) -> str:
    """Return what stands before the rows.

    Parameters
    ----------
    is_ascii
        No text of the rows has a letter beyond ASCII.
    """
    infos = "".join(map(info, (Info("QUERY_STATUS", "OK"), Info("standardID", STANDARD_ID))))
    fields = "".join(_field(field, is_ascii) for field in FIELDS)
    return f'{opening()}<RESOURCE type="results">\n{infos}<TABLE name="links">\n{fields}<DATA><TABLEDATA>\n'


def tail(*, overflow: bool = False, error: str = "", resources: Iterable[str] = ()) -> str:
    """Return what stands behind the rows.

    Parameters
    ----------
    overflow
        More was asked for than is given.
    error
        Why the answer broke off.
    resources
        RESOURCE elements that follow the table.
    """
    status = ""
    if error:
        status = info(Info("QUERY_STATUS", "ERROR", error))
    elif overflow:
        status = info(Info("QUERY_STATUS", "OVERFLOW", "more was asked for than is given"))
    return f"</TABLEDATA></DATA>\n</TABLE>\n{status}</RESOURCE>\n{''.join(resources)}</VOTABLE>\n"


def row_xml(row: Row) -> str:
    """Return a row of TABLEDATA; an empty cell is a null."""
    (
        asked,
        access_url,
        error_message,
        description,
        semantics,
        content_type,
        content_length,
        content_qualifier,
        local_semantics,
        link_auth,
        link_authorized,
        rse,
        site,
        state,
        rank,
        service_def,
    ) = row
    return (
        f"<TR><TD>{text(asked)}</TD><TD>{text(access_url)}</TD><TD>{service_def or ''}</TD>"
        f"<TD>{text(error_message)}</TD>"
        f"<TD>{text(description)}</TD><TD>{text(semantics)}</TD><TD>{text(content_type)}</TD>"
        f"<TD>{'' if content_length is None else content_length}</TD><TD>{content_qualifier or ''}</TD>"
        f"<TD>{text(local_semantics)}</TD><TD>{link_auth or ''}</TD>"
        f"<TD>{'' if link_authorized is None else 'T' if link_authorized else 'F'}</TD><TD>{text(rse)}</TD>"
        f"<TD>{text(site)}</TD><TD>{text(state)}</TD><TD>{rank or ''}</TD></TR>\n"
    )


def text(value: str | None) -> str:
    """Return a text as it stands between tags; the empty one for null."""
    if not value:
        return ""
    return content(value) if _TO_ESCAPE.search(value) else value


def _field(field: Field, is_ascii: bool) -> str:
    datatype = "unicodeChar" if field.wide and not is_ascii else field.datatype
    size = ' arraysize="*"' if field.datatype == "char" else ""
    ucd = f' ucd="{field.ucd}"' if field.ucd else ""
    unit = f' unit="{field.unit}"' if field.unit else ""
    name = f'ID="{ID_REF}" name="ID"' if field.name == "ID" else f'name="{attribute(field.name)}"'
    described = f"<DESCRIPTION>{content(field.description)}</DESCRIPTION>"
    return f'<FIELD {name} datatype="{datatype}"{size}{ucd}{unit}>{described}</FIELD>\n'
