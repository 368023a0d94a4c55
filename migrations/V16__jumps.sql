-- Ranges of blocks that were left to the history lane, so that the live ones were not delayed behind them. Alert rules never
-- saw their events. Like reorganisations these stay true whatever becomes of the block that they came with, and like there a
-- block can return.
CREATE TABLE jumps (
    block_time    timestamptz NOT NULL,
    observed_at   timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    chain_id      bigint NOT NULL,
    from_number   bigint NOT NULL,
    to_number     bigint NOT NULL,
    incarnation   integer NOT NULL,
    chain         text NOT NULL,
    block_hash    bytea NOT NULL,
    PRIMARY KEY (chain, block_hash, incarnation, block_time)
);
SELECT partition_by_time('jumps', 'block_time', INTERVAL '30 days');
SELECT use_column_store('jumps', 'chain', 'block_time DESC');

COMMENT ON TABLE jumps IS 'Times that a chain was too far behind to catch up in order: live blocks went on, and alert rules saw nothing of the range. Its events are stored once history has them. block_number and block_hash are those of the first block after it.';
COMMENT ON COLUMN jumps.block_time IS 'The block''s own time.';
COMMENT ON COLUMN jumps.observed_at IS 'When the pipeline first saw it.';
COMMENT ON COLUMN jumps.block_number IS 'Height of the first block after the range.';
COMMENT ON COLUMN jumps.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN jumps.from_number IS 'First block that was left out.';
COMMENT ON COLUMN jumps.to_number IS 'Last block that was left out.';
COMMENT ON COLUMN jumps.incarnation IS 'Of the first block after the range: 1 when it was new, 3 when it came back, and so on.';
COMMENT ON COLUMN jumps.chain IS 'Chain slug, such as ethereum.';
COMMENT ON COLUMN jumps.block_hash IS 'Hash of the first block after the range.';
