-- The functions of V13 and V17, asked of the lean rows (V19), and two new ones for the last rows of an address or a token:
-- indexes know an address by three of its bytes and a time by its hour, and nobody should have to know that.

-- Every transfer of an address, of tokens and of native value, also inside contracts. One that it sends to itself is there
-- twice, in and out. The indexes of sender and recipient lead to the rows.
CREATE FUNCTION wallet_transfers(wallet bytea, since timestamptz, until timestamptz DEFAULT now())
RETURNS TABLE (
    block_time timestamptz, chain text, tx_hash bytea, direction text, counterparty bytea, token bytea, standard text,
    token_id numeric, symbol text, value numeric, amount numeric, usd numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT block_time, chain, tx_hash, 'in', sender, token, 'erc' || erc::text, token_id, symbol, value,
           whole_units(value, decimals), usd
    FROM token_transfers WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet
      AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
    UNION ALL
    SELECT block_time, chain, tx_hash, 'out', recipient, token, 'erc' || erc::text, token_id, symbol, value,
           whole_units(value, decimals), usd
    FROM token_transfers WHERE address_key(sender) = address_key(wallet) AND sender = wallet
      AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
    UNION ALL
    SELECT block_time, chain, tx_hash, 'in', sender, NULL::bytea, 'native', NULL::numeric, symbol, value, amount, usd
    FROM native_transfers WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet
      AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
    UNION ALL
    SELECT block_time, chain, tx_hash, 'out', recipient, NULL::bytea, 'native', NULL::numeric, symbol, value, amount, usd
    FROM native_transfers WHERE address_key(sender) = address_key(wallet) AND sender = wallet
      AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
    UNION ALL
    SELECT block_time, chain, tx_hash, 'in', sender, NULL::bytea, 'internal', NULL::numeric, symbol, value, amount, usd
    FROM internal_transfers WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet
      AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until
    UNION ALL
    SELECT block_time, chain, tx_hash, 'out', recipient, NULL::bytea, 'internal', NULL::numeric, symbol, value, amount, usd
    FROM internal_transfers WHERE address_key(sender) = address_key(wallet) AND sender = wallet
      AND hour_key(block_time) BETWEEN hour_key(since) AND hour_key(until) AND block_time BETWEEN since AND until;
END;

COMMENT ON FUNCTION wallet_transfers IS 'Every transfer of an address between two times, in and out.';

-- "The last transfers of this wallet?" Of each table and side as many as are asked for, from the newest hour on.
CREATE FUNCTION last_transfers(wallet bytea, most integer DEFAULT 100, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    block_time timestamptz, chain text, tx_hash bytea, direction text, counterparty bytea, token bytea, standard text,
    token_id numeric, symbol text, value numeric, amount numeric, usd numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM (
        (SELECT block_time, chain, tx_hash, 'in' AS direction, sender AS counterparty, token,
            'erc' || erc::text AS standard, token_id, symbol, value, whole_units(value, decimals) AS amount, usd
         FROM token_transfers WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet
           AND hour_key(block_time) <= hour_key(until) AND block_time <= until
         ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, 'out' AS direction, recipient AS counterparty, token,
            'erc' || erc::text AS standard, token_id, symbol, value, whole_units(value, decimals) AS amount, usd
         FROM token_transfers WHERE address_key(sender) = address_key(wallet) AND sender = wallet
           AND hour_key(block_time) <= hour_key(until) AND block_time <= until
         ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, 'in', sender, NULL::bytea, 'native', NULL::numeric, symbol, value, amount, usd
         FROM native_transfers WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet
           AND hour_key(block_time) <= hour_key(until) AND block_time <= until
         ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, 'out', recipient, NULL::bytea, 'native', NULL::numeric, symbol, value, amount, usd
         FROM native_transfers WHERE address_key(sender) = address_key(wallet) AND sender = wallet
           AND hour_key(block_time) <= hour_key(until) AND block_time <= until
         ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, 'in', sender, NULL::bytea, 'internal', NULL::numeric, symbol, value, amount, usd
         FROM internal_transfers WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet
           AND hour_key(block_time) <= hour_key(until) AND block_time <= until
         ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, 'out', recipient, NULL::bytea, 'internal', NULL::numeric, symbol, value, amount, usd
         FROM internal_transfers WHERE address_key(sender) = address_key(wallet) AND sender = wallet
           AND hour_key(block_time) <= hour_key(until) AND block_time <= until
         ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most)
    ) AS moved
    ORDER BY block_time DESC LIMIT most;
END;

COMMENT ON FUNCTION last_transfers IS 'The last transfers of an address up to a time, in and out, newest first.';

-- "What moved of this token last?"
CREATE FUNCTION last_of_token(contract bytea, most integer DEFAULT 100, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    block_time timestamptz, chain text, tx_hash bytea, sender bytea, recipient bytea, standard text, token_id numeric,
    symbol text, value numeric, amount numeric, usd numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT block_time, chain, tx_hash, sender, recipient, 'erc' || erc::text, token_id, symbol, value,
           whole_units(value, decimals), usd
    FROM token_transfers WHERE address_key(token) = address_key(contract) AND token = contract
      AND hour_key(block_time) <= hour_key(until) AND block_time <= until
    ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most;
END;

COMMENT ON FUNCTION last_of_token IS 'The last transfers of a token up to a time, newest first.';

-- "What did this address receive and send?" value_* are in the token's smallest unit (for NFTs: how many).
CREATE FUNCTION wallet_flow(wallet bytea, since timestamptz, until timestamptz DEFAULT now())
RETURNS TABLE (
    chain text, token bytea, symbol text, transfers_in bigint, transfers_out bigint,
    value_in numeric, value_out numeric, value_net numeric, amount_in numeric, amount_out numeric, amount_net numeric,
    usd_in numeric, usd_out numeric, usd_net numeric, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT chain, token, symbol, transfers_in, transfers_out,
           value_in, value_out, value_in - value_out, amount_in, amount_out, amount_in - amount_out,
           usd_in, usd_out, usd_in - usd_out, first_at, last_at
    FROM (
        SELECT chain, token, max(symbol) AS symbol,
               count(*) FILTER (WHERE direction = 'in') AS transfers_in,
               count(*) FILTER (WHERE direction = 'out') AS transfers_out,
               coalesce(sum(value) FILTER (WHERE direction = 'in'), 0) AS value_in,
               coalesce(sum(value) FILTER (WHERE direction = 'out'), 0) AS value_out,
               coalesce(sum(amount) FILTER (WHERE direction = 'in'), 0) AS amount_in,
               coalesce(sum(amount) FILTER (WHERE direction = 'out'), 0) AS amount_out,
               coalesce(sum(usd) FILTER (WHERE direction = 'in'), 0) AS usd_in,
               coalesce(sum(usd) FILTER (WHERE direction = 'out'), 0) AS usd_out,
               min(block_time) AS first_at, max(block_time) AS last_at
        FROM wallet_transfers(wallet, since, until) GROUP BY chain, token
    ) AS flow
    ORDER BY abs(usd_in) + abs(usd_out) DESC, transfers_in + transfers_out DESC, chain, token;
END;

COMMENT ON FUNCTION wallet_flow IS 'What an address received and sent between two times, by chain and token (NULL: the native one).';

-- "With whom does this address deal?"
CREATE FUNCTION counterparties(
    wallet bytea, since timestamptz, until timestamptz DEFAULT now(), most integer DEFAULT 50)
RETURNS TABLE (
    counterparty bytea, label text, transfers_in bigint, transfers_out bigint, usd_in numeric, usd_out numeric,
    tokens bigint, chains text[], first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT counterparty,
           (SELECT wallets.label FROM wallets WHERE wallets.address = counterparty AND wallets.label IS NOT NULL
            ORDER BY wallets.removed_at IS NOT NULL, wallets.chain = 'all' LIMIT 1) AS label,
           transfers_in, transfers_out, usd_in, usd_out, tokens, chains, first_at, last_at
    FROM (
        SELECT counterparty,
               count(*) FILTER (WHERE direction = 'in') AS transfers_in,
               count(*) FILTER (WHERE direction = 'out') AS transfers_out,
               coalesce(sum(usd) FILTER (WHERE direction = 'in'), 0) AS usd_in,
               coalesce(sum(usd) FILTER (WHERE direction = 'out'), 0) AS usd_out,
               count(DISTINCT (chain, token)) AS tokens, array_agg(DISTINCT chain) AS chains,
               min(block_time) AS first_at, max(block_time) AS last_at
        FROM wallet_transfers(wallet, since, until) GROUP BY counterparty
        ORDER BY count(*) DESC, counterparty LIMIT most
    ) AS dealt
    ORDER BY transfers_in + transfers_out DESC, counterparty;
END;

COMMENT ON FUNCTION counterparties IS 'With whom an address dealt between two times, those first with whom most often.';

-- "The largest transfers." Large ones are a few percent of the rows and have an index that begins with the dollars: from
-- its top down, few entries are of another time. Only where there are not enough of them the rest of the range is read.
CREATE FUNCTION largest_transfers(
    since timestamptz, until timestamptz DEFAULT now(), most integer DEFAULT 50, chains text[] DEFAULT NULL)
RETURNS TABLE (
    block_time timestamptz, chain text, tx_hash bytea, token bytea, standard text, symbol text, amount numeric, usd numeric,
    sender bytea, recipient bytea, watched text[])
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH large AS MATERIALIZED (
        (SELECT block_time, chain, tx_hash, token, 'erc' || erc::text AS standard, symbol,
                whole_units(value, decimals) AS amount, usd, sender, recipient, watched
         FROM token_transfers
         WHERE usd >= 10000 AND token_verified AND block_time BETWEEN since AND until
           AND (chains IS NULL OR chain = ANY (chains))
         ORDER BY usd DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, NULL::bytea, 'native', symbol, amount, usd, sender, recipient, watched
         FROM native_transfers
         WHERE usd >= 10000 AND block_time BETWEEN since AND until AND (chains IS NULL OR chain = ANY (chains))
         ORDER BY usd DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, NULL::bytea, 'internal', symbol, amount, usd, sender, recipient, watched
         FROM internal_transfers
         WHERE usd >= 10000 AND block_time BETWEEN since AND until AND (chains IS NULL OR chain = ANY (chains))
         ORDER BY usd DESC LIMIT most)
    ), enough AS (
        SELECT count(*) >= most AS is_enough FROM large
    )
    SELECT * FROM (
        SELECT * FROM large
        UNION ALL
        (SELECT block_time, chain, tx_hash, token, 'erc' || erc::text AS standard, symbol,
                whole_units(value, decimals) AS amount, usd, sender, recipient, watched
         FROM token_transfers
         WHERE NOT (SELECT is_enough FROM enough) AND usd < 10000 AND token_verified
           AND block_time BETWEEN since AND until AND (chains IS NULL OR chain = ANY (chains))
         ORDER BY usd DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, NULL::bytea, 'native', symbol, amount, usd, sender, recipient, watched
         FROM native_transfers
         WHERE NOT (SELECT is_enough FROM enough) AND usd < 10000
           AND block_time BETWEEN since AND until AND (chains IS NULL OR chain = ANY (chains))
         ORDER BY usd DESC LIMIT most)
        UNION ALL
        (SELECT block_time, chain, tx_hash, NULL::bytea, 'internal', symbol, amount, usd, sender, recipient, watched
         FROM internal_transfers
         WHERE NOT (SELECT is_enough FROM enough) AND usd < 10000
           AND block_time BETWEEN since AND until AND (chains IS NULL OR chain = ANY (chains))
         ORDER BY usd DESC LIMIT most)
    ) AS found
    ORDER BY usd DESC, block_time DESC LIMIT most;
END;

COMMENT ON FUNCTION largest_transfers IS 'The largest transfers by US dollars between two times, of tokens on the asset list and of native value.';

-- "What is busier than usual?" The last sixty minutes against the mean of the 24 full hours before them; an hour without
-- transfers counts as nothing. Providers say volume for 24 hours at a time: of assets it is their last hour's mean
-- of that against the mean of a day.
-- Where the rollup is kept, the day comes from it; else from the rows, without a step by hours between.
DO $make$
DECLARE
    moved constant text := CASE server_edition()
        WHEN 'community' THEN 'SELECT bucket, chain, token, transfers, value, amount, usd FROM token_volume_hourly'
        ELSE 'SELECT block_time AS bucket, chain, token, 1 AS transfers, value, whole_units(value, decimals) AS amount, usd FROM token_transfers'
    END;
BEGIN
    EXECUTE format($function$
CREATE FUNCTION volume_against_baseline(at timestamptz DEFAULT now())
RETURNS TABLE (
    what text, chain text, token bytea, name text, source text, transfers bigint, transfers_mean numeric,
    volume numeric, volume_mean numeric, usd numeric, usd_mean numeric, ratio numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH hour AS (
        SELECT chain, token, max(symbol) AS symbol, count(*) AS transfers, sum(value) AS value,
               sum(whole_units(value, decimals)) AS amount, sum(usd) AS usd
        FROM token_transfers WHERE block_time > at - INTERVAL '1 hour' AND block_time <= at GROUP BY chain, token
    ), day AS (
        SELECT chain, token, sum(transfers) AS transfers, sum(value) AS value, sum(amount) AS amount, sum(usd) AS usd
        FROM (%s) AS moved
        WHERE bucket >= date_trunc('hour', at - INTERVAL '1 hour', 'UTC') - INTERVAL '24 hours'
          AND bucket < date_trunc('hour', at - INTERVAL '1 hour', 'UTC')
        GROUP BY chain, token
    ), tick AS (
        SELECT asset, quote, source, avg(volume_24h) FILTER (WHERE event_at > at - INTERVAL '1 hour') AS volume,
               avg(volume_24h) AS mean
        FROM market_ticks
        WHERE event_at > at - INTERVAL '24 hours' AND event_at <= at AND volume_24h IS NOT NULL
        GROUP BY asset, quote, source
    )
    SELECT 'token', hour.chain, hour.token, hour.symbol, NULL::text, hour.transfers, round(day.transfers / 24.0, 2),
           volume.last, round(volume.day / 24.0, 6), hour.usd, round(day.usd / 24.0, 2),
           round(24.0 * volume.last / nullif(volume.day, 0), 3)
    FROM hour LEFT JOIN day ON day.chain = hour.chain AND day.token = hour.token
    -- Whole tokens, unless the decimals were unknown at either time.
    CROSS JOIN LATERAL (SELECT
        CASE WHEN hour.amount IS NULL OR day.amount IS NULL AND day.value IS NOT NULL THEN hour.value ELSE hour.amount END,
        CASE WHEN hour.amount IS NULL OR day.amount IS NULL THEN day.value ELSE day.amount END) AS volume (last, day)
    UNION ALL
    SELECT 'asset', NULL::text, NULL::bytea, asset || '/' || quote, source, NULL::bigint, NULL::numeric,
           round(volume, 6), round(mean, 6), NULL::numeric, NULL::numeric, round(volume / nullif(mean, 0), 3)
    FROM tick WHERE volume IS NOT NULL;
END;
    $function$, moved);
END $make$;

COMMENT ON FUNCTION volume_against_baseline IS 'Volume of the last hour by token, and of assets by provider, against its mean of 24 hours (ratio).';

-- Every entry of the watch-list with the hours in which it was first and last party to a transfer, or the token of one,
-- between two times; NULL where it was in none. Rows of a block that left the chain are gone, and their sight with them.
CREATE FUNCTION wallets_seen(since timestamptz, until timestamptz DEFAULT now())
RETURNS TABLE (
    chain text, address bytea, label text, kind text, first_seen timestamptz, last_seen timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH moved AS (
        SELECT DISTINCT bucket, chain, token, sender, recipient FROM watched_flow_hourly
        WHERE bucket > since - INTERVAL '1 hour' AND bucket <= until
    ), seen AS (
        SELECT moved.chain, named.address, min(bucket) AS first_seen, max(bucket) AS last_seen
        FROM moved CROSS JOIN LATERAL (VALUES (sender), (recipient), (token)) AS named (address)
        GROUP BY moved.chain, named.address
    )
    SELECT wallets.chain, wallets.address, wallets.label, wallets.kind, min(seen.first_seen), max(seen.last_seen)
    FROM wallets LEFT JOIN seen ON seen.address = wallets.address AND wallets.chain IN (seen.chain, 'all')
    WHERE wallets.removed_at IS NULL
    GROUP BY wallets.chain, wallets.address, wallets.label, wallets.kind;
END;

COMMENT ON FUNCTION wallets_seen IS 'Watched addresses with the hours of their first and last labelled transfer between two times. wallet_flow answers for one address to the second, also from before it was watched.';
