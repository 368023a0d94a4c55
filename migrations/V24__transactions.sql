-- Transactions with fee and outcome, of watched addresses or of all (ADR 16). Rows are lean (V19): the block says its hash and
-- time of sight, whole units follow from `decimals`, the status from `succeeded`.
CREATE TABLE transactions (
    block_time                timestamptz NOT NULL,
    block_number              bigint NOT NULL,
    nonce                     bigint,
    gas_limit                 bigint,
    gas_used                  bigint,
    gas_used_for_l1           bigint,
    input_length              bigint NOT NULL,
    blob_gas_used             bigint,
    blob_count                bigint,
    authorizations            bigint,
    block_tag                 integer NOT NULL,
    tx_index                  integer NOT NULL,
    tx_type                   smallint,
    decimals                  smallint,
    succeeded                 boolean,
    chain                     text NOT NULL,
    tx_hash                   bytea NOT NULL,
    sender                    bytea,
    recipient                 bytea,
    contract                  bytea,
    method                    bytea,
    value                     numeric(78, 0) NOT NULL,
    effective_gas_price       numeric(78, 0),
    max_fee_per_gas           numeric(78, 0),
    max_priority_fee_per_gas  numeric(78, 0),
    l1_fee                    numeric(78, 0),
    blob_gas_price            numeric(78, 0),
    fee                       numeric(78, 0),
    fee_usd                   numeric,
    symbol                    text,
    delegated_to              text[],
    watched                   text[],
    PRIMARY KEY (block_time, block_number, block_tag, tx_index, chain) WITH (fillfactor = 100)
);

-- "What did this wallet send, and what was sent to it, newest first?"
CREATE INDEX transactions_sender ON transactions (address_key(sender), hour_key(block_time));
CREATE INDEX transactions_recipient ON transactions (address_key(recipient), hour_key(block_time));
-- "What touched watched addresses, newest first?" (V9)
CREATE INDEX transactions_watched ON transactions (block_time DESC) WHERE watched IS NOT NULL;

DO $$
BEGIN
    -- The key finds rows by time, so that a plain table needs no other index for it.
    IF NOT partition_by_time('transactions', 'block_time', INTERVAL '7 days') THEN
        DROP INDEX transactions_time_brin;
    END IF;
    PERFORM use_column_store('transactions', 'chain', 'block_time DESC, tx_index');
    IF server_edition() = 'community' THEN
        BEGIN
            -- As V22 does: our indexes do not lead into the column store.
            ALTER TABLE transactions SET (timescaledb.enable_columnstore = true, timescaledb.segmentby = 'chain',
                timescaledb.orderby = 'block_time DESC, tx_index',
                timescaledb.sparse_index = 'bloom(sender), bloom(recipient)');
        EXCEPTION WHEN OTHERS THEN
            RAISE NOTICE 'no bloom filters for the column store of transactions: %', SQLERRM;
        END;
    END IF;
END $$;

COMMENT ON TABLE transactions IS 'Transactions with fee and outcome, failed ones included: those of watched addresses, or all, by evm.chains.NAME.transactions.';
COMMENT ON COLUMN transactions.block_time IS 'The block''s own time.';
COMMENT ON COLUMN transactions.block_number IS 'Height of the block.';
COMMENT ON COLUMN transactions.block_tag IS 'Four bytes of the block''s hash: block_tag(blocks.block_hash) of the block at this chain and height.';
COMMENT ON COLUMN transactions.tx_index IS 'Place of the transaction in its block.';
COMMENT ON COLUMN transactions.chain IS 'Chain slug, such as ethereum.';
COMMENT ON COLUMN transactions.nonce IS 'Number of the sender''s transactions before this one.';
COMMENT ON COLUMN transactions.gas_limit IS 'Maximum gas that it may use.';
COMMENT ON COLUMN transactions.gas_used IS 'Gas that it used; NULL without a receipt.';
COMMENT ON COLUMN transactions.gas_used_for_l1 IS 'Arbitrum: how much of gas_used paid for data on Ethereum.';
COMMENT ON COLUMN transactions.input_length IS 'Length of the input, bytes.';
COMMENT ON COLUMN transactions.blob_gas_used IS 'Gas of the blobs, type 3.';
COMMENT ON COLUMN transactions.blob_count IS 'Number of blobs, type 3.';
COMMENT ON COLUMN transactions.authorizations IS 'Number of authorizations to set code, type 4.';
COMMENT ON COLUMN transactions.tx_type IS 'Type of the transaction (EIP-2718): 0 legacy, 1 access list, 2 dynamic fee, 3 blobs, 4 sets code; chains have others.';
COMMENT ON COLUMN transactions.decimals IS 'Decimals of the native token: whole_units(fee, decimals).';
COMMENT ON COLUMN transactions.succeeded IS 'Whether it took effect; NULL before Byzantium, when receipts did not say, and without a receipt.';
COMMENT ON COLUMN transactions.tx_hash IS 'Hash of the transaction.';
COMMENT ON COLUMN transactions.sender IS 'Who sent it, and paid the fee.';
COMMENT ON COLUMN transactions.recipient IS 'To whom; NULL where it creates a contract.';
COMMENT ON COLUMN transactions.contract IS 'The contract that it created.';
COMMENT ON COLUMN transactions.method IS 'First four bytes of the input: which function was called.';
COMMENT ON COLUMN transactions.value IS 'Value in the chain''s smallest unit; of a failed transaction it did not move.';
COMMENT ON COLUMN transactions.effective_gas_price IS 'Price of a unit of gas that was paid, wei.';
COMMENT ON COLUMN transactions.max_fee_per_gas IS 'Highest price of a unit of gas that the sender accepts, wei; from type 2 on.';
COMMENT ON COLUMN transactions.max_priority_fee_per_gas IS 'Highest tip for a unit of gas that the sender gives, wei; from type 2 on.';
COMMENT ON COLUMN transactions.l1_fee IS 'Fee for data on Ethereum, wei, where receipts of the chain have it apart from gas.';
COMMENT ON COLUMN transactions.blob_gas_price IS 'Price of a unit of blob gas, wei, where the receipt has it.';
COMMENT ON COLUMN transactions.fee IS 'What the sender paid in all, wei, exact: gas, blobs and l1_fee; NULL where a part of it is unknown.';
COMMENT ON COLUMN transactions.fee_usd IS 'The fee in US dollars when it was seen, where a fresh price was known.';
COMMENT ON COLUMN transactions.symbol IS 'Symbol of the native token.';
COMMENT ON COLUMN transactions.delegated_to IS 'Contracts that its authorizations delegate to, at most eight, as 0x text.';
COMMENT ON COLUMN transactions.watched IS 'Labels of the watched addresses that it touches.';

CREATE VIEW v_transactions AS
SELECT chain, block_number, block_time, hex_text(tx_hash) AS tx_hash_text, tx_index, hex_text(sender) AS sender_text,
       hex_text(recipient) AS recipient_text, hex_text(contract) AS contract_text, hex_text(method) AS method_text,
       CASE succeeded WHEN true THEN 'success' WHEN false THEN 'failed'
           ELSE CASE WHEN gas_used IS NOT NULL THEN 'unknown' END END AS status,
       whole_units(value, decimals) AS amount, whole_units(fee, decimals) AS fee_amount, fee_usd, symbol, value, fee,
       nonce, tx_type, gas_limit, gas_used, gas_used_for_l1, effective_gas_price, max_fee_per_gas,
       max_priority_fee_per_gas, l1_fee, blob_count, blob_gas_used, blob_gas_price, authorizations, delegated_to,
       input_length, sender, recipient, contract, method, tx_hash,
       (SELECT block_hash FROM blocks
        WHERE blocks.chain = sent.chain AND blocks.block_number = sent.block_number AND canonical) AS block_hash,
       watched
FROM transactions AS sent;

COMMENT ON VIEW v_transactions IS 'transactions, with addresses and hashes also as text, the status by name and amounts in whole tokens.';
COMMENT ON COLUMN v_transactions.status IS 'success, failed, or unknown before Byzantium; NULL without a receipt.';
COMMENT ON COLUMN v_transactions.amount IS 'Value in whole tokens, exact.';
COMMENT ON COLUMN v_transactions.fee_amount IS 'The fee in whole tokens, exact.';
COMMENT ON COLUMN v_transactions.block_hash IS 'Hash of the canonical block at that chain and height; NULL for a moment until its marker is here.';

-- Who paid what, of transactions that touch a watched address. Both parties, so that the views below can say what a wallet sent
-- and what it was sent. A contract that was created stands for the recipient.
SELECT make_rollup('watched_transactions_hourly', 'transactions', INTERVAL '1 hour', 'block_time', $$
    SELECT <bucket> AS bucket, chain, sender, coalesce(recipient, contract) AS recipient, max(symbol) AS symbol,
           count(*) AS transactions, count(*) FILTER (WHERE NOT succeeded) AS failed, sum(gas_used) AS gas_used,
           sum(fee) AS fee, sum(whole_units(fee, decimals)) AS fee_amount, sum(fee_usd) AS fee_usd,
           count(fee) AS fees, count(fee_usd) AS fees_usd
    FROM <source> WHERE watched IS NOT NULL GROUP BY 1, 2, 3, 4
$$);
SELECT make_rollup('watched_transactions_daily', 'watched_transactions_hourly', INTERVAL '1 day', 'bucket', $$
    SELECT <bucket> AS bucket, chain, sender, recipient, max(symbol) AS symbol,
           sum(transactions)::bigint AS transactions, sum(failed)::bigint AS failed, sum(gas_used) AS gas_used,
           sum(fee) AS fee, sum(fee_amount) AS fee_amount, sum(fee_usd) AS fee_usd,
           sum(fees)::bigint AS fees, sum(fees_usd)::bigint AS fees_usd
    FROM <source> GROUP BY 1, 2, 3, 4
$$);

DO $$
DECLARE
    step record;
    explained record;
BEGIN
    FOR step IN SELECT * FROM (VALUES ('hourly', 'hour'), ('daily', 'day (UTC)')) AS steps (name, unit)
    LOOP
        EXECUTE format('COMMENT ON VIEW watched_transactions_%s IS %L', step.name,
            format('Part of wallet_transactions_%s: transactions in each %s that touch a watched address, by sender and recipient.',
                step.name, step.unit));
        -- An address that is watched on this chain and on all is one wallet, by its own chain's name (V20).
        EXECUTE format($view$
            CREATE VIEW wallet_transactions_%1$s AS
            SELECT leg.bucket, leg.chain, leg.address, wallet.label, max(leg.symbol) AS symbol,
                   sum(leg.sent)::bigint AS sent, sum(leg.failed)::bigint AS failed, sum(leg.received)::bigint AS received,
                   sum(leg.gas_used) AS gas_used, sum(leg.fee) AS fee, sum(leg.fee_amount) AS fee_amount,
                   sum(leg.fee_usd) AS fee_usd, sum(leg.fees)::bigint AS fees, sum(leg.fees_usd)::bigint AS fees_usd
            FROM (
                SELECT bucket, chain, sender AS address, symbol, transactions AS sent, failed, 0 AS received, gas_used, fee,
                       fee_amount, fee_usd, fees, fees_usd
                FROM watched_transactions_%1$s
                UNION ALL
                SELECT bucket, chain, recipient, symbol, 0, 0, transactions, NULL, NULL, NULL, NULL, 0, 0
                FROM watched_transactions_%1$s
            ) AS leg
            JOIN wallets AS wallet ON wallet.removed_at IS NULL AND wallet.address = leg.address
                AND (wallet.chain = leg.chain OR (wallet.chain = 'all' AND NOT EXISTS (
                    SELECT FROM wallets AS own
                    WHERE own.removed_at IS NULL AND own.address = leg.address AND own.chain = leg.chain)))
            GROUP BY leg.bucket, leg.chain, leg.address, wallet.label
        $view$, step.name);
        EXECUTE format('COMMENT ON VIEW wallet_transactions_%s IS %L', step.name,
            format('Transactions that each watched wallet sent and received in each %s, with failures and fees.', step.unit));
        FOR explained IN
            SELECT relname, attname, explanation FROM (VALUES
                ('bucket', 'Begin of the bucket (UTC).'),
                ('chain', 'Chain slug, such as ethereum.'),
                ('address', 'The watched address.'),
                ('label', 'What people call it.'),
                ('sender', 'Who sent them, and paid the fees.'),
                ('recipient', 'To whom, or which contract they created.'),
                ('symbol', 'Symbol of the native token.'),
                ('transactions', 'How many transactions, failed ones included.'),
                ('sent', 'How many transactions it sent, failed ones included.'),
                ('received', 'How many transactions were sent to it, failed ones included.'),
                ('failed', 'How many of those that were sent failed.'),
                ('gas_used', 'Gas that those that were sent used.'),
                ('fee', 'Fees that the sender paid, wei, of transactions whose fee is known.'),
                ('fee_amount', 'The same in whole tokens.'),
                ('fee_usd', 'The same in US dollars, of transactions with a known price.'),
                ('fees', 'How many transactions fee and fee_amount count.'),
                ('fees_usd', 'How many transactions fee_usd counts.')) AS texts (name, explanation)
            JOIN pg_attribute ON attname = texts.name
            JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = quote_ident(current_schema())::regnamespace
              AND relname IN ('watched_transactions_' || step.name, 'wallet_transactions_' || step.name)
        LOOP
            EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', explained.relname, explained.attname, explained.explanation);
        END LOOP;
    END LOOP;
END $$;

-- Columns of the view that are those of the table, some of them as text (V20).
DO $$
DECLARE
    missing record;
BEGIN
    FOR missing IN
        SELECT attribute.attname, col_description(original.oid, column_of.attnum) AS explanation
        FROM pg_class AS shown
        JOIN pg_class AS original ON original.relnamespace = shown.relnamespace AND original.relname = 'transactions'
        JOIN pg_attribute AS attribute ON attribute.attrelid = shown.oid
        JOIN pg_attribute AS column_of ON column_of.attrelid = original.oid
          AND attribute.attname IN (column_of.attname, column_of.attname || '_text')
        WHERE shown.relnamespace = quote_ident(current_schema())::regnamespace AND shown.relname = 'v_transactions'
          AND col_description(shown.oid, attribute.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN v_transactions.%I IS %L', missing.attname, missing.explanation);
    END LOOP;
END $$;

-- "The last transactions of this wallet?" Those that it sent and those that were sent to it, from the newest hour on; one to
-- itself once, as sent.
CREATE FUNCTION last_transactions(wallet bytea, most integer DEFAULT 100, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    block_time timestamptz, chain text, tx_hash bytea, direction text, counterparty bytea, method bytea, status text,
    symbol text, amount numeric, fee_amount numeric, fee_usd numeric, nonce bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT block_time, chain, tx_hash, direction, counterparty, method,
           CASE succeeded WHEN true THEN 'success' WHEN false THEN 'failed'
               ELSE CASE WHEN gas_used IS NOT NULL THEN 'unknown' END END,
           symbol, whole_units(value, decimals), whole_units(fee, decimals), fee_usd, nonce
    FROM (
        (SELECT block_time, block_number, tx_index, chain, tx_hash, 'out' AS direction,
                coalesce(recipient, contract) AS counterparty, method, succeeded, gas_used, symbol, value, decimals, fee,
                fee_usd, nonce
         FROM transactions WHERE address_key(sender) = address_key(wallet) AND sender = wallet
           AND hour_key(block_time) <= hour_key(until) AND block_time <= until
         ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most)
        UNION ALL
        (SELECT block_time, block_number, tx_index, chain, tx_hash, 'in', sender, method, succeeded, gas_used, symbol, value,
                decimals, fee, fee_usd, nonce
         FROM transactions WHERE address_key(recipient) = address_key(wallet) AND recipient = wallet
           AND sender IS DISTINCT FROM wallet
           AND hour_key(block_time) <= hour_key(until) AND block_time <= until
         ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT most)
    ) AS sent
    ORDER BY block_time DESC, chain, block_number DESC, tx_index DESC LIMIT most;
END;

COMMENT ON FUNCTION last_transactions IS 'The last transactions of an address up to a time, sent and received, newest first.';
