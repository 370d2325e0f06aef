-- What `dachs init` needs to find, as a superuser of the archive's database; a second time changes nothing.
DO $$
DECLARE
    account text;
BEGIN
    -- DaCHS has a schema ivoa of its own, and our rows in the ObsCore there. Our TAP reads the table below the view.
    IF obj_description(to_regclass('ivoa.obscore'), 'pg_class') LIKE 'stac-rucio-sync:%' THEN
        DROP VIEW ivoa.obscore;
        DROP SCHEMA ivoa;
    END IF;
    FOREACH account IN ARRAY ARRAY['gavoadmin', 'gavo', 'untrusted'] LOOP
        IF to_regrole(account) IS NULL THEN
            EXECUTE format('CREATE ROLE %I', account);
        END IF;
    END LOOP;
    -- Since PostgreSQL 16 CREATEROLE is good for roles only that one administers; DaCHS 2.7 changes these two.
    GRANT gavo, untrusted TO gavoadmin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
END
$$;
