"""What the demo asks the tables, and what the answers must be: worked out from the files, not from the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

from stac_rucio_sync.demo import earth, sky
from stac_rucio_sync.demo.catalogue import Catalogue

Ids = set[str]

CIRCLE = (0.0, 0.0, 0.25)
"""RA, Dec and radius of the question by position: it lies across RA 0."""
POINT = (359.95, 0.02)
MONTH = (60_310.0, 60_341.0)
"""January 2024 as MJD."""
H_ALPHA = 656.28e-9
"""metres"""


@dataclass(frozen=True, slots=True)
class Question:
    """A question in SQL.

    Attributes
    ----------
    name : str
        Its key in the demo's report.
    title : str
        The question for people.
    sql : str
        Its first column is the item's id.
    wanted : callable
        Gives the ids that the catalogue's files make the right answer.
    """

    name: str
    title: str
    sql: str
    wanted: Callable[[Catalogue], Ids]


def in_circle(catalogue: Catalogue) -> Ids:
    """Return the sky items whose position lies in the circle."""
    centre = SkyCoord(CIRCLE[0], CIRCLE[1], unit="deg")
    return {item["id"] for item in _sky_items(catalogue) if centre.separation(_position(item)) <= CIRCLE[2] * units.deg}


def around_point(catalogue: Catalogue) -> Ids:
    """Return the images that show the point, by the WCS in their files."""
    point = SkyCoord(*POINT, unit="deg")
    found: Ids = set()
    for item in catalogue.items:
        if item["collection"] == sky.IMAGES:
            header = fits.getheader(catalogue.path_of(item["assets"]["image"]["href"]))
            if WCS(header).footprint_contains(point):
                found.add(item["id"])
    return found


def in_month(catalogue: Catalogue) -> Ids:
    """Return the sky items that were observed in the month."""
    return {
        item["id"]
        for item in _sky_items(catalogue)
        if Time(item["properties"]["start_datetime"]).mjd < MONTH[1]
        and Time(item["properties"]["end_datetime"]).mjd > MONTH[0]
    }


def with_h_alpha(catalogue: Catalogue) -> Ids:
    """Return the sky items whose spectral range holds the wavelength."""
    found: Ids = set()
    for item in _sky_items(catalogue):
        properties = item["properties"]
        if "em_min" in properties:
            low, high = properties["em_min"], properties["em_max"]
        else:
            (band,) = item["assets"]["image"]["bands"]
            half = band["eo:full_width_half_max"] / 2.0
            low, high = ((band["eo:center_wavelength"] + edge) * 1e-6 for edge in (-half, half))
        if low <= H_ALPHA <= high:
            found.add(item["id"])
    return found


def across_antimeridian(catalogue: Catalogue) -> Ids:
    """Return the Earth scenes that lie on both sides of longitude 180."""
    return {
        item["id"]
        for item in catalogue.items
        if item["collection"] == earth.SCENES and item["bbox"][0] > item["bbox"][2]
    }


QUESTIONS = (
    Question(
        "position",
        f"by position: what lies within {CIRCLE[2]} degrees of RA {CIRCLE[0]:g}, Dec {CIRCLE[1]:g}?",
        f"""SELECT obs_id, dataproduct_type, s_ra, s_dec FROM lake.obscore
WHERE position <@ scircle(spoint(radians({CIRCLE[0]}), radians({CIRCLE[1]})), radians({CIRCLE[2]}))
ORDER BY dataproduct_type, obs_id""",  # noqa: S608 - our own constants
        in_circle,
    ),
    Question(
        "footprint",
        f"by footprint: which images show the point RA {POINT[0]:g}, Dec {POINT[1]:g}?",
        f"""SELECT obs_id, s_ra, s_dec, s_fov FROM lake.obscore
WHERE dataproduct_type = 'image' AND bound @> spoint(radians({POINT[0]}), radians({POINT[1]}))
  AND footprint @> spoint(radians({POINT[0]}), radians({POINT[1]})) ORDER BY obs_id""",  # noqa: S608 - our own constants
        around_point,
    ),
    Question(
        "time",
        "by time: what was observed in January 2024?",
        f"""SELECT obs_id, t_min, t_exptime, instrument_name FROM ivoa.obscore
WHERE s_ra IS NOT NULL AND t_min < {MONTH[1]:g} AND t_max > {MONTH[0]:g} ORDER BY t_min""",  # noqa: S608 - our own constants
        in_month,
    ),
    Question(
        "band",
        "by band: what covers H alpha at 656.28 nm?",
        f"""SELECT obs_id, dataproduct_type, em_min, em_max FROM ivoa.obscore
WHERE s_ra IS NOT NULL AND {H_ALPHA} BETWEEN em_min AND em_max ORDER BY obs_id""",  # noqa: S608 - our own constants
        with_h_alpha,
    ),
    Question(
        "earth",
        "and on the ground, where RA and Dec mean nothing: which scenes reach across the antimeridian?",
        """SELECT obs_id, target_name, c1min, c1max, c2min, c2max FROM epn.epn_core
WHERE spatial_frame_type = 'body' AND 180.0 BETWEEN c1min AND c1max ORDER BY obs_id""",
        across_antimeridian,
    ),
)


def _sky_items(catalogue: Catalogue) -> list[dict[str, Any]]:
    return [item for item in catalogue.items if item["collection"] != earth.SCENES]


def _position(item: dict[str, Any]) -> SkyCoord:
    return SkyCoord(item["properties"]["s_ra"], item["properties"]["s_dec"], unit="deg")
