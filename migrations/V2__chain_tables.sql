-- Blocks and the events of chains.
--
-- Decisions that hold for every table of chain events:
-- * The key is what the event is by nature: chain, block hash and place in the block, plus the block's time because the
--   partition column must be in it. The time is the block's own, never the time of observation: a second delivery of the
--   same event must meet the same key. All its columns are NOT NULL, and it is the only unique key.
-- * No foreign keys: chunk creation deadlocks with them, and rows may be here before their block's marker.
-- * uint256 is NUMERIC(78,0): a fifth of the size of 32 raw bytes for usual amounts, and it can be summed.
-- * Addresses and hashes are raw bytes; the views of a later migration show them as text.
-- * Fixed-length columns stand first: no padding between them.
-- * An index costs every row about 3 microseconds: each one below names the question that it answers.

-- Every block hash ever seen, and which one is canonical at its height. Not partitioned: there is one row per block, and
-- "at most one canonical block per height" must hold over all time, which a hypertable's key could not say.
CREATE TABLE blocks (
    block_time        timestamptz NOT NULL,
    observed_at       timestamptz NOT NULL,
    stored_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    block_number      bigint NOT NULL,
    chain_id          bigint NOT NULL,
    revision          bigint NOT NULL,
    finalized_number  bigint NOT NULL,
    safe_number       bigint,
    incarnation       integer NOT NULL,
    event_rows        integer NOT NULL,
    transactions      integer NOT NULL,
    canonical         boolean NOT NULL,
    partial           boolean NOT NULL,
    chain             text NOT NULL,
    block_hash        bytea NOT NULL,
    parent_hash       bytea NOT NULL,
    gas_used          numeric(20, 0) NOT NULL,
    gas_limit         numeric(20, 0) NOT NULL,
    base_fee_per_gas  numeric(78, 0),
    miner             bytea,
    unverified        text[],
    -- Number before hash: the same index finds all hashes of a height.
    PRIMARY KEY (chain, block_number, block_hash)
);

-- The invariant itself, and the look-up of the canonical block at a height.
CREATE UNIQUE INDEX blocks_canonical ON blocks (chain, block_number) WHERE canonical;

COMMENT ON TABLE blocks IS 'Every block hash seen. Rows of the event tables belong to canonical blocks only; a block that left the chain keeps its row here.';
COMMENT ON COLUMN blocks.canonical IS 'Whether this is the chain''s block at its height, as far as we know.';
COMMENT ON COLUMN blocks.revision IS 'When the stream stored the block''s newest marker, microseconds (one more than the highest seen if a clock stepped back). Of two hashes at one height the higher one is canonical. 0: only some addresses'' events are here.';
COMMENT ON COLUMN blocks.partial IS 'Only events of some addresses were fetched for this block.';
COMMENT ON COLUMN blocks.incarnation IS '1 added, 2 removed, 3 added again, and so on.';
COMMENT ON COLUMN blocks.event_rows IS 'How many rows the block has in the event tables, as its marker says.';
COMMENT ON COLUMN blocks.observed_at IS 'When the pipeline first saw the block.';
COMMENT ON COLUMN blocks.stored_at IS 'When this row was written: stored_at - observed_at is the latency from head to row.';
COMMENT ON COLUMN blocks.finalized_number IS 'Highest final block when this one was published.';
COMMENT ON COLUMN blocks.unverified IS 'Checks of the node''s answer that could not be made; NULL when all passed.';

CREATE TABLE native_transfers (
    block_time    timestamptz NOT NULL,
    observed_at   timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    chain_id      bigint NOT NULL,
    tx_index      integer NOT NULL,
    chain         text NOT NULL,
    block_hash    bytea NOT NULL,
    tx_hash       bytea NOT NULL,
    sender        bytea NOT NULL,
    recipient     bytea NOT NULL,
    value         numeric(78, 0) NOT NULL,
    status        text NOT NULL,
    symbol        text,
    amount        numeric,
    usd           numeric,
    method        bytea,
    watched       text[],
    PRIMARY KEY (chain, block_hash, tx_index, block_time)
);
SELECT partition_by_time('native_transfers', 'block_time', INTERVAL '1 day');

-- "What did this wallet pay and receive, newest first?"
CREATE INDEX native_transfers_sender ON native_transfers (sender, block_time DESC);
CREATE INDEX native_transfers_recipient ON native_transfers (recipient, block_time DESC);

COMMENT ON TABLE native_transfers IS 'Native value moved by transactions themselves: value above 0, a recipient, not failed.';
COMMENT ON COLUMN native_transfers.value IS 'Amount in the chain''s smallest unit (wei).';
COMMENT ON COLUMN native_transfers.amount IS 'Amount in whole tokens, exact.';
COMMENT ON COLUMN native_transfers.usd IS 'Value in US dollars when it was seen, where a fresh price was known.';
COMMENT ON COLUMN native_transfers.watched IS 'Labels of the watched addresses that it touches.';

CREATE TABLE token_transfers (
    block_time      timestamptz NOT NULL,
    observed_at     timestamptz NOT NULL,
    block_number    bigint NOT NULL,
    chain_id        bigint NOT NULL,
    tx_index        integer NOT NULL,
    log_index       integer NOT NULL,
    sub_index       integer NOT NULL,
    decimals        smallint,
    token_verified  boolean NOT NULL,
    chain           text NOT NULL,
    block_hash      bytea NOT NULL,
    tx_hash         bytea NOT NULL,
    standard        text NOT NULL,
    token           bytea NOT NULL,
    sender          bytea NOT NULL,
    recipient       bytea NOT NULL,
    operator        bytea,
    token_id        numeric(78, 0),
    value           numeric(78, 0) NOT NULL,
    symbol          text,
    amount          numeric,
    usd             numeric,
    tx_from         bytea,
    tx_to           bytea,
    method          bytea,
    watched         text[],
    PRIMARY KEY (chain, block_hash, log_index, sub_index, block_time)
);
SELECT partition_by_time('token_transfers', 'block_time', INTERVAL '1 day');

-- "What moved of this token?" and "what did this wallet send and receive, newest first?"
CREATE INDEX token_transfers_token ON token_transfers (token, block_time DESC);
CREATE INDEX token_transfers_sender ON token_transfers (sender, block_time DESC);
CREATE INDEX token_transfers_recipient ON token_transfers (recipient, block_time DESC);

COMMENT ON TABLE token_transfers IS 'ERC-20, ERC-721 and ERC-1155 transfers as the contracts say. Anyone may emit one from any address: compare tx_from and token_verified.';
COMMENT ON COLUMN token_transfers.standard IS 'erc20, erc721 or erc1155.';
COMMENT ON COLUMN token_transfers.sub_index IS 'Place within the log: above 0 only for further items of an ERC-1155 TransferBatch.';
COMMENT ON COLUMN token_transfers.token IS 'The contract.';
COMMENT ON COLUMN token_transfers.value IS 'Amount in the token''s smallest unit; 1 for ERC-721.';
COMMENT ON COLUMN token_transfers.token_id IS 'Which token; NULL for ERC-20.';
COMMENT ON COLUMN token_transfers.operator IS 'Who moved it, ERC-1155 only.';
COMMENT ON COLUMN token_transfers.amount IS 'Amount in whole tokens, exact, where the decimals are known.';
COMMENT ON COLUMN token_transfers.usd IS 'Value in US dollars when it was seen, where a fresh price was known.';
COMMENT ON COLUMN token_transfers.token_verified IS 'Whether the contract is on our asset list.';

CREATE TABLE approvals (
    block_time    timestamptz NOT NULL,
    observed_at   timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    chain_id      bigint NOT NULL,
    tx_index      integer NOT NULL,
    log_index     integer NOT NULL,
    approved      boolean,
    chain         text NOT NULL,
    block_hash    bytea NOT NULL,
    tx_hash       bytea NOT NULL,
    standard      text NOT NULL,
    token         bytea NOT NULL,
    owner         bytea NOT NULL,
    spender       bytea NOT NULL,
    value         numeric(78, 0),
    token_id      numeric(78, 0),
    tx_from       bytea,
    watched       text[],
    PRIMARY KEY (chain, block_hash, log_index, block_time)
);
SELECT partition_by_time('approvals', 'block_time', INTERVAL '1 day');

-- "Who may move this wallet's tokens?" and, when a contract is exploited, "who let it move theirs?"
CREATE INDEX approvals_owner ON approvals (owner, block_time DESC);
CREATE INDEX approvals_spender ON approvals (spender, block_time DESC);

COMMENT ON TABLE approvals IS 'ERC-20 Approval (value), ERC-721 Approval (token_id), ApprovalForAll (approved).';

CREATE TABLE contracts (
    block_time    timestamptz NOT NULL,
    observed_at   timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    chain_id      bigint NOT NULL,
    code_length   bigint NOT NULL,
    tx_index      integer NOT NULL,
    chain         text NOT NULL,
    block_hash    bytea NOT NULL,
    tx_hash       bytea NOT NULL,
    contract      bytea NOT NULL,
    creator       bytea NOT NULL,
    status        text NOT NULL,
    watched       text[],
    PRIMARY KEY (chain, block_hash, tx_index, block_time)
);
SELECT partition_by_time('contracts', 'block_time', INTERVAL '7 days');

-- "Who made this contract, and when?"
CREATE INDEX contracts_contract ON contracts (contract);

COMMENT ON TABLE contracts IS 'Contracts made by transactions without recipient.';
COMMENT ON COLUMN contracts.code_length IS 'Length of the creation code, bytes.';

CREATE TABLE logs (
    block_time    timestamptz NOT NULL,
    observed_at   timestamptz NOT NULL,
    block_number  bigint NOT NULL,
    chain_id      bigint NOT NULL,
    data_length   bigint,
    tx_index      integer NOT NULL,
    log_index     integer NOT NULL,
    truncated     boolean NOT NULL,
    chain         text NOT NULL,
    block_hash    bytea NOT NULL,
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
    PRIMARY KEY (chain, block_hash, log_index, block_time)
);
SELECT partition_by_time('logs', 'block_time', INTERVAL '1 day');

-- "What did this contract emit?"
CREATE INDEX logs_address ON logs (address, block_time DESC);

COMMENT ON TABLE logs IS 'Raw logs of configured contracts, and of known topics in an unknown form (reason).';
COMMENT ON COLUMN logs.truncated IS 'Whether data was cut; data_length and data_keccak are those of the whole.';
