from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.locality import Locality
from stac_rucio_sync.model.held import Place, Topology
from stac_rucio_sync.settings import Coordinates
from stac_rucio_sync.settings import Locality as Settings
from tests.unit.three_sites import RSES, SAN_FRANCISCO, SYDNEY, TOPOLOGY, VIENNA, disk, write_locations

SETTINGS = Settings(
    networks={"192.0.2.0/24": "vienna", "2001:db8:1::/48": "sydney", "198.51.100.0/25": "graz"},
    sites={"graz": Coordinates(latitude=47.07, longitude=15.44)},
)
LOCALITY = Locality(SETTINGS, TOPOLOGY)


def test_of_a_client_that_says_nothing_nothing_is_known() -> None:
    assert LOCALITY.place() == Place()
    assert LOCALITY.place(site="", rse=" ", address="") == Place()
    assert LOCALITY.place(address="203.0.113.1") == Place()


def test_a_site_is_where_its_rse_is() -> None:
    assert LOCALITY.place(site="vienna") == Place("vienna", None, *VIENNA, "SITE")
    assert LOCALITY.place(site=" San-Francisco ") == Place("san-francisco", None, *SAN_FRANCISCO, "SITE")


def test_a_site_without_an_rse_is_where_the_settings_say() -> None:
    assert LOCALITY.place(site="GRAZ") == Place("graz", None, 47.07, 15.44, "SITE")


def test_the_settings_know_better_than_an_rse_where_a_site_is() -> None:
    locality = Locality(Settings(sites={"Vienna": Coordinates(latitude=0, longitude=0)}), TOPOLOGY)
    assert locality.place(site="vienna") == Place("Vienna", None, 0, 0, "SITE")


def test_an_rse_is_a_place() -> None:
    assert LOCALITY.place(rse="SYDNEY-DISK") == Place("sydney", "SYDNEY-DISK", *SYDNEY, "RSE")
    assert LOCALITY.place(rse=" sydney-disk") == Place("sydney", "SYDNEY-DISK", *SYDNEY, "RSE")


def test_an_rse_with_one_coordinate_is_where_its_site_is() -> None:
    topology = Topology(RSES | {"A": disk("A", "vienna", (1.0, None)), "B": disk("B", None, (None, 1.0))})
    locality = Locality(SETTINGS, topology)
    assert locality.place(rse="A") == Place("vienna", "A", *VIENNA, "RSE")
    assert locality.place(rse="B") == Place(None, "B", None, None, "RSE")
    assert locality.place(site="vienna").latitude == VIENNA[0]


@pytest.mark.parametrize("point", [(float("nan"), 1.0), (91.0, 1.0), (1.0, 181.0), (float("inf"), 0.0)])
def test_an_rse_with_impossible_coordinates_has_none(point: tuple[float, float]) -> None:
    locality = Locality(Settings(), Topology({"A": disk("A", "somewhere", point)}))
    assert locality.place(site="somewhere") == Place("somewhere", None, None, None, "SITE")


def test_an_unknown_site_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'atlantis'; there are graz, san-francisco, sydney, vienna"):
        LOCALITY.place(site="atlantis")
    with pytest.raises(UsageError, match="there is none"):
        Locality(Settings(), Topology({})).place(site="atlantis")


def test_an_unknown_rse_is_refused() -> None:
    with pytest.raises(UsageError, match="'ATLANTIS-DISK'"):
        LOCALITY.place(rse="ATLANTIS-DISK")


def test_coordinates_are_a_place() -> None:
    assert LOCALITY.place(latitude=48.2, longitude=16.4) == Place(None, None, 48.2, 16.4, "LAT and LON")


def test_zero_zero_is_a_real_place() -> None:
    assert LOCALITY.place(latitude=0, longitude=0) == Place(None, None, 0, 0, "LAT and LON")


def test_half_a_coordinate_is_refused_even_beside_a_site() -> None:
    with pytest.raises(UsageError, match="longitude is missing"):
        LOCALITY.place(latitude=0.0)
    with pytest.raises(UsageError, match="latitude is missing"):
        LOCALITY.place(site="vienna", longitude=0.0)


@pytest.mark.parametrize("point", [(90.1, 0), (-91, 0), (0, 180.1), (0, -200), (float("nan"), 0), (0, float("inf"))])
def test_coordinates_out_of_range_are_refused(point: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="is no place"):
        LOCALITY.place(latitude=point[0], longitude=point[1])


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_every_point_of_the_earth_is_a_place(latitude: float, longitude: float) -> None:
    place = LOCALITY.place(latitude=latitude, longitude=longitude)
    assert (place.latitude, place.longitude) == (latitude, longitude)


def test_a_site_goes_before_an_rse_before_coordinates_before_an_address() -> None:
    said: dict[str, Any] = {
        "site": "vienna",
        "rse": "SYDNEY-DISK",
        "latitude": 1.0,
        "longitude": 2.0,
        "address": "2001:db8:1::1",
    }
    told = []
    for leave_out in ((), ("site",), ("rse",), ("latitude", "longitude")):
        said = {name: value for name, value in said.items() if name not in leave_out}
        told.append(LOCALITY.place(**said).told_by)
    assert told == ["SITE", "RSE", "LAT and LON", "the network 2001:db8:1::/48"]


def test_coordinates_beside_a_site_say_where_the_client_is_at_it() -> None:
    assert LOCALITY.place(site="vienna", latitude=0, longitude=0) == Place("vienna", None, 0, 0, "SITE")


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", " 192.0.2.255 "])
def test_an_address_is_at_the_site_of_its_network(address: str) -> None:
    assert LOCALITY.place(address=address) == Place("vienna", None, *VIENNA, "the network 192.0.2.0/24")


@pytest.mark.parametrize("address", ["vienna", "192.0.2", "192.0.2.1:80", "<x>"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is no IPv4 or IPv6 address"):
        LOCALITY.place(address=address)


def test_a_wrong_network_is_named_when_the_settings_are_read() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.0/99"):
        Locality(Settings(networks={"192.0.2.0/99": "vienna"}), TOPOLOGY)


# Files in MaxMind's format


def located(path: Path, **settings: object) -> Locality:
    return Locality(Settings.model_validate({"maxmind": path} | settings), TOPOLOGY)


def test_a_file_tells_where_an_address_is(tmp_path: Path) -> None:
    path = write_locations(tmp_path / "city.mmdb", {"203.0.113.0/24": SAN_FRANCISCO, "2001:db8:2::/48": (0.0, 0.0)})
    locality = located(path)
    assert locality.place(address="203.0.113.9") == Place(None, None, *SAN_FRANCISCO, "the MaxMind file")
    assert locality.place(address="::ffff:203.0.113.9").latitude == SAN_FRANCISCO[0]
    assert locality.place(address="2001:db8:2::1") == Place(None, None, 0, 0, "the MaxMind file")
    assert locality.place(address="8.8.8.8") == Place()


def test_a_network_goes_before_the_file_which_says_what_the_site_does_not(tmp_path: Path) -> None:
    path = write_locations(tmp_path / "city.mmdb", {"203.0.113.0/24": SAN_FRANCISCO})
    locality = located(path, networks={"203.0.113.0/25": "vienna", "203.0.113.128/25": "unlocated"})
    assert locality.place(address="203.0.113.9") == Place("vienna", None, *VIENNA, "the network 203.0.113.0/25")
    told_by = "the network 203.0.113.128/25"
    assert locality.place(address="203.0.113.200") == Place("unlocated", None, *SAN_FRANCISCO, told_by)


@pytest.mark.parametrize(
    "record",
    [
        {"country": {"iso_code": "AT"}},
        {"location": {"latitude": 48.2}},
        {"location": {"latitude": "48.2", "longitude": "16.3"}},
        {"location": {"latitude": 148.2, "longitude": 16.3}},
        {"location": "Vienna"},
        "Vienna",
    ],
)
def test_a_record_without_a_location_tells_nothing(tmp_path: Path, record: object) -> None:
    path = write_locations(tmp_path / "odd.mmdb", {"203.0.113.0/24": record})
    assert located(path).place(address="203.0.113.9") == Place()


def test_an_ipv4_file_says_nothing_of_ipv6(tmp_path: Path) -> None:
    path = write_locations(tmp_path / "v4.mmdb", {"203.0.113.0/24": SYDNEY}, ip_version=4)
    assert located(path).place(address="2001:db8::1") == Place()
    assert located(path).place(address="203.0.113.9").latitude == SYDNEY[0]


def test_a_replaced_file_is_read_anew_also_while_it_is_asked(tmp_path: Path) -> None:
    path = write_locations(tmp_path / "city.mmdb", {"203.0.113.0/24": SAN_FRANCISCO})
    locality = located(path)
    stop, seen = threading.Event(), set()

    def ask() -> None:
        while not stop.is_set():
            seen.add(locality.place(address="203.0.113.9").latitude)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(20):
            for point in (SYDNEY, VIENNA):
                os.replace(write_locations(tmp_path / "new.mmdb", {"203.0.113.0/24": point}), path)  # noqa: PTH105
                assert locality.place(address="203.0.113.9") == Place(None, None, *point, "the MaxMind file")
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert seen <= {SAN_FRANCISCO[0], SYDNEY[0], VIENNA[0]}


def test_a_replacement_that_cannot_be_read_leaves_the_old_file_in_use(tmp_path: Path) -> None:
    path = write_locations(tmp_path / "city.mmdb", {"203.0.113.0/24": SYDNEY})
    locality = located(path)
    (tmp_path / "broken").write_bytes(b"half a download")
    (tmp_path / "broken").replace(path)
    assert locality.place(address="203.0.113.9").latitude == SYDNEY[0]
    path.unlink()
    assert locality.place(address="203.0.113.9").latitude == SYDNEY[0]
    assert located(path).place(address="203.0.113.9").latitude == SYDNEY[0]  # once for the process
    write_locations(path, {"203.0.113.0/24": VIENNA})
    assert locality.place(address="203.0.113.9").latitude == VIENNA[0]


def test_a_file_that_cannot_be_read_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"maxmind.*none\.mmdb"):
        located(tmp_path / "none.mmdb")
    (tmp_path / "junk.mmdb").write_bytes(b"junk")
    with pytest.raises(UsageError, match=r"maxmind.*junk\.mmdb"):
        located(tmp_path / "junk.mmdb")
