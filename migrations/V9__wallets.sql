-- Watched addresses as rows: what is in the bucket `watchlist`, and when each was first and last seen.
--
-- * persist follows the bucket. An address that leaves it keeps its row, so that its name stays beside old rows.
-- * First and last sight are block times. They move in the transaction of the rows, by least and greatest, so that twice
--   is once. A wallet that was added later, or whose block left the chain, is unsure: its sights are looked up in the
--   tables, outside of that transaction, by the indexes of addresses and by those below.
-- * Updates of last_seen are many: no index has it, and pages keep room, so that they happen in place.
CREATE TABLE wallets (
    added_at      timestamptz NOT NULL,
    first_seen    timestamptz,
    last_seen     timestamptz,
    removed_at    timestamptz,
    unsure_since  timestamptz DEFAULT clock_timestamp(),
    chain         text NOT NULL,
    address       bytea NOT NULL,
    kind          text NOT NULL,
    label         text,
    tags          text[],
    -- Address first: rows of a batch are joined by it.
    PRIMARY KEY (address, chain)
) WITH (fillfactor = 70);

-- "Which are to be looked up?" Mostly empty.
CREATE INDEX wallets_unsure ON wallets (unsure_since) WHERE unsure_since IS NOT NULL;

COMMENT ON TABLE wallets IS 'Watched addresses, as the bucket watchlist has them, with first and last sight.';
COMMENT ON COLUMN wallets.chain IS 'Chain slug, or all for every chain.';
COMMENT ON COLUMN wallets.address IS 'The address.';
COMMENT ON COLUMN wallets.kind IS 'wallet, token, pool or contract.';
COMMENT ON COLUMN wallets.label IS 'What people call it; NULL where it has no name.';
COMMENT ON COLUMN wallets.tags IS 'Groups that it belongs to.';
COMMENT ON COLUMN wallets.added_at IS 'When it was put on the watch-list, or changed there.';
COMMENT ON COLUMN wallets.removed_at IS 'When it left the watch-list; NULL while it is watched.';
COMMENT ON COLUMN wallets.first_seen IS 'Time of the first block with an event that names it, as far back as the tables go.';
COMMENT ON COLUMN wallets.last_seen IS 'Time of the last block with an event that names it.';
COMMENT ON COLUMN wallets.unsure_since IS 'Set while first and last sight are to be looked up in the tables, a matter of seconds.';

-- "What touched watched addresses, newest first?" An index of these rows alone costs nothing where nothing is watched.
CREATE INDEX token_transfers_watched ON token_transfers (block_time DESC) WHERE watched IS NOT NULL;
CREATE INDEX native_transfers_watched ON native_transfers (block_time DESC) WHERE watched IS NOT NULL;
CREATE INDEX internal_transfers_watched ON internal_transfers (block_time DESC) WHERE watched IS NOT NULL;
CREATE INDEX approvals_watched ON approvals (block_time DESC) WHERE watched IS NOT NULL;
CREATE INDEX contracts_watched ON contracts (block_time DESC) WHERE watched IS NOT NULL;
CREATE INDEX swaps_watched ON swaps (block_time DESC) WHERE watched IS NOT NULL;
CREATE INDEX liquidity_watched ON liquidity (block_time DESC) WHERE watched IS NOT NULL;
CREATE INDEX events_watched ON events (block_time DESC) WHERE watched IS NOT NULL;
CREATE INDEX logs_watched ON logs (block_time DESC) WHERE watched IS NOT NULL;
