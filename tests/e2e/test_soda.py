"""Cut-outs over a real archive: SODA for files of the sky, BODY_BBOX for maps, from copies over HTTP."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import pyvo
import rasterio
import requests
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from pyvo.dal.adhoc import SodaQuery
from rasterio.io import MemoryFile

from stac_rucio_sync.mapping.identifiers import obs_publisher_did
from stac_rucio_sync.model import Did
from tests.e2e.archive import Archive
from tests.e2e.test_datalink import SPACE, did_of, links, rows_of
from tests.xsd import schema_faults, votable_faults

SYNC, ASYNC = "ivo://ivoa.net/std/SODA#sync-1.0", "ivo://ivoa.net/std/SODA#async-1.0"
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pyvo leaves its sessions to the collector


def item_of(archive: Archive, collection: str, number: int = 0) -> dict[str, Any]:
    return [item for item in archive.items if item["collection"] == collection][number]


def file_id(archive: Archive, item: dict[str, Any], asset: str) -> str:
    ((scope, name),) = archive.query(
        "SELECT scope, name FROM lake.file WHERE (collection, id, asset) = (%s, %s, %s)",
        item["collection"],
        item["id"],
        asset,
    )
    return obs_publisher_did(Did(scope, name), archive.settings)


def original(archive: Archive, item: dict[str, Any], asset: str) -> bytes:
    facts = archive.lake.facts
    href: str = item["assets"][asset]["href"]
    return (Path(facts["origin_dir"]) / href.removeprefix(facts["origin_url"] + "/")).read_bytes()


def middle_of(archive: Archive, item: dict[str, Any]) -> tuple[float, float]:
    return item["properties"]["s_ra"], item["properties"]["s_dec"]


@pytest.fixture(scope="module")
def image(archive: Archive) -> dict[str, Any]:
    return item_of(archive, "vo-images", 2)


@pytest.fixture(scope="module")
def cube(archive: Archive) -> dict[str, Any]:
    return item_of(archive, "vo-cubes")


@pytest.fixture(scope="module")
def scene(archive: Archive) -> dict[str, Any]:
    return item_of(archive, "vo-scenes", 1)


# --------------------------------------------------------------------------------------------------------- at once


def test_a_circle_of_an_image(archive: Archive, image: dict[str, Any]) -> None:
    """The pixels are those of the whole file, where the cut-out's coordinates say."""
    ra, dec = middle_of(archive, image)
    answer = archive.get("/soda/sync", ID=file_id(archive, image, "image"), CIRCLE=f"{ra} {dec} 0.03")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/fits"), answer.text
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["Content-Disposition"] == f'inline; filename="{cutout_name(image)}"'
    with fits.open(BytesIO(answer.content)) as cut, fits.open(BytesIO(original(archive, image, "image"))) as whole:
        assert cut[0].data.shape[0] < whole[0].data.shape[0]
        height, width = cut[0].data.shape
        centre = WCS(cut[0].header).pixel_to_world((width - 1) / 2, (height - 1) / 2)
        wanted = Cutout2D(whole[0].data, centre, (height, width), wcs=WCS(whole[0].header))
        assert np.array_equal(cut[0].data, wanted.data)
        x, y = WCS(cut[0].header).world_to_pixel(SkyCoord(ra, dec, unit="deg"))
        there = WCS(whole[0].header).world_to_pixel(SkyCoord(ra, dec, unit="deg"))
        found = [float(x) + wanted.origin_original[0], float(y) + wanted.origin_original[1]]
        assert found == pytest.approx([float(one) for one in there], abs=0.01)
        assert file_id(archive, image, "image") in "".join(cut[0].header["HISTORY"])
        assert cut[0].header["OBJECT"] == whole[0].header["OBJECT"]


def cutout_name(item: dict[str, Any]) -> str:
    return f"vo-images..{item['id']}..image-cutout.fits"


def test_an_item_stands_for_its_one_file(archive: Archive, image: dict[str, Any]) -> None:
    ra, dec = middle_of(archive, image)
    asked = {"CIRCLE": f"{ra} {dec} 0.02"}
    by_file = archive.get("/soda/sync", ID=file_id(archive, image, "image"), **asked)
    by_item = requests.post(f"{archive.url}/soda/sync", {"id": str(did_of(image, archive)), **asked}, timeout=60)
    assert (by_file.status_code, by_item.status_code) == (200, 200)
    assert by_item.content == by_file.content


def test_without_a_filter_the_file_comes_whole(archive: Archive, image: dict[str, Any]) -> None:
    answer = archive.get("/soda/sync", ID=file_id(archive, image, "image"))
    assert (answer.status_code, answer.content) == (200, original(archive, image, "image"))


def test_channels_of_a_cube(archive: Archive, cube: dict[str, Any]) -> None:
    ((low, high),) = archive.query(
        "SELECT em_min, em_max FROM lake.obscore WHERE obs_publisher_did = %s",
        obs_publisher_did(did_of(cube, archive), archive.settings),
    )
    ra, dec = middle_of(archive, cube)
    band = f"{low + 0.4 * (high - low)} {low + 0.6 * (high - low)}"
    answer = archive.get("/soda/sync", ID=str(did_of(cube, archive)), POS=f"CIRCLE {ra} {dec} 0.02", BAND=band)
    assert answer.status_code == 200, answer.text
    with fits.open(BytesIO(answer.content)) as cut, fits.open(BytesIO(original(archive, cube, "cube"))) as whole:
        assert 0 < cut[0].data.shape[0] < whole[0].data.shape[0]
        assert 0 < cut[0].data.shape[2] < whole[0].data.shape[2]


def test_a_band_is_of_an_image_or_it_is_not(archive: Archive, image: dict[str, Any]) -> None:
    """An image has one wavelength: that of its row (SODA 1.0 section 3.4)."""
    ra, dec = middle_of(archive, image)
    ((low, high, begin, end),) = archive.query(
        "SELECT em_min, em_max, t_min, t_max FROM lake.obscore WHERE obs_publisher_did = %s",
        obs_publisher_did(did_of(image, archive), archive.settings),
    )
    query = {"ID": file_id(archive, image, "image"), "CIRCLE": f"{ra} {dec} 0.02"}
    plain = archive.get("/soda/sync", **query)
    fitting = archive.get("/soda/sync", **query, BAND=f"{(low + high) / 2} +Inf", TIME=f"{begin - 1} {end}")
    assert (fitting.status_code, fitting.content) == (200, plain.content)
    for other in ({"BAND": f"{high * 2} {high * 3}"}, {"TIME": f"-Inf {begin - 1}"}):
        assert archive.get("/soda/sync", **query, **other).status_code == 204


def test_a_picture(archive: Archive, image: dict[str, Any]) -> None:
    ra, dec = middle_of(archive, image)
    asked = {"CIRCLE": f"{ra} {dec} 0.03", "RESPONSEFORMAT": "image/png"}
    answer = archive.get("/soda/sync", ID=file_id(archive, image, "image"), **asked)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png"), answer.text
    assert answer.content.startswith(b"\x89PNG")


def test_a_box_of_a_map(archive: Archive, scene: dict[str, Any]) -> None:
    west, south, east, north = scene["bbox"]
    box = [west + 0.4 * (east - west), south + 0.4 * (north - south)]
    box += [west + 0.6 * (east - west), south + 0.6 * (north - south)]
    answer = archive.get("/cutout/sync", ID=str(did_of(scene, archive)), BODY_BBOX=" ".join(map(str, box)))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/tiff; application=geotiff"), answer.text
    with (
        MemoryFile(answer.content) as held,
        held.open() as cut,
        MemoryFile(original(archive, scene, "visual")) as other,
        other.open() as whole,
    ):
        window = rasterio.windows.from_bounds(*cut.bounds, transform=whole.transform)
        assert np.array_equal(cut.read(), whole.read(window=window.round_offsets().round_lengths()))
        assert cut.crs == whole.crs
        assert cut.width < whole.width
    picture = archive.get(
        "/cutout/sync", ID=str(did_of(scene, archive)), BODY_BBOX=" ".join(map(str, box)), RESPONSEFORMAT="image/png"
    )
    assert picture.content.startswith(b"\x89PNG")


def test_refusals_begin_with_the_labels_of_the_standard(archive: Archive, image: dict[str, Any]) -> None:
    sky, map_ = file_id(archive, image, "image"), str(did_of(item_of(archive, "vo-scenes"), archive))
    circle = "1 2 0.1"
    for path, query, status, label in (
        ("/soda/sync", {}, 400, "UsageError: ID"),
        ("/soda/sync", {"ID": "nix"}, 400, "UsageError: ID"),
        ("/soda/sync", {"ID": "vo:no-such"}, 404, "UsageError: ID"),
        ("/soda/sync", {"ID": sky, "CIRCLE": "1 2"}, 400, "UsageError: CIRCLE"),
        ("/soda/sync", {"ID": sky, "BAND": "2 1"}, 400, "UsageError: BAND"),
        ("/soda/sync", {"ID": sky, "POL": "X"}, 400, "UsageError: POL"),
        ("/soda/sync", {"ID": sky, "RESPONSEFORMAT": "text/html"}, 400, "UsageError: RESPONSEFORMAT"),
        ("/soda/sync", {"ID": sky, "TIME": "1 2", "BAND": "x"}, 400, "UsageError: BAND"),
        ("/soda/sync", {"ID": sky, "BODY_BBOX": "1 2 3 4"}, 400, "UsageError: BODY_BBOX"),
        ("/soda/sync", {"ID": map_, "CIRCLE": circle}, 400, "UsageError: ID"),
        ("/soda/sync", {"ID": [sky, map_]}, 400, "MultiValuedParamNotSupported: ID"),
        ("/soda/sync", {"ID": sky, "CIRCLE": [circle, "3 4 0.1"]}, 400, "MultiValuedParamNotSupported: CIRCLE"),
        ("/soda/sync", {"ID": sky, "CIRCLE": circle, "POS": "CIRCLE 3 4 5"}, 400, "MultiValuedParamNotSupported: "),
        ("/soda/sync", {"ID": sky, "BAND": ["1 2", "3 4"]}, 400, "MultiValuedParamNotSupported: BAND"),
        ("/soda/sync", {"ID": sky, "TIME": ["1 2", "3 4"]}, 400, "MultiValuedParamNotSupported: TIME"),
        ("/cutout/sync", {"ID": map_, "CIRCLE": circle}, 400, "UsageError: CIRCLE"),
        ("/cutout/sync", {"ID": sky}, 400, "UsageError: ID"),
        ("/soda/async", {"ID": sky, "CIRCLE": "x"}, 400, "UsageError: CIRCLE"),
        ("/soda/nowhere", {}, 404, None),
    ):  # fmt: skip
        ask = requests.post if path.endswith("async") else requests.get
        answer = ask(f"{archive.url}{path}", query, timeout=60)
        assert answer.status_code == status, (query, answer.text)
        if label is not None:
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.text.startswith(label), (query, answer.text)


def test_what_lies_outside_is_no_content(archive: Archive, image: dict[str, Any]) -> None:
    ra, dec = middle_of(archive, image)
    outside = f"{(ra + 180.0) % 360.0} {-dec} 0.1"
    for form in ("application/fits", "image/png"):
        query = {"ID": file_id(archive, image, "image"), "CIRCLE": outside, "RESPONSEFORMAT": form}
        answer = archive.get("/soda/sync", **query)
        assert (answer.status_code, answer.content) == (204, b"")


# ------------------------------------------------------------------------------------------------------------ as jobs


def ended(url: str) -> ElementTree.Element:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        answer = requests.get(url, {"WAIT": 10}, timeout=60)
        job = ElementTree.fromstring(answer.content)
        if job.findtext(f"{UWS}phase") in ("COMPLETED", "ERROR", "ABORTED"):
            assert schema_faults(answer.content) == []
            return job
    raise AssertionError(f"{url} does not end")


def test_a_job_has_a_result_for_each_combination(archive: Archive, image: dict[str, Any], cube: dict[str, Any]) -> None:
    ra, dec = middle_of(archive, image)
    circles = [f"{ra} {dec} 0.02", f"{(ra + 180.0) % 360.0} {-dec} 0.02"]
    ids = [file_id(archive, image, "image"), "vo:no-such"]
    made = requests.post(f"{archive.url}/soda/async", {"ID": ids[0], "CIRCLE": circles[0]}, timeout=60)
    assert made.url.startswith(f"{archive.url}/soda/async/")
    for more in ({"ID": ids[1]}, {"CIRCLE": circles[1]}, {"POS": f"CIRCLE {ra} {dec} 0.01"}):
        assert requests.post(f"{made.url}/parameters", more, timeout=60).status_code == 200
    requests.post(f"{made.url}/phase", {"PHASE": "RUN"}, timeout=60)
    job = ended(made.url)
    assert job.findtext(f"{UWS}phase") == "COMPLETED"
    results = [(one.get("id"), one.get("mime-type")) for one in job.iter(f"{UWS}result")]
    kinds = ["application/fits", "application/fits", "text/plain; charset=utf-8", *["text/plain; charset=utf-8"] * 3]
    assert results == [(f"cutout-{number}", kind) for number, kind in enumerate(kinds, 1)]
    sizes = []
    for number in (1, 2):
        answer = requests.get(f"{made.url}/results/cutout-{number}", timeout=60)
        with fits.open(BytesIO(answer.content)) as cut:
            sizes.append(cut[0].data.shape[0])
    assert 0 < sizes[0] < sizes[1]  # POS comes before CIRCLE
    outside, *unknown = (requests.get(f"{made.url}/results/cutout-{n}", timeout=60).text for n in (3, 4, 5, 6))
    assert outside.startswith("UsageError: nothing of the file is in what was asked for")
    assert all(text.startswith("UsageError: ID: the archive holds no file of vo:no-such") for text in unknown)
    assert requests.delete(made.url, timeout=60).status_code == 200


def test_a_request_that_is_too_large_is_refused_in_words_of_the_standard(archive: Archive) -> None:
    for path in ("/soda/sync", "/cutout/sync", "/soda/async"):
        answer = requests.post(archive.url + path, {"ID": "x", "FOO": "y" * 8_000_000}, timeout=60)
        assert (answer.status_code, answer.headers["Content-Type"]) == (413, "text/plain; charset=utf-8")
        assert answer.text.startswith("UsageError: ")


def test_a_job_of_which_nothing_can_be_cut_is_an_error(archive: Archive, image: dict[str, Any]) -> None:
    for query, label in (({"ID": "vo:no-such"}, "UsageError: ID"), ({"CIRCLE": "1 2 3"}, "UsageError: ID is missing")):
        made = requests.post(f"{archive.url}/soda/async", query | {"PHASE": "RUN"}, timeout=60)
        job = ended(made.url)
        assert job.findtext(f"{UWS}phase") == "ERROR"
        answer = requests.get(f"{made.url}/error", timeout=60)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.text.startswith(label)


def test_maps_are_cut_as_jobs(archive: Archive, scene: dict[str, Any]) -> None:
    west, south, east, north = scene["bbox"]
    corners = f"{west} {south} {east} {south} {east} {north}"
    query = {"ID": str(did_of(scene, archive)), "BODY_POLYGON": corners, "PHASE": "RUN"}
    made = requests.post(f"{archive.url}/cutout/async", query, timeout=60)
    job = ended(made.url)
    assert [one.get("mime-type") for one in job.iter(f"{UWS}result")] == ["image/tiff; application=geotiff"]
    assert requests.get(f"{made.url.replace('/cutout/', '/soda/')}", timeout=60).status_code == 404


# ------------------------------------------------------------------------------------------------------ how it is found


def test_links_describe_the_services(archive: Archive, image: dict[str, Any], cube: dict[str, Any]) -> None:
    answer = archive.get("/datalink/links", ID=[str(did_of(image, archive)), str(did_of(cube, archive))])
    assert votable_faults(answer.content) == []
    rows = [row for row in rows_of(answer.content) if row["service_def"]]
    assert {(row["semantics"], row["access_url"], row["error_message"]) for row in rows} == {("#cutout", None, None)}
    resources = {
        str(one.get("ID")): one
        for one in ElementTree.fromstring(answer.content).findall(f"{SPACE}RESOURCE[@utype='adhoc:service']")
    }
    generic = resources.pop("cutout")  # of several files, for clients that take the first descriptor for any row
    assert inputs_of(generic)["ID"].get("ref") == "ID"
    assert [row["service_def"] for row in rows] == list(resources)
    assert [told(one, "standardID") for one in resources.values()] == [SYNC, ASYNC] * 2
    assert [told(one, "accessURL") for one in resources.values()] == [
        f"{archive.url}/soda/{how}" for how in ("sync", "async")
    ] * 2
    inputs = [inputs_of(one) for one in resources.values()]
    assert inputs[0]["ID"].get("value") == file_id(archive, image, "image")
    assert list(inputs[0]) == ["ID", "CIRCLE", "POLYGON", "POS", "RESPONSEFORMAT"]
    assert list(inputs[2]) == ["ID", "CIRCLE", "POLYGON", "POS", "BAND", "POL", "RESPONSEFORMAT"]
    most = inputs[0]["CIRCLE"].find(f"{SPACE}VALUES/{SPACE}MAX")
    assert most is not None
    lon, lat, radius = map(float, str(most.get("value")).split())
    middle = SkyCoord(*middle_of(archive, image), unit="deg")
    assert SkyCoord(lon, lat, unit="deg").separation(middle).deg < 0.01
    assert radius == pytest.approx(64 * 10.8 / 3600 / 2**0.5, rel=0.05)
    low, high = (inputs[2]["BAND"].find(f"{SPACE}VALUES/{SPACE}{which}") for which in ("MIN", "MAX"))
    assert low is not None
    assert high is not None
    assert 0.2 < float(str(low.get("value"))) < float(str(high.get("value"))) < 0.22  # neutral hydrogen, metres


def told(resource: ElementTree.Element, name: str) -> str | None:
    one = resource.find(f"{SPACE}PARAM[@name='{name}']")
    return None if one is None else one.get("value")


def inputs_of(resource: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {str(one.get("name")): one for one in resource.iterfind(f"{SPACE}GROUP[@name='inputParams']/{SPACE}PARAM")}


def test_maps_have_a_service_of_their_own(archive: Archive, scene: dict[str, Any]) -> None:
    answer = archive.get("/datalink/links", ID=str(did_of(scene, archive)))
    first, second = ElementTree.fromstring(answer.content).findall(f"{SPACE}RESOURCE[@utype='adhoc:service']")
    assert (told(first, "standardID"), told(second, "standardID")) == (None, None)
    assert told(first, "accessURL") == f"{archive.url}/cutout/sync"
    inputs = inputs_of(first)
    assert list(inputs) == ["ID", "BODY_BBOX", "BODY_POLYGON", "RESPONSEFORMAT"]
    most = inputs["BODY_BBOX"].find(f"{SPACE}VALUES/{SPACE}MAX")
    assert most is not None
    assert [float(one) for one in str(most.get("value")).split()] == pytest.approx(scene["bbox"], abs=1e-6)
    assert "pos.bodyrc" in str(inputs["BODY_BBOX"].get("ucd"))


def test_what_cannot_be_cut_is_not_offered(archive: Archive) -> None:
    spectrum = str(did_of(item_of(archive, "vo-spectra"), archive))
    assert not any(row["service_def"] for row in links(archive, spectrum))
    (fault,) = links(archive, spectrum, must_include_soda="true")
    assert fault["error_message"].startswith("NotFoundFault: nothing of")


def test_long_answers_describe_the_first_files_unless_all_are_asked_for(archive: Archive) -> None:
    ids = [str(did_of(item, archive)) for item in archive.items if item["collection"] == "vo-images"]
    padding = [f"vo:no-such-{number}" for number in range(1100)]
    for wish, count in (({}, 100), ({"must_include_soda": "true"}, len(ids))):
        asked = {"ID": [*padding, *ids], **wish}
        answer = requests.post(f"{archive.url}/datalink/links", asked, timeout=60)
        rows = [row["service_def"] for row in rows_of(answer.content) if row["service_def"]]
        described = ElementTree.fromstring(answer.content).findall(f"{SPACE}RESOURCE[@utype='adhoc:service']")
        assert rows == [one.get("ID") for one in described[1:]]
        assert len(rows) == 2 * min(count, len(ids))


def test_vosi(archive: Archive) -> None:
    for path in ("/soda/capabilities", "/soda/availability", "/cutout/capabilities", "/cutout/availability"):
        answer = archive.get(path)
        assert answer.status_code == 200
        assert schema_faults(answer.content) == []
    listed = ElementTree.fromstring(archive.get("/soda/capabilities").content)
    urls = {one.get("standardID"): one.findtext("interface/accessURL") for one in listed.iter("capability")}
    assert (urls[SYNC], urls[ASYNC]) == (f"{archive.url}/soda/sync", f"{archive.url}/soda/async")


def test_pyvo_cuts_by_what_the_links_say(archive: Archive) -> None:
    """As in the demonstration of the SKA: a search, its links, their services, pixels; of several products at once."""
    service = pyvo.dal.TAPService(f"{archive.url}/tap")
    found = service.search("SELECT TOP 3 * FROM ivoa.obscore WHERE obs_collection = 'vo-images' ORDER BY obs_id")
    for of_item in found.iter_datalinks():
        row = of_item.original_row
        circle = (row["s_ra"], row["s_dec"], 0.02) * units.deg
        proc = of_item.get_first_proc()
        assert [one.semantics for one in of_item.iter_procs()] == ["#cutout", "#cutout"]
        query = SodaQuery.from_resource(proc, of_item.get_adhocservice_by_id(proc.service_def), circle=circle)
        contents = [
            stream.read()
            for stream in (proc.process(circle=circle), proc.processed(circle=circle), query.execute_stream())
        ]
        for content in contents:
            with fits.open(BytesIO(content)) as cut:
                assert cut[0].header["OBJECT"] == row["obs_id"]
                assert WCS(cut[0].header).footprint_contains(SkyCoord(row["s_ra"], row["s_dec"], unit="deg"))
