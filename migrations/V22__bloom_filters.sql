-- Addresses in the column store. Our indexes do not lead there; TimescaleDB makes bloom filters, by which it skips batches of
-- rows, for the columns of plain indexes by itself, but not for those of expressions, as lean rows have them (V19). So they are
-- named. It counts for chunks that are put into the column store from now on.
DO $$
DECLARE
    stored record;
BEGIN
    IF server_edition() <> 'community' THEN
        RETURN;
    END IF;
    FOR stored IN SELECT * FROM (VALUES
        ('token_transfers', 'block_time DESC, log_index, sub_index', 'bloom(token), bloom(sender), bloom(recipient)'),
        ('native_transfers', 'block_time DESC, tx_index', 'bloom(sender), bloom(recipient)'),
        ('internal_transfers', 'block_time DESC, tx_index, sub_index', 'bloom(sender), bloom(recipient)'),
        ('approvals', 'block_time DESC, log_index', 'bloom(owner), bloom(spender)'),
        ('contracts', 'block_time DESC, tx_index', 'bloom(contract)'),
        ('logs', 'block_time DESC, log_index', 'bloom(address)'),
        ('swaps', 'block_time DESC, log_index', 'bloom(pool), bloom(pool_id), bloom(tx_from)'),
        ('liquidity', 'block_time DESC, log_index', 'bloom(address), bloom(pool_id)'),
        ('events', 'block_time DESC, log_index, sub_index', 'bloom(address)')) AS tables (name, order_by, filters)
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %I SET (timescaledb.enable_columnstore = true, timescaledb.segmentby = %L, '
                'timescaledb.orderby = %L, timescaledb.sparse_index = %L)', stored.name, 'chain', stored.order_by, stored.filters);
        EXCEPTION WHEN OTHERS THEN
            -- Versions before 2.22 cannot: slower there, not wrong.
            RAISE NOTICE 'no bloom filters for the column store of %: %', stored.name, SQLERRM;
        END;
    END LOOP;
END $$;
