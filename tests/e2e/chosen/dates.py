"""Times: before 1970, date only, ranges that contradict themselves, none at all; old versions of STAC."""

from __future__ import annotations

from tests.e2e.chosen.clouds import NO_SIZE, QUERY
from tests.e2e.chosen.expected import NO_POSITION, At, Chosen, Footprint, Near, OneOf, Within, degrees, micrometres, mjd
from tests.e2e.chosen.names import NO_ENDPOINT, RELATIVE

NO_HREF = ("href",)

CHOSEN = (
    # bbox absent though there is a geometry: the footprint is the geometry.
    Chosen(
        4816,
        "LC08_L2SP_197023_20220324_02_T1",
        "landsat-8-c2-l2",
        "landsat-8-c2-l2..LC08_L2SP_197023_20220324_02_T1",
        footprint=Footprint(
            degrees(5.3740822),
            degrees(9.0724345),
            degrees(51.9629194),
            degrees(54.2077659),
            vertices=(
                (6.2661024, 54.2077659),
                (9.0724345, 53.6855485),
                (8.1759883, 51.9629194),
                (5.3740822, 52.4936092),
            ),
        ),
        times=(mjd(59662.43548444801), mjd(59662.43548444801)),
        wavelengths=(micrometres(0.43), micrometres(11.3)),
        more_links=25,
        obscore={"facility_name": "landsat-8", "dataproduct_type": "image"},
        metadata={"landsat:wrs_row": "023", "instruments": ["oli", "tirs"]},
    ),
    # Nine assets without an href: links to nowhere, and the item stays.
    Chosen(
        5128,
        "LC08_L2SR_066091_20220113_02_T1",
        "landsat-8-c2-l2",
        "landsat-8-c2-l2..LC08_L2SR_066091_20220113_02_T1",
        footprint=Footprint(degrees(182.2766032), degrees(185.3289845), degrees(-45.682833), degrees(-43.5189395)),
        times=(mjd(59592.89235868071), mjd(59592.89235868071)),
        wavelengths=(micrometres(0.43), OneOf((micrometres(11.3), Near(2.3e-6, 0.1e-6)))),
        links={
            **dict.fromkeys(
                ("ST_QA", "ST_B10", "ST_DRAD", "ST_EMIS", "ST_EMSD", "ST_TRAD", "ST_URAD", "ST_ATRAN", "ST_CDIST"),
                NO_HREF,
            ),
            "SR_B1": NO_SIZE,
            "ANG": NO_SIZE,
        },
        more_links=14,
    ),
    # A self link that is itself relative; bands in the properties, and 3,031 as a projection.
    Chosen(
        5794,
        "LC08_L2SR_081119_20200101_20200823_02_T2",
        "landsat-c2l2-sr",
        "landsat-c2l2-sr..LC08_L2SR_081119_20200101_20200823_02_T2",
        footprint=Footprint(
            degrees(97.0135423519546),
            degrees(111.50547149149213),
            degrees(-81.93331557352852),
            degrees(-79.61169259634802),
        ),
        times=(mjd(58849.0), mjd(58849.0)),
        wavelengths=None,
        links={"SR_B2.TIF": RELATIVE, "thumbnail": NO_SIZE},
        more_links=15,
        metadata={"landsat:wrs_path": "81"},
    ),
    Chosen(
        5799,
        "2aa69fcf-aa55-4747-9d95-3652f9fe79b0",
        None,
        "items..2aa69fcf-aa55-4747-9d95-3652f9fe79b0",
        footprint=Footprint(
            degrees(153.27898977305418),
            degrees(155.6469914729725),
            degrees(-29.92243448617234),
            degrees(-27.816894407110592),
            polygon=None,
        ),
        times=(mjd(58994.98301869706), mjd(58994.98336293656)),
        links={"nbart_blue": NO_SIZE},
        more_links=24,
        obscore={"facility_name": "landsat-8"},
        metadata={
            "odc:lineage": {"level1": ["b5f234fe-bba8-5483-9bc0-250360d429cf"]},
            "fmask:cloud": 42.42102985910952,
        },
    ),
    # STAC 0.7, a date without a time: it begins at midnight; whether it lasts the day is open.
    Chosen(
        5850,
        "LC08_L2SP_005009_20150710_20200908_02_T2",
        "landsat-c2l2-sr",
        "landsat-c2l2-sr..LC08_L2SP_005009_20150710_20200908_02_T2",
        footprint=Footprint(
            degrees(317.18923128502926),
            degrees(324.75238271802406),
            degrees(71.03398759793903),
            degrees(73.37663856483091),
        ),
        times=(mjd(57213.0), Within(57213.0, 57214.0)),
        wavelengths=None,
        links={"thumbnail": NO_SIZE},
        more_links=16,
    ),
    # Neither a datetime nor a range, which STAC does not allow; it can be mapped all the same, for t_min and t_max
    # may be null in ObsCore 1.1 and nothing is invented.
    Chosen(
        5998,
        "AOI_1_Epi_0-iNglWjcFF0v3rBHi3s1_fQ__",
        None,
        "items..AOI_1_Epi_0-iNglWjcFF0v3rBHi3s1_fQ__",
        footprint=Footprint(
            degrees(67.3448318556961),
            degrees(67.51205662570842),
            degrees(36.51311001861071),
            degrees(36.62141771742338),
            vertices=(
                (67.51205662570842, 36.55731777510677),
                (67.38611292667153, 36.51311001861071),
                (67.3448318556961, 36.58305627866545),
                (67.4685768936711, 36.62141771742338),
            ),
        ),
        times=(None, None),
        obscore={"obs_title": "AOI_1_Epi_0"},
        epn={"modification_date": At("2026-03-09T09:58:17.822"), "access_url": None},
        metadata={"cpe:cos2_id": None, "disaster:region": ["Afghanistan"]},
    ),
    Chosen(
        6036,
        "grd-200",
        "desinventar-events",
        "desinventar-events..grd-200",
        footprint=Footprint(
            degrees(298.50041700000003),
            degrees(298.6218080000001),
            degrees(12.401528000000098),
            degrees(12.54013800000007),
        ),
        times=(mjd(-1600.0), mjd(-1600.0)),
        obscore={"obs_title": "Cholera Epidemic in Carriacou"},
        metadata={"monty:episode_number": 1, "description": "386 deaths - 223 are male"},
    ),
    # A datetime an hour before its own range: the range is what ObsCore asks for.
    Chosen(
        6043,
        "gdacs-impact-1102983-2-A-death-Spain-Andalusia",
        "gdacs-impacts",
        "gdacs-impacts..gdacs-impact-1102983-2-A-death-Spain-Andalusia",
        footprint=Footprint(
            degrees(357.3767668), degrees(357.3767668), degrees(39.4177902), degrees(39.4177902), polygon=None
        ),
        times=(mjd(60610.67638888889), mjd(60618.67638888889)),
        links={"icon": NO_SIZE, "report": QUERY},
        epn={"creation_date": At("2025-01-05T13:10:23")},
        metadata={
            "monty:impact_detail": {
                "category": "people",
                "type": "missing",
                "value": 114,
                "unit": "sendai",
                "estimate_type": "primary",
            }
        },
    ),
    # Rings that are not closed (RFC 7946 wants them closed): a footprint all the same, or none, but never another.
    Chosen(
        6184,
        "znz001",
        None,
        "items..znz001",
        footprint=Footprint(
            OneOf((None, degrees(39.28919876472999))),
            OneOf((None, degrees(39.31302874892266))),
            OneOf((None, degrees(-5.743028283012867))),
            OneOf((None, degrees(-5.722212794937691))),
            polygon=None,
        ),
        times=(mjd(58596.0), mjd(58596.0)),
        links={"labels": QUERY, "raster": NO_SIZE, "thumbnail": NO_SIZE},
        metadata={"label:type": "vector", "label:methods": ["manual"]},
    ),
    Chosen(
        6250,
        "datacube",
        None,
        "items..datacube",
        # The bbox of six numbers is another footprint than the geometry; the geometry is the footprint.
        footprint=Footprint(
            degrees(148.13933),
            degrees(152.52758),
            degrees(58.97792),
            degrees(61.19016),
            vertices=((152.52758, 60.63437), (149.1755, 61.19016), (148.13933, 59.51584), (151.33786, 58.97792)),
        ),
        epn={"access_url": None},
    ),
    # Latitudes of 114 to 128 degrees: no position, and the item stays. STAC 0.8.1 called its range "dtr:".
    Chosen(
        6256,
        "ASA_GM1_1PNPDE20090520_023957_000001022079_00118_37747_3607",
        None,
        "items..ASA_GM1_1PNPDE20090520_023957_000001022079_00118_37747_3607",
        footprint=NO_POSITION,
        times=(mjd(54971.11112318037), mjd(54971.11216995214)),
        wavelengths=None,
        links={"product": RELATIVE},
        obscore={"pol_states": None},
    ),
    # South of its bbox is north of its north: the bbox is wrong, the geometry is not.
    Chosen(
        6261,
        "sen2l2a-cog-converted",
        None,
        "items..sen2l2a-cog-converted",
        footprint=Footprint(
            degrees(14.326257705688475),
            degrees(14.501867294311525),
            degrees(48.33992958068847),
            degrees(48.60342979431152),
        ),
        times=(mjd(58119.0), mjd(58483.99998842592)),
        wavelengths=None,
        links={"B02": NO_SIZE},
        more_links=7,
        obscore={"facility_name": "sentinel-2", "instrument_name": "msi"},
    ),
    # A MultiPolygon of one polygon is a polygon.
    Chosen(
        6263,
        "CBERS_4_MUX_20181029_177_106_L4",
        "CBERS_4_MUX",
        "CBERS_4_MUX..CBERS_4_MUX_20181029_177_106_L4",
        footprint=Footprint(
            degrees(295.199858),
            degrees(296.511951),
            degrees(-5.979677),
            degrees(-4.752172),
            vertices=(
                (295.199858, -5.815918),
                (296.280867, -5.979677),
                (296.511951, -4.915594),
                (295.433069, -4.752172),
            ),
        ),
        times=(mjd(58420.600625), mjd(58420.600625)),
        links={"thumbnail": NO_SIZE, "metadata": NO_ENDPOINT + NO_SIZE},
        more_links=4,
    ),
    # It begins half a second after its end, and its datetime is the day before. A row must not run backwards.
    Chosen(
        6324,
        "item1",
        "landsat-8-l1",
        "landsat-8-l1..item1",
        footprint=Footprint(degrees(307.31704), degrees(314.80309), degrees(69.68409), degrees(72.07674)),
        times=(
            OneOf((None, mjd(57072.62931209545), mjd(57071.62931209545), mjd(57072.62930555556))),
            OneOf((None, mjd(57072.62931209545), mjd(57071.62931209545), mjd(57072.62930555556))),
        ),
        links={"ANG": NO_SIZE},
        obscore={"facility_name": "landsat-8"},
        epn={"creation_date": At("2022-02-19T15:06:12")},
    ),
    # A grid that ends at 90.125 degrees north: there is no such place.
    Chosen(
        6327,
        "gribfile",
        None,
        "items..gribfile",
        footprint=NO_POSITION,
        times=(mjd(60566.46431589845), mjd(60566.46431589845)),
        links={"asset": RELATIVE},
    ),
    # Seven digits of a second.
    Chosen(
        6328,
        "K3_20201112193439_45302_18521139_L1G",
        None,
        "items..K3_20201112193439_45302_18521139_L1G",
        footprint=Footprint(
            degrees(267.35336339), degrees(267.587277787), degrees(18.575813599), degrees(18.723043555), polygon=None
        ),
        times=(mjd(59165.81583187682), mjd(59165.81585886889)),
        wavelengths=None,
        links={"MS1": RELATIVE, "overview": RELATIVE},
        more_links=6,
        obscore={"facility_name": "kompsat-3", "instrument_name": "aeiss"},
        epn={"modification_date": At("2020-12-10T21:58:38.373")},
    ),
    # A ring of four points that is not closed, around a hundred metres of Paris.
    Chosen(
        6255,
        "AOI_3_Paris_img101",
        None,
        "items..AOI_3_Paris_img101",
        footprint=Footprint(
            OneOf((None, degrees(2.23379639995))),
            OneOf((None, degrees(2.23730639995))),
            OneOf((None, degrees(49.0178709))),
            OneOf((None, degrees(49.0213809))),
            polygon=None,
        ),
        times=(mjd(57626.94577546296), mjd(57626.94577546296)),
        links={"road_labels": RELATIVE},
        obscore={"obs_title": "AOI 3 Paris img101 road network labels"},
    ),
)
