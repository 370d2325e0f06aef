"""The whole walk in a few lines, without a Rucio account: find by TAP or STAC, ask for the nearest copy, fetch it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stac_rucio_sync.errors import FatalError, TransientError, UsageError
from stac_rucio_sync.finding import Archive as Client
from stac_rucio_sync.finding import Found
from tests.e2e.archive import Archive
from tests.e2e.copies import Copies


@pytest.fixture(scope="module")
def client(archive: Archive) -> Client:
    return Client(archive.url)


@pytest.fixture(scope="module")
def found(client: Client, copies: Copies) -> Found:
    where = "obs_collection = '{collection}' AND obs_id = '{id}'".format_map(copies.item)
    return client.query("SELECT obs_publisher_did, obs_title FROM ivoa.obscore WHERE " + where)  # noqa: S608 - ours


def original(copies: Copies, asset: str) -> bytes:
    facts = copies.archive.lake.facts
    href: str = copies.item["assets"][asset]["href"]
    return (Path(facts["origin_dir"]) / href.removeprefix(facts["origin_url"] + "/")).read_bytes()


@pytest.mark.parametrize(
    ("place", "rse"),
    [
        ({"site": "vienna"}, "VIENNA-DISK"),
        ({"rse": "SYDNEY-DISK"}, "SYDNEY-DISK"),
        ({"latitude": 36.0, "longitude": -120.0}, "SANFRANCISCO-DISK"),
    ],
)
def test_from_a_query_to_the_file_from_the_nearest_site(
    found: Found, copies: Copies, tmp_path: Path, place: dict[str, str], rse: str
) -> None:
    nearest = found.nearest(**place)  # type: ignore[arg-type] # names and degrees
    [file] = nearest
    assert (file.nearest.rse, file.nearest.semantics, len(file.copies)) == (rse, "#this", 4)
    [got] = nearest.fetch(tmp_path)
    assert (got.rse, got.reason) == (rse, None)
    assert got.path is not None
    assert got.path.read_bytes() == original(copies, "image")
    [again] = nearest.fetch(tmp_path)
    assert (again.path, again.rse) == (got.path, None)


def test_from_stac_items_to_everything_that_belongs_to_them(client: Client, copies: Copies, tmp_path: Path) -> None:
    unknown = copies.item | {"id": "it's not there"}
    found = client.of_items([copies.item, unknown])
    assert (len(found), found.unknown) == (1, (f"{copies.item['collection']}/it's not there",))
    everything = found.nearest(site="sydney", semantics=None)
    got = {one.asset: one for one in everything.fetch(tmp_path)}
    for asset in ("image", "thumbnail"):
        path = got[asset].path
        assert path is not None
        assert path.read_bytes() == original(copies, asset)
        assert got[asset].rse == "SYDNEY-DISK"
    assert (got["log"].path, got["log"].reason) == (None, "it is a link, not a file of the data lake")


def test_from_a_stac_search_to_its_data_products(client: Client, archive: Archive, archive_api: str) -> None:
    found = client.search(archive_api, collections=["vo-cubes"])
    wanted = [item for item in archive.items if item["collection"] == "vo-cubes"]
    assert (len(found), found.unknown) == (len(wanted), ())
    assert {file.product for file in found.nearest()} == set(found.ids)
    with pytest.raises(FatalError, match="does not answer as a STAC API"):
        client.search("http://127.0.0.1:9", collections=["vo-cubes"])


def test_where_the_nearest_copy_fails_the_next_one_is_taken(found: Found, copies: Copies, tmp_path: Path) -> None:
    site = copies.archive.lake.facts["rses"]["VIENNA-DISK"]
    [file] = found.nearest(site="vienna")
    assert file.nearest.url is not None
    copy = Path(site["folder"] + file.nearest.url.removeprefix(site["url"]))
    content = copy.read_bytes()
    copy.write_bytes(b"\0" * len(content))
    try:
        [got] = found.nearest(site="vienna").fetch(tmp_path)
    finally:
        copy.write_bytes(content)
    assert got.rse not in ("VIENNA-DISK", None)
    assert got.path is not None
    assert got.path.read_bytes() == content


def test_mistakes_are_told_in_the_services_words(client: Client, found: Found) -> None:
    with pytest.raises(UsageError, match="obs_publisher_did"):
        client.query("SELECT TOP 1 obs_title FROM ivoa.obscore")
    with pytest.raises(UsageError, match="nosuch"):
        client.query("SELECT nosuch FROM ivoa.obscore")
    with pytest.raises(UsageError, match="atlantis"):
        found.nearest(site="atlantis")
    with pytest.raises(UsageError, match="no http or https URL"):
        Client("archive.example.org")
    with pytest.raises(TransientError, match="does not answer"):
        Client("http://127.0.0.1:9").query("SELECT obs_publisher_did FROM ivoa.obscore")
