-- From the metadata of a DID to its ObsCore row: the one definition that the trigger of 095_trigger.sql goes by.
--
-- The keys are the columns of lake.obscore (s_polygon and s_bound as lists of degrees); other keys are none of ours. A
-- number may be written as text ("12.5"), as Rucio's command line sends it. What a column cannot hold is an error whose
-- words come from the names of the constraints below: "s_ra is 400, not a right ascension of 0 to 360 degrees".

ALTER TABLE lake.obscore ADD COLUMN IF NOT EXISTS did text;
COMMENT ON COLUMN lake.obscore.did IS 'scope:name of the DID whose metadata made the row; null: the sync wrote it';

CREATE TABLE IF NOT EXISTS lake.setting (
    name text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE lake.setting IS 'what functions of the database must know: base_url, the address of the services';
-- `lake.base_url` comes from the one who applies this file.
INSERT INTO lake.setting
VALUES ('base_url', coalesce(nullif(current_setting('lake.base_url', true), ''), 'http://127.0.0.1:8080'))
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value
    WHERE setting.value <> EXCLUDED.value AND coalesce(current_setting('lake.base_url', true), '') <> '';

-- The type is made once: sessions of Rucio's server hold plans with it.
DO $types$
BEGIN
    IF to_regtype('lake.obscore_metadata') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE DOMAIN lake.said AS text CONSTRAINT "a text" CHECK (VALUE !~ '^[[{]');
    CREATE DOMAIN lake.code AS lake.said CONSTRAINT "a text of ASCII" CHECK (lake.is_ascii(VALUE));
    CREATE DOMAIN lake.finite AS double precision
        CONSTRAINT "a finite number" CHECK (VALUE > '-Infinity' AND VALUE < 'Infinity');
    CREATE DOMAIN lake.right_ascension AS double precision
        CONSTRAINT "a right ascension of 0 to 360 degrees" CHECK (VALUE BETWEEN 0 AND 360);
    CREATE DOMAIN lake.declination AS double precision
        CONSTRAINT "a declination of -90 to 90 degrees" CHECK (VALUE BETWEEN -90 AND 90);
    CREATE DOMAIN lake.calibration AS integer CONSTRAINT "a level of 0 to 4" CHECK (VALUE BETWEEN 0 AND 4);
    CREATE DOMAIN lake.instant AS text CONSTRAINT "a DALI timestamp (2020-01-31T12:00:00, UTC)"
        CHECK (VALUE ~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?Z?$');
    CREATE DOMAIN lake.vertices AS double precision[] CONSTRAINT "a flat list of longitudes and latitudes" CHECK (
        array_ndims(VALUE) = 1 AND cardinality(VALUE) >= 6 AND cardinality(VALUE) % 2 = 0
        AND array_position(VALUE, NULL) IS NULL AND NOT VALUE && '{NaN,Infinity,-Infinity}'
    );
    CREATE DOMAIN lake.circle AS double precision[] CONSTRAINT "a longitude, a latitude and a radius below 90 degrees"
        CHECK (
            array_ndims(VALUE) = 1 AND cardinality(VALUE) = 3 AND array_position(VALUE, NULL) IS NULL
            AND VALUE[1] BETWEEN -360 AND 360 AND VALUE[2] BETWEEN -90 AND 90 AND VALUE[3] >= 0 AND VALUE[3] < 90
        );
    CREATE TYPE lake.obscore_metadata AS (
        dataproduct_type lake.code,
        dataproduct_subtype lake.said,
        calib_level lake.calibration,
        obs_collection lake.said,
        obs_id lake.said,
        obs_title text,
        obs_publisher_did lake.code,
        obs_creator_did lake.said,
        target_name text,
        access_url lake.code,
        access_format lake.code,
        access_estsize bigint,
        s_ra lake.right_ascension,
        s_dec lake.declination,
        s_fov lake.finite,
        s_region lake.code,
        s_resolution lake.finite,
        s_xel1 bigint,
        s_xel2 bigint,
        t_min lake.finite,
        t_max lake.finite,
        t_exptime lake.finite,
        t_resolution lake.finite,
        t_xel bigint,
        em_min lake.finite,
        em_max lake.finite,
        em_res_power lake.finite,
        em_xel bigint,
        o_ucd lake.code,
        pol_states lake.code,
        pol_xel bigint,
        facility_name text,
        instrument_name text,
        proposal_id lake.said,
        publisher_id lake.code,
        bib_reference lake.said,
        data_rights lake.code,
        obs_release_date lake.instant,
        s_polygon lake.vertices,
        s_bound lake.circle
    );
END
$types$;

-- The same with the types of the table, for keep_row below. The domains that are kept say what the table does not.
DO $plain$
BEGIN
    IF to_regtype('lake.obscore_plain') IS NULL THEN
        EXECUTE (
            SELECT format('CREATE TYPE lake.obscore_plain AS (%s)', string_agg(format('%I %s', attname, CASE
                WHEN m.atttypid = ANY ('{lake.instant,lake.vertices,lake.circle}'::regtype[]) THEN m.atttypid::regtype
                ELSE o.atttypid::regtype END), ', ' ORDER BY m.attnum))
            FROM pg_attribute m JOIN pg_attribute o USING (attname)
            WHERE m.attrelid = 'lake.obscore_metadata'::regclass AND o.attrelid = 'lake.obscore'::regclass
                AND m.attnum > 0
        );
    END IF;
END
$plain$;

CREATE OR REPLACE FUNCTION lake.datalink_url(publisher_did text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT value || '/datalink/links?ID=' || (
        SELECT string_agg(
            CASE WHEN letter ~ '[A-Za-z0-9_.~-]' THEN letter
                ELSE regexp_replace(upper(encode(convert_to(letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g') END,
            '' ORDER BY place
        )
        FROM regexp_split_to_table(publisher_did, '') WITH ORDINALITY AS letters(letter, place)
    )
    FROM lake.setting WHERE name = 'base_url'
$$;
COMMENT ON FUNCTION lake.datalink_url IS 'the access_url of a row whose metadata names none';

CREATE OR REPLACE FUNCTION lake.bound_of(polygon double precision[]) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    WITH vertex AS MATERIALIZED (
        SELECT cosd(polygon[i]) * cosd(polygon[i + 1]) AS x, sind(polygon[i]) * cosd(polygon[i + 1]) AS y,
            sind(polygon[i + 1]) AS z
        FROM generate_series(1, cardinality(polygon), 2) AS i
    ), centre AS MATERIALIZED (
        SELECT x / r AS x, y / r AS y, z / r AS z
        FROM (SELECT sum(x) AS x, sum(y) AS y, sum(z) AS z, sqrt(sum(x)^2 + sum(y)^2 + sum(z)^2) AS r FROM vertex) s
        WHERE r > 1e-9
    ), reach AS (
        -- The chord is exact where the arc cosine is not; the margin is a hundredth of an arc second.
        SELECT max(2 * asind(least(1, sqrt((c.x - v.x)^2 + (c.y - v.y)^2 + (c.z - v.z)^2) / 2))) + 3e-6 AS radius
        FROM centre c, vertex v
    )
    SELECT ARRAY[CASE WHEN y < 0 THEN 360 ELSE 0 END + atan2d(y, x), asind(greatest(-1, least(1, z))), radius]
    FROM centre, reach WHERE radius < 90
$$;
COMMENT ON FUNCTION lake.bound_of IS 'a circle that holds a DALI polygon; null where it would be half the sky or more';

CREATE OR REPLACE FUNCTION lake.row_of_metadata(metadata jsonb) RETURNS lake.obscore_metadata
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    made lake.obscore_metadata;
    written text[];
BEGIN
    made.calib_level := NULL; -- a record of nulls: keys that are not there need no conversion then
    made := jsonb_populate_record(made, metadata);
    IF coalesce(made.obs_publisher_did = '', true) OR coalesce(made.obs_id = '', true)
        OR coalesce(made.obs_collection = '', true) OR made.calib_level IS NULL
    THEN
        RAISE 'a required key is missing' USING ERRCODE = 'not_null_violation';
    END IF;
    IF made.access_url IS NULL THEN
        made.access_url := lake.datalink_url(made.obs_publisher_did);
        made.access_format := 'application/x-votable+xml;content=datalink';
    ELSIF made.access_format IS NULL THEN
        made.access_format := 'application/octet-stream';
    END IF;
    -- The sync says what bounds its footprints; of others' metadata it is found out, or no search by place meets them.
    IF made.s_bound IS NULL AND (made.s_ra IS NOT NULL OR made.s_polygon IS NOT NULL OR made.s_region IS NOT NULL)
        AND metadata ->> 'stac:fingerprint' IS NULL
    THEN
        IF made.s_polygon IS NULL THEN
            written := regexp_match(
                upper(made.s_region),
                '^\s*(POLYGON|CIRCLE)(?:\s+ICRS)?(?:\s+[A-Z]\w*)*((?:\s+[-+]?[0-9.]+(?:E[-+]?\d+)?)+)\s*$'
            );
            IF written[1] = 'POLYGON' THEN
                made.s_polygon := regexp_split_to_array(btrim(written[2]), '\s+')::double precision[];
            ELSIF written[1] = 'CIRCLE' THEN
                made.s_bound := regexp_split_to_array(btrim(written[2]), '\s+')::double precision[];
            END IF;
        END IF;
        IF made.s_polygon IS NOT NULL THEN
            made.s_bound := lake.bound_of(made.s_polygon);
        ELSIF made.s_bound IS NULL AND made.s_dec IS NOT NULL AND made.s_ra IS NOT NULL
            AND coalesce(made.s_fov, 0) BETWEEN 0 AND 179
        THEN
            made.s_bound := ARRAY[made.s_ra, made.s_dec, coalesce(made.s_fov, 0) / 2];
        END IF;
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION lake.row_of_metadata IS 'the ObsCore row that metadata describe; an error where they describe none';

CREATE OR REPLACE FUNCTION lake.metadata_fault(metadata jsonb, message text, state text) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    key text;
    rule text;
BEGIN
    IF jsonb_typeof(metadata) <> 'object' THEN
        RETURN 'the metadata are no JSON object';
    END IF;
    FOREACH key IN ARRAY ARRAY['obs_publisher_did', 'obs_collection', 'obs_id', 'calib_level'] LOOP
        IF coalesce(metadata ->> key, '') = '' THEN
            RETURN format('%s is missing: a row of ObsCore needs it', key);
        END IF;
    END LOOP;
    FOR key IN
        SELECT attname FROM pg_attribute
        WHERE attrelid = 'lake.obscore_metadata'::regclass AND attnum > 0 AND metadata ? attname ORDER BY attnum
    LOOP
        BEGIN
            PERFORM jsonb_populate_record(NULL::lake.obscore_metadata, jsonb_build_object(key, metadata -> key));
            IF key = 's_polygon' THEN
                PERFORM lake.polygon(
                    ARRAY(SELECT v::double precision FROM jsonb_array_elements_text(metadata -> key) AS v)
                );
            ELSIF key = 'obs_release_date' THEN
                PERFORM (metadata ->> key)::timestamp;
            END IF;
        EXCEPTION
            WHEN check_violation THEN
                GET STACKED DIAGNOSTICS rule = CONSTRAINT_NAME;
                RETURN format('%s is %s, not %s', key, left((metadata -> key)::text, 80), rule);
            WHEN OTHERS THEN
                RETURN format('%s is %s: %s', key, left((metadata -> key)::text, 80), SQLERRM);
        END;
    END LOOP;
    IF state = '54000' THEN
        SELECT k INTO key FROM unnest(ARRAY['obs_publisher_did', 'obs_id', 'obs_collection', 'dataproduct_type']) AS k
        ORDER BY octet_length(metadata ->> k) DESC NULLS LAST LIMIT 1;
        RETURN format('%s is %s..., %s octets: too long for an index (%s)', key, left((metadata -> key)::text, 80),
            octet_length(metadata ->> key), message);
    END IF;
    IF state LIKE '40%' THEN
        RETURN format('another transaction wrote the row at the same time (%s): set the metadata again', message);
    END IF;
    RETURN format('the row of %s is refused: %s', metadata -> 'obs_publisher_did', message);
END
$$;
COMMENT ON FUNCTION lake.metadata_fault IS 'the sentence that says why metadata give no row: key and value';

-- write_rows(dids, metadata): the rows of some DIDs, by few statements. It is made from the columns of the type, so no
-- list of forty names can go astray. A row belongs to one DID; where two claim one obs_publisher_did, the one that it
-- names (ivo://authority/path?scope:name) has it, else the one that had it first. A row that the sync wrote is handed
-- over to the DID that it names. What comes back are the DIDs that did not get (or lost) their row, and why.
--
-- keep_row(did, metadata, fresh) is for the one DID that a statement of Rucio's plugin writes: the plain cases, without
-- arrays and joins. Where there is more to it, it says false or fails, and write_rows is to see to it. Domains cost it
-- more than the conversion itself, for each column anew in each transaction: so it reads metadata by the plain types,
-- and asks of all columns together what neither these nor the constraints of lake.obscore hold. What does not pass, and
-- what row_of_metadata has to add to, it leaves to that one.
DO $make$
DECLARE
    plain text;
    of_row text;
    of_wanted text;
    of_excluded text;
    plain_rest text;
    wanted_rest text;
    place_of_row text;
    place_wanted text;
    finite text;
    texts text;
    keys text[];
    place CONSTANT text[] := ARRAY['s_ra', 's_dec', 's_polygon', 's_bound'];
BEGIN
    SELECT string_agg(name, ', ' ORDER BY attnum),
        string_agg('o.' || name, ', ' ORDER BY attnum),
        string_agg(value, ', ' ORDER BY attnum),
        string_agg('EXCLUDED.' || name, ', ' ORDER BY attnum),
        string_agg(name, ', ' ORDER BY attnum) FILTER (WHERE name <> ALL (place)),
        string_agg(value, ', ' ORDER BY attnum) FILTER (WHERE name <> ALL (place)),
        string_agg('o.' || name, ', ' ORDER BY attnum) FILTER (WHERE name = ANY (place)),
        string_agg(value, ', ' ORDER BY attnum) FILTER (WHERE name = ANY (place)),
        string_agg('w.' || name, ', ' ORDER BY attnum) FILTER (WHERE atttypid = 'lake.finite'::regtype),
        string_agg('E''\n'', w.' || name, ', ' ORDER BY attnum)
            FILTER (WHERE atttypid = ANY ('{lake.said,lake.code}'::regtype[]))
    INTO plain, of_row, of_wanted, of_excluded, plain_rest, wanted_rest, place_of_row, place_wanted, finite, texts
    FROM pg_attribute,
        LATERAL (SELECT attname AS name, 'w.' || attname ||
            CASE attname WHEN 'obs_release_date' THEN '::timestamp' ELSE '' END AS value OFFSET 0) column_
    WHERE attrelid = 'lake.obscore_metadata'::regclass AND attnum > 0 AND NOT attisdropped;

    EXECUTE format($function$
CREATE OR REPLACE FUNCTION lake.write_rows(dids text[], metadata jsonb[])
    RETURNS TABLE (did text, reason text, publisher_did text)
    LANGUAGE plpgsql
AS $body$
#variable_conflict use_column
DECLARE
    made lake.obscore_metadata[];
    owned text[];
    claimed text[];
    losers text[];
    took text[];
    lost text[];
BEGIN
    SELECT array_agg(lake.row_of_metadata(data)) INTO made FROM unnest(metadata) AS data;
    SELECT array_agg(w.did) FILTER (WHERE o.did = w.did),
        array_agg(o.did) FILTER (WHERE o.did <> w.did AND lake.names(o.obs_publisher_did, w.did)),
        array_agg(w.did) FILTER (WHERE o.did <> w.did AND lake.names(o.obs_publisher_did, w.did)),
        array_agg(o.obs_publisher_did) FILTER (WHERE o.did <> w.did AND lake.names(o.obs_publisher_did, w.did))
    INTO owned, losers, took, lost
    FROM unnest(dids, made) AS w(did, %1$s) JOIN lake.obscore o ON o.obs_publisher_did = w.obs_publisher_did;

    IF owned IS NOT NULL THEN
        UPDATE lake.obscore o SET (%1$s) = ROW(%3$s)
        FROM unnest(dids, made) AS w(did, %1$s)
        WHERE o.obs_publisher_did = w.obs_publisher_did AND o.did = w.did AND (%2$s) IS DISTINCT FROM (%3$s);
    END IF;
    IF cardinality(owned) = cardinality(dids) THEN
        RETURN;
    END IF;
    WITH inserted AS (
        INSERT INTO lake.obscore AS o (did, %1$s)
        SELECT w.did, %3$s FROM unnest(dids, made) AS w(did, %1$s)
        WHERE owned IS NULL OR w.did <> ALL (owned)
        ORDER BY w.obs_publisher_did
        ON CONFLICT (obs_publisher_did) DO UPDATE SET (did, %1$s) = ROW(EXCLUDED.did, %4$s)
            WHERE o.did = EXCLUDED.did OR lake.names(o.obs_publisher_did, EXCLUDED.did)
        RETURNING o.did
    )
    SELECT array_agg(did) INTO claimed FROM inserted;
    IF losers IS NOT NULL THEN
        RETURN QUERY SELECT l.loser, format('obs_publisher_did is "%%s", which names %%s', l.it, l.winner), l.it
        FROM unnest(losers, took, lost) AS l(loser, winner, it);
    END IF;
    IF coalesce(cardinality(owned), 0) + coalesce(cardinality(claimed), 0) < cardinality(dids) THEN
        RETURN QUERY SELECT w.did, format('obs_publisher_did is "%%s", which the row of %%s has already',
            w.obs_publisher_did, coalesce(o.did, 'the sync')), w.obs_publisher_did::text
        FROM unnest(dids, made) AS w(did, %1$s) LEFT JOIN lake.obscore o ON o.obs_publisher_did = w.obs_publisher_did
        WHERE w.did <> ALL (coalesce(owned, '{}') || coalesce(claimed, '{}'));
    END IF;
END
$body$
    $function$, plain, of_row, of_wanted, of_excluded);

    -- An UPDATE that does not name what the generated columns are made of does not make them again.
    EXECUTE format($function$
CREATE OR REPLACE FUNCTION lake.keep_row(this_did text, metadata jsonb, fresh boolean) RETURNS boolean
    LANGUAGE plpgsql
AS $body$
DECLARE
    w lake.obscore_plain;
    kept boolean;
BEGIN
    w.calib_level := NULL; -- a record of nulls: keys that are not there need no conversion then
    w := jsonb_populate_record(w, metadata);
    IF (
        w.obs_publisher_did <> '' AND w.obs_id <> '' AND w.obs_collection <> '' AND w.calib_level IS NOT NULL
        AND w.access_url IS NOT NULL AND w.access_format IS NOT NULL
        AND (w.s_bound IS NOT NULL OR metadata ->> 'stac:fingerprint' IS NOT NULL)
        AND greatest(%9$s) < 'Infinity' IS NOT FALSE AND least(%9$s) > '-Infinity' IS NOT FALSE
        AND concat(%10$s) !~ '\n[[{]'
    ) IS NOT TRUE THEN
        w := lake.row_of_metadata(metadata);
    END IF;
    IF NOT fresh THEN
        UPDATE lake.obscore o SET (%4$s) = ROW(%5$s)
        WHERE o.obs_publisher_did = w.obs_publisher_did AND o.did = this_did
            AND (%6$s) IS NOT DISTINCT FROM (%7$s) AND NOT EXISTS (%8$s);
        IF FOUND THEN
            RETURN true;
        END IF;
        UPDATE lake.obscore o SET (%1$s) = ROW(%3$s)
        WHERE o.obs_publisher_did = w.obs_publisher_did AND o.did = this_did AND NOT EXISTS (%8$s);
        IF FOUND THEN
            RETURN true;
        END IF;
    END IF;
    INSERT INTO lake.obscore (did, %1$s) VALUES (this_did, %3$s) RETURNING NOT EXISTS (%8$s) INTO kept;
    IF metadata ->> 'stac:fingerprint' IS NULL THEN
        PERFORM lake.note_described(ARRAY[this_did], ARRAY[w.obs_publisher_did]);
    END IF;
    RETURN kept;
END
$body$
    $function$, plain, of_row, of_wanted, plain_rest, wanted_rest, place_of_row, place_wanted,
        $$SELECT FROM lake.quarantine q WHERE q.source = 'rucio:metadata' AND q.position = this_did AND q.id IS NULL$$,
        finite, texts);

    SELECT array_agg(attname::text ORDER BY attnum) INTO keys
    FROM pg_attribute WHERE attrelid = 'lake.obscore_metadata'::regclass AND attnum > 0 AND NOT attisdropped;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION lake.obscore_keys() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE '
        'RETURN %L::text[]', keys
    );
END
$make$;

CREATE OR REPLACE FUNCTION lake.names(publisher_did text, did text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN right(publisher_did, length(did) + 1) = '?' || did;
