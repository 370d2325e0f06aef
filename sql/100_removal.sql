-- Removals that have begun: what is still to be taken out of Rucio for items whose rows are gone. A row here outlives a
-- crash, and goes when Rucio holds nothing more of the item that may go.

CREATE TABLE IF NOT EXISTS lake.removal (
    collection text NOT NULL,
    id text NOT NULL,
    source text NOT NULL,
    scope text NOT NULL,
    name text NOT NULL,
    metadata_keys text[] NOT NULL,
    file_scopes text[] NOT NULL,
    file_names text[] NOT NULL,
    begun timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, id)
);
COMMENT ON COLUMN lake.removal.scope IS 'of the dataset DID';
COMMENT ON COLUMN lake.removal.file_names IS 'of the file DIDs, beside file_scopes';

CREATE INDEX IF NOT EXISTS removal_source ON lake.removal (source);

GRANT SELECT, INSERT, UPDATE, DELETE ON lake.removal TO lake_ingest;
