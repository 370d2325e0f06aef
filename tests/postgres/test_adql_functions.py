"""The functions of sql/110_adql.sql: the examples of the IVOA's catalogue 1.2, and astropy as a second opinion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from astropy import units
from astropy.coordinates import Distance, SkyCoord
from astropy.time import Time

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.frames import FRAMES
from obscore_tap.adql.translate import translate
from obscore_tap.published import make_published
from tests.postgres.conftest import Server, make_database

PUBLISHED = make_published()
ASTROPY = {
    "ICRS": "icrs",
    "FK5": "fk5",
    "FK4": "fk4noeterms",
    "GALACTIC": "galactic",
    "SUPER_GALACTIC": "supergalactic",
    "ECLIPTIC": "barycentricmeanecliptic",
}

Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def connection(server: Server, template: str) -> Iterator[psycopg.Connection]:
    """One database for all: nothing here writes."""
    for database in make_database(server, template):
        with psycopg.connect(database.admin_url, autocommit=True) as connection:
            yield connection


@pytest.fixture
def ask(connection: psycopg.Connection) -> Ask:
    """Evaluate an expression of ADQL."""

    def evaluate(expression: str) -> Any:
        sql = translate(f"SELECT TOP 1 {expression} AS x FROM tap_schema.tables", PUBLISHED).sql  # noqa: S608 - ADQL of this file
        found = connection.execute(sql).fetchone()
        assert found is not None
        return found[0]

    return evaluate


def pair(ask: Ask, point: str) -> tuple[float, float]:
    return ask(f"COORD1({point})"), ask(f"COORD2({point})")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ivo_healpix_index(0, 1, 1)", 4),
        ("ivo_healpix_index(17, 1, 1)", 81609757711),
        ("ivo_healpix_index(17, 359, -1)", 73009064944),
        ("ivo_healpix_index(17, CENTROID(CIRCLE(359, -1, 3)))", 73009064944),
        ("ivo_to_jd(CAST('2000-01-02T12:00:00' AS TIMESTAMP))", 2451546.0),
        ("ivo_to_jd('1910-12-31T06:00:00')", 2419036.75),
        ("ivo_to_jd(NULL)", None),
        ("ivo_to_mjd('1910-12-31T06:00:00')", 19036.25),
        ("gavo_to_mjd('2000-01-02T12:00:00')", 51545.5),
        ("ivo_nocasematch('ABcabc', 'ab__bc')", 1),
        ("ivo_nocasematch('abcabc', 'abcab')", 0),
        ("ivo_hasword('Miller and Urey have', 'miller')", 1),
        ("ivo_hasword('shown that a primordial', 'shown primordial')", 1),
        ("ivo_hasword('shown that a primordial', 'shown soup')", 0),
        ("ivo_hashlist_has('Red#green#blue', 'red')", 1),
        ("ivo_hashlist_has('red#green#blue', 're')", 0),
        ("ivo_hashlist_has('red#green#blue', 'red#green')", 0),
        ("ivo_interval_overlaps(-3, -2, 2, 3)", 0),
        ("ivo_interval_overlaps(-2, 55.3, 3, 2)", 0),
        ("ivo_interval_overlaps(-2, 2, 2, 3)", 1),
        ("ivo_hms_to_degrees('3:34:45.4')", pytest.approx(53.6891667)),
        ("ivo_hms_to_degrees('3H34M45.4S')", pytest.approx(53.6891667)),
        ("ivo_hms_to_degrees('033445.4')", pytest.approx(53.6891667)),
        ("ivo_hms_to_degrees('3h34m45.4s')", pytest.approx(53.6891667)),
        ("ivo_hms_to_degrees(' 3  34 45.4 ')", pytest.approx(53.6891667)),
        ("ivo_hms_to_degrees('noon')", None),
        ("ivo_hms_to_degrees('-3:34:45.4')", None),
        ("ivo_hms_to_degrees('3:60:00')", None),
        ("ivo_hms_to_degrees('3:34.5:00')", None),
        ("ivo_hms_to_degrees('3d34m45s')", None),
        ("ivo_hms_to_degrees(NULL)", None),
        ("ivo_dms_to_degrees('42:9:6.768')", pytest.approx(42.15188)),
        ("ivo_dms_to_degrees('42d9m6.768s')", pytest.approx(42.15188)),
        ("ivo_dms_to_degrees('+420906.768')", pytest.approx(42.15188)),
        ("ivo_dms_to_degrees('-00:15:00')", -0.25),
        ("ivo_dms_to_degrees('-00 15 00')", -0.25),
        ("ivo_dms_to_degrees('- 0:15:00')", None),
        ("ivo_dms_to_degrees('42h9m6s')", None),
        ("ivo_dms_to_degrees('')", None),
        ("ivo_dms_to_degrees('+0d15m0s')", 0.25),
        ("ivo_dms_to_degrees('42D9M6.768S')", pytest.approx(42.15188)),
        ("gavo_specconv(1, 'um', 'nm')", 1000.0),
        ("MOD(-7.5, 2)", -1.5),
        ("ROUND(2.675, 2)", 2.68),
        ("TRUNCATE(-2.679, 2)", -2.67),
        ("CAST(CAST('2020-01-02T03:04:05.6Z' AS TIMESTAMP) AS VARCHAR)", "2020-01-02T03:04:05.6"),
        ("COORDSYS(POINT('GALACTIC', 1, 2))", "GALACTIC"),
    ],
)
def test_examples_of_the_standards(ask: Ask, expression: str, expected: object) -> None:
    assert ask(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ivo_healpix_center(0, 6)", (180.0, 0.0)),
        ("ivo_healpix_center(17, ivo_healpix_index(17, 23.4, 56.7))", (23.399843462947466, 56.70016214363192)),
        ("ivo_geom_transform('ICRS', 'GALACTIC', POINT(120, -23))", (241.121831182, 3.62785788087)),
        ("CENTROID(ivo_geom_transform('FK4', 'GALACTIC', CIRCLE(189.70303055, 22.96240006, 3)))",
         (275.00025405, 84.99996154)),
        ("ivo_epoch_prop_pos(7.606083572, 11.79044105, 125, 300, -428.8, 52.51, 2016.0, 1875.0)",
         (7.594068213694308, 11.807251375203935)),
        ("ivo_epoch_prop_pos(7.606083572, 11.79044105, 125, 300, NULL, NULL, 2016.0, 1875.0)",
         (7.594080321498365, 11.790440798509207)),
        ("CENTROID(BOX(350, 10, 20, 20))", (350.0, 10.0)),
    ],
)  # fmt: skip
def test_examples_that_are_points(ask: Ask, expression: str, expected: tuple[float, float]) -> None:
    longitude, latitude = pair(ask, expression)
    assert SkyCoord(longitude, latitude, unit="deg").separation(SkyCoord(*expected, unit="deg")).arcsec < 1e-4


@pytest.mark.parametrize("source", FRAMES)
@pytest.mark.parametrize("target", FRAMES)
def test_rotations_agree_with_astropy(ask: Ask, source: str, target: str) -> None:
    longitude, latitude = pair(ask, f"ivo_geom_transform('{source}', '{target}', POINT(120, -23))")
    there = SkyCoord(120, -23, unit="deg", frame=ASTROPY[source]).transform_to(ASTROPY[target]).spherical
    apart = SkyCoord(there.lon, there.lat).separation(SkyCoord(longitude, latitude, unit="deg"))
    assert apart.mas < 0.01


def test_motion_agrees_with_astropy(ask: Ask) -> None:
    star = SkyCoord(
        269.452 * units.deg,
        4.693 * units.deg,
        Distance(parallax=546.9 * units.mas),
        pm_ra_cosdec=-801.5 * units.mas / units.yr,
        pm_dec=10362.4 * units.mas / units.yr,
        radial_velocity=-110.5 * units.km / units.s,
        obstime=Time(2016.0, format="jyear"),
    )
    later = star.apply_space_motion(Time(1992.0, format="jyear"))
    found = pair(ask, "ivo_epoch_prop_pos(269.452, 4.693, 546.9, -801.5, 10362.4, -110.5, 2016, 1992)")
    # astropy adds the change of light time, which the catalogue of functions forbids.
    assert SkyCoord(*found, unit="deg").separation(SkyCoord(later.ra, later.dec)).mas < 2


@pytest.mark.parametrize(("unit", "value"), [("keV", 0.5), ("MHz", 1420.4), ("nm", 500.0), ("GHz", 3.0)])
@pytest.mark.parametrize("target", ["keV", "MHz", "Angstrom", "m", "Hz"])
def test_spectral_units_agree_with_astropy(ask: Ask, unit: str, value: float, target: str) -> None:
    expected = (value * units.Unit(unit)).to_value(units.Unit(target), units.spectral())
    assert ask(f"gavo_specconv({value}, '{unit}', '{target}')") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("expression", "square_degrees"),
    [
        ("AREA(POLYGON(0, 0, 90, 0, 0, 89.99999999))", 41252.96124941928 / 8),
        ("AREA(POLYGON(10, 0, 10.001, 0, 10.001, 0.001, 10, 0.001))", 1e-6),
        ("AREA(CIRCLE(1, 2, 90))", 41252.96124941928 / 2),
        ("AREA(POINT(1, 2))", 0.0),
    ],
)
def test_areas(ask: Ask, expression: str, square_degrees: float) -> None:
    assert ask(expression) == pytest.approx(square_degrees, rel=1e-7)


def test_a_box_at_the_pole_holds_the_pole_and_what_is_near(ask: Ask) -> None:
    assert ask("CONTAINS(POINT(0, 90), BOX(0, 90, 2, 2))") == 1
    assert ask("CONTAINS(POINT(123, 89.5), BOX(0, 90, 2, 2))") == 1
    assert ask("CONTAINS(POINT(123, 88), BOX(0, 90, 2, 2))") == 0


def test_what_must_not_be_null_is_an_error(ask: Ask) -> None:
    with pytest.raises(psycopg.DataError, match="must not be null"):
        ask("COORD1(ivo_epoch_prop_pos(NULL, 11.79, 125, 300, NULL, NULL, 2016.0, 1875.0))")
    with pytest.raises(AdqlError, match="not known"):
        ask("COORD1(ivo_geom_transform('icrs', 'GALACTIC', POINT(120, -23)))")


def test_a_histogram_counts_what_lies_outside_and_nulls(connection: psycopg.Connection) -> None:
    """Catalogue 1.2: below the lower limit and NULL are underflows, above the upper one are overflows."""
    counts = connection.execute(
        "SELECT adql.ivo_histogram(x, 0, 10, 5) FROM unnest('{-1,0,1.9,2,9.9,10,11,NULL}'::float8[]) AS x"
    ).fetchone()
    assert counts == ([2, 2, 1, 0, 0, 2, 1],)
