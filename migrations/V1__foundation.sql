-- Foundation: TimescaleDB where the server offers it, and the readers' positions.
--
-- Every migration runs in a transaction of its own. Statements that only TimescaleDB knows go through EXECUTE behind a
-- test, so that one file serves plain PostgreSQL and both editions of TimescaleDB, with the same table and view names.

-- The extension can only be made where its library is preloaded (CREATE EXTENSION ends the session otherwise) and where
-- the user may. A managed server without it is no failure: the tables are then plain.
DO $$
BEGIN
    IF current_setting('shared_preload_libraries') LIKE '%timescaledb%'
       AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
       AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        BEGIN
            CREATE EXTENSION timescaledb;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'timescaledb is installed but this user may not create it: tables will be plain';
        END;
    END IF;
END $$;

-- Partitions an empty table by time. TimescaleDB: a hypertable without its default index on time, because chunks already
-- exclude by time. Plain PostgreSQL: a BRIN index, a few kilobytes for millions of rows that arrive nearly in time order.
-- Answers whether the table became a hypertable.
CREATE FUNCTION partition_by_time(target regclass, time_column name, chunk interval) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        EXECUTE format(
            'SELECT create_hypertable(%L::regclass, by_range(%L, %L::interval), create_default_indexes => false)',
            target, time_column, chunk);
        RETURN true;
    END IF;
    EXECUTE format(
        'CREATE INDEX %I ON %s USING brin (%I)', replace(target::text, '.', '_') || '_time_brin', target, time_column);
    RETURN false;
END $$;

COMMENT ON FUNCTION partition_by_time IS
    'Makes an empty table a hypertable where TimescaleDB is there, else gives it a BRIN index on its time.';

-- How far each stream has been applied. Moved by compare-and-set in the transaction that writes the rows: that is what
-- makes a restart exact and what fences two writers off each other. One hot row per stream, so pages keep room for
-- updates in place.
CREATE TABLE positions (
    stream       text PRIMARY KEY,
    sequence     bigint NOT NULL,
    stored_at_us bigint NOT NULL,
    revision     bigint NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

COMMENT ON TABLE positions IS 'Last message of each stream whose effect is in these tables.';
COMMENT ON COLUMN positions.sequence IS 'Stream sequence; 0 = nothing applied. Set it to 0 to have the stream read again: known rows are absorbed.';
COMMENT ON COLUMN positions.stored_at_us IS 'When the stream stored that message, microseconds since 1970; tells a stream that was made anew from the old one.';
COMMENT ON COLUMN positions.revision IS 'Highest block revision given out for this stream (see blocks.revision).';
