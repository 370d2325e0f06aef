"""Footprints: over the antimeridian, lines and points, thousands of vertices, other worlds."""

from __future__ import annotations

from tests.e2e.chosen.clouds import NO_SIZE
from tests.e2e.chosen.expected import (
    At,
    Chosen,
    File,
    Footprint,
    Holds,
    OneOf,
    Within,
    degrees,
    kilobytes,
    micrometres,
    mjd,
)
from tests.e2e.chosen.names import RELATIVE

_PSUP = "http://psup.ias.u-psud.fr/sitools/datastorage/user/storage/omegacubes/cubes_L3"
_CALIBRATED = (
    "https://supervisor.disasterscharter.org/assets/calls/1166/acquisitions/calibratedDatasets/"
    "DS_PHR1A_202603021304008_FR1_PX_W044S22_0907_00777-calibrated"
)
_S2_TILE = Footprint(
    # Two halves that meet at the antimeridian: one polygon, joined; the cut is no edge, its ends may stay as vertices.
    degrees(179.256949),
    degrees(180.29657),
    degrees(-16.351724),
    degrees(-15.345454),
    vertices=(
        (179.275178, -15.345454),
        (179.256949, -16.335986),
        (180.28333, -16.351724),
        (180.29657, -15.36019),
    ),
    on_edges=((180.0, -15.355911), (180.0, -16.34738)),
)
_MARS = {"target_name": "Mars", "target_class": "planet"}
_JUVENTAE = degrees(296.91835)

CHOSEN = (
    Chosen(
        5823,
        "S2A_T01LAC_20200717T221944_L1C",
        "sentinel2-l1c-example",
        "sentinel2-l1c-example..S2A_T01LAC_20200717T221944_L1C",
        footprint=_S2_TILE,
        times=(mjd(59047.93033592593), mjd(59047.93033592593)),
        wavelengths=(micrometres(0.4295), micrometres(2.311)),
        links={"coastal": RELATIVE, "preview": RELATIVE},
        more_links=18,
        obscore={"facility_name": "sentinel-2a", "dataproduct_type": "image"},
        epn={"creation_date": At("2025-06-05T15:18:58.038")},
    ),
    Chosen(
        5825,
        "S2A_T01LAC_20200717T221944_L1C",
        None,
        "items..S2A_T01LAC_20200717T221944_L1C",
        footprint=_S2_TILE,
        times=(mjd(59047.93033592593), mjd(59047.93033592593)),
        wavelengths=(micrometres(0.4295), micrometres(2.311)),
        more_links=20,
        metadata={"proj:code": "EPSG:32701", "sat:relative_orbit": 29},
    ),
    # Its bbox ends at -179.06, its geometry at -175.51: the geometry is the footprint. Checksums, but no size.
    Chosen(
        5872,
        "LT05_L2SR_087017_20090621_20200827_02_T2_SR",
        "landsat-c2l2-sr",
        "landsat-c2l2-sr..LT05_L2SR_087017_20090621_20200827_02_T2_SR",
        footprint=Footprint(
            degrees(179.90517236107144),
            degrees(184.48501198044083),
            degrees(60.43881649233896),
            degrees(62.491727331163695),
            vertices=(
                (179.90517236107144, 60.95119752303177),
                (183.2983434829547, 60.43881649233896),
                (184.48501198044083, 61.95528671380596),
                (180.93613911689522, 62.491727331163695),
            ),
            on_edges=((180.0, 61.09289443379927), (180.0, 60.93687820884834)),
        ),
        times=(mjd(55003.95382373915), mjd(55003.95382373915)),
        wavelengths=None,
        links={"thumbnail": NO_SIZE, "reduced_resolution_browse": NO_SIZE},
        more_links=15,
        obscore={"facility_name": "LANDSAT_5", "instrument_name": "TM"},
    ),
    # Sizes without checksums on every asset. STAC 1.1 calls the licence "proprietary" of its elders "other".
    Chosen(
        6002,
        "DS_PHR1A_202603021304008_FR1_PX_W044S22_0907_00777-calibrated",
        "calibratedDatasets",
        "calibratedDatasets..DS_PHR1A_202603021304008_FR1_PX_W044S22_0907_00777-calibrated",
        footprint=Footprint(
            degrees(316.63690807506644),
            degrees(316.72491514786726),
            degrees(-21.9057684748102),
            degrees(-21.82332319528645),
        ),
        times=(mjd(61101.54485532407), mjd(61101.54485532407)),
        wavelengths=None,
        files={
            "blue": File(408011241, ".tif", {f"{_CALIBRATED}/blue.tif": False}),
            "overview-trc": File(648156760, ".tif", {f"{_CALIBRATED}/overview-trc.tif": False}),
        },
        more_files=7,
        obscore={
            "access_estsize": OneOf((kilobytes(3920756639), Within(3_920_000, 5_230_000))),
            "obs_title": "PLEIADES-1A PHR-1A ORTHO/BASIC 2026-03-02 13:04:35",
            "facility_name": "pleiades-1a",
        },
        epn={"creation_date": At("2026-03-12T12:24:26.012"), "modification_date": At("2026-07-06T06:15:56.119")},
        metadata={"cpe:cos2_xml": None, "disaster:call_ids": [1166], "license": "other"},
    ),
    # A first point that stands twice.
    Chosen(
        6033,
        "charter-response-1166-s2b_msil2a_20251228t130249_n0511_r095_t23kqs_20251228t162706",
        "charter-response",
        "charter-response..charter-response-1166-s2b_msil2a_20251228t130249_n0511_r095_t23kqs_20251228t162706",
        footprint=Footprint(
            degrees(316.9210502432405),
            degrees(317.9950296395066),
            degrees(-21.780461682364),
            degrees(-20.773909033307064),
            vertices=(
                (316.9210502432405, -20.788945135565847),
                (316.9339746472961, -21.780461682364),
                (317.9950296395066, -21.764638706882494),
                (317.9750354408724, -20.773909033307064),
            ),
        ),
        times=(mjd(61037.54362296296), mjd(61037.54362296296)),
        wavelengths=None,
        more_files=28,
        obscore={"calib_level": Within(2, 3), "instrument_name": "msi"},
    ),
    # A track and a place: no area, so no polygon; the ranges stand.
    Chosen(
        6049,
        "2024178N09335-hazard-20240629T000000Z",
        "ibtracs-hazards",
        "ibtracs-hazards..2024178N09335-hazard-20240629T000000Z",
        footprint=Footprint(degrees(314.1), degrees(334.5), degrees(8.9), degrees(10), polygon=None),
        times=(mjd(60487.0), mjd(60490.0)),
        links={"data": NO_SIZE, "documentation": NO_SIZE},
        metadata={"monty:country_codes": []},
    ),
    Chosen(
        6053,
        "idmc-gidd-impact-107479-displaced",
        "idmc-gidd-impacts",
        "idmc-gidd-impacts..idmc-gidd-impact-107479-displaced",
        footprint=Footprint(degrees(37.411121), degrees(37.411121), degrees(36.15263), degrees(36.15263), polygon=None),
        times=(mjd(59981.0), mjd(60012.0)),
        metadata={"title": "Internal Displacements of People for Syria, Türkiye: Earthquake - 06/02/2023"},
    ),
    # Mars, whose name EPN-TAP writes as the IAU does. A URL with spaces in it.
    Chosen(
        6065,
        "0",
        "ias_lcp_flahaut_et_al",
        "ias_lcp_flahaut_et_al..0",
        footprint=Footprint(_JUVENTAE, _JUVENTAE, degrees(-4.611375), degrees(-4.611375), polygon=None),
        times=(mjd(56145.0), mjd(56145.0)),
        links={"crism_url": NO_SIZE, "hirise_url": (*NO_SIZE, "space")},
        obscore={"instrument_name": Holds(("crism", "hirise")), "target_name": OneOf((None, "Mars"))},
        epn=_MARS,
        metadata={
            "canyon": "Juventae",
            "ssys:targets": ["mars"],
            "chemical_composition": ["Fe/Mg-phyllo", " sulfates"],
        },
    ),
    # A point with a height (a depth of 2,100 m); no asset.
    Chosen(
        6117,
        "22",
        "ias_lcp_vmwalls",
        "ias_lcp_vmwalls..22",
        footprint=Footprint(degrees(305.84), degrees(305.84), degrees(-14.5), degrees(-14.5), polygon=None),
        times=(mjd(55937.0), mjd(55937.0)),
        epn={**_MARS, "access_url": None},
    ),
    # 2,102 vertices in steps of 1/32 degree.
    Chosen(
        6139,
        "0022_1",
        "omega_c_channel_proj",
        "omega_c_channel_proj..0022_1",
        footprint=Footprint(degrees(99.40625), degrees(101.21875), degrees(-54.25), degrees(-22.625), polygon=None),
        times=(mjd(53019.67430590278), mjd(53019.68062543982)),
        wavelengths=None,
        links={"nc": NO_SIZE, "sav": NO_SIZE, "thumbnail": RELATIVE},
        obscore={"instrument_name": "omega"},
        epn={**_MARS, "access_url": OneOf((f"{_PSUP}/0022_1.nc", f"{_PSUP}/0022_1.sav"))},
        metadata={"orbit_number": 22, "mission": "mex"},
    ),
    # 2,017 vertices in two parts, of which the standard of simple features says that they are no valid polygons.
    Chosen(
        6144,
        "0032_1",
        "omega_c_channel_proj",
        "omega_c_channel_proj..0032_1",
        footprint=Footprint(
            OneOf((None, degrees(143.6875))),
            OneOf((None, degrees(149.125))),
            OneOf((None, degrees(-60.0))),
            OneOf((None, degrees(-31.3125))),
            polygon=None,
        ),
        times=(mjd(53023.62842627315), mjd(53023.63474579861)),
        wavelengths=None,
        links={"nc": NO_SIZE, "sav": NO_SIZE, "thumbnail": RELATIVE},
        epn=_MARS,
    ),
    # Europa; the item calls it a planet, EPN-TAP a satellite: either.
    Chosen(
        6325,
        "item",
        "usgs_controlled_images_voy1_voy2_galileo",
        "usgs_controlled_images_voy1_voy2_galileo..item",
        footprint=Footprint(
            degrees(50.05904111309201),
            degrees(146.06385423664898),
            degrees(-7.248122813850102),
            degrees(60.53051661180874),
            polygon=None,
        ),
        links={"thumbnail": NO_SIZE, "image": NO_SIZE, "fgdc_metadata": NO_SIZE},
        more_links=1,
        obscore={"obs_title": "Absolutely Controlled Image Mosaic; Europa; s0349875139.equi.photr"},
        epn={
            "target_name": "Europa",
            "target_class": OneOf(("planet", "satellite")),
            "access_url": (
                "https://asc-jupiter.s3-us-west-2.amazonaws.com/europa/galileo_voyager/controlled_images/"
                "s0349875139.equi.photr-cog.tif"
            ),
        },
        metadata={"gsd": 1570, "license": "PDDL-1.0"},
    ),
)
