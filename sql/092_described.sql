-- What other users of Rucio describe: DIDs that have an ObsCore row and belong to no synced item.
--
-- Each is an item of no collection, with its DID as id: so whatever reads items and files (DataLink, TAP, the watcher)
-- meets it like any other. The trigger of 095_trigger.sql makes and drops it with its row, in the writer's transaction;
-- the watcher brings its files from Rucio. A DID is one item's at most: a sync that takes it on drops this one first.

COMMENT ON COLUMN lake.item.collection IS 'empty: no sync wrote the item, a user of Rucio described the DID that is its id';
COMMENT ON COLUMN lake.item.fingerprint IS 'of what was synced; of no collection: empty until its files are read';

CREATE INDEX IF NOT EXISTS item_unread ON lake.item (id) WHERE collection = '' AND fingerprint = '';

CREATE OR REPLACE FUNCTION lake.note_described(dids text[], publisher_dids text[]) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO lake.item (
        collection, id, source, fingerprint, scope, name, obs_publisher_did, metadata_keys, links_only
    )
    SELECT '', did, 'rucio:metadata', '', split_part(did, ':', 1), substr(did, strpos(did, ':') + 1), publisher_did,
        '{}', false
    FROM unnest(dids, publisher_dids) AS d(did, publisher_did) ORDER BY did
    ON CONFLICT DO NOTHING; -- it is there already, or a synced item's dataset
END
$$;
COMMENT ON FUNCTION lake.note_described IS 'make items of described DIDs; the watcher brings their files';

CREATE OR REPLACE FUNCTION lake.forget_described(dids text[]) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    scopes text[];
    names text[];
BEGIN
    PERFORM FROM lake.item WHERE collection = '' AND id = ANY (dids) ORDER BY id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT array_agg(scope), array_agg(name) INTO scopes, names
    FROM (SELECT scope, name FROM lake.file WHERE collection = '' AND id = ANY (dids) ORDER BY scope, name FOR UPDATE) f;
    DELETE FROM lake.item WHERE collection = '' AND id = ANY (dids);
    DELETE FROM lake.replica r USING unnest(scopes, names) AS d(s, n)
    WHERE (r.scope, r.name) = (s, n) AND NOT EXISTS (SELECT FROM lake.file f WHERE (f.scope, f.name) = (s, n));
END
$$;
COMMENT ON FUNCTION lake.forget_described IS 'drop items of DIDs whose row is gone, with their files and replicas';

CREATE OR REPLACE FUNCTION lake.match_described() RETURNS void
    LANGUAGE plpgsql SET enable_seqscan = on -- this reads whole tables
AS $$
BEGIN
    PERFORM lake.forget_described(ARRAY(
        SELECT id FROM lake.item i WHERE collection = '' AND NOT EXISTS (
            SELECT FROM lake.obscore o WHERE o.obs_publisher_did = i.obs_publisher_did AND o.did = i.id
        )
    ));
    PERFORM lake.note_described(array_agg(did), array_agg(obs_publisher_did))
    FROM lake.obscore o WHERE did IS NOT NULL AND NOT EXISTS (
        SELECT FROM lake.item i WHERE i.scope = split_part(o.did, ':', 1) AND i.name = substr(o.did, strpos(o.did, ':') + 1)
    ) HAVING count(*) > 0;
END
$$;
COMMENT ON FUNCTION lake.match_described IS 'make the items of described DIDs agree with the rows of ObsCore';

REVOKE ALL ON FUNCTION lake.note_described, lake.forget_described, lake.match_described FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lake.note_described, lake.forget_described, lake.match_described TO lake_ingest;

-- A database that had the trigger before it had these items.
SELECT lake.match_described();
