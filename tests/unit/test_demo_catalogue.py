"""The demo's catalogue: what its items say must be what its files are, since the demo proves the road with them."""

from __future__ import annotations

import hashlib
import io
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import rasterio
from astropy.io import fits
from astropy.wcs import WCS
from pystac.validation import validate_dict
from rasterio.warp import transform

from stac_rucio_sync.demo import earth, sky, spectral
from stac_rucio_sync.demo.catalogue import FEWEST_ITEMS, Catalogue, ensure_catalogue, observations, shares
from stac_rucio_sync.geojson import geometry_and_bbox

URL = "http://127.0.0.1:9/demo"
ITEMS = 40


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return ensure_catalogue(tmp_path_factory.mktemp("made") / "demo", URL, ITEMS)


def items_of(catalogue: Catalogue, collection: str) -> list[dict[str, Any]]:
    return [item for item in catalogue.items if item["collection"] == collection]


def corners_of(item: dict[str, Any]) -> list[tuple[float, float]]:
    """All corners that the geometry states, longitudes 0-360; those of the cut at the antimeridian left out."""
    polygons = item["geometry"]["coordinates"]
    rings = [polygon[0] for polygon in polygons] if item["geometry"]["type"] == "MultiPolygon" else [polygons[0]]
    return [(lon % 360.0, lat) for ring in rings for lon, lat in ring[:-1] if abs(lon) != 180.0]


def same_places(found: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> bool:
    def near(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return abs((a[0] - b[0] + 180.0) % 360.0 - 180.0) < 1e-6 and abs(a[1] - b[1]) < 1e-6

    return len(found) == len(wanted) and all(any(near(a, b) for b in wanted) for a in found)


def test_two_hundred_items_are_of_the_four_kinds() -> None:
    assert shares(200) == {sky.IMAGES: 120, spectral.SPECTRA: 30, spectral.CUBES: 10, earth.SCENES: 40}
    assert min(shares(FEWEST_ITEMS).values()) >= 1


def test_no_two_items_share_a_key(catalogue: Catalogue) -> None:
    assert len({(item["collection"], item["id"]) for item in catalogue.items}) == ITEMS


def test_a_larger_catalogue_holds_the_smaller_one_byte_for_byte() -> None:
    small = {(one.collection, one.id): one for one in observations(20)}
    large = {(one.collection, one.id): one for one in observations(ITEMS)}
    assert small.keys() <= large.keys()
    assert all(large[key] == small[key] for key in small)


def test_items_and_collections_are_valid_stac(catalogue: Catalogue) -> None:
    for path in catalogue.folder.rglob("*.json"):
        if path.name == "made.json":
            continue
        stac = orjson.loads(path.read_bytes())
        validate_dict({**stac, "stac_extensions": []})  # the schemas of extensions are on the internet


def test_stated_sizes_and_checksums_are_those_of_the_files(catalogue: Catalogue) -> None:
    unstated = 0
    for item in catalogue.items:
        for asset in item["assets"].values():
            content = catalogue.path_of(asset["href"]).read_bytes()
            if "file:size" not in asset:
                assert "file:checksum" not in asset
                unstated += 1
                continue
            assert asset["file:size"] == len(content)
            md5, sha256 = hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()  # noqa: S324
            # multihash: md5 is code 0xd5 (as a varint d5 01), 16 bytes; sha2-256 is code 0x12, 32 bytes
            assert asset["file:checksum"] in {"d50110" + md5, "1220" + sha256}
    assert unstated > 0


def test_the_footprint_of_an_image_is_what_its_fits_header_says(catalogue: Catalogue) -> None:
    for item in items_of(catalogue, sky.IMAGES):
        header = fits.getheader(catalogue.path_of(item["assets"]["image"]["href"]))
        wcs = WCS(header)
        wanted = [(float(ra) % 360.0, float(dec)) for ra, dec in wcs.calc_footprint(center=False)]
        assert same_places(corners_of(item), wanted), item["id"]
        assert (item["properties"]["s_ra"], item["properties"]["s_dec"]) == tuple(wcs.wcs.crval)
        assert item["properties"]["t_exptime"] == header["EXPTIME"]


def test_the_survey_crosses_ra_zero_and_the_antimeridian_and_comes_near_the_pole(catalogue: Catalogue) -> None:
    images = items_of(catalogue, sky.IMAGES)
    assert any(item["bbox"][0] < 0.0 < item["bbox"][2] for item in images)
    assert any(item["bbox"][0] > item["bbox"][2] for item in images)
    assert max(item["properties"]["s_dec"] for item in images) > 89.0
    assert any(item["bbox"][0] > item["bbox"][2] for item in items_of(catalogue, earth.SCENES))


def test_the_wavelengths_of_a_spectrum_are_what_its_item_says(catalogue: Catalogue) -> None:
    for item in items_of(catalogue, spectral.SPECTRA):
        with fits.open(catalogue.path_of(item["assets"]["spectrum"]["href"])) as units:
            table = units["SPECTRUM"]
            assert table.columns["WAVELENGTH"].unit == "nm"
            wavelength = table.data["WAVELENGTH"] * 1e-9
            assert wavelength.min() == pytest.approx(item["properties"]["em_min"])
            assert wavelength.max() == pytest.approx(item["properties"]["em_max"])
            assert len(wavelength) == item["properties"]["em_xel"]
            assert units[0].header["RA"] == item["properties"]["s_ra"]


def test_the_spectral_axis_of_a_cube_is_what_its_item_says(catalogue: Catalogue) -> None:
    for item in items_of(catalogue, spectral.CUBES):
        values, header = fits.getdata(catalogue.path_of(item["assets"]["cube"]["href"]), header=True)
        wcs = WCS(header)
        assert values.shape[0] == item["properties"]["em_xel"]
        _, _, hertz = wcs.pixel_to_world_values(0.0, 0.0, np.array([-0.5, values.shape[0] - 0.5]))
        metres = 299_792_458.0 / hertz
        assert metres.min() == pytest.approx(item["properties"]["em_min"], rel=1e-9)
        assert metres.max() == pytest.approx(item["properties"]["em_max"], rel=1e-9)


def test_the_footprint_of_a_scene_is_what_its_geotiff_says(catalogue: Catalogue) -> None:
    for item in items_of(catalogue, earth.SCENES):
        with rasterio.open(catalogue.path_of(item["assets"]["visual"]["href"])) as scene:
            assert f"EPSG:{scene.crs.to_epsg()}" == item["properties"]["proj:code"]
            # What odc-stac loads a scene by, without opening it.
            visual = item["assets"]["visual"]
            assert (visual["proj:shape"], visual["proj:transform"]) == (list(scene.shape), list(scene.transform)[:6])
            assert visual["data_type"] == scene.dtypes[0]
            west, bottom, east, top = scene.bounds
            edges = [west, east, east, west], [bottom, bottom, top, top]
            longitudes, latitudes = transform(scene.crs, "EPSG:4326", *edges)
            wanted = [(lon % 360.0, lat) for lon, lat in zip(longitudes, latitudes, strict=True)]
            assert same_places(corners_of(item), wanted), item["id"]
            assert scene.count == len(item["assets"]["visual"]["bands"])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_thumbnails_are_pictures_of_one_size(catalogue: Catalogue) -> None:
    for item in catalogue.items:
        if "thumbnail" in item["assets"]:
            content = catalogue.path_of(item["assets"]["thumbnail"]["href"]).read_bytes()
            with rasterio.open(io.BytesIO(content)) as picture:
                assert picture.driver == "PNG"
                assert picture.width == picture.height


def test_a_footprint_across_the_antimeridian_is_cut_in_two() -> None:
    # RFC 7946 section 3.1.9, and 5.2 for the box
    geometry, bbox = geometry_and_bbox(((179.0, -1.0), (181.0, -1.0), (181.0, 1.0), (179.0, 1.0)))
    assert geometry["type"] == "MultiPolygon"
    west, east = (polygon[0] for polygon in geometry["coordinates"])
    assert {tuple(corner) for corner in west} == {(179.0, -1.0), (180.0, -1.0), (180.0, 1.0), (179.0, 1.0)}
    assert {tuple(corner) for corner in east} == {(-180.0, -1.0), (-179.0, -1.0), (-179.0, 1.0), (-180.0, 1.0)}
    assert bbox == [179.0, -1.0, -179.0, 1.0]
    for ring in (west, east):
        assert ring[0] == ring[-1]
        area = math.fsum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
        assert area > 0.0  # counter-clockwise, RFC 7946 section 3.1.6


def test_right_ascensions_become_longitudes_within_180_degrees() -> None:
    geometry, bbox = geometry_and_bbox(((359.0, 0.0), (361.0, 0.0), (361.0, 1.0), (359.0, 1.0)))
    assert geometry["type"] == "Polygon"
    assert bbox == [-1.0, 0.0, 1.0, 1.0]
    assert geometry_and_bbox(((350.5, -3.0),)) == (
        {"type": "Point", "coordinates": [-9.5, -3.0]},
        [-9.5, -3.0, -9.5, -3.0],
    )


def test_a_whole_catalogue_is_not_made_again_and_a_torn_one_is(tmp_path: Path) -> None:
    first = ensure_catalogue(tmp_path / "demo", URL, 10)
    assert first.fresh
    assert len(first.items) == 10
    assert not ensure_catalogue(tmp_path / "demo", URL, 10).fresh
    torn = first.path_of(first.items[0]["assets"]["image"]["href"])
    torn.write_bytes(torn.read_bytes()[:-1])
    again = ensure_catalogue(tmp_path / "demo", URL, 10)
    assert again.fresh
    assert again.items == first.items
    assert ensure_catalogue(tmp_path / "demo", "http://127.0.0.1:10/demo", 10).fresh
