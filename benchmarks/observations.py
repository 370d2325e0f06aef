"""Made ObsCore rows by the million, the same ones for the same seed: what the figures of TAP are taken on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BATCH = 20_000
KINDS = ("image", "cube", "spectrum", "timeseries", "visibility")
FACILITIES = ("SKA-Low", "SKA-Mid", "MeerKAT", "LOFAR", "ASKAP")
SPEED_OF_LIGHT = 299_792_458.0
COLUMNS = (
    "dataproduct_type, calib_level, obs_collection, obs_id, obs_title, obs_publisher_did, target_name, access_url, "
    "access_format, access_estsize, s_ra, s_dec, s_fov, s_region, s_resolution, s_xel1, s_xel2, t_min, t_max, "
    "t_exptime, t_resolution, t_xel, em_min, em_max, em_res_power, em_xel, o_ucd, pol_states, pol_xel, facility_name, "
    "instrument_name, obs_release_date, s_polygon, s_bound"
)


def publisher_did(number: int) -> str:
    """Return the obs_publisher_did of a row by its number."""
    return f"ivo://bench.example/lake?made:obs_{number:07d}.fits"


def loaded(connection: psycopg.Connection[Any], rows: int) -> bool:
    """Tell whether lake.obscore holds the rows that `load` makes of this number, and no others."""
    ends = [publisher_did(number) for number in {0, rows - 1}]
    found = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE obs_publisher_did = ANY(%s)) FROM lake.obscore", [ends]
    ).fetchone()
    return found == (rows, len(ends))


def load(connection: psycopg.Connection[Any], rows: int, seed: int = 4) -> None:
    """Write rows into lake.obscore and leave its indexes and statistics as a settled table has them.

    Parameters
    ----------
    connection
        Of a role that owns the table; autocommit, as VACUUM takes no transaction.
    rows
        How many.
    seed
        Of the random numbers.
    """
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
        "WHERE indrelid = 'lake.obscore'::regclass AND NOT indisprimary"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    with connection.cursor().copy(f"COPY lake.obscore ({COLUMNS}) FROM STDIN".encode()) as copy:
        for lines in _lines(rows, seed):
            copy.write(lines)
    for _, definition in indexes:
        connection.execute(definition.encode())
    connection.execute("VACUUM (ANALYZE, FREEZE) lake.obscore")


def _lines(rows: int, seed: int) -> Iterator[str]:
    random = np.random.default_rng(seed)
    for start in range(0, rows, BATCH):
        yield _batch(random, start, min(BATCH, rows - start))


def _batch(random: np.random.Generator, start: int, count: int) -> str:
    """Return rows in COPY's text format; none of the made values needs an escape."""
    numbers = range(start, start + count)
    ra, dec = random.uniform(0, 360, count), np.degrees(np.arcsin(random.uniform(-1, 1, count)))
    fov = np.exp(random.uniform(np.log(0.05), np.log(2.0), count))
    corners = _square(ra, dec, fov, random.uniform(0, 2 * np.pi, count))
    kind, collection = random.integers(0, len(KINDS), count), random.integers(0, 20, count)
    facility = collection % len(FACILITIES)
    begin, exposure = random.uniform(58_000, 61_000, count), np.exp(random.uniform(3.4, 10.2, count))
    frequency, width = np.exp(random.uniform(17.7, 23.4, count)), random.uniform(0.01, 0.3, count)
    pixels, channels = random.choice([512, 1024, 2048, 4096], count), random.choice([1, 64, 1024], count)
    resolution = fov * 3600 / pixels * 3
    pixels_text = np.where(kind < 2, pixels.astype(str), "\\N").tolist()
    dids = [publisher_did(number) for number in numbers]
    polygons = [",".join(map(repr, ring)) for ring in corners.round(9).tolist()]
    columns: tuple[list[Any], ...] = (
        [KINDS[one] for one in kind],
        random.integers(0, 4, count).tolist(),
        [f"collection_{one:02d}" for one in collection],
        [f"observation_{number // 3:07d}" for number in numbers],
        [f"Made observation {number}" for number in numbers],
        dids,
        [f"Target {number % 5000}" for number in numbers],
        [f"http://127.0.0.1:8080/datalink/links?ID={did.replace('?', '%3F').replace(':', '%3A')}" for did in dids],
        ["application/x-votable+xml;content=datalink"] * count,
        random.integers(100, 50_000_000, count).tolist(),
        ra.tolist(),
        dec.tolist(),
        fov.tolist(),
        ["POLYGON ICRS " + ring.replace(",", " ") for ring in polygons],
        resolution.tolist(),
        pixels_text,
        pixels_text,
        begin.tolist(),
        (begin + exposure / 86_400).tolist(),
        exposure.tolist(),
        (exposure / 10).tolist(),
        ["1"] * count,
        (SPEED_OF_LIGHT / (frequency * (1 + width / 2))).tolist(),
        (SPEED_OF_LIGHT / (frequency * (1 - width / 2))).tolist(),
        (channels / width).tolist(),
        channels.tolist(),
        ["phot.flux.density;em.radio"] * count,
        ["/I/Q/U/V/"] * count,
        ["4"] * count,
        [FACILITIES[one] for one in facility],
        [f"RX-{one + 1}" for one in facility],
        ["2026-01-01T00:00:00"] * count,
        ["{" + ring + "}" for ring in polygons],
        [f"{{{a!r},{d!r},{f!r}}}" for a, d, f in zip(ra.tolist(), dec.tolist(), (fov * 0.708).tolist(), strict=True)],
    )
    return "".join("\t".join(map(str, row)) + "\n" for row in zip(*columns, strict=True))


def _square(ra: Floats, dec: Floats, side: Floats, turn: Floats) -> Floats:
    """Return the corners (degrees, longitude then latitude, four of them) of turned squares on the tangent plane."""
    longitude, latitude = np.radians(ra), np.radians(dec)
    reach = np.tan(np.radians(side) / 2) * np.sqrt(2)
    found = []
    for corner in range(4):
        angle = turn + np.pi / 4 + corner * np.pi / 2
        x, y = reach * np.cos(angle), reach * np.sin(angle)
        below = np.cos(latitude) - y * np.sin(latitude)
        found.append(np.degrees(np.mod(longitude + np.arctan2(x, below), 2 * np.pi)))
        found.append(np.degrees(np.arctan2(np.sin(latitude) + y * np.cos(latitude), np.hypot(x, below))))
    return np.column_stack(found)
