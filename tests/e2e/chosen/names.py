"""Identifiers that Rucio cannot hold, ids that repeat, no collection, assets without size or place."""

from __future__ import annotations

from tests.e2e.chosen.clouds import NO_SIZE, QUERY
from tests.e2e.chosen.expected import (
    At,
    Chosen,
    File,
    Footprint,
    Holds,
    Near,
    OneOf,
    Present,
    Within,
    degrees,
    kilobytes,
    micrometres,
    mjd,
)

RELATIVE = ("relative", "self link")
NO_ENDPOINT = ("endpoint",)

_COCABAMBA = "https://storage.googleapis.com/open-cogs/planet-stac/cocabamba-peru/20201230_151906_ssc13_u0002"
_MAXAR = "https://maxar-opendata.s3.amazonaws.com/events/Hurricane-Ian-9-26-2022/ard/17/031331303211/2022-10-03/10300100DB064000"
_SENTINEL_1 = "https://example.com/collections/sentinel-1/items"
_STEM = "s1a-ew-grd-hh-20181103t235855-20181103t235955-024430-02ad5d-001"

CHOSEN = (
    # A collection with a space, one href on two assets; bands with centre and width.
    Chosen(
        1219,
        "20220221_145102_07_2457",
        "Panama Bloom",
        "Panama_x20_Bloom..20220221_145102_07_2457",
        footprint=Footprint(
            degrees(280.1007259327055),
            degrees(280.4645305276213),
            degrees(8.998358814008409),
            degrees(9.254926423052565),
        ),
        times=(mjd(59631.618774024435), mjd(59631.618774024435)),
        wavelengths=(micrometres(0.4315), micrometres(0.885)),
        links={
            "20220221_145102_07_2457_3B_AnalyticMS_8b_metadata_xml": NO_SIZE,
            "20220221_145102_07_2457_3B_AnalyticMS_SR_8b_tif": NO_SIZE,
            "20220221_145102_07_2457_3B_Visual_tif": NO_SIZE,
            "20220221_145102_07_2457_3B_udm2_tif": NO_SIZE,
            "20220221_145102_07_2457_metadata_json": NO_SIZE,
        },
        obscore={"dataproduct_type": "image", "instrument_name": "PSB.SD", "calib_level": 2},
        epn={"creation_date": At("2022-02-23T04:52:41"), "modification_date": At("2022-10-26T08:24:14")},
        metadata={"pl:strip_id": "5419727", "instruments": ["PSB.SD"], "eo:cloud_cover": 13},
    ),
    # A collection with slashes; three instruments; centres without widths.
    Chosen(
        1224,
        "2021-01-01",
        "planet/fusion/14N/29E-188N",
        "planet_x2F_fusion_x2F_14N_x2F_29E-188N..2021-01-01",
        footprint=Footprint(
            degrees(263.32117031404243),
            degrees(263.6136056227695),
            degrees(40.729550990431605),
            degrees(40.95163952809489),
        ),
        times=(mjd(59215.0), mjd(59215.0)),
        wavelengths=(Within(0.40e-6, 0.4700001e-6), Within(0.8649999e-6, 0.95e-6)),
        links={"qa": NO_SIZE, "sr": NO_SIZE},
        obscore={"facility_name": "planet", "instrument_name": Holds(("planetscope", "landsat", "sentinel-2"))},
        metadata={"license": "CC-BY-SA-4.0", "proj:shape": [8000, 8000]},
    ),
    # Two gigabytes with a size, and science data without one: the sum is unknown. A key with a colon.
    Chosen(
        3291,
        "20201230_151906_ssc13_u0002",
        "cocabamba-peru",
        "cocabamba-peru..20201230_151906_ssc13_u0002",
        footprint=Footprint(
            degrees(281.96517763814256),
            degrees(282.025235213867),
            degrees(-6.705113213239458),
            degrees(-6.624780356419646),
            polygon=None,
        ),
        times=(mjd(59213.63827328704), mjd(59213.63827328704)),
        files={
            "all-frames": File(
                2174720586, ".zip", {f"{_COCABAMBA}/20201230_151906_ssc13_u0002_l1a_frames_archive.zip": False}
            )
        },
        links={"metadata": NO_SIZE, "visual:ortho_visual": NO_SIZE},
        obscore={"access_estsize": None, "facility_name": "SSC13"},
        metadata={"stereo-img:count": 2, "eo:cloud_cover": 0},
    ),
    Chosen(
        3312,
        "20201211_155833_ssc15_u0002",
        "walvis-bay",
        "walvis-bay..20201211_155833_ssc15_u0002",
        footprint=Footprint(
            degrees(14.464705102315373),
            degrees(14.516789019676242),
            degrees(-23.03480694315474),
            degrees(-22.973255772310466),
            polygon=None,
        ),
        links={"metadata": NO_SIZE, "visual:ortho_visual": NO_SIZE},
    ),
    # One id in two collections: two datasets, two rows. 426 bands of a few nanometres.
    *(
        Chosen(
            line,
            "20250224_145149_32_4001",
            collection,
            f"{collection}..20250224_145149_32_4001",
            footprint=Footprint(
                degrees(296.2188513559684),
                degrees(296.4448428061401),
                degrees(-22.275135653484412),
                degrees(-22.09475016065558),
                vertices=(
                    (296.24918496376945, -22.09475016065558),
                    (296.2188513559684, -22.237092854500936),
                    (296.41408680448305, -22.275135653484412),
                    (296.4448428061401, -22.13205626847188),
                ),
            ),
            times=(mjd(60730.61932085522), mjd(60730.61932085522)),
            wavelengths=(micrometres(0.373745), micrometres(2.5016)),
            links={"basic_radiance_hdf5": NO_SIZE, "thumbnail": NO_SIZE},
            obscore={
                "obs_title": "TanagerScene 20250224_145149_32_4001 Basic Core Imagery",
                "facility_name": "Planet",
                "instrument_name": "4001",
            },
        )
        for line, collection in ((4699, "agriculture"), (4751, "natural-lands"))
    ),
    # Relative hrefs and no self link: nobody knows where they are.
    Chosen(
        5883,
        "ocean-heat-content-1972-03-700m",
        "noaa-cdr-ocean-heat-content",
        "noaa-cdr-ocean-heat-content..ocean-heat-content-1972-03-700m",
        footprint=Footprint(degrees(0), degrees(360), degrees(-90), degrees(90), polygon=None),
        times=(mjd(41377.0), mjd(41407.99998842592)),
        links={"heat_content": RELATIVE},
        obscore={"dataproduct_type": "image"},
        epn={"access_url": None},
    ),
    # No collection: the default one. A northern cap, all round the pole. L3: gridded, ObsCore's 3.
    Chosen(
        5893,
        "seaice_conc_daily_nh_1978_v04r00",
        None,
        "items..seaice_conc_daily_nh_1978_v04r00",
        footprint=Footprint(degrees(0), degrees(360), degrees(31.35), degrees(90), polygon=None),
        # 1978 ended with a leap second: 86,399 seconds are a day of 86,400 but for one, or of 86,401 but for two.
        times=(mjd(43806.0), OneOf((mjd(43873.99998842592), mjd(43873.99997685212)))),
        links={"netcdf": NO_SIZE},
        obscore={"calib_level": 3, "facility_name": OneOf((None, "NIMBUS-7"))},  # the platform is the asset's
    ),
    # Sized, but on a bucket of which nobody says where it is. A property "version", which is a column in Rucio.
    Chosen(
        5997,
        "act-1000",
        "catalog",
        "catalog..act-1000",
        footprint=Footprint(
            degrees(67.37058661497387),
            degrees(67.37058661497387),
            degrees(36.57677101053992),
            degrees(36.57677101053992),
            polygon=None,
        ),
        times=(mjd(60982.50208333333), mjd(60982.50208333333)),
        links={"icon": NO_ENDPOINT, "area1": NO_ENDPOINT},
        obscore={"obs_title": "[Act-1000/Call-1144] Earthquake in Afghanistan", "calib_level": 2},
        epn={"creation_date": At("2025-11-03T12:03:00"), "modification_date": At("2026-04-23T18:18:45.016")},
        metadata={"disaster:country": "AFG", "disaster:activation_id": 1000, "cpe:activation_status": "archived"},
    ),
    # Numeric ids, one in two collections; a query on the report.
    *(
        Chosen(
            line,
            "1102983",
            collection,
            f"{collection}..1102983",
            footprint=Footprint(
                degrees(356.5889746544316),
                degrees(356.5889746544316),
                degrees(38.60133168687446),
                degrees(38.60133168687446),
                polygon=None,
            ),
            times=(mjd(60610.625), mjd(60618.458333333336)),
            links={"icon": NO_SIZE, "report": QUERY},
            obscore={"obs_title": "Flood in Spain"},
            metadata={"monty:country_codes": ["ESP"], "monty:src_event_id": "1102983"},
        )
        for line, collection in ((6040, "gdacs-events"), (6042, "gdacs-hazards"))
    ),
    # Relative hrefs with a self link; 90e402 is BLAKE2b-128 of 16 bytes: a good checksum, none of Rucio's.
    Chosen(
        6170,
        "S1A_EW_GRDM_1SSH_20181103T235855_20181103T235955_024430_02AD5D_5616",
        None,
        "items..S1A_EW_GRDM_1SSH_20181103T235855_20181103T235955_024430_02AD5D_5616",
        footprint=Footprint(
            degrees(289.724968),
            degrees(294.912521),
            degrees(-64.72924),
            degrees(-51.105831),
            vertices=(
                (292.928352, -64.72924),
                (294.912521, -56.674374),
                (291.966789, -51.105831),
                (289.724968, -59.805672),
            ),
        ),
        times=(mjd(58425.999247685184), mjd(58425.999247685184)),
        wavelengths=None,
        files={
            "measurement": File(
                209715200,
                ".tiff",
                {f"{_SENTINEL_1}/measurement/{_STEM}.tiff": False},
                stated="90e40210163700a8a6501eccd00b6d3b44ddaed0",
            ),
            "thumbnail": File(
                146484,
                ".png",
                {f"{_SENTINEL_1}/preview/quick-look.png": False},
                stated="90e40210f52acd32b09769d3b1871b420789456c",
            ),
        },
        links={"noises": NO_SIZE, "calibrations": NO_SIZE, "products": NO_SIZE},
        hrefs={"noises": f"{_SENTINEL_1}/annotation/calibration/noise-{_STEM}.xml"},
        obscore={"access_estsize": kilobytes(209715200)},
        epn={"access_url": f"{_SENTINEL_1}/measurement/{_STEM}.tiff"},
    ),
    # An id that ends like a file. No asset, and a footprint of five corners with a bbox that is projected by mistake.
    Chosen(
        6173,
        "autzen-full.laz",
        None,
        "items..autzen-full.laz",
        footprint=Footprint(
            degrees(236.92445777),
            degrees(236.93804008),
            degrees(44.04971882),
            degrees(44.06278031),
            vertices=(
                (236.92501326, 44.04971882),
                (236.92445777, 44.06248623),
                (236.9374874, 44.06278031),
                (236.93804008, 44.05001283),
            ),
        ),
        times=(mjd(56490.0), mjd(56490.0)),
        epn={"access_url": None},
        metadata={"pc:density": 0, "pc:encoding": "LASzip", "title": "USGS 3DEP LiDAR"},
    ),
    # Azure, Google and Amazon side by side, none with a size.
    Chosen(
        6181,
        "m_3009743_sw_14_1_20160928_20161129",
        "NAIP_MOSAIC",
        "NAIP_MOSAIC..m_3009743_sw_14_1_20160928_20161129",
        footprint=Footprint(degrees(262.25), degrees(262.3125), degrees(30.25), degrees(30.3125)),
        times=(mjd(57659.0), mjd(57659.0)),
        links={
            "GEOTIFF_AZURE_RGBIR": NO_SIZE,
            "CO_GEOTIFF_GCP_RGB": ("size", "gs"),
            "CO_GEOTIFF_AWS_RGB": ("size", "endpoint"),
            "CO_GEOTIFF_AZURE_RGB": NO_SIZE,
            "CO_GEOTIFF_AZURE_RGB_DEPRECATED": NO_SIZE,
            "THUMBNAIL_AZURE_DEPRECATED": NO_SIZE,
        },
        obscore={"facility_name": "UNKNOWN_PLATFORM"},
        metadata={"mission": "NAIP", "gsd": 1},
    ),
    # Slashes in the id; two parts that do not join.
    Chosen(
        6300,
        "17/031331303020/10300100DB064000",
        "10300100DB064000",
        "10300100DB064000..17_x2F_031331303020_x2F_10300100DB064000",
        footprint=Footprint(
            degrees(277.79999545001),
            degrees(277.84272043656796),
            degrees(26.980524624659747),
            degrees(27.028834264548532),
            polygon=None,
        ),
        times=(mjd(59855.66846064815), mjd(59855.66846064815)),
        wavelengths=None,
        more_links=4,
        obscore={"facility_name": "WV02"},
    ),
    Chosen(
        6301,
        "17/031331303211/10300100DB064000",
        "10300100DB064000",
        "10300100DB064000..17_x2F_031331303211_x2F_10300100DB064000",
        footprint=Footprint(
            degrees(277.94072313378786),
            degrees(277.994656099184),
            degrees(26.89137611675341),
            degrees(26.939724459507854),
            vertices=(
                (277.94072313378786, 26.939332877485054),
                (277.94117079775726, 26.89137611675341),
                (277.994656099184, 26.891766891151907),
                (277.9942310388079, 26.939724459507854),
            ),
        ),
        wavelengths=None,
        links={"data-mask": NO_SIZE, "ms_analytic": NO_SIZE, "pan_analytic": NO_SIZE, "visual": NO_SIZE},
        hrefs={"data-mask": f"{_MAXAR}-data-mask.gpkg", "visual": f"{_MAXAR}-visual.tif"},
        epn={"access_url": OneOf((f"{_MAXAR}-ms.tif", f"{_MAXAR}-pan.tif", f"{_MAXAR}-visual.tif"))},
        metadata={"catalog_id": "10300100DB064000", "quadkey": "031331303211", "proj:code": "EPSG:32617"},
    ),
    Chosen(
        6326,
        "2024-02-15-03-30-26_UMBRA-06_GEC.tif",
        None,
        "items..2024-02-15-03-30-26_UMBRA-06_GEC.tif",
        footprint=Footprint(
            degrees(280.3864918088339),
            degrees(280.450742599679),
            degrees(8.941726366625119),
            degrees(9.005608046514665),
        ),
        times=(mjd(60697.61422969021), mjd(60697.61422969021)),
        links={"data": NO_SIZE},
        epn={"modification_date": Present()},
    ),
    # Two sizes stated of one URL: one of them is wrong, and nobody can say which. Neither may be hidden.
    Chosen(
        6329,
        "S2A_MSIL2A_20230928T042551_N0509_R133_T54XVM_20230928T053752-calibrated",
        None,
        "items..S2A_MSIL2A_20230928T042551_N0509_R133_T54XVM_20230928T053752-calibrated",
        footprint=Footprint(
            degrees(136.78585148945965),
            degrees(138.10689511555532),
            degrees(77.35785584411322),
            degrees(77.69356453626628),
            polygon=None,
        ),
        times=(mjd(60215.18461833333), mjd(60215.18461833333)),
        wavelengths=(Near(0.6646e-6, 0.04e-6), Near(0.6646e-6, 0.04e-6)),
        files={
            "goodstat": File(10458621, ".tif", {"http://somewhere-over-the-rainbow.io/clp.tif": False}),
            "wrongstat": File(24497956, ".tif", {"http://somewhere-over-the-rainbow.io/clp.tif": False}),
        },
        obscore={"calib_level": Within(2, 3), "facility_name": "sentinel-2a"},
    ),
)
