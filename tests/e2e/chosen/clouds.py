"""Items of the Planetary Computer and Earth Search: queries, Zarr, foreign schemes, bare checksums, wide boxes."""

from __future__ import annotations

from tests.e2e.chosen.expected import (
    Chosen,
    File,
    Footprint,
    OneOf,
    Within,
    degrees,
    kilobytes,
    mjd,
)

QUERY = ("query", "?")
NO_SIZE = ("size",)
ZARR = ("zarr", "folder", "directory", "abfs")
ABFS = ("abfs",)

AI4E = "https://ai4edataeuwest.blob.core.windows.net"
_SOILS = "https://soils.blob.core.windows.net/gnatsgo/july2020/tiles/pw_-2391035_-539485_-2227195_-703325"


def public(size: int, url: str, *, stated: str | None = None) -> File:
    """Return a file that anyone may read, at one place."""
    return File(size, "." + url.rsplit(".", 1)[1], {url: False}, stated=stated)


CHOSEN = (
    # Bands with common names only; two hrefs with queries that Rucio would drop.
    Chosen(
        116,
        "al_m_3008501_ne_16_030_20211103",
        "naip",
        "naip..al_m_3008501_ne_16_030_20211103",
        footprint=Footprint(
            degrees(274.059147),
            degrees(274.128905),
            degrees(30.934738),
            degrees(31.003255),
            vertices=(
                (274.128106, 30.934738),
                (274.128905, 31.00267),
                (274.059897, 31.003255),
                (274.059147, 30.935322),
            ),
        ),
        times=(mjd(59521.666666666664), mjd(59521.666666666664)),
        wavelengths=None,  # "red" ... "nir" have customary ranges in the EO extension, the item gives none
        links={"image": NO_SIZE, "rendered_preview": QUERY, "thumbnail": NO_SIZE, "tilejson": QUERY},
        obscore={"access_estsize": None, "calib_level": 2, "dataproduct_type": "image"},
        epn={"processing_level": None},
        metadata={"naip:state": "al", "naip:year": "2021", "gsd": 0.3},
    ),
    # The first polygon of the MultiPolygon has no ring at all: no footprint, or that of the other one.
    # Its range is written with a space for the T, which RFC 3339 5.6 allows; its assets have no sizes.
    Chosen(
        1122,
        "S1A_EW_GRDM_1SSH_20150129T081916_20150129T081938_004383_005598",
        "sentinel-1-grd",
        "sentinel-1-grd..S1A_EW_GRDM_1SSH_20150129T081916_20150129T081938_004383_005598",
        footprint=Footprint(
            OneOf((None, degrees(180.1456948))),
            OneOf((None, degrees(190.3023586))),
            OneOf((None, degrees(-73.5841692))),
            OneOf((None, degrees(-70.6236464))),
            polygon=None,
        ),
        times=(mjd(57051.34672047779), mjd(57051.34696841174)),
        wavelengths=None,
        links={"hh": NO_SIZE, "safe-manifest": NO_SIZE, "tilejson": QUERY, "rendered_preview": QUERY},
        more_links=4,
        obscore={"facility_name": "SENTINEL-1A"},
        metadata={"s1:shape": [10365, 3620], "s1:slice_number": "3"},
    ),
    # datetime null with a range; a bbox of six numbers that the footprint (five corners) is not taken from.
    Chosen(
        1124,
        "USGS_LPC_UT_StatewideSouth_2020_A20_12SUH7021",
        "3dep-lidar-copc",
        "3dep-lidar-copc..USGS_LPC_UT_StatewideSouth_2020_A20_12SUH7021",
        footprint=Footprint(
            degrees(247.5144585),
            degrees(247.5183717),
            degrees(38.1261015),
            degrees(38.1338897),
            vertices=(
                (247.5179434, 38.1261015),
                (247.5183717, 38.1331311),
                (247.5166449, 38.1338897),
                (247.5167081, 38.1307687),
                (247.5144585, 38.1291793),
            ),
        ),
        times=(mjd(58849.0), mjd(59214.0)),
        links={"data": NO_SIZE, "thumbnail": NO_SIZE},
        metadata={"pc:count": 376166, "group_id": "3dep-lidar", "3dep:usgs_id": "UT_StatewideSouth_1_2020"},
    ),
    # 359.9 degrees wide and up to the pole: the bbox says the same, so it is not the 0.1 degree on the other side.
    Chosen(
        1137,
        "chloris_biomass_50km_2019",
        "chloris-biomass",
        "chloris-biomass..chloris_biomass_50km_2019",
        footprint=Footprint(degrees(180.05), degrees(179.95), degrees(-60), degrees(90), polygon=None),
        times=(mjd(58330.0), mjd(58695.0)),
        files={
            "biomass": public(20609463, f"{AI4E}/chloris-biomass/cog/bio_2019.tif"),
            "biomass_wm": public(44320986, f"{AI4E}/chloris-biomass/cog/bio_2019_merc.tif"),
            "biomass_change": public(11611673, f"{AI4E}/chloris-biomass/cog/bio_change_2018-2019.tif"),
            "biomass_change_wm": public(26876026, f"{AI4E}/chloris-biomass/cog/bio_change_2018-2019_merc.tif"),
        },
        links={"tilejson": QUERY, "rendered_preview": QUERY},
        # No asset has a role that says data; the four GeoTIFFs are all that can be.
        obscore={"access_estsize": kilobytes(103418148), "dataproduct_type": "image"},
        epn={
            "access_url": OneOf(
                tuple(
                    f"{AI4E}/chloris-biomass/cog/bio_{name}.tif"
                    for name in ("2019", "2019_merc", "change_2018-2019", "change_2018-2019_merc")
                )
            )
        },
    ),
    # The whole sphere has ranges, but no simple polygon. Four Zarr folders: nothing that one download gives.
    Chosen(
        1144,
        "era5-pds-2020-12-fc",
        "era5-pds",
        "era5-pds..era5-pds-2020-12-fc",
        footprint=Footprint(degrees(0), degrees(360), degrees(-90), degrees(90), polygon=None),
        times=(mjd(59184.0), mjd(59214.958333333336)),
        links={
            "precipitation_amount_1hour_Accumulation": ZARR,
            "air_temperature_at_2_metres_1hour_Maximum": ZARR,
            "air_temperature_at_2_metres_1hour_Minimum": ZARR,
            "integral_wrt_time_of_surface_direct_downwelling_shortwave_flux_in_air_1hour_Accumulation": ZARR,
        },
        obscore={"access_estsize": None},
        metadata={"era5:kind": "fc"},
    ),
    # 180.0014 W is 179.9986 E: one degree of longitude, no way round the Earth.
    Chosen(
        1141,
        "Copernicus_DSM_COG_10_S90_00_W180_00_DEM",
        "cop-dem-glo-30",
        "cop-dem-glo-30..Copernicus_DSM_COG_10_S90_00_W180_00_DEM",
        footprint=Footprint(degrees(179.99861111), degrees(180.99861111), degrees(-89.99986111), degrees(-88.99986111)),
        times=(mjd(59326.0), mjd(59326.0)),
        links={"data": NO_SIZE, "tilejson": QUERY, "rendered_preview": QUERY},
        obscore={"facility_name": "TanDEM-X", "dataproduct_type": "image"},
    ),
    # A box from 179.78 E the long way to 179.15 W (the bbox says so): all longitudes but one degree.
    Chosen(
        1146,
        "tree_woodland_stems",
        "fia",
        "fia..tree_woodland_stems",
        footprint=Footprint(degrees(180.85266), degrees(179.77847), degrees(-14.53), degrees(71.352561), polygon=None),
        times=(mjd(59001.0), mjd(59001.0)),
        links={"data": ABFS},
    ),
    Chosen(
        1148,
        "gbif-2024-10-01",
        "gbif",
        "gbif..gbif-2024-10-01",
        footprint=Footprint(degrees(0), degrees(360), degrees(-90), degrees(90), polygon=None),
        times=(mjd(60584.0), mjd(60584.0)),
        links={"data": ("az:", "az ", "'az'", '"az"', "scheme", "size")},
    ),
    # 58 sized rasters without a checksum of any kind.
    Chosen(
        1149,
        "pw_-2391035_-539485_-2227195_-703325",
        "gnatsgo-rasters",
        "gnatsgo-rasters..pw_-2391035_-539485_-2227195_-703325",
        footprint=Footprint(
            degrees(131.0295714),
            degrees(132.5857022),
            degrees(2.9267561),
            degrees(4.5066595),
            vertices=(
                (132.5857022, 2.9267561),
                (132.5857022, 4.5066595),
                (131.0295714, 4.5066595),
                (131.0295714, 2.9267561),
            ),
        ),
        times=(mjd(59031.0), mjd(59031.0)),
        files={
            "mukey": public(1505147, f"{_SOILS}/mukey_pw_-2391035_-539485_-2227195_-703325.tif"),
            "aws0_5": public(1519677, f"{_SOILS}/aws0-5_pw_-2391035_-539485_-2227195_-703325.tif"),
        },
        more_files=56,
        links={"tilejson": QUERY, "rendered_preview": QUERY},
        obscore={"access_estsize": kilobytes(81777688), "dataproduct_type": "image"},
        epn={"access_estsize": Within(1, 100_000)},
    ),
)
