"""Requests for cut-outs: what is asked, how often, and in which words it is refused (SODA 1.0 section 3)."""

from __future__ import annotations

import pytest

from datalink.cutouts.errors import ManyValuesError, RequestError
from datalink.cutouts.region import Circle, Cutting, Interval, Polygon, Range
from datalink.cuttable import Kind
from datalink.soda.request import CutRequest, checked, read
from obscore_tap.parameters import Parameters


def asked(*pairs: tuple[str, str], kind: Kind = Kind.FITS) -> CutRequest:
    return read(Parameters([("ID", "a:b"), *pairs]), kind)


def test_names_have_no_case_and_empty_values_are_none() -> None:
    assert asked(("circle", "1 2 3"), ("BAND", ""), ("Pol", "Q")).only() == (
        "a:b",
        Cutting(Circle(1, 2, 3), states=("Q",)),
    )


def test_the_three_ways_to_say_a_region_are_one_parameter() -> None:
    """Each value of any of them is one cut-out (section 3.3)."""
    request = asked(("POLYGON", "1 1 2 1 2 2"), ("POS", "RANGE 1 2 3 4"), ("CIRCLE", "1 2 3"), ("CIRCLE", "4 5 6"))
    regions = [Range(1, 2, 3, 4), Circle(1, 2, 3), Circle(4, 5, 6), Polygon(((1, 1), (2, 1), (2, 2)))]
    assert [one.region for _, one in request.cuttings()] == regions
    assert request.count == 4


def test_every_combination_is_a_cutout_and_pol_is_one_filter() -> None:
    request = asked(
        ("ID", "a:c"), ("CIRCLE", "1 2 3"), ("CIRCLE", "4 5 6"), ("BAND", "1 2"), ("BAND", "3 4"), ("POL", "U"),
        ("POL", "I"),
    )  # fmt: skip
    cuttings = list(request.cuttings())
    assert (len(cuttings), request.count) == (8, 8)
    assert [name for name, _ in cuttings] == ["a:b"] * 4 + ["a:c"] * 4
    assert cuttings[1][1] == Cutting(Circle(1, 2, 3), Interval(3, 4), None, ("I", "U"))


@pytest.mark.parametrize(
    ("pairs", "name"),
    [
        ([("ID", "a:c")], "ID"),
        ([("CIRCLE", "1 2 3"), ("CIRCLE", "1 2 4")], "CIRCLE"),
        ([("CIRCLE", "1 2 3"), ("POS", "CIRCLE 1 2 4")], "POS and CIRCLE"),
        ([("BAND", "1 2"), ("BAND", "1 3")], "BAND"),
        ([("TIME", "1 2"), ("TIME", "1 3")], "TIME"),
        ([("RESPONSEFORMAT", "image/png"), ("RESPONSEFORMAT", "image/fits")], "RESPONSEFORMAT"),
    ],
)
def test_one_cutout_has_one_value_of_each(pairs: list[tuple[str, str]], name: str) -> None:
    with pytest.raises(ManyValuesError, match=f"^MultiValuedParamNotSupported: {name}: "):
        asked(*pairs).only()


def test_the_same_value_twice_is_one() -> None:
    assert asked(("ID", "a:b"), ("CIRCLE", "1 2 3"), ("CIRCLE", "1 2 3")).count == 1


@pytest.mark.parametrize(
    ("kind", "said", "meant"),
    [
        (Kind.FITS, None, "application/fits"),
        (Kind.FITS, "Application/FITS", "application/fits"),
        (Kind.FITS, "image/fits", "image/fits"),
        (Kind.FITS, "image/png", "image/png"),
        (Kind.GEOTIFF, None, "image/tiff; application=geotiff"),
        (Kind.GEOTIFF, "image/tiff", "image/tiff; application=geotiff"),
        (Kind.GEOTIFF, "image/tiff;application=geotiff", "image/tiff; application=geotiff"),
        (Kind.GEOTIFF, "image/png", "image/png"),
    ],
)
def test_formats(kind: Kind, said: str | None, meant: str) -> None:
    assert asked(*([("RESPONSEFORMAT", said)] if said else []), kind=kind).form == meant


@pytest.mark.parametrize(
    ("kind", "pair"),
    [
        (Kind.FITS, ("RESPONSEFORMAT", "image/tiff")),
        (Kind.GEOTIFF, ("RESPONSEFORMAT", "application/fits")),
        (Kind.FITS, ("BODY_BBOX", "1 2 3 4")),
        *((Kind.GEOTIFF, (name, "1 2 3")) for name in ("CIRCLE", "POS", "POLYGON", "BAND", "TIME", "POL")),
    ],
)
def test_what_the_other_service_takes_is_refused(kind: Kind, pair: tuple[str, str]) -> None:
    with pytest.raises(RequestError, match=f"^UsageError: {pair[0]}"):
        asked(pair, kind=kind)


def test_a_job_may_get_its_id_later() -> None:
    parameters = Parameters([("CIRCLE", "1 2 3")])
    assert checked(parameters, Kind.FITS).ids == ()
    with pytest.raises(RequestError, match="^UsageError: ID is missing"):
        read(parameters, Kind.FITS)
