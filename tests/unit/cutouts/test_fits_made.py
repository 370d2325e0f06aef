"""Cut-outs of files made here: cubes, compressed and scaled pixels, several HDUs, coordinates of every kind."""

from __future__ import annotations

import math
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from datalink.cutouts.contract import Limits
from datalink.cutouts.cut_fits import cut_fits
from datalink.cutouts.errors import CutError, FileError, LimitError, NoOverlapError, RequestError
from datalink.cutouts.reading import open_path, open_url
from datalink.cutouts.region import Circle, Cutting, Interval, Range
from tests.unit.cutouts.making import DID, cut, opened, wcs_of
from tests.unit.cutouts.ranged import LIMITS, giving
from tests.unit.loopback import serving

LIGHT = 299_792_458.0


def sky_header(width: int, height: int, pixel: float = 0.01) -> fits.Header:
    header = fits.Header()
    for axis, (kind, value, step, length) in enumerate(
        (("RA---TAN", 40.0, -pixel, width), ("DEC--TAN", 20.0, pixel, height)), 1
    ):
        header[f"CTYPE{axis}"], header[f"CRVAL{axis}"], header[f"CDELT{axis}"] = kind, value, step
        header[f"CRPIX{axis}"], header[f"CUNIT{axis}"] = length / 2 + 0.5, "deg"
    return header


def axis_header(header: fits.Header, axis: int, kind: str, value: float, step: float, unit: str = "") -> None:
    header[f"CTYPE{axis}"], header[f"CRVAL{axis}"], header[f"CDELT{axis}"] = kind, value, step
    header[f"CRPIX{axis}"], header[f"CUNIT{axis}"] = 1.0, unit


def pixels(*shape: int, kind: str = "f4") -> Any:
    return np.random.default_rng(8).integers(0, 20_000, shape).astype(kind)


def written(path: Path, *hdus: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList(list(hdus)).writeto(path, checksum=True)
    return path


MIDDLE = Circle(40.0, 20.0, 0.0499)
"""Ten pixels by ten in the middle of a picture of an even size: columns and rows n/2-5 to n/2+4."""


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    header = sky_header(30, 20)
    axis_header(header, 3, "FREQ", 1.4e9, 1e6, "Hz")
    axis_header(header, 4, "STOKES", 1.0, 1.0)
    return written(tmp_path / "cube.fits", fits.PrimaryHDU(pixels(4, 16, 20, 30), header))


def test_a_cube_is_cut_along_all_its_axes(cube: Path) -> None:
    whole = opened(cube)[0]
    band = Interval(LIGHT / 1.4082e9, LIGHT / 1.4028e9)  # channels 3 to 8, some of them in part
    part = opened(cut(cube, Cutting(region=MIDDLE, band=band, states=("Q", "U"))))[0]
    np.testing.assert_array_equal(part.data, whole.data[1:3, 3:9, 5:15, 10:20])
    own, wcs = wcs_of(part), wcs_of(whole)
    np.testing.assert_allclose(
        own.wcs_pix2world([[0, 0, 0, 0], [9, 9, 5, 1]], 0), wcs.wcs_pix2world([[10, 5, 3, 1], [19, 14, 8, 2]], 0)
    )


@pytest.mark.parametrize(
    ("states", "planes", "values"),
    [
        (("I",), [0], [1]),
        (("I", "V"), [0, 3], [1, 4]),
        (("Q", "V", "XX"), [1, 3], [2, 4]),
        (("I", "Q", "V"), [0, 1, 2, 3], [1, 2, 3, 4]),
    ],
)
def test_polarization_planes_at_equal_steps_come_alone(
    cube: Path, states: tuple[str, ...], planes: list[int], values: list[int]
) -> None:
    part = opened(cut(cube, Cutting(states=states)))[0]
    np.testing.assert_array_equal(part.data, opened(cube)[0].data[planes])
    found = wcs_of(part).wcs_pix2world([[0, 0, 0, number] for number in range(len(planes))], 0)[:, 3]
    np.testing.assert_allclose(found, values)


def test_one_wavelength_is_one_channel_and_open_intervals_go_to_the_end(cube: Path) -> None:
    whole = opened(cube)[0].data
    for low, high, channels in (
        (LIGHT / 1.405e9, LIGHT / 1.405e9, slice(5, 6)),
        (-math.inf, LIGHT / 1.4125e9, slice(13, 16)),
        (LIGHT / 1.4015e9, math.inf, slice(0, 2)),
    ):
        part = opened(cut(cube, Cutting(band=Interval(low, high))))[0]
        np.testing.assert_array_equal(part.data, whole[:, channels])
    with pytest.raises(NoOverlapError):
        cut(cube, Cutting(band=Interval(5e-7, 6e-7)))
    with pytest.raises(NoOverlapError):
        cut(cube, Cutting(states=("XX", "LL")))
    with pytest.raises(RequestError, match="TIME: it has no time axis"):
        cut(cube, Cutting(time=Interval(50_000.0, 60_000.0)))


def _shifted(velocity: float) -> float:
    return math.sqrt((1 + velocity / LIGHT) / (1 - velocity / LIGHT))


@pytest.mark.parametrize(
    ("kind", "value", "step", "unit", "wavelength"),
    [
        ("WAVE", 5000.0, 10.0, "Angstrom", 5030e-10),
        ("WAVE-LOG", 5e-7, 5e-10, "m", 5e-7 * math.exp(3e-3)),
        ("WAVN", 2e6, 1e3, "/m", 1 / 2.003e6),
        ("VRAD", 1e6, 1e4, "m/s", LIGHT / (1.42e9 * (1 - 1.03e6 / LIGHT))),
        ("VOPT", 1000.0, 10.0, "km/s", LIGHT / 1.42e9 * (1 + 1.03e6 / LIGHT)),
        ("VELO", 1e6, 1e4, "m/s", LIGHT / 1.42e9 * _shifted(1.03e6)),
        ("ENER", 2.0, 0.01, "eV", 1.23984198e-6 / 2.03),
    ],
)
def test_spectral_axes_of_all_kinds_are_wavelengths(
    tmp_path: Path, kind: str, value: float, step: float, unit: str, wavelength: float
) -> None:
    header = sky_header(4, 4)
    axis_header(header, 3, kind, value, step, unit)
    header["RESTFRQ"] = 1.42e9
    path = written(tmp_path / "spectral.fits", fits.PrimaryHDU(pixels(8, 4, 4), header))
    part = opened(cut(path, Cutting(band=Interval(wavelength, wavelength))))[0]
    np.testing.assert_array_equal(part.data, opened(path)[0].data[3:4])


def test_frequencies_by_the_local_standard_of_rest_are_brought_to_the_barycentre(tmp_path: Path) -> None:
    header = sky_header(4, 4)
    header["CRVAL1"], header["CRVAL2"] = 270.96, 30.0  # where the Sun goes: what is there comes nearer by 20 km/s
    axis_header(header, 3, "FREQ", 1.42e9, 1e4, "Hz")
    header["SPECSYS"] = "LSRK"
    path = written(tmp_path / "lsrk.fits", fits.PrimaryHDU(pixels(200, 4, 4), header))
    seen = LIGHT / (1.421e9) / _shifted(20e3)  # channel 100 by the standard of rest
    part = opened(cut(path, Cutting(band=Interval(seen, seen))))[0]
    np.testing.assert_array_equal(part.data, opened(path)[0].data[100:101])


def test_a_time_axis_is_cut_by_dates(tmp_path: Path) -> None:
    header = sky_header(4, 4)
    axis_header(header, 3, "TIME", 0.0, 3600.0, "s")
    header["MJDREF"], header["TIMESYS"] = 59_000.0, "TAI"
    path = written(tmp_path / "time.fits", fits.PrimaryHDU(pixels(48, 4, 4), header))
    start = 59_000.0 - 37 / 86_400  # UTC is 37 s behind TAI
    part = opened(cut(path, Cutting(time=Interval(start + 4.6 / 24, start + 7.4 / 24))))[0]
    np.testing.assert_array_equal(part.data, opened(path)[0].data[5:8])


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_pixels_stay_as_they_are_stored(tmp_path: Path, kind: str) -> None:
    header = sky_header(40, 30)
    path = written(tmp_path / "plain.fits", fits.PrimaryHDU(pixels(30, 40, kind=kind), header))
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header["BSCALE"], hdus[0].header["BZERO"] = 0.5, 100.0
        if kind[0] != "f":
            hdus[0].header["BLANK"] = 7
    part = opened(cut(path, Cutting(region=MIDDLE)))[0]
    np.testing.assert_array_equal(part.data, opened(path)[0].data[10:20, 15:25])
    assert part.data.dtype.newbyteorder("=") == np.dtype(kind)
    assert (part.header["BSCALE"], part.header["BZERO"]) == (0.5, 100.0)
    assert part.header.get("BLANK") == (None if kind[0] == "f" else 7)


COMPRESSED = [
    ("RICE_1", "i2", None),
    ("RICE_1", "f4", (16, 16)),
    ("GZIP_1", "i4", (7, 9)),
    ("GZIP_2", "f4", (8, 40)),
    ("GZIP_2", "f8", (1, 40)),
    ("HCOMPRESS_1", "i2", (10, 10)),
    ("PLIO_1", "i2", (5, 40)),
    ("NOCOMPRESS", "i2", (5, 40)),
]


@pytest.mark.parametrize(("method", "kind", "tile"), COMPRESSED)
def test_compressed_pictures_are_decompressed_where_they_are_wanted(
    tmp_path: Path, method: str, kind: str, tile: tuple[int, int] | None
) -> None:
    quantize = 0.0 if method.startswith("GZIP") else 16.0
    image = pixels(30, 40, kind=kind)
    if method == "PLIO_1":  # for masks: astropy's encoder overflows where no pixel is like its neighbour
        image = (np.add.outer(np.arange(30), np.arange(40)) // 20).astype(kind)
    hdu = fits.CompImageHDU(
        image, sky_header(40, 30), compression_type=method, tile_shape=tile, quantize_level=quantize
    )
    path = written(tmp_path / "tiles.fits", fits.PrimaryHDU(), hdu)
    part = opened(cut(path, Cutting(region=MIDDLE)))
    part.verify("exception")
    np.testing.assert_array_equal(part[1].data, opened(path)[1].data[10:20, 15:25])
    words = {
        word for word in part[1].header if word.startswith("Z") or word in {"TFIELDS", "TTYPE1", "TFORM1", "THEAP"}
    }
    assert words == set()
    assert type(part[1]) is fits.ImageHDU


def test_a_compressed_cube_is_cut_tile_by_tile(tmp_path: Path) -> None:
    header = sky_header(40, 30)
    axis_header(header, 3, "FREQ", 1.4e9, 1e6, "Hz")
    hdu = fits.CompImageHDU(pixels(9, 30, 40, kind="i4"), header, tile_shape=(4, 8, 8))
    path = written(tmp_path / "cube.fits", fits.PrimaryHDU(), hdu)
    band = Interval(LIGHT / 1.4062e9, LIGHT / 1.4028e9)
    part = opened(cut(path, Cutting(region=MIDDLE, band=band)))[1]
    np.testing.assert_array_equal(part.data, opened(path)[1].data[3:7, 10:20, 15:25])


def test_a_tile_that_swells_when_decompressed_is_refused(tmp_path: Path) -> None:
    hdu = fits.CompImageHDU(
        np.zeros((30, 40), "i4"), sky_header(40, 30), compression_type="GZIP_1", tile_shape=(30, 40)
    )
    path = written(tmp_path / "tiles.fits", fits.PrimaryHDU(), hdu)
    content = bytearray(path.read_bytes())
    with fits.open(path, disable_image_compression=True) as hdus:
        heap = hdus.fileinfo(1)["datLoc"] + hdus[1].header["NAXIS1"]
        table, limit = hdus.fileinfo(1)["datLoc"], hdus[1].header["PCOUNT"]
    squeeze = zlib.compressobj(9, wbits=31)
    bomb = squeeze.compress(bytes(10_000_000)) + squeeze.flush()
    assert len(bomb) < 16 * 30 * 40
    content[heap : heap + limit] = bomb
    content[table : table + 8] = len(bomb).to_bytes(4, "big") + bytes(4)
    content += bytes(-len(content) % 2880)
    card = bytes(content).index(b"PCOUNT  =", 2880)
    content[card + 10 : card + 30] = str(len(bomb)).rjust(20).encode()
    path.write_bytes(content)
    with pytest.raises(FileError, match="larger than it may be"):
        cut(path, Cutting(region=MIDDLE))


def test_every_picture_that_is_in_the_region_is_cut_and_nothing_else(tmp_path: Path) -> None:
    east = sky_header(40, 30)
    east["CRVAL1"] = 47.0
    beside, other = fits.ImageHDU(pixels(30, 40), east, name="SCI", ver=2), sky_header(80, 60, 0.005)
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"], primary.header["DATE"], primary.header["NEXTEND"] = "Test", "2001-01-01", 5
    path = written(
        tmp_path / "many.fits",
        primary,
        fits.ImageHDU(pixels(30, 40), sky_header(40, 30), name="SCI", ver=1),
        beside,
        fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])], name="CATALOG"),
        fits.ImageHDU(pixels(60, 80, kind="i2"), other, name="MASK"),
        fits.ImageHDU(pixels(5, 5), name="PSF"),
    )
    whole, part = opened(path), opened(cut(path, Cutting(region=MIDDLE)))
    part.verify("exception")
    assert [(hdu.name, hdu.ver) for hdu in part] == [("PRIMARY", 1), ("SCI", 1), ("MASK", 1)]
    np.testing.assert_array_equal(part[1].data, whole[1].data[10:20, 15:25])
    np.testing.assert_array_equal(part[2].data, whole[4].data[20:40, 30:50])
    assert part[0].header["TELESCOP"] == "Test"
    assert part[0].header["NEXTEND"] == 2
    assert part[0].header["DATE"] > "2026"
    history = "".join(str(line) for line in part[2].header["HISTORY"])
    assert f"cut out of {DID} by stac-rucio-sync" in history
    assert "CIRCLE 40.0 20.0 0.0499" in history
    assert "HDU 4 (MASK), pixels 31:50, 21:40" in history


def test_headers_that_hold_are_kept_and_others_are_not(tmp_path: Path) -> None:
    header = sky_header(40, 30)
    for axis, value in ((1, 15.5), (2, 16.5)):
        header[f"CTYPE{axis}A"], header[f"CRPIX{axis}A"], header[f"CDELT{axis}A"] = "LINEAR", value, 2.0
        header[f"LTV{axis}"], header[f"LTM{axis}_{axis}"] = 3.0, 1.0
    header["OBJECT"], header["DATAMAX"], header["DATASEC"], header["EXPTIME"] = "M 13", 1.0, "[1:40,1:30]", 30.0
    header["LONGWORD"] = "x" * 200
    path = written(tmp_path / "plain.fits", fits.PrimaryHDU(pixels(30, 40), header))
    part = opened(cut(path, Cutting(region=MIDDLE)))[0].header
    assert (part["OBJECT"], part["EXPTIME"], part["LONGWORD"]) == ("M 13", 30.0, "x" * 200)
    assert [part["CRPIX1"], part["CRPIX2"]] == [20.5 - 15, 15.5 - 10]
    assert [part["CRPIX1A"], part["CRPIX2A"], part["CDELT1A"]] == [15.5 - 15, 16.5 - 10, 2.0]
    assert [part["LTV1"], part["LTV2"], part["LTM1_1"]] == [3.0 - 15, 3.0 - 10, 1.0]
    assert {"DATAMAX", "DATASEC", "CHECKSUM", "DATASUM"}.isdisjoint(part)


def test_distortion_tables_come_with_their_pictures(tmp_path: Path) -> None:
    header = sky_header(40, 30)
    tables = []
    for axis in (1, 2):
        header[f"CPDIS{axis}"] = "Lookup"
        header[f"DP{axis}"] = f"EXTVER: {axis}.0"
        header.append((f"DP{axis}", "NAXES: 2.0"), end=True)
        header.append((f"DP{axis}", "AXIS.1: 1.0"), end=True)
        header.append((f"DP{axis}", "AXIS.2: 2.0"), end=True)
        bent = np.add.outer(np.linspace(0, 2, 4), np.linspace(0, axis, 5)).astype("f4")
        table = fits.ImageHDU(bent, name="WCSDVARR", ver=axis)
        for number, step in ((1, 10.0), (2, 10.0)):
            table.header[f"CRPIX{number}"], table.header[f"CRVAL{number}"] = 1.0, 1.0
            table.header[f"CDELT{number}"] = step
        tables.append(table)
    path = written(tmp_path / "bent.fits", fits.PrimaryHDU(), fits.ImageHDU(pixels(30, 40), header), *tables)
    whole, part = opened(path), opened(cut(path, Cutting(region=MIDDLE)))
    wcs, own = wcs_of(whole[1], whole), wcs_of(part[1], part)
    assert wcs.cpdis1 is not None
    first_x, first_y = (int(wcs.wcs.crpix[axis] - own.wcs.crpix[axis]) for axis in (0, 1))
    height, width = part[1].data.shape
    np.testing.assert_array_equal(part[1].data, whole[1].data[first_y : first_y + height, first_x : first_x + width])
    x, y = np.array([0.0, 3.0, 7.5]), np.array([0.0, 8.0, 2.5])
    np.testing.assert_allclose(own.all_pix2world(x, y, 0), wcs.all_pix2world(x + first_x, y + first_y, 0), atol=1e-10)


def test_polynomials_of_distortion_hold_in_a_cube(tmp_path: Path) -> None:
    header = sky_header(40, 30)
    axis_header(header, 3, "FREQ", 1.4e9, 1e6, "Hz")
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["A_ORDER"], header["B_ORDER"], header["A_2_0"], header["B_0_2"] = 2, 2, 1e-3, 2e-3
    path = written(tmp_path / "sip.fits", fits.PrimaryHDU(pixels(3, 30, 40), header))
    part = opened(cut(path, Cutting(region=Circle(40.05, 20.02, 0.04), band=Interval(LIGHT / 1.401e9, 1.0))))[0]
    assert part.data.shape[0] == 2
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs, own = WCS(header, naxis=2), WCS(part.header, naxis=2)
    first_x, first_y = (int(wcs.wcs.crpix[axis] - own.wcs.crpix[axis]) for axis in (0, 1))
    there = wcs.all_world2pix(own.all_pix2world([[0.0, 0.0], [5.0, 3.0]], 0), 0)
    np.testing.assert_allclose(there, [[first_x, first_y], [first_x + 5, first_y + 3]], atol=0.01)


def test_no_more_is_made_than_may_be(cube: Path) -> None:
    with pytest.raises(LimitError, match="pixels"):
        cut(cube, Cutting(region=MIDDLE), Limits(pixels=6399))
    assert cut(cube, Cutting(region=MIDDLE), Limits(pixels=6400))
    with pytest.raises(LimitError, match="bytes"):
        cut(cube, Cutting(region=MIDDLE), Limits(output_bytes=20_000))
    with pytest.raises(LimitError, match="bytes"):
        cut(cube, Cutting(), Limits(output_bytes=20_000))


def test_what_is_no_fits_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, text in ((b"\x1f\x8b\x08" + bytes(5000), "gzip"), (b"II*\0" + bytes(5000), "no FITS file")):
        path.write_bytes(content)
        with pytest.raises(FileError, match=text):
            cut(path, Cutting(region=MIDDLE))
    for bad in ("NAXIS   =              9999999", "NAXIS1  =                   -3", "NAXIS2  =  4000000000000000000"):
        card = "SIMPLE  =                    T".ljust(80) + "BITPIX  =                    8".ljust(80)
        text = card + "NAXIS   =                    2".ljust(80) * ("NAXIS " not in bad) + bad.ljust(80)
        text += "NAXIS1  =                    4".ljust(80) * ("NAXIS2" in bad) + "END".ljust(80)
        path.write_bytes(text.encode().ljust(2880))
        with pytest.raises(FileError):
            cut(path, Cutting(region=MIDDLE))
    endless = "SIMPLE  =                    T".ljust(80).encode() + b"COMMENT ".ljust(80) * 110_000
    path.write_bytes(endless)
    with pytest.raises(CutError):
        cut(path, Cutting(region=MIDDLE))


@pytest.mark.parametrize("compressed", [False, True])
def test_only_what_is_needed_is_read_of_a_file_far_away(tmp_path: Path, compressed: bool) -> None:
    image, header = pixels(1500, 2000, kind="i2"), sky_header(2000, 1500)
    hdu = fits.CompImageHDU(image, header, tile_shape=(100, 100)) if compressed else fits.ImageHDU(image, header)
    path = written(tmp_path / "large.fits", fits.PrimaryHDU(), hdu)
    content = path.read_bytes()
    with serving(giving(content)) as server, open_url(f"{server.url}/large.fits", LIMITS) as file:
        found = cut_fits(file, Cutting(region=MIDDLE), DID, LIMITS)
        got = b"".join(found.pieces)
        assert file.read_so_far < 400_000 < len(content) / 5
        assert len(server.asked) <= 12
    np.testing.assert_array_equal(opened(got)[1].data, image[745:755, 995:1005])
    with open_path(path, LIMITS) as near:
        assert got[2880:] == b"".join(cut_fits(near, Cutting(region=MIDDLE), DID, LIMITS).pieces)[2880:]


def test_rows_far_apart_are_asked_for_one_by_one(tmp_path: Path) -> None:
    image = pixels(40, 60_000, kind="i2")
    path = written(tmp_path / "wide.fits", fits.PrimaryHDU(image, sky_header(60_000, 40, 0.0001)))
    with serving(giving(path.read_bytes())) as server, open_url(server.url, LIMITS) as file:
        found = cut_fits(file, Cutting(region=Range(39.99, 40.01, -90.0, 90.0)), DID, LIMITS)
        part = opened(b"".join(found.pieces))[0]
        assert file.read_so_far < 200_000
    assert part.data.shape[0] == 40
    first = round(30_000.5 - part.header["CRPIX1"])
    np.testing.assert_array_equal(part.data, image[:, first : first + part.data.shape[1]])


def test_reading_too_much_is_refused_while_the_cut_out_is_made(cube: Path) -> None:
    limits = replace(LIMITS, read_bytes=70_000)
    with open_path(cube, limits) as file:
        found = cut_fits(file, Cutting(region=Range(0.0, 360.0, -90.0, 90.0)), DID, limits)
        with pytest.raises(LimitError, match="than may be"):
            b"".join(found.pieces)
