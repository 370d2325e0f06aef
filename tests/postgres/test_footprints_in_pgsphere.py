"""Every polygon and circle that the mapping makes is one that pgSphere takes: a refused one would fail its batch."""

from __future__ import annotations

import gzip
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from stac_rucio_sync.mapping.footprint import Footprint, Frame, footprint

FRAMES: tuple[Frame, ...] = ("sky", "body")


@pytest.fixture(scope="module")
def database(lake: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(lake.settings.database_url(), autocommit=True) as connection:
        yield connection


def accepted(database: psycopg.Connection[Any], found: Footprint) -> None:
    if found.bound is None:
        return
    circle = "<({!r}d,{!r}d),{!r}d>".format(*found.bound)
    if found.polygon is None:
        database.execute("SELECT %s::scircle", (circle,))
        return
    pairs = zip(found.polygon[::2], found.polygon[1::2], strict=True)
    polygon = "{" + ",".join(f"({lon!r}d,{lat!r}d)" for lon, lat in pairs) + "}"
    row = database.execute("SELECT %s::spoly <@ %s::scircle", (polygon, circle)).fetchone()
    assert row == (True,)


def odd_ring(dice: random.Random) -> list[list[float]]:
    """Return a ring of the kinds that break polygon code: tiny, huge, polar, on a grid, folded back, unordered."""
    lon = dice.choice([0.0, 180.0, dice.uniform(-180, 180)])
    lat = dice.choice([0.0, 90.0, -90.0, dice.uniform(-90, 90)])
    size, count = 10 ** dice.uniform(-6, 2.2), dice.choice([3, 4, 4, 5, 8, 20, 60])
    wobble, grid = dice.choice([0.0, 1e-5, 0.8]), dice.choice([0.0, 0.0, size / 10])
    ring = []
    for number in range(count):
        angle, radius = 2 * math.pi * number / count, size * (1 - wobble * dice.random())
        position = [lon + radius * math.cos(angle), lat + 0.6 * radius * math.sin(angle)]
        if grid:
            position = [round(value / grid) * grid for value in position]
        ring.append([position[0], max(-90.0, min(90.0, position[1]))])
    if dice.random() < 0.2:
        at = dice.randrange(count)
        ring.insert(at, [ring[at][0] + 10 ** dice.uniform(-9, -4), ring[at][1]])
    if dice.random() < 0.1:
        dice.shuffle(ring)
    return [[(position[0] + 180) % 360 - 180, position[1]] for position in ring]


def test_odd_rings(database: psycopg.Connection[Any]) -> None:
    dice = random.Random(20)  # noqa: S311 - the same odd rings each time
    made = 0
    for _ in range(1500):
        geometry = {"type": "Polygon", "coordinates": [odd_ring(dice)]}
        for frame in FRAMES:
            found = footprint(geometry, None, frame)
            made += found.polygon is not None
            accepted(database, found)
    assert made > 1000


def test_real_footprints(database: psycopg.Connection[Any], real_items: Path) -> None:
    made = 0
    for name in ("items.ndjson.gz", "items_dups.ndjson.gz"):
        with gzip.open(real_items / name) as lines:
            for line in lines:
                geometry = orjson.loads(line).get("geometry")
                found = footprint(geometry, None, "body")
                made += found.polygon is not None
                accepted(database, found)
    assert made > 6000
