-- What chains and their endpoints are like, beside what happens on them: the gas of each block, reorganisations, and how
-- endpoints do. The decisions of V2 hold for the tables of blocks.

-- Fees over time are asked of many blocks at once, and their rollup must follow reorgs like every other. `blocks` can do
-- neither: it keeps every hash that was ever seen, and it cannot be partitioned. So the gas of a canonical block is a row
-- of its own, which comes with its marker and goes with its block.
CREATE TABLE block_gas (
    block_time        timestamptz NOT NULL,
    block_number      bigint NOT NULL,
    chain_id          bigint NOT NULL,
    transactions      integer NOT NULL,
    chain             text NOT NULL,
    block_hash        bytea NOT NULL,
    gas_used          numeric(20, 0) NOT NULL,
    gas_limit         numeric(20, 0) NOT NULL,
    base_fee_per_gas  numeric(78, 0),
    PRIMARY KEY (chain, block_hash, block_time)
);
-- Even a chain of four blocks a second has no more than some 50 MB in a week.
SELECT partition_by_time('block_gas', 'block_time', INTERVAL '7 days');

-- Canonical blocks that are here already, in the order in which they would have come.
INSERT INTO block_gas (
    block_time, block_number, chain_id, transactions, chain, block_hash, gas_used, gas_limit, base_fee_per_gas)
SELECT block_time, block_number, chain_id, transactions, chain, block_hash, gas_used, gas_limit, base_fee_per_gas
FROM blocks WHERE canonical ORDER BY block_time;

COMMENT ON TABLE block_gas IS 'Gas and base fee of each canonical block.';
COMMENT ON COLUMN block_gas.transactions IS 'Number of transactions in the block.';
COMMENT ON COLUMN block_gas.gas_used IS 'Gas that the block used.';
COMMENT ON COLUMN block_gas.gas_limit IS 'Gas that the block had room for.';
COMMENT ON COLUMN block_gas.base_fee_per_gas IS 'Base fee per gas in wei; NULL before London and on chains without one.';

-- Never retracted: that a chain was reorganised stays true when it is reorganised again. A block that comes back can be
-- the first new one a second time, hence the incarnation in the key.
CREATE TABLE reorgs (
    block_time       timestamptz NOT NULL,
    observed_at      timestamptz NOT NULL,
    block_number     bigint NOT NULL,
    chain_id         bigint NOT NULL,
    ancestor_number  bigint NOT NULL,
    incarnation      integer NOT NULL,
    depth            integer NOT NULL,
    chain            text NOT NULL,
    block_hash       bytea NOT NULL,
    ancestor_hash    bytea NOT NULL,
    dropped          bytea[] NOT NULL,
    PRIMARY KEY (chain, block_hash, incarnation, block_time)
);
SELECT partition_by_time('reorgs', 'block_time', INTERVAL '30 days');

COMMENT ON TABLE reorgs IS 'Times that the canonical chain changed. block_number and block_hash are those of the first new block.';
COMMENT ON COLUMN reorgs.depth IS 'How many blocks left.';
COMMENT ON COLUMN reorgs.ancestor_number IS 'Last block that both branches share.';
COMMENT ON COLUMN reorgs.ancestor_hash IS 'Hash of the last block that both branches share.';
COMMENT ON COLUMN reorgs.dropped IS 'Hashes of the blocks that left, newest first: the first one was at ancestor_number + depth.';
COMMENT ON COLUMN reorgs.incarnation IS 'Of the first new block: 1 when it was new, 3 when it came back, and so on.';

-- Two rows a minute per endpoint and producer, and one more for each change. The key answers "how did this endpoint do?".
CREATE TABLE node_status (
    event_at       timestamptz NOT NULL,
    observed_at    timestamptz NOT NULL,
    head           bigint,
    lag_blocks     bigint,
    latency_ms     bigint,
    error_percent  integer NOT NULL,
    connected      boolean NOT NULL,
    serving        boolean NOT NULL,
    chain          text NOT NULL,
    endpoint       text NOT NULL,
    instance       text NOT NULL,
    role           text NOT NULL,
    reason         text NOT NULL,
    breaker        text NOT NULL,
    error          text,
    PRIMARY KEY (chain, endpoint, instance, event_at)
);
SELECT partition_by_time('node_status', 'event_at', INTERVAL '1 day');

COMMENT ON TABLE node_status IS 'How the endpoints of chains do, as each producer sees them.';
COMMENT ON COLUMN node_status.endpoint IS 'Configured name of the endpoint, or its host.';
COMMENT ON COLUMN node_status.instance IS 'The producer that says so.';
COMMENT ON COLUMN node_status.role IS 'primary or fallback.';
COMMENT ON COLUMN node_status.connected IS 'Whether it is connected.';
COMMENT ON COLUMN node_status.serving IS 'Whether it is the one that is asked first.';
COMMENT ON COLUMN node_status.reason IS 'Why it serves or does not: serving, standby, fallback, slow, behind, errors, failed, resting or disconnected.';
COMMENT ON COLUMN node_status.head IS 'Its newest block; NULL while none is known.';
COMMENT ON COLUMN node_status.lag_blocks IS 'Blocks from its head up to the highest of all endpoints.';
COMMENT ON COLUMN node_status.latency_ms IS 'Mean time to an answer, milliseconds; NULL where it was not asked of late.';
COMMENT ON COLUMN node_status.error_percent IS 'Recent requests that failed, percent.';
COMMENT ON COLUMN node_status.breaker IS 'State of its circuit breaker: closed, open or half-open.';
COMMENT ON COLUMN node_status.error IS 'Why its connection was lost or refused last; NULL while it is connected.';

-- Old blocks go by time like everything else, and `blocks` is no hypertable: pages of a few kilobytes find them.
CREATE INDEX blocks_time_brin ON blocks USING brin (block_time);
