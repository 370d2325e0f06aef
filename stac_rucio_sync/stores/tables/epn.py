"""``lake.epn``: EPN-TAP 2.0 section 2 for body-fixed granules (c1, c2, c3 are longitude, latitude, altitude)."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Double, Integer, Table, Text

from stac_rucio_sync.stores.tables.columns import BOUND, METADATA, POLYGON, SCircle, SPoly, generated, published

EPN = Table(
    "epn",
    METADATA,
    published(
        "granule_uid",
        Text(),
        "Identifier of the granule, unique in this table",
        ucd="meta.id",
        nullable=False,
        unique=True,
    ),
    published("granule_gid", Text(), "Shared by granules of the same kind", ucd="meta.id", nullable=False),
    published("obs_id", Text(), "Shared by granules made from the same observation", ucd="meta.id;obs", nullable=False),
    published(
        "dataproduct_type",
        Text(),
        "Organisation of the data product (EPN-TAP code: im, sp, cu ...)",
        ucd="meta.code.class",
        nullable=False,
    ),
    published("target_name", Text(), "Body that was observed, by its IAU name", ucd="meta.id;src", nullable=False),
    published("target_class", Text(), "Kind of the target", ucd="src.class", nullable=False),
    published("time_min", Double(), "Start of the observation (JD, UTC)", ucd="time.start;obs", unit="d"),
    published("time_max", Double(), "End of the observation (JD, UTC)", ucd="time.end;obs", unit="d"),
    published("time_sampling_step_min", Double(), "Smallest time step", ucd="time.resolution;stat.min", unit="s"),
    published("time_sampling_step_max", Double(), "Largest time step", ucd="time.resolution;stat.max", unit="s"),
    published(
        "time_exp_min", Double(), "Shortest integration time", ucd="time.duration;obs.exposure;stat.min", unit="s"
    ),
    published(
        "time_exp_max", Double(), "Longest integration time", ucd="time.duration;obs.exposure;stat.max", unit="s"
    ),
    published("spectral_range_min", Double(), "Lowest frequency covered", ucd="em.freq;stat.min", unit="Hz"),
    published("spectral_range_max", Double(), "Highest frequency covered", ucd="em.freq;stat.max", unit="Hz"),
    published(
        "spectral_sampling_step_min",
        Double(),
        "Smallest spectral step",
        ucd="em.freq;spect.binSize;stat.min",
        unit="Hz",
    ),
    published(
        "spectral_sampling_step_max", Double(), "Largest spectral step", ucd="em.freq;spect.binSize;stat.max", unit="Hz"
    ),
    published("spectral_resolution_min", Double(), "Lowest resolving power", ucd="spect.resolution;stat.min"),
    published("spectral_resolution_max", Double(), "Highest resolving power", ucd="spect.resolution;stat.max"),
    published(
        "c1min",
        Double(),
        "Western longitude, eastward 0-360; above c1max where the region crosses the meridian",
        ucd="pos.bodyrc.lon;stat.min",
        unit="deg",
    ),
    published("c1max", Double(), "Eastern longitude, eastward 0-360", ucd="pos.bodyrc.lon;stat.max", unit="deg"),
    published("c2min", Double(), "Southern latitude", ucd="pos.bodyrc.lat;stat.min", unit="deg"),
    published("c2max", Double(), "Northern latitude", ucd="pos.bodyrc.lat;stat.max", unit="deg"),
    published("c3min", Double(), "Lowest altitude above the surface", ucd="pos.bodyrc.alt;stat.min", unit="km"),
    published("c3max", Double(), "Highest altitude above the surface", ucd="pos.bodyrc.alt;stat.max", unit="km"),
    published(
        "s_region", Text(), "Region covered, body-fixed (STC-S)", ucd="pos.outline;obs.field", xtype="adql:REGION"
    ),
    published("c1_resol_min", Double(), "Finest resolution in longitude", ucd="pos.angResolution;stat.min", unit="deg"),
    published(
        "c1_resol_max", Double(), "Coarsest resolution in longitude", ucd="pos.angResolution;stat.max", unit="deg"
    ),
    published("c2_resol_min", Double(), "Finest resolution in latitude", ucd="pos.angResolution;stat.min", unit="deg"),
    published(
        "c2_resol_max", Double(), "Coarsest resolution in latitude", ucd="pos.angResolution;stat.max", unit="deg"
    ),
    published("c3_resol_min", Double(), "Finest resolution in altitude", ucd="pos.resolution;stat.min", unit="km"),
    published("c3_resol_max", Double(), "Coarsest resolution in altitude", ucd="pos.resolution;stat.max", unit="km"),
    published(
        "spatial_frame_type", Text(), "Kind of coordinate system: body", ucd="meta.code.class;pos.frame", nullable=False
    ),
    published(
        "incidence_min",
        Double(),
        "Smallest incidence angle (solar zenith angle)",
        ucd="pos.incidenceAng;stat.min",
        unit="deg",
    ),
    published(
        "incidence_max",
        Double(),
        "Largest incidence angle (solar zenith angle)",
        ucd="pos.incidenceAng;stat.max",
        unit="deg",
    ),
    published("emergence_min", Double(), "Smallest emergence angle", ucd="pos.emergenceAng;stat.min", unit="deg"),
    published("emergence_max", Double(), "Largest emergence angle", ucd="pos.emergenceAng;stat.max", unit="deg"),
    published("phase_min", Double(), "Smallest phase angle", ucd="pos.phaseAng;stat.min", unit="deg"),
    published("phase_max", Double(), "Largest phase angle", ucd="pos.phaseAng;stat.max", unit="deg"),
    published("instrument_host_name", Text(), "Spacecraft or observatory", ucd="meta.id;instr.obsty"),
    published("instrument_name", Text(), "Instrument that took the data", ucd="meta.id;instr"),
    published("measurement_type", Text(), "UCDs of what was measured", ucd="meta.ucd"),
    published(
        "processing_level",
        Integer(),
        "Processing level: 1 telemetry, 2 raw, 3 calibrated, 5 derived, 6 ancillary",
        ucd="meta.calibLevel",
    ),
    published(
        "creation_date",
        DateTime(),
        "When the granule was first entered (UTC)",
        ucd="time.creation",
        xtype="timestamp",
        nullable=False,
    ),
    published(
        "modification_date",
        DateTime(),
        "When the granule was last changed (UTC)",
        ucd="time.processing",
        xtype="timestamp",
        nullable=False,
    ),
    published(
        "release_date",
        DateTime(),
        "When the granule becomes public (UTC)",
        ucd="time.release",
        xtype="timestamp",
        nullable=False,
    ),
    published("service_title", Text(), "Name of this service: its schema", ucd="meta.title", nullable=False),
    published("access_url", Text(), "Address of the data file", ucd="meta.ref.url;meta.file", principal=False),
    published("access_format", Text(), "Media type of the data file", ucd="meta.code.mime", principal=False),
    published(
        "access_estsize",
        BigInteger(),
        "Estimated size of the data file",
        ucd="phys.size;meta.file",
        unit="kbyte",
        principal=False,
    ),
    published("access_md5", Text(), "MD5 checksum of the data file", ucd="meta.checksum;meta.file", principal=False),
    published(
        "datalink_url",
        Text(),
        "Address of the granule's DataLink document",
        ucd="meta.ref.url",
        principal=False,
        nullable=False,
    ),
    published("thumbnail_url", Text(), "Address of a small picture", ucd="meta.ref.url;meta.preview", principal=False),
    published("file_name", Text(), "Name of the data file", ucd="meta.id;meta.file", principal=False),
    published("publisher", Text(), "Publisher of the resource", ucd="meta.curation", principal=False),
    published(
        "bib_reference", Text(), "Bibcode, DOI or URL of a publication on the granule", ucd="meta.bib", principal=False
    ),
    published(
        "spatial_coordinate_description",
        Text(),
        "Identifier of the coordinate system",
        ucd="meta.code.class;pos.frame",
        principal=False,
    ),
    published(
        "obs_publisher_did",
        Text(),
        "IVOA identifier of the granule, the same as in ivoa.obscore",
        ucd="meta.ref.ivoid",
        principal=False,
        std=False,
        primary_key=True,
    ),
    published(
        "s_polygon",
        ARRAY(Double()),
        "Region covered, body-fixed (DALI polygon: longitudes and latitudes)",
        ucd="pos.outline;obs.field",
        unit="deg",
        xtype="polygon",
        principal=False,
        std=False,
    ),
    Column("s_bound", ARRAY(Double()), info={"published": False}),
    generated("footprint", SPoly(), POLYGON),
    generated("bound", SCircle(), BOUND),
    info={
        "published_as": "epn_core",
        "utype": "ivo://ivoa.net/std/epntap#table-2.0",
        "description": "Data products on bodies of the solar system (EPN-TAP 2.0)",
    },
)
