"""Real FITS files, each cut in its middle, over its corner, beside it, and over a pole where it has one."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame

from datalink.cutouts.errors import CutError, FileError, NoOverlapError, RequestError
from datalink.cutouts.region import Circle, Cutting, Interval, Range, Region
from tests.unit.cutouts.making import check_picture, cut, held, opened, wcs_of

FILES = Path(__file__).parents[4] / "shared" / "data" / "fits"
ON_THE_SKY = {
    "astropy/1904-66_AZP.fits": [0],
    "astropy/checksum.fits": [0],
    "astropy/checksum_false.fits": [0],
    "astropy/comp.fits": [1],
    "astropy/header_newlines.fits": [0],
    "astropy/m13.fits": [0],
    "astropy/m13_gzip.fits": [1],
    "astropy/m13_hcomp.fits": [1],
    "astropy/m13_rice.fits": [1],
    "astropy/scale.fits": [0],
    "astropy/sip-wcs.fits": [0],
    "astropy/tab-time-last-axis.fits": [0],
    "astropy/test0.fits": [2, 3, 4],
    "reproject-0.9.1/equatorial_3d.fits": [0],
    "reproject-0.9.1/galactic_2d.fits": [0],
    "reproject-0.9.1/reference_result.fits": [0],
}
"""With the HDUs that have celestial coordinates."""
NOT_ON_THE_SKY = {
    "pyvo/mimetype/test.fits": "no picture",
    "pyvo/querydata/image.fits": "no celestial axes",
    "reproject-0.9.1/aia_171_level1.fits": "HPLN-TAN",
    "reproject-0.9.1/secchi_l0_a.fits": "HPLN-TAN",
}

pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason=f"the collection of FITS files is not at {FILES}")


def place(wcs: WCS, x: float, y: float) -> tuple[float, float]:
    lon, lat = wcs.all_pix2world(x, y, 0)
    sky = SkyCoord(lon, lat, unit="deg", frame=wcs_to_celestial_frame(wcs)).icrs
    return float(sky.ra.deg), float(sky.dec.deg)


def flat(hdu: Any, hdus: Any) -> tuple[WCS, Any]:
    """Return the celestial part of a picture's coordinates, and its first plane."""
    wcs, plane = wcs_of(hdu, hdus), hdu.data
    return (wcs.celestial if wcs.naxis > 2 else wcs), plane[(0,) * (plane.ndim - 2)]


def regions(wcs: WCS, shape: tuple[int, int]) -> list[Region]:
    """Return a circle in the middle of a picture, one over its corner, and a range over its lower edge."""
    height, width = shape
    pixel = float(max(proj_plane_pixel_scales(wcs)))
    lon, lat = place(wcs, (width - 1) / 2, 0.1)
    half = min(4 * pixel / max(np.cos(np.radians(lat)), 0.1), 100.0)
    return [
        Circle(*place(wcs, (width - 1) / 2, (height - 1) / 2), 4.3 * pixel),
        Circle(*place(wcs, width - 1.1, height - 1.2), 6.1 * pixel),
        Range((lon - half) % 360, (lon + half) % 360, max(lat - 3.2 * pixel, -90.0), min(lat + 3.2 * pixel, 90.0)),
    ]


@pytest.mark.parametrize("name", ON_THE_SKY)
def test_cut_outs_are_parts_of_the_whole_with_coordinates_that_hold(name: str) -> None:
    whole = opened(FILES / name)
    for number in ON_THE_SKY[name][:1]:
        wcs, plane = flat(whole[number], whole)
        for region in regions(wcs, plane.shape):
            part = opened(cut(FILES / name, Cutting(region=region)))
            part.verify("exception")
            pictures = [hdu for hdu in part if hdu.is_image and hdu.shape]
            assert len(pictures) <= len(ON_THE_SKY[name])
            expected = [n for n in ON_THE_SKY[name] if held(*_known(whole, n), region).any()]
            kept = [_number(hdu) for hdu in pictures]
            assert set(expected) <= set(kept)
            for hdu in pictures:
                its_wcs, its_plane = flat(whole[_number(hdu)], whole)
                if its_plane.ndim == hdu.data.ndim:
                    check_picture(its_plane, its_wcs, hdu, region)


def _known(whole: Any, number: int) -> tuple[WCS, Any]:
    wcs, plane = flat(whole[number], whole)
    return wcs, np.mgrid[: plane.shape[0], : plane.shape[1]]


def _number(hdu: Any) -> int:
    """Return which HDU a cut-out says in its HISTORY that it is of."""
    told = [line for line in hdu.header["HISTORY"] if line.startswith("HDU ")]
    return int(told[-1].removeprefix("HDU ").partition(" ")[0].rstrip(","))


@pytest.mark.parametrize("name", ON_THE_SKY)
def test_nothing_is_cut_out_of_another_part_of_the_sky(name: str) -> None:
    whole = opened(FILES / name)
    wcs, plane = flat(whole[ON_THE_SKY[name][0]], whole)
    lon, lat = place(wcs, plane.shape[1] / 2, plane.shape[0] / 2)
    if name.endswith("reference_result.fits"):  # a map of the whole sky: nothing is beside it
        pytest.skip("it is a map of the whole sky")
    with pytest.raises(NoOverlapError, match="^UsageError: ") as caught:
        cut(FILES / name, Cutting(region=Circle((lon + 180) % 360, -lat, 20.0)))
    assert caught.value.status == 204


@pytest.mark.parametrize(
    "region",
    [
        Circle(10.0, 90.0, 12.0),
        Circle(200.0, -85.0, 11.0),
        Range(0.0, 360.0, 80.0, 90.0),
        Range(100.0, 20.0, -90.0, -70.0),
        Circle(0.0, 0.0, 9.0),
        Range(350.0, 10.0, -5.0, 5.0),
        Circle(180.0, 20.0, 8.0),
        Circle(77.0, -20.0, 180.0),
    ],
)
def test_a_map_of_the_whole_sky_is_cut_over_its_poles_and_seams(region: Region) -> None:
    path = FILES / "reproject-0.9.1" / "reference_result.fits"
    whole = opened(path)[0]
    part = opened(cut(path, Cutting(region=region)))[0]
    check_picture(whole.data, wcs_of(whole), part, region)


@pytest.mark.parametrize("name", NOT_ON_THE_SKY)
def test_a_file_without_a_picture_of_the_sky_says_so(name: str) -> None:
    with pytest.raises(RequestError, match=NOT_ON_THE_SKY[name]):
        cut(FILES / name, Cutting(region=Circle(10.0, 10.0, 5.0)))
    assert cut(FILES / name, Cutting()) == (FILES / name).read_bytes()


def test_a_cube_of_velocities_without_their_line_is_not_cut_by_wavelengths() -> None:
    with pytest.raises(RequestError, match="BAND: its spectral axis .VOPT. cannot be brought to wavelengths"):
        cut(FILES / "reproject-0.9.1" / "equatorial_3d.fits", Cutting(band=Interval(0.1, 1.0)))


def test_the_table_that_a_time_axis_needs_comes_with_it() -> None:
    path = FILES / "astropy" / "tab-time-last-axis.fits"
    part = opened(cut(path, Cutting(time=Interval(-1.0, 1.0))))
    assert [hdu.name for hdu in part] == ["PRIMARY", "WCS-TABLE"]
    assert wcs_of(part[0], part).wcs_pix2world([[0, 0, 0]], 0)[0][2] == 0.0
    with pytest.raises(NoOverlapError):
        cut(path, Cutting(time=Interval(50_000.0, 60_000.0)))


@pytest.mark.parametrize("name", ON_THE_SKY)
def test_a_file_that_ends_too_early_gives_no_cut_out(name: str, tmp_path: Path) -> None:
    content = (FILES / name).read_bytes()
    whole = opened(FILES / name)
    wcs, plane = flat(whole[ON_THE_SKY[name][0]], whole)
    wanted = Cutting(region=Circle(*place(wcs, plane.shape[1] / 2, plane.shape[0] / 2), 1.0))
    end = max(whole.fileinfo(number)["datLoc"] for number in ON_THE_SKY[name]) + 1
    dice = random.Random(name)  # noqa: S311 - of a test
    for length in (0, 2881, dice.randrange(end), end):
        path = tmp_path / "short.fits"
        path.write_bytes(content[:length])
        with pytest.raises(FileError, match="^Error: "):
            cut(path, wanted)


@pytest.mark.parametrize("name", ON_THE_SKY)
def test_a_broken_file_gives_a_clean_error_or_a_sound_cut_out(name: str, tmp_path: Path) -> None:
    content = (FILES / name).read_bytes()
    dice = random.Random(name)  # noqa: S311 - of a test
    path = tmp_path / "broken.fits"
    wanted = Cutting(region=Range(0.0, 360.0, -90.0, 90.0))
    for _ in range(3):
        broken = bytearray(content)
        for _ in range(5):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
            card = dice.randrange(min(len(content), 17_280) // 80) * 80
            value = str(dice.choice([-1, 0, 1, 3, 99_999, 2**31, 2**62])).rjust(20)
            broken[card + 10 : card + 30] = value.encode()
        path.write_bytes(broken)
        with suppress(CutError):
            assert len(cut(path, wanted)) % 2880 == 0
