-- EPN-TAP 2.0 rows of body-fixed items, and the DALI polygon of the footprint in body-fixed degrees.
-- `footprint` and `bound` are generated and used as in lake.obscore.

CREATE TABLE IF NOT EXISTS lake.epn (
    granule_uid text NOT NULL UNIQUE,
    granule_gid text NOT NULL,
    obs_id text NOT NULL,
    dataproduct_type text NOT NULL,
    target_name text NOT NULL,
    target_class text NOT NULL,
    time_min double precision,
    time_max double precision,
    time_sampling_step_min double precision,
    time_sampling_step_max double precision,
    time_exp_min double precision,
    time_exp_max double precision,
    spectral_range_min double precision,
    spectral_range_max double precision,
    spectral_sampling_step_min double precision,
    spectral_sampling_step_max double precision,
    spectral_resolution_min double precision,
    spectral_resolution_max double precision,
    c1min double precision,
    c1max double precision,
    c2min double precision,
    c2max double precision,
    c3min double precision,
    c3max double precision,
    s_region text,
    c1_resol_min double precision,
    c1_resol_max double precision,
    c2_resol_min double precision,
    c2_resol_max double precision,
    c3_resol_min double precision,
    c3_resol_max double precision,
    spatial_frame_type text NOT NULL,
    incidence_min double precision,
    incidence_max double precision,
    emergence_min double precision,
    emergence_max double precision,
    phase_min double precision,
    phase_max double precision,
    instrument_host_name text,
    instrument_name text,
    measurement_type text,
    processing_level integer,
    creation_date timestamp NOT NULL,
    modification_date timestamp NOT NULL,
    release_date timestamp NOT NULL,
    service_title text NOT NULL,
    access_url text,
    access_format text,
    access_estsize bigint,
    access_md5 text,
    datalink_url text NOT NULL,
    thumbnail_url text,
    file_name text,
    publisher text,
    bib_reference text,
    spatial_coordinate_description text,
    obs_publisher_did text NOT NULL PRIMARY KEY,
    s_polygon double precision[],
    s_bound double precision[] CHECK (cardinality(s_bound) = 3),
    footprint spoly GENERATED ALWAYS AS (lake.polygon(s_polygon)) STORED,
    bound scircle GENERATED ALWAYS AS
        (scircle(spoint(radians(s_bound[1]), radians(s_bound[2])), radians(s_bound[3]))) STORED
);

CREATE INDEX IF NOT EXISTS epn_bound ON lake.epn USING gist (bound);
CREATE INDEX IF NOT EXISTS epn_target ON lake.epn (target_name, dataproduct_type);
CREATE INDEX IF NOT EXISTS epn_time ON lake.epn (time_min, time_max);

-- As in lake.obscore.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'epn_codes_are_ascii') THEN
        ALTER TABLE lake.epn ADD CONSTRAINT epn_codes_are_ascii CHECK (lake.is_ascii(
            granule_uid, dataproduct_type, target_class, s_region, spatial_frame_type, measurement_type,
            service_title, access_md5, datalink_url, obs_publisher_did
        ));
    END IF;
END
$$;
