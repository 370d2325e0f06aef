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

ALTER TABLE lake.source
    ADD COLUMN IF NOT EXISTS last_outcome text NOT NULL DEFAULT 'not recorded',
    ADD COLUMN IF NOT EXISTS last_finished timestamptz,
    ADD COLUMN IF NOT EXISTS last_error text,
    ADD COLUMN IF NOT EXISTS last_report json;
COMMENT ON COLUMN lake.source.last_outcome IS
    'of the last run: begun (it goes on, or was killed), clean, some failed, stopped, failed';
COMMENT ON COLUMN lake.source.last_finished IS 'when the last run said how it ended';
COMMENT ON COLUMN lake.source.last_error IS 'what ended the last run before its time';
COMMENT ON COLUMN lake.source.last_report IS 'what the last run did: json, not jsonb, which refuses escaped NULs';

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
    CONSTRAINT item_dataset_is_unique UNIQUE (scope, name)
);
-- Of the first release; that the dataset is unique is enough, and costs one index less.
ALTER TABLE lake.item DROP CONSTRAINT IF EXISTS item_publisher_did_is_unique;
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

ALTER TABLE lake.quarantine ADD COLUMN IF NOT EXISTS commit text;
COMMENT ON COLUMN lake.quarantine.commit IS 'of a source with a history: the commit that made the item what it is';

CREATE UNIQUE INDEX IF NOT EXISTS quarantine_item ON lake.quarantine (collection, id) WHERE id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS quarantine_position ON lake.quarantine (source, position) WHERE id IS NULL;
CREATE INDEX IF NOT EXISTS quarantine_source ON lake.quarantine (source);
