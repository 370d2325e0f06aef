"""The tables behind the CDS's library: its own checker and translator (Debian's adql-java), on its TAP_SCHEMA."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.dachs.conftest import FrontEnds

LIBRARY = Path("/usr/share/java/adql.jar")
PROGRAM = Path(__file__).with_name("Translate.java")
pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore::ResourceWarning")]
QUERIES = (
    "SELECT obs_publisher_did FROM ivoa.obscore",
    "SELECT obs_publisher_did FROM ivoa.obscore WHERE 1 = CONTAINS(POINT('', s_ra, s_dec), CIRCLE('', 0, 0, 30))",
    "SELECT obs_publisher_did FROM ivoa.obscore WHERE 1 = INTERSECTS(s_region, CIRCLE('', 40, 0, 20))",
    "SELECT obs_publisher_did FROM ivoa.obscore "
    "WHERE 1 = INTERSECTS(s_region, POLYGON('', 340, -40, 20, -40, 20, 40, 340, 40))",
    "SELECT obs_publisher_did FROM ivoa.obscore WHERE t_min > 59000 AND obs_collection = 'vo-images'",
    "SELECT granule_uid FROM epn.epn_core WHERE target_name = 'Earth' AND c1min > 10",
    "SELECT f.name FROM ivoa.obscore AS o JOIN lake.file AS f ON o.obs_publisher_did = f.obs_publisher_did "
    "WHERE o.dataproduct_type = 'cube' AND f.science = 1",
    "SELECT r.name FROM lake.replica AS r JOIN lake.rse AS s ON r.rse = s.rse WHERE r.state = 'AVAILABLE'",
    "SELECT table_name FROM tap_schema.tables",
    "SELECT column_name FROM tap_schema.columns WHERE table_name = 'ivoa.obscore' AND column_name <> 's_polygon'",
)


def reader(front_ends: FrontEnds) -> psycopg.Connection:
    """Connect as the role that a service of the CDS would be given."""
    url = front_ends.archive.settings.database.query_url
    assert url is not None
    return psycopg.connect(url.get_secret_value())


@pytest.fixture(scope="module")
def translated(front_ends: FrontEnds) -> dict[str, str]:
    """Each query in the library's SQL, the tables read as its TAP service reads them."""
    with reader(front_ends) as connection:
        columns = connection.execute(
            "SELECT t.table_name, s.dbname, t.dbname, c.column_name, c.dbname, c.datatype "
            "FROM tap_schema_cds.columns c "
            "JOIN tap_schema_cds.tables t USING (table_name) JOIN tap_schema_cds.schemas s USING (schema_name)"
        ).fetchall()
    lines = ["\t".join(words) for words in columns] + list(QUERIES)
    command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", str(LIBRARY), str(PROGRAM)]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(zip(QUERIES, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_what_the_library_translates_gives_our_rows(
    front_ends: FrontEnds, translated: dict[str, str], query: str
) -> None:
    with reader(front_ends) as connection:
        theirs = connection.execute(translated[query]).fetchall()
    condition = " AND s_region NOT LIKE 'CIRCLE%'" if "s_region" in query and "ivoa.obscore WHERE" in query else ""
    ours = front_ends.ours.search(query + condition, maxrec=100_000)
    assert sorted(str(value) for (value,) in theirs) == sorted(str(row[0]) for row in ours.to_table()) != []
