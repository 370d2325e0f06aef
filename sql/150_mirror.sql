-- How far the mirror of Rucio (lake.replica, lake.rse) follows it, and how far the RSEs are from each other.

CREATE TABLE IF NOT EXISTS lake.rse_distance (
    source text NOT NULL,
    destination text NOT NULL,
    distance integer NOT NULL,
    PRIMARY KEY (source, destination)
);
COMMENT ON TABLE lake.rse_distance IS 'distances between RSEs as Rucio declares them, in the unit of whoever declared them';

CREATE TABLE IF NOT EXISTS lake.mirror (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    last_poll timestamptz,
    last_full timestamptz,
    rucio_ok boolean,
    rucio_said text,
    since timestamptz,
    last_event timestamptz,
    polled_to timestamptz,
    turn_scope text,
    turn_name text
);
COMMENT ON TABLE lake.mirror IS 'one row: what the watcher of Rucio knows of itself';
COMMENT ON COLUMN lake.mirror.last_poll IS 'when Rucio answered last';
COMMENT ON COLUMN lake.mirror.last_full IS 'when a pass over all files ended last';
COMMENT ON COLUMN lake.mirror.rucio_ok IS 'whether Rucio answered when it was asked last; null: nobody ever watched';
COMMENT ON COLUMN lake.mirror.rucio_said IS 'what it said, or failed to say, where it did not answer';
COMMENT ON COLUMN lake.mirror.since IS 'since when rucio_ok is what it is';
COMMENT ON COLUMN lake.mirror.last_event IS 'when Hermes sent something last';
COMMENT ON COLUMN lake.mirror.polled_to IS 'by Rucio''s clock: what changed before is in the mirror';
COMMENT ON COLUMN lake.mirror.turn_name IS 'the last file, with turn_scope, that the present pass has compared';

INSERT INTO lake.mirror DEFAULT VALUES ON CONFLICT DO NOTHING;

COMMENT ON COLUMN lake.replica.updated IS
    'when Rucio was asked, by this database''s clock; an answer to an earlier question does not change the file''s rows';

GRANT SELECT, INSERT, UPDATE, DELETE ON lake.rse_distance, lake.mirror TO lake_ingest;
GRANT SELECT ON lake.rse_distance, lake.mirror, lake.did_link TO lake_reader;

-- Where no trigger sees the metadata of DIDs (Rucio's own JSON plugin), the watcher brings their links.
CREATE OR REPLACE FUNCTION lake.mirror_links(scopes text[], names text[], links jsonb[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    differing_scopes text[];
    differing_names text[];
    differing_links jsonb[];
BEGIN
    SELECT array_agg(s), array_agg(n), array_agg(list) INTO differing_scopes, differing_names, differing_links
    FROM unnest(scopes, names, links) AS d(s, n, list)
    WHERE (
        SELECT jsonb_agg(jsonb_build_array(number, access_url, semantics, description, content_type) ORDER BY number)
        FROM lake.did_link l WHERE (l.scope, l.name) = (s, n)
    ) IS DISTINCT FROM (
        SELECT jsonb_agg(jsonb_build_array(number, link ->> 'access_url', link ->> 'semantics', link ->> 'description',
            link ->> 'content_type') ORDER BY number)
        FROM jsonb_array_elements(CASE jsonb_typeof(list) WHEN 'array' THEN list ELSE '[]' END)
            WITH ORDINALITY AS e(link, number)
        WHERE link ->> 'access_url' ~ '^[A-Za-z][A-Za-z0-9+.-]*:'
    ) OR jsonb_typeof(list) NOT IN ('array', 'null');
    IF differing_scopes IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM lake.keep_links(differing_scopes, differing_names, differing_links);
    RETURN cardinality(differing_scopes);
END
$$;
COMMENT ON FUNCTION lake.mirror_links IS
    'make the links of DIDs these lists, where they are not so already; say of how many DIDs they were not';
REVOKE ALL ON FUNCTION lake.mirror_links FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lake.mirror_links TO lake_ingest;
