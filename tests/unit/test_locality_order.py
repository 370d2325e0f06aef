from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stac_rucio_sync.locality import Locality, Ranked, View, great_circle_km
from stac_rucio_sync.model.found import Replica, Rse
from stac_rucio_sync.model.held import Place, Topology
from stac_rucio_sync.settings import Coordinates
from stac_rucio_sync.settings import Locality as Settings
from tests.unit.three_sites import DID, REPLICAS, RSES, SAN_FRANCISCO, SYDNEY, TOPOLOGY, VIENNA, disk, replica

HALF_ROUND_KM = math.pi * 6371.0

points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def view(
    topology: Topology = TOPOLOGY, settings: Settings | None = None, place: Place | None = None, **said: Any
) -> View:
    locality = Locality(settings or Settings(), topology)
    return locality.seen_from(place or locality.place(**said))


def order(seen: View, replicas: tuple[Replica, ...] = REPLICAS) -> list[str]:
    return [ranked.replica.rse.removesuffix("-DISK") for ranked in seen.ranked(replicas)]


@pytest.mark.parametrize(
    ("said", "nearest_first"),
    [
        ({"site": "vienna"}, ["VIENNA", "SANFRANCISCO", "SYDNEY"]),
        ({"site": "SYDNEY"}, ["SYDNEY", "SANFRANCISCO", "VIENNA"]),
        ({"rse": "SANFRANCISCO-DISK"}, ["SANFRANCISCO", "VIENNA", "SYDNEY"]),
        ({"latitude": 47.8, "longitude": 13.0}, ["VIENNA", "SANFRANCISCO", "SYDNEY"]),
        ({"latitude": -41.3, "longitude": 174.8}, ["SYDNEY", "SANFRANCISCO", "VIENNA"]),
        ({"latitude": 35.7, "longitude": 139.7}, ["SYDNEY", "SANFRANCISCO", "VIENNA"]),
        ({"latitude": 19.9, "longitude": -155.6}, ["SANFRANCISCO", "SYDNEY", "VIENNA"]),
        ({"latitude": 64.1, "longitude": -21.9}, ["VIENNA", "SANFRANCISCO", "SYDNEY"]),
    ],
)
def test_the_nearest_is_first(said: dict[str, Any], nearest_first: list[str]) -> None:
    assert order(view(**said)) == nearest_first


def test_without_a_place_the_order_is_by_name() -> None:
    assert order(view()) == ["SANFRANCISCO", "SYDNEY", "VIENNA"]


def test_the_same_site_is_nearer_than_any_distance() -> None:
    rses = {"A": disk("A", "Vienna", (None, None)), "B": disk("B", "brno", (48.2, 16.3))}
    seen = view(Topology(rses, {("B", "A"): 0}), site="VIENNA", latitude=48.2, longitude=16.3)
    assert [ranked.same_site for ranked in seen.ranked((replica("B"), replica("A")))] == [True, False]


def test_the_clients_own_rse_is_nearer_than_another_of_its_site() -> None:
    topology = Topology({name: disk(name, "vienna", VIENNA) for name in "ABC"}, {("A", "B"): 0, ("C", "B"): 1})
    assert order(view(topology, rse="B"), (replica("C"), replica("A"), replica("B"))) == ["B", "A", "C"]


def test_an_rse_without_a_site_is_still_its_clients_own() -> None:
    seen = view(Topology(RSES | {"LONE": disk("LONE")}), rse="LONE")
    ranked = seen.ranked((*REPLICAS, replica("LONE")))
    assert (ranked[0].replica.rse, ranked[0].same_site) == ("LONE", True)


def test_a_declared_distance_goes_before_the_great_circle() -> None:
    declared = {("SYDNEY-DISK", "VIENNA-DISK"): 2, ("SANFRANCISCO-DISK", "VIENNA-DISK"): 3}
    ranked = view(Topology(RSES, declared), site="vienna").ranked(REPLICAS)
    assert [one.declared for one in ranked] == [None, 2, 3]
    assert [one.replica.rse for one in ranked][1:] == ["SYDNEY-DISK", "SANFRANCISCO-DISK"]


def test_a_declared_distance_of_zero_is_the_smallest() -> None:
    declared = {("SYDNEY-DISK", "VIENNA-DISK"): 0, ("SANFRANCISCO-DISK", "VIENNA-DISK"): 1}
    assert order(view(Topology(RSES, declared), site="vienna")) == ["VIENNA", "SYDNEY", "SANFRANCISCO"]
    assert view(Topology(RSES, declared), site="vienna").ranked((replica("SYDNEY-DISK"),))[0].declared == 0


def test_what_is_declared_goes_before_what_is_not() -> None:
    assert order(view(Topology(RSES, {("SYDNEY-DISK", "VIENNA-DISK"): 99_999}), site="vienna"))[1] == "SYDNEY"


def test_distances_count_in_the_way_that_files_take() -> None:
    """Rucio declares (source, destination); the client's RSE is the destination."""
    declared = {
        ("SYDNEY-DISK", "VIENNA-DISK"): 1,
        ("VIENNA-DISK", "SYDNEY-DISK"): 9,
        ("VIENNA-DISK", "SANFRANCISCO-DISK"): 5,
    }
    ranked = view(Topology(RSES, declared), site="vienna").ranked(REPLICAS)
    assert [(one.replica.rse, one.declared) for one in ranked[1:]] == [("SYDNEY-DISK", 1), ("SANFRANCISCO-DISK", 5)]


def test_the_smallest_distance_to_any_rse_of_the_clients_site_counts() -> None:
    rses = RSES | {"VIENNA-TWO": disk("VIENNA-TWO", "VIENNA")}
    declared = {
        ("SYDNEY-DISK", "VIENNA-DISK"): 7,
        ("SYDNEY-DISK", "VIENNA-TWO"): 1,
        ("SANFRANCISCO-DISK", "VIENNA-DISK"): 2,
    }
    assert order(view(Topology(rses, declared), site="vienna")) == ["VIENNA", "SYDNEY", "SANFRANCISCO"]
    assert order(view(Topology(rses, declared), rse="VIENNA-DISK")) == ["VIENNA", "SANFRANCISCO", "SYDNEY"]


def test_an_rse_is_at_no_distance_from_itself() -> None:
    ranked = view(Topology(RSES, {("VIENNA-DISK", "VIENNA-DISK"): 5}), site="vienna").ranked(REPLICAS)
    assert {one.declared for one in ranked} == {None}


def test_declared_distances_say_nothing_to_a_client_who_is_at_no_site() -> None:
    declared = {("SYDNEY-DISK", "VIENNA-DISK"): 0}
    ranked = view(Topology(RSES, declared), latitude=VIENNA[0], longitude=VIENNA[1]).ranked(REPLICAS)
    assert {one.declared for one in ranked} == {None}


def test_unknown_coordinates_go_behind_known_ones() -> None:
    rses = RSES | {"A": disk("A"), "B": disk("B", None, (48.0, None)), "C": disk("C", None, (float("nan"), 0.0))}
    seen = view(Topology(rses), latitude=VIENNA[0], longitude=VIENNA[1])
    replicas = (*map(replica, "CBA"), *REPLICAS, replica("UNKNOWN"))
    assert order(seen, replicas) == ["VIENNA", "SANFRANCISCO", "SYDNEY", "A", "B", "C", "UNKNOWN"]
    assert [one.distance_km for one in seen.ranked(replicas)][3:] == [None] * 4


def test_an_rse_of_a_site_of_the_settings_lies_there() -> None:
    topology = Topology({"A": disk("A", "Graz"), "B": disk("B", None, SYDNEY)})
    settings = Settings(sites={"graz": Coordinates(latitude=47.07, longitude=15.44)})
    ranked = view(topology, settings, latitude=VIENNA[0], longitude=VIENNA[1]).ranked((replica("B"), replica("A")))
    assert ranked[0].replica.rse == "A"
    assert ranked[0].distance_km == pytest.approx(145, abs=3)


def test_an_rse_at_zero_zero_is_a_place_like_another() -> None:
    topology = Topology({"A": disk("A", "null-island", (0.0, 0.0)), "B": disk("B", None, (10.0, 10.0))})
    for said in ({"latitude": 0, "longitude": 0}, {"site": "null-island"}, {"latitude": 1.0, "longitude": -1.0}):
        ranked = view(topology, **said).ranked((replica("B"), replica("A")))
        assert ranked[0].replica.rse == "A"
        assert all(one.distance_km is not None for one in ranked)


def test_disk_goes_before_tape_even_at_the_clients_site() -> None:
    rses = RSES | {"VIENNA-TAPE": replace(disk("VIENNA-TAPE", "vienna", VIENNA), rse_type="TAPE")}
    ranked = view(Topology(rses), site="vienna").ranked((replica("VIENNA-TAPE"), *REPLICAS[1:]))
    assert [one.replica.rse for one in ranked][-1] == "VIENNA-TAPE"
    assert ranked[-1].readable


@pytest.mark.parametrize(
    "state", ["COPYING", "UNAVAILABLE", "TEMPORARY_UNAVAILABLE", "BEING_DELETED", "BAD", "NEW-WORD"]
)
def test_what_is_not_available_goes_behind_tape(state: str) -> None:
    rses = RSES | {"TAPE": replace(disk("TAPE", None, SYDNEY), rse_type="TAPE")}
    ranked = view(Topology(rses), site="vienna").ranked((replica("VIENNA-DISK", state=state), replica("TAPE")))
    assert [(one.replica.rse, one.readable) for one in ranked] == [("TAPE", True), ("VIENNA-DISK", False)]
    assert ranked[1].why_not


def test_an_rse_that_is_closed_for_reading_goes_last() -> None:
    rses = RSES | {"VIENNA-DISK": replace(RSES["VIENNA-DISK"], available_read=False)}
    ranked = view(Topology(rses), site="vienna").ranked(REPLICAS)
    assert ranked[-1].replica.rse == "VIENNA-DISK"
    assert ranked[-1].why_not == "VIENNA-DISK is closed for reading"


def test_what_http_clients_cannot_open_goes_last() -> None:
    replicas = (replica("VIENNA-DISK", "root://vienna.example.org//m31.fits"), replica("SYDNEY-DISK"))
    ranked = view(site="vienna").ranked(replicas)
    assert [(one.replica.rse, one.url is None, one.readable) for one in ranked] == [
        ("SYDNEY-DISK", False, True),
        ("VIENNA-DISK", True, False),
    ]
    gateways = Settings(gateways={"VIENNA-DISK": "https://gate.example.org"})
    assert view(settings=gateways, site="vienna").ranked(replicas)[0].url == "https://gate.example.org/m31.fits"


def test_of_one_rse_the_preferred_scheme_is_first() -> None:
    replicas = tuple(replica("VIENNA-DISK", f"{scheme}://a.example.org/x") for scheme in ("root", "dav", "davs"))
    assert [one.url for one in view().ranked(replicas)] == ["https://a.example.org/x", "http://a.example.org/x", None]
    http_first = view(settings=Settings(schemes=("http", "https"))).ranked(replicas)
    assert http_first[0].url == "http://a.example.org/x"


def test_an_rse_that_the_mirror_does_not_know_is_readable_but_unplaced() -> None:
    ranked = view(site="vienna").ranked((replica("NEW-DISK"),))
    assert ranked[0] == Ranked(replica("NEW-DISK"), None, replica("NEW-DISK").pfn, True, None, None, None, None, False)


def test_a_client_next_to_an_rse_that_is_gone_is_where_its_place_says() -> None:
    place = Place(None, "GONE-DISK", *SYDNEY, "RSE")
    assert order(view(place=place))[0] == "SYDNEY"
    assert order(view(place=Place(None, "GONE-DISK", told_by="RSE"))) == ["SANFRANCISCO", "SYDNEY", "VIENNA"]


def test_no_replicas_no_ranks() -> None:
    assert view(site="vienna").ranked(()) == ()


# Properties

rse_names = st.sampled_from([f"RSE-{letter}" for letter in "ABCDEF"])
rses = st.builds(
    Rse,
    rse=st.just(""),
    deterministic=st.just(True),
    rse_type=st.sampled_from(["DISK", "DISK", "TAPE"]),
    available_read=st.sampled_from([True, True, False]),
    site=st.sampled_from([None, "vienna", "Vienna", "sydney"]),
    latitude=st.one_of(st.none(), st.sampled_from([0.0, 90.0, -90.0, 48.2])),
    longitude=st.one_of(st.none(), st.sampled_from([0.0, 180.0, -180.0, 16.3])),
)
topologies = st.builds(
    lambda drawn, distances: Topology({name: replace(rse, rse=name) for name, rse in drawn.items()}, distances),
    st.dictionaries(rse_names, rses, max_size=6),
    st.dictionaries(st.tuples(rse_names, rse_names), st.integers(0, 3), max_size=8),
)
places = st.builds(
    Place,
    site=st.sampled_from([None, "vienna", "SYDNEY", "atlantis"]),
    rse=st.one_of(st.none(), rse_names),
    latitude=st.one_of(st.none(), st.floats(-90, 90)),
    longitude=st.one_of(st.none(), st.floats(-180, 180)),
)
replicas_of_a_file = st.lists(
    st.builds(
        Replica,
        did=st.just(DID),
        rse=rse_names,
        pfn=st.sampled_from([f"{scheme}://a.example.org/{n}" for scheme in ("https", "davs", "root") for n in "12"]),
        state=st.sampled_from(["AVAILABLE", "AVAILABLE", "COPYING", "BAD"]),
        needs_login=st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(st.data(), topologies, places, replicas_of_a_file)
def test_the_order_is_total_and_does_not_depend_on_how_replicas_come(
    data: st.DataObject, topology: Topology, place: Place, replicas: list[Replica]
) -> None:
    ranked = view(topology, place=place).ranked(replicas)
    assert sorted(map(repr, replicas)) == sorted(repr(one.replica) for one in ranked)
    other_way = data.draw(st.permutations(replicas))
    assert view(topology, place=place).ranked(other_way) == ranked


def in_words_of_the_policy(ranked: Ranked, place: Place) -> tuple[float, ...]:
    on_tape = ranked.rse is not None and ranked.rse.rse_type == "TAPE"
    return (
        *(not ranked.readable, on_tape, ranked.replica.rse != place.rse, not ranked.same_site),
        *(ranked.declared is None, ranked.declared or 0),
        *(ranked.distance_km is None, ranked.distance_km or 0),
    )


@settings(max_examples=60)
@given(topologies, places, replicas_of_a_file)
def test_what_comes_first_is_never_worse(topology: Topology, place: Place, replicas: list[Replica]) -> None:
    """The clauses of the policy, each by itself, for every two neighbours in the order."""
    seen = view(topology, place=place)
    ranked = seen.ranked(replicas)
    for near, far in pairwise(ranked):
        assert in_words_of_the_policy(near, place) <= in_words_of_the_policy(far, place)
    assert len(seen.explain(ranked)) == len(ranked)
    assert all((one.why_not is None) == one.readable for one in ranked)


@settings(max_examples=60)
@given(topologies, places, replicas_of_a_file, rses)
def test_an_rse_that_holds_nothing_and_is_elsewhere_changes_nothing(
    topology: Topology, place: Place, replicas: list[Replica], other: Rse
) -> None:
    more = Topology({**topology.rses, "OTHER": replace(other, rse="OTHER", site="elsewhere")}, topology.distances)
    assert view(more, place=place).ranked(replicas) == view(topology, place=place).ranked(replicas)


@given(points, points)
def test_distances_are_symmetric_and_on_the_earth(here: tuple[float, float], there: tuple[float, float]) -> None:
    distance = great_circle_km(here, there)
    assert 0 <= distance <= HALF_ROUND_KM + 1e-9
    assert distance == pytest.approx(great_circle_km(there, here), abs=1e-6)
    assert great_circle_km(here, here) == 0


@given(points)
@example((78.6, -104.0))  # rounding takes the sine beyond 1 here
def test_an_antipode_is_half_round_the_earth(here: tuple[float, float]) -> None:
    antipode = (-here[0], here[1] - 180 if here[1] > 0 else here[1] + 180)
    assert great_circle_km(here, antipode) == pytest.approx(HALF_ROUND_KM, abs=1e-3)


@given(st.floats(-180, 180), st.floats(-180, 180), st.floats(-90, 90))
def test_a_pole_is_one_point_and_the_antimeridian_is_no_edge(lon: float, other: float, lat: float) -> None:
    for pole in (90.0, -90.0):
        assert great_circle_km((pole, lon), (pole, other)) == pytest.approx(0, abs=1e-6)
        assert great_circle_km((pole, lon), (lat, other)) == pytest.approx(
            math.radians(abs(pole - lat)) * 6371, abs=1e-3
        )
    assert great_circle_km((lat, 180.0), (lat, -180.0)) == pytest.approx(0, abs=1e-6)


@given(points, points, points)
def test_the_straight_way_is_the_shortest(
    one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]
) -> None:
    assert great_circle_km(one, three) <= great_circle_km(one, two) + great_circle_km(two, three) + 1e-3


# Reasons


def test_each_replica_has_a_sentence_that_says_why() -> None:
    locality = Locality(Settings(networks={"192.0.2.0/24": "vienna"}), TOPOLOGY)
    seen = locality.seen_from(locality.place(address="192.0.2.7"))
    away = f"{great_circle_km(VIENNA, SYDNEY):,.0f}"
    assert seen.explain(seen.ranked((*REPLICAS[:2], replica("SANFRANCISCO-DISK", "root://x//y", "COPYING")))) == [
        "VIENNA-DISK: at the client's site vienna (told by the network 192.0.2.0/24)",
        f"SYDNEY-DISK: {away} km away",
        "SANFRANCISCO-DISK: 9,622 km away; cannot be read now: it is still being copied there, and HTTP clients cannot "
        "open root:// links, and no gateway stands for it",
    ]


def test_a_sentence_names_what_decided() -> None:
    rses = RSES | {
        "SYDNEY-DISK": replace(RSES["SYDNEY-DISK"], rse_type="TAPE"),
        "LONE": replace(disk("LONE"), available_read=False),
    }
    seen = view(Topology(rses, {("SANFRANCISCO-DISK", "VIENNA-DISK"): 0}), rse="VIENNA-DISK")
    replicas = (*REPLICAS, replica("LONE"), replica("NEW"))
    assert seen.explain(seen.ranked(replicas)) == [
        "VIENNA-DISK: the client's own RSE (told by RSE)",
        "SANFRANCISCO-DISK: at the declared distance 0, 9,622 km away",
        "NEW: its coordinates are not known; the mirror does not know this RSE yet",
        f"SYDNEY-DISK: {great_circle_km(VIENNA, SYDNEY):,.0f} km away; on tape, so behind all that are on disk",
        "LONE: its coordinates are not known; cannot be read now: LONE is closed for reading",
    ]
    assert view().explain(view().ranked(REPLICAS[:1])) == ["VIENNA-DISK: where the client is, is not known"]


def test_every_order_of_the_same_replicas_is_explained_alike() -> None:
    seen = view(latitude=SAN_FRANCISCO[0], longitude=SAN_FRANCISCO[1])
    assert len({tuple(seen.explain(seen.ranked(order))) for order in permutations(REPLICAS)}) == 1
