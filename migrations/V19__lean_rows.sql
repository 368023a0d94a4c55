-- Rows of chain events in a leaner form: 350 bytes with their indexes where they took 510 (ADR 14). The decisions of V2 hold,
-- but for these:
--
-- * What the block says, its row in `blocks` says: hash, chain id, when it was first seen. A row names its block by chain,
--   height and `block_tag`, four bytes of the hash: enough to tell apart two blocks of one height, whose rows may both be here
--   for a moment before a marker says which block is canonical.
-- * The key begins with the block's time, so that it grows at its end, with pages that stay full, and finds rows by time.
-- * What follows from other columns is in views: the standard as text, amounts of tokens in whole units.
-- * An address is looked up by three of its bytes and the hour. Such an entry takes 16 bytes instead of 40, and those of one
--   address and hour share one entry. Which row it is for is compared in the row itself.

-- Old rows cannot be changed in place while they are read and written.
DO $$
DECLARE
    filled name;
    is_filled boolean;
BEGIN
    FOREACH filled IN ARRAY ARRAY['token_transfers', 'native_transfers', 'internal_transfers', 'approvals', 'contracts',
                                  'swaps', 'liquidity', 'events', 'logs', 'block_gas'] LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', filled) INTO is_filled;
        IF is_filled THEN
            RAISE EXCEPTION 'table % has rows in the form of an earlier version', filled USING DETAIL =
                'run crypto-intel replay --into-schema next --swap, which stores all rows anew beside these while everything '
                'goes on, then start this version';
        END IF;
    END LOOP;
END $$;

-- Columns of the same name keep their explanation.
CREATE TEMP TABLE explained ON COMMIT DROP AS
SELECT relname, attname, description
FROM pg_description JOIN pg_class ON pg_class.oid = objoid AND classoid = 'pg_class'::regclass
LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND objsubid > 0
WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = 'r';

-- Whatever is made of the tables, from the top down.
DROP FUNCTION volume_against_baseline, largest_transfers, counterparties, wallet_flow, wallet_transfers, wallets_seen;
DROP VIEW wallet_volume_hourly, wallet_volume_daily, watched_flow_hourly, watched_flow_daily,
          v_token_transfers, v_native_transfers, v_swaps, v_events;
DO $$
DECLARE
    rollup text;
BEGIN
    FOREACH rollup IN ARRAY ARRAY['token_volume', 'watched_token_flow', 'watched_native_flow', 'watched_internal_flow',
                                  'pool_volume', 'base_fee'] LOOP
        EXECUTE format('DROP %s %I', CASE server_edition() WHEN 'community' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
            rollup || '_daily');
        EXECUTE format('DROP %s %I', CASE server_edition() WHEN 'community' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
            rollup || '_hourly');
    END LOOP;
END $$;
DO $$
DECLARE
    earlier name;
BEGIN
    FOREACH earlier IN ARRAY ARRAY['token_transfers', 'native_transfers', 'internal_transfers', 'approvals', 'contracts',
                                   'swaps', 'liquidity', 'events', 'logs', 'block_gas'] LOOP
        -- `crypto-intel migrate` writes it again, for the new table.
        DELETE FROM storage_retention WHERE target = quote_ident(earlier)::regclass;
        -- Hypertables go one at a time.
        EXECUTE format('DROP TABLE %I', earlier);
    END LOOP;
END $$;

CREATE FUNCTION block_tag(block_hash bytea) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (get_byte(block_hash, 28) << 24) | (get_byte(block_hash, 29) << 16) | (get_byte(block_hash, 30) << 8)
    | get_byte(block_hash, 31);

COMMENT ON FUNCTION block_tag IS 'Four bytes of a block''s hash: with chain and height they name the block in the tables of its events.';

-- Bytes from the middle: those at both ends are chosen, by people who search for an address that begins or ends as they want.
CREATE FUNCTION address_key(address bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN substr(address, 9, 3);

COMMENT ON FUNCTION address_key IS 'Three bytes of an address or pool id, by which indexes find it: WHERE address_key(sender) = address_key(x) AND sender = x.';

CREATE FUNCTION hour_key(at timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN isfinite(at) THEN floor(date_part('epoch', at - timestamptz '2000-01-01 00:00:00+00') / 3600)::integer
    WHEN at > timestamptz '2000-01-01 00:00:00+00' THEN 2147483647 ELSE -2147483648 END;

COMMENT ON FUNCTION hour_key IS 'Hours since 2000, by which indexes order the rows of an address: ORDER BY hour_key(block_time) DESC, block_time DESC.';

CREATE FUNCTION whole_units(value numeric, decimals smallint) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN trim_scale(CASE decimals
    WHEN 18 THEN value * 0.000000000000000001
    WHEN 6 THEN value * 0.000001
    ELSE value * ('1e-' || decimals::text)::numeric END);

COMMENT ON FUNCTION whole_units IS 'An amount of the smallest unit in whole tokens, exact; NULL where the decimals are unknown.';

CREATE TABLE token_transfers (
    block_time      timestamptz NOT NULL,
    block_number    bigint NOT NULL,
    block_tag       integer NOT NULL,
    log_index       integer NOT NULL,
    sub_index       integer NOT NULL,
    tx_index        integer NOT NULL,
    erc             smallint NOT NULL,
    decimals        smallint,
    token_verified  boolean NOT NULL,
    chain           text NOT NULL,
    tx_hash         bytea NOT NULL,
    token           bytea NOT NULL,
    sender          bytea NOT NULL,
    recipient       bytea NOT NULL,
    operator        bytea,
    token_id        numeric(78, 0),
    value           numeric(78, 0) NOT NULL,
    symbol          text,
    usd             numeric,
    tx_from         bytea,
    tx_to           bytea,
    method          bytea,
    watched         text[],
    PRIMARY KEY (block_time, block_number, block_tag, log_index, sub_index, chain) WITH (fillfactor = 100)
);

-- "What moved of this token?" and "what did this wallet send and receive, newest first?"
CREATE INDEX token_transfers_token ON token_transfers (address_key(token), hour_key(block_time));
CREATE INDEX token_transfers_sender ON token_transfers (address_key(sender), hour_key(block_time));
CREATE INDEX token_transfers_recipient ON token_transfers (address_key(recipient), hour_key(block_time));
-- "The largest transfers" (V13).
CREATE INDEX token_transfers_large ON token_transfers (usd DESC, block_time) WHERE usd >= 10000 AND token_verified;

COMMENT ON COLUMN token_transfers.erc IS 'The standard''s number: 20, 721 or 1155.';

CREATE TABLE native_transfers (
    block_time    timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    block_tag     integer NOT NULL,
    tx_index      integer NOT NULL,
    succeeded     boolean,
    chain         text NOT NULL,
    tx_hash       bytea NOT NULL,
    sender        bytea NOT NULL,
    recipient     bytea NOT NULL,
    value         numeric(78, 0) NOT NULL,
    symbol        text,
    amount        numeric,
    usd           numeric,
    method        bytea,
    watched       text[],
    PRIMARY KEY (block_time, block_number, block_tag, tx_index, chain) WITH (fillfactor = 100)
);

-- "What did this wallet pay and receive, newest first?" and "the largest transfers".
CREATE INDEX native_transfers_sender ON native_transfers (address_key(sender), hour_key(block_time));
CREATE INDEX native_transfers_recipient ON native_transfers (address_key(recipient), hour_key(block_time));
CREATE INDEX native_transfers_large ON native_transfers (usd DESC, block_time) WHERE usd >= 10000;

COMMENT ON COLUMN native_transfers.succeeded IS 'Whether the transaction took effect; NULL before Byzantium, when receipts did not say.';

CREATE TABLE internal_transfers (
    block_time     timestamptz NOT NULL,
    block_number   bigint NOT NULL,
    block_tag      integer NOT NULL,
    tx_index       integer NOT NULL,
    sub_index      integer NOT NULL,
    chain          text NOT NULL,
    tx_hash        bytea NOT NULL,
    sender         bytea NOT NULL,
    recipient      bytea NOT NULL,
    value          numeric(78, 0) NOT NULL,
    call_type      text NOT NULL,
    trace_address  text NOT NULL,
    symbol         text,
    amount         numeric,
    usd            numeric,
    tx_from        bytea,
    tx_to          bytea,
    method         bytea,
    watched        text[],
    PRIMARY KEY (block_time, block_number, block_tag, tx_index, sub_index, chain) WITH (fillfactor = 100)
);

-- "What did this wallet pay and receive through contracts, newest first?" and "the largest transfers".
CREATE INDEX internal_transfers_sender ON internal_transfers (address_key(sender), hour_key(block_time));
CREATE INDEX internal_transfers_recipient ON internal_transfers (address_key(recipient), hour_key(block_time));
CREATE INDEX internal_transfers_large ON internal_transfers (usd DESC, block_time) WHERE usd >= 10000;

CREATE TABLE approvals (
    block_time    timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    block_tag     integer NOT NULL,
    log_index     integer NOT NULL,
    tx_index      integer NOT NULL,
    erc           smallint,
    approved      boolean,
    chain         text NOT NULL,
    tx_hash       bytea NOT NULL,
    token         bytea NOT NULL,
    owner         bytea NOT NULL,
    spender       bytea NOT NULL,
    value         numeric(78, 0),
    token_id      numeric(78, 0),
    tx_from       bytea,
    watched       text[],
    PRIMARY KEY (block_time, block_number, block_tag, log_index, chain) WITH (fillfactor = 100)
);

-- "Who may move this wallet's tokens?" and, when a contract is exploited, "who let it move theirs?"
CREATE INDEX approvals_owner ON approvals (address_key(owner), hour_key(block_time));
CREATE INDEX approvals_spender ON approvals (address_key(spender), hour_key(block_time));

COMMENT ON COLUMN approvals.erc IS 'The standard''s number, 20 or 721; NULL of ApprovalForAll, which ERC-721 and ERC-1155 share.';

CREATE TABLE contracts (
    block_time    timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    code_length   bigint NOT NULL,
    block_tag     integer NOT NULL,
    tx_index      integer NOT NULL,
    chain         text NOT NULL,
    tx_hash       bytea NOT NULL,
    contract      bytea NOT NULL,
    creator       bytea NOT NULL,
    status        text NOT NULL,
    watched       text[],
    PRIMARY KEY (block_time, block_number, block_tag, tx_index, chain) WITH (fillfactor = 100)
);

-- "Who made this contract, and when?" Few rows: the whole address is the key.
CREATE INDEX contracts_contract ON contracts (contract);

CREATE TABLE logs (
    block_time    timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    data_length   bigint,
    block_tag     integer NOT NULL,
    log_index     integer NOT NULL,
    tx_index      integer NOT NULL,
    truncated     boolean NOT NULL,
    chain         text NOT NULL,
    tx_hash       bytea NOT NULL,
    address       bytea NOT NULL,
    topic0        bytea,
    topic1        bytea,
    topic2        bytea,
    topic3        bytea,
    data          bytea NOT NULL,
    data_keccak   bytea,
    reason        text,
    tx_from       bytea,
    watched       text[],
    PRIMARY KEY (block_time, block_number, block_tag, log_index, chain) WITH (fillfactor = 100)
);

-- "What did this contract emit?"
CREATE INDEX logs_address ON logs (address_key(address), hour_key(block_time));

CREATE TABLE swaps (
    block_time      timestamptz NOT NULL,
    block_number    bigint NOT NULL,
    fee             bigint,
    block_tag       integer NOT NULL,
    log_index       integer NOT NULL,
    tx_index        integer NOT NULL,
    tick            integer,
    chain           text NOT NULL,
    tx_hash         bytea NOT NULL,
    protocol        text NOT NULL,
    pool            bytea NOT NULL,
    pool_id         bytea,
    sender          bytea NOT NULL,
    recipient       bytea,
    amount0         numeric(78, 0) NOT NULL,
    amount1         numeric(78, 0) NOT NULL,
    sqrt_price_x96  numeric(78, 0),
    liquidity       numeric(78, 0),
    protocol_fee0   numeric(78, 0),
    protocol_fee1   numeric(78, 0),
    tx_from         bytea,
    tx_to           bytea,
    method          bytea,
    watched         text[],
    PRIMARY KEY (block_time, block_number, block_tag, log_index, chain) WITH (fillfactor = 100)
);

-- "What was traded in this pool, newest first?" (a pool of Uniswap V4 by its id) and "what did this account trade?"
CREATE INDEX swaps_pool ON swaps (address_key(coalesce(pool_id, pool)), hour_key(block_time));
CREATE INDEX swaps_tx_from ON swaps (address_key(tx_from), hour_key(block_time));

CREATE TABLE liquidity (
    block_time       timestamptz NOT NULL,
    block_number     bigint NOT NULL,
    fee              bigint,
    block_tag        integer NOT NULL,
    log_index        integer NOT NULL,
    tx_index         integer NOT NULL,
    tick_spacing     integer,
    tick_lower       integer,
    tick_upper       integer,
    tick             integer,
    chain            text NOT NULL,
    tx_hash          bytea NOT NULL,
    protocol         text NOT NULL,
    action           text NOT NULL,
    address          bytea NOT NULL,
    pool             bytea,
    pool_id          bytea,
    token0           bytea,
    token1           bytea,
    sender           bytea,
    owner            bytea,
    recipient        bytea,
    amount0          numeric(78, 0),
    amount1          numeric(78, 0),
    liquidity_delta  numeric(78, 0),
    reserve0         numeric(78, 0),
    reserve1         numeric(78, 0),
    sqrt_price_x96   numeric(78, 0),
    hooks            bytea,
    tx_from          bytea,
    tx_to            bytea,
    method           bytea,
    watched          text[],
    PRIMARY KEY (block_time, block_number, block_tag, log_index, chain) WITH (fillfactor = 100)
);

-- "What happened to this pool?" (of creations address is the factory; a pool of Uniswap V4 by its id), and "which pools hold
-- this token?", of which there are few rows.
CREATE INDEX liquidity_address ON liquidity (address_key(coalesce(pool_id, address)), hour_key(block_time));
CREATE INDEX liquidity_token0 ON liquidity (token0, block_time DESC) WHERE token0 IS NOT NULL;
CREATE INDEX liquidity_token1 ON liquidity (token1, block_time DESC) WHERE token1 IS NOT NULL;

CREATE TABLE events (
    block_time    timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    block_tag     integer NOT NULL,
    log_index     integer NOT NULL,
    sub_index     integer NOT NULL,
    tx_index      integer NOT NULL,
    chain         text NOT NULL,
    tx_hash       bytea NOT NULL,
    address       bytea NOT NULL,
    abi           text NOT NULL,
    name          text NOT NULL,
    signature     text NOT NULL,
    fields        jsonb NOT NULL,
    tx_from       bytea,
    tx_to         bytea,
    method        bytea,
    watched       text[],
    PRIMARY KEY (block_time, block_number, block_tag, log_index, sub_index, chain) WITH (fillfactor = 100)
);

-- "What did this contract emit?" and "all events of this name, newest first".
CREATE INDEX events_address ON events (address_key(address), hour_key(block_time));
CREATE INDEX events_name ON events (abi, name, hour_key(block_time));

CREATE TABLE block_gas (
    block_time        timestamptz NOT NULL,
    block_number      bigint NOT NULL,
    block_tag         integer NOT NULL,
    transactions      integer NOT NULL,
    chain             text NOT NULL,
    gas_used          numeric(20, 0) NOT NULL,
    gas_limit         numeric(20, 0) NOT NULL,
    base_fee_per_gas  numeric(78, 0),
    PRIMARY KEY (block_time, block_number, block_tag, chain) WITH (fillfactor = 100)
);

-- Each chunk that a question touches is planned and probed: two years in chunks of a day take most of a second before a row is
-- found. Of lean rows only the indexes of addresses are written all over, 50 bytes a row: those of a week at Ethereum's rate are
-- 0.8 GB.
DO $$
DECLARE
    made record;
    explanation record;
BEGIN
    FOR made IN SELECT * FROM (VALUES
        ('token_transfers', INTERVAL '7 days', 'block_time DESC, log_index, sub_index'),
        ('native_transfers', INTERVAL '7 days', 'block_time DESC, tx_index'),
        ('internal_transfers', INTERVAL '7 days', 'block_time DESC, tx_index, sub_index'),
        ('approvals', INTERVAL '7 days', 'block_time DESC, log_index'),
        ('contracts', INTERVAL '30 days', 'block_time DESC, tx_index'),
        ('logs', INTERVAL '7 days', 'block_time DESC, log_index'),
        ('swaps', INTERVAL '7 days', 'block_time DESC, log_index'),
        ('liquidity', INTERVAL '7 days', 'block_time DESC, log_index'),
        ('events', INTERVAL '7 days', 'block_time DESC, log_index, sub_index'),
        ('block_gas', INTERVAL '7 days', 'block_time DESC')) AS lean (name, chunk, order_by)
    LOOP
        -- The key finds rows by time, so that a plain table needs no other index for it.
        IF NOT partition_by_time(made.name::regclass, 'block_time', made.chunk) THEN
            EXECUTE format('DROP INDEX %I', made.name || '_time_brin');
        END IF;
        PERFORM use_column_store(made.name::regclass, 'chain', made.order_by);
        IF made.name <> 'block_gas' THEN
            -- "What touched watched addresses, newest first?" (V9)
            EXECUTE format('CREATE INDEX %I ON %I (block_time DESC) WHERE watched IS NOT NULL',
                made.name || '_watched', made.name);
        END IF;
        EXECUTE format('COMMENT ON COLUMN %I.block_tag IS %L', made.name,
            'Four bytes of the block''s hash: block_tag(blocks.block_hash) of the block at this chain and height.');
        FOR explanation IN
            SELECT explained.* FROM explained
            LEFT JOIN pg_attribute ON attrelid = quote_ident(made.name)::regclass AND pg_attribute.attname = explained.attname
            WHERE relname = made.name AND (explained.attname IS NULL OR attnum > 0)
        LOOP
            IF explanation.attname IS NULL THEN
                EXECUTE format('COMMENT ON TABLE %I IS %L', made.name, explanation.description);
            ELSE
                EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', made.name, explanation.attname, explanation.description);
            END IF;
        END LOOP;
    END LOOP;
END $$;
