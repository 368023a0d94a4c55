-- First and last sight of watched addresses are asked of the rows that carry a label, no longer kept beside them (ADR 7).
ALTER TABLE wallets DROP COLUMN first_seen, DROP COLUMN last_seen, DROP COLUMN unsure_since;
ALTER TABLE wallets RESET (fillfactor);

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

-- An hour's retention looks for old times in a table that backfills fill with old times: its pages are mixed, and an index
-- of pages' ranges would then read them all.
DROP INDEX blocks_time_brin;
CREATE INDEX blocks_time ON blocks (block_time);
