from __future__ import annotations

from typing import Any

import pytest

from stac_rucio_sync.mapping.bands import CONTRADICTION, POLARISATION, pol_states, polarisations, spectral_range
from stac_rucio_sync.model import Asset, Item, ItemKey


def an_item(properties: dict[str, Any], *assets: dict[str, Any]) -> Item:
    return Item(
        key=ItemKey("c", "i"),
        properties=properties,
        geometry=None,
        bbox=None,
        assets=tuple(Asset(str(n), None, None, (), None, asset) for n, asset in enumerate(assets)),
        links=(),
        base_href=None,
        extensions=(),
    )


@pytest.mark.parametrize(
    "asset",
    [
        {"bands": [{"eo:center_wavelength": 0.56, "eo:full_width_half_max": 0.04}]},
        {"eo:bands": [{"center_wavelength": 0.56, "full_width_half_max": 0.04, "common_name": "green"}]},
        {"eo:center_wavelength": 0.56, "eo:full_width_half_max": 0.04},
    ],
)
def test_centre_and_width_in_micrometres_become_metres(asset: dict[str, Any]) -> None:
    found = spectral_range(an_item({}, asset))
    assert (found.em_min, found.em_max) == pytest.approx((0.54e-6, 0.58e-6))
    assert found.remarks == ()


def test_the_range_spans_all_bands_of_item_and_assets() -> None:
    found = spectral_range(
        an_item(
            {"eo:bands": [{"common_name": "red"}]},  # 0.62 to 0.69 by the extension's table
            {"eo:bands": [{"common_name": "blue"}]},  # 0.45 to 0.53
            {"bands": [{"eo:center_wavelength": 10.9}]},
        )
    )
    assert (found.em_min, found.em_max) == pytest.approx((0.45e-6, 10.9e-6))


def test_nanometres_are_not_taken_for_micrometres() -> None:
    named = spectral_range(an_item({}, {"eo:bands": [{"center_wavelength": 470, "common_name": "blue"}]}))
    assert (named.em_min, named.em_max) == pytest.approx((0.45e-6, 0.53e-6))
    assert named.remarks == (CONTRADICTION,)
    bare = spectral_range(an_item({}, {"eo:bands": [{"center_wavelength": 470}]}))
    assert bare == (None, None, (CONTRADICTION,))


def test_radar_frequency_in_gigahertz_else_its_band() -> None:
    found = spectral_range(an_item({"sar:center_frequency": 5.405, "sar:frequency_band": "C"}))
    assert found.em_min == found.em_max == pytest.approx(299792458 / 5.405e9)
    assert spectral_range(an_item({"sar:frequency_band": "X"}))[:2] == (0.024, 0.038)


@pytest.mark.parametrize("frequency", [0, -1, 1e-300, 1e308, "5", None])
def test_a_radar_frequency_that_is_none(frequency: object) -> None:
    assert spectral_range(an_item({"sar:center_frequency": frequency})) == (None, None, ())


def test_a_cube_with_a_spectral_axis() -> None:
    dimensions = {"wavelength": {"type": "spatial", "axis": "z", "extent": [0.3644, 5.089], "unit": "micrometer"}}
    found = spectral_range(an_item({"cube:dimensions": dimensions}))
    assert (found.em_min, found.em_max) == pytest.approx((0.3644e-6, 5.089e-6))
    frequency = {"f": {"type": "spectral", "extent": [1e9, 2e9], "unit": "Hz"}}
    found = spectral_range(an_item({"cube:dimensions": frequency}))
    assert (found.em_min, found.em_max) == pytest.approx((0.149896229, 0.299792458))


@pytest.mark.parametrize(
    "bands",
    [
        None,
        5,
        "red",
        [None, 5],
        [{"center_wavelength": "0.5"}],
        [{"center_wavelength": float("nan")}],
        [{"center_wavelength": -1}],
        [{"center_wavelength": True}],
        [{"center_wavelength": 1e-300}],
        [{"common_name": ["red"]}],
    ],
)
def test_what_says_no_wavelength_gives_none(bands: object) -> None:
    found = spectral_range(an_item({"bands": bands, "eo:bands": bands, "cube:dimensions": bands}))
    assert (found.em_min, found.em_max) == (None, None)


def test_polarisation_states_are_written_in_obscores_order() -> None:
    assert pol_states(["V", "I", "Q", "U"]) == "/I/Q/U/V/"
    assert pol_states(["YY", "XX"]) == "/XX/YY/"
    assert pol_states(["HH"]) is None
    assert pol_states([]) is None


def test_radar_polarisations_have_a_number_but_no_name_in_obscore() -> None:
    assert polarisations({"sar:polarizations": ["VV", "VH"]}) == (None, 2, (POLARISATION,))
    assert polarisations({}) == (None, None, ())
    assert polarisations({"sar:polarizations": "VV"}) == (None, None, ())
