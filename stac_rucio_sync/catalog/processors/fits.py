"""The processor of FITS images: each file with a picture of the sky becomes an item, by what its headers say.

The footprint is that of the first picture that has celestial coordinates, in ICRS: its collection is one of the sky
(``frame = "sky"`` in the settings). What a header does not say is not made up; without coordinates or a date there is
no item.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from stac_rucio_sync.catalog.uploaded_assets import FILE_EXTENSION
from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.geojson import geometry_and_bbox
from stac_rucio_sync.mapping.checksums import md5_multihash
from stac_rucio_sync.model import JsonObject

__version__ = "1"

_SUFFIX = re.compile(r"\.(fits|fit|fts)(\.gz|\.fz|\.bz2)?$", re.IGNORECASE)


def discover(source: str) -> Iterator[str]:
    """Yield a file itself, or the FITS files below a folder.

    Raises
    ------
    UsageError
        There is nothing.
    """
    place = Path(source)
    if place.is_file():
        yield source
    elif place.is_dir():
        yield from (str(file) for file in sorted(place.rglob("*")) if _SUFFIX.search(file.name) and file.is_file())
    else:
        raise UsageError(f"there is no file or folder {source}")


def id(product_source: str) -> str:
    """Return the name of the file without its suffix."""
    return _SUFFIX.sub("", Path(product_source).name)


def version(product_source: str) -> str:
    """Return the size of the file and the time of its last change: it may be a large one."""
    state = Path(product_source).stat()
    return f"{state.st_size}-{state.st_mtime_ns}"


def process(product_source: str) -> str:
    """Write the item of a file to a temporary folder and return its path.

    Raises
    ------
    ItemError
        The file is no FITS image of the sky, or its header does not say when it was taken.
    """
    file = Path(product_source)
    item = _item(file)
    target = Path(tempfile.mkdtemp(prefix="fits-")) / "item.json"
    target.write_bytes(orjson.dumps(item))
    return str(target)


def release(path: str) -> None:
    """Remove the temporary folder of an item."""
    shutil.rmtree(Path(path).parent)


def _item(file: Path) -> JsonObject:
    # astropy takes half a second to load: only those wait who process FITS files.
    from stac_rucio_sync.catalog import fits_headers  # noqa: PLC0415

    try:
        picture = fits_headers.picture_of(file)
        field = fits_headers.field_of(picture)
        times = fits_headers.times_of(picture.header)
        wavelengths = fits_headers.wavelengths_of(picture)
    except ItemError as error:
        raise ItemError(f"{file}: {error}") from error
    geometry, bbox = geometry_and_bbox(field.ring)
    properties: JsonObject = {
        **_when(times.start, times.end),
        **_texts(picture.header),
        "dataproduct_type": "image" if wavelengths is None else "cube",
        "s_ra": field.centre[0],
        "s_dec": field.centre[1],
        "s_fov": round(field.diameter, 9),
        "s_xel1": field.pixels[0],
        "s_xel2": field.pixels[1],
    }
    if times.exposure is not None:
        properties["t_exptime"] = times.exposure
    if wavelengths is not None:
        properties["em_min"], properties["em_max"] = wavelengths
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [FILE_EXTENSION],
        "id": id(str(file)),
        "geometry": geometry,
        "bbox": bbox,
        "properties": properties,
        "assets": {"image": _asset(file, picture.header)},
        "links": [],
    }


def _when(start: datetime, end: datetime) -> JsonObject:
    said: JsonObject = {"datetime": _text_of(start)}
    if end > start:
        said |= {"start_datetime": _text_of(start), "end_datetime": _text_of(end)}
    return said


def _text_of(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _texts(header: Any) -> JsonObject:  # noqa: ANN401 - astropy's header has no types
    """Return the properties that a header says in words."""
    said = {name: str(header.get(name, "")).strip() for name in ("OBJECT", "TELESCOP", "INSTRUME")}
    properties: JsonObject = {}
    if said["OBJECT"]:
        properties |= {"title": said["OBJECT"], "target_name": said["OBJECT"]}
    if said["TELESCOP"]:
        properties["platform"] = said["TELESCOP"]
    if said["INSTRUME"]:
        properties["instruments"] = [said["INSTRUME"]]
    return properties


def _asset(file: Path, header: Any) -> JsonObject:  # noqa: ANN401 - astropy's header has no types
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as content:
        while block := content.read(2**20):
            digest.update(block)
    asset: JsonObject = {
        "href": str(file.resolve()),
        "type": "application/fits",
        "roles": ["data"],
        "file:size": file.stat().st_size,
        "file:checksum": md5_multihash(digest.hexdigest()),
    }
    band = str(header.get("FILTER", "")).strip()
    if band:
        asset["bands"] = [{"name": band}]
    return asset
