-- lake_ingest writes the base tables. lake_reader reads what is published and nothing else: no quarantine, no cursors,
-- no temporary tables, no objects of its own. It is the second barrier behind the services' own checks.

REVOKE ALL ON ALL TABLES IN SCHEMA lake FROM lake_ingest, lake_reader;

GRANT USAGE ON SCHEMA lake TO lake_ingest, lake_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    lake.source, lake.item, lake.quarantine, lake.rse, lake.file, lake.link, lake.replica, lake.obscore, lake.epn
    TO lake_ingest;
GRANT SELECT ON lake.schema_version TO lake_ingest, lake_reader;

GRANT SELECT ON lake.rse, lake.file, lake.link, lake.replica, lake.obscore, lake.epn TO lake_reader;
GRANT SELECT (collection, id, scope, name, obs_publisher_did, links_only, first_synced, last_synced)
    ON lake.item TO lake_reader;
GRANT SELECT (name, last_started, last_ended, last_outcome) ON lake.source TO lake_reader;  -- for the figures

-- PostgreSQL gives everybody temporary tables. What the roles that are here now (Rucio's among them) had through that,
-- each keeps by a grant of its own; only the roles of the services lose it.
DO $$
DECLARE
    somebody name;
BEGIN
    IF EXISTS (
        SELECT FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS given
        WHERE datname = current_database() AND given.grantee = 0 AND given.privilege_type = 'TEMPORARY'
    ) THEN
        FOR somebody IN
            SELECT rolname FROM pg_roles one WHERE rolname NOT LIKE 'pg\_%' AND NOT EXISTS (
                SELECT FROM pg_roles service WHERE service.rolname IN ('lake_reader', 'lake_query', 'lake_jobs')
                    AND pg_has_role(one.oid, service.oid, 'MEMBER')
            )
        LOOP
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), somebody);
        END LOOP;
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO lake_ingest', current_database());
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM lake_reader', current_database());
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
