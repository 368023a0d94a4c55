-- Views for people and dashboards: bytes as 0x text, so that an address can be pasted from an explorer. Filters on the
-- text forms cannot use the tables' indexes: compare with the raw column, as in  WHERE sender = '\xd8da…'.

CREATE FUNCTION hex_text(raw bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT '0x' || encode(raw, 'hex') $$;

CREATE VIEW v_blocks AS
SELECT chain, block_number, hex_text(block_hash) AS block_hash_text, block_time, canonical, incarnation, event_rows,
       transactions, gas_used, gas_limit, base_fee_per_gas, finalized_number, observed_at, stored_at
FROM blocks;

CREATE VIEW v_token_transfers AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, log_index, sub_index, standard,
       hex_text(token) AS token_text, symbol, hex_text(sender) AS sender_text, hex_text(recipient) AS recipient_text,
       token_id, value, amount, usd, token_verified, token, sender, recipient, tx_hash, block_hash
FROM token_transfers;

CREATE VIEW v_native_transfers AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, tx_index, hex_text(sender) AS sender_text,
       hex_text(recipient) AS recipient_text, value, symbol, amount, usd, status, sender, recipient, tx_hash, block_hash
FROM native_transfers;
