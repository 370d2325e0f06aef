"""FITS images become items by what their headers say, and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits as fits_io
from astropy.wcs import WCS

from stac_rucio_sync.catalog.ingest import Ingest
from stac_rucio_sync.catalog.processors import fits, processor
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead
from stac_rucio_sync.settings import Settings
from tests.catalog.examples import collection

PIXELS = 40
DEGREES = 0.01


def wcs_at(longitude: float, latitude: float, kind: str = "RA---TAN DEC--TAN", step: float = DEGREES) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = kind.split()
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [longitude, latitude]
    wcs.wcs.crpix = [(PIXELS + 1) / 2] * 2
    wcs.wcs.cdelt = [-step, step]
    return wcs


def image(file: Path, wcs: WCS, **cards: Any) -> Path:
    header = wcs.to_header()
    header.update({name.replace("_", "-"): value for name, value in cards.items()})
    fits_io.PrimaryHDU(np.zeros((PIXELS, PIXELS), np.int16), header).writeto(file)
    return file


def item_of(file: Path) -> dict[str, Any]:
    path = fits.process(str(file))
    stac: dict[str, Any] = json.loads(Path(path).read_bytes())
    fits.release(path)
    assert not Path(path).parent.exists()
    return stac


def validate(stac: dict[str, Any]) -> None:
    """See that an item is right by the core schema, which pystac has; those of extensions are not at hand."""
    pystac.Item.from_dict(stac | {"stac_extensions": []}).validate()


def test_a_header_becomes_an_item(tmp_path: Path) -> None:
    cards = {
        "OBJECT": "M 13", "TELESCOP": "P48", "INSTRUME": "CCD", "FILTER": "R", "EXPTIME": 30.0,
        "DATE_OBS": "2012-03-04T05:06:07.5",
    }  # fmt: skip
    file = image(tmp_path / "m13.fits", wcs_at(250.0, 36.0), **cards)
    stac = item_of(file)
    validate(stac)
    half = PIXELS * DEGREES / 2
    assert stac["id"] == "m13"
    assert stac["bbox"][1] == pytest.approx(36.0 - half, abs=2e-3)
    assert stac["bbox"][3] == pytest.approx(36.0 + half, abs=2e-3)
    assert stac["bbox"][0] == pytest.approx(-110.0 - half / np.cos(np.radians(36)), abs=2e-3)
    properties = stac["properties"]
    assert properties["start_datetime"] == "2012-03-04T05:06:07.500Z"
    assert properties["end_datetime"] == "2012-03-04T05:06:37.500Z"
    assert (properties["s_ra"], properties["s_dec"]) == (pytest.approx(250.0), pytest.approx(36.0))
    assert properties["s_fov"] == pytest.approx(2 * half * 2**0.5, rel=1e-3)
    assert (properties["platform"], properties["instruments"], properties["target_name"]) == ("P48", ["CCD"], "M 13")
    asset = stac["assets"]["image"]
    assert asset["file:checksum"] == "d50110" + hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    assert asset["file:size"] == file.stat().st_size
    assert asset["bands"] == [{"name": "R"}]


def test_the_corners_are_icrs_whatever_the_header_counts_in(tmp_path: Path) -> None:
    centre = SkyCoord(83.8, -5.4, unit="deg")
    galactic = centre.galactic
    file = image(
        tmp_path / "g.fits", wcs_at(galactic.l.deg, galactic.b.deg, "GLON-TAN GLAT-TAN"), DATE_OBS="2001-02-03"
    )
    stac = item_of(file)
    assert stac["properties"]["s_ra"] == pytest.approx(83.8)
    assert stac["properties"]["s_dec"] == pytest.approx(-5.4)
    for ra, dec in stac["geometry"]["coordinates"][0]:
        corner = SkyCoord(ra, dec, unit="deg")
        assert corner.separation(centre).deg == pytest.approx(PIXELS * DEGREES / 2 * 2**0.5, rel=1e-3)


def test_a_picture_across_ra_180_is_cut(tmp_path: Path) -> None:
    stac = item_of(image(tmp_path / "a.fits", wcs_at(180.0, 10.0), DATE_OBS="2001-02-03"))
    assert stac["geometry"]["type"] == "MultiPolygon"
    assert stac["bbox"][0] > stac["bbox"][2]
    validate(stac)


def test_the_row_of_the_item_lies_where_the_picture_lies(tmp_path: Path) -> None:
    file = image(tmp_path / "a.fits", wcs_at(180.0, 10.0), DATE_OBS="2001-02-03", EXPTIME=60.0)
    stac = item_of(file) | {"collection": "sky"}
    settings = Settings.model_validate({"collections": {"sky": {"frame": "sky"}}})
    wanted = map_item(parse_item(ItemRead(stac, None, "a"), settings), settings, {}, "fingerprint")
    row = wanted.obscore
    assert row.s_ra == pytest.approx(180.0)
    assert row.s_dec == pytest.approx(10.0)
    assert row.s_polygon is not None
    corners = SkyCoord(list(row.s_polygon[::2]), list(row.s_polygon[1::2]), unit="deg")
    assert corners.separation(SkyCoord(180.0, 10.0, unit="deg")).deg.max() == pytest.approx(0.2 * 2**0.5, rel=1e-3)
    assert row.t_exptime == 60.0
    assert not wanted.remarks


@pytest.mark.parametrize(
    ("wcs", "cards", "reason"),
    [
        (wcs_at(10.0, 10.0), {}, "does not say when it was taken"),
        (wcs_at(10.0, 10.0), {"DATE_OBS": "some day"}, "does not say when it was taken"),
        (wcs_at(10.0, 89.95), {"DATE_OBS": "2001-02-03"}, "holds a pole"),
        (wcs_at(0.0, 0.0, "HPLN-TAN HPLT-TAN"), {"DATE_OBS": "2001-02-03"}, "are not those of the sky"),
        (wcs_at(0.0, 0.0, "RA---AIT DEC--AIT", 10.0), {"DATE_OBS": "2001-02-03"}, "not on the sky"),
        (wcs_at(0.0, 0.0, "LINEAR LINEAR"), {"DATE_OBS": "2001-02-03"}, "no picture with celestial coordinates"),
    ],
)
def test_what_cannot_be_told_is_not_made_up(tmp_path: Path, wcs: WCS, cards: dict[str, Any], reason: str) -> None:
    file = image(tmp_path / "x.fits", wcs, **cards)
    with pytest.raises(ItemError, match=f"x.fits.*{reason}"):
        fits.process(str(file))


@pytest.mark.parametrize(
    ("cards", "start"),
    [
        ({"DATE_OBS": "03/02/99"}, "1999-02-03T00:00:00.000Z"),
        ({"DATE_OBS": "2001-02-03", "TIME_OBS": "04:05:06"}, "2001-02-03T04:05:06.000Z"),
        ({"MJD_OBS": 51544.5}, "2000-01-01T12:00:00.000Z"),
        ({"DATE_OBS": "2017-01-01T00:00:37", "TIMESYS": "TAI"}, "2017-01-01T00:00:00.000Z"),
        ({"DATE_BEG": "2017-01-01T00:00:00", "DATE_OBS": "2018-01-01"}, "2017-01-01T00:00:00.000Z"),
    ],
)
def test_dates_of_all_ages(tmp_path: Path, cards: dict[str, Any], start: str) -> None:
    stac = item_of(image(tmp_path / "x.fits", wcs_at(10.0, 10.0), **cards))
    assert stac["properties"]["datetime"] == start


def test_a_cube_has_a_range_of_wavelengths(tmp_path: Path) -> None:
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN", "FREQ"]
    wcs.wcs.cunit = ["deg", "deg", "Hz"]
    wcs.wcs.crval = [10.0, -30.0, 1.4e9]
    wcs.wcs.cdelt = [-DEGREES, DEGREES, 1e7]
    wcs.wcs.crpix = [10, 5, 1]
    header = wcs.to_header()
    header["DATE-OBS"] = "2020-01-01"
    fits_io.PrimaryHDU(np.zeros((11, 10, 20), np.int16), header).writeto(tmp_path / "cube.fits")
    properties = item_of(tmp_path / "cube.fits")["properties"]
    assert properties["dataproduct_type"] == "cube"
    assert (properties["s_xel1"], properties["s_xel2"]) == (20, 10)
    assert properties["em_max"] == pytest.approx(299792458.0 / (1.4e9 - 5e6))
    assert properties["em_min"] == pytest.approx(299792458.0 / (1.4e9 + 1.05e8))


def test_a_folder_of_images_is_ingested(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    image(tmp_path / "in" / "one.fits", wcs_at(10.0, 10.0), DATE_OBS="2001-02-03")
    image(tmp_path / "in" / "two.fits.gz", wcs_at(11.0, 10.0), DATE_OBS="2001-02-04")
    (tmp_path / "in" / "three.fit").write_bytes(b"SIMPLE")
    stream = io.StringIO()
    with Repository.create(tmp_path / "repository") as repository:
        with transaction(repository) as changes:
            changes.put_collection(collection("sky"))
            changes.commit("sky")
        job = Ingest(
            repository,
            processor("fits"),
            parent="sky",
            assets="copy",
            on_fate=lambda one: print(one.id, one.fate, file=stream),
        )
        assert job.run([str(tmp_path / "in")]).counts == {"added": 2, "failed": 1}
        assert job.run([str(tmp_path / "in")]).counts == {"unchanged": 2, "failed": 1}
        (located,) = repository.head().find("two", "sky")
        stac = repository.head().stac(located.path)
        assert stac["assets"]["image"]["href"] == "./two.fits.gz"
        beside = located.path.replace("two.json", "two.fits.gz")
        assert repository.head().tree.read(beside) == (tmp_path / "in" / "two.fits.gz").read_bytes()
    assert stream.getvalue().split("\n")[0] == "one added"
