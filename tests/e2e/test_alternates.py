"""Alternate assets from a real lake in what pystac-client finds at a real STAC API: from Rucio and from the mirror."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pystac
import pytest
import rasterio
import requests
from pydantic import SecretStr
from pystac_client import Client

from stac_rucio_sync.alternates import FromMirror, FromRucio, Lookup, ReplicaAlternates
from stac_rucio_sync.alternates.seen import items_in
from stac_rucio_sync.errors import FatalError, TransientError
from stac_rucio_sync.locality import Locality
from stac_rucio_sync.model import HeldFile, HeldItem, ItemKey
from stac_rucio_sync.settings import Database, Settings
from stac_rucio_sync.stores.tables.mirror import Mirror
from tests.conftest import RunningLake
from tests.e2e.annotated import SITES, Annotated, running_annotated, serving
from tests.ports import free_port
from tests.stac_schemas import check_alternates

LOOKUPS: dict[str, Callable[[Settings], Lookup]] = {"mirror": FromMirror, "rucio": FromRucio}


@pytest.fixture(scope="module")
def annotated(lake: RunningLake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Annotated]:
    with running_annotated(lake, tmp_path_factory.mktemp("annotated")) as running:
        yield running


@pytest.fixture(params=LOOKUPS)
def lookup(request: pytest.FixtureRequest, annotated: Annotated) -> Iterator[Lookup]:
    made = LOOKUPS[request.param](annotated.settings_as("alice"))
    yield made
    made.close()


def as_dict(item: pystac.Item) -> dict[str, Any]:
    return item.to_dict(include_self_link=False, transform_hrefs=False)


def origin_of(annotated: Annotated) -> str:
    """Return the RSE that stands for the archive's own server."""
    port = annotated.lake.facts["origin_url"].rpartition(":")[2]
    return f"HTTP-127_0_0_1-{port}"


# --------------------------------------------------------------------------------------------------- by pystac-client


@pytest.mark.parametrize("site", SITES.values())
def test_a_search_gives_the_replicas_nearest_first(annotated: Annotated, lookup: Lookup, site: str) -> None:
    client = Client.open(annotated.api, modifier=ReplicaAlternates(lookup, site=site))
    items = {ItemKey(str(item.collection_id), item.id): item for item in client.search(limit=4).items()}
    assert set(items) == {*annotated.copied, *annotated.others}
    for key in annotated.copied:
        check_alternates(as_dict(items[key]))
        alternates = items[key].assets["visual"].extra_fields["alternate"]
        assert SITES[next(iter(alternates))] == site
        assert set(alternates) == {*SITES, origin_of(annotated)}
        assert list(alternates)[-1] == origin_of(annotated)
    for key in annotated.others:
        for asset in items[key].assets.values():
            assert list(asset.extra_fields.get("alternate", {})) in ([origin_of(annotated)], [])


def test_all_roads_of_pystac_client_give_the_same(annotated: Annotated, lookup: Lookup) -> None:
    client = Client.open(annotated.api, modifier=ReplicaAlternates(lookup, site="sydney", prefer="nearest"))
    key = annotated.copied[0]
    search = client.search(collections=[key.collection], ids=[key.id])
    collection = client.get_collection(key.collection)
    assert collection is not None
    got = collection.get_item(key.id)
    assert got is not None
    found = {
        "items": as_dict(next(search.items())),
        "items_as_dicts": next(search.items_as_dicts()),
        "pages": as_dict(next(search.pages()).items[0]),
        "item_collection": as_dict(search.item_collection().items[0]),
        "items of the collection": as_dict(next(one for one in collection.get_items() if one.id == key.id)),
        "get_item": as_dict(got),
    }
    for item in found.values():
        check_alternates(item)
        assert item["assets"] == found["get_item"]["assets"]
        assert list(item["assets"]["visual"]["alternate"]) == list(found["get_item"]["assets"]["visual"]["alternate"])
    assert found["get_item"]["assets"]["visual"]["alternate:name"] == "SYDNEY-DISK"
    assert all("alternate" not in str(one.to_dict()) for one in client.get_collections())


def test_a_page_is_one_look_up(annotated: Annotated) -> None:
    lookup = FromRucio(annotated.settings_as("alice"))
    modifier = ReplicaAlternates(lookup)
    page = {"type": "FeatureCollection", "features": copy.deepcopy(list(annotated.items))}
    modifier(copy.deepcopy(page))
    before = lookup.requests
    modifier(page)
    assert lookup.requests == before + 1
    lookup.close()


def test_the_mirror_and_rucio_say_the_same(annotated: Annotated) -> None:
    page = {"features": list(annotated.items)}
    held = {}
    for name, make in LOOKUPS.items():
        lookup = make(annotated.settings)
        held[name] = {key: comparable(item) for key, item in lookup.held(items_in(page, annotated.settings)).items()}
        lookup.close()
    assert set(held["rucio"]) == {*annotated.copied, *annotated.others}
    assert held["mirror"] == held["rucio"]


def comparable(item: HeldItem) -> HeldItem:
    """Return an item without what Rucio does not know, its replicas in one order."""
    return replace(item, dataproduct_type=None, links=(), did_links=(), files=tuple(map(ordered, item.files)))


def ordered(file: HeldFile) -> HeldFile:
    return replace(file, replicas=tuple(sorted(file.replicas, key=lambda one: one.rse)))


def test_the_order_is_that_of_the_one_policy(annotated: Annotated, lookup: Lookup) -> None:
    """As DataLink has it: `View.ranked` of what the mirror holds."""
    url = annotated.settings.database.reader_url
    assert url is not None
    mirror = Mirror.open(url.get_secret_value())
    where = {"latitude": -37.8, "longitude": 145.0}
    locality = Locality(annotated.settings.locality, mirror.topology())
    view = locality.seen_from(locality.place(latitude=-37.8, longitude=145.0))
    for held in mirror.held_items(annotated.copied).values():
        item = next(one for one in annotated.items if ItemKey(one["collection"], one["id"]) == held.key)
        found = copy.deepcopy(item)
        ReplicaAlternates(lookup, **where)(found)  # type: ignore[arg-type] # coordinates
        for file in held.files:
            assert list(found["assets"][file.asset]["alternate"]) == [
                one.replica.rse for one in view.ranked(file.replicas)
            ]
    mirror.close()


# ------------------------------------------------------------------------------------------------------------- readers


def test_readers_that_know_nothing_of_alternates_read_the_near_copy(annotated: Annotated, lookup: Lookup) -> None:
    """odc-stac and stackstac give `asset.href` to rasterio."""
    key = annotated.copied[0]
    client = Client.open(annotated.api, modifier=ReplicaAlternates(lookup, site="san-francisco", prefer="nearest"))
    asset = next(client.search(ids=[key.id], collections=[key.collection]).items()).assets["visual"]
    assert asset.href.startswith(annotated.lake.facts["rses"]["SANFRANCISCO-DISK"]["url"])
    origin = asset.extra_fields["alternate"]["origin"]["href"]
    assert origin.startswith(annotated.lake.facts["origin_url"])
    with rasterio.open(asset.href) as copied, rasterio.open(origin) as original:
        assert (copied.read() == original.read()).all()
        assert copied.profile == original.profile
    assert requests.get(asset.href, timeout=10).content == requests.get(origin, timeout=60).content


def test_the_documented_examples_work(
    annotated: Annotated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAC_RUCIO_SYNC_RUCIO__CONFIG", annotated.lake.facts["accounts"]["alice"])
    monkeypatch.setenv("STAC_RUCIO_SYNC_RUCIO__ACCOUNT", "alice")
    monkeypatch.setenv("STAC_RUCIO_SYNC_IDENTITY__SCOPE", annotated.settings.identity.scope)
    page = (Path(__file__).parents[2] / "docs" / "alternates.md").read_text()
    here: dict[str, Any] = {}
    page = page.replace("https://stac.example.org/v1", annotated.api).replace('"scenes"', '"near-scenes"')
    for example in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(example, here)  # noqa: S102 - the documentation's own
    *listed, preferred = capsys.readouterr().out.splitlines()
    assert len(listed) >= len(annotated.copied) * len(SITES)
    near, far = (annotated.lake.facts["rses"]["SYDNEY-DISK"]["url"], annotated.lake.facts["origin_url"])
    assert re.fullmatch(f"{near}/\\S+ instead of {far}/\\S+", preferred)


# ------------------------------------------------------------------------------------------------------------ failures


def test_a_database_that_does_not_answer_is_said(annotated: Annotated) -> None:
    nowhere = Database(reader_url=SecretStr(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"))
    lookup = FromMirror(annotated.settings.model_copy(update={"database": nowhere}))
    item = copy.deepcopy(annotated.items[0])
    with pytest.raises(TransientError, match="replicas of 1 items could not be looked up"):
        ReplicaAlternates(lookup)(item)
    with pytest.warns(UserWarning, match="none is annotated"):
        ReplicaAlternates(lookup, on_error="warn")(item)
    assert item == annotated.items[0]


def test_a_rucio_that_does_not_answer_is_said(annotated: Annotated, tmp_path: Path) -> None:
    config = Path(annotated.lake.facts["accounts"]["alice"]).read_text()
    elsewhere = tmp_path / "rucio.cfg"
    elsewhere.write_text(config.replace(annotated.lake.facts["rucio_url"], f"http://127.0.0.1:{free_port()}"))
    settings = annotated.settings_as("alice")
    settings = settings.model_copy(update={"rucio": settings.rucio.model_copy(update={"config": elsewhere})})
    with pytest.raises(TransientError, match="replicas of 1 items could not be looked up"):
        ReplicaAlternates(FromRucio(settings))(copy.deepcopy(annotated.items[0]))


def test_wrong_credentials_are_fatal(annotated: Annotated, tmp_path: Path) -> None:
    config = Path(annotated.lake.facts["accounts"]["alice"]).read_text()
    wrong = tmp_path / "rucio.cfg"
    wrong.write_text(config.replace("alice", "mallory"))
    settings = annotated.settings_as("alice")
    rucio = settings.rucio.model_copy(update={"config": wrong, "account": None})
    with pytest.raises(FatalError, match="replicas of 1 items could not be looked up"):
        ReplicaAlternates(FromRucio(settings.model_copy(update={"rucio": rucio})))(copy.deepcopy(annotated.items[0]))


# --------------------------------------------------------------------------------------------------------------- proxy


@contextmanager
def proxy(annotated: Annotated, folder: Path, *options: str) -> Iterator[str]:
    """Run the command, with the client's network in Sydney and a trusted proxy before it."""
    file, port = folder / "settings.toml", free_port()
    file.write_text(
        f'[identity]\nscope = "{annotated.settings.identity.scope}"\n'
        '[locality]\ntrusted_proxies = ["127.0.0.1/32"]\n'
        'networks = { "192.0.2.0/24" = "sydney", "198.51.100.0/24" = "vienna" }\n'
    )
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "--settings", str(file), "--home", str(annotated.lake.home)]
    with serving([*command, "stac-proxy", annotated.api, "--port", str(port), *options], port, folder / "log") as url:
        yield url


def test_the_proxy_gives_each_client_what_is_near_to_it(annotated: Annotated, tmp_path: Path) -> None:
    with proxy(annotated, tmp_path, "--prefer", "nearest") as url:
        for address, site in (("192.0.2.7", "sydney"), ("198.51.100.1", "vienna")):
            client = Client.open(url, headers={"X-Forwarded-For": address})
            for method in ("GET", "POST"):
                items = list(client.search(method=method, limit=4).items())
                assert len(items) == len(annotated.items)
                for item in items:
                    if ItemKey(str(item.collection_id), item.id) in annotated.copied:
                        check_alternates(as_dict(item))
                        assert SITES[item.assets["visual"].extra_fields["alternate:name"]] == site
        _check_all_but_items(annotated.api, url)


def _check_all_but_items(api: str, url: str) -> None:
    """See that everything else is as the API says it, but for links that lead back to the proxy."""
    for path in ("/", "/conformance", "/collections", "/collections/near-scenes", "/api.html", "/none"):
        asked, through = requests.get(api + path, timeout=10), requests.get(url + path, timeout=60)
        media_type = asked.headers.get("Content-Type", "")
        assert (through.status_code, through.headers.get("Content-Type", "")) == (asked.status_code, media_type)
        if "json" in media_type and asked.ok:
            assert through.json() == orjson.loads(asked.text.replace(api, url))
        else:
            assert through.content == asked.content
    item = requests.get(f"{url}/collections/near-scenes/items", timeout=60)
    assert item.headers["Cache-Control"] == "private, no-store"
    assert requests.head(f"{url}/search", timeout=60).status_code == 200
    assert requests.delete(f"{url}/search", timeout=60).status_code == 405
    assert requests.post(f"{url}/search", data=b"{" * 5_000_000, timeout=60).status_code == 413
    refused = requests.get(f"{url}/a/%2e%2e/search", timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (404, "NotFound")
