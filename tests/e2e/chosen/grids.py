"""More items of the Planetary Computer and Earth Search: bare checksums, jumps at the antimeridian, many bands."""

from __future__ import annotations

from tests.e2e.chosen.clouds import AI4E, NO_SIZE, QUERY, public
from tests.e2e.chosen.expected import (
    At,
    Chosen,
    Footprint,
    Holds,
    Near,
    OneOf,
    Within,
    degrees,
    kilobytes,
    micrometres,
    mjd,
)

_EARTH_SEARCH = (
    "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a/20/E/PT/2025/7/"
    "S2B_T20EPT_20250731T131905_L2A"
)
_RTC = (
    "https://sentinel1euwestrtc.blob.core.windows.net/sentinel1-grd-rtc/GRD/2025/3/11/IW/DV/"
    "S1A_IW_GRDH_1SDV_20250311T044231_20250311T044249_058252_073302_F851/measurement"
)

CHOSEN = (
    # 184.38 W is 175.62 E: the view of GOES-18 lies over the antimeridian. Bands have centres only.
    Chosen(
        1151,
        "OR_ABI-L2-C-M6_G18_s20250701546183",
        "goes-cmi",
        "goes-cmi..OR_ABI-L2-C-M6_G18_s20250701546183",
        footprint=Footprint(
            degrees(175.62356831995223),
            degrees(270.37643154670863),
            degrees(14.805178981983541),
            # The edge along the north may be taken straight in longitude and latitude, or as a great circle.
            Within(53.5000662, 63.5),
        ),
        times=(mjd(60745.65715625), mjd(60745.65715625)),
        wavelengths=(Within(0.4e-6, 0.4700001e-6), Within(13.2699999e-6, 14.5e-6)),
        more_links=62,
        obscore={"facility_name": "GOES-18", "instrument_name": "ABI", "access_estsize": None},
    ),
    # One science file of stated size: the row of the data file itself.
    Chosen(
        1164,
        "CAN_LC_2015_CAL_16_13",
        "nrcan-landcover",
        "nrcan-landcover..CAN_LC_2015_CAL_16_13",
        footprint=Footprint(
            degrees(276.3640846),
            degrees(280.4728599),
            degrees(39.872037),
            degrees(42.9604546),
            vertices=(
                (280.4728599, 39.872037),
                (280.4728599, 42.9604546),
                (276.3640846, 42.9604546),
                (276.3640846, 39.872037),
            ),
        ),
        times=(mjd(57023.0), mjd(58849.0)),
        files={
            "landcover": public(
                1307648,
                "https://nrcanlandcovereuwest.blob.core.windows.net/landcover/assets/cogs/CAN_LC_2015_CAL_16_13_cog.tif",
            )
        },
        links={"metadata": NO_SIZE, "tilejson": QUERY, "rendered_preview": QUERY},
        obscore={
            "access_estsize": kilobytes(1307648),
            "obs_title": "2015 Land Cover of Canada",
            "bib_reference": OneOf((None, Holds(("10.4095/315659",)))),  # sci:doi
        },
        epn={
            "access_url": (
                "https://nrcanlandcovereuwest.blob.core.windows.net/landcover/assets/cogs/CAN_LC_2015_CAL_16_13_cog.tif"
            ),
            "access_format": Holds(("image/tiff",)),
            "access_estsize": kilobytes(1307648),
            "access_md5": None,
            "file_name": OneOf((None, Holds(("CAN_LC_2015_CAL_16_13",)))),
        },
        metadata={"label:properties": None, "sci:doi": "10.4095/315659"},
    ),
    # 32 hexadecimal digits without a multihash code: a checksum of some kind, never an MD5.
    Chosen(
        1168,
        "S1A_IW_GRDH_1SDV_20250311T044231_20250311T044249_058252_073302_rtc",
        "sentinel-1-rtc",
        "sentinel-1-rtc..S1A_IW_GRDH_1SDV_20250311T044231_20250311T044249_058252_073302_rtc",
        footprint=Footprint(
            degrees(17.82792191023565),
            degrees(20.621373751867566),
            degrees(29.389001180094468),
            degrees(30.75035751452164),
        ),
        times=(mjd(60745.19620045806), mjd(60745.19640826075)),
        wavelengths=None,
        files={
            "vh": public(1242427960, f"{_RTC}/iw-vh.rtc.tiff", stated="0715c62c603222df3a60f36473e19d13"),
            "vv": public(1242662612, f"{_RTC}/iw-vv.rtc.tiff", stated="7ddacf901e722721ade996eb448ec87f"),
        },
        links={"tilejson": QUERY, "rendered_preview": QUERY},
        obscore={"access_estsize": kilobytes(2485090572), "pol_states": None},
        epn={"access_md5": None},
        metadata={"sar:polarizations": ["VV", "VH"]},
    ),
    # A UTM zone over the antimeridian as one ring that jumps from -180 to 180: by the letter it crosses itself.
    # Unwrapped it is a strip from 172.7 E to 178.7 W; read by the letter it is no footprint at all.
    Chosen(
        1180,
        "60W-2023",
        "io-lulc-annual-v02",
        "io-lulc-annual-v02..60W-2023",
        footprint=Footprint(
            OneOf((None, degrees(172.74911824960796))),
            OneOf((None, degrees(181.250881750392))),
            OneOf((None, Near(63.969110597182826, 1e-9))),
            OneOf((None, Within(72.0229128, 72.1))),
            polygon=None,
        ),
        times=(mjd(59945.0), mjd(60310.0)),
        files={"data": public(71713777, f"{AI4E}/io-lulc/io-annual-lulc-v02/60W_20230101-20240101.tif")},
        links={"tilejson": QUERY, "rendered_preview": QUERY},
        obscore={"access_estsize": kilobytes(71713777)},
        epn={"access_url": f"{AI4E}/io-lulc/io-annual-lulc-v02/60W_20230101-20240101.tif"},
    ),
    Chosen(
        1183,
        "60N-2023",
        "io-lulc-annual-v02",
        "io-lulc-annual-v02..60N-2023",
        footprint=Footprint(
            OneOf((None, degrees(173.9707653411823))),
            OneOf((None, degrees(180.02923465881767))),
            OneOf((None, degrees(0.0))),
            OneOf((None, Within(8.0108488, 8.1))),
            polygon=None,
        ),
        times=(mjd(59945.0), mjd(60310.0)),
        files={"data": public(27229767, f"{AI4E}/io-lulc/io-annual-lulc-v02/60N_20230101-20240101.tif")},
        links={"tilejson": QUERY, "rendered_preview": QUERY},
    ),
    # Heights in the coordinates; an offset +00:00; dates of its own.
    Chosen(
        1209,
        "52f2317f-091b-4f90-b385-08c93655e089",
        "umbra-sar",
        "umbra-sar..52f2317f-091b-4f90-b385-08c93655e089",
        footprint=Footprint(
            degrees(280.3864821097593),
            degrees(280.45074848041656),
            degrees(8.941719234834665),
            degrees(9.005616405406611),
            vertices=(
                (280.45074848041656, 8.974791994120121),
                (280.41748305127727, 9.005616405406611),
                (280.3864821097593, 8.972540909838038),
                (280.41974714277855, 8.941719234834665),
            ),
        ),
        times=(mjd(60563.14748842592), mjd(60563.14760304958)),
        wavelengths=None,
        links={"thumbnail": NO_SIZE},
        obscore={"facility_name": "Umbra-08"},
        epn={
            "creation_date": At("2024-09-10T10:00:00.425"),
            "modification_date": At("2024-09-10T10:00:00.425"),
        },
        metadata={"umbra:open-data-catalog": True, "umbra:squint_angle_degrees": 120.06241607666016},
    ),
    # An answer of the fields extension, geometry and assets were not asked for. A bbox is prohibited where the geometry
    # is null (STAC item), so the item has a place: its box may stand for the ranges, but is no outline.
    Chosen(
        4790,
        "Copernicus_DSM_COG_10_S90_00_W176_00_DEM",
        "cop-dem-glo-30",
        "cop-dem-glo-30..Copernicus_DSM_COG_10_S90_00_W176_00_DEM",
        footprint=Footprint(
            OneOf((None, degrees(183.9986111111111))),
            OneOf((None, degrees(184.9986111111111))),
            OneOf((None, degrees(-89.99986111111112))),
            OneOf((None, degrees(-88.99986111111112))),
            polygon=False,
        ),
        times=(mjd(59326.0), mjd(59326.0)),
        obscore={"access_estsize": None},
        epn={"access_url": None},
    ),
    # 23 sized files with SHA2-256; everything but previews, tile pictures and metadata is the data.
    Chosen(
        4799,
        "S2B_T20EPT_20250731T131905_L2A",
        "sentinel-2-c1-l2a",
        "sentinel-2-c1-l2a..S2B_T20EPT_20250731T131905_L2A",
        footprint=Footprint(
            degrees(300.16842198377714),
            degrees(300.820811369614),
            degrees(-60.50198608027001),
            degrees(-60.381497373885004),
            vertices=(
                (300.16842198377714, -60.3982344095088),
                (300.50162255006929, -60.446705795728874),
                (300.820811369614, -60.50198608027001),
                (300.80667185518317, -60.381497373885004),
            ),
        ),
        times=(mjd(60887.55512650463), mjd(60887.55512650463)),
        wavelengths=(micrometres(0.4295), micrometres(2.311)),
        files={
            "red": public(
                4702862,
                f"{_EARTH_SEARCH}/B04.tif",
                stated="1220788b8545c5fd72b4ee34271d43182b74aa423a4e3880bbe9ed7a4ec141e9a5ec",
            ),
            "coastal": public(
                147839,
                f"{_EARTH_SEARCH}/B01.tif",
                stated="122006df5d0e3d97036ed9b02232a416fe293f3569d153fd4758bb971d436dccbf6b",
            ),
            "tileinfo_metadata": public(
                1618,
                f"{_EARTH_SEARCH}/tileInfo.json",
                stated="1220be8a180166d6b391bd7db0e4f2689a83d963e88e34a2f01274b82a088a974752",
            ),
        },
        more_files=20,
        obscore={
            # "visual" is a picture of the data or data, masks too; open.
            "access_estsize": Within(26_800, 34_300),
            "facility_name": "sentinel-2b",
            "instrument_name": "msi",
            "dataproduct_type": "image",
        },
        epn={"creation_date": At("2025-07-31T15:00:24.817"), "processing_level": None},
        metadata={"s2:datatake_type": "INS-NOBS", "proj:centroid": {"lat": -60.42638, "lon": -59.39732}},
    ),
)
