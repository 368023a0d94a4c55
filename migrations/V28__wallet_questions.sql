-- What else a wallet holds, and whether what it holds is what it was sent.

-- NFTs of a wallet are found among its transfers of NFTs alone, however many others it has.
CREATE INDEX token_transfers_nft_sender ON token_transfers (address_key(sender), hour_key(block_time)) WHERE erc <> 20;
CREATE INDEX token_transfers_nft_recipient ON token_transfers (address_key(recipient), hour_key(block_time))
    WHERE erc <> 20;

-- "Which NFTs does this wallet hold?" Of ERC-721 the last transfer decides, so that one whose past is not here counts, too;
-- of ERC-1155 the sum of all.
CREATE FUNCTION wallet_nfts(wallet bytea)
RETURNS TABLE (
    chain text, token bytea, token_id numeric, erc smallint, amount numeric, last_moved_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT moved.chain, moved.token, moved.token_id, moved.erc,
           CASE moved.erc WHEN 721 THEN greatest(moved.last, 0) ELSE moved.amount END, moved.last_moved_at
    FROM (
        SELECT leg.chain, leg.token, leg.token_id, leg.erc, sum(leg.amount) AS amount, max(leg.block_time) AS last_moved_at,
               -- One that is sent to oneself comes last.
               (array_agg(leg.amount ORDER BY leg.block_time DESC, leg.block_number DESC, leg.log_index DESC,
                   leg.sub_index DESC, leg.amount DESC))[1] AS last
        FROM (
            SELECT chain, token, token_id, erc, value AS amount, block_time, block_number, log_index, sub_index
            FROM token_transfers
            WHERE erc <> 20 AND address_key(recipient) = address_key(wallet) AND recipient = wallet
            UNION ALL
            SELECT chain, token, token_id, erc, -value, block_time, block_number, log_index, sub_index
            FROM token_transfers
            WHERE erc <> 20 AND address_key(sender) = address_key(wallet) AND sender = wallet
        ) AS leg
        GROUP BY leg.chain, leg.token, leg.token_id, leg.erc
    ) AS moved
    WHERE CASE moved.erc WHEN 721 THEN moved.last ELSE moved.amount END > 0;
END;

COMMENT ON FUNCTION wallet_nfts IS 'NFTs that a wallet holds (ERC-721 and ERC-1155), by its stored transfers.';

-- What was stored of an asset's way in and out of a wallet between two blocks, the first one without.
CREATE FUNCTION moved_between(
    wallet bytea, asset bytea, of_chain text, after_number bigint, after_time timestamptz, last_number bigint,
    last_time timestamptz)
RETURNS TABLE (amount numeric, transfers bigint, unknown_fees bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(sum(leg.amount), 0), count(*), count(*) FILTER (WHERE leg.amount IS NULL)
    FROM (
        SELECT value AS amount FROM token_transfers
        WHERE asset <> '\x0000000000000000000000000000000000000000' AND erc = 20
          AND address_key(recipient) = address_key(wallet) AND recipient = wallet AND token = asset AND chain = of_chain
          AND hour_key(block_time) BETWEEN hour_key(after_time) AND hour_key(last_time)
          AND block_time BETWEEN after_time AND last_time AND block_number > after_number AND block_number <= last_number
        UNION ALL
        SELECT -value FROM token_transfers
        WHERE asset <> '\x0000000000000000000000000000000000000000' AND erc = 20
          AND address_key(sender) = address_key(wallet) AND sender = wallet AND token = asset AND chain = of_chain
          AND hour_key(block_time) BETWEEN hour_key(after_time) AND hour_key(last_time)
          AND block_time BETWEEN after_time AND last_time AND block_number > after_number AND block_number <= last_number
        UNION ALL
        SELECT value FROM native_transfers
        WHERE asset = '\x0000000000000000000000000000000000000000'
          AND address_key(recipient) = address_key(wallet) AND recipient = wallet AND chain = of_chain
          AND hour_key(block_time) BETWEEN hour_key(after_time) AND hour_key(last_time)
          AND block_time BETWEEN after_time AND last_time AND block_number > after_number AND block_number <= last_number
        UNION ALL
        SELECT -value FROM native_transfers
        WHERE asset = '\x0000000000000000000000000000000000000000'
          AND address_key(sender) = address_key(wallet) AND sender = wallet AND chain = of_chain
          AND hour_key(block_time) BETWEEN hour_key(after_time) AND hour_key(last_time)
          AND block_time BETWEEN after_time AND last_time AND block_number > after_number AND block_number <= last_number
        UNION ALL
        SELECT value FROM internal_transfers
        WHERE asset = '\x0000000000000000000000000000000000000000'
          AND address_key(recipient) = address_key(wallet) AND recipient = wallet AND chain = of_chain
          AND hour_key(block_time) BETWEEN hour_key(after_time) AND hour_key(last_time)
          AND block_time BETWEEN after_time AND last_time AND block_number > after_number AND block_number <= last_number
        UNION ALL
        SELECT -value FROM internal_transfers
        WHERE asset = '\x0000000000000000000000000000000000000000'
          AND address_key(sender) = address_key(wallet) AND sender = wallet AND chain = of_chain
          AND hour_key(block_time) BETWEEN hour_key(after_time) AND hour_key(last_time)
          AND block_time BETWEEN after_time AND last_time AND block_number > after_number AND block_number <= last_number
        UNION ALL
        SELECT -fee FROM transactions
        WHERE asset = '\x0000000000000000000000000000000000000000'
          AND address_key(sender) = address_key(wallet) AND sender = wallet AND chain = of_chain
          AND hour_key(block_time) BETWEEN hour_key(after_time) AND hour_key(last_time)
          AND block_time BETWEEN after_time AND last_time AND block_number > after_number AND block_number <= last_number
    ) AS leg;
END;

COMMENT ON FUNCTION moved_between IS 'What a wallet received less what it sent and paid in fees of an asset, by stored transfers and transactions, after one block up to another.';

-- "Is what wallets hold what they were sent?" Each balance that was read in a time, against the one before it and what was
-- stored in between. Only those that differ, with the likely reason.
CREATE FUNCTION balance_differences(since timestamptz, until timestamptz DEFAULT 'infinity', most integer DEFAULT 10000)
RETURNS TABLE (
    chain text, address bytea, token bytea, symbol text, from_block bigint, to_block bigint, block_time timestamptz,
    moved numeric, expected numeric, difference numeric, transfers bigint, reason text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT pair.chain, pair.address, pair.token, pair.symbol, pair.from_block, pair.block_number, pair.block_time,
           pair.raw - pair.before, stored.amount, pair.raw - pair.before - stored.amount, stored.transfers,
           CASE
               WHEN pair.token <> '\x0000000000000000000000000000000000000000' THEN
                   CASE WHEN stored.transfers > 0 THEN 'fee on transfer or rebasing token'
                       ELSE 'rebasing token, or moved without an event' END
               WHEN stored.unknown_fees > 0 THEN 'a fee is not known'
               WHEN EXISTS (
                   SELECT FROM blocks WHERE blocks.chain = pair.chain AND blocks.canonical
                     AND blocks.block_number > pair.from_block AND blocks.block_number <= pair.block_number
                     AND blocks.miner = pair.address) THEN 'rewards of blocks'
               WHEN NOT EXISTS (SELECT FROM internal_transfers AS paid WHERE paid.chain = pair.chain)
                   THEN 'payments inside contracts are not seen'
               ELSE 'a payment that leaves no event, such as a withdrawal'
           END
    FROM (
        SELECT reading.chain, reading.address, reading.token, reading.symbol, reading.block_number, reading.block_time,
               reading.raw, earlier.block_number AS from_block, earlier.block_time AS from_time, earlier.raw AS before
        FROM (
            SELECT * FROM balances AS recent
            WHERE recent.block_time >= since AND recent.block_time < until AND recent.raw IS NOT NULL
              AND is_on_chain(recent.chain, recent.block_number, recent.block_tag)
            ORDER BY recent.block_time LIMIT most
        ) AS reading
        CROSS JOIN LATERAL (
            SELECT older.block_number, older.block_time, older.raw FROM balances AS older
            WHERE older.address = reading.address AND older.token = reading.token AND older.chain = reading.chain
              AND older.block_time <= reading.block_time AND older.block_number < reading.block_number
              AND older.raw IS NOT NULL AND is_on_chain(older.chain, older.block_number, older.block_tag)
            ORDER BY older.block_time DESC, older.block_number DESC LIMIT 1) AS earlier
    ) AS pair
    CROSS JOIN LATERAL moved_between(
        pair.address, pair.token, pair.chain, pair.from_block, pair.from_time, pair.block_number, pair.block_time) AS stored
    WHERE pair.raw - pair.before <> stored.amount;
END;

COMMENT ON FUNCTION balance_differences IS 'Balances that were read in a time and are not what the balance before them and the stored transfers make, with the likely reason.';
