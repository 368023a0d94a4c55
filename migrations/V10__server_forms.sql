-- What this server offers, and how each thing is made in the best form that it takes. Names and columns are the same on
-- every server: only speed and size differ.
--
--               community                            Apache            plain
--   tables      hypertables, column store            hypertables       tables
--   rollups     continuous aggregates                views             views
--
-- Statements of the community edition stand in texts that other servers never parse.

CREATE FUNCTION server_edition() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'timescaledb') THEN 'plain'
        WHEN current_setting('timescaledb.license', true) = 'timescale' THEN 'community'
        ELSE 'apache'
    END
$$;

COMMENT ON FUNCTION server_edition IS 'community or apache, the editions of TimescaleDB, or plain.';

-- Chunks by rate: large enough that a day's questions touch few of them, small enough that the newest ones, with their
-- indexes, stay in memory. What is here already keeps its chunks. `set_chunk_time_interval` changes it for a deployment.
CREATE FUNCTION size_chunks(target regclass, chunk interval) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF server_edition() <> 'plain' THEN
        EXECUTE format('SELECT set_chunk_time_interval(%L::regclass, %L::interval)', target, chunk);
    END IF;
END $$;

COMMENT ON FUNCTION size_chunks IS 'Sets how much time new chunks of a hypertable span.';

-- Column store: rows older than the configured age are kept by column, five times smaller. Rows are segmented by columns
-- of the unique key alone: with another one a late row costs fifty milliseconds instead of a fraction of one, because no
-- index leads to the rows that it could repeat.
CREATE FUNCTION use_column_store(target regclass, segment_by text, order_by text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF server_edition() <> 'community' THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'ALTER TABLE %s SET (timescaledb.enable_columnstore = true, timescaledb.segmentby = %L, timescaledb.orderby = %L)',
        target, segment_by, order_by);
    RETURN true;
END $$;

COMMENT ON FUNCTION use_column_store IS 'Lets old chunks of a hypertable be kept by column, where the server can.';

-- A rollup by time. `query` is written once, with
--   <source>        the table or rollup that it is made from
--   <bucket>        the time, rounded down to `width`
--   <first:column>  the column's value at the first time in the bucket, <last:column> at the last
-- It becomes a continuous aggregate, without data: its policy fills it, and until then and for the newest buckets it is
-- computed from the rows (materialized_only = false). Elsewhere it is a view, always right, as slow as its rows are many:
-- TimescaleDB leaves out the chunks of other times; on plain PostgreSQL an index of a few kilobytes finds the rows of the
-- buckets that are asked for.
CREATE FUNCTION make_rollup(rollup name, source name, width interval, time_column name, query text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    edition constant text := server_edition();
    bucket text;
    body text := replace(query, '<source>', quote_ident(source));
BEGIN
    IF edition = 'plain' THEN
        bucket := format('date_bin(interval %L, %I, timestamptz %L)', width, time_column, '2000-01-01 00:00+00');
        body := replace(body, '<bucket>', bucket);
        body := regexp_replace(body, '<first:(\w+)>', format('(array_agg(\1 ORDER BY %I))[1]', time_column), 'g');
        body := regexp_replace(body, '<last:(\w+)>', format('(array_agg(\1 ORDER BY %I DESC))[1]', time_column), 'g');
    ELSE
        body := replace(body, '<bucket>', format('time_bucket(%L, %I)', width, time_column));
        body := regexp_replace(body, '<(first|last):(\w+)>', format('\1(\2, %I)', time_column), 'g');
    END IF;
    IF edition = 'community' THEN
        EXECUTE format(
            'CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS %s WITH NO DATA',
            rollup, body);
        RETURN 'continuous aggregate';
    END IF;
    EXECUTE format('CREATE VIEW %I AS %s', rollup, body);
    IF edition = 'plain' AND (SELECT relkind = 'r' FROM pg_class WHERE oid = quote_ident(source)::regclass) THEN
        -- Rollups of one table and width share it.
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I USING brin ((%s))',
            format('%s_%ss_brin', source, extract(epoch FROM width)::bigint), source, bucket);
    END IF;
    RETURN 'view';
END $$;

COMMENT ON FUNCTION make_rollup IS 'Makes a rollup by time: a continuous aggregate, or a view of the same name and columns.';

SELECT size_chunks('approvals', INTERVAL '7 days');
SELECT size_chunks('liquidity', INTERVAL '7 days');
SELECT size_chunks('contracts', INTERVAL '30 days');
SELECT size_chunks('market_ticks', INTERVAL '30 days');
SELECT size_chunks('indices', INTERVAL '90 days');

SELECT use_column_store('token_transfers', 'chain', 'block_time DESC, log_index, sub_index');
SELECT use_column_store('native_transfers', 'chain', 'block_time DESC, tx_index');
SELECT use_column_store('internal_transfers', 'chain', 'block_time DESC, tx_index, sub_index');
SELECT use_column_store('approvals', 'chain', 'block_time DESC, log_index');
SELECT use_column_store('contracts', 'chain', 'block_time DESC, tx_index');
SELECT use_column_store('swaps', 'chain', 'block_time DESC, log_index');
SELECT use_column_store('liquidity', 'chain', 'block_time DESC, log_index');
SELECT use_column_store('events', 'chain', 'block_time DESC, log_index, sub_index');
SELECT use_column_store('logs', 'chain', 'block_time DESC, log_index');
SELECT use_column_store('block_gas', 'chain', 'block_time DESC');
SELECT use_column_store('reorgs', 'chain', 'block_time DESC');
SELECT use_column_store('market_ticks', 'asset, quote, source', 'event_at DESC');
SELECT use_column_store('indices', 'index_name, source', 'event_at DESC');
SELECT use_column_store('node_status', 'chain, endpoint', 'event_at DESC');
