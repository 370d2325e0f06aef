-- What translated ADQL calls and PostgreSQL or pgSphere lack. Angles are degrees, as in ADQL; positions are ICRS.
--
-- Plain SQL functions are inlined into the query. All are pure, except for the random number.

CREATE SCHEMA IF NOT EXISTS adql;
COMMENT ON SCHEMA adql IS 'stac-rucio-sync: functions that translated ADQL queries call';

-- Numbers ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION adql.mod(x double precision, y double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT mod(x::text::numeric, y::text::numeric)::double precision $$;
COMMENT ON FUNCTION adql.mod IS 'remainder of x/y, with the sign of x, of the decimal numbers as they are written';

CREATE OR REPLACE FUNCTION adql.round(x double precision, digits integer) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT round(x::text::numeric, digits)::double precision $$;

CREATE OR REPLACE FUNCTION adql.truncate(x double precision, digits integer) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT trunc(x::text::numeric, digits)::double precision $$;

CREATE OR REPLACE FUNCTION adql.ivo_normal_random(mu double precision, sigma double precision) RETURNS double precision
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED
AS $$ SELECT mu + sigma * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) $$;
COMMENT ON FUNCTION adql.ivo_normal_random IS 'by Box and Muller';

CREATE OR REPLACE FUNCTION adql.ivo_interval_overlaps(
    a1 double precision, b1 double precision, a2 double precision, b2 double precision
) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (a1 <= b2 AND a2 <= b1 AND a1 <= b1 AND a2 <= b2)::integer $$;

CREATE OR REPLACE FUNCTION adql.ivo_interval_has(val double precision, iv double precision[]) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (val BETWEEN iv[1] AND iv[2])::integer $$;

CREATE OR REPLACE FUNCTION adql.count_in_bin(
    counts integer[], val double precision, lower double precision, upper double precision, nbins integer
) RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    bin integer;
BEGIN
    IF counts IS NULL THEN
        IF nbins IS NULL OR nbins NOT BETWEEN 1 AND 100000 THEN
            RAISE 'ivo_histogram: the number of bins must lie between 1 and 100000' USING ERRCODE = '22023';
        END IF;
        IF lower IS NULL OR upper IS NULL OR NOT lower < upper THEN
            RAISE 'ivo_histogram: the lower limit must be less than the upper one' USING ERRCODE = '22023';
        END IF;
        counts := array_fill(0, ARRAY[nbins + 2]);
    END IF;
    bin := CASE
        WHEN val IS NULL OR val < lower THEN 1
        WHEN val > upper THEN nbins + 2
        ELSE least(width_bucket(val, lower, upper, nbins), nbins) + 1
    END;
    counts[bin] := counts[bin] + 1;
    RETURN counts;
END
$$;

CREATE OR REPLACE AGGREGATE adql.ivo_histogram(
    val double precision, lower double precision, upper double precision, nbins integer
) (SFUNC = adql.count_in_bin, STYPE = integer[], PARALLEL = RESTRICTED);

-- Strings ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION adql.ivo_nocasematch(value text, pattern text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (value ILIKE pattern ESCAPE '')::integer $$;

CREATE OR REPLACE FUNCTION adql.ivo_hasword(haystack text, needle text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT (
        regexp_split_to_array(lower(haystack), '[^[:alnum:]]+')
        @> array_remove(regexp_split_to_array(lower(needle), '[^[:alnum:]]+'), '')
    )::integer
$$;

CREATE OR REPLACE FUNCTION adql.ivo_hashlist_has(hashlist text, item text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (lower(item) = ANY (string_to_array(lower(hashlist), '#')))::integer $$;

CREATE OR REPLACE FUNCTION adql.sexagesimal(parts text[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN parts[3]::double precision < 60 AND parts[4]::double precision < 60
        THEN (CASE parts[1] WHEN '-' THEN -1 ELSE 1 END)
            * (parts[2]::double precision + parts[3]::double precision / 60 + parts[4]::double precision / 3600)
    END
$$;
COMMENT ON FUNCTION adql.sexagesimal IS 'of sign, degrees or hours, minutes, seconds';

CREATE OR REPLACE FUNCTION adql.sexagesimal_parts(written text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT coalesce(
        regexp_match(written, '^\s*([+-]?)(\d+)(?::|\s+)(\d{1,2})(?::|\s+)(\d{1,2}(?:\.\d*)?)\s*$'),
        regexp_match(written, '^\s*([+-]?)(\d+)[hHdD]\s*(\d{1,2})[mM]\s*(\d{1,2}(?:\.\d*)?)[sS]\s*$'),
        regexp_match(written, '^\s*([+-]?)(\d{2,3})(\d{2})(\d{2}(?:\.\d*)?)\s*$')
    )
$$;

CREATE OR REPLACE FUNCTION adql.ivo_hms_to_degrees(hms text) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT CASE WHEN hms !~ '[dD+-]' THEN 15 * adql.sexagesimal(adql.sexagesimal_parts(hms)) END $$;

CREATE OR REPLACE FUNCTION adql.ivo_dms_to_degrees(dms text) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT CASE WHEN dms !~ '[hH]' THEN adql.sexagesimal(adql.sexagesimal_parts(dms)) END $$;

-- Timestamps ---------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION adql.to_timestamp(written text) RETURNS timestamp without time zone
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET DateStyle = 'ISO, YMD'
AS $$
BEGIN
    IF written !~ '^\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d+)?Z?)?\s*$' THEN
        RAISE 'not a timestamp of the form YYYY-MM-DD[Thh:mm:ss[.SSS][Z]]: %', left(written, 80)
            USING ERRCODE = '22007';
    END IF;
    RETURN rtrim(btrim(written), 'Z')::timestamp;
END
$$;

CREATE OR REPLACE FUNCTION adql.from_timestamp(moment timestamp without time zone) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT to_json(moment) #>> '{}' $$;
COMMENT ON FUNCTION adql.from_timestamp IS 'as DALI writes it, whatever the session has set';

CREATE OR REPLACE FUNCTION adql.ivo_to_jd(d timestamp without time zone) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT (extract(epoch FROM d) / 86400 + 2440587.5)::double precision $$;

CREATE OR REPLACE FUNCTION adql.ivo_to_mjd(d timestamp without time zone) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT (extract(epoch FROM d) / 86400 + 40587)::double precision $$;

-- Geometry -----------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION adql.numbers(written text) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT regexp_split_to_array(btrim(written), '[\s,]+')::double precision[] $$;

CREATE OR REPLACE FUNCTION adql.point(coordinates double precision[]) RETURNS public.spoint
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    IF cardinality(coordinates) <> 2 OR abs(coordinates[2]) > 90 THEN
        RAISE 'not a point: %', coordinates USING ERRCODE = '22023';
    END IF;
    RETURN public.spoint(radians(coordinates[1]), radians(coordinates[2]));
END
$$;

CREATE OR REPLACE FUNCTION adql.circle(coordinates double precision[]) RETURNS public.scircle
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    IF cardinality(coordinates) <> 3 THEN
        RAISE 'not a circle: %', coordinates USING ERRCODE = '22023';
    END IF;
    RETURN public.scircle(adql.point(coordinates[1:2]), radians(coordinates[3]));
END
$$;

CREATE OR REPLACE FUNCTION adql.polygon(coordinates double precision[]) RETURNS public.spoly
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    written text := '';
BEGIN
    IF cardinality(coordinates) % 2 = 1 OR coordinates && '{NaN,Infinity,-Infinity}'
        OR array_position(coordinates, NULL) IS NOT NULL
    THEN
        RAISE 'a polygon needs pairs of finite longitudes and latitudes, not %', coordinates USING ERRCODE = '22023';
    END IF;
    FOR i IN 1 .. cardinality(coordinates) BY 2 LOOP
        written := written || CASE i WHEN 1 THEN '(' ELSE ',(' END || coordinates[i] || 'd,' || coordinates[i + 1] || 'd)';
    END LOOP;
    RETURN ('{' || written || '}')::public.spoly;
END
$$;

CREATE OR REPLACE FUNCTION adql.polygon(corners public.spoint[]) RETURNS public.spoly
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    coordinates double precision[] := '{}';
    corner public.spoint;
BEGIN
    FOREACH corner IN ARRAY corners LOOP
        IF corner IS NULL THEN
            RETURN NULL;
        END IF;
        coordinates := coordinates || degrees(public.long(corner)) || degrees(public.lat(corner));
    END LOOP;
    RETURN adql.polygon(coordinates);
END
$$;

CREATE OR REPLACE FUNCTION adql.box(centre public.spoint, width double precision, height double precision)
RETURNS public.spoly
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    ra double precision := public.long(centre);
    sine double precision := sin(public.lat(centre));
    cosine double precision := cos(public.lat(centre));
    corners double precision[] := '{}';
    east double precision;
    north double precision;
    along double precision;
    side integer[];
BEGIN
    IF NOT (width > 0 AND width < 180 AND height > 0 AND height < 180) THEN
        RAISE 'the sizes of a box lie between 0 and 180 degrees, not % and %', width, height USING ERRCODE = '22023';
    END IF;
    -- The sides are great circles: straight lines in the plane that touches the sphere at the centre.
    FOREACH side SLICE 1 IN ARRAY '{{1,1},{-1,1},{-1,-1},{1,-1}}'::integer[] LOOP
        east := side[1] * tan(radians(width / 2));
        north := side[2] * tan(radians(height / 2));
        along := cosine - north * sine;
        corners := corners
            || degrees(atan2(along * sin(ra) + east * cos(ra), along * cos(ra) - east * sin(ra)))
            || degrees(atan2(sine + north * cosine, sqrt(along * along + east * east)));
    END LOOP;
    RETURN adql.polygon(corners);
END
$$;

CREATE OR REPLACE FUNCTION adql.vertices(region public.spoly) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET extra_float_digits = 1
AS $$
    -- pgSphere 1.2 shows a polygon as text only, in radians: {(0.1 , 0.2),(0.3 , 0.4) ...}
    SELECT string_to_array(translate(region::text, '{}() ', ''), ',')::double precision[]
$$;
COMMENT ON FUNCTION adql.vertices IS 'longitudes and latitudes in radians';

CREATE OR REPLACE FUNCTION adql.dali(geometry public.spoint) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT ARRAY[degrees(public.long(geometry)), degrees(public.lat(geometry))] $$;

CREATE OR REPLACE FUNCTION adql.dali(geometry public.scircle) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT ARRAY[
        degrees(public.long(public.center(geometry))),
        degrees(public.lat(public.center(geometry))),
        degrees(public.radius(geometry))
    ]
$$;

CREATE OR REPLACE FUNCTION adql.dali(geometry public.spoly) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT array_agg(degrees(angle) ORDER BY place) FROM unnest(adql.vertices(geometry)) WITH ORDINALITY AS v(angle, place)
$$;

CREATE OR REPLACE FUNCTION adql.moments(region public.spoly) RETURNS double precision[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
-- Area in steradians and the vector of the centroid: sums over the triangles of the first vertex and each edge, and
-- over the edges. pgSphere's own area() takes what is smaller than a few arc seconds for nothing.
DECLARE
    angles double precision[] := adql.vertices(region);
    number integer := cardinality(angles) / 2;
    x double precision[];
    y double precision[];
    z double precision[];
    j integer;
    nx double precision;
    ny double precision;
    nz double precision;
    size double precision;
    turn double precision;
    total double precision := 0;
    centre double precision[] := '{0,0,0}';
BEGIN
    FOR i IN 1 .. number LOOP
        x[i] := cos(angles[2 * i]) * cos(angles[2 * i - 1]);
        y[i] := cos(angles[2 * i]) * sin(angles[2 * i - 1]);
        z[i] := sin(angles[2 * i]);
    END LOOP;
    FOR i IN 1 .. number LOOP
        j := i % number + 1;
        nx := y[i] * z[j] - z[i] * y[j];
        ny := z[i] * x[j] - x[i] * z[j];
        nz := x[i] * y[j] - y[i] * x[j];
        size := sqrt(nx * nx + ny * ny + nz * nz);
        turn := atan2(size, x[i] * x[j] + y[i] * y[j] + z[i] * z[j]);
        IF size > 0 THEN
            centre[1] := centre[1] + nx / size * turn / 2;
            centre[2] := centre[2] + ny / size * turn / 2;
            centre[3] := centre[3] + nz / size * turn / 2;
        END IF;
        -- Solid angle of a triangle (van Oosterom and Strackee 1983).
        total := total + 2 * atan2(
            x[1] * nx + y[1] * ny + z[1] * nz,
            1 + x[1] * x[i] + y[1] * y[i] + z[1] * z[i] + x[i] * x[j] + y[i] * y[j] + z[i] * z[j]
                + x[j] * x[1] + y[j] * y[1] + z[j] * z[1]
        );
    END LOOP;
    -- The vertices run clockwise or not; the inside is the smaller side.
    IF total < 0 THEN
        centre := ARRAY[-centre[1], -centre[2], -centre[3]];
    END IF;
    RETURN abs(total) || centre;
END
$$;

CREATE OR REPLACE FUNCTION adql.area(geometry public.spoint) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT 0 * public.lat(geometry) $$;

CREATE OR REPLACE FUNCTION adql.area(geometry public.scircle) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT 4 * pi() * power(sin(public.radius(geometry) / 2), 2) * power(180 / pi(), 2) $$;

CREATE OR REPLACE FUNCTION adql.area(geometry public.spoly) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT (adql.moments(geometry))[1] * power(180 / pi(), 2) $$;

CREATE OR REPLACE FUNCTION adql.centroid(geometry public.scircle) RETURNS public.spoint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT public.center(geometry) $$;

CREATE OR REPLACE FUNCTION adql.centroid(geometry public.spoly) RETURNS public.spoint
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    m double precision[] := adql.moments(geometry);
BEGIN
    RETURN public.spoint(atan2(m[3], m[2]), atan2(m[4], sqrt(m[2] * m[2] + m[3] * m[3])));
END
$$;

-- HEALPix, by pgSphere ------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION adql.ivo_healpix_index(hpxorder integer, point public.spoint) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT public.healpix_nest(hpxorder, point) $$;

CREATE OR REPLACE FUNCTION adql.ivo_healpix_index(hpxorder integer, longitude double precision, latitude double precision)
RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT public.healpix_nest(hpxorder, public.spoint(radians(longitude), radians(latitude))) $$;

CREATE OR REPLACE FUNCTION adql.ivo_healpix_center(hpxorder integer, hpxindex bigint) RETURNS public.spoint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT public.center_of_healpix_nest(hpxorder, hpxindex) $$;

-- Astrometry -----------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION adql.ivo_epoch_prop_pos(
    ra double precision, "dec" double precision, parallax double precision, pmra double precision,
    pmdec double precision, radial_velocity double precision, ref_epoch double precision, out_epoch double precision
) RETURNS public.spoint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
-- Lindegren's rigorous treatment (ESA SP-1200, volume 1, section 1.5.5): p = r (1 + zeta t) + (east mu_a + north mu_d) t.
DECLARE
    years double precision := out_epoch - ref_epoch;
    mas double precision := radians(1 / 3600000.0::double precision);
    -- One au a year in km/s.
    au double precision := 4.740470463533349;
    east double precision := coalesce(pmra, 0) * mas * years;
    north double precision := coalesce(pmdec, 0) * mas * years;
    out double precision := 1 + coalesce(radial_velocity, 0) * coalesce(parallax, 0) * mas / au * years;
    a double precision := radians(ra);
    d double precision := radians("dec");
    x double precision;
    y double precision;
    z double precision;
BEGIN
    IF ra IS NULL OR "dec" IS NULL OR ref_epoch IS NULL OR out_epoch IS NULL THEN
        RAISE 'ivo_epoch_prop_pos: position and epochs must not be null' USING ERRCODE = '22004';
    END IF;
    x := out * cos(d) * cos(a) - east * sin(a) - north * sin(d) * cos(a);
    y := out * cos(d) * sin(a) + east * cos(a) - north * sin(d) * sin(a);
    z := out * sin(d) + north * cos(d);
    RETURN public.spoint(atan2(y, x), atan2(z, sqrt(x * x + y * y)));
END
$$;
COMMENT ON FUNCTION adql.ivo_epoch_prop_pos IS 'degrees, mas, mas/yr, km/s, Julian years';
