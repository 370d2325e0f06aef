"""Three RSEs on three continents: every client gets the copy that is nearest to it, by each of the ways to tell where
it is, and DataLink, the alternate assets and ``explain`` agree."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import requests
from astropy.io.votable import parse_single_table
from click.testing import CliRunner
from requests.adapters import HTTPAdapter

from stac_rucio_sync.alternates import FromMirror, ReplicaAlternates
from stac_rucio_sync.cli import cli
from stac_rucio_sync.settings import ENVIRONMENT_PREFIX, Settings
from tests.e2e.archive import served
from tests.e2e.copies import Copies, rebuild_mirror
from tests.lake.rest import Account
from tests.unit.three_sites import SAN_FRANCISCO, SYDNEY, VIENNA, write_locations

NEAREST_FIRST: Final = {
    "vienna": ["VIENNA-DISK", "SANFRANCISCO-DISK", "SYDNEY-DISK"],
    "sydney": ["SYDNEY-DISK", "SANFRANCISCO-DISK", "VIENNA-DISK"],
    "san-francisco": ["SANFRANCISCO-DISK", "VIENNA-DISK", "SYDNEY-DISK"],
}
"""The RSEs as they are seen from each site: 9,622 km from Vienna to San Francisco, 11,948 from there to Sydney, 15,976
from Vienna to Sydney."""
SITES: Final = tuple(NEAREST_FIRST)

# All of 127/8 is this machine: clients can have addresses of their own.
AT_SITE: Final = {"vienna": "127.1.0.1", "sydney": "127.2.0.1", "san-francisco": "127.3.0.1"}
LOCATED: Final = {"vienna": "127.4.1.1", "sydney": "127.4.2.1", "san-francisco": "127.4.3.1"}
PROXY: Final = "127.9.0.1"
OTHER_PROXY: Final = "127.8.0.1"
BEHIND: Final = {"vienna": "192.0.2.10", "sydney": "2001:db8:2::10", "san-francisco": "203.0.113.10"}
POINTS: Final = {"vienna": VIENNA, "sydney": SYDNEY, "san-francisco": SAN_FRANCISCO}
NEARBY: Final = {"vienna": (47.80, 13.04), "sydney": (-41.29, 174.78), "san-francisco": (36.17, -115.14)}
"""Salzburg, Wellington, Las Vegas: at no site."""


class FromAddress(HTTPAdapter):
    """Asks from an address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **options)


@dataclass(frozen=True)
class Nearby:
    """The services with settings of locality, and who asks them."""

    url: str
    copies: Copies
    settings: Settings
    variables: dict[str, str]

    def links(self, *, address: str = "127.0.0.1", forwarded: str | None = None, **parameters: Any) -> list[Any]:
        """Return the rows of the image, as a client gets them."""
        with requests.Session() as client:
            client.mount("http://", FromAddress(address))
            answer = client.get(
                f"{self.url}/datalink/links",
                params={"ID": str(self.copies.did)} | parameters,
                headers={} if forwarded is None else {"X-Forwarded-For": forwarded},
                timeout=60,
            )
        assert answer.ok, answer.text
        rows = parse_single_table(BytesIO(answer.content)).to_table()
        return [row for row in rows if row["local_semantics"] == "image" and not row["service_def"]]

    def order(self, **asked: Any) -> list[str]:
        return self.without_origin(str(row["rse"]) for row in self.links(**asked))

    def without_origin(self, rses: Any) -> list[str]:
        """Return the RSEs in their order; that of the origin, which lies nowhere, has to be the last."""
        order: list[str]
        *order, last = rses
        assert last == self.copies.origin
        return order

    def alternates(self, **whereabouts: Any) -> list[str]:
        """Return the order in which the modifier writes the replicas of the image."""
        item = deepcopy(self.copies.item)
        with closing(ReplicaAlternates(FromMirror(self.settings), **whereabouts)) as modifier:
            modifier(item)
        alternates = item["assets"]["image"]["alternate"].values()
        return self.without_origin(alternate["alternate:name"] for alternate in alternates)

    def explained(self, *options: str) -> list[dict[str, Any]]:
        """Return what ``explain --json`` says of the image."""
        home = str(self.copies.archive.lake.home)
        environment = {ENVIRONMENT_PREFIX + name: value for name, value in self.variables.items()}
        arguments = ["--home", home, "explain", str(self.copies.did), "--json", *options]
        done = CliRunner().invoke(cli, arguments, env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        (image,) = [file for file in orjson.loads(done.stdout)["files"] if file["asset"] == "image"]
        replicas: list[dict[str, Any]] = image["replicas"]
        return replicas


@pytest.fixture(scope="module")
def nearby(copies: Copies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nearby]:
    folder = tmp_path_factory.mktemp("nearby")
    places = {f"{LOCATED[site]}/32": POINTS[site] for site in SITES}
    locality = {
        "networks": {f"{address}/32": site for site, address in AT_SITE.items()}
        | {"192.0.2.0/24": "vienna", "2001:db8:2::/48": "Sydney", "203.0.113.0/25": "SAN-FRANCISCO"},
        "trusted_proxies": [PROXY, "127.9.1.0/24"],
        "maxmind": str(write_locations(folder / "city.mmdb", places | {"198.51.100.0/24": SYDNEY})),
    }
    variables = {"LOCALITY": orjson.dumps(locality).decode(), "SERVICES__WORKERS": "1"}
    settings = copies.archive.lake.settings_with(identity={"scope": "vo"}, locality=locality)
    with served(copies.archive.lake, folder / "serve.log", **variables) as url:
        yield Nearby(url, copies, settings, variables)


@pytest.mark.parametrize("site", SITES)
def test_by_the_site_that_the_client_names(nearby: Nearby, site: str) -> None:
    assert nearby.order(SITE=site) == NEAREST_FIRST[site]
    assert nearby.order(SITE=site.upper()) == NEAREST_FIRST[site]
    assert nearby.order(RSE=NEAREST_FIRST[site][0]) == NEAREST_FIRST[site]


@pytest.mark.parametrize("site", SITES)
def test_by_coordinates(nearby: Nearby, site: str) -> None:
    for latitude, longitude in (POINTS[site], NEARBY[site]):
        assert nearby.order(LAT=latitude, LON=longitude)[0] == NEAREST_FIRST[site][0]
    assert nearby.order(LAT=POINTS[site][0], LON=POINTS[site][1]) == NEAREST_FIRST[site]


@pytest.mark.parametrize("site", SITES)
def test_by_the_network_of_the_clients_address(nearby: Nearby, site: str) -> None:
    assert nearby.order(address=AT_SITE[site]) == NEAREST_FIRST[site]


@pytest.mark.parametrize("site", SITES)
def test_by_the_maxmind_file(nearby: Nearby, site: str) -> None:
    assert nearby.order(address=LOCATED[site]) == NEAREST_FIRST[site]


@pytest.mark.parametrize("site", SITES)
def test_behind_a_trusted_proxy(nearby: Nearby, site: str) -> None:
    client, claimed = BEHIND[site], BEHIND["sydney" if site == "vienna" else "vienna"]
    with_port = f"[{client}]:4711" if ":" in client else f"{client}:4711"
    for forwarded in (client, f"{claimed}, {client}", f"{claimed}, {with_port}, 127.9.1.7"):
        assert nearby.order(address=PROXY, forwarded=forwarded) == NEAREST_FIRST[site]
    assert nearby.order(address=PROXY, forwarded=AT_SITE[site]) == NEAREST_FIRST[site]


@pytest.mark.parametrize("site", SITES)
def test_behind_a_proxy_that_nobody_trusts_the_client_is_the_proxy(nearby: Nearby, site: str) -> None:
    unplaced, claiming = (nearby.links(address=OTHER_PROXY, forwarded=one) for one in (None, BEHIND[site]))
    assert [row["rse"] for row in claiming] == [row["rse"] for row in unplaced]
    for claimed in BEHIND.values():
        assert nearby.order(address=AT_SITE[site], forwarded=claimed) == NEAREST_FIRST[site]


def test_the_nearest_copy_is_the_one_that_clients_fetch(nearby: Nearby) -> None:
    original = requests.get(nearby.copies.item["assets"]["image"]["href"], timeout=60).content
    for site in SITES:
        (this,) = [row for row in nearby.links(address=AT_SITE[site]) if row["semantics"] == "#this"]
        assert this["rse"] == NEAREST_FIRST[site][0]
        assert this["site"] == site
        assert requests.get(str(this["access_url"]), timeout=60).content == original


WHEREABOUTS: Final[list[dict[str, Any]]] = [
    *({"site": site} for site in SITES),
    {"rse": "SYDNEY-DISK"},
    *(
        {"latitude": latitude, "longitude": longitude}
        for latitude, longitude in (*NEARBY.values(), (0.0, 0.0), (90, 180))
    ),
    *({"address": address} for address in (*AT_SITE.values(), *LOCATED.values(), *BEHIND.values(), "198.51.100.1")),
]


@pytest.mark.parametrize("whereabouts", WHEREABOUTS, ids=lambda one: ",".join(map(str, one.values())))
def test_datalink_the_alternate_assets_and_explain_agree(nearby: Nearby, whereabouts: dict[str, Any]) -> None:
    names = {"latitude": "LAT", "longitude": "LON"}
    if "address" in whereabouts:
        linked = nearby.order(address=PROXY, forwarded=whereabouts["address"])
    else:
        linked = nearby.order(**{names.get(name, name.upper()): value for name, value in whereabouts.items()})
    options = [f"--{names.get(name, name).lower()}={value}" for name, value in whereabouts.items()]
    assert len(linked) == 3
    assert nearby.alternates(**whereabouts) == linked
    assert nearby.without_origin(one["rse"] for one in nearby.explained(*options)) == linked


def test_explain_says_why(nearby: Nearby) -> None:
    told = [one["why"] for one in nearby.explained("--address", BEHIND["vienna"])]
    assert told[0] == "VIENNA-DISK: at the client's site vienna (told by the network 192.0.2.0/24)"
    assert told[1].startswith("SANFRANCISCO-DISK: at the declared distance 9,622")
    assert told[2].startswith("SYDNEY-DISK: at the declared distance 15,976")
    assert told[3] == f"{nearby.copies.origin}: at the declared distance 20,015"
    told = [one["why"] for one in nearby.explained("--lat", "-41.29", "--lon", "174.78")]
    assert told[0] == "SYDNEY-DISK: 2,226 km away"
    assert told[3] == f"{nearby.copies.origin}: its coordinates are not known"


@pytest.fixture
def closed_vienna(nearby: Nearby) -> Iterator[None]:
    """VIENNA-DISK, closed for reading in Rucio for the time of a test."""
    archive = nearby.copies.archive
    root = Account(Path(archive.lake.facts["accounts"]["root"]))
    try:
        root.do("PUT", "rses/VIENNA-DISK", {"availability_read": False})
        rebuild_mirror(archive)
        yield
    finally:
        root.do("PUT", "rses/VIENNA-DISK", {"availability_read": True})
        rebuild_mirror(archive)


@pytest.mark.usefixtures("closed_vienna")
def test_a_client_beside_a_closed_rse_gets_the_next_nearest(nearby: Nearby) -> None:
    (*open_ones, closed) = nearby.explained("--site", "vienna")
    assert [one["rse"] for one in open_ones] == ["SANFRANCISCO-DISK", "SYDNEY-DISK", nearby.copies.origin]
    assert closed["why"] == (
        "VIENNA-DISK: at the client's site vienna (told by SITE); cannot be read now: VIENNA-DISK is closed for reading"
    )
    deadline = time.monotonic() + 60  # services ask for the state of RSEs every few seconds
    while (rows := nearby.links(SITE="vienna"))[0]["rse"] == "VIENNA-DISK":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [str(row["rse"]) for row in rows] == [one["rse"] for one in (*open_ones, closed)]
    assert rows[0]["semantics"] == "#this"
    assert not rows[-1]["access_url"]
    assert str(rows[-1]["error_message"]).startswith("TransientFault: ")
