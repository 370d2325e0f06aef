"""The rows of the published tables, by the names, units and order of their standards."""

from __future__ import annotations

from typing import NamedTuple


class ObsCoreRow(NamedTuple):
    """A row of ``ivoa.obscore`` by the names, units and order of ObsCore 1.1 (tables 5 and 6), ours at the end.

    Angles in ICRS degrees, times in MJD (TT is not applied: UTC as the catalogue gives it), wavelengths in metres.
    """

    dataproduct_type: str | None
    dataproduct_subtype: str | None
    calib_level: int
    obs_collection: str
    obs_id: str
    obs_title: str | None
    obs_publisher_did: str
    obs_creator_did: str | None
    target_name: str | None
    access_url: str
    access_format: str
    access_estsize: int | None
    """kbyte."""
    s_ra: float | None
    s_dec: float | None
    s_fov: float | None
    s_region: str | None
    """STC-S, ``POLYGON ICRS ra dec ...`` or ``CIRCLE ICRS ra dec r``: xtype ``adql:REGION``."""
    s_resolution: float | None
    """arcsec."""
    s_xel1: int | None
    s_xel2: int | None
    t_min: float | None
    t_max: float | None
    t_exptime: float | None
    t_resolution: float | None
    t_xel: int | None
    em_min: float | None
    em_max: float | None
    em_res_power: float | None
    em_xel: int | None
    o_ucd: str | None
    pol_states: str | None
    """``/I/Q/`` as ObsCore 1.1 section B.6.6 writes it."""
    pol_xel: int | None
    facility_name: str | None
    instrument_name: str | None
    proposal_id: str | None
    publisher_id: str | None
    bib_reference: str | None
    data_rights: str | None
    """``public``, ``secure`` or ``proprietary``."""
    obs_release_date: str | None
    """ISO 8601, UTC, without a zone designator (DALI timestamp)."""
    s_polygon: tuple[float, ...] | None
    """DALI polygon: longitude, latitude, ... in degrees, counter-clockwise seen from the origin (inside)."""
    s_bound: tuple[float, float, float] | None
    """A circle (ra, dec, radius; degrees) that holds the whole footprint: what the index is on."""


class EpnRow(NamedTuple):
    """A row of ``epn.epn_core``: EPN-TAP 2.0 section 2, ours at the end.

    Body-fixed degrees: c1 longitude eastward 0-360 (c1min > c1max across the meridian), c2 latitude.
    Times are JD UTC, spectral ranges Hz.
    """

    granule_uid: str
    granule_gid: str
    obs_id: str
    dataproduct_type: str
    target_name: str
    target_class: str
    time_min: float | None
    time_max: float | None
    time_sampling_step_min: float | None
    time_sampling_step_max: float | None
    time_exp_min: float | None
    time_exp_max: float | None
    spectral_range_min: float | None
    spectral_range_max: float | None
    spectral_sampling_step_min: float | None
    spectral_sampling_step_max: float | None
    spectral_resolution_min: float | None
    spectral_resolution_max: float | None
    c1min: float | None
    c1max: float | None
    c2min: float | None
    c2max: float | None
    c3min: float | None
    c3max: float | None
    s_region: str | None
    """STC-S-like polygon, body-fixed degrees, counter-clockwise seen from outside."""
    c1_resol_min: float | None
    c1_resol_max: float | None
    c2_resol_min: float | None
    c2_resol_max: float | None
    c3_resol_min: float | None
    c3_resol_max: float | None
    spatial_frame_type: str
    incidence_min: float | None
    incidence_max: float | None
    emergence_min: float | None
    emergence_max: float | None
    phase_min: float | None
    phase_max: float | None
    instrument_host_name: str | None
    instrument_name: str | None
    measurement_type: str | None
    processing_level: int | None
    """1 telemetry, 2 raw, 3 calibrated, 5 derived, 6 ancillary (simplified CODMAC); None where nobody says."""
    creation_date: str
    modification_date: str
    release_date: str
    service_title: str
    access_url: str | None
    access_format: str | None
    access_estsize: int | None
    """kbyte."""
    access_md5: str | None
    datalink_url: str
    thumbnail_url: str | None
    file_name: str | None
    publisher: str | None
    bib_reference: str | None
    spatial_coordinate_description: str | None
    obs_publisher_did: str
    s_polygon: tuple[float, ...] | None
    s_bound: tuple[float, float, float] | None
