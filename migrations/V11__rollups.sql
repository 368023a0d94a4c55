-- Rollups by time.
--
-- * What adds up is made in two steps, hours from rows and days from hours; percentiles and candles do not add up, and
--   their rows are few: each step is made from the rows.
-- * Sums are exact: NUMERIC of the smallest unit, and of whole tokens where the decimals are known.
-- * Rows of a block that left are gone, and so are they from here (ADR 5).

DO $$
DECLARE
    step record;
BEGIN
    FOR step IN SELECT * FROM (VALUES
        ('candles_1m', INTERVAL '1 minute'),
        ('candles_5m', INTERVAL '5 minutes'),
        ('candles_1h', INTERVAL '1 hour'),
        ('candles_1d', INTERVAL '1 day')) AS steps (name, width)
    LOOP
        PERFORM make_rollup(step.name, 'market_ticks', step.width, 'event_at', $query$
            SELECT <bucket> AS bucket, asset, quote, source,
                   <first:price> AS open, max(price) AS high, min(price) AS low, <last:price> AS close,
                   count(*) AS ticks, <last:volume_24h> AS volume_24h, <last:market_cap> AS market_cap
            FROM <source> GROUP BY 1, 2, 3, 4
        $query$);
        EXECUTE format('COMMENT ON VIEW %I IS %L', step.name,
            format('Prices in steps of %s, by asset, quote and provider.', step.width));
        EXECUTE format('COMMENT ON COLUMN %I.open IS %L', step.name, 'First price in the bucket.');
        EXECUTE format('COMMENT ON COLUMN %I.close IS %L', step.name, 'Last price in the bucket.');
        EXECUTE format('COMMENT ON COLUMN %I.high IS %L', step.name, 'Highest price in the bucket.');
        EXECUTE format('COMMENT ON COLUMN %I.low IS %L', step.name, 'Lowest price in the bucket.');
        EXECUTE format('COMMENT ON COLUMN %I.ticks IS %L', step.name, 'How many times the provider said a price.');
    END LOOP;
END $$;

SELECT make_rollup('token_volume_hourly', 'token_transfers', INTERVAL '1 hour', 'block_time', $$
    SELECT <bucket> AS bucket, chain, token, standard, max(symbol) AS symbol, count(*) AS transfers,
           sum(value) AS value, sum(amount) AS amount, sum(usd) AS usd
    FROM <source> GROUP BY 1, 2, 3, 4
$$);
SELECT make_rollup('token_volume_daily', 'token_volume_hourly', INTERVAL '1 day', 'bucket', $$
    SELECT <bucket> AS bucket, chain, token, standard, max(symbol) AS symbol, sum(transfers)::bigint AS transfers,
           sum(value) AS value, sum(amount) AS amount, sum(usd) AS usd
    FROM <source> GROUP BY 1, 2, 3, 4
$$);
COMMENT ON VIEW token_volume_hourly IS 'What moved of each token in each hour.';
COMMENT ON VIEW token_volume_daily IS 'What moved of each token on each day (UTC).';

-- Between whom value moved that touched a watched address. One rollup per table, because a continuous aggregate reads one;
-- watched_flow_* joins them.
DO $$
DECLARE
    flow record;
    hourly text;
    daily text;
BEGIN
    FOR flow IN SELECT * FROM (VALUES
        ('token', 'token_transfers', 'chain, token, standard, sender, recipient', '1, 2, 3, 4, 5, 6'),
        ('native', 'native_transfers', 'chain, sender, recipient', '1, 2, 3, 4'),
        ('internal', 'internal_transfers', 'chain, sender, recipient', '1, 2, 3, 4')) AS flows (kind, source, keys, places)
    LOOP
        hourly := format('watched_%s_flow_hourly', flow.kind);
        daily := format('watched_%s_flow_daily', flow.kind);
        PERFORM make_rollup(hourly, flow.source, INTERVAL '1 hour', 'block_time', format($query$
            SELECT <bucket> AS bucket, %s, max(symbol) AS symbol, count(*) AS transfers,
                   sum(value) AS value, sum(amount) AS amount, sum(usd) AS usd
            FROM <source> WHERE watched IS NOT NULL GROUP BY %s
        $query$, flow.keys, flow.places));
        PERFORM make_rollup(daily, hourly, INTERVAL '1 day', 'bucket', format($query$
            SELECT <bucket> AS bucket, %s, max(symbol) AS symbol, sum(transfers)::bigint AS transfers,
                   sum(value) AS value, sum(amount) AS amount, sum(usd) AS usd
            FROM <source> GROUP BY %s
        $query$, flow.keys, flow.places));
        EXECUTE format('COMMENT ON VIEW %I IS %L', hourly,
            format('Part of watched_flow_hourly: what %s say.', flow.source));
        EXECUTE format('COMMENT ON VIEW %I IS %L', daily,
            format('Part of watched_flow_daily: what %s say.', flow.source));
    END LOOP;
END $$;

-- The same views over both steps.
DO $$
DECLARE
    step record;
BEGIN
    FOR step IN SELECT * FROM (VALUES ('hourly', 'hour'), ('daily', 'day (UTC)')) AS steps (name, unit)
    LOOP
        EXECUTE format($view$
            CREATE VIEW watched_flow_%1$s AS
            SELECT bucket, chain, token, standard, sender, recipient, symbol, transfers, value, amount, usd
            FROM watched_token_flow_%1$s
            UNION ALL
            SELECT bucket, chain, NULL::bytea, 'native', sender, recipient, symbol, transfers, value, amount, usd
            FROM watched_native_flow_%1$s
            UNION ALL
            SELECT bucket, chain, NULL::bytea, 'internal', sender, recipient, symbol, transfers, value, amount, usd
            FROM watched_internal_flow_%1$s
        $view$, step.name);
        EXECUTE format('COMMENT ON VIEW watched_flow_%s IS %L', step.name,
            format('Between whom value moved in each %s, of transfers that touch a watched address.', step.unit));
        EXECUTE format('COMMENT ON COLUMN watched_flow_%s.standard IS %L', step.name,
            'erc20, erc721, erc1155, native, or internal for native value moved inside contracts.');

        -- An address that is watched on this chain and on all is one wallet, by its own chain's name.
        EXECUTE format($view$
            CREATE VIEW wallet_volume_%1$s AS
            SELECT leg.bucket, leg.chain, leg.address, wallet.label, leg.token, max(leg.symbol) AS symbol,
                   sum(leg.transfers_in)::bigint AS transfers_in, sum(leg.transfers_out)::bigint AS transfers_out,
                   sum(leg.value_in) AS value_in, sum(leg.value_out) AS value_out,
                   sum(leg.value_in - leg.value_out) AS value_net,
                   sum(leg.amount_in) AS amount_in, sum(leg.amount_out) AS amount_out,
                   coalesce(sum(leg.amount_in), 0) - coalesce(sum(leg.amount_out), 0) AS amount_net,
                   sum(leg.usd_in) AS usd_in, sum(leg.usd_out) AS usd_out,
                   coalesce(sum(leg.usd_in), 0) - coalesce(sum(leg.usd_out), 0) AS usd_net
            FROM (
                SELECT bucket, chain, recipient AS address, token, symbol, transfers AS transfers_in, 0 AS transfers_out,
                       value AS value_in, 0 AS value_out, amount AS amount_in, NULL::numeric AS amount_out,
                       usd AS usd_in, NULL::numeric AS usd_out
                FROM watched_flow_%1$s
                UNION ALL
                SELECT bucket, chain, sender, token, symbol, 0, transfers, 0, value, NULL, amount, NULL, usd
                FROM watched_flow_%1$s
            ) AS leg
            JOIN wallets AS wallet ON wallet.removed_at IS NULL AND wallet.address = leg.address
                AND (wallet.chain = leg.chain OR (wallet.chain = 'all' AND NOT EXISTS (
                    SELECT FROM wallets AS own
                    WHERE own.removed_at IS NULL AND own.address = leg.address AND own.chain = leg.chain)))
            GROUP BY leg.bucket, leg.chain, leg.address, wallet.label, leg.token
        $view$, step.name);
        EXECUTE format('COMMENT ON VIEW wallet_volume_%s IS %L', step.name,
            format('What each watched wallet received and sent in each %s, by token.', step.unit));
    END LOOP;
END $$;

SELECT make_rollup('pool_volume_hourly', 'swaps', INTERVAL '1 hour', 'block_time', $$
    SELECT <bucket> AS bucket, chain, protocol, pool, pool_id, count(*) AS swaps,
           sum(abs(amount0)) AS volume0, sum(abs(amount1)) AS volume1, sum(amount0) AS net0, sum(amount1) AS net1
    FROM <source> GROUP BY 1, 2, 3, 4, 5
$$);
SELECT make_rollup('pool_volume_daily', 'pool_volume_hourly', INTERVAL '1 day', 'bucket', $$
    SELECT <bucket> AS bucket, chain, protocol, pool, pool_id, sum(swaps)::bigint AS swaps,
           sum(volume0) AS volume0, sum(volume1) AS volume1, sum(net0) AS net0, sum(net1) AS net1
    FROM <source> GROUP BY 1, 2, 3, 4, 5
$$);
COMMENT ON VIEW pool_volume_hourly IS 'What was traded in each DEX pool in each hour.';
COMMENT ON VIEW pool_volume_daily IS 'What was traded in each DEX pool on each day (UTC).';

DO $$
DECLARE
    step record;
BEGIN
    FOR step IN SELECT * FROM (VALUES ('base_fee_hourly', INTERVAL '1 hour'), ('base_fee_daily', INTERVAL '1 day')) AS steps (name, width)
    LOOP
        -- percentile_disc answers a fee that some block really had, exactly.
        PERFORM make_rollup(step.name, 'block_gas', step.width, 'block_time', $query$
            SELECT <bucket> AS bucket, chain,
                   percentile_disc(0.1) WITHIN GROUP (ORDER BY base_fee_per_gas) AS p10,
                   percentile_disc(0.5) WITHIN GROUP (ORDER BY base_fee_per_gas) AS p50,
                   percentile_disc(0.9) WITHIN GROUP (ORDER BY base_fee_per_gas) AS p90,
                   min(base_fee_per_gas) AS min, max(base_fee_per_gas) AS max, count(*) AS blocks,
                   sum(gas_used) AS gas_used, sum(gas_limit) AS gas_limit, sum(transactions)::bigint AS transactions
            FROM <source> GROUP BY 1, 2
        $query$);
        EXECUTE format('COMMENT ON VIEW %I IS %L', step.name,
            format('Base fee per gas of blocks in wei, in steps of %s.', step.width));
        EXECUTE format('COMMENT ON COLUMN %I.min IS %L', step.name, 'Lowest base fee per gas, wei.');
        EXECUTE format('COMMENT ON COLUMN %I.max IS %L', step.name, 'Highest base fee per gas, wei.');
    END LOOP;
END $$;
