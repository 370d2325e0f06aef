"""Which copy a cut-out is made from, and what happens where one fails; over real HTTP and real files."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from datalink.cutouts.errors import CutError, FileError, ForbiddenError, LoginError, NoOverlapError, UnavailableError
from datalink.cutouts.region import Circle, Cutting, Interval
from datalink.cuttable import Kind, kind_of
from datalink.soda.cutting import Cutter
from datalink.soda.files import Files, path_below
from datalink.soda.jobs import run_job
from datalink.soda.service import Turnstile
from datalink.soda.single import fitting
from obscore_tap.refusals import Refusal
from obscore_tap.uws import Job, JobRun, Phase
from obscore_tap.uws.files import JobFiles
from stac_rucio_sync.model import Did, Extent, HeldFile, HeldItem, ItemKey, Replica, Rse, Topology
from stac_rucio_sync.settings import Settings
from tests.unit.cutouts.ranged import giving
from tests.unit.loopback import Answer, Asked, Loopback, serving

IMAGE = Did("stac", "survey..tile-1..image.fits")
MIDDLE = Cutting(Circle(10.0, 20.0, 0.01))
TOPOLOGY = Topology({name: Rse(name, True, "DISK", True, site) for name, site in (("NEAR", "here"), ("FAR", "there"))})


class HeldInMemory:
    """What the mirror answers, without its database."""

    def __init__(self, item: HeldItem) -> None:
        self._item = item

    def held(self, dids: Sequence[Did]) -> Mapping[Did, HeldItem]:
        return {did: self._item for did in dids if did in (self._item.did, *(file.did for file in self._item.files))}

    def topology(self) -> Topology:
        return TOPOLOGY


def image() -> bytes:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10.0, 20.0], [32.5, 32.5]
    wcs.wcs.cdelt = [-0.001, 0.001]
    made = io.BytesIO()
    fits.PrimaryHDU(np.arange(4096, dtype=np.int16).reshape(64, 64), wcs.to_header()).writeto(made)
    return made.getvalue()


@pytest.fixture(scope="module")
def content() -> bytes:
    return image()


def cutter_of(*replicas: Replica, **soda: Any) -> Cutter:
    file = HeldFile("image", IMAGE, 1, None, None, "application/fits", ("data",), None, True, replicas)
    item = HeldItem(ItemKey("survey", "tile-1"), Did("stac", "survey..tile-1"), "", "image", (file,))
    settings = Settings.model_validate({"soda": {"allow_private_addresses": True, "site": "here", **soda}})
    return Cutter(Files(settings, HeldInMemory(item)), settings.soda)  # type: ignore[arg-type] # stands for the database


def cut(cutter: Cutter, wanted: Cutting = MIDDLE, form: str = "application/fits", **how: Any) -> tuple[str, bytes]:
    """Return where the copy is that was cut, and the cut-out."""
    with cutter.cut(str(IMAGE), wanted, Kind.FITS, form, **how) as made:
        return made.rse, b"".join(made.cutout.pieces)


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[Asked], Answer]], Loopback]]:
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(serving(answer))


def copy_at(rse: str, server: Loopback, **fields: Any) -> Replica:
    return replace(Replica(IMAGE, rse, f"{server.url}/{rse}/image.fits", "AVAILABLE"), **fields)


def test_the_copy_at_the_services_site_is_read(served: Any, content: bytes) -> None:
    server = served(giving(content))
    rse, made = cut(cutter_of(copy_at("FAR", server), copy_at("NEAR", server)))
    assert rse == "NEAR"
    assert {asked.path for asked in server.asked} == {"/NEAR/image.fits"}
    with fits.open(io.BytesIO(made)) as hdus:
        assert hdus[0].data.shape[0] == pytest.approx(20, abs=2)
    assert cut(cutter_of(copy_at("FAR", server), copy_at("NEAR", server), site=None, rse="FAR"))[0] == "FAR"


@pytest.mark.parametrize(
    "broken",
    [
        lambda _, whole: Answer(404),
        lambda _, whole: Answer(401),
        lambda _, whole: Answer(403),
        lambda asked, whole: giving(whole[:5000])(asked),  # ends too early
        lambda asked, whole: giving(b"\x00" * len(whole))(asked),  # no FITS file
        lambda _, whole: Answer(200, b"<html>log in</html>", {"Content-Type": "text/html"}),
    ],
    ids=["gone", "login", "forbidden", "truncated", "corrupt", "page"],
)
def test_where_a_copy_fails_the_next_one_is_read(served: Any, content: bytes, broken: Any) -> None:
    near, far = served(lambda asked: broken(asked, content)), served(giving(content))
    rse, made = cut(cutter_of(copy_at("FAR", far), copy_at("NEAR", near)))
    assert (rse, made[:9]) == ("FAR", b"SIMPLE  =")
    assert near.asked


def test_where_all_fail_the_error_says_what_helps(served: Any, content: bytes) -> None:
    gone, login, short = served(lambda _: Answer(404)), served(lambda _: Answer(401)), served(giving(content[:5000]))
    for copies, kind in (
        ((copy_at("NEAR", gone), copy_at("FAR", login)), LoginError),
        ((copy_at("NEAR", short), copy_at("FAR", gone)), UnavailableError),
        ((copy_at("NEAR", short), copy_at("FAR", short)), FileError),
        ((), UnavailableError),
        ((copy_at("NEAR", gone, state="COPYING"),), UnavailableError),
    ):
        with pytest.raises(CutError) as caught:
            cut(cutter_of(*copies))
        assert type(caught.value) is kind


def test_small_cutouts_are_made_before_they_are_sent_and_large_ones_on_the_way(served: Any) -> None:
    """So a small one survives that its file is closed, and a large one does not take the memory that it has bytes."""
    large = io.BytesIO()
    fits.PrimaryHDU(np.zeros((1500, 1000), dtype=np.float32)).writeto(large)
    server = served(giving(large.getvalue()))
    cutter = cutter_of(copy_at("NEAR", server))
    with cutter.cut(str(IMAGE), Cutting(), Kind.FITS, "application/fits") as made:
        assert not made.is_made
        assert b"".join(made.cutout.pieces) == large.getvalue()
    small = served(giving(image()))
    with cutter_of(copy_at("NEAR", small)).cut(str(IMAGE), MIDDLE, Kind.FITS, "application/fits") as made:
        pass
    assert made.is_made
    assert b"".join(made.cutout.pieces).startswith(b"SIMPLE  =")


def test_so_many_are_made_at_a_time_and_no_more() -> None:
    turnstile = Turnstile(2)
    with (
        turnstile.entered(),
        turnstile.entered(),
        pytest.raises(UnavailableError, match="at a time"),
        turnstile.entered(),
    ):
        raise AssertionError("a third one got in")
    with turnstile.entered(), turnstile.entered():
        pass


def test_what_no_copy_can_help_is_refused_at_once(served: Any, content: bytes) -> None:
    near, far = served(giving(content)), served(giving(content))
    cutter = cutter_of(copy_at("NEAR", near), copy_at("FAR", far), output_bytes=2000)
    for wanted, form in ((Cutting(Circle(190.0, -20.0, 0.1)), "image/png"), (MIDDLE, "application/fits")):
        with pytest.raises(CutError) as caught:
            cut(cutter, wanted, form)
        assert caught.value.status == (204 if isinstance(caught.value, NoOverlapError) else 400)
    assert not far.asked


def test_a_token_goes_to_copies_that_want_one_and_nowhere_else(served: Any, content: bytes) -> None:
    def guarded(asked: Asked) -> Answer:
        return giving(content)(asked) if asked.headers.get("Authorization") == "Bearer abc" else Answer(401)

    near, far = served(guarded), served(giving(content))
    closed, opened = copy_at("NEAR", near, needs_login=True), copy_at("FAR", far)
    assert cut(cutter_of(closed, opened), token="abc")[0] == "NEAR"
    assert cut(cutter_of(closed, opened))[0] == "FAR"
    assert cut(cutter_of(opened), token="abc")[0] == "FAR"
    assert all("Authorization" not in asked.headers for asked in far.asked)
    before = len(near.asked)
    with pytest.raises(LoginError, match="send a bearer token"):
        cut(cutter_of(closed))
    assert len(near.asked) == before


def test_a_job_says_that_it_takes_no_token_along(served: Any, content: bytes, tmp_path: Path) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    given = (("ID", str(IMAGE)), ("CIRCLE", "10 20 0.01"), ("CIRCLE", "10 20 0.02"))
    job = Job("j" * 24, "soda", Phase.EXECUTING, None, now, now, None, 60, now, given)
    copy = copy_at("NEAR", served(giving(content)), needs_login=True)
    run = JobRun(job, JobFiles(tmp_path), lambda _, wished: wished)
    with pytest.raises(Refusal, match="AuthenticationError: .*/soda/sync takes a bearer token"):
        run_job(run, Kind.FITS, cutter_of(copy), 10)
    assert [result.id for result in run.results] == ["cutout-1", "cutout-2"]
    assert b"/soda/sync takes a bearer token" in JobFiles(tmp_path).path(job.id, run.results[1].name).read_bytes()


def test_what_cuts_fits_files_is_loaded_before_requests_come_and_not_before_that() -> None:
    program = """
import sys
from datalink.soda.cutting import load_engines
print("astropy.wcs" in sys.modules)
load_engines()
print("astropy.wcs" in sys.modules, "rasterio" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout.split() == ["False", "True", "False"]


def test_a_token_is_not_sent_in_the_clear_where_others_may_listen(served: Any, content: bytes) -> None:
    near = served(giving(content))
    with pytest.raises(LoginError, match="not read by https"):
        cut(cutter_of(copy_at("NEAR", near, needs_login=True), allow_private_addresses=False), token="abc")
    assert not near.asked


def test_private_addresses_are_not_read_unless_the_settings_allow_it(served: Any, content: bytes) -> None:
    near = served(giving(content))
    with pytest.raises(ForbiddenError):
        cut(cutter_of(copy_at("NEAR", near), allow_private_addresses=False))
    assert not near.asked


def test_a_copy_on_this_machine_is_read_there(served: Any, content: bytes, tmp_path: Path) -> None:
    near = served(giving(content))
    (tmp_path / "stac").mkdir()
    (tmp_path / "stac" / "a b.fits").write_bytes(content)
    local = Replica(IMAGE, "FAR", "davs://far.example.org:443/rucio/stac/a%20b.fits", "AVAILABLE")
    folders = {"davs://far.example.org:443/rucio": tmp_path}
    assert cut(cutter_of(copy_at("NEAR", near), local, folders=folders))[0] == "FAR"
    assert not near.asked
    (tmp_path / "stac" / "a b.fits").unlink()
    assert cut(cutter_of(copy_at("NEAR", near), local, folders=folders))[0] == "NEAR"


@pytest.mark.parametrize(
    "rest", ["../secret", "a/../../secret", "%2e%2e/secret", "a%2f..%2f..%2fsecret", "x\0y", "out/x"]
)
def test_no_address_leads_out_of_its_folder(tmp_path: Path, rest: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    assert path_below(folder, rest) is None
    assert path_below(folder, "/a//b.fits?x=1") == folder / "a" / "b.fits"


IMAGE_IN_R = Extent(True, None, None, None, (5.5e-7, 7.0e-7), 1, (60000.0, 60000.1), None, ("I",))


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (Cutting(band=Interval(7.0e-7, math.inf)), Cutting()),
        (Cutting(MIDDLE.region, time=Interval(60000.05, 60000.05)), MIDDLE),
        (Cutting(states=("I", "Q")), Cutting()),
        (Cutting(band=Interval(1e-7, 5e-7)), None),
        (Cutting(band=Interval(6e-7, 6e-7), time=Interval(-math.inf, 59999.0)), None),
        (Cutting(states=("Q",)), None),
    ],
)
def test_an_image_has_one_wavelength_one_time_and_one_state(wanted: Cutting, left: Cutting | None) -> None:
    several = replace(IMAGE_IN_R, channels=2, moments=2, states=("I", "Q"))
    assert fitting(wanted, "image", several) == wanted
    assert fitting(wanted, "image", None) == wanted
    if left is not None:
        assert fitting(wanted, "image", IMAGE_IN_R) == left
        return
    with pytest.raises(NoOverlapError):
        fitting(wanted, "image", IMAGE_IN_R)


def test_a_cube_has_one_state_or_channel_where_its_row_says_so() -> None:
    cube = replace(IMAGE_IN_R, channels=None)
    band = Interval(6e-7, 6e-7)
    assert fitting(Cutting(band=band, states=("I",)), "cube", cube) == Cutting(band=band)
    assert fitting(Cutting(band=band), "cube", replace(cube, channels=1)) == Cutting()
    with pytest.raises(NoOverlapError):
        fitting(Cutting(band=band, states=("Q",)), "cube", cube)


@pytest.mark.parametrize(
    ("media_type", "name", "kind"),
    [
        ("application/fits", "a", Kind.FITS),
        ("image/fits; x=y", "a", Kind.FITS),
        (None, "a.FITS", Kind.FITS),
        (None, "a.fits.fz", Kind.FITS),
        ("image/tiff; application=geotiff", "a.tif", Kind.GEOTIFF),
        ("image/tiff;application=geotiff;profile=cloud-optimized", "a.tif", Kind.GEOTIFF),
        ("image/vnd.stac.geotiff; cloud-optimized=true", "a.tif", Kind.GEOTIFF),
        (None, "a.tif", Kind.GEOTIFF),
        ("image/tiff", "a.tif", None),  # of which nobody says where it lies
        ("application/fits", "a.fits.gz", None),  # has no ranges
        ("image/png", "a.png", None),
        (None, "a", None),
    ],
)
def test_media_types_tell_what_can_be_cut(media_type: str | None, name: str, kind: Kind | None) -> None:
    assert kind_of(HeldFile("x", Did("s", name), 1, None, None, media_type, (), None, True, ())) is kind
