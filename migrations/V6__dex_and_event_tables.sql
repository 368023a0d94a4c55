-- Trades and liquidity of DEX pools, decoded events of configured contracts, payments inside contracts. The decisions of
-- V2 hold here too.

CREATE TABLE swaps (
    block_time      timestamptz NOT NULL,
    observed_at     timestamptz NOT NULL,
    block_number    bigint NOT NULL,
    chain_id        bigint NOT NULL,
    fee             bigint,
    tx_index        integer NOT NULL,
    log_index       integer NOT NULL,
    tick            integer,
    chain           text NOT NULL,
    block_hash      bytea NOT NULL,
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
    PRIMARY KEY (chain, block_hash, log_index, block_time)
);
SELECT partition_by_time('swaps', 'block_time', INTERVAL '1 day');

-- "What was traded in this pool, newest first?" and "what did this account trade?"
CREATE INDEX swaps_pool ON swaps (pool, pool_id, block_time DESC);
CREATE INDEX swaps_tx_from ON swaps (tx_from, block_time DESC);

COMMENT ON TABLE swaps IS 'Trades as DEX pools say. Anyone may emit one: know your pools.';
COMMENT ON COLUMN swaps.protocol IS 'The form of the event: uniswap-v2 (also Sushi, Pancake V2 and other forks), uniswap-v3, pancake-v3, uniswap-v4.';
COMMENT ON COLUMN swaps.pool IS 'The pool; for Uniswap V4 the contract of all pools.';
COMMENT ON COLUMN swaps.pool_id IS 'Which pool, Uniswap V4 only.';
COMMENT ON COLUMN swaps.amount0 IS 'Change of the pool''s first token in its smallest unit: above 0 paid in, below 0 paid out.';
COMMENT ON COLUMN swaps.amount1 IS 'Change of the pool''s second token in its smallest unit: above 0 paid in, below 0 paid out.';
COMMENT ON COLUMN swaps.sqrt_price_x96 IS 'Square root of the price after the swap (second token per first), times 2^96.';
COMMENT ON COLUMN swaps.fee IS 'Fee in millionths, Uniswap V4 only.';

CREATE TABLE liquidity (
    block_time       timestamptz NOT NULL,
    observed_at      timestamptz NOT NULL,
    block_number     bigint NOT NULL,
    chain_id         bigint NOT NULL,
    fee              bigint,
    tx_index         integer NOT NULL,
    log_index        integer NOT NULL,
    tick_spacing     integer,
    tick_lower       integer,
    tick_upper       integer,
    tick             integer,
    chain            text NOT NULL,
    block_hash       bytea NOT NULL,
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
    PRIMARY KEY (chain, block_hash, log_index, block_time)
);
SELECT partition_by_time('liquidity', 'block_time', INTERVAL '1 day');

-- "What happened to this pool?" (of creations address is the factory), and "which pools hold this token?"
CREATE INDEX liquidity_address ON liquidity (address, pool_id, block_time DESC);
CREATE INDEX liquidity_token0 ON liquidity (token0, block_time DESC) WHERE token0 IS NOT NULL;
CREATE INDEX liquidity_token1 ON liquidity (token1, block_time DESC) WHERE token1 IS NOT NULL;

COMMENT ON TABLE liquidity IS 'Creation of DEX pools, mints, burns, collects, syncs, first prices and changes of positions.';
COMMENT ON COLUMN liquidity.action IS 'pool_created, initialize, mint, burn, collect, sync or modify.';
COMMENT ON COLUMN liquidity.address IS 'Who emitted it: the pool; of pool_created the factory; for Uniswap V4 the contract of all pools.';
COMMENT ON COLUMN liquidity.pool IS 'The new pool, of pool_created.';
COMMENT ON COLUMN liquidity.liquidity_delta IS 'Change of the liquidity: below 0 taken away.';
COMMENT ON COLUMN liquidity.fee IS 'The pool''s fee in millionths.';

CREATE TABLE events (
    block_time    timestamptz NOT NULL,
    observed_at   timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    chain_id      bigint NOT NULL,
    tx_index      integer NOT NULL,
    log_index     integer NOT NULL,
    sub_index     integer NOT NULL,
    chain         text NOT NULL,
    block_hash    bytea NOT NULL,
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
    PRIMARY KEY (chain, block_hash, log_index, sub_index, block_time)
);
SELECT partition_by_time('events', 'block_time', INTERVAL '1 day');

-- "What did this contract emit?" and "all events of this name, newest first".
CREATE INDEX events_address ON events (address, block_time DESC);
CREATE INDEX events_name ON events (abi, name, block_time DESC);

COMMENT ON TABLE events IS 'Events of built-in (weth, chainlink) and configured ABIs, decoded.';
COMMENT ON COLUMN events.fields IS 'Parameters by name. Numbers are decimal text: (fields->>''wad'')::numeric. Addresses and bytes are 0x text.';
COMMENT ON COLUMN events.sub_index IS 'Which of the ABIs that know the log, from 0.';

CREATE TABLE internal_transfers (
    block_time     timestamptz NOT NULL,
    observed_at    timestamptz NOT NULL,
    block_number   bigint NOT NULL,
    chain_id       bigint NOT NULL,
    tx_index       integer NOT NULL,
    sub_index      integer NOT NULL,
    chain          text NOT NULL,
    block_hash     bytea NOT NULL,
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
    PRIMARY KEY (chain, block_hash, tx_index, sub_index, block_time)
);
SELECT partition_by_time('internal_transfers', 'block_time', INTERVAL '1 day');

-- "What did this wallet pay and receive through contracts, newest first?"
CREATE INDEX internal_transfers_sender ON internal_transfers (sender, block_time DESC);
CREATE INDEX internal_transfers_recipient ON internal_transfers (recipient, block_time DESC);

COMMENT ON TABLE internal_transfers IS 'Native value moved inside contracts, where the chain is followed with traces.';
COMMENT ON COLUMN internal_transfers.sub_index IS 'Which of the transaction''s internal payments, in the order of its calls.';
COMMENT ON COLUMN internal_transfers.trace_address IS 'Place of the call in the transaction''s tree of calls, such as 2.1.';
COMMENT ON COLUMN internal_transfers.call_type IS 'call, create or selfdestruct.';

CREATE VIEW v_swaps AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, log_index, protocol,
       hex_text(pool) AS pool_text, hex_text(pool_id) AS pool_id_text, hex_text(sender) AS sender_text,
       hex_text(recipient) AS recipient_text, hex_text(tx_from) AS tx_from_text, amount0, amount1, sqrt_price_x96,
       liquidity, tick, fee, pool, pool_id, tx_hash, block_hash
FROM swaps;

CREATE VIEW v_events AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, log_index, abi, name,
       hex_text(address) AS address_text, fields, signature, address, tx_hash, block_hash
FROM events;
