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

-- Stable, as array_to_string is: a function that promises more than its parts is called row by row, not inlined.
CREATE OR REPLACE FUNCTION lake.is_ascii(VARIADIC texts text[]) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN octet_length(array_to_string(texts, '')) = char_length(array_to_string(texts, ''));
COMMENT ON FUNCTION lake.is_ascii IS 'whether all of some texts are ASCII; nulls are';

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

-- TAP says of these columns that they are ASCII (`char`, VOTable 1.4 section 2.1), which readers rely on.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'obscore_codes_are_ascii') THEN
        ALTER TABLE lake.obscore ADD CONSTRAINT obscore_codes_are_ascii CHECK (lake.is_ascii(
            dataproduct_type, obs_publisher_did, access_url, access_format, s_region, o_ucd, pol_states,
            data_rights, publisher_id
        ));
    END IF;
END
$$;
