"""A small STAC API that conforms to item search and the filter extension, and can be told to misbehave."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.unit.loopback import Answer, Asked, as_json

CONFORMS = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
FILTERS = [
    "https://api.stacspec.org/v1.0.0/item-search#filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
]


def item(number: int, collection: str = "c", **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": f"item-{number}",
        "collection": collection,
        "geometry": {"type": "Point", "coordinates": [10.0 + number, 50.0]},
        "bbox": [10.0 + number, 50.0, 10.0 + number, 50.0],
        "properties": {"datetime": f"2024-01-{number + 1:02d}T00:00:00Z", **properties},
        "links": [{"rel": "self", "href": f"https://stac.example.org/items/{number}"}],
        "assets": {},
    }


@dataclass
class StacServer:
    """Answers from a list of items."""

    items: list[Any]
    filters: bool = True
    """Declares the filter extension."""
    obeys_filter: bool = True
    obeys_core: bool = True
    """Obeys collections, bbox and datetime."""
    page: int = 10
    trips: list[Answer] = field(default_factory=list)
    """Answers to give in place of the next searches that ask for a whole page, one after the other."""
    counts: bool = True

    def __call__(self, asked: Asked) -> Answer:
        host = f"http://{asked.headers['Host']}"
        if asked.path == "/":
            return as_json(self._landing(host))
        if asked.path != "/search":
            return as_json({"code": "NotFound"}, 404)
        wanted = dict(asked.body if asked.method == "POST" else asked.query)
        limit = int(wanted.get("limit", self.page))
        if limit > 1 and self.trips:
            return self.trips.pop(0)
        found = [one for one in self.items if self._matches(one, wanted)]
        begin = int(wanted.get("token", 0))
        size = min(limit, self.page)
        answer: dict[str, Any] = {"type": "FeatureCollection", "features": found[begin : begin + size], "links": []}
        if self.counts:
            answer["numberMatched"] = len(found)
        if begin + size < len(found):
            follow = {"rel": "next", "href": f"{host}/search", "method": "POST", "body": {"token": begin + size}}
            answer["links"].append({**follow, "merge": True})
        return as_json(answer)

    def _landing(self, host: str) -> dict[str, Any]:
        link = {"rel": "search", "type": "application/geo+json", "href": f"{host}/search"}
        return {
            "type": "Catalog",
            "id": "small",
            "description": "small",
            "stac_version": "1.0.0",
            "conformsTo": CONFORMS + (FILTERS if self.filters else []),
            "links": [{**link, "method": "GET"}, {**link, "method": "POST"}],
        }

    def _matches(self, one: Any, wanted: dict[str, Any]) -> bool:
        if not isinstance(one, dict):
            return True
        named = {"collections": one["collection"], "ids": one["id"]}
        if self.obeys_core and any(name not in wanted.get(field, [name]) for field, name in named.items()):
            return False
        if self.obeys_core and "bbox" in wanted:
            bbox = wanted["bbox"]
            west, south, east, north = bbox if len(bbox) == 4 else [*bbox[:2], *bbox[3:5]]
            longitude, latitude = one["geometry"]["coordinates"]
            if not (west <= longitude <= east and south <= latitude <= north):
                return False
        if self.obeys_core and "datetime" in wanted:
            start, _, end = wanted["datetime"].partition("/")
            if not start.replace("..", "0") <= one["properties"]["datetime"] <= end.replace("..", "9"):
                return False
        expression = wanted.get("filter")
        if expression is None or not self.obeys_filter:
            return True
        return _true(json.loads(expression) if isinstance(expression, str) else expression, one)


def _true(expression: dict[str, Any], one: dict[str, Any]) -> bool:
    """Evaluate the part of CQL2 JSON that the tests need."""
    name, args = expression["op"], expression["args"]
    if name == "and":
        return all(_true(arg, one) for arg in args)
    left = args[0]["property"]
    value = one.get(left, one["properties"].get(left))
    if name == "isNull":
        return value is None
    right = args[1]["timestamp"] if isinstance(args[1], dict) else args[1]
    if value is None:
        return False
    return bool({"=": value == right, "<>": value != right, ">=": str(value) >= str(right)}[name])
