"""Positions and footprints: what the index finds is right at RA 0 and at the poles, and the index is used."""

from __future__ import annotations

import psycopg
import pytest

from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.examples import obscore_row, settled_item, wanted_item

CONE = "position <@ scircle(spoint(radians(%s), radians(%s)), radians(%s))"
POLYGON = "bound && lake.polygon(%s) AND footprint && lake.polygon(%s)"


@pytest.fixture
def sky(store: PostgresStore, admin: psycopg.Connection) -> psycopg.Connection:
    """Four squares of one degree around each of 360 meridians, and one footprint around the south pole."""
    items = []
    for ra in range(360):
        for place, dec in enumerate((-60.0, 0.0, 45.0, 80.0)):
            polygon = (ra - 0.5, dec - 0.5, ra - 0.5, dec + 0.5, ra + 0.5, dec + 0.5, ra + 0.5, dec - 0.5)
            row = obscore_row(
                number := 4 * ra + place, s_ra=float(ra), s_dec=dec, s_polygon=polygon, s_bound=(float(ra), dec, 0.75)
            )
            items.append(settled_item(wanted_item(number, obscore=row, files=(), links=())))
    pole = obscore_row(9999, s_ra=0.0, s_dec=-90.0, s_bound=(0.0, -90.0, 5.1))
    pole = pole._replace(s_polygon=(0.0, -85.0, 270.0, -85.0, 180.0, -85.0, 90.0, -85.0))
    items.append(settled_item(wanted_item(9999, obscore=pole, files=(), links=())))
    for start in range(0, len(items), 500):
        store.commit("s", items[start : start + 500], [])
    admin.execute("ANALYZE lake.obscore")
    return admin


def found(sky: psycopg.Connection, condition: str, *values: object) -> list[tuple[float, float]]:
    return sky.execute(
        f"SELECT s_ra, s_dec FROM lake.obscore WHERE {condition} ORDER BY s_ra, s_dec",  # noqa: S608 - conditions above
        values,
    ).fetchall()


def test_a_cone_across_ra_0_finds_both_sides(sky: psycopg.Connection) -> None:
    assert found(sky, CONE, 0.0, 0.0, 1.2) == [(0.0, 0.0), (1.0, 0.0), (359.0, 0.0)]


def test_a_cone_around_a_pole_finds_every_meridian(sky: psycopg.Connection) -> None:
    assert len(found(sky, CONE, 123.0, 90.0, 10.1)) == 360
    assert found(sky, CONE, 123.0, -90.0, 1.0) == [(0.0, -90.0)]


def test_footprints_that_meet_a_polygon_are_found(sky: psycopg.Connection) -> None:
    across = [359.9, -0.1, 359.9, 0.1, 0.1, 0.1, 0.1, -0.1]
    assert found(sky, POLYGON, across, across) == [(0.0, 0.0)]
    at_the_pole = [0.0, -89.0, 240.0, -89.0, 120.0, -89.0]
    assert found(sky, POLYGON, at_the_pole, at_the_pole) == [(0.0, -90.0)]


def test_a_bounding_circle_that_meets_is_not_enough(sky: psycopg.Connection) -> None:
    beside = [180.52, 0.4, 180.52, 0.45, 180.6, 0.45]  # inside the circle around (180, 0), outside the square
    assert found(sky, "bound && lake.polygon(%s)", beside) == [(180.0, 0.0), (181.0, 0.0)]
    assert found(sky, POLYGON, beside, beside) == [(181.0, 0.0)]


@pytest.mark.parametrize(
    ("condition", "values", "index"),
    [
        (CONE, (10.0, 0.0, 1.0), "obscore_position"),
        (POLYGON, ([10, 0, 10, 1, 11, 1], [10, 0, 10, 1, 11, 1]), "obscore_bound"),
        ("t_min BETWEEN %s AND %s", (58849, 58850), "obscore_time"),
        ("obs_publisher_did = %s", ("ivo://example/lake?stac:survey..tile-9",), "obscore_pkey"),
        ("obs_id = %s", ("tile-9",), "obscore_id"),
    ],
)
def test_the_index_is_used(sky: psycopg.Connection, condition: str, values: tuple[object, ...], index: str) -> None:
    plan = sky.execute(f"EXPLAIN SELECT * FROM lake.obscore WHERE {condition}", values).fetchall()  # noqa: S608 - above
    assert index in "\n".join(line for (line,) in plan)
