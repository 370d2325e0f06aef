-- The trigger route: ObsCore rows kept in step with `rucio.dids`, the table of Rucio's external metadata plugin.
--
-- Whoever writes metadata there (the sync, any user of Rucio, an operator), the rows follow in the same transaction.
-- The writer's statement never fails for it: what gives no row is in lake.quarantine under the source `rucio:metadata`
-- and the position `scope:name`, until it is mended. While it is there the last good row stays, unless a required key
-- went or obs_publisher_did changed. The functions run with the rights of their owner: Rucio's role needs none here.

CREATE TABLE IF NOT EXISTS lake.did_link (
    scope text NOT NULL,
    name text NOT NULL,
    number integer NOT NULL,
    access_url text NOT NULL,
    semantics text,
    description text,
    content_type text,
    PRIMARY KEY (scope, name, number)
);
COMMENT ON TABLE lake.did_link IS 'links of a DID beside its files: the list under its metadata key `datalinks`';

CREATE OR REPLACE FUNCTION lake.set_metadata_aside(did text, why text, waits_for text) RETURNS void
    LANGUAGE sql
AS $$
    INSERT INTO lake.quarantine AS q (source, position, reason, fingerprint)
    VALUES ('rucio:metadata', did, why, waits_for)
    ON CONFLICT (source, position) WHERE id IS NULL DO UPDATE
        SET reason = EXCLUDED.reason, fingerprint = EXCLUDED.fingerprint, attempts = q.attempts + 1,
            last_seen = clock_timestamp()
$$;

CREATE OR REPLACE FUNCTION lake.release_metadata(dids text[]) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT FROM lake.quarantine WHERE source = 'rucio:metadata') THEN
        DELETE FROM lake.quarantine q USING unnest(dids) AS d
        WHERE q.source = 'rucio:metadata' AND q.position = d AND q.id IS NULL;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION lake.keep_rows(dids text[], metadata jsonb[]) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    refused record;
    good text[] := dids;
    middle integer := cardinality(dids) / 2;
    message text;
    state text;
BEGIN
    BEGIN
        PERFORM lake.note_described(array_agg(did), array_agg(data ->> 'obs_publisher_did'))
        FROM unnest(dids, metadata) AS d(did, data) WHERE data ->> 'stac:fingerprint' IS NULL HAVING count(*) > 0;
        FOR refused IN SELECT * FROM lake.write_rows(dids, metadata) LOOP
            PERFORM lake.set_metadata_aside(refused.did, refused.reason, refused.publisher_did);
            PERFORM lake.forget_described(ARRAY[refused.did]);
            good := array_remove(good, refused.did);
        END LOOP;
        PERFORM lake.release_metadata(good);
        RETURN;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
    END;
    IF middle = 0 THEN
        PERFORM lake.set_metadata_aside(dids[1], lake.metadata_fault(metadata[1], message, state), NULL);
    ELSE
        PERFORM lake.keep_rows(dids[:middle], metadata[:middle]);
        PERFORM lake.keep_rows(dids[middle + 1:], metadata[middle + 1:]);
    END IF;
END
$$;
COMMENT ON FUNCTION lake.keep_rows IS 'write the rows of DIDs together; where one is refused, halve until it is found';

CREATE OR REPLACE FUNCTION lake.keep_links(scopes text[], names text[], links jsonb[]) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    labels text[] := ARRAY(SELECT s || ':' || n || ' datalinks' FROM unnest(scopes, names) AS d(s, n));
    one record;
BEGIN
    DELETE FROM lake.did_link l USING unnest(scopes, names) AS d(s, n) WHERE (l.scope, l.name) = (d.s, d.n);
    INSERT INTO lake.did_link (scope, name, number, access_url, semantics, description, content_type)
    SELECT s, n, number, link ->> 'access_url', link ->> 'semantics', link ->> 'description', link ->> 'content_type'
    FROM unnest(scopes, names, links) AS d(s, n, list),
        jsonb_array_elements(CASE jsonb_typeof(list) WHEN 'array' THEN list ELSE '[]' END)
            WITH ORDINALITY AS e(link, number)
    WHERE link ->> 'access_url' ~ '^[A-Za-z][A-Za-z0-9+.-]*:'
    ORDER BY s, n, number;
    PERFORM lake.release_metadata(labels);
    FOR one IN
        SELECT s || ':' || n || ' datalinks' AS label, list FROM unnest(scopes, names, links) AS d(s, n, list)
        WHERE jsonb_typeof(list) NOT IN ('array', 'null') OR jsonb_path_exists(
            list, '$[*] ? (!(@.access_url like_regex "^[A-Za-z][A-Za-z0-9+.-]*:"))'
        )
    LOOP
        PERFORM lake.set_metadata_aside(one.label, format(
            'datalinks is %s: a list of objects with an absolute access_url is needed', left(one.list::text, 200)
        ), NULL);
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION lake.describes(metadata jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(
        metadata ->> 'obs_publisher_did', metadata ->> 'obs_collection', metadata ->> 'obs_id',
        metadata ->> 'calib_level'
    ) IS NOT NULL;
COMMENT ON FUNCTION lake.describes IS
    'whether metadata have a required key: a DID with none (or nulls, which a removal leaves) is no matter of ours';

CREATE OR REPLACE FUNCTION lake.metadata_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
    SET plan_cache_mode = force_generic_plan -- planning costs more than the work, where a statement writes one DID
AS $$
DECLARE
    ours CONSTANT text[] := ARRAY['obs_publisher_did', 'obs_collection', 'obs_id', 'calib_level', 'datalinks'];
    this_did text;
    described jsonb;
    former jsonb;
    single boolean := false;
    renamed boolean;
    gone_dids text[];
    gone_publisher_dids text[];
    left_dids text[];
    freed text[];
    chunk record;
BEGIN
    -- Rucio's plugin writes one DID a statement. The plain cases of that go a short way, by two or three statements;
    -- the long way is for all the others. INSERT ... ON CONFLICT fires both triggers, one of them without a row.
    IF TG_OP = 'INSERT' THEN
        SELECT scope || ':' || name, data, NOT EXISTS (SELECT FROM new_dids OFFSET 1)
        INTO this_did, described, single FROM new_dids;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        -- What was stored is compressed where it is large: `|| '{}'` takes it out once, not for each of the looks below.
        SELECT n.scope || ':' || n.name, n.data, o.data || '{}', NOT EXISTS (SELECT FROM new_dids OFFSET 1),
            (n.scope, n.name) <> (o.scope, o.name)
        INTO this_did, described, former, single, renamed FROM new_dids n, old_dids o;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    IF single THEN
        BEGIN
            IF TG_OP = 'INSERT' AND described ? 'obs_publisher_did' AND NOT described ? 'datalinks' THEN
                IF lake.keep_row(this_did, described, fresh => true) THEN
                    RETURN NULL;
                END IF;
            ELSIF NOT coalesce(described ?| ours, false) AND NOT coalesce(former ?| ours, false) THEN
                RETURN NULL;
            ELSIF renamed OR described ? 'datalinks' OR former ? 'datalinks'
                OR former ->> 'obs_publisher_did' <> described ->> 'obs_publisher_did'
            THEN
                single := false;
            ELSIF described <> former AND former || (described - lake.obscore_keys()) = described
                AND (described ->> 'stac:fingerprint' IS NULL) = (former ->> 'stac:fingerprint' IS NULL)
            THEN
                RETURN NULL; -- only keys that ObsCore does not know; where nothing changed, the row is wanted anew
            ELSIF lake.keep_row(this_did, described, fresh => TG_OP = 'INSERT') THEN
                RETURN NULL;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            single := false; -- the long way finds out what it is, and says so
        END;
    END IF;

    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            DELETE FROM lake.obscore WHERE did IS NOT NULL;
            DELETE FROM lake.quarantine WHERE source = 'rucio:metadata';
            DELETE FROM lake.did_link;
            PERFORM lake.forget_described(ARRAY(SELECT id FROM lake.item WHERE collection = ''));
            RETURN NULL;
        ELSIF TG_OP = 'DELETE' THEN
            SELECT array_agg(scope || ':' || name), array_agg(data ->> 'obs_publisher_did')
            INTO gone_dids, gone_publisher_dids FROM old_dids;
            left_dids := gone_dids;
        ELSIF TG_OP = 'UPDATE' THEN
            SELECT array_agg(did), array_agg(publisher_did) INTO gone_dids, gone_publisher_dids FROM (
                SELECT scope || ':' || name AS did, data ->> 'obs_publisher_did' AS publisher_did
                FROM old_dids WHERE data ? 'obs_publisher_did'
                EXCEPT
                SELECT scope || ':' || name, k.obs_publisher_did
                FROM new_dids, jsonb_to_record(CASE jsonb_typeof(data) WHEN 'object' THEN data ELSE '{}' END)
                    AS k(obs_publisher_did text, obs_collection text, obs_id text, calib_level text)
                WHERE k.obs_collection <> '' AND k.obs_id <> '' AND k.calib_level <> ''
            ) gone;
            SELECT array_agg(did) INTO left_dids FROM (
                SELECT scope || ':' || name AS did FROM old_dids
                EXCEPT SELECT scope || ':' || name FROM new_dids WHERE lake.describes(data)
            ) gone;
        END IF;

        IF gone_dids IS NOT NULL THEN
            WITH dropped AS (
                DELETE FROM lake.obscore o USING unnest(gone_dids, gone_publisher_dids) AS g(did, publisher_did)
                WHERE o.obs_publisher_did = g.publisher_did AND o.did = g.did
                RETURNING o.obs_publisher_did
            )
            SELECT array_agg(obs_publisher_did) INTO freed FROM dropped;
            PERFORM lake.forget_described(gone_dids);
        END IF;
        IF left_dids IS NOT NULL THEN
            PERFORM lake.release_metadata(left_dids);
        END IF;

        IF TG_OP <> 'DELETE' THEN
            FOR chunk IN
                SELECT array_agg(did) AS dids, array_agg(data) AS metadata
                FROM (
                    SELECT scope || ':' || name AS did, data,
                        (row_number() OVER (ORDER BY data ->> 'obs_publisher_did') - 1) / 1000 AS number
                    FROM new_dids WHERE lake.describes(data)
                ) numbered
                GROUP BY number ORDER BY number
            LOOP
                PERFORM lake.keep_rows(chunk.dids, chunk.metadata);
            END LOOP;
            PERFORM lake.keep_links(array_agg(scope), array_agg(name), array_agg(data -> 'datalinks'))
            FROM new_dids WHERE data ? 'datalinks' HAVING count(*) > 0;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            IF TG_OP = 'UPDATE' THEN
                SELECT array_agg(did) INTO left_dids FROM (
                    SELECT scope || ':' || name AS did FROM old_dids WHERE data ? 'datalinks'
                    EXCEPT SELECT scope || ':' || name FROM new_dids WHERE data ? 'datalinks'
                ) gone;
            END IF;
            IF left_dids IS NOT NULL THEN
                DELETE FROM lake.did_link l USING unnest(left_dids) AS d
                WHERE l.scope = split_part(d, ':', 1) AND l.name = substr(d, strpos(d, ':') + 1);
                PERFORM lake.release_metadata(ARRAY(SELECT d || ' datalinks' FROM unnest(left_dids) AS d));
            END IF;
        END IF;

        -- A DID that waits for an obs_publisher_did which is free now gets its row. One that is locked has a writer,
        -- whose own trigger sees to it: before this transaction's DELETE it held the row's lock, after it, it waits for
        -- this one.
        IF freed IS NOT NULL AND EXISTS (
            SELECT FROM lake.quarantine WHERE source = 'rucio:metadata' AND fingerprint = ANY (freed)
        ) THEN
            EXECUTE format(
                'UPDATE %1$s d SET data = d.data FROM (
                    SELECT scope, name FROM %1$s WHERE (scope, name) IN (
                        SELECT split_part(position, '':'', 1), substr(position, strpos(position, '':'') + 1)
                        FROM lake.quarantine WHERE source = ''rucio:metadata'' AND fingerprint = ANY ($1)
                    ) ORDER BY scope, name FOR UPDATE SKIP LOCKED
                ) w WHERE (d.scope, d.name) = (w.scope, w.name)',
                TG_RELID::regclass
            ) USING freed;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'ObsCore rows are not in step with the metadata (%): run SELECT lake.read_metadata_again()',
            SQLERRM;
    END;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION lake.metadata_changed() FROM PUBLIC;

CREATE OR REPLACE FUNCTION lake.read_metadata_again(metadata_table text DEFAULT 'rucio.dids') RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    done bigint;
BEGIN
    EXECUTE format(
        'UPDATE %s SET data = data WHERE data ?| $1', metadata_table::regclass
    ) USING ARRAY['obs_publisher_did', 'obs_collection', 'obs_id', 'calib_level', 'datalinks'];
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$;
COMMENT ON FUNCTION lake.read_metadata_again IS 'give every described DID its row, as if its metadata were written now';

CREATE OR REPLACE FUNCTION lake.attach_metadata_trigger(metadata_table text DEFAULT 'rucio.dids') RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    place regclass := to_regclass(metadata_table);
BEGIN
    IF place IS NULL OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = place AND tgname = 'obscore_truncated') THEN
        RETURN false;
    END IF;
    EXECUTE format('
        CREATE OR REPLACE TRIGGER obscore_inserted AFTER INSERT ON %1$s REFERENCING NEW TABLE AS new_dids
            FOR EACH STATEMENT EXECUTE FUNCTION lake.metadata_changed();
        CREATE OR REPLACE TRIGGER obscore_updated AFTER UPDATE ON %1$s
            REFERENCING OLD TABLE AS old_dids NEW TABLE AS new_dids
            FOR EACH STATEMENT EXECUTE FUNCTION lake.metadata_changed();
        CREATE OR REPLACE TRIGGER obscore_deleted AFTER DELETE ON %1$s REFERENCING OLD TABLE AS old_dids
            FOR EACH STATEMENT EXECUTE FUNCTION lake.metadata_changed();
        CREATE OR REPLACE TRIGGER obscore_truncated AFTER TRUNCATE ON %1$s
            FOR EACH STATEMENT EXECUTE FUNCTION lake.metadata_changed();
        ', place);
    PERFORM lake.read_metadata_again(metadata_table);
    RETURN true;
END
$$;
COMMENT ON FUNCTION lake.attach_metadata_trigger IS
    'make the triggers where the table is and lacks them, and the rows of what it holds; say whether that was needed';

REVOKE ALL ON FUNCTION
    lake.set_metadata_aside, lake.release_metadata, lake.keep_rows, lake.keep_links, lake.write_rows, lake.keep_row,
    lake.read_metadata_again, lake.attach_metadata_trigger
    FROM PUBLIC;
GRANT SELECT ON lake.did_link TO lake_ingest, lake_reader;
GRANT SELECT ON lake.setting TO lake_ingest;

-- Rucio makes the table when its server starts with the plugin: `db apply` after that, or this line by hand.
SELECT lake.attach_metadata_trigger();
