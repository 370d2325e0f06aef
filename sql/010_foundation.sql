-- The extension, the schema of the base tables, and the record of what was applied.
--
-- Every file here may run again at any time, on a database with rows: it makes what is missing and leaves the rest.
-- Only a first installation of pg_sphere needs a superuser.

CREATE EXTENSION IF NOT EXISTS pg_sphere WITH SCHEMA public;

CREATE SCHEMA IF NOT EXISTS lake;
COMMENT ON SCHEMA lake IS 'stac-rucio-sync: files, replicas, ObsCore and EPN-TAP rows, and the state of the sync';

CREATE TABLE IF NOT EXISTS lake.schema_version (
    file text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
