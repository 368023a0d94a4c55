-- Balances of watched wallets, as the chain itself said them at a block (ADR 19). A row stays when its block leaves the chain:
-- what was read on the new branch is another row, and questions leave out rows of blocks that are not canonical.
CREATE TABLE balances (
    block_time      timestamptz NOT NULL,
    observed_at     timestamptz NOT NULL,
    price_at        timestamptz,
    block_number    bigint NOT NULL,
    block_tag       integer NOT NULL,
    decimals        smallint,
    token_verified  boolean NOT NULL,
    chain           text NOT NULL,
    address         bytea NOT NULL,
    token           bytea NOT NULL,
    raw             numeric(78, 0),
    usd             numeric,
    symbol          text,
    reason          text NOT NULL,
    problem         text,
    watched         text[],
    -- Answers "what does it hold" and "this asset over time": the newest row of an asset is the last of its part of the key.
    PRIMARY KEY (address, token, chain, block_time, block_number, block_tag)
);
SELECT partition_by_time('balances', 'block_time', INTERVAL '30 days');
SELECT use_column_store('balances', 'address, token, chain', 'block_time DESC, block_number DESC, block_tag');

COMMENT ON TABLE balances IS 'What watched wallets held of each asset, as the chain said at a block: when an event touched it, and on schedule.';
COMMENT ON COLUMN balances.block_time IS 'The block''s own time.';
COMMENT ON COLUMN balances.observed_at IS 'When it was read.';
COMMENT ON COLUMN balances.price_at IS 'Time of the price that usd is by.';
COMMENT ON COLUMN balances.block_number IS 'Height of the block at whose end it was so.';
COMMENT ON COLUMN balances.block_tag IS 'Four bytes of the block''s hash: block_tag(blocks.block_hash) of the block at this chain and height.';
COMMENT ON COLUMN balances.decimals IS 'Decimals of the asset, where they are known: whole_units(raw, decimals).';
COMMENT ON COLUMN balances.token_verified IS 'Whether it is the chain''s own currency or on the list of known tokens.';
COMMENT ON COLUMN balances.chain IS 'Chain slug, such as ethereum.';
COMMENT ON COLUMN balances.address IS 'The watched wallet.';
COMMENT ON COLUMN balances.token IS 'Contract of the token; twenty zero bytes for the chain''s own currency.';
COMMENT ON COLUMN balances.raw IS 'The balance in the asset''s smallest unit; NULL where the token gave none.';
COMMENT ON COLUMN balances.usd IS 'The balance in US dollars when it was read, where a fresh price was known.';
COMMENT ON COLUMN balances.symbol IS 'Symbol of the asset, where it is known.';
COMMENT ON COLUMN balances.reason IS 'Why it was read: changed, scheduled or added.';
COMMENT ON COLUMN balances.problem IS 'Why there is no balance: reverted or not_a_number.';
COMMENT ON COLUMN balances.watched IS 'Labels of the wallet.';

-- Whether a reading is of a block of the chain as it is. Of a block whose marker is not here it is: old ones expire, and one
-- that was read ahead of the stream comes in a moment.
CREATE FUNCTION is_on_chain(of_chain text, number bigint, tag integer) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT NOT EXISTS (
        SELECT FROM blocks
        WHERE blocks.chain = of_chain AND blocks.block_number = number
          AND blocks.canonical <> (block_tag(blocks.block_hash) = tag));
END;

COMMENT ON FUNCTION is_on_chain IS 'Whether a block is not known to have left its chain, by height and tag.';

CREATE VIEW v_balances AS
SELECT chain, block_number, block_time, hex_text(address) AS address_text,
       CASE WHEN token = '\x0000000000000000000000000000000000000000' THEN 'native' ELSE hex_text(token) END AS asset,
       symbol, whole_units(raw, decimals) AS amount, usd, price_at, raw, decimals, token_verified, reason, problem,
       is_on_chain(chain, block_number, block_tag) AS canonical, observed_at, address, token, watched
FROM balances;

COMMENT ON VIEW v_balances IS 'balances, with addresses also as text and amounts in whole units.';
COMMENT ON COLUMN v_balances.asset IS 'native, or the contract of the token as text.';
COMMENT ON COLUMN v_balances.amount IS 'The balance in whole units, exact.';
COMMENT ON COLUMN v_balances.canonical IS 'Whether its block is not known to have left the chain.';

-- "What does this wallet hold?" The newest reading of each asset, found by the key: one look for each asset, whatever the
-- history is long.
CREATE FUNCTION wallet_balances(wallet bytea)
RETURNS TABLE (
    chain text, token bytea, symbol text, amount numeric, usd numeric, raw numeric, decimals smallint,
    token_verified boolean, problem text, reason text, block_number bigint, block_time timestamptz,
    observed_at timestamptz, price_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE held AS (
        (SELECT first.token, first.chain FROM balances AS first WHERE first.address = wallet
         ORDER BY first.token, first.chain LIMIT 1)
        UNION ALL
        SELECT following.token, following.chain
        FROM held CROSS JOIN LATERAL (
            SELECT other.token, other.chain FROM balances AS other
            WHERE other.address = wallet AND (other.token, other.chain) > (held.token, held.chain)
            ORDER BY other.token, other.chain LIMIT 1) AS following
    )
    SELECT held.chain, held.token, newest.symbol, whole_units(newest.raw, newest.decimals), newest.usd, newest.raw,
           newest.decimals, newest.token_verified, newest.problem, newest.reason, newest.block_number, newest.block_time,
           newest.observed_at, newest.price_at
    FROM held CROSS JOIN LATERAL (
        SELECT * FROM balances AS reading
        WHERE reading.address = wallet AND reading.token = held.token AND reading.chain = held.chain
          AND is_on_chain(reading.chain, reading.block_number, reading.block_tag)
        ORDER BY reading.block_time DESC, reading.block_number DESC LIMIT 1) AS newest;
END;

COMMENT ON FUNCTION wallet_balances IS 'The newest balance of each asset that a wallet was read for, at blocks of the chain as it is.';

CREATE VIEW wallet_holdings AS
SELECT held.chain, wallet.address, wallet.label, held.token, held.symbol, held.amount, held.usd, held.raw, held.decimals,
       held.token_verified, held.problem, held.reason, held.block_number, held.block_time, held.observed_at, held.price_at
FROM (
    -- An address that is watched on several chains comes once; what it is called on one of them names it everywhere.
    SELECT address, min(label) AS label FROM wallets WHERE removed_at IS NULL GROUP BY address
) AS wallet CROSS JOIN LATERAL wallet_balances(wallet.address) AS held
WHERE held.raw IS DISTINCT FROM 0;

COMMENT ON VIEW wallet_holdings IS 'What each watched wallet holds: the newest balance of each asset, without empty ones.';
COMMENT ON COLUMN wallet_holdings.label IS 'What people call the wallet.';
COMMENT ON COLUMN wallet_holdings.amount IS 'The balance in whole units, exact.';

-- What a wallet held at the end of each hour in which it was read. A reading of a block that left counts until the next one.
SELECT make_rollup('balances_hourly', 'balances', INTERVAL '1 hour', 'block_time', $$
    SELECT <bucket> AS bucket, chain, address, token, max(symbol) AS symbol, max(decimals) AS decimals,
           <last:raw> AS raw, <last:usd> AS usd, min(raw) AS lowest, max(raw) AS highest, count(*) AS readings
    FROM <source> WHERE raw IS NOT NULL GROUP BY 1, 2, 3, 4
$$);

COMMENT ON VIEW balances_hourly IS 'What each watched wallet held of each asset at the last reading of each hour.';
COMMENT ON COLUMN balances_hourly.bucket IS 'Begin of the hour (UTC).';
COMMENT ON COLUMN balances_hourly.raw IS 'The last balance of the hour, in the asset''s smallest unit.';
COMMENT ON COLUMN balances_hourly.usd IS 'The last balance in US dollars, as it was read.';
COMMENT ON COLUMN balances_hourly.lowest IS 'The lowest balance that was read in the hour.';
COMMENT ON COLUMN balances_hourly.highest IS 'The highest balance that was read in the hour.';
COMMENT ON COLUMN balances_hourly.readings IS 'How many times it was read.';

-- Columns that are those of the table (V20).
DO $$
DECLARE
    missing record;
BEGIN
    FOR missing IN
        SELECT shown.relname, attribute.attname, col_description(original.oid, column_of.attnum) AS explanation
        FROM pg_class AS shown
        JOIN pg_class AS original ON original.relnamespace = shown.relnamespace AND original.relname = 'balances'
        JOIN pg_attribute AS attribute ON attribute.attrelid = shown.oid
        JOIN pg_attribute AS column_of ON column_of.attrelid = original.oid
          AND attribute.attname IN (column_of.attname, column_of.attname || '_text')
        WHERE shown.relnamespace = quote_ident(current_schema())::regnamespace
          AND shown.relname IN ('v_balances', 'wallet_holdings', 'balances_hourly')
          AND col_description(shown.oid, attribute.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', missing.relname, missing.attname, missing.explanation);
    END LOOP;
END $$;
