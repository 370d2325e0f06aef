"""Which links a data product has: terms, copies, faults (DataLink 1.1 section 3.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from datalink.links import did_of
from datalink.rows import Row, RowMaker, Wishes, media_type_of
from datalink.terms import CORE, term_of_asset, term_of_relation, term_stated
from stac_rucio_sync.locality import Locality
from stac_rucio_sync.locality.links import Links
from stac_rucio_sync.model import Did, DidLink, HeldFile, HeldItem, ItemKey, Link, Replica, Rse, Topology
from stac_rucio_sync.settings import Settings

DATASET = Did("stac", "survey..tile-1")
IMAGE = Did("stac", "survey..tile-1..image.fits")
REPLICA = "http://127.0.0.1:8080/terms#replica"
RSES = {
    rse: Rse(rse, True, "DISK", True, site, latitude, longitude)
    for rse, site, latitude, longitude in (
        ("VIENNA-DISK", "vienna", 48.2, 16.4),
        ("SYDNEY-DISK", "sydney", -33.9, 151.2),
        ("SANFRANCISCO-DISK", "san-francisco", 37.8, -122.4),
    )
} | {
    "ORIGIN": Rse("ORIGIN", False, "DISK", True, origin="https://archive.example.org:443"),
    "CLOSED": Rse("CLOSED", True, "DISK", False),
}


def copy_at(rse: str, did: Did = IMAGE, **fields: Any) -> Replica:
    return replace(Replica(did, rse, f"davs://{rse.lower()}.example.org:443/{did.name}", "AVAILABLE"), **fields)


def file_of(*replicas: Replica, **fields: Any) -> HeldFile:
    made = HeldFile("image", IMAGE, 1234, None, None, "application/fits", ("data",), "An image", True, replicas)
    return replace(made, **fields)


def item_of(*files: HeldFile, links: tuple[Link, ...] = (), did_links: tuple[DidLink, ...] = ()) -> HeldItem:
    key = ItemKey("survey", "tile-1")
    return HeldItem(key, DATASET, f"ivo://example/lake?{DATASET}", "image", files, links, did_links)


def link_of(name: str, **fields: Any) -> Link:
    return replace(Link(name, f"https://example.org/{name}", None, None, (), None, "no size"), **fields)


NO_WISHES = Wishes()


def maker_of(wishes: Wishes = NO_WISHES, **settings: Any) -> RowMaker:
    made = Settings(**settings)
    locality = Locality(made.locality, Topology(RSES))
    return RowMaker(made, Links(made.locality), locality.seen_from(locality.place(site="sydney")), wishes)


def rows_of(held: HeldItem, did: Did = DATASET, wishes: Wishes = NO_WISHES, **settings: Any) -> list[Row]:
    """Return the rows of an item's files and links; those of services have tests of their own."""
    rows = maker_of(wishes, **settings).rows(str(did), did, held)
    return [row for row in rows if row.service_def is None]


THREE = (copy_at("VIENNA-DISK"), copy_at("SYDNEY-DISK"), copy_at("SANFRANCISCO-DISK"))


def test_the_nearest_copy_has_the_core_term_and_the_others_ours() -> None:
    rows = rows_of(item_of(file_of(*THREE)))
    assert [row.semantics for row in rows] == ["#this", REPLICA, REPLICA]
    assert [row.rse for row in rows] == ["SYDNEY-DISK", "SANFRANCISCO-DISK", "VIENNA-DISK"]
    assert [row.rank for row in rows] == [1, 2, 3]
    assert rows[0].access_url == f"https://sydney-disk.example.org/{IMAGE.name}"
    for row in rows:
        assert (row.id, row.error_message, row.content_length) == (str(DATASET), None, 1234)
        assert (row.content_type, row.content_qualifier) == ("application/fits", "#image")
        assert (row.local_semantics, row.state) == ("image", "AVAILABLE")
        assert (row.link_auth, row.link_authorized) == (None, None)
    assert rows[0].description == "An image, at SYDNEY-DISK (sydney)"


def test_copies_are_repeated_under_the_core_term_for_those_who_want_that() -> None:
    rows = rows_of(item_of(file_of(*THREE)), wishes=Wishes(repeat_core_term=True))
    assert [row.semantics for row in rows] == ["#this"] * 3


@pytest.mark.parametrize(
    "unreadable",
    [
        copy_at("SYDNEY-DISK", state="UNAVAILABLE"),
        copy_at("SYDNEY-DISK", state="COPYING"),
        copy_at("CLOSED"),
        *(copy_at("SYDNEY-DISK", pfn=f"{scheme}://x.example.org:1094//x") for scheme in ("root", "srm", "s3", "file")),
    ],
)
def test_a_copy_that_cannot_be_read_is_no_link(unreadable: Replica) -> None:
    readable, not_now = rows_of(item_of(file_of(unreadable, copy_at("VIENNA-DISK"))))
    assert (readable.semantics, readable.rse, readable.error_message) == ("#this", "VIENNA-DISK", None)
    assert (not_now.semantics, not_now.rse, not_now.access_url) == (REPLICA, unreadable.rse, None)
    assert not_now.error_message is not None
    assert not_now.error_message.startswith("TransientFault: ")
    assert not_now.state == unreadable.state
    (alone,) = rows_of(item_of(file_of(unreadable)))
    assert (alone.semantics, alone.access_url) == ("#this", None)
    assert alone.error_message == not_now.error_message


def test_a_gateway_makes_a_link_of_what_has_none() -> None:
    copy = copy_at("SYDNEY-DISK", pfn="root://x.example.org:1094//data/x.fits")
    (row,) = rows_of(item_of(file_of(copy)), locality={"gateways": {"SYDNEY-DISK": "https://gate.example.org/eos"}})
    assert row.access_url == "https://gate.example.org/eos/data/x.fits"


def test_a_file_without_any_copy_is_given_at_its_origin_where_that_is_known() -> None:
    (lost,) = rows_of(item_of(file_of()))
    assert lost.access_url is None
    assert lost.error_message == f"TransientFault: the lake holds no copy of {IMAGE} now"
    (found,) = rows_of(item_of(file_of(), links=(link_of("image"),)))
    assert (found.access_url, found.error_message, found.semantics) == ("https://example.org/image", None, "#this")


def test_who_may_read_is_told_where_it_is_known() -> None:
    at_origin, locked = copy_at("ORIGIN"), copy_at("ORIGIN", needs_login=True)
    assert [(row.link_auth, row.link_authorized) for row in rows_of(item_of(file_of(at_origin)))] == [("false", True)]
    assert [(row.link_auth, row.link_authorized) for row in rows_of(item_of(file_of(locked)))] == [("true", None)]


def test_a_file_that_is_asked_for_is_this_whatever_it_is_to_its_item() -> None:
    thumbnail = file_of(copy_at("VIENNA-DISK"), roles=("thumbnail",), science=False)
    assert [row.semantics for row in rows_of(item_of(thumbnail))] == ["#thumbnail"]
    (row,) = rows_of(item_of(thumbnail), IMAGE)
    assert (row.semantics, row.id, row.content_qualifier) == ("#this", str(IMAGE), None)


def test_company_has_its_own_term_and_no_product_type() -> None:
    company = file_of(*THREE, asset="flat", roles=("calibration",), science=False)
    rows = rows_of(item_of(company))
    assert [row.semantics for row in rows] == ["#calibration", REPLICA, REPLICA]
    assert {row.content_qualifier for row in rows} == {None}
    assert {row.local_semantics for row in rows} == {"flat"}


def test_assets_that_are_no_files_and_links_of_the_item_follow_the_files() -> None:
    links = (
        link_of("log", media_type="text/plain", roles=("metadata",), title="Observing log"),
        link_of("cog", media_type="image/tiff; application=geotiff"),
        link_of("tape", href="s3://bucket/key"),
        link_of("tape#https", href="https://example.org/tape", reason="its size is unknown"),
        link_of("bucket", href="s3://bucket/other"),
        link_of("nowhere", href=None),
        link_of("link:0", rel="derived_from", reason=None),
        link_of("link:1", rel="enclosure", href="s3://bucket/all", reason=None),
    )
    rows = rows_of(item_of(file_of(THREE[0], roles=()), links=links))
    found = {row.local_semantics: row for row in rows}
    assert found["log"][1:6] == ("https://example.org/log", None, "Observing log", "#documentation", "text/plain")
    assert found["cog"].semantics == "#this"
    assert found["tape"].access_url == "https://example.org/tape"
    assert found["bucket"].error_message == "FatalFault: HTTP clients cannot open s3: addresses"
    assert found["nowhere"].error_message == "FatalFault: the catalogue gives no address for it"
    assert found["link:derived_from"].semantics == "#progenitor"
    assert "link:enclosure" not in found
    assert len(rows) == 7


def test_the_settings_say_which_assets_are_the_data() -> None:
    links = (link_of("cog", media_type="image/tiff", roles=("visual",)), link_of("raw", roles=("raw",)))
    settings: dict[str, Any] = {"collections": {"survey": {"science_roles": ("raw",)}}}
    assert [row.semantics for row in rows_of(item_of(links=links), **settings)] == ["#preview", "#this"]
    assert [row.semantics for row in rows_of(item_of(links=links))] == ["#this", "#progenitor"]


def test_other_places_of_a_file_are_no_links_of_their_own() -> None:
    links = (link_of("image#s3", href="s3://bucket/key"), link_of("image#mirror"))
    assert len(rows_of(item_of(file_of(THREE[0]), links=links))) == 1


def test_links_that_the_metadata_state_are_there() -> None:
    stated = (
        DidLink("https://example.org/plot.png", "#preview-plot", "A plot", "image/png"),
        DidLink("https://example.org/x", "http://www.ivoa.net/rdf/datalink/core#bias", None, "no media type"),
        DidLink("gopher://example.org/x", None, None, None),
        DidLink("https://example.org/y", "https://example.org/terms#own", None, None),
    )
    rows = rows_of(item_of(did_links=stated))
    assert rows[0][1:6] == ("https://example.org/plot.png", None, "A plot", "#preview-plot", "image/png")
    assert (rows[1].semantics, rows[1].content_type) == ("#bias", None)
    assert rows[2].error_message == "FatalFault: HTTP clients cannot open gopher: addresses"
    assert (rows[3].semantics, rows[3].description) == ("https://example.org/terms#own", "own")


def test_a_file_that_can_be_cut_has_the_rows_of_two_services_behind_its_copies() -> None:
    thumbnail = file_of(copy_at("VIENNA-DISK"), asset="thumbnail", media_type="image/png", science=False)
    maker = maker_of()
    rows = maker.rows("asked", DATASET, item_of(file_of(*THREE), thumbnail))
    assert [row.service_def for row in rows] == [None, None, None, "cutout-1", "cutout-1-jobs", None]
    for row in rows[3:5]:
        assert (row.id, row.access_url, row.error_message, row.semantics) == ("asked", None, None, "#cutout")
        assert (row.content_type, row.content_length, row.local_semantics) == ("application/fits", None, "image")
    (offer,) = maker.offers
    assert (offer.file.did, offer.service_defs) == (IMAGE, ("cutout-1", "cutout-1-jobs"))
    assert sorted(offer.service_defs) == list(offer.service_defs)


def test_a_file_that_is_named_twice_has_its_services_described_once() -> None:
    maker = maker_of()
    for asked in ("one", "two"):
        rows = maker.rows(asked, DATASET, item_of(file_of(THREE[0])))
        assert [row.service_def for row in rows] == [None, "cutout-1", "cutout-1-jobs"]
    assert len(maker.offers) == 1


@pytest.mark.parametrize(
    "file",
    [file_of(), file_of(*THREE, media_type="application/x-hdf5"), file_of(*THREE, media_type="image/tiff")],
    ids=["no copy", "another format", "a picture"],
)
def test_what_cannot_be_cut_has_no_services(file: HeldFile) -> None:
    assert not [row.service_def for row in maker_of().rows("asked", DATASET, item_of(file)) if row.service_def]
    (row,) = maker_of(Wishes(cutouts=True)).rows("asked", DATASET, item_of(file))
    assert row.error_message == f"NotFoundFault: nothing of {DATASET} can be cut"


def test_nothing_is_a_fault() -> None:
    (row,) = rows_of(item_of())
    assert row.error_message == f"NotFoundFault: {DATASET} has no files and no links"


def test_another_copy_than_the_nearest_comes_first_for_the_old_parameter_ranking() -> None:
    closed = copy_at("CLOSED")
    rows = rows_of(item_of(file_of(*THREE, closed)), wishes=Wishes(first=1))
    assert [row.rse for row in rows] == ["SANFRANCISCO-DISK", "SYDNEY-DISK", "VIENNA-DISK", "CLOSED"]
    assert [row.rank for row in rows] == [2, 1, 3, 4]
    assert [row.semantics for row in rows] == ["#this", REPLICA, REPLICA, REPLICA]
    (beyond,) = rows_of(item_of(file_of(*THREE, closed)), wishes=Wishes(first=3))
    assert beyond.error_message == "UsageFault: ranking is 3, and no more copies than that can be read"
    by_chance = rows_of(item_of(file_of(*THREE, closed)), wishes=Wishes(shuffled=True))
    assert sorted(row.rank or 0 for row in by_chance) == [1, 2, 3, 4]
    assert by_chance[-1].rse == "CLOSED"


@pytest.mark.parametrize(
    ("roles", "term"),
    [
        (("data",), "#auxiliary"),
        ((), "#auxiliary"),
        (("Thumbnail",), "#thumbnail"),
        (("overview", "visual"), "#preview"),
        (("metadata", "thumbnail"), "#thumbnail"),
        (("iso-19115", "metadata"), "#documentation"),
        (("flat",), "#flat"),
        (("this",), "#auxiliary"),
    ],
)
def test_roles_become_terms(roles: tuple[str, ...], term: str) -> None:
    assert term_of_asset(roles, science=False) == term
    assert term_of_asset(roles, science=True) == "#this"


@pytest.mark.parametrize(
    ("rel", "term"),
    [
        ("derived_from", "#progenitor"),
        ("derived-from", "#progenitor"),
        ("license", "#documentation"),
        ("thumbnail", "#thumbnail"),
        ("derivation", "#derivation"),
        ("this", "#auxiliary"),
        ("whatever", "#auxiliary"),
    ],
)
def test_relations_become_terms(rel: str, term: str) -> None:
    assert term_of_relation(rel) == term
    assert term[1:] in CORE


@pytest.mark.parametrize(
    ("stated", "term"),
    [
        ("#preview", "#preview"),
        ("preview", "#preview"),
        ("http://www.ivoa.net/rdf/datalink/core#preview", "#preview"),
        ("https://example.org/terms#own", "https://example.org/terms#own"),
        ("#own", "#auxiliary"),
        ("https://example.org/ü", "#auxiliary"),
        ("", "#auxiliary"),
        (None, "#auxiliary"),
    ],
)
def test_stated_terms_are_written_as_the_standard_wants_them(stated: str | None, term: str) -> None:
    assert term_stated(stated) == term


@pytest.mark.parametrize(
    "text", ["application/fits", "image/tiff; application=geotiff; profile=cloud-optimized", 'text/plain;a="b c"']
)
def test_media_types_are_kept(text: str) -> None:
    assert media_type_of(text) == text


@pytest.mark.parametrize("text", ["fits", "", "image/tiff; x", "application/fits\n", "é/x", None])
def test_what_is_no_media_type_is_not_given_as_one(text: str | None) -> None:
    assert media_type_of(text) is None


@pytest.mark.parametrize(
    "asked",
    [
        f"ivo://example/lake?{DATASET}",
        f"IVO://EXAMPLE/Lake?{DATASET}",
        "ivo://EXAMPLE?stac/survey..tile-1",
        str(DATASET),
    ],
)
def test_an_id_may_have_several_forms(asked: str) -> None:
    assert did_of(asked) == DATASET


@pytest.mark.parametrize(
    "asked", ["x", "ivo://example/lake", "<a/>", "a:\0", "\ud800:x", "stac:a b", "", "ivo:stac:x", "a" * 100_000]
)
def test_what_is_no_id_is_a_fault_of_its_own(asked: str) -> None:
    row = did_of(asked)
    assert isinstance(row, Row)
    assert (row.id, row.semantics, row.access_url) == (asked, "#this", None)
    assert row.error_message is not None
    assert row.error_message.startswith("UsageFault: ")
    assert len(row.error_message) < 2000
