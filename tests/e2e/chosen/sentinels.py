"""Copernicus items: stated sizes, good and malformed multihashes, two storages, log-ins, swaths over the poles.

Multihash (file extension 2.1): ``d501`` is MD5 and wants 16 bytes (``10``), ``16`` is SHA3-256 and wants 32 (``20``).
``s3://eodata/...`` names its storages by ``storage:refs``: both may be used, the first must.
"""

from __future__ import annotations

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

_CDSE = "s3://eodata.dataspace.copernicus.eu:443/eodata"
_CREODIAS = "s3://eodata.cloudferro.com:443/eodata"
_ZIPPER = "https://zipper.dataspace.copernicus.eu/odata/v1/Products"
_DOWNLOAD = "https://download.dataspace.copernicus.eu/odata/v1/Products"
_DATAHUB = "https://datahub.creodias.eu/odata/v1/Assets"

NO_SIZE = ("size",)
# processing:level L1 (processing extension): coefficients computed, not yet applied to the data; ObsCore has 1 for
# instrumental data in a standard format and 2 for calibrated. L2 is derived geophysical variables: 2 or 3.
L1 = Within(1, 2)
L2 = Within(2, 3)


def _eodata(
    size: int,
    path: str,
    node: str,
    *,
    md5: str | None = None,
    stated: str | None = None,
) -> File:
    """An asset on eodata (S3 with credentials) with its OIDC-protected alternate."""
    return File(
        size,
        "." + path.rsplit(".", 1)[1],
        {f"{_CDSE}/{path}": True, f"{_ZIPPER}({node}/$value": True},
        md5=md5,
        stated=stated,
        also=(f"{_CREODIAS}/{path}",),
    )


def _product(size: int, product: str, md5: str) -> File:
    return File(size, None, {f"{_DOWNLOAD}({product})/$value": True}, md5=md5)


_GRD = "S1A_EW_GRDM_1SSH_20241130T001228_20241130T001333_056776_06F825_E84D_COG"
_GRD_UUID = "446a1d5b-66d0-482f-ac23-4e81d3001bc0"
_GRD_PATH = f"Sentinel-1/SAR/EW_GRDM_1S-COG/2024/11/30/{_GRD}.SAFE"
_GRD_NODE = f"{_GRD_UUID})/Nodes({_GRD}.SAFE)"
_GRD_STEM = "s1a-ew-grd-hh-20241130t001228-20241130t001333-056776-06f825-001-cog"

_WV = "S1A_WV_SLC__1SSV_20221101T034802_20221101T035539_045695_057704_0FB9"
_WV_UUID = "20d12c7c-fcd2-5a3c-ab9e-6cdbed185b04"
_WV_PATH = f"Sentinel-1/SAR/SLC/2022/11/01/{_WV}.SAFE"

_L1C = "S2A_MSIL1C_20240116T000741_N0510_R130_T51CVP_20240116T010505"
_L1C_UUID = "02ae3a06-b131-4008-af04-dd12eb5081f7"
_L1C_PATH = f"Sentinel-2/MSI/L1C/2024/01/16/{_L1C}.SAFE"

_EFR = "S3A_OL_1_EFR____20160406T012156_20160406T012355_20241003T093342_0119_002_345_1440_MAR_R_NT_004"
_AOD = "S3B_SL_2_AOD____20250912T000152_20250912T000652_20250912T021330_0299_111_059______MAR_O_NR_003"
_AOD_UUID = "d752a15e-e16a-4f5a-89d6-56b276ad1bec"
_LST = "S3A_SL_2_LST____20160419T004448_20160419T022547_20180929T104258_6059_003_145______LR1_R_NT_003"
_SRA = "S3A_SR_1_SRA_A__20180401T003535_20180401T012604_20180426T225426_3029_029_287______LN3_O_NT_003"
_SRA_UUID = "ed4fea44-5467-5792-879e-448e72dcaa6a"
_LAN = "S3A_SR_2_LAN_HY_20160301T101136_20160301T102019_20230907T180131_0522_001_222______LN3_R_NT_005"
_LAN_UUID = "379c2859-84b2-3449-81e7-15c0fe29daac"
_LAN_PATH = f"Sentinel-3/SRAL/SR_2_LAN_HY/2016/03/01/{_LAN}.SEN3"

# Radar: em_min and em_max are left open here; the bands of these items are a centre frequency, not bands.
CHOSEN = (
    # No size on either asset: nothing to register, though it says where the bytes are. A square degree on the equator.
    Chosen(
        1,
        "Copernicus_DSM_COG_10_N00_00_E006_00_DEM",
        "cop-dem-glo-30-dged-cog",
        "cop-dem-glo-30-dged-cog..Copernicus_DSM_COG_10_N00_00_E006_00_DEM",
        footprint=Footprint(degrees(6), degrees(7), degrees(0), degrees(1), vertices=((6, 0), (7, 0), (7, 1), (6, 1))),
        times=(mjd(55772.74148560015), mjd(56555.22388236729)),
        wavelengths=None,
        links={"data": NO_SIZE, "manifest": NO_SIZE},
        obscore={"access_estsize": None, "calib_level": 2, "dataproduct_type": "image"},
        epn={
            "creation_date": At("2022-08-09T10:02:00.180"),
            "dataproduct_type": OneOf(("im", "ma")),
            "processing_level": None,
        },
        metadata={"product:type": "DGE_30-COG", "gsd": 30, "proj:code": "EPSG:4326", "sar:polarizations": ["HH"]},
    ),
    # All seven assets have sizes; three checksums are MD5, four claim SHA3-256 with 16 bytes, which none has.
    Chosen(
        3,
        _GRD,
        "sentinel-1-grd",
        f"sentinel-1-grd..{_GRD}",
        footprint=Footprint(
            degrees(314.565399),
            degrees(336.678663),
            degrees(-78.811722),
            degrees(-73.557213),
            vertices=(
                (314.565399, -76.608543),
                (323.470001, -73.557213),
                (336.678663, -75.31073),
                (329.929573, -78.811722),
            ),
        ),
        times=(mjd(60644.00866657556), mjd(60644.009410719795)),
        wavelengths=None,
        files={
            "safe_manifest": _eodata(
                18744,
                f"{_GRD_PATH}/manifest.safe",
                f"{_GRD_NODE}/Nodes(manifest.safe)",
                md5="24d0df45b8d1570b55ca0e459f208263",
            ),
            "thumbnail": File(
                23792,
                None,
                {
                    f"{_DATAHUB}(a4d4d598-f467-4fbc-b46a-4c04ceeca38f)/$value": False,
                    f"{_CDSE}/{_GRD_PATH}/preview/thumbnail.png": True,
                },
                md5="3f201bcffa74e17faa2708a33b316322",
                also=(f"{_CREODIAS}/{_GRD_PATH}/preview/thumbnail.png",),
            ),
            "schema-product-hh": _eodata(
                2657130,
                f"{_GRD_PATH}/annotation/{_GRD_STEM}.xml",
                f"{_GRD_NODE}/Nodes(annotation)/Nodes({_GRD_STEM}.xml)",
                stated="1610954d09f8c4e1f2effceb86c56852a5f1",
            ),
            "schema-calibration-hh": _eodata(
                1040586,
                f"{_GRD_PATH}/annotation/calibration/calibration-{_GRD_STEM}.xml",
                f"{_GRD_NODE}/Nodes(annotation)/Nodes(calibration)/Nodes(calibration-{_GRD_STEM}.xml)",
                stated="16107d3465a2218a6f4ec13e31c8eb4ff8f9",
            ),
            "schema-noise-hh": _eodata(
                455744,
                f"{_GRD_PATH}/annotation/calibration/noise-{_GRD_STEM}.xml",
                f"{_GRD_NODE}/Nodes(annotation)/Nodes(calibration)/Nodes(noise-{_GRD_STEM}.xml)",
                stated="16105efe034cb54e45dd5e77e4bd15c61f80",
            ),
            "hh": _eodata(
                170346093,
                f"{_GRD_PATH}/measurement/{_GRD_STEM}.tiff",
                f"{_GRD_NODE}/Nodes(measurement)/Nodes({_GRD_STEM}.tiff)",
                stated="161096966d1a46dffd736b2627ab01b65480",
            ),
            "Product": _product(175118648, _GRD_UUID, "885284aef32be304f29fc5db68cba07d"),
        },
        obscore={
            # The zipped product has the role data beside metadata and archive: it may count or not.
            "access_estsize": kilobytes(170346093, 170346093 + 175118648),
            "calib_level": L1,
            "facility_name": "sentinel-1a",
            "instrument_name": "sar",
            "dataproduct_type": "image",
            # "published" of the timestamps extension: the data became public then.
            "obs_release_date": At("2024-11-30T01:38:27.218"),
            "pol_states": None,  # HH is not among the states of ObsCore 1.1 B.6.6
        },
        epn={
            "creation_date": At("2024-11-30T00:37:28.441"),
            "modification_date": At("2024-11-30T01:38:29.936"),
            "release_date": At("2024-11-30T01:38:27.218"),
        },
        metadata={
            "processing:level": "L1",
            "platform": "sentinel-1a",
            "sar:center_frequency": 5.405,
            "eopf:datatake_id": "456741",
            "processing:software": {"eometadatatool": "250924131919+dirty"},
            "expires": "9999-01-01T00:00:00.000000Z",
        },
    ),
    # 169 kB, 130 assets, all sized; 32 vignettes along the orbit that do not join.
    Chosen(
        7,
        _WV,
        "sentinel-1-slc-wv",
        f"sentinel-1-slc-wv..{_WV}",
        footprint=Footprint(
            degrees(1.873555), degrees(23.24353), degrees(-65.751572), degrees(-40.189816), polygon=None
        ),
        wavelengths=None,
        files={
            "safe_manifest": _eodata(
                168793,
                f"{_WV_PATH}/manifest.safe",
                f"{_WV_UUID})/Nodes({_WV}.SAFE)/Nodes(manifest.safe)",
                md5="80ccc58bdb50e87c38cb0f6074a20e03",
            )
        },
        more_files=129,
        obscore={"calib_level": L1, "facility_name": "sentinel-1a"},
    ),
    # 602 kB, 466 assets; 116 vignettes from Alaska to the far south over the antimeridian: 152.58 E to 178.01 W.
    Chosen(
        8,
        "S1B_WV_SLC__1SSH_20170317T183154_20170317T190001_004752_0084CF_D004",
        "sentinel-1-slc-wv",
        "sentinel-1-slc-wv..S1B_WV_SLC__1SSH_20170317T183154_20170317T190001_004752_0084CF_D004",
        footprint=Footprint(
            degrees(152.580276), degrees(181.988541), degrees(-39.727161), degrees(61.299675), polygon=None
        ),
        times=(mjd(57829.772157398416), mjd(57829.79168682434)),
        wavelengths=None,
        more_files=466,
        obscore={"calib_level": L1},
    ),
    # "d50120": MD5 with 32 bytes, which MD5 has not; "1620" is SHA3-256, right but not for Rucio. B12: 2.202 +- 0.58.
    Chosen(
        13,
        _L1C,
        "sentinel-2-l1c",
        f"sentinel-2-l1c..{_L1C}",
        footprint=Footprint(
            degrees(118.63013704849264),
            degrees(121.04339849225111),
            degrees(-78.1390609167403),
            degrees(-77.44526810077394),
        ),
        times=(mjd(60325.005335925925), mjd(60325.005335925925)),
        wavelengths=(micrometres(0.329), micrometres(2.782)),
        files={
            "product_metadata": _eodata(
                45541,
                f"{_L1C_PATH}/MTD_MSIL1C.xml",
                f"{_L1C_UUID})/Nodes({_L1C}.SAFE)/Nodes(MTD_MSIL1C.xml)",
                stated="d50120d064beb0ad2adcb9c577be442e7f9dac3d0487608ca01381059bd22ce94cb82c",
            ),
            "safe_manifest": _eodata(
                48862,
                f"{_L1C_PATH}/manifest.safe",
                f"{_L1C_UUID})/Nodes({_L1C}.SAFE)/Nodes(manifest.safe)",
                md5="d1429923b75f83c651065be6109194dc",
            ),
            "Product": _product(117037934, _L1C_UUID, "9cd16654f41f4f7161ed82dd6a72b9b8"),
        },
        more_files=18,
        obscore={"calib_level": L1, "facility_name": "sentinel-2a", "instrument_name": "msi"},
        metadata={"eo:cloud_cover": 0.0, "grid:code": "MGRS-51CVP"},
    ),
    # A swath over the north pole, cut open along the antimeridian up to (180, 90): all longitudes, up to the pole.
    Chosen(
        15,
        _EFR,
        "sentinel-3-olci-1-efr-ntc",
        f"sentinel-3-olci-1-efr-ntc..{_EFR}",
        footprint=Footprint(degrees(0), degrees(360), degrees(76.776), degrees(90), polygon=None),
        times=(mjd(57484.05689480075), mjd(57484.05827323059)),
        wavelengths=None,
        links={"xfdumanifest": NO_SIZE, "thumbnail": NO_SIZE},
        more_files=51,
        obscore={"calib_level": L1, "instrument_name": "olci"},
    ),
    # file:size 1302405.0: JSON Schema draft 7 has a number without a fraction as an integer.
    Chosen(
        40,
        _AOD,
        "sentinel-3-sl-2-aod-nrt",
        f"sentinel-3-sl-2-aod-nrt..{_AOD}",
        footprint=Footprint(degrees(0), degrees(360), degrees(70.406), degrees(90), polygon=None),
        times=(mjd(60930.00130150006), mjd(60930.00476318295)),
        wavelengths=None,
        files={
            "nrt_aod": _eodata(
                1302405,
                f"Sentinel-3/SLSTR/SL_2_AOD___/2025/09/12/{_AOD}.SEN3/NRT_AOD.nc",
                f"{_AOD_UUID})/Nodes({_AOD}.SEN3)/Nodes(NRT_AOD.nc)",
                md5="037feb80c142261357d6443826591403",
            ),
            "product": _product(1517557, _AOD_UUID, "cd23121df2d7ede1c48f08b4b42bd37c"),
        },
        links={"xfdumanifest": NO_SIZE, "manifest": NO_SIZE, "eop_metadata": NO_SIZE},
        obscore={"access_estsize": kilobytes(1302405, 1302405 + 1517557), "calib_level": L2},
        metadata={"statistics": {"saline_water": 99.399833, "land": 0.600167}},
    ),
    # Two thirds of an orbit with the north pole inside and a hole: more than a hemisphere has no simple polygon.
    Chosen(
        45,
        _LST,
        "sentinel-3-sl-2-lst-ntc",
        f"sentinel-3-sl-2-lst-ntc..{_LST}",
        footprint=Footprint(degrees(0), degrees(360), degrees(-85.8805), degrees(90), polygon=None),
        times=(mjd(57497.031106227245), mjd(57497.101236099144)),
        wavelengths=None,
        links={"xfdumanifest": NO_SIZE, "thumbnail": NO_SIZE},
        more_files=12,
        obscore={"calib_level": L2},
    ),
    # 2.4 GB files; half an orbit from 51 E at 81 S over Greenwich to 144 W at 81 N: c1min > c1max.
    Chosen(
        57,
        _SRA,
        "sentinel-3-sr-1-sra-a-ntc",
        f"sentinel-3-sr-1-sra-a-ntc..{_SRA}",
        footprint=Footprint(degrees(216.353), degrees(51.1419), degrees(-81.4131), degrees(81.4103), polygon=None),
        times=(mjd(58209.024706111595), mjd(58209.05976541977)),
        wavelengths=None,
        files={
            "measurement_data": _eodata(
                2428761912,
                f"Sentinel-3/SRAL/SR_1_SRA_A/2018/04/01/{_SRA}.SEN3/measurement_l1a.nc",
                f"{_SRA_UUID})/Nodes({_SRA}.SEN3)/Nodes(measurement_l1a.nc)",
                md5="d3e2a5f313c63be297b0caaa16bc7ca4",
            ),
            "product": _product(2428825859, _SRA_UUID, "54af97737ea445cf8d2529097495ddba"),
        },
        links={"xfdumanifest": NO_SIZE},
        obscore={
            "access_estsize": kilobytes(2428761912, 2428761912 + 2428825859),
            "facility_name": "sentinel-3a",
            "instrument_name": "sral",
        },
    ),
    # A collection id of 26 characters, longer than a Rucio scope; an id of 94.
    Chosen(
        66,
        _LAN,
        "sentinel-3-sr-2-lan-hy-ntc",
        f"sentinel-3-sr-2-lan-hy-ntc..{_LAN}",
        footprint=Footprint(degrees(89.3362), degrees(163.463), degrees(57.3523), degrees(81.3979), polygon=None),
        times=(mjd(57448.424726107034), mjd(57448.43077347664)),
        wavelengths=None,
        files={
            "enhanced_measurement": _eodata(
                7074632,
                f"{_LAN_PATH}/enhanced_measurement.nc",
                f"{_LAN_UUID})/Nodes({_LAN}.SEN3)/Nodes(enhanced_measurement.nc)",
                md5="23b1108ebf0b42e6e25a57f94eda1f14",
            ),
            "standard_measurement": _eodata(
                1637911,
                f"{_LAN_PATH}/standard_measurement.nc",
                f"{_LAN_UUID})/Nodes({_LAN}.SEN3)/Nodes(standard_measurement.nc)",
                md5="0487bd2e1b716affea8b2826b1279501",
            ),
            "product": _product(8803583, _LAN_UUID, "6369a4360848100119701748f96d6654"),
        },
        links={"xfdumanifest": NO_SIZE},
        obscore={
            "access_estsize": kilobytes(7074632 + 1637911, 7074632 + 1637911 + 8803583),
            "instrument_name": Holds(("sral",)),
        },
        epn={"instrument_host_name": Holds(("sentinel-3a",))},
    ),
)
