-- What TAP publishes beside lake.obscore and lake.epn: the lake's files, replicas and RSEs, and TAP_SCHEMA.
--
-- ADQL's names (lake.file, tap_schema.columns ...) are translated to the relations of the schema tap_published, so that
-- a tap_schema of another server (DaCHS) in the same database is left alone, and so that the views can leave out what
-- is not published: PFNs, origins, the state of the sync. They are plain joins: a condition of the query reaches the
-- indexes below them.

CREATE SCHEMA IF NOT EXISTS tap_published;
COMMENT ON SCHEMA tap_published IS 'stac-rucio-sync: what TAP shows of the lake, and TAP_SCHEMA';

CREATE INDEX IF NOT EXISTS item_publisher_did ON lake.item (obs_publisher_did);
CREATE INDEX IF NOT EXISTS replica_rse ON lake.replica (rse);
-- SIA 2.0 compares identifiers without case.
CREATE INDEX IF NOT EXISTS obscore_did_lower ON lake.obscore (lower(obs_publisher_did));

CREATE OR REPLACE VIEW tap_published.file AS
    SELECT
        i.obs_publisher_did, f.asset, f.scope, f.name, f.bytes, f.adler32, f.md5, f.unverified_checksum,
        f.content_type, array_to_string(f.roles, '#') AS roles, f.title, f.science::integer AS science
    FROM lake.file f JOIN lake.item i USING (collection, id);
COMMENT ON VIEW tap_published.file IS 'lake.file of ADQL; obs_publisher_did is that of the ObsCore row';

CREATE OR REPLACE VIEW tap_published.replica AS
    SELECT
        i.obs_publisher_did, f.asset, r.scope, r.name, r.rse, s.site, r.state, r.needs_login::integer AS needs_login,
        r.updated AT TIME ZONE 'UTC' AS updated
    FROM lake.replica r
        JOIN lake.file f USING (scope, name)
        JOIN lake.item i USING (collection, id)
        LEFT JOIN lake.rse s USING (rse);
COMMENT ON VIEW tap_published.replica IS 'lake.replica of ADQL; a file that two items share has a row for each';

CREATE OR REPLACE VIEW tap_published.rse AS
    SELECT rse, rse_type, site, latitude, longitude, available_read::integer AS available_read FROM lake.rse;
COMMENT ON VIEW tap_published.rse IS 'lake.rse of ADQL, without the origins';

CREATE TABLE IF NOT EXISTS tap_published.schemas (
    schema_name text PRIMARY KEY,
    utype text,
    description text,
    schema_index integer
);

CREATE TABLE IF NOT EXISTS tap_published.tables (
    schema_name text NOT NULL,
    table_name text PRIMARY KEY,
    table_type text NOT NULL,
    utype text,
    description text,
    table_index integer
);

CREATE TABLE IF NOT EXISTS tap_published.columns (
    table_name text NOT NULL,
    column_name text NOT NULL,
    datatype text NOT NULL,
    arraysize text,
    xtype text,
    size integer,
    description text,
    utype text,
    unit text,
    ucd text,
    indexed integer NOT NULL,
    principal integer NOT NULL,
    std integer NOT NULL,
    column_index integer,
    PRIMARY KEY (table_name, column_name)
);

CREATE TABLE IF NOT EXISTS tap_published.keys (
    key_id text PRIMARY KEY,
    from_table text NOT NULL,
    target_table text NOT NULL,
    description text,
    utype text
);

CREATE TABLE IF NOT EXISTS tap_published.key_columns (
    key_id text NOT NULL,
    from_column text NOT NULL,
    target_column text NOT NULL,
    PRIMARY KEY (key_id, from_column)
);
