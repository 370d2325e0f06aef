"""Items as mapping and Rucio leave them, small enough to be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stac_rucio_sync.model import (
    Did,
    EpnRow,
    File,
    ItemKey,
    Link,
    ObsCoreRow,
    Registered,
    Replica,
    Settled,
    Wanted,
    WantedReplica,
)

ORIGIN = "https://archive.example.org:443"


def obscore_row(number: int, **columns: Any) -> ObsCoreRow:
    """A sky image of one square degree around RA ``number`` % 360, Dec +20."""
    ra = float(number % 360)
    row = ObsCoreRow._make([None] * len(ObsCoreRow._fields))._replace(
        dataproduct_type="image",
        calib_level=2,
        obs_collection="survey",
        obs_id=f"tile-{number}",
        obs_publisher_did=f"ivo://example/lake?stac:survey..tile-{number}",
        access_url="https://example.org/datalink/links?ID=x",
        access_format="application/x-votable+xml;content=datalink",
        s_ra=ra,
        s_dec=20.0,
        s_fov=1.5,
        s_region=f"POLYGON ICRS {ra} 19.5 {ra} 20.5 {ra + 1} 20.5 {ra + 1} 19.5",
        t_min=58849.0 + number,
        t_max=58849.1 + number,
        em_min=4e-7,
        em_max=7e-7,
        pol_states="/I/",
        obs_release_date="2020-01-01T00:00:00.5",
        s_polygon=(ra, 19.5, ra, 20.5, ra + 1, 20.5, ra + 1, 19.5),
        s_bound=(ra + 0.5, 20.0, 0.8),
    )
    return row._replace(**columns)


def epn_row(row: ObsCoreRow, **columns: Any) -> EpnRow:
    """The row of the same granule on Earth."""
    made = EpnRow._make([None] * len(EpnRow._fields))._replace(
        granule_uid=row.obs_id,
        granule_gid="scene",
        obs_id=row.obs_id,
        dataproduct_type="im",
        target_name="Earth",
        target_class="planet",
        time_min=2458849.5,
        time_max=2458849.6,
        c1min=359.0,
        c1max=1.0,
        c2min=10.0,
        c2max=11.0,
        spatial_frame_type="body",
        processing_level=3,
        creation_date="2020-01-01T00:00:00",
        modification_date="2020-01-02T00:00:00",
        release_date="2020-01-01T00:00:00",
        service_title="epn",
        datalink_url="https://example.org/datalink/links?ID=x",
        obs_publisher_did=row.obs_publisher_did,
        s_polygon=(359.0, 10.0, 1.0, 10.0, 1.0, 11.0, 359.0, 11.0),
        s_bound=(0.0, 10.5, 1.2),
    )
    return made._replace(**columns)


def file_of(number: int, asset: str, **fields: Any) -> File:
    """A file at the origin."""
    name = f"survey..tile-{number}..{asset}.fits"
    return replace(
        File(
            asset=asset,
            did=Did("stac", name),
            bytes=1000 + number,
            adler32="0123abcd",
            md5=None,
            replicas=(WantedReplica(f"{ORIGIN}/{name}", ORIGIN, needs_login=False, alternate=None),),
            media_type="application/fits",
            roles=("data", 'say "this"', "back\\slash"),
            title="An image",
        ),
        **fields,
    )


def link_of(name: str, **fields: Any) -> Link:
    """A link that is no file."""
    made = Link(name, f"https://example.org/{name}", None, "text/html", ("overview",), None, "a web page is no file")
    return replace(made, **fields)


def wanted_item(
    number: int, *, files: tuple[File, ...] | None = None, links: tuple[Link, ...] | None = None, **fields: Any
) -> Wanted:
    """A sky item with two files and two links, unless told otherwise."""
    made = Wanted(
        key=ItemKey("survey", f"tile-{number}"),
        did=Did("stac", f"survey..tile-{number}"),
        container=Did("stac", "survey"),
        files=(file_of(number, "image"), file_of(number, "weight", science=False)) if files is None else files,
        links=(link_of("preview"), link_of("link:0", rel="about", reason=None)) if links is None else links,
        obscore=obscore_row(number),
        epn=None,
        metadata={"obs_id": f"tile-{number}", "stac:id": f"tile-{number}"},
        fingerprint=f"f{number}",
    )
    return replace(made, **fields)


def settled_item(wanted: Wanted, *others: Replica, links: tuple[Link, ...] = ()) -> Settled:
    """The item as Rucio answered: a replica at the origin for each file, and others."""
    at_origin = tuple(
        Replica(file.did, "HTTPS-ARCHIVE-EXAMPLE-ORG", replica.pfn, "AVAILABLE", replica.needs_login)
        for file in wanted.files
        for replica in file.replicas
    )
    return Settled(wanted, Registered(wanted.key, at_origin + others, links=links))
