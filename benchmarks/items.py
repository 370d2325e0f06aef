"""Items made for measuring: as many as are asked for, every one different."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from typing import Any

ORIGIN = "https://archive.example.org"


def items(count: int, *, collection: str, assets: int = 4, start: int = 0) -> Iterator[dict[str, Any]]:
    """Yield STAC items (500 bytes, and 200 an asset), each asset with a size and a checksum."""
    for number in range(start, start + count):
        yield _item(number, collection, assets)


def _item(number: int, collection: str, assets: int) -> dict[str, Any]:
    west, south = number % 340 - 170.0, number // 340 % 160 - 80.0
    ring = [[west, south], [west + 1, south], [west + 1, south + 1], [west, south + 1], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": f"scene-{number:09}",
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, west + 1, south + 1],
        "properties": {
            "datetime": f"20{number % 20:02}-0{number % 9 + 1}-11T10:{number % 60:02}:00Z",
            "platform": "example-1",
            "instruments": ["camera"],
            "processing:level": "L2",
        },
        "links": [],
        "assets": {f"band{band}": _asset(number, collection, band) for band in range(assets)},
    }


def _asset(number: int, collection: str, band: int) -> dict[str, Any]:
    path = f"{collection}/{number:09}/band{band}.tif"
    digest = md5(path.encode(), usedforsecurity=False).hexdigest()
    return {
        "href": f"{ORIGIN}/{path}",
        "type": "image/tiff; application=geotiff",
        "roles": ["data"],
        "file:size": 1_000_000 + number,
        "file:checksum": "d50110" + digest,
    }
