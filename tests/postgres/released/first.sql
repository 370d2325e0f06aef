-- The tables of the first release with rows in them, as `db apply` of then left them: an upgrade begins here.

CREATE EXTENSION IF NOT EXISTS pg_sphere WITH SCHEMA public;

CREATE SCHEMA IF NOT EXISTS lake;
COMMENT ON SCHEMA lake IS 'stac-rucio-sync: files, replicas, ObsCore and EPN-TAP rows, and the state of the sync';

CREATE TABLE IF NOT EXISTS lake.schema_version (
    file text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
-- Two roles to be granted to the accounts that log in: `GRANT lake_ingest TO archive_sync`.
-- What each may do stands in 080_grants.sql.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lake_ingest') THEN
        CREATE ROLE lake_ingest NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lake_reader') THEN
        CREATE ROLE lake_reader NOLOGIN;
    END IF;
END
$$;
-- What the sync remembers: where each source stands, what it recorded of each item, what it set aside.

CREATE TABLE IF NOT EXISTS lake.source (
    name text PRIMARY KEY,
    kind text,
    location text,
    cursor jsonb,
    last_started timestamptz,
    last_ended timestamptz,
    last_complete timestamptz
);
COMMENT ON COLUMN lake.source.cursor IS 'where the source stands, in its own words';
COMMENT ON COLUMN lake.source.last_complete IS 'end of the last read that met every item of the source';

CREATE TABLE IF NOT EXISTS lake.item (
    collection text NOT NULL,
    id text NOT NULL,
    source text NOT NULL,
    fingerprint text NOT NULL,
    scope text NOT NULL,
    name text NOT NULL,
    obs_publisher_did text NOT NULL,
    metadata_keys text[] NOT NULL,
    links_only boolean NOT NULL,
    first_synced timestamptz NOT NULL DEFAULT now(),
    last_synced timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, id),
    -- Two items that claim one dataset (a naming template that does not tell them apart) must not overwrite each other.
    CONSTRAINT item_dataset_is_unique UNIQUE (scope, name),
    CONSTRAINT item_publisher_did_is_unique UNIQUE (obs_publisher_did)
);
COMMENT ON COLUMN lake.item.source IS 'the source that wrote the item last';
COMMENT ON COLUMN lake.item.scope IS 'of the dataset DID';
COMMENT ON COLUMN lake.item.metadata_keys IS 'keys that the sync wrote to the metadata of the DID';

CREATE INDEX IF NOT EXISTS item_source ON lake.item (source);

CREATE TABLE IF NOT EXISTS lake.quarantine (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    collection text,
    id text,
    position text NOT NULL,
    reason text NOT NULL,
    fingerprint text,
    item json,
    href text,
    attempts integer NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    CHECK ((collection IS NULL) = (id IS NULL))
);
COMMENT ON COLUMN lake.quarantine.position IS 'where the item stands in its source; names an entry that has no id';
COMMENT ON COLUMN lake.quarantine.item IS 'as it was read: json, not jsonb, which refuses escaped NULs';

CREATE UNIQUE INDEX IF NOT EXISTS quarantine_item ON lake.quarantine (collection, id) WHERE id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS quarantine_position ON lake.quarantine (source, position) WHERE id IS NULL;
CREATE INDEX IF NOT EXISTS quarantine_source ON lake.quarantine (source);
-- What an item consists of, and where the bytes are: read by DataLink, SODA and the search annotation.
-- From an ObsCore row to its files: lake.item by obs_publisher_did, then lake.file and lake.link by (collection, id).

CREATE TABLE IF NOT EXISTS lake.rse (
    rse text PRIMARY KEY,
    deterministic boolean NOT NULL,
    rse_type text NOT NULL,
    available_read boolean NOT NULL,
    site text,
    latitude double precision,
    longitude double precision,
    origin text
);
COMMENT ON COLUMN lake.rse.origin IS 'scheme://host:port that an origin RSE stands for';

CREATE TABLE IF NOT EXISTS lake.file (
    collection text NOT NULL,
    id text NOT NULL,
    asset text NOT NULL,
    scope text NOT NULL,
    name text NOT NULL,
    bytes bigint NOT NULL,
    adler32 text,
    md5 text,
    unverified_checksum text,
    content_type text,
    roles text[] NOT NULL,
    title text,
    science boolean NOT NULL,
    PRIMARY KEY (collection, id, asset),
    FOREIGN KEY (collection, id) REFERENCES lake.item ON DELETE CASCADE
);
COMMENT ON COLUMN lake.file.science IS 'the data themselves (DataLink #this), not a preview or other company';

CREATE INDEX IF NOT EXISTS file_did ON lake.file (scope, name);

CREATE TABLE IF NOT EXISTS lake.link (
    collection text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    href text,
    rel text,
    content_type text,
    roles text[] NOT NULL,
    title text,
    reason text,
    PRIMARY KEY (collection, id, name),
    FOREIGN KEY (collection, id) REFERENCES lake.item ON DELETE CASCADE
);
COMMENT ON COLUMN lake.link.reason IS 'why an asset cannot be a file; null for the links of the item itself';

-- A mirror of Rucio, which is the authority. Two items may share a file, so nothing here refers to lake.file.
CREATE TABLE IF NOT EXISTS lake.replica (
    scope text NOT NULL,
    name text NOT NULL,
    rse text NOT NULL,
    pfn text NOT NULL,
    state text NOT NULL,
    needs_login boolean NOT NULL,
    updated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, name, rse)
);
-- ObsCore 1.1 rows (tables 5 and 6 of the standard), the DALI polygon of the footprint, and what the indexes are on.
--
-- The geometry columns are generated, so that whoever writes a row (the sync, a trigger, an operator) cannot leave an
-- index behind that disagrees with it. `position` is the point; `footprint` the polygon; `bound` a circle that holds
-- the whole footprint. The index is on `bound`: on the polygon it costs ten times as much and finds hardly fewer
-- candidates. A query must therefore say both: `bound && :region AND footprint && :region`; where `footprint` is null
-- and `bound` is not, the region is the circle itself. ADQL is translated onto this table, not onto the view, which
-- has the published columns only.

CREATE OR REPLACE FUNCTION lake.polygon(vertices double precision[]) RETURNS public.spoly
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    written text := '';
BEGIN
    IF cardinality(vertices) % 2 = 1 OR vertices && '{NaN,Infinity,-Infinity}' THEN
        RAISE 'a polygon needs pairs of finite longitudes and latitudes, not %', vertices USING ERRCODE = '22023';
    END IF;
    FOR i IN 1 .. cardinality(vertices) BY 2 LOOP
        written := written || CASE i WHEN 1 THEN '(' ELSE ',(' END || vertices[i] || 'd,' || vertices[i + 1] || 'd)';
    END LOOP;
    RETURN ('{' || written || '}')::public.spoly;
END
$$;
COMMENT ON FUNCTION lake.polygon IS
    'the spherical polygon of a DALI polygon (degrees); an error where it crosses itself or has too few vertices';

CREATE TABLE IF NOT EXISTS lake.obscore (
    dataproduct_type text,
    dataproduct_subtype text,
    calib_level integer NOT NULL CHECK (calib_level BETWEEN 0 AND 4),
    obs_collection text NOT NULL,
    obs_id text NOT NULL,
    obs_title text,
    obs_publisher_did text NOT NULL PRIMARY KEY,
    obs_creator_did text,
    target_name text,
    access_url text NOT NULL,
    access_format text NOT NULL,
    access_estsize bigint,
    s_ra double precision CHECK (s_ra BETWEEN 0 AND 360),
    s_dec double precision CHECK (s_dec BETWEEN -90 AND 90),
    s_fov double precision,
    s_region text,
    s_resolution double precision,
    s_xel1 bigint,
    s_xel2 bigint,
    t_min double precision,
    t_max double precision,
    t_exptime double precision,
    t_resolution double precision,
    t_xel bigint,
    em_min double precision,
    em_max double precision,
    em_res_power double precision,
    em_xel bigint,
    o_ucd text,
    pol_states text,
    pol_xel bigint,
    facility_name text,
    instrument_name text,
    proposal_id text,
    publisher_id text,
    bib_reference text,
    data_rights text,
    obs_release_date timestamp,
    s_polygon double precision[],
    s_bound double precision[] CHECK (cardinality(s_bound) = 3),
    position spoint GENERATED ALWAYS AS (spoint(radians(s_ra), radians(s_dec))) STORED,
    footprint spoly GENERATED ALWAYS AS (lake.polygon(s_polygon)) STORED,
    bound scircle GENERATED ALWAYS AS
        (scircle(spoint(radians(s_bound[1]), radians(s_bound[2])), radians(s_bound[3]))) STORED
);

CREATE INDEX IF NOT EXISTS obscore_position ON lake.obscore USING gist (position);
CREATE INDEX IF NOT EXISTS obscore_bound ON lake.obscore USING gist (bound);
CREATE INDEX IF NOT EXISTS obscore_time ON lake.obscore (t_min, t_max);
CREATE INDEX IF NOT EXISTS obscore_band ON lake.obscore (em_min, em_max);
CREATE INDEX IF NOT EXISTS obscore_collection ON lake.obscore (obs_collection, dataproduct_type);
CREATE INDEX IF NOT EXISTS obscore_id ON lake.obscore (obs_id);
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
-- The tables as the Virtual Observatory names them: plain views with exactly the published columns.
--
-- Two settings come from the one who applies this file: `lake.views` ('off' leaves the views out) and `lake.epn_schema`.
-- A schema `ivoa` or a table `epn_core` of another server (DaCHS) is left alone, and a notice with SQLSTATE LK001 says so.

CREATE OR REPLACE FUNCTION pg_temp.is_ours_or_free(wanted_schema text, wanted_name text, whole_schema boolean)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident(wanted_schema)) AND relkind IN ('r', 'v', 'm', 'f', 'p')
            AND (whole_schema OR relname = wanted_name)
            AND coalesce(obj_description(oid, 'pg_class'), '') NOT LIKE 'stac-rucio-sync:%'
    )
$$;

DO $views$
DECLARE
    epn text := coalesce(nullif(current_setting('lake.epn_schema', true), ''), 'epn');
BEGIN
    IF current_setting('lake.views', true) = 'off' THEN
        RAISE NOTICE 'the views ivoa.obscore and %.epn_core are left out, as asked', epn USING ERRCODE = 'LK001';
        RETURN;
    END IF;

    IF pg_temp.is_ours_or_free('ivoa', 'obscore', true) THEN
        CREATE SCHEMA IF NOT EXISTS ivoa;
        CREATE OR REPLACE VIEW ivoa.obscore AS
            SELECT
                dataproduct_type, dataproduct_subtype, calib_level, obs_collection, obs_id, obs_title,
                obs_publisher_did, obs_creator_did, target_name, access_url, access_format, access_estsize, s_ra,
                s_dec, s_fov, s_region, s_resolution, s_xel1, s_xel2, t_min, t_max, t_exptime, t_resolution, t_xel,
                em_min, em_max, em_res_power, em_xel, o_ucd, pol_states, pol_xel, facility_name, instrument_name,
                proposal_id, publisher_id, bib_reference, data_rights, obs_release_date, s_polygon
            FROM lake.obscore;
        COMMENT ON VIEW ivoa.obscore IS 'stac-rucio-sync: ObsCore 1.1';
        GRANT USAGE ON SCHEMA ivoa TO lake_ingest, lake_reader;
        GRANT SELECT ON ivoa.obscore TO lake_ingest, lake_reader;
    ELSE
        RAISE NOTICE 'the view ivoa.obscore is left out: schema ivoa holds tables of another server; the rows are in lake.obscore'
            USING ERRCODE = 'LK001';
    END IF;

    IF pg_temp.is_ours_or_free(epn, 'epn_core', false) THEN
        EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', epn);
        EXECUTE format($view$
            CREATE OR REPLACE VIEW %I.epn_core AS
            SELECT
                granule_uid, granule_gid, obs_id, dataproduct_type, target_name, target_class, time_min, time_max,
                time_sampling_step_min, time_sampling_step_max, time_exp_min, time_exp_max, spectral_range_min,
                spectral_range_max, spectral_sampling_step_min, spectral_sampling_step_max, spectral_resolution_min,
                spectral_resolution_max, c1min, c1max, c2min, c2max, c3min, c3max, s_region, c1_resol_min,
                c1_resol_max, c2_resol_min, c2_resol_max, c3_resol_min, c3_resol_max, spatial_frame_type,
                incidence_min, incidence_max, emergence_min, emergence_max, phase_min, phase_max,
                instrument_host_name, instrument_name, measurement_type, processing_level, creation_date,
                modification_date, release_date, service_title, access_url, access_format, access_estsize,
                access_md5, datalink_url, thumbnail_url, file_name, publisher, bib_reference,
                spatial_coordinate_description, obs_publisher_did, s_polygon
            FROM lake.epn
        $view$, epn);
        EXECUTE format('COMMENT ON VIEW %I.epn_core IS %L', epn, 'stac-rucio-sync: EPN-TAP 2.0');
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO lake_ingest, lake_reader', epn);
        EXECUTE format('GRANT SELECT ON %I.epn_core TO lake_ingest, lake_reader', epn);
    ELSE
        RAISE NOTICE 'the view %.epn_core is left out: another table has this name; the rows are in lake.epn', epn
            USING ERRCODE = 'LK001';
    END IF;
END
$views$;
-- lake_ingest writes the base tables. lake_reader reads what is published and nothing else: no quarantine, no cursors,
-- no temporary tables, no objects of its own. It is the second barrier behind the services' own checks.

REVOKE ALL ON ALL TABLES IN SCHEMA lake FROM lake_ingest, lake_reader;

GRANT USAGE ON SCHEMA lake TO lake_ingest, lake_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    lake.source, lake.item, lake.quarantine, lake.rse, lake.file, lake.link, lake.replica, lake.obscore, lake.epn
    TO lake_ingest;
GRANT SELECT ON lake.schema_version TO lake_ingest;

GRANT SELECT ON lake.rse, lake.file, lake.link, lake.replica, lake.obscore, lake.epn TO lake_reader;
GRANT SELECT (collection, id, scope, name, obs_publisher_did, links_only, first_synced, last_synced)
    ON lake.item TO lake_reader;

-- PostgreSQL gives everybody temporary tables. What the roles that are here now (Rucio's among them) had through that,
-- each keeps by a grant of its own; only the reader loses it.
DO $$
DECLARE
    somebody name;
BEGIN
    IF EXISTS (
        SELECT FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS given
        WHERE datname = current_database() AND given.grantee = 0 AND given.privilege_type = 'TEMPORARY'
    ) THEN
        FOR somebody IN
            SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\_%' AND rolname <> 'lake_reader'
                AND NOT pg_has_role(oid, 'lake_reader', 'MEMBER')
        LOOP
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), somebody);
        END LOOP;
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO lake_ingest', current_database());
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM lake_reader', current_database());
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- What that release recorded of itself; the checksums only need to be others than those of today.
INSERT INTO lake.schema_version (file, checksum)
SELECT file, md5(file) FROM unnest(ARRAY[
    '010_foundation.sql', '020_roles.sql', '030_state.sql', '040_files.sql', '050_obscore.sql', '060_epn.sql',
    '070_views.sql', '080_grants.sql'
]) AS file;

-- Rows of every table: an image of the sky, a scene of Earth, an item that was set aside.
INSERT INTO lake.source VALUES
    ('survey', 'api', 'https://stac.example.org/v1', '{"updated": "2026-01-02T03:04:05Z"}', '2026-01-02', '2026-01-02',
     '2026-01-02');
INSERT INTO lake.item (collection, id, source, fingerprint, scope, name, obs_publisher_did, metadata_keys, links_only)
VALUES
    ('images', 'tile-1', 'survey', 'f1', 'stac', 'images..tile-1', 'ivo://example/lake?stac:images..tile-1',
     '{stac:id}', false),
    ('scenes', 'scene-1', 'survey', 'f2', 'stac', 'scenes..scene-1', 'ivo://example/lake?stac:scenes..scene-1', '{}',
     false);
INSERT INTO lake.quarantine (source, collection, id, position, reason, item) VALUES
    ('survey', 'images', 'tile-2', 'page 1', 'it has no geometry', '{"id": "tile-2"}'),
    ('survey', NULL, NULL, 'page 2, 7', 'it is no JSON', NULL);
INSERT INTO lake.rse VALUES ('ORIGIN', false, 'DISK', true, 'vienna', 48.2, 16.4, 'https://archive.example.org:443');
INSERT INTO lake.file VALUES
    ('images', 'tile-1', 'image', 'stac', 'images..tile-1..image.fits', 2880, '0000abcd', NULL, NULL, 'image/fits',
     '{data}', 'The image', true);
INSERT INTO lake.link VALUES
    ('images', 'tile-1', 'preview', 'https://archive.example.org/1.png', NULL, 'image/png', '{overview}', NULL,
     'its size is not known');
INSERT INTO lake.replica VALUES
    ('stac', 'images..tile-1..image.fits', 'ORIGIN', 'https://archive.example.org:443/1.fits', 'AVAILABLE', false,
     '2026-01-02');
INSERT INTO lake.obscore (
    dataproduct_type, calib_level, obs_collection, obs_id, obs_publisher_did, access_url, access_format, s_ra, s_dec,
    s_region, s_polygon, s_bound, t_min, t_max
) VALUES (
    'image', 2, 'images', 'tile-1', 'ivo://example/lake?stac:images..tile-1', 'https://example.org/datalink/links?ID=1',
    'application/x-votable+xml;content=datalink', 10.5, 20, 'POLYGON ICRS 10 19.5 11 19.5 11 20.5 10 20.5',
    '{10,19.5,11,19.5,11,20.5,10,20.5}', '{10.5,20,0.8}', 58849, 58849.1
);
INSERT INTO lake.epn (
    granule_uid, granule_gid, obs_id, dataproduct_type, target_name, target_class, time_min, time_max, c1min, c1max,
    c2min, c2max, spatial_frame_type, processing_level, creation_date, modification_date, release_date, service_title,
    datalink_url, obs_publisher_did, s_polygon, s_bound
) VALUES (
    'scene-1', 'scene', 'scene-1', 'im', 'Earth', 'planet', 2458849.5, 2458849.6, 359, 1, 10, 11, 'body', 3,
    '2026-01-01', '2026-01-01', '2026-01-01', 'epn', 'https://example.org/datalink/links?ID=2',
    'ivo://example/lake?stac:scenes..scene-1', '{359,10,1,10,1,11,359,11}', '{0,10.5,1.2}'
);
