-- Two roles to be granted to the accounts that log in: `GRANT lake_ingest TO archive_sync`.
-- What each may do stands in 080_grants.sql.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lake_ingest') THEN
        CREATE ROLE lake_ingest NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lake_reader') THEN
        CREATE ROLE lake_reader NOLOGIN;
    END IF;
END
$$;
