-- Items with assets whose size neither the item states nor its origin tells: those assets stay links. Origins are asked
-- again by later runs, after times that grow. A row goes with its item, and when all sizes are told.

CREATE TABLE IF NOT EXISTS lake.untold (
    collection text NOT NULL,
    id text NOT NULL,
    reason text NOT NULL,
    times integer NOT NULL DEFAULT 1,
    first_asked timestamptz NOT NULL DEFAULT now(),
    ask_again timestamptz NOT NULL,
    PRIMARY KEY (collection, id),
    FOREIGN KEY (collection, id) REFERENCES lake.item ON DELETE CASCADE
);
COMMENT ON COLUMN lake.untold.reason IS 'what one of the origins said when it was asked last';
COMMENT ON COLUMN lake.untold.times IS 'how often origins were asked in vain';
COMMENT ON COLUMN lake.untold.ask_again IS 'runs leave the origins alone until then';

CREATE INDEX IF NOT EXISTS untold_ask_again ON lake.untold (ask_again);

GRANT SELECT, INSERT, UPDATE, DELETE ON lake.untold TO lake_ingest;
