"""What is known of the products that were ingested: kept in the catalogue itself, in files that no export has."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from stac_rucio_sync.catalog.draft import Draft
from stac_rucio_sync.catalog.index import ObjectKey
from stac_rucio_sync.catalog.paths import digits, path_name
from stac_rucio_sync.catalog.repository import Version

_FOLDER = ".products"


@dataclass(frozen=True, slots=True)
class Product:
    """A product in the version that is in the catalogue."""

    processor: str
    processor_version: str
    id: str
    version: str
    path: str
    """Of its object."""
    key: ObjectKey
    commit: int
    """The number of the commit that it came with."""
    in_lake: bool = False
    """Its files are in the lake, and its assets say so."""


def product_path(processor: str, identifier: str) -> str:
    """Return where the record of a product lies."""
    name = f"{processor}:{identifier}"
    first, second = digits(name)[:2], digits(name)[2:4]
    return f"{_FOLDER}/{first}/{second}/{path_name(name)}.json"


def known(version: Version, processor: str, identifier: str) -> Product | None:
    """Return what is known of a product; None: it is not in the catalogue, or was taken out since."""
    path = product_path(processor, identifier)
    entry = version.tree.entry(path)
    if entry is None:
        return None
    kept = orjson.loads(version.tree.read(path))
    product = Product(**(kept | {"key": ObjectKey(*kept["key"])}))
    if version.tree.entry(product.path) is None:
        return None
    changes = version.repository.index.changes(product.key.id, product.key.collection)
    was_removed = any(
        change.fate == "removed" and change.path == product.path and change.number > product.commit
        for change in changes
        if change.number <= version.number
    )
    return None if was_removed else product


def keep(draft: Draft, product: Product) -> None:
    """Write down what is known of a product."""
    kept = {name: getattr(product, name) for name in Product.__slots__} | {"key": list(product.key)}
    path = product_path(product.processor, product.id)
    draft.edits.write(path, orjson.dumps(kept, option=orjson.OPT_APPEND_NEWLINE))
