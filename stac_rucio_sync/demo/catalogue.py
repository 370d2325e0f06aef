"""The demo's catalogue: items of STAC 1.1 with the bytes of their assets, on disk, to be served."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pystac

from stac_rucio_sync.demo import earth, sky, spectral
from stac_rucio_sync.demo.products import Observation, Product
from stac_rucio_sync.geojson import geometry_and_bbox

FEWEST_ITEMS = 10
FORMAT = 2
"""Counted up when the same number of items gives another catalogue: what lies on disk is made again."""

TITLES = {
    sky.IMAGES: "Demo survey: images",
    spectral.SPECTRA: "Demo survey: spectra",
    spectral.CUBES: "Demo survey: neutral hydrogen cubes",
    earth.SCENES: "Demo Earth scenes",
}
_MAKERS: dict[str, Callable[[int], Observation]] = {
    sky.IMAGES: sky.image,
    spectral.SPECTRA: spectral.spectrum,
    spectral.CUBES: spectral.cube,
    earth.SCENES: earth.scene,
}
_MULTIHASH = {"md5": ("d50110", hashlib.md5), "sha2-256": ("1220", hashlib.sha256)}
"""Prefix of code and length as the multihash specification writes them, and the function."""
_EXTENSIONS = {
    "file:": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "eo:": "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "proj:": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "processing:": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
}
_MARK = "made.json"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A catalogue as it lies on disk."""

    folder: Path
    url: str
    """Where the origin's server publishes the folder."""
    items: tuple[dict[str, Any], ...]
    """The items as they stand in ``items.ndjson``."""
    fresh: bool
    """It was made just now; False: it was there, whole."""

    @property
    def ndjson(self) -> Path:
        """One item a line: what a STAC API server loads."""
        return self.folder / "items.ndjson"

    @property
    def files(self) -> int:
        """How many files the items have."""
        return sum(len(item["assets"]) for item in self.items)

    @property
    def bytes(self) -> int:
        """The sum of the sizes that the items state."""
        return sum(asset.get("file:size", 0) for item in self.items for asset in item["assets"].values())

    def item(self, collection: str, item_id: str) -> dict[str, Any]:
        """Return one item."""
        return next(one for one in self.items if (one["collection"], one["id"]) == (collection, item_id))

    def path_of(self, href: str) -> Path:
        """Return where the file behind an asset's href lies on disk."""
        return self.folder / href.removeprefix(self.url + "/")


def shares(count: int) -> dict[str, int]:
    """Return how many of ``count`` items each collection holds: of 20, 12 images, 3 spectra, 1 cube, 4 scenes."""
    cubes, spectra, scenes = max(1, count // 20), max(2, count * 3 // 20), max(2, count // 5)
    return {
        sky.IMAGES: count - cubes - spectra - scenes,
        spectral.SPECTRA: spectra,
        spectral.CUBES: cubes,
        earth.SCENES: scenes,
    }


def observations(count: int) -> Iterator[Observation]:
    """Yield ``count`` observations.

    An observation's number alone decides what it is, so a larger catalogue holds the smaller one.
    """
    for collection, share in shares(count).items():
        yield from (_MAKERS[collection](number) for number in range(share))


def ensure_catalogue(folder: Path, url: str, count: int) -> Catalogue:
    """Make the catalogue in a folder that is published at ``url``, unless it lies there whole.

    Parameters
    ----------
    folder
        The catalogue's own. What another catalogue left there is overwritten; files of a larger one stay where
        they are, since Rucio may know them.
    url
        Without a slash at its end; the base of every href.
    count
        Number of items, at least `FEWEST_ITEMS`.
    """
    mark = folder / _MARK
    wish = {"format": FORMAT, "items": count, "url": url}
    if mark.exists() and orjson.loads(mark.read_bytes()) == wish:
        catalogue = _read(folder, url, fresh=False)
        if _is_whole(catalogue):
            return catalogue
    folder.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    _write(folder, url, count)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # another user serves them
    mark.write_bytes(orjson.dumps(wish))
    return _read(folder, url, fresh=True)


def _read(folder: Path, url: str, *, fresh: bool) -> Catalogue:
    with (folder / "items.ndjson").open("rb") as lines:
        return Catalogue(folder, url, tuple(orjson.loads(line) for line in lines), fresh)


def _is_whole(catalogue: Catalogue) -> bool:
    for item in catalogue.items:
        for asset in item["assets"].values():
            path = catalogue.path_of(asset["href"])
            if not path.is_file() or path.stat().st_size != asset.get("file:size", path.stat().st_size):
                return False
    return True


def _write(folder: Path, url: str, count: int) -> None:
    """Write the files, the static catalogue and ``items.ndjson``."""
    catalog = pystac.Catalog("demo", "A made-up sky survey and some Earth scenes.", title="Demo")
    gathered: dict[str, list[pystac.Item]] = {name: [] for name in TITLES}
    for observation in observations(count):
        place = f"{observation.collection}/{observation.id}"
        (folder / place).mkdir(parents=True, exist_ok=True)
        for product in observation.products:
            (folder / place / product.name).write_bytes(product.content)
        gathered[observation.collection].append(item_of(observation, f"{url}/{place}"))
    for name, items in gathered.items():
        catalog.add_child(_collection(name, items))
    catalog.normalize_hrefs(url)
    catalog.save(pystac.CatalogType.SELF_CONTAINED, dest_href=str(folder))
    with (folder / "items.ndjson").open("wb") as lines:
        for items in gathered.values():
            # links are the server's to write: with those of the static catalogue there would be two of each
            lines.writelines(orjson.dumps(item.to_dict() | {"links": []}) + b"\n" for item in items)


def item_of(observation: Observation, url: str) -> pystac.Item:
    """Return the STAC item of an observation whose files are published below ``url``."""
    geometry, bbox = geometry_and_bbox(observation.ring)
    assets = {product.key: asset_of(product, url) for product in observation.products}
    written = orjson.dumps([observation.properties, [asset.to_dict() for asset in assets.values()]]).decode()
    return pystac.Item(
        id=observation.id,
        geometry=geometry,
        bbox=bbox,
        datetime=observation.start,
        start_datetime=observation.start,
        end_datetime=observation.end,
        properties=dict(observation.properties),
        stac_extensions=[schema for prefix, schema in _EXTENSIONS.items() if f'"{prefix}' in written],
        collection=observation.collection,
        assets=assets,
    )


def asset_of(product: Product, url: str) -> pystac.Asset:
    """Return the STAC asset of a file, with size and checksum where the product states them."""
    stated: dict[str, Any] = {}
    if product.checksum is not None:
        prefix, function = _MULTIHASH[product.checksum]
        stated = {
            "file:size": len(product.content),
            "file:checksum": prefix + function(product.content).hexdigest(),
        }
    return pystac.Asset(
        f"{url}/{product.name}",
        title=product.title,
        media_type=product.media_type,
        roles=list(product.roles),
        extra_fields=stated | product.fields,
    )


def _collection(name: str, items: list[pystac.Item]) -> pystac.Collection:
    moments: list[datetime] = [moment for item in items for moment in (_start(item), _end(item))]
    world = [-180.0, -90.0, 180.0, 90.0]
    collection = pystac.Collection(
        name,
        f"{TITLES[name]}: made up, with real bytes.",
        pystac.Extent(pystac.SpatialExtent([world]), pystac.TemporalExtent([[min(moments), max(moments)]])),
        title=TITLES[name],
        license="CC0-1.0",
        keywords=["demo"],
    )
    collection.add_items(items)
    return collection


def _start(item: pystac.Item) -> datetime:
    return (item.common_metadata.start_datetime or datetime.min).astimezone(UTC)


def _end(item: pystac.Item) -> datetime:
    return (item.common_metadata.end_datetime or datetime.max).astimezone(UTC)
