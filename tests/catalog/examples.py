"""Items and collections for the tests of the versioned catalogue."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def item(
    identifier: str, collection: str | None = "fields", *, day: int = 1, lon: float = 10.0, **properties: Any
) -> Json:
    """Make an item of one square degree."""
    ring = [[lon, 20.0], [lon + 1, 20.0], [lon + 1, 21.0], [lon, 21.0], [lon, 20.0]]
    made: Json = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": identifier,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [lon, 20.0, lon + 1, 21.0],
        "properties": {"datetime": f"2024-01-{day:02d}T00:00:00Z", "platform": "telescope", **properties},
        "assets": {"image": {"href": f"https://example.org/{len(identifier)}-{day}.fits"}},
        "links": [{"rel": "license", "href": "https://example.org/licence"}],
    }
    if collection is not None:
        made["collection"] = collection
    return made


def collection(identifier: str, **members: Any) -> Json:
    """Make a collection."""
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": identifier,
        "description": f"About {identifier}.",
        "license": "CC-BY-4.0",
        "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}},
        "links": [],
        **members,
    }
