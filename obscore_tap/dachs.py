"""A resource descriptor for GAVO's DaCHS: the published tables behind another front end.

Two kinds. The one *over the tables* has views in the same database, so that DaCHS shows each row in the moment in which
it is committed. The one *of a copy* has tables that DaCHS fills from files that TAP gave, for sites whose DaCHS has a
database of its own. Both feed the rows into DaCHS's own ``ivoa.obscore``, answer cone searches, and send readers of
DataLink to the archive's own service, which sees where a client is.

Written for DaCHS 2.7 (https://docs.g-vo.org/DaCHS/ref.html); the names of elements and attributes are its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from obscore_tap.schema import Column, Datatype, Published, Table

SCHEMA = "stac_lake"
"""Schema of DaCHS's views or tables, and the folder of its inputs where the descriptor lies."""
QUERY_ROLE = "lake_query"
"""The role of `sql/` that may read what is published."""

_TYPES = {
    Datatype.INTEGER: "integer",
    Datatype.BIGINT: "bigint",
    Datatype.DOUBLE: "double precision",
    Datatype.TIMESTAMP: "timestamp",
    Datatype.DOUBLES: "double precision[]",
}
_WHOLE_NUMBERS = frozenset({Datatype.INTEGER, Datatype.BIGINT})
_NO_NUMBER = "-1"
"""Stands for NULL in a VOTable's whole numbers; no published column has negative ones."""
_MAIN_UCDS = {"obs_publisher_did": "meta.id;meta.main", "s_ra": "pos.eq.ra;meta.main", "s_dec": "pos.eq.dec;meta.main"}
"""By these a cone search finds its columns (SCS 1.03 section 2.2, in UCD1+)."""
_OF_DACHS_ALONE = ("target_class", "s_pixel_scale", "em_ucd", "preview")
"""Columns of DaCHS's ivoa.obscore that ours has not."""
_RESERVED = frozenset({"latitude"})
"""Words of DaCHS's ADQL: columns with these names are delimited identifiers there."""
_PRINCIPAL, _OTHER = "10", "25"
_LONGEST_SHORT_NAME = 16  # VOResource 1.1 section 3.1.1


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a descriptor says beside the tables.

    Attributes
    ----------
    title, description
        Of the resource.
    links_url
        Address of the archive's DataLink service.
    schema
        Schema in DaCHS's database; the descriptor belongs into ``inputs/SCHEMA/q.rd``.
    copy
        Tables to be filled from ``data/TABLE.vot`` instead of views on the tables of `sql/`.
    """

    title: str
    description: str
    links_url: str
    schema: str = SCHEMA
    copy: bool = False


def descriptor_document(said: Descriptor, published: Published, *, made: datetime | None = None) -> bytes:
    """Return the resource descriptor: XML, UTF-8.

    Parameters
    ----------
    said
        Names and addresses.
    published
        The tables; all but TAP_SCHEMA, of which DaCHS has its own.
    made
        Its date. Default: now.
    """
    root = Element("resource", {"schema": said.schema})
    for name, value in (
        ("creationDate", f"{made or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"),
        ("title", said.title),
        ("description", said.description),
        ("subject", "observational-astronomy"),
        ("creator", said.title),
    ):
        _meta(root, name, value)
    tables = [table for table in published if table.schema != "tap_schema"]
    for table in tables:
        root.append(_table(table, said))
    obscore = next(table for table in tables if table.name == "obscore")
    root.append(_cone_table(obscore, said))
    for part in (_copied(tables) if said.copy else _viewed(tables), _links_service(said), _cone_service(said)):
        root.extend(part)
    indent(root, "\t")
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


OWNER_STATEMENTS = f"""\
-- DaCHS's views read with the rights of their owner: what {QUERY_ROLE} may read, and nothing else.
GRANT {QUERY_ROLE} TO gavoadmin;
-- Tables that users upload are temporary ones, which `db apply` takes from PUBLIC.
DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO gavo, untrusted', current_database());
END
$$;
-- DaCHS writes positions and regions in words of its own, for which it needs indexes of its own.
CREATE INDEX IF NOT EXISTS obscore_dachs_position ON lake.obscore USING gist (spoint(radians(s_ra), radians(s_dec)));
CREATE INDEX IF NOT EXISTS obscore_dachs_footprint ON lake.obscore USING gist (footprint);
"""
"""What the owner of the tables runs once, so that DaCHS may read them and finds rows by position.

The roles are those that ``dachs init`` makes: of the profiles feed, trustedquery and untrustedquery.
"""


def _meta(parent: Element, name: str, value: str) -> Element:
    """Add a piece of metadata; a backslash would begin one of DaCHS's macros."""
    meta = SubElement(parent, "meta", {"name": name})
    meta.text = value.replace("\\", "\\\\")
    return meta


def _table(table: Table, said: Descriptor) -> Element:
    """Return the definition of one table or view."""
    element = Element("table", {"id": table.name, "onDisk": "True", "adql": "True"})
    _meta(element, "description", table.description)
    if table.utype and table.name != "obscore":  # DaCHS declares ObsCore for its own ivoa.obscore
        _meta(element, "utype", table.utype)
    if table.name == "obscore":
        mixin = SubElement(element, "mixin", dict.fromkeys(_OF_DACHS_ALONE, "NULL"))
        mixin.text = "//obscore#publishObscoreLike"
        _position(element)
    if any(column.name == "obs_publisher_did" for column in table.columns):
        links = _meta(element, "_associatedDatalinkService", "")
        _meta(links, "serviceId", "dl")
        _meta(links, "idColumn", "obs_publisher_did")
    if not said.copy:
        _view(element, table)
    _indexes(element, table, copy=said.copy)
    for column in table.columns:
        element.append(_column(column))
    for key in table.foreign_keys:
        target = key.target.rpartition(".")[2]
        if any(column.name == target for column in table.columns):
            continue  # DaCHS would take the column for the table
        here, there = (",".join(pair[side] for pair in key.columns) for side in (0, 1))
        place = {"source": here, "inTable": target, "dest": there, "metaOnly": "True"}
        SubElement(element, "foreignKey", place)
    return element


def _view(element: Element, table: Table, condition: str = "") -> None:
    selected = ", ".join(_selected(column) for column in table.columns)
    relation = ".".join(table.relation)
    statement = SubElement(element, "viewStatement")
    statement.text = rf"CREATE VIEW \qName AS (SELECT {selected} FROM {relation}{condition})"  # noqa: S608 - names of our own


def _selected(column: Column) -> str:
    expression = column.region.polygon if _is_region(column) and column.region else column.sql
    return expression if expression == column.name else f"{expression} AS {column.name}"


def _is_region(column: Column) -> bool:
    """Say whether a column is a region in words, which DaCHS wants as a polygon of pgSphere."""
    return column.region is not None and column.datatype is Datatype.TEXT


def _position(element: Element) -> None:
    SubElement(element, "stc").text = 'Position ICRS "s_ra" "s_dec"'


def _indexes(element: Element, table: Table, *, copy: bool) -> None:
    """Say which columns are indexed: of a view by the tables below it, of a copy by indexes that DaCHS makes."""
    if copy and table.positions:
        for lon, lat in table.positions:
            index = SubElement(element, "index", {"columns": f"{lon},{lat}", "kind": "spoint", "method": "GIST"})
            index.set("name", "position")
            index.text = f"spoint(radians({lon}), radians({lat}))"
    at_a_position = {name for pair in table.positions for name in pair}
    for column in table.columns:
        if not column.indexed or (column.region and not _is_region(column)):
            continue
        if copy and column.name in at_a_position:
            continue
        index = SubElement(element, "index", {"columns": column.name})
        if _is_region(column):
            index.set("method", "GIST")
        if not copy:
            index.set("metaOnly", "True")


def _column(column: Column, ucd: str = "") -> Element:
    name = f"quoted/{column.name}" if column.name in _RESERVED else column.name
    element = Element("column", {"name": name, "type": _type(column)})
    for attribute, value in (
        ("ucd", ucd or column.ucd),
        ("unit", column.unit),
        ("utype", column.utype),
        ("xtype", column.xtype if not _is_region(column) else ""),
        ("description", column.description),
        ("verbLevel", _PRINCIPAL if column.principal else _OTHER),
        ("displayHint", "type=url" if column.ucd == "meta.ref.url" else ""),
    ):
        if value:
            element.set(attribute, value)
    if column.datatype in _WHOLE_NUMBERS:
        SubElement(element, "values", {"nullLiteral": _NO_NUMBER})
    if column.std:
        SubElement(element, "property", {"name": "std"}).text = "1"
    return element


def _type(column: Column) -> str:
    if _is_region(column):
        return "spoly"
    if column.datatype is Datatype.TEXT:
        return "unicode" if column.unicode else "text"
    return _TYPES[column.datatype]


def _cone_table(obscore: Table, said: Descriptor) -> Element:
    """Return the view that cone searches ask: rows that have a position, with the UCDs that such searches want."""
    element = Element("table", {"id": "cone", "onDisk": "True"})
    _meta(element, "description", f"{obscore.description}: those that have a position")
    _position(element)
    placed = " WHERE s_ra IS NOT NULL"
    if said.copy:
        statement = SubElement(element, "viewStatement")
        statement.text = rf"CREATE VIEW \qName AS (SELECT \colNames FROM \schema.obscore{placed})"  # noqa: S608 - our own
    else:
        _view(element, obscore, placed)
    for column in obscore.columns:
        element.append(_column(column, _MAIN_UCDS.get(column.name, "")))
    return element


def _viewed(tables: list[Table]) -> Iterator[Element]:
    """Yield what ``dachs imp`` does for views: it makes them."""
    views = Element("data", {"id": "views"})
    for name in (*(table.name for table in tables), "cone"):
        SubElement(views, "make", {"table": name})
    yield views


def _copied(tables: list[Table]) -> Iterator[Element]:
    """Yield what ``dachs imp`` does for copies: each table is filled from one file, all rows in one transaction."""
    for table in tables:
        filling = Element("data", {"id": f"import_{table.name}"})
        SubElement(filling, "sources", {"pattern": f"data/{table.name}.vot"})
        SubElement(filling, "voTableGrammar")
        rows = SubElement(SubElement(filling, "make", {"table": table.name}), "rowmaker", {"idmaps": "*"})
        if any(_is_region(column) for column in table.columns):
            SubElement(rows, "map", {"key": "s_region"}).text = "@s_polygon"
            SubElement(rows, "map", {"key": "s_polygon"}).text = "@s_polygon and list(@s_polygon.asDALI())"
        for name in sorted(_RESERVED & {column.name for column in table.columns}):
            SubElement(rows, "map", {"key": name}).text = f"@{name}_"  # as the grammar calls it
        yield filling
    cone = Element("data", {"id": "cones"})
    SubElement(cone, "make", {"table": "cone"})
    yield cone


def _links_service(said: Descriptor) -> Iterator[Element]:
    """Yield the service that sends readers of DataLink on, with all their IDs (DataLink 1.1 section 2.1)."""
    service = Element("service", {"id": "dl", "allowed": "dlmeta"})
    _meta(service, "title", f"{said.title}: links")
    _meta(service, "description", "Files of a data product, the nearest replica of each first, and cut-outs")
    generator = SubElement(SubElement(service, "datalinkCore"), "descriptorGenerator")
    setup = SubElement(SubElement(generator, "setup"), "code")
    setup.text = "\nfrom urllib.parse import urlencode\nfrom gavo import svcs\n"
    asked = '[("ID", one) for one in (args["ID"] if isinstance(args["ID"], list) else [args["ID"]])]'
    SubElement(generator, "code").text = f'\nraise svcs.SeeOther({said.links_url!r} + "?" + urlencode({asked}))\n'
    yield service


def _cone_service(said: Descriptor) -> Iterator[Element]:
    service = Element("service", {"id": "cone_search", "allowed": "scs.xml,form"})
    _meta(service, "title", f"{said.title}: cone search")
    _meta(service, "shortName", said.schema[:_LONGEST_SHORT_NAME])
    _meta(service, "description", "Data products whose centre lies in a circle on the sky")
    for name, value in (("testQuery.ra", "0"), ("testQuery.dec", "0"), ("testQuery.sr", "1")):
        _meta(service, name, value)
    SubElement(service, "publish", {"render": "scs.xml", "sets": "local"})
    SubElement(SubElement(service, "scsCore", {"queriedTable": "cone"}), "FEED", {"source": "//scs#coreDescs"})
    yield service
