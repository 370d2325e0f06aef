-- What an item consists of, and where the bytes are: read by DataLink, SODA and the search annotation.
-- From an ObsCore row to its files: the DID that its obs_publisher_did names, lake.item by (scope, name), then lake.file
-- and lake.link by (collection, id).

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
