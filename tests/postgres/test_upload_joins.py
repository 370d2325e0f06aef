"""Joins of uploaded tables with a large one: the indexes of the large one are used, which plans and times show."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import psycopg
import pytest
from astropy.io.votable import from_table
from astropy.table import Table as AstropyTable

from obscore_tap.adql.translate import translate
from obscore_tap.published import make_published
from obscore_tap.uploads import UploadLimits, Uploads
from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.postgres.conftest import Database, Server, make_database

pytestmark = pytest.mark.slow  # ten seconds for the rows of the large table

ROWS = 200_000
FILL = f"""
    INSERT INTO lake.obscore (calib_level, obs_collection, obs_id, obs_publisher_did, access_url, access_format, s_ra,
        s_dec, obs_title, s_region)
    SELECT 2, 'c' || n % 7, 'o' || n, 'ivo://x.example/lake?s:d' || n, 'https://x.example/' || n, 'image/fits',
        mod(n * 137.50776405, 360), degrees(asin(2 * (n + 0.5) / {ROWS} - 1)),
        repeat('title ', 10), repeat('1.234567 ', 50)
    FROM generate_series(0, {ROWS - 1}) AS n
"""  # noqa: S608 - a constant; positions all over the sky, evenly: a spiral of the golden angle,
# and rows of half a kilobyte, as they are in earnest
JOIN = "SELECT m.number, o.obs_id FROM TAP_UPLOAD.mine AS m JOIN ivoa.obscore AS o"


@dataclass(frozen=True)
class Joined:
    """What a join gave."""

    plan: str
    rows: set[tuple[int, str]]


class Archive:
    """The large table and those who ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._published = make_published()

    def join(self, adql: str, mine: AstropyTable) -> Joined:
        document = io.BytesIO()
        from_table(mine).to_xml(document, tabledata_format="binary2")
        with (
            closing(Uploads(self._database.jobs_url, UploadLimits())) as uploads,
            psycopg.connect(self._database.query_url, autocommit=True) as user,
            uploads.loaded(uploads.requested(["mine,param:p"], {"p": document})) as tables,
        ):
            query = f"{translate(adql, self._published.with_tables(tables)).sql} LIMIT 20001".encode()
            rows = set(user.execute(query).fetchall())
            plan = "\n".join(line for (line,) in user.execute(b"EXPLAIN " + query))
        return Joined(plan, rows)


@pytest.fixture(scope="module")
def archive(server: Server, template: str) -> Iterator[Archive]:
    for database in make_database(server, template):
        apply_schema(database.admin_url)
        with psycopg.connect(database.admin_url, autocommit=True) as connection:
            connection.execute(FILL)
            connection.execute("ANALYZE lake.obscore")
        yield Archive(database)


def spiral() -> np.ndarray:
    """Return the positions of the large table as unit vectors, shape (ROWS, 3)."""
    numbers = np.arange(ROWS)
    return unit_vectors(np.mod(numbers * 137.50776405, 360), np.degrees(np.arcsin(2 * (numbers + 0.5) / ROWS - 1)))


def unit_vectors(longitudes: np.ndarray, latitudes: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(longitudes), np.radians(latitudes)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


@pytest.mark.parametrize(
    "condition",
    [
        "1 = CONTAINS(POINT(o.s_ra, o.s_dec), CIRCLE(m.ra, m.dec, 0.5))",
        "DISTANCE(POINT(m.ra, m.dec), POINT(o.s_ra, o.s_dec)) < 0.5",
        "DISTANCE(o.s_ra, o.s_dec, m.ra, m.dec) < 0.5",
    ],
)
def test_positions_are_joined_by_the_index_of_positions(archive: Archive, condition: str) -> None:
    random = np.random.default_rng(4)
    ra, dec = random.uniform(0, 360, 100), np.degrees(np.arcsin(random.uniform(-1, 1, 100)))
    table = AstropyTable({"number": np.arange(100), "ra": ra, "dec": dec})
    joined = archive.join(f"{JOIN} ON {condition}", table)
    assert "obscore_position" in joined.plan, joined.plan
    assert "Seq Scan on obscore" not in joined.plan, joined.plan
    near = np.argwhere(unit_vectors(ra, dec) @ spiral().T > np.cos(np.radians(0.5)))
    assert joined.rows == {(one, f"o{other}") for one, other in near.tolist()}
    assert len(joined.rows) > 100


def test_identifiers_are_joined_by_the_primary_key(archive: Archive) -> None:
    numbers = np.random.default_rng(5).choice(ROWS, 1000, replace=False)
    table = AstropyTable(
        {"number": np.arange(1000), "obs_publisher_did": [f"ivo://x.example/lake?s:d{number}" for number in numbers]}
    )
    joined = archive.join(f"{JOIN} USING (obs_publisher_did)", table)
    assert "obscore_pkey" in joined.plan, joined.plan
    assert "Seq Scan on obscore" not in joined.plan, joined.plan
    assert joined.rows == {(place, f"o{number}") for place, number in enumerate(numbers)}
