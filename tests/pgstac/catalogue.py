"""What the server holds: 300 items in two collections, over 25 years and 150 degrees."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

COUNT = 300
FIRST_UPDATE = datetime(2024, 1, 1, tzinfo=UTC)
COLLECTIONS: list[dict[str, Any]] = [
    {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "description": f"Items of {name} number",
        "license": "CC0-1.0",
        "links": [],
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
    }
    for name in ("even", "odd")
]


def everything() -> range:
    return range(COUNT)


def an_item(number: int, *, updated: datetime | None = None, **properties: Any) -> dict[str, Any]:
    """An item with one sized file; each was updated an hour after the one before."""
    west = number / 2
    instant = updated or FIRST_UPDATE + timedelta(hours=number)
    md5 = hashlib.md5(str(number).encode()).hexdigest()  # noqa: S324 - the checksum that STAC items carry
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": f"tile-{number:03}",
        "collection": "odd" if number % 2 else "even",
        "geometry": {"type": "Point", "coordinates": [west, 10.0]},
        "bbox": [west, 10.0, west, 10.0],
        "properties": {
            "datetime": f"{2000 + number % 25}-06-01T00:00:00Z",
            "updated": instant.isoformat().replace("+00:00", "Z"),
            "gsd": number % 7,
            **properties,
        },
        "links": [],
        "assets": {
            "image": {
                "href": f"https://archive.example.org/tiles/{number:03}.fits",
                "type": "application/fits",
                "roles": ["data"],
                "file:size": 1000 + number,
                "file:checksum": "d50110" + md5,
            }
        },
    }
