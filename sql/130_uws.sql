-- Asynchronous jobs (UWS 1.1), and the schema that uploaded tables live in while their query runs.
-- lake_jobs is granted to the account that the services keep jobs and load uploads with; it sees no table of schema lake.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lake_jobs') THEN
        CREATE ROLE lake_jobs NOLOGIN;
    END IF;
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM lake_jobs', current_database());
END
$$;

CREATE SCHEMA IF NOT EXISTS uws;
COMMENT ON SCHEMA uws IS 'stac-rucio-sync: asynchronous jobs';

CREATE TABLE IF NOT EXISTS uws.job (
    id text PRIMARY KEY,
    slot integer NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    phase text NOT NULL DEFAULT 'PENDING'
        CHECK (phase IN ('PENDING', 'QUEUED', 'EXECUTING', 'COMPLETED', 'ERROR', 'ABORTED')),
    run_id text,
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    queued timestamptz,
    started timestamptz,
    ended timestamptz,
    execution_duration integer NOT NULL CHECK (execution_duration > 0),
    destruction timestamptz NOT NULL,
    parameters jsonb NOT NULL DEFAULT '[]',
    files jsonb NOT NULL DEFAULT '[]',
    results jsonb NOT NULL DEFAULT '[]',
    bytes bigint NOT NULL DEFAULT 0,
    error_message text,
    error_transient boolean
);
ALTER TABLE uws.job ADD COLUMN IF NOT EXISTS client text NOT NULL DEFAULT '';
ALTER TABLE uws.job ADD COLUMN IF NOT EXISTS turn bigint NOT NULL DEFAULT 0;
COMMENT ON TABLE uws.job IS 'one row a job; its files lie in the folder of its id below the results folder';
COMMENT ON COLUMN uws.job.id IS 'random: who knows it may read, abort and destroy the job';
COMMENT ON COLUMN uws.job.slot IS 'number of the advisory lock that the process holds while it runs the job';
COMMENT ON COLUMN uws.job.parameters IS 'pairs of name and value, in the order of the request';
COMMENT ON COLUMN uws.job.files IS 'inline parameters: {label, mime, bytes, name}, name being that of the file';
COMMENT ON COLUMN uws.job.results IS '{id, mime, bytes, name, file_name}; file_name is what a browser saves it as';
COMMENT ON COLUMN uws.job.bytes IS 'space that its files take, or that is reserved for them while it runs';

COMMENT ON COLUMN uws.job.client IS 'address of the one who made the job, or its network: shares are by it';
COMMENT ON COLUMN uws.job.turn IS 'place in the queue: the jobs of one client have different ones, those of several the same';

DROP INDEX IF EXISTS uws.job_queue;
CREATE INDEX IF NOT EXISTS job_turn ON uws.job (turn, queued) WHERE phase = 'QUEUED';
CREATE INDEX IF NOT EXISTS job_executing ON uws.job (slot) WHERE phase = 'EXECUTING';
CREATE INDEX IF NOT EXISTS job_destruction ON uws.job (destruction);
CREATE INDEX IF NOT EXISTS job_created ON uws.job (kind, created);

CREATE SCHEMA IF NOT EXISTS tap_upload;
COMMENT ON SCHEMA tap_upload IS 'stac-rucio-sync: uploaded tables, each for as long as its query runs';
CREATE SEQUENCE IF NOT EXISTS tap_upload.request AS integer CYCLE;
COMMENT ON SEQUENCE tap_upload.request IS
    'numbers the requests that bring tables; it stands in the tables'' names and is the advisory lock of their process';

GRANT USAGE ON SCHEMA uws TO lake_jobs;
GRANT SELECT, INSERT, UPDATE, DELETE ON uws.job TO lake_jobs;
GRANT USAGE, CREATE ON SCHEMA tap_upload TO lake_jobs;
GRANT USAGE ON SEQUENCE tap_upload.request TO lake_jobs;
