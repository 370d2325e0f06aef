-- TAP_SCHEMA as the CDS's TAP library reads it from a database (`metadata = db`, `TAP_SCHEMA = tap_schema_cds`).
--
-- It differs from what our own TAP shows: columns named `dbname` lead from ADQL's names to what the library shall read
-- (regions to the polygons of pgSphere, which its translator needs), types are those of TAP 1.0, `arraysize` is a
-- number. The library has no arrays, so that `s_polygon` is left out. These are views on the rows of TAP_SCHEMA: there
-- is nothing to keep in step.

CREATE SCHEMA IF NOT EXISTS tap_schema_cds;
COMMENT ON SCHEMA tap_schema_cds IS 'stac-rucio-sync: TAP_SCHEMA for the TAP library of the CDS';

CREATE OR REPLACE VIEW tap_schema_cds.schemas AS
    SELECT
        schema_name, description, utype, schema_index,
        CASE schema_name
            WHEN 'tap_schema' THEN 'tap_schema_cds'
            WHEN 'lake' THEN 'tap_published'
            ELSE 'lake'
        END AS dbname
    FROM tap_published.schemas;

CREATE OR REPLACE VIEW tap_schema_cds.tables AS
    SELECT
        schema_name, table_name, table_type, description, utype, table_index,
        CASE split_part(table_name, '.', 2) WHEN 'epn_core' THEN 'epn' ELSE split_part(table_name, '.', 2) END AS dbname
    FROM tap_published.tables;

CREATE OR REPLACE VIEW tap_schema_cds.columns AS
    SELECT
        table_name, column_name, description, unit, ucd, utype, xtype,
        CASE
            WHEN column_name = 's_region' THEN 'REGION'
            WHEN xtype = 'timestamp' THEN 'TIMESTAMP'
            WHEN table_name = 'tap_schema.columns' AND column_name = 'arraysize' THEN 'INTEGER'
            WHEN datatype IN ('char', 'unicodeChar') THEN 'VARCHAR'
            WHEN datatype = 'int' THEN 'INTEGER'
            WHEN datatype = 'long' THEN 'BIGINT'
            ELSE upper(datatype)
        END AS datatype,
        coalesce(size, -1) AS arraysize,
        coalesce(size, -1) AS size,
        principal, indexed, std, column_index,
        CASE column_name WHEN 's_region' THEN 'footprint' ELSE trim(BOTH '"' FROM column_name) END AS dbname
    FROM tap_published.columns
    WHERE column_name <> 's_polygon';

CREATE OR REPLACE VIEW tap_schema_cds.keys AS
    SELECT key_id, from_table, target_table, description, utype FROM tap_published.keys;

CREATE OR REPLACE VIEW tap_schema_cds.key_columns AS
    SELECT key_id, from_column, target_column FROM tap_published.key_columns;

GRANT USAGE ON SCHEMA tap_schema_cds TO lake_query;
GRANT SELECT ON ALL TABLES IN SCHEMA tap_schema_cds TO lake_query;
