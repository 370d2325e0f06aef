-- The role that users' queries run as: `GRANT lake_query TO archive_tap`. It reads what is published and calls the
-- functions of schema `adql`, and nothing else: no other table, no temporary one, no object of its own. It is the
-- second barrier; the first is that nothing of a user's text but the translated SELECT reaches the database.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lake_query') THEN
        CREATE ROLE lake_query NOLOGIN;
    END IF;
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM lake_query', current_database());
    IF to_regnamespace('adql') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA adql TO lake_query;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA adql TO lake_query;
    END IF;
    IF to_regnamespace('tap_upload') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA tap_upload TO lake_query; -- each table there is granted to it for one query
    END IF;
END
$$;

GRANT USAGE ON SCHEMA lake, tap_published TO lake_query;
GRANT SELECT ON ALL TABLES IN SCHEMA tap_published TO lake_query;
GRANT SELECT ON lake.schema_version TO lake_query; -- by which the services know whether the tables are theirs

-- The published columns and the hidden ones that spatial conditions are translated to.
GRANT SELECT (
    dataproduct_type, dataproduct_subtype, calib_level, obs_collection, obs_id, obs_title, obs_publisher_did,
    obs_creator_did, target_name, access_url, access_format, access_estsize, s_ra, s_dec, s_fov, s_region, s_resolution,
    s_xel1, s_xel2, t_min, t_max, t_exptime, t_resolution, t_xel, em_min, em_max, em_res_power, em_xel, o_ucd,
    pol_states, pol_xel, facility_name, instrument_name, proposal_id, publisher_id, bib_reference, data_rights,
    obs_release_date, s_polygon, position, footprint, bound
) ON lake.obscore TO lake_query;
GRANT SELECT (
    granule_uid, granule_gid, obs_id, dataproduct_type, target_name, target_class, time_min, time_max,
    time_sampling_step_min, time_sampling_step_max, time_exp_min, time_exp_max, spectral_range_min, spectral_range_max,
    spectral_sampling_step_min, spectral_sampling_step_max, spectral_resolution_min, spectral_resolution_max, c1min,
    c1max, c2min, c2max, c3min, c3max, s_region, c1_resol_min, c1_resol_max, c2_resol_min, c2_resol_max, c3_resol_min,
    c3_resol_max, spatial_frame_type, incidence_min, incidence_max, emergence_min, emergence_max, phase_min, phase_max,
    instrument_host_name, instrument_name, measurement_type, processing_level, creation_date, modification_date,
    release_date, service_title, access_url, access_format, access_estsize, access_md5, datalink_url, thumbnail_url,
    file_name, publisher, bib_reference, spatial_coordinate_description, obs_publisher_did, s_polygon, footprint, bound
) ON lake.epn TO lake_query;

-- What a query may take. The services set the time of each query themselves; this holds for whoever else logs in. These
-- are settings of an account, which its members do not inherit, and what an operator has set stays.
DO $$
DECLARE
    wanted text[];
BEGIN
    FOREACH wanted SLICE 1 IN ARRAY ARRAY[
        ['statement_timeout', '60s'], ['lock_timeout', '10s'],
        ['idle_in_transaction_session_timeout', '60s'], ['work_mem', '32MB'], ['temp_file_limit', '10GB']
    ] LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_roles, unnest(rolconfig) AS given WHERE rolname = 'lake_query' AND given LIKE wanted[1] || '=%'
        );
        BEGIN
            EXECUTE format('ALTER ROLE lake_query SET %I = %L', wanted[1], wanted[2]);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'lake_query keeps the % of all roles: only a superuser may set it', wanted[1]
                USING ERRCODE = 'LK001';
        END;
    END LOOP;
END
$$;
