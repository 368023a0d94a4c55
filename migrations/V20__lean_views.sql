-- What people read of the lean rows (V19): views with everything as text and in whole units, rollups, and the functions that
-- know how addresses are looked up. Names and columns are those of earlier versions; what is new stands last.

CREATE VIEW v_token_transfers AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, log_index, sub_index,
       'erc' || erc::text AS standard, hex_text(token) AS token_text, symbol, hex_text(sender) AS sender_text,
       hex_text(recipient) AS recipient_text, token_id, value, whole_units(value, decimals) AS amount, usd,
       token_verified, token, sender, recipient, tx_hash,
       (SELECT block_hash FROM blocks
        WHERE blocks.chain = moved.chain AND blocks.block_number = moved.block_number AND canonical) AS block_hash,
       tx_index, decimals, operator, tx_from, tx_to, method, watched
FROM token_transfers AS moved;

CREATE VIEW v_native_transfers AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, tx_index, hex_text(sender) AS sender_text,
       hex_text(recipient) AS recipient_text, value, symbol, amount, usd,
       CASE succeeded WHEN true THEN 'success' WHEN false THEN 'failed' ELSE 'unknown' END AS status,
       sender, recipient, tx_hash,
       (SELECT block_hash FROM blocks
        WHERE blocks.chain = paid.chain AND blocks.block_number = paid.block_number AND canonical) AS block_hash,
       method, watched
FROM native_transfers AS paid;

CREATE VIEW v_approvals AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, log_index,
       coalesce('erc' || erc::text, 'unknown') AS standard, hex_text(token) AS token_text, hex_text(owner) AS owner_text,
       hex_text(spender) AS spender_text, value, token_id, approved, token, owner, spender, tx_hash,
       (SELECT block_hash FROM blocks
        WHERE blocks.chain = given.chain AND blocks.block_number = given.block_number AND canonical) AS block_hash,
       tx_index, tx_from, watched
FROM approvals AS given;

CREATE VIEW v_swaps AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, log_index, protocol,
       hex_text(pool) AS pool_text, hex_text(pool_id) AS pool_id_text, hex_text(sender) AS sender_text,
       hex_text(recipient) AS recipient_text, hex_text(tx_from) AS tx_from_text, amount0, amount1, sqrt_price_x96,
       liquidity, tick, fee, pool, pool_id, tx_hash,
       (SELECT block_hash FROM blocks
        WHERE blocks.chain = traded.chain AND blocks.block_number = traded.block_number AND canonical) AS block_hash
FROM swaps AS traded;

CREATE VIEW v_events AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, log_index, abi, name,
       hex_text(address) AS address_text, fields, signature, address, tx_hash,
       (SELECT block_hash FROM blocks
        WHERE blocks.chain = emitted.chain AND blocks.block_number = emitted.block_number AND canonical) AS block_hash
FROM events AS emitted;

COMMENT ON VIEW v_token_transfers IS 'token_transfers, with addresses and hashes also as text, the standard by name and amounts in whole tokens.';
COMMENT ON VIEW v_native_transfers IS 'native_transfers, with addresses and hashes also as text.';
COMMENT ON VIEW v_approvals IS 'approvals, with addresses and hashes also as text, and the standard by name.';
COMMENT ON VIEW v_swaps IS 'swaps, with addresses and hashes also as text.';
COMMENT ON VIEW v_events IS 'events, with addresses and hashes also as text.';

-- Rollups: those of V11, made of the lean rows.
SELECT make_rollup('token_volume_hourly', 'token_transfers', INTERVAL '1 hour', 'block_time', $$
    SELECT <bucket> AS bucket, chain, token, 'erc' || erc::text AS standard, max(symbol) AS symbol, count(*) AS transfers,
           sum(value) AS value, sum(whole_units(value, decimals)) AS amount, sum(usd) AS usd
    FROM <source> GROUP BY 1, 2, 3, 4
$$);
SELECT make_rollup('token_volume_daily', 'token_volume_hourly', INTERVAL '1 day', 'bucket', $$
    SELECT <bucket> AS bucket, chain, token, standard, max(symbol) AS symbol, sum(transfers)::bigint AS transfers,
           sum(value) AS value, sum(amount) AS amount, sum(usd) AS usd
    FROM <source> GROUP BY 1, 2, 3, 4
$$);
COMMENT ON VIEW token_volume_hourly IS 'What moved of each token in each hour.';
COMMENT ON VIEW token_volume_daily IS 'What moved of each token on each day (UTC).';

DO $$
DECLARE
    flow record;
    hourly text;
    daily text;
BEGIN
    FOR flow IN SELECT * FROM (VALUES
        ('token', 'token_transfers', 'chain, token, ''erc'' || erc::text AS standard, sender, recipient',
         'chain, token, standard, sender, recipient', '1, 2, 3, 4, 5, 6', 'whole_units(value, decimals)'),
        ('native', 'native_transfers', 'chain, sender, recipient', 'chain, sender, recipient', '1, 2, 3, 4', 'amount'),
        ('internal', 'internal_transfers', 'chain, sender, recipient', 'chain, sender, recipient', '1, 2, 3, 4', 'amount'))
        AS flows (kind, source, keys, names, places, amount)
    LOOP
        hourly := format('watched_%s_flow_hourly', flow.kind);
        daily := format('watched_%s_flow_daily', flow.kind);
        PERFORM make_rollup(hourly::name, flow.source::name, INTERVAL '1 hour', 'block_time', format($query$
            SELECT <bucket> AS bucket, %s, max(symbol) AS symbol, count(*) AS transfers,
                   sum(value) AS value, sum(%s) AS amount, sum(usd) AS usd
            FROM <source> WHERE watched IS NOT NULL GROUP BY %s
        $query$, flow.keys, flow.amount, flow.places));
        PERFORM make_rollup(daily::name, hourly::name, INTERVAL '1 day', 'bucket', format($query$
            SELECT <bucket> AS bucket, %s, max(symbol) AS symbol, sum(transfers)::bigint AS transfers,
                   sum(value) AS value, sum(amount) AS amount, sum(usd) AS usd
            FROM <source> GROUP BY %s
        $query$, flow.names, flow.places));
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

-- Columns of rollups and views, as V14 explains those of tables.
DO $$
DECLARE
    missing record;
BEGIN
    FOR missing IN
        SELECT DISTINCT ON (relation.oid, attribute.attnum) relation.relname, attribute.attname, texts.explanation
        FROM (VALUES
            ('token_volume_%', 'value', 'Sum in the token''s smallest unit; of NFTs how many moved.'),
            ('token_volume_%', 'amount', 'Sum in whole tokens, of transfers whose token''s decimals were known.'),
            ('token_volume_%', 'usd', 'Sum in US dollars, of transfers with a known price.'),
            ('watched_%', 'value', 'Sum in the token''s smallest unit; of NFTs how many moved.'),
            ('watched_%', 'amount', 'Sum in whole tokens, of transfers whose token''s decimals were known.'),
            ('watched_%', 'usd', 'Sum in US dollars, of transfers with a known price.'),
            ('watched_flow_%', 'token', 'The token''s contract; NULL for native value.'),
            ('wallet_volume_%', 'token', 'The token''s contract; NULL for native value.'),
            ('wallet_volume_%', 'address', 'The watched address.'),
            ('wallet_volume_%', 'label', 'What people call it.'),
            ('base_fee_%', 'transactions', 'Number of transactions in these blocks.'),
            ('base_fee_%', 'gas_used', 'Gas that these blocks used.'),
            ('base_fee_%', 'gas_limit', 'Gas that these blocks had room for.'),
            ('%', 'bucket', 'Begin of the bucket (UTC).'),
            ('%', 'chain', 'Chain slug, such as ethereum.'),
            ('%', 'transactions', 'Number of transactions.'),
            ('%', 'gas_used', 'Gas that the block used.'),
            ('%', 'gas_limit', 'Gas that the block had room for.'),
            ('%', 'sender', 'Who sent it.'),
            ('%', 'recipient', 'Who received it.'),
            ('%', 'value', 'Amount in the smallest unit.'),
            ('%', 'symbol', 'The token''s symbol, where it is known. Anyone may choose any symbol.'),
            ('%', 'token', 'The token''s contract.'),
            ('%', 'standard', 'erc20, erc721 or erc1155.'),
            ('%', 'amount', 'Amount in whole tokens, exact, where the decimals are known.'),
            ('%', 'usd', 'Value in US dollars when it was seen, where a fresh price was known.'),
            ('%', 'address', 'The contract that emitted it.'),
            ('%', 'protocol', 'The form of the event: uniswap-v2, uniswap-v3, pancake-v3 or uniswap-v4.'),
            ('%', 'pool', 'The pool; for Uniswap V4 the contract of all pools.'),
            ('%', 'pool_id', 'Which pool, Uniswap V4 only.'),
            ('%', 'transfers', 'How many transfers.'),
            ('%', 'transfers_in', 'How many transfers it received.'),
            ('%', 'transfers_out', 'How many transfers it sent.'),
            ('%', 'value_in', 'Received, in the token''s smallest unit; of NFTs how many.'),
            ('%', 'value_out', 'Sent, in the token''s smallest unit; of NFTs how many.'),
            ('%', 'value_net', 'Received less sent, in the token''s smallest unit.'),
            ('%', 'amount_in', 'Received in whole tokens, of transfers whose token''s decimals were known.'),
            ('%', 'amount_out', 'Sent in whole tokens, of transfers whose token''s decimals were known.'),
            ('%', 'amount_net', 'Received less sent, in whole tokens.'),
            ('%', 'usd_in', 'Received in US dollars, of transfers with a known price.'),
            ('%', 'usd_out', 'Sent in US dollars, of transfers with a known price.'),
            ('%', 'usd_net', 'Received less sent, in US dollars.'),
            ('%', 'swaps', 'How many trades.'),
            ('%', 'volume0', 'Traded amount of the pool''s first token in its smallest unit, both directions.'),
            ('%', 'volume1', 'Traded amount of the pool''s second token in its smallest unit, both directions.'),
            ('%', 'net0', 'Change of the pool''s first token by these trades: above 0 paid in.'),
            ('%', 'net1', 'Change of the pool''s second token by these trades: above 0 paid in.'),
            ('%', 'blocks', 'How many blocks.'),
            ('%', 'p10', 'A tenth of the blocks had at most this base fee per gas, wei.'),
            ('%', 'p50', 'Half of the blocks had at most this base fee per gas, wei.'),
            ('%', 'p90', 'Nine tenths of the blocks had at most this base fee per gas, wei.'),
            ('v_%', 'block_hash', 'Hash of the canonical block at that chain and height; NULL for a moment until its marker is here.'),
            ('v_%', 'standard', 'The token standard: erc20, erc721 or erc1155; of approvals unknown for ApprovalForAll, which two share.'),
            ('v_%', 'amount', 'Amount in whole tokens, exact, where the decimals are known.'),
            ('v_%', 'status', 'success, failed, or unknown before Byzantium.')
        ) AS texts (relations, name, explanation)
        JOIN pg_attribute AS attribute ON attribute.attname = texts.name
        JOIN pg_class AS relation ON relation.oid = attribute.attrelid AND relation.relname LIKE texts.relations
        WHERE relation.relnamespace = quote_ident(current_schema())::regnamespace AND relation.relkind = 'v'
          AND (relation.relname LIKE 'v\_%' OR texts.relations NOT LIKE 'v\_%')
          AND (relation.relname NOT LIKE 'v\_%' OR texts.relations LIKE 'v\_%')
          AND col_description(relation.oid, attribute.attnum) IS NULL
        ORDER BY relation.oid, attribute.attnum, length(texts.relations) DESC
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', missing.relname, missing.attname, missing.explanation);
    END LOOP;

    -- Other columns of the views are those of their tables, some of them as text.
    FOR missing IN
        SELECT shown.relname, attribute.attname, col_description(original.oid, column_of.attnum) AS explanation
        FROM pg_class AS shown
        JOIN pg_class AS original
          ON original.relnamespace = shown.relnamespace AND shown.relname = 'v_' || original.relname
        JOIN pg_attribute AS attribute ON attribute.attrelid = shown.oid
        JOIN pg_attribute AS column_of ON column_of.attrelid = original.oid
          AND attribute.attname IN (column_of.attname, column_of.attname || '_text')
        WHERE shown.relnamespace = quote_ident(current_schema())::regnamespace
          AND col_description(shown.oid, attribute.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', missing.relname, missing.attname, missing.explanation);
    END LOOP;
END $$;
