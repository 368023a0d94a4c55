-- How long rows are kept is configuration ([storage]), applied by `crypto-intel migrate`. TimescaleDB's community edition
-- has policies of its own for hypertables. Everything else is in this table, and persist drops by it once an hour: plain
-- tables everywhere (`blocks`, alerts, deliveries), and all tables on other servers.

-- regclass is the table itself, by whatever name and schema it is found.
CREATE TABLE storage_retention (
    target       regclass PRIMARY KEY,
    time_column  name NOT NULL,
    keep         interval NOT NULL
);

COMMENT ON TABLE storage_retention IS 'Tables whose old rows persist drops. Written by crypto-intel migrate from the configuration.';
COMMENT ON COLUMN storage_retention.target IS 'The table.';
COMMENT ON COLUMN storage_retention.time_column IS 'The column that says how old a row is.';
COMMENT ON COLUMN storage_retention.keep IS 'How long rows are kept.';

-- Drops the chunks of a hypertable that are wholly older; of another table at most `most` rows, so that no transaction is
-- long: who calls it goes on until it answers less. Rows of one slice lie beside each other, and their pages are used
-- again. Names are resolved by nobody's search path: it may be called with the owner's rights.
CREATE FUNCTION drop_older(target regclass, time_column name, keep interval, most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    extension_schema constant name := (
        SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
        WHERE extname = 'timescaledb');
    horizon constant timestamptz := clock_timestamp() - keep;
    is_hypertable boolean := false;
    gone bigint;
BEGIN
    IF extension_schema IS NOT NULL THEN
        SELECT count(*) > 0 INTO is_hypertable FROM timescaledb_information.hypertables
        WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass = target;
    END IF;
    IF is_hypertable THEN
        EXECUTE format('SELECT count(*) FROM %I.drop_chunks(%L::regclass, older_than => %L::timestamptz)',
            extension_schema, target, horizon) INTO gone;
        RETURN gone;
    END IF;
    EXECUTE format('DELETE FROM %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %s WHERE %I < $1 LIMIT $2))',
        target, target, time_column) USING horizon, most;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

COMMENT ON FUNCTION drop_older IS 'Drops chunks or rows older than an interval; answers how many chunks or rows went.';

-- What persist may call: the owner's right to drop, but only of what the owner has written into the table. Its body was
-- bound when it was made, so it follows its table and no search path leads it elsewhere.
CREATE FUNCTION drop_expired(expired regclass, most bigint) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(sum(drop_older(target, time_column, keep, most)), 0)::bigint
    FROM storage_retention WHERE target = expired;
END;

COMMENT ON FUNCTION drop_expired IS 'Drops what storage_retention says is too old of one table, with the owner''s rights; answers how many chunks or rows went.';

REVOKE EXECUTE ON FUNCTION drop_older, drop_expired FROM PUBLIC;
