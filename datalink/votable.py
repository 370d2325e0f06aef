"""The VOTable of links (DataLink 1.1 sections 3.2 and 3.3.1): made of ready pieces, a row is one formatted string."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from datalink.rows import Row
from obscore_tap.results import Info
from obscore_tap.results.fields import attribute, content
from obscore_tap.results.votable import info, opening

STANDARD_ID: Final = "ivo://ivoa.net/std/DataLink#links-1.1"
ID_REF: Final = "ID"
"""XML ID of the column of IDs, for descriptors that take theirs from there."""
_END: Final = "</VOTABLE>\n"


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
        RESOURCE elements that follow the table, whole or in pieces.
    """
    body = list(map(row_xml, rows))
    is_ascii = all(map(str.isascii, body))
    return "".join((head(is_ascii=is_ascii), *body, _end_of_table(overflow=overflow), *resources, _END)).encode()


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
        RESOURCE elements that follow the table, whole or in pieces.
    """
    return "".join((_end_of_table(overflow=overflow, error=error), *resources, _END))


def _end_of_table(*, overflow: bool, error: str = "") -> str:
    status = ""
    if error:
        status = info(Info("QUERY_STATUS", "ERROR", error))
    elif overflow:
        status = info(Info("QUERY_STATUS", "OVERFLOW", "more was asked for than is given"))
    return f"</TABLEDATA></DATA>\n</TABLE>\n{status}</RESOURCE>\n"


def row_xml(row: Row) -> str:
    """Return a row of TABLEDATA; an empty cell is a null."""
    texts: Sequence[str] = [
        row.id,
        row.access_url or "",
        row.error_message or "",
        row.description,
        row.semantics,
        row.content_type or "",
        row.local_semantics or "",
        row.rse or "",
        row.site or "",
        row.state or "",
    ]
    if not _stands_as_it_is("".join(texts)):  # rarely: looked at once a row, not once a cell
        texts = [content(one) for one in texts]
    asked, access_url, error_message, description, semantics, content_type, local_semantics, rse, site, state = texts
    return (
        f"<TR><TD>{asked}</TD><TD>{access_url}</TD><TD>{row.service_def or ''}</TD><TD>{error_message}</TD>"
        f"<TD>{description}</TD><TD>{semantics}</TD><TD>{content_type}</TD>"
        f"<TD>{'' if row.content_length is None else row.content_length}</TD><TD>{row.content_qualifier or ''}</TD>"
        f"<TD>{local_semantics}</TD><TD>{row.link_auth or ''}</TD>"
        f"<TD>{'' if row.link_authorized is None else 'T' if row.link_authorized else 'F'}</TD><TD>{rse}</TD>"
        f"<TD>{site}</TD><TD>{state}</TD><TD>{row.rank or ''}</TD></TR>\n"
    )


def text(value: str) -> str:
    """Return a text as it stands between tags."""
    return value if _stands_as_it_is(value) else content(value)


def _stands_as_it_is(value: str) -> bool:
    """Tell whether nothing of a text can have to be escaped; no pattern is as quick."""
    return value.isascii() and value.isprintable() and not ("&" in value or "<" in value or ">" in value)


def quoted(value: str) -> str:
    """Return a text as it stands between double quotes."""
    return value if '"' not in value and _stands_as_it_is(value) else attribute(value)


def _field(field: Field, is_ascii: bool) -> str:
    datatype = "unicodeChar" if field.wide and not is_ascii else field.datatype
    size = ' arraysize="*"' if field.datatype == "char" else ""
    ucd = f' ucd="{field.ucd}"' if field.ucd else ""
    unit = f' unit="{field.unit}"' if field.unit else ""
    name = f'ID="{ID_REF}" name="ID"' if field.name == "ID" else f'name="{attribute(field.name)}"'
    described = f"<DESCRIPTION>{content(field.description)}</DESCRIPTION>"
    return f'<FIELD {name} datatype="{datatype}"{size}{ucd}{unit}>{described}</FIELD>\n'
