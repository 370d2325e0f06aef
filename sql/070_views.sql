-- The tables as the Virtual Observatory names them: plain views with exactly the published columns.
--
-- Two settings come from the one who applies this file: `lake.views` ('off' leaves the views out) and `lake.epn_schema`.
-- A schema `ivoa` or a table `epn_core` of another server (DaCHS) is left alone, and a notice with SQLSTATE LK001 says so.

CREATE OR REPLACE FUNCTION pg_temp.is_ours_or_free(wanted_schema text, wanted_name text, whole_schema boolean)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident(wanted_schema)) AND relkind IN ('r', 'v', 'm', 'f', 'p')
            AND (whole_schema OR relname = wanted_name)
            AND coalesce(obj_description(oid, 'pg_class'), '') NOT LIKE 'stac-rucio-sync:%'
    )
$$;

DO $views$
DECLARE
    epn text := coalesce(nullif(current_setting('lake.epn_schema', true), ''), 'epn');
BEGIN
    IF current_setting('lake.views', true) = 'off' THEN
        RAISE NOTICE 'the views ivoa.obscore and %.epn_core are left out, as asked', epn USING ERRCODE = 'LK001';
        RETURN;
    END IF;

    IF pg_temp.is_ours_or_free('ivoa', 'obscore', true) THEN
        CREATE SCHEMA IF NOT EXISTS ivoa;
        CREATE OR REPLACE VIEW ivoa.obscore AS
            SELECT
                dataproduct_type, dataproduct_subtype, calib_level, obs_collection, obs_id, obs_title,
                obs_publisher_did, obs_creator_did, target_name, access_url, access_format, access_estsize, s_ra,
                s_dec, s_fov, s_region, s_resolution, s_xel1, s_xel2, t_min, t_max, t_exptime, t_resolution, t_xel,
                em_min, em_max, em_res_power, em_xel, o_ucd, pol_states, pol_xel, facility_name, instrument_name,
                proposal_id, publisher_id, bib_reference, data_rights, obs_release_date, s_polygon
            FROM lake.obscore;
        COMMENT ON VIEW ivoa.obscore IS 'stac-rucio-sync: ObsCore 1.1';
        GRANT USAGE ON SCHEMA ivoa TO lake_ingest, lake_reader;
        GRANT SELECT ON ivoa.obscore TO lake_ingest, lake_reader;
    ELSE
        RAISE NOTICE 'the view ivoa.obscore is left out: schema ivoa holds tables of another server; the rows are in lake.obscore'
            USING ERRCODE = 'LK001';
    END IF;

    IF pg_temp.is_ours_or_free(epn, 'epn_core', false) THEN
        EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', epn);
        EXECUTE format($view$
            CREATE OR REPLACE VIEW %I.epn_core AS
            SELECT
                granule_uid, granule_gid, obs_id, dataproduct_type, target_name, target_class, time_min, time_max,
                time_sampling_step_min, time_sampling_step_max, time_exp_min, time_exp_max, spectral_range_min,
                spectral_range_max, spectral_sampling_step_min, spectral_sampling_step_max, spectral_resolution_min,
                spectral_resolution_max, c1min, c1max, c2min, c2max, c3min, c3max, s_region, c1_resol_min,
                c1_resol_max, c2_resol_min, c2_resol_max, c3_resol_min, c3_resol_max, spatial_frame_type,
                incidence_min, incidence_max, emergence_min, emergence_max, phase_min, phase_max,
                instrument_host_name, instrument_name, measurement_type, processing_level, creation_date,
                modification_date, release_date, service_title, access_url, access_format, access_estsize,
                access_md5, datalink_url, thumbnail_url, file_name, publisher, bib_reference,
                spatial_coordinate_description, obs_publisher_did, s_polygon
            FROM lake.epn
        $view$, epn);
        EXECUTE format('COMMENT ON VIEW %I.epn_core IS %L', epn, 'stac-rucio-sync: EPN-TAP 2.0');
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO lake_ingest, lake_reader', epn);
        EXECUTE format('GRANT SELECT ON %I.epn_core TO lake_ingest, lake_reader', epn);
    ELSE
        RAISE NOTICE 'the view %.epn_core is left out: another table has this name; the rows are in lake.epn', epn
            USING ERRCODE = 'LK001';
    END IF;
END
$views$;
