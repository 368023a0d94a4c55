-- What wallets gained and lost, and what they were worth at the end of each day.

-- "What came to this wallet and what left it?" Fungible assets only, fees included, oldest first. What moved inside one block is in
-- the order of its transactions; what came before what left, where one transaction did both. The wallet's own side of a
-- transfer to itself is left out: nothing changed.
CREATE FUNCTION wallet_ledger(wallet bytea, since timestamptz, until timestamptz DEFAULT now())
RETURNS TABLE (
    block_time timestamptz, block_number bigint, chain text, token bytea, entry text, counterparty bytea, value numeric,
    usd numeric, decimals smallint, symbol text, token_verified boolean, tx_hash bytea)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT leg.block_time, leg.block_number, leg.chain, leg.token, leg.entry, leg.counterparty, leg.value, leg.usd,
           leg.decimals, leg.symbol, leg.token_verified, leg.tx_hash
    FROM (
        SELECT block_time, block_number, chain, token, 'in' AS entry, sender AS counterparty, value, usd, decimals, symbol,
               token_verified, tx_hash, tx_index
        FROM token_transfers
        WHERE erc = 20 AND address_key(recipient) = address_key(wallet) AND recipient = wallet AND sender <> wallet
          AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
        UNION ALL
        SELECT block_time, block_number, chain, token, 'out', recipient, value, usd, decimals, symbol, token_verified,
               tx_hash, tx_index
        FROM token_transfers
        WHERE erc = 20 AND address_key(sender) = address_key(wallet) AND sender = wallet AND recipient <> wallet
          AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
        UNION ALL
        SELECT block_time, block_number, chain, '\x0000000000000000000000000000000000000000', 'in', sender, value, usd,
               NULL::smallint, symbol, true, tx_hash, tx_index
        FROM native_transfers
        WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet AND sender <> wallet
          AND succeeded IS NOT FALSE AND value > 0
          AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
        UNION ALL
        SELECT block_time, block_number, chain, '\x0000000000000000000000000000000000000000', 'out', recipient, value, usd,
               NULL::smallint, symbol, true, tx_hash, tx_index
        FROM native_transfers
        WHERE address_key(sender) = address_key(wallet) AND sender = wallet AND recipient <> wallet
          AND succeeded IS NOT FALSE AND value > 0
          AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
        UNION ALL
        SELECT block_time, block_number, chain, '\x0000000000000000000000000000000000000000', 'in', sender, value, usd,
               NULL::smallint, symbol, true, tx_hash, tx_index
        FROM internal_transfers
        WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet AND sender <> wallet
          AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
        UNION ALL
        SELECT block_time, block_number, chain, '\x0000000000000000000000000000000000000000', 'out', recipient, value, usd,
               NULL::smallint, symbol, true, tx_hash, tx_index
        FROM internal_transfers
        WHERE address_key(sender) = address_key(wallet) AND sender = wallet AND recipient <> wallet
          AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
        UNION ALL
        SELECT block_time, block_number, chain, '\x0000000000000000000000000000000000000000', 'fee', NULL, fee, fee_usd,
               decimals, symbol, true, tx_hash, tx_index
        FROM transactions
        WHERE address_key(sender) = address_key(wallet) AND sender = wallet AND fee > 0
          AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
    ) AS leg
    ORDER BY leg.block_time, leg.block_number, leg.tx_index, leg.entry = 'in' DESC, leg.token, leg.value;
END;

COMMENT ON FUNCTION wallet_ledger IS 'What came to a wallet, what left it and what it paid in fees, of coins and ERC-20 tokens, oldest first; the token of the chain''s own currency is twenty zero bytes.';

-- "What was this asset worth then?" Of each source the newest price within a day before; of those within an hour of the newest one
-- the middle. Prices in the large dollar stablecoins count as dollars, as they do for transfers.
CREATE FUNCTION prices_then(of_asset text, times timestamptz[])
RETURNS TABLE (at timestamptz, price numeric, priced_at timestamptz, sources bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    -- The key begins with asset, quote and source: one look for each source, and one for each source and time.
    WITH RECURSIVE feed AS (
        (SELECT first.quote, first.source FROM market_ticks AS first WHERE first.asset = of_asset
         ORDER BY first.quote, first.source LIMIT 1)
        UNION ALL
        SELECT following.quote, following.source
        FROM feed CROSS JOIN LATERAL (
            SELECT other.quote, other.source FROM market_ticks AS other
            WHERE other.asset = of_asset AND (other.quote, other.source) > (feed.quote, feed.source)
            ORDER BY other.quote, other.source LIMIT 1) AS following
    ), dollar_feed AS MATERIALIZED (
        SELECT quote, source FROM feed WHERE quote IN ('usd', 'usdt', 'usdc')
    )
    SELECT asked.at, agreed.price, agreed.priced_at, agreed.sources
    FROM unnest(times) AS asked (at) CROSS JOIN LATERAL (
        SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY fresh.price) AS price, max(fresh.event_at) AS priced_at,
               count(*) AS sources
        FROM (
            SELECT said.price, said.event_at, max(said.event_at) OVER () AS newest_at
            FROM dollar_feed CROSS JOIN LATERAL (
                SELECT tick.price, tick.event_at FROM market_ticks AS tick
                WHERE tick.asset = of_asset AND tick.quote = dollar_feed.quote AND tick.source = dollar_feed.source
                  AND tick.event_at > asked.at - INTERVAL '1 day' AND tick.event_at <= asked.at
                ORDER BY tick.event_at DESC LIMIT 1) AS said
        ) AS fresh
        WHERE fresh.event_at > fresh.newest_at - INTERVAL '1 hour'
        HAVING count(*) > 0
    ) AS agreed;
END;

COMMENT ON FUNCTION prices_then IS 'What an asset was worth in dollars at each of some times, by the sources that said it within a day before.';

-- What wallets were worth at the end of each day in which they were read: the last reading of each asset, with the price of then.
SELECT make_rollup('balances_daily', 'balances_hourly', INTERVAL '1 day', 'bucket', $$
    SELECT <bucket> AS bucket, chain, address, token, max(symbol) AS symbol, max(decimals) AS decimals,
           <last:raw> AS raw, <last:usd> AS usd, min(lowest) AS lowest, max(highest) AS highest,
           sum(readings)::bigint AS readings
    FROM <source> GROUP BY 1, 2, 3, 4
$$);

COMMENT ON VIEW balances_daily IS 'What each watched wallet held of each asset at the last reading of each day (UTC).';
COMMENT ON COLUMN balances_daily.bucket IS 'Begin of the day (UTC).';
COMMENT ON COLUMN balances_daily.raw IS 'The last balance of the day, in the asset''s smallest unit.';
COMMENT ON COLUMN balances_daily.usd IS 'The last balance in US dollars, as it was read.';
COMMENT ON COLUMN balances_daily.lowest IS 'The lowest balance that was read in the day.';
COMMENT ON COLUMN balances_daily.highest IS 'The highest balance that was read in the day.';
COMMENT ON COLUMN balances_daily.readings IS 'How many times it was read.';

CREATE VIEW portfolio_daily AS
SELECT held.bucket, held.chain, held.address, wallet.label, sum(held.usd) AS usd, count(held.usd) AS priced,
       count(*) FILTER (WHERE held.usd IS NULL) AS unpriced
FROM balances_daily AS held LEFT JOIN (
    SELECT address, min(label) AS label FROM wallets WHERE removed_at IS NULL GROUP BY address
) AS wallet ON wallet.address = held.address
WHERE held.raw <> 0
GROUP BY held.bucket, held.chain, held.address, wallet.label;

COMMENT ON VIEW portfolio_daily IS 'What each watched wallet was worth on each chain at the end of each day (UTC).';
COMMENT ON COLUMN portfolio_daily.label IS 'What people call the wallet.';
COMMENT ON COLUMN portfolio_daily.usd IS 'Sum in US dollars of what had a price.';
COMMENT ON COLUMN portfolio_daily.priced IS 'Number of assets with a price.';
COMMENT ON COLUMN portfolio_daily.unpriced IS 'Number of assets without one: they are not in the sum.';

-- Columns that are those of the hourly balances.
DO $$
DECLARE
    missing record;
BEGIN
    FOR missing IN
        SELECT shown.relname, attribute.attname, col_description(original.oid, column_of.attnum) AS explanation
        FROM pg_class AS shown
        JOIN pg_class AS original ON original.relnamespace = shown.relnamespace AND original.relname = 'balances_hourly'
        JOIN pg_attribute AS attribute ON attribute.attrelid = shown.oid
        JOIN pg_attribute AS column_of ON column_of.attrelid = original.oid AND column_of.attname = attribute.attname
        WHERE shown.relnamespace = quote_ident(current_schema())::regnamespace
          AND shown.relname IN ('balances_daily', 'portfolio_daily')
          AND col_description(shown.oid, attribute.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', missing.relname, missing.attname, missing.explanation);
    END LOOP;
END $$;
COMMENT ON COLUMN portfolio_daily.bucket IS 'Begin of the day (UTC).';
