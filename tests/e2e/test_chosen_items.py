"""Chosen items of the real world, field by field, against what the standards and the rules of the project say.

The expectations are in `tests.e2e.chosen`; the items are read from the folder of real items beside the checkout.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest

from stac_rucio_sync.model import Report
from stac_rucio_sync.settings import Settings
from tests.conftest import RunningLake
from tests.e2e.chosen import CHOSEN
from tests.e2e.chosen.expected import JD_OF_MJD_0, SPEED_OF_LIGHT, Chosen, Near, OneOf, meets
from tests.e2e.chosen.found import RucioView, Tables, ask_rucio, ask_tables, lines_of, run_job, write_lines

UNICODE = ("capella-open-data-malé", "grd-200")
"""No real item is in the collection with an accent: line 6036 is put there."""
SKY = ("naip-as-sky", "al_m_3008501_ne_16_030_20211103")
"""Line 116 again, in a collection that the settings declare as sky."""
COLLECTION_LINE = 360
"""A Collection among the items."""

# ObsCore 1.1 section 3.3.1 and the vocabulary product-type; EPN-TAP 2.0 section 2.1.3.
DATAPRODUCT_TYPES = {"image", "cube", "spectrum", "sed", "timeseries", "visibility", "event", "measurements", None}
EPN_DATAPRODUCT_TYPES = {
    "im", "ma", "sp", "ds", "sc", "pr", "pf", "vo", "mo", "cu", "ts", "ca", "ci", "sv", "ev",
}  # fmt: skip
RUCIO_COLUMNS = {
    "lifetime", "version", "project", "campaign", "provenance", "events", "guid", "length", "name", "bytes", "hidden",
    "type",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One run over the chosen items, and all that it left."""

    settings: Settings
    scope: str
    report: Report
    items: Mapping[tuple[str, str], Mapping[str, Any]]
    """As they stand in the source."""
    tables: Tables
    rucio: RucioView


@pytest.fixture(scope="module")
def outcome(lake: RunningLake, real_items: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    scope = "chosen" + uuid4().hex[:8]
    settings = lake.settings_with(identity={"scope": scope}, collections={SKY[0]: {"frame": "sky"}})
    stored = lines_of(real_items / "items.ndjson.gz", (one.line for one in CHOSEN))
    items: dict[tuple[str, str], Mapping[str, Any]] = {one.key: stored[one.line] for one in CHOSEN}
    items[UNICODE] = {**stored[6036], "collection": UNICODE[0]}
    items[SKY] = {**stored[116], "collection": SKY[0]}
    collection = lines_of(real_items / "collections.ndjson.gz", [COLLECTION_LINE])[COLLECTION_LINE]
    file = write_lines(tmp_path_factory.mktemp("chosen") / "chosen.ndjson", [*items.values(), collection])
    report, _ = run_job(file, scope, settings)
    tables = ask_tables(settings, scope, scope)
    return Outcome(
        settings,
        scope,
        report,
        items,
        tables,
        ask_rucio(settings, scope, (row["name"] for row in tables.items.values())),
    )


def named(chosen: list[Chosen]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("one", chosen, ids=[f"{one.line}-{one.id[:24]}" for one in chosen])


def assert_meets(expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare all fields, so that one failure shows all that is wrong."""
    wrong = {key: (found[key], value) for key, value in expected.items() if not meets(value, found[key])}
    assert not wrong, "\n".join(f"{key}: found {found!r}, expected {value!r}" for key, (found, value) in wrong.items())


# ------------------------------------------------------------------------------------------------- what is chosen


def test_every_tag_of_the_edge_cases_is_among_the_chosen_items(real_items: Path) -> None:
    lines = {one.line for one in CHOSEN}
    collections = {one.collection for one in CHOSEN} | {UNICODE[0]}
    ids = [one.id for one in CHOSEN]
    missing: dict[str, bool] = {}
    for line in (real_items / "EDGE_CASES.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case["file"] == "collections.ndjson":
            covered = case["id"] in collections
        elif case["line"] is None:  # the same id in several collections
            covered = ids.count(case["id"]) > 1
        else:
            covered = case["line"] in lines
        missing[case["tag"]] = missing.get(case["tag"], True) and not covered
    assert [tag for tag, absent in missing.items() if absent] == []
    assert len(lines) >= 50


def test_each_line_has_one_fate(outcome: Outcome) -> None:
    report = outcome.report
    assert report.read == len(outcome.items) + 1
    assert report.quarantined == 1
    assert (report.failed, report.superseded, report.unchanged) == (0, 0, 0)
    assert set(outcome.tables.items) == {one.key for one in CHOSEN} | {UNICODE, SKY}
    assert set(outcome.tables.obscore) == set(outcome.tables.items)


def test_what_has_no_position_for_a_wrong_footprint_is_reported(outcome: Outcome) -> None:
    without = [one for one in CHOSEN if outcome.tables.epn[one.key]["c1min"] is None]
    told = sum(
        count
        for remark, count in outcome.report.remarks.items()
        if re.search(r"position|footprint|geometry", remark, re.IGNORECASE)
    )
    assert told >= len(without) > 0


def test_items_whose_calibration_nobody_states_are_counted(outcome: Outcome) -> None:
    silent = sum("processing:level" not in outcome.items[one.key].get("properties", {}) for one in CHOSEN)
    assert silent <= outcome.report.defaulted <= len(outcome.tables.items)


def test_a_collection_among_the_items_is_set_aside(outcome: Outcome) -> None:
    (reason,) = outcome.tables.quarantine.values()
    assert "collection" in reason.lower()


# --------------------------------------------------------------------------------------------------- identifiers


@named(list(CHOSEN))
def test_dataset(outcome: Outcome, one: Chosen) -> None:
    row = outcome.tables.items[one.key]
    did = f"ivo://{outcome.settings.identity.authority}/{outcome.settings.identity.path}?{outcome.scope}:{one.dataset}"
    assert (row["name"], row["scope"], row["obs_publisher_did"]) == (one.dataset, outcome.scope, did)
    assert outcome.rucio.columns[one.dataset]["did_type"] == "DATASET"
    assert outcome.rucio.columns[one.dataset]["expired_at"] is None
    expected = {file["name"] for file in outcome.tables.files[one.key].values()}
    assert outcome.rucio.content[one.dataset] == expected


def test_a_collection_with_an_accent_has_an_ascii_name(outcome: Outcome) -> None:
    assert outcome.tables.items[UNICODE]["name"] == "capella-open-data-mal_xE9_..grd-200"
    assert outcome.tables.obscore[UNICODE]["obs_collection"] == "capella-open-data-malé"


# ---------------------------------------------------------------------------------------------- files and links


def normal(url: str) -> str:
    """Write a URL without the default port of http and https, which stands for the same place."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname or ""
    return parts._replace(netloc=host if parts.port in (None, default) else f"{host}:{parts.port}").geturl()


def origin_of(url: str) -> str:
    """Return ``scheme://host:port`` with the port written out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or {'http': 80, 'https': 443, 's3': 443}[parts.scheme]}"


def readings_of(multihash: str | None) -> set[str | None]:
    """Return how a checksum may be kept as text: as it stands, or with its algorithm by name and the digest alone."""
    if multihash is None:
        return {None}
    names = {"1220": "sha2-256", "1340": "sha2-512", "1620": "sha3-256", "90e40210": "blake2b-128"}
    spelled = {f"{name}:{multihash.removeprefix(code)}" for code, name in names.items() if multihash.startswith(code)}
    return {multihash, *spelled}


@named(list(CHOSEN))
def test_files(outcome: Outcome, one: Chosen) -> None:
    rows = outcome.tables.files[one.key]
    assert set(one.files) <= set(rows)
    assert len(rows) == len(one.files) + one.more_files
    for asset, expected in one.files.items():
        row = rows[asset]
        stem = f"{one.dataset}..{asset}"
        if expected.suffix is None:
            assert re.fullmatch(re.escape(stem) + r"(\.[A-Za-z0-9]+)?", row["name"])
        else:
            assert row["name"] == stem + expected.suffix
        assert (row["bytes"], row["md5"], row["adler32"]) == (expected.bytes, expected.md5, None)
        assert row["unverified_checksum"] in readings_of(expected.stated)
        in_rucio = outcome.rucio.files[row["name"]]
        assert (in_rucio.bytes, in_rucio.md5, in_rucio.adler32) == (expected.bytes, expected.md5, None)
        found = {normal(pfn): rse for pfn, rse in in_rucio.rses.items()}
        assert set(expected.places) <= set(found) <= set(expected.places) | set(expected.also)
        for pfn, rse in found.items():
            assert outcome.rucio.origins[rse] == origin_of(pfn)
        told = {normal(pfn): login for (name, pfn), login in outcome.tables.logins.items() if name == row["name"]}
        assert set(told) == set(found)
        assert {pfn: told[pfn] for pfn in expected.places} == dict(expected.places)


@named(list(CHOSEN))
def test_links(outcome: Outcome, one: Chosen) -> None:
    stated = outcome.items[one.key].get("assets", {})
    # An alternate that cannot be a replica may be told as well; it is no asset.
    rows = {name: row for name, row in outcome.tables.links[one.key].items() if name in stated}
    assert set(one.links) <= set(rows)
    assert len(rows) == len(one.links) + one.more_links
    for asset, words in one.links.items():
        reason = rows[asset]["reason"] or ""
        assert any(word.lower() in reason.lower() for word in words), (asset, reason)
    for asset, href in one.hrefs.items():
        assert rows[asset]["href"] == href
    for name, row in outcome.tables.links[one.key].items():
        assert row["reason"], name
        assert row["href"] is None or re.match(r"[a-z0-9+-]+://", row["href"], re.IGNORECASE), row["href"]
    for name, row in rows.items():
        if re.match(r"https?://", stated[name].get("href") or ""):
            assert row["href"] is not None


# --------------------------------------------------------------------------------------------------------- rows


@named(list(CHOSEN))
def test_obscore_row(outcome: Outcome, one: Chosen) -> None:
    row = outcome.tables.obscore[one.key]
    properties = outcome.items[one.key].get("properties", {})
    did = outcome.tables.items[one.key]["obs_publisher_did"]
    expected: dict[str, Any] = {
        "obs_collection": one.key[0],
        "obs_id": one.id,
        "obs_publisher_did": did,
        "access_url": f"{outcome.settings.services.base_url}/datalink/links?ID={quote(did, safe='')}",
        "access_format": "application/x-votable+xml;content=datalink",
        # Body-fixed, not sky: no position among the stars (ObsCore 1.1, 3.3.2).
        **dict.fromkeys(("s_ra", "s_dec", "s_fov", "s_region", "s_polygon")),
    }
    if "processing:level" not in properties:
        expected["calib_level"] = 2  # the documented default
    if one.times is not None:
        expected |= dict(zip(("t_min", "t_max"), one.times, strict=True))
    if one.wavelengths is not None:
        expected |= dict(zip(("em_min", "em_max"), one.wavelengths, strict=True))
    assert_meets(expected | dict(one.obscore), row)
    assert row["dataproduct_type"] in DATAPRODUCT_TYPES
    assert row["data_rights"] in {None, "public", "secure", "proprietary"}
    assert 0 <= row["calib_level"] <= 4
    assert (row["t_min"] is None) == (row["t_max"] is None)
    assert row["t_min"] is None or row["t_min"] <= row["t_max"]
    assert (row["em_min"] is None) == (row["em_max"] is None)
    assert row["em_min"] is None or 0 < row["em_min"] <= row["em_max"]


@named(list(CHOSEN))
def test_epn_row(outcome: Outcome, one: Chosen) -> None:
    row, obscore = outcome.tables.epn[one.key], outcome.tables.obscore[one.key]
    expected: dict[str, Any] = {
        "obs_id": one.id,
        "target_name": "Earth",
        "target_class": "planet",
        # "none" is for what has no coordinates (EPN-TAP 2.0, spatial_frame_type).
        "spatial_frame_type": "body" if row["c1min"] is not None else OneOf(("body", "none")),
        "service_title": "epn",
        "datalink_url": obscore["access_url"],
        "obs_publisher_did": obscore["obs_publisher_did"],
        "time_min": None if obscore["t_min"] is None else Near(obscore["t_min"] + JD_OF_MJD_0, 2e-9),
        "time_max": None if obscore["t_max"] is None else Near(obscore["t_max"] + JD_OF_MJD_0, 2e-9),
        # Hz: the longest wave is the lowest frequency.
        "spectral_range_min": obscore["em_max"] and Near(SPEED_OF_LIGHT / obscore["em_max"], 1),
        "spectral_range_max": obscore["em_min"] and Near(SPEED_OF_LIGHT / obscore["em_min"], 1),
    }
    if one.footprint is not None:
        place = one.footprint
        expected |= {"c1min": place.west, "c1max": place.east, "c2min": place.south, "c2max": place.north}
    assert_meets(expected | dict(one.epn), row)
    assert row["dataproduct_type"] in EPN_DATAPRODUCT_TYPES
    assert None not in (row["granule_uid"], row["granule_gid"], row["creation_date"], row["modification_date"])
    assert row["release_date"] is not None
    ranges = [row[name] for name in ("c1min", "c1max", "c2min", "c2max")]
    assert all(value is None for value in ranges) or None not in ranges
    if ranges[0] is not None:
        assert all(0 <= value <= 360 for value in ranges[:2])
        assert -90 <= ranges[2] <= ranges[3] <= 90


def test_granule_uids_are_unique(outcome: Outcome) -> None:
    uids = [row["granule_uid"] for row in outcome.tables.epn.values()]
    assert len(set(uids)) == len(uids)


# --------------------------------------------------------------------------------------------------- footprints


def vertices_of(polygon: list[float] | None) -> list[tuple[float, float]]:
    return [] if polygon is None else list(zip(polygon[::2], polygon[1::2], strict=True))


def doubled_area(vertices: list[tuple[float, float]]) -> float:
    """Return twice the area in square degrees, positive where longitude and latitude turn counter-clockwise."""
    area = 0.0
    for (west, south), (east, north) in zip(vertices, vertices[1:] + vertices[:1], strict=True):
        step = (east - west + 180) % 360 - 180
        area += step * (north + south)
    return -area


def same_place(one: tuple[float, float], other: tuple[float, float]) -> bool:
    lon = abs((one[0] - other[0] + 180) % 360 - 180)
    return lon < 1e-7 and math.isclose(one[1], other[1], abs_tol=1e-7)


@named([one for one in CHOSEN if one.footprint is not None])
def test_footprint_polygon(outcome: Outcome, one: Chosen) -> None:
    """EPN-TAP 2.0, 2.1.7: body-fixed, counter-clockwise seen from outside; DALI 1.1, 3.3.7: no repeated vertex."""
    place = one.footprint
    assert place is not None
    row = outcome.tables.epn[one.key]
    vertices = vertices_of(row["s_polygon"])
    assert place.polygon is None or bool(vertices) == place.polygon
    assert (row["c1min"] is not None) or not vertices
    if not vertices:
        return
    assert len(vertices) >= 3
    assert not any(same_place(a, b) for a, b in zip(vertices, vertices[1:] + vertices[:1], strict=True))
    assert all(0 <= lon <= 360 and -90 <= lat <= 90 for lon, lat in vertices)
    assert (row["s_region"] or "").upper().startswith("POLYGON")
    if row["c1min"] == 0 and row["c1max"] == 360:
        return  # round a pole the sign of a flat area says nothing
    assert doubled_area(vertices) > 0
    for vertex in place.vertices:
        assert any(same_place(vertex, found) for found in vertices), vertex
    if place.vertices:
        known = (*place.vertices, *place.on_edges)
        strangers = [found for found in vertices if not any(same_place(found, vertex) for vertex in known)]
        assert strangers == []


def test_a_cap_round_the_pole_holds_the_pole(outcome: Outcome) -> None:
    (cap,) = (one for one in CHOSEN if one.line == 5893)
    row = outcome.tables.epn[cap.key]
    vertices = vertices_of(row["s_polygon"])
    if vertices:  # on the polar chart: is the pole inside, and are the cap's corners?
        turns = sum((b[0] - a[0] + 180) % 360 - 180 for a, b in zip(vertices, vertices[1:] + vertices[:1], strict=True))
        assert math.isclose(turns, 360, abs_tol=1e-6)  # eastward once: counter-clockwise seen from above the pole
    assert row["c2max"] == 90


def test_the_same_footprint_on_the_sky_is_seen_from_inside(outcome: Outcome) -> None:
    """DALI 1.1, 3.3.7: counter-clockwise seen from inside, so longitudes run the other way than on a globe."""
    row = outcome.tables.obscore[SKY]
    vertices = vertices_of(row["s_polygon"])
    assert SKY not in outcome.tables.epn
    assert len(vertices) == 4
    assert doubled_area(vertices) < 0
    assert row["s_region"].startswith("POLYGON ICRS ")
    assert [float(number) for number in row["s_region"].split()[2:]] == pytest.approx(row["s_polygon"], abs=1e-9)
    assert 274.059147 < row["s_ra"] < 274.128905
    assert 30.934738 < row["s_dec"] < 31.003255
    # The diameter of the circle round it (ObsCore 1.1, 3.3.2.3): the diagonal of 0.06 by 0.068 degrees at least.
    assert 0.08 < row["s_fov"] < 0.11


# ----------------------------------------------------------------------------------------------------- metadata


@named(list(CHOSEN))
def test_metadata_of_the_dataset(outcome: Outcome, one: Chosen) -> None:
    metadata, row = outcome.rucio.metadata[one.dataset], outcome.tables.obscore[one.key]
    expected = {
        "stac:collection": one.key[0],
        "stac:id": one.id,
        "stac:fingerprint": outcome.tables.items[one.key]["fingerprint"],
        "obs_id": one.id,
        "obs_collection": one.key[0],
        "calib_level": row["calib_level"],
        **{name: row[name] for name in ("t_min", "t_max", "em_min", "em_max", "access_estsize", "obs_publisher_did")},
    }
    found = {key: metadata.get(key) for key in expected}
    assert found == expected
    names = {asset: file["name"] for asset, file in outcome.tables.files[one.key].items()}
    assert (metadata.get("stac:asset") or {}) == names
    for key, value in one.metadata.items():
        assert metadata[key] == value, key
    assert RUCIO_COLUMNS.isdisjoint(metadata)
    assert not any("." in key for key in metadata)


def test_a_property_that_is_a_column_of_rucio_gets_another_name(outcome: Outcome) -> None:
    (one,) = (one for one in CHOSEN if one.line == 5997)
    metadata = outcome.rucio.metadata[one.dataset]
    assert [value for key, value in metadata.items() if key.endswith("version") and key != "version"] == ["5"]
    assert outcome.rucio.columns[one.dataset].get("version") is None
