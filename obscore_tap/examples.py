"""Example queries: shown at /tap/examples (DALI 1.1 section 2.3, TAP 1.1 section 2.6) and in docs/tap.md.

They are ADQL 2.0 as well, so that clients which check them by its grammar take them, but for those that show what is
new in 2.1: these say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Example:
    """A query that can be sent as it is."""

    identifier: str
    """Its anchor in the page."""
    name: str
    text: str
    """What it answers, in a sentence or two."""
    tables: tuple[str, ...]
    query: str


def make_examples(epn_schema: str = "epn") -> tuple[Example, ...]:
    """Return the examples, for an installation with this schema of ``epn_core``."""
    epn = f"{epn_schema}.epn_core"
    return (
        Example(
            "cone",
            "Images around a position",
            "Data products whose centre lies within half a degree of a position, the nearest first.",
            ("ivoa.obscore",),
            """\
SELECT TOP 20 obs_publisher_did, obs_title, s_ra, s_dec,
  DISTANCE(POINT('ICRS', s_ra, s_dec), POINT('ICRS', 0.0, 0.0)) AS separation
FROM ivoa.obscore
WHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 0.0, 0.0, 0.5))
  AND dataproduct_type = 'image'
ORDER BY separation""",
        ),
        Example(
            "region",
            "Whatever covers a part of a region",
            "Data products whose footprint meets a polygon on the sky; the footprint is s_region.",
            ("ivoa.obscore",),
            """\
SELECT obs_publisher_did, obs_collection, dataproduct_type, s_region
FROM ivoa.obscore
WHERE 1 = INTERSECTS(s_region, POLYGON('ICRS', 359.5, -0.5, 0.5, -0.5, 0.5, 0.5, 359.5, 0.5))""",
        ),
        Example(
            "time-and-band",
            "By time and by wavelength",
            "Data products taken in a span of time (MJD) whose band contains 500 nm.",
            ("ivoa.obscore",),
            """\
SELECT obs_publisher_did, facility_name, instrument_name, t_min, t_max, em_min, em_max
FROM ivoa.obscore
WHERE t_min < 62000 AND t_max > 50000
  AND 500e-9 BETWEEN em_min AND em_max""",
        ),
        Example(
            "where",
            "What lies at one storage element",
            "The join of ObsCore with the replicas of the data lake answers where the bytes are.",
            ("ivoa.obscore", "lake.replica"),
            """\
SELECT obs_publisher_did, obs_title, scope, name, rse, site
FROM ivoa.obscore JOIN lake.replica USING (obs_publisher_did)
WHERE rse = 'VIENNA-DISK' AND state = 'AVAILABLE'""",
        ),
        Example(
            "sites",
            "How much lies at which site",
            "Files and bytes at each storage element of the lake.",
            ("lake.rse", "lake.replica", "lake.file"),
            """\
SELECT e.rse, e.site, COUNT(*) AS files, SUM(f.bytes) AS bytes
FROM lake.rse AS e
JOIN lake.replica AS r ON r.rse = e.rse
JOIN lake.file AS f ON f.obs_publisher_did = r.obs_publisher_did AND f.asset = r.asset
GROUP BY e.rse, e.site
ORDER BY bytes DESC""",
        ),
        Example(
            "files",
            "Files of data products with their checksums",
            "The science files that belong to cubes; checksums tell whether a download is whole.",
            ("ivoa.obscore", "lake.file"),
            """\
SELECT o.obs_publisher_did, f.name, f.bytes, f.content_type, f.md5, f.adler32
FROM ivoa.obscore AS o JOIN lake.file AS f ON f.obs_publisher_did = o.obs_publisher_did
WHERE o.dataproduct_type = 'cube' AND f.science = 1""",
        ),
        Example(
            "unreplicated",
            "Files with one copy only",
            "A common table expression, which is new in ADQL 2.1, counts the replicas of each file.",
            ("lake.replica",),
            """\
WITH copies AS (
  SELECT scope, name, COUNT(*) AS replicas
  FROM lake.replica WHERE state = 'AVAILABLE'
  GROUP BY scope, name
)
SELECT TOP 100 scope, name FROM copies WHERE replicas = 1 ORDER BY scope, name""",
        ),
        Example(
            "planets",
            "Granules on the Earth by longitude and latitude",
            "Items of the Earth and of other bodies have no position on the sky; EPN-TAP describes them.",
            (epn,),
            f"""\
SELECT granule_uid, target_name, instrument_name, c1min, c1max, c2min, c2max, access_url
FROM {epn}
WHERE target_name = 'Earth'
  AND c1min < 20 AND c1max > 10 AND c2min < 55 AND c2max > 45""",  # noqa: S608 - ADQL, and the name is the operator's
        ),
        Example(
            "columns",
            "Which columns hold positions",
            "TAP_SCHEMA describes all tables and itself.",
            ("tap_schema.columns",),
            """\
SELECT table_name, column_name, unit, ucd, description
FROM tap_schema.columns
WHERE ucd LIKE 'pos.eq%' OR ucd LIKE 'pos.bodyrc%'
ORDER BY table_name, column_index""",
        ),
    )


def examples_document(title: str, examples: tuple[Example, ...]) -> bytes:
    """Return the page of examples: XHTML with RDFa that TOPCAT and pyvo read.

    Parameters
    ----------
    title
        Name of the archive.
    examples
        What it shows.
    """
    contents = "\n".join(f'    <li><a href="#{one.identifier}">{escape(one.name)}</a></li>' for one in examples)
    body = "\n".join(_example(one) for one in examples)
    return _PAGE.format(title=escape(title), contents=contents, body=body).encode()


def _example(one: Example) -> str:
    tables = ", ".join(f'<em property="table">{escape(table)}</em>' for table in one.tables)
    return (
        f'  <div typeof="example" id="{one.identifier}" resource="#{one.identifier}">\n'
        f'    <h2 property="name">{escape(one.name)}</h2>\n'
        f"    <p>{escape(one.text)} Tables: {tables}.</p>\n"
        f'    <pre property="query">{escape(one.query)}</pre>\n'
        "  </div>"
    )


_PAGE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML+RDFa 1.1//EN" "http://www.w3.org/MarkUp/DTD/xhtml-rdfa-2.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" version="XHTML+RDFa 1.1" lang="en" xml:lang="en">
<head>
  <title>Example queries: {title}</title>
  <link rel="stylesheet" href="../style.css" />
</head>
<body vocab="http://www.ivoa.net/rdf/examples#">
  <h1>Example queries</h1>
  <p>These are queries in ADQL that this service answers as they stand.</p>
  <ul>
{contents}
  </ul>
{body}
</body>
</html>
"""
