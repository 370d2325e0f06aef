from __future__ import annotations

import gzip
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.model import ItemRead
from stac_rucio_sync.sources import open_source
from stac_rucio_sync.sources.wkb import geometry_from_wkb


def _wkb_point(longitude: float, latitude: float) -> bytes:
    return struct.pack("<BIdd", 1, 1, longitude, latitude)


def _row(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": f"item-{number}",
        "collection": "c",
        "geometry": _wkb_point(number, 2.0),
        "bbox": {"xmin": 1.0, "ymin": 2.0, "xmax": 3.0, "ymax": 4.0},
        "links": [{"rel": "self", "href": "https://a.org/1"}],
        "assets": {"data": {"href": "https://a.org/1.tif", "roles": ["data"], "file:size": 12}},
        "datetime": datetime(2024, 1, 1, 0, 0, 1, 500000, tzinfo=UTC),
        "gsd": 2.5,
    } | fields


def _file(path: Path, rows: list[dict[str, Any]], **geo: Any) -> Path:
    table = pa.Table.from_pylist(rows)
    meta = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"} | geo}}
    pq.write_table(table.replace_schema_metadata({"geo": orjson.dumps(meta)}), path)
    return path


def _items(path: Path) -> list[dict[str, Any]]:
    changes = list(open_source(str(path)).read(None))
    assert all(isinstance(change, ItemRead) and change.href is None for change in changes)
    return [change.stac for change in changes if isinstance(change, ItemRead)]


def test_a_row_becomes_the_item_that_it_was(tmp_path: Path) -> None:
    assert _items(_file(tmp_path / "a.parquet", [_row(1)])) == [
        {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
            "id": "item-1",
            "collection": "c",
            "geometry": {"type": "Point", "coordinates": [1.0, 2.0]},
            "bbox": [1.0, 2.0, 3.0, 4.0],
            "links": [{"rel": "self", "href": "https://a.org/1"}],
            "assets": {"data": {"href": "https://a.org/1.tif", "roles": ["data"], "file:size": 12}},
            "properties": {"datetime": "2024-01-01T00:00:01.500000Z", "gsd": 2.5},
        }
    ]


def test_a_null_that_stands_for_not_there_is_left_out(tmp_path: Path) -> None:
    other = {"thumb": {"href": "https://a.org/t.png"}}
    rows = [_row(1), _row(2, assets=other, gsd=None, datetime=None, bbox=None, geometry=None, collection=None)]
    second = _items(_file(tmp_path / "a.parquet", rows))[1]
    assert second["assets"] == other
    assert second["properties"] == {"datetime": None}  # required by STAC, null included
    assert second["geometry"] is None
    assert "bbox" not in second
    assert "collection" not in second


def test_many_batches_and_gzip_give_all_items(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.parquet", [_row(number) for number in range(1200)])
    packed = tmp_path / "a.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    reading = open_source(str(packed)).read(None)
    assert [change.stac["id"] for change in reading if isinstance(change, ItemRead)] == [
        f"item-{number}" for number in range(1200)
    ]
    assert reading.complete
    assert reading.expected == 1200
    assert reading.fraction() == 1.0


def test_what_is_not_of_the_layout_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "plain.parquet")
    _file(tmp_path / "arrow.parquet", [_row(1)], encoding="point")
    (tmp_path / "damaged.parquet").write_bytes((tmp_path / "arrow.parquet").read_bytes()[:-20])
    for name, problem in (("plain", "no column geometry, assets"), ("arrow", "only WKB"), ("damaged", "damaged")):
        with pytest.raises(FatalError, match=problem):
            _items(tmp_path / f"{name}.parquet")


def _ring(order: str, *positions: tuple[float, ...]) -> bytes:
    return struct.pack(order + "I", len(positions)) + b"".join(
        struct.pack(f"{order}{len(position)}d", *position) for position in positions
    )


@pytest.mark.parametrize(
    ("wkb", "geometry"),
    [
        (_wkb_point(1.5, -2.5), {"type": "Point", "coordinates": [1.5, -2.5]}),
        (struct.pack(">BIdd", 0, 1, 1.5, -2.5), {"type": "Point", "coordinates": [1.5, -2.5]}),
        (struct.pack("<BIddd", 1, 1001, 1, 2, 3), {"type": "Point", "coordinates": [1, 2, 3]}),
        (struct.pack("<BIddd", 1, 2001, 1, 2, 3), {"type": "Point", "coordinates": [1, 2]}),
        (struct.pack("<BIdddd", 1, 3001, 1, 2, 3, 4), {"type": "Point", "coordinates": [1, 2, 3]}),
        (struct.pack("<BIIddd", 1, 0xA0000001, 4326, 1, 2, 3), {"type": "Point", "coordinates": [1, 2, 3]}),
        (struct.pack("<BIdd", 1, 1, float("nan"), float("nan")), {"type": "Point", "coordinates": []}),
        (
            struct.pack("<BI", 1, 2) + _ring("<", (0, 1), (2, 3)),
            {"type": "LineString", "coordinates": [[0, 1], [2, 3]]},
        ),
        (
            struct.pack("<BII", 1, 3, 2) + _ring("<", (0, 0), (1, 0)) + _ring("<", (2, 2)),
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 0]], [[2, 2]]]},  # as it stands, open rings too
        ),
        (
            struct.pack("<BII", 1, 4, 2) + _wkb_point(1, 2) + _wkb_point(3, 4),
            {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
        ),
        (
            struct.pack("<BII", 1, 6, 1) + struct.pack(">BII", 0, 3, 1) + _ring(">", (0, 0), (1, 1)),
            {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 1]]]]},
        ),
        (
            struct.pack("<BII", 1, 7, 1) + _wkb_point(1, 2),
            {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}]},
        ),
    ],
)
def test_well_known_binary_arrives_coordinate_for_coordinate(wkb: bytes, geometry: dict[str, Any]) -> None:
    assert geometry_from_wkb(wkb) == geometry


@pytest.mark.parametrize(
    "wkb",
    [
        b"",
        _wkb_point(1, 2)[:-1],
        struct.pack("<BII", 1, 2, 2**31),
        struct.pack("<BI", 1, 8),
        struct.pack("<BII", 1, 7, 1) * 50,
    ],
)
def test_broken_binary_is_refused_before_memory_is_taken(wkb: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|nested|no geometry"):
        geometry_from_wkb(wkb)
