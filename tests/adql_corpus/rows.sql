-- What the corpus of ADQL queries is asked of. Number n of 24 says everything about its row, so that an expected result
-- can be worked out by reading. Every footprint is a box of one degree around its position; those of 23 (a circle) and
-- 24 (no position at all) are not.

CREATE SCHEMA corpus;

-- The angle between two positions, in degrees, by plain trigonometry: expected results do not lean on pgSphere.
CREATE FUNCTION corpus.separation(double precision, double precision, double precision, double precision)
    RETURNS double precision LANGUAGE sql IMMUTABLE STRICT
    RETURN degrees(2 * asin(sqrt(least(1,
        sind(($4 - $2) / 2) ^ 2 + cosd($2) * cosd($4) * sind(($3 - $1) / 2) ^ 2))));

INSERT INTO lake.obscore (
    dataproduct_type, dataproduct_subtype, calib_level, obs_collection, obs_id, obs_title, obs_publisher_did,
    target_name, access_url, access_format, access_estsize, s_ra, s_dec, s_fov, s_region, s_xel1,
    t_min, t_max, t_exptime, em_min, em_max, pol_states, facility_name, instrument_name,
    obs_release_date, s_polygon, s_bound
)
SELECT
    (ARRAY['image', 'cube', 'spectrum', 'image'])[n % 4 + 1],
    CASE WHEN n % 6 = 0 THEN 'even#six' ELSE 'one#two' END,
    n % 4,
    CASE WHEN n <= 8 THEN 'alpha' WHEN n <= 16 THEN 'Beta' ELSE 'gamma' END,
    'obs-' || lpad(n::text, 2, '0'),
    CASE n
        WHEN 1 THEN 'The "first" field'
        WHEN 2 THEN 'Größe 5'
        WHEN 3 THEN '100% done'
        WHEN 4 THEN 'under_score'
        WHEN 5 THEN 'it''s'
        WHEN 6 THEN 'back\slash'
        ELSE CASE WHEN n % 6 = 0 THEN NULL ELSE 'Title ' || n END
    END,
    'ivo://example/lake?obs-' || lpad(n::text, 2, '0'),
    CASE WHEN n < 24 THEN (ARRAY['M 31', 'M 33', 'm 31', 'NGC 891', 'Orion', 'Vela'])[n % 6 + 1] END,
    'https://example.org/datalink?ID=' || n,
    'application/x-votable+xml;content=datalink',
    CASE WHEN n % 7 <> 0 THEN n * 1000 END,
    CASE WHEN n < 24 THEN n * 15 - 7.5 END,
    CASE WHEN n < 24 THEN n * 5 - 60 END,
    n / 10.0,
    CASE
        WHEN n = 23 THEN 'CIRCLE ICRS 337.5 55 0.5'
        WHEN n < 23 THEN format('POLYGON ICRS %s %s %s %s %s %s %s %s', n * 15 - 8, n * 5 - 60.5, n * 15 - 7,
            n * 5 - 60.5, n * 15 - 7, n * 5 - 59.5, n * 15 - 8, n * 5 - 59.5)
    END,
    n * 1000,
    58849 + n,
    58849.5 + n,
    CASE WHEN n % 5 <> 0 THEN n * 60 END,
    n * 1e-7,
    n * 2e-7,
    CASE WHEN n % 2 = 0 THEN '/I/' ELSE '/I/Q/U/V/' END,
    'Observatory ' || chr(64 + n % 3 + 1),
    CASE WHEN n % 2 = 0 THEN 'CAM-2' ELSE 'cam-1' END,
    timestamp '2020-01-01' + n * interval '1 day',
    CASE WHEN n < 23 THEN ARRAY[n * 15 - 8, n * 5 - 60.5, n * 15 - 7, n * 5 - 60.5,
        n * 15 - 7, n * 5 - 59.5, n * 15 - 8, n * 5 - 59.5]::double precision[] END,
    CASE WHEN n < 24 THEN ARRAY[n * 15 - 7.5, n * 5 - 60, CASE n WHEN 23 THEN 0.5 ELSE 0.8 END]::double precision[] END
FROM generate_series(1, 24) AS n;

INSERT INTO lake.epn (
    granule_uid, granule_gid, obs_id, dataproduct_type, target_name, target_class, time_min, time_max,
    c1min, c1max, c2min, c2max, spatial_frame_type, processing_level, creation_date, modification_date, release_date,
    service_title, datalink_url, obs_publisher_did, s_region, s_polygon, s_bound
)
SELECT
    'granule-' || n, 'scene', 'scene-' || n, 'im', CASE WHEN n <= 4 THEN 'Mars' ELSE 'Moon' END,
    CASE WHEN n <= 4 THEN 'planet' ELSE 'satellite' END, 2458849.5 + n, 2458850.5 + n,
    n * 10, n * 10 + 2, n, n + 2, 'body', 3, '2020-01-01', '2020-01-02', '2020-01-03', 'epn',
    'https://example.org/datalink?ID=scene-' || n, 'ivo://example/lake?scene-' || n,
    format('POLYGON %s %s %s %s %s %s %s %s', n * 10, n, n * 10 + 2, n, n * 10 + 2, n + 2, n * 10, n + 2),
    ARRAY[n * 10, n, n * 10 + 2, n, n * 10 + 2, n + 2, n * 10, n + 2],
    ARRAY[n * 10 + 1, n + 1, 1.5]
FROM generate_series(1, 6) AS n;

INSERT INTO lake.item (
    collection, id, source, fingerprint, scope, name, obs_publisher_did, metadata_keys, links_only
)
SELECT obs_collection, obs_id, 'corpus', obs_id, 'stac', obs_id, obs_publisher_did, '{}', false
FROM lake.obscore WHERE obs_id <= 'obs-10';

INSERT INTO lake.file (collection, id, asset, scope, name, bytes, adler32, content_type, roles, science)
SELECT collection, id, 'image', 'stac', id || '.fits', right(id, 2)::integer * 100, '0a1b2c3d', 'application/fits',
    '{data,science}'::text[], true
FROM lake.item
UNION ALL
SELECT collection, id, 'preview', 'stac', id || '.jpg', 10, NULL, 'image/jpeg', '{thumbnail}'::text[], false
FROM lake.item WHERE right(id, 2)::integer % 2 = 0;

INSERT INTO lake.rse (rse, deterministic, rse_type, available_read, site, latitude, longitude) VALUES
    ('SITE-A', true, 'DISK', true, 'Nançay', 47.4, 2.2),
    ('SITE-B', true, 'DISK', true, 'Jodrell Bank', 53.2, -2.3),
    ('TAPE-C', true, 'TAPE', false, NULL, NULL, NULL);

INSERT INTO lake.replica (scope, name, rse, pfn, state, needs_login, updated)
SELECT scope, name, 'SITE-A', 'https://a.example.org/' || name, 'AVAILABLE', false, timestamptz '2021-01-01T12:00:00Z'::timestamptz
FROM lake.file
UNION ALL
SELECT scope, name, 'SITE-B', 'https://b.example.org/' || name,
    CASE id WHEN 'obs-04' THEN 'COPYING' ELSE 'AVAILABLE' END, true, timestamptz '2021-01-02T12:00:00Z'::timestamptz
FROM lake.file WHERE science AND right(id, 2)::integer % 2 = 0;

ANALYZE lake.obscore, lake.epn, lake.file, lake.replica, lake.item, lake.rse;
