"""Validation of items by the JSON schemas of STAC extensions, which lie beside the checkout."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pystac
import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped] # it ships no types
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from tests.conftest import SHARED

SCHEMAS = SHARED / "schemas"
EXTENSIONS = {
    "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json": "stac-alternate-assets.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json": "stac-file.json",
    "https://stac-extensions.github.io/storage/v2.0.0/schema.json": "stac-storage.json",
}
ALTERNATES, FILE, STORAGE = EXTENSIONS
BASICS = "https://schemas.stacspec.org/v1.0.0/item-spec/json-schema/basics.json"
_BUNDLED = Path(pystac.__file__).parent / "validation/jsonschemas/stac-spec/v1.1.0/basics.json"


def check_alternates(item: dict[str, Any]) -> None:
    """See that an item is right by the schema of every extension it declares that is at hand.

    The schema of alternate-assets 1.2.0 looks at an item's asset *called* ``alternate`` where it means every asset's;
    what it demands of the assets of collections is demanded of the item's here.
    """
    assert ALTERNATES in item["stac_extensions"]
    for uri in item["stac_extensions"]:
        if uri in EXTENSIONS:
            assert not [error.message for error in _validator(uri).iter_errors(item)], uri
    of_assets = _validator(ALTERNATES).evolve(schema={"$ref": f"{ALTERNATES}#/definitions/assets"})
    assert not [error.message for error in of_assets.iter_errors(item["assets"])]


@cache
def _validator(uri: str) -> Draft7Validator:
    return Draft7Validator({"$ref": uri}, registry=_registry())


@cache
def _registry() -> Registry[Any]:
    if not SCHEMAS.is_dir():
        pytest.skip("the folder of schemas is not beside this checkout")
    found = {uri: json.loads((SCHEMAS / name).read_text()) for uri, name in EXTENSIONS.items()}
    found[BASICS] = json.loads(_BUNDLED.read_text())
    for platform in ("aws-s3", "custom-s3", "ms-azure"):
        # They are no part of the extension's releases, and not at hand.
        found[f"https://stac-extensions.github.io/storage/v2.0.0/platforms/{platform}.json"] = {}
    resources = [(uri, Resource.from_contents(schema, DRAFT7)) for uri, schema in found.items()]
    return Registry().with_resources(resources)
