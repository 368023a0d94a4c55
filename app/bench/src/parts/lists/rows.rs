//! The rows of the lists, made by the server itself.

use crate::connection::Connection;

/// Rows of a block: token transfers, then one native transfer.
const ROWS_PER_BLOCK: u64 = 10;
/// Over so many days; TimescaleDB has a chunk for each.
const DAYS: u32 = 14;
const ALERTS: u32 = 100_000;

/// Fills the tables with about so many transfers and what belongs to them.
pub(super) async fn fill(connection: &Connection, rows: u64) -> anyhow::Result<()> {
    let blocks = (rows / ROWS_PER_BLOCK).max(1);
    for sql in [
        format!(
            "INSERT INTO blocks (block_time, observed_at, block_number, chain_id, revision, finalized_number, incarnation, \
             event_rows, transactions, canonical, partial, chain, block_hash, parent_hash, gas_used, gas_limit) \
             SELECT now() - n * make_interval(days => {DAYS}) / {blocks}, now(), {blocks} - n, 1, 1, 0, 1, 10, 10, true, false, \
             CASE n % 100 WHEN 0 THEN 'quiet' ELSE 'base' END, sha256(('b' || n)::bytea), sha256(('p' || n)::bytea), 1, 1 \
             FROM generate_series(1, {blocks}) AS n"
        ),
        "INSERT INTO token_transfers (block_time, block_number, block_tag, log_index, sub_index, tx_index, erc, decimals, \
         token_verified, chain, tx_hash, token, sender, recipient, value, symbol, usd, watched) \
         SELECT block_time, block_number, block_tag(block_hash), place, 0, place, CASE place WHEN 8 THEN 721 ELSE 20 END, 6, \
         place < 6, chain, sha256(('t' || block_number || 'p' || place)::bytea), \
         substr(sha256(('k' || block_number % 1000)::bytea), 1, 20), \
         substr(sha256(('w' || (block_number * 7 + place) % 20000)::bytea), 1, 20), \
         substr(sha256(('w' || (block_number * 3 + place) % 30000)::bytea), 1, 20), 5, 'X', \
         (block_number * 31 + place * 17) % 20000, CASE WHEN block_number % 2000 = 0 THEN ARRAY['desk'] END \
         FROM blocks CROSS JOIN generate_series(0, 8) AS place"
            .to_owned(),
        "INSERT INTO native_transfers (block_time, block_number, block_tag, tx_index, succeeded, chain, tx_hash, sender, \
         recipient, value, usd) SELECT block_time, block_number, block_tag(block_hash), 100, true, chain, \
         sha256(('n' || block_number)::bytea), substr(sha256(('w' || block_number % 20000)::bytea), 1, 20), \
         substr(sha256(('w' || (block_number * 5) % 20000)::bytea), 1, 20), 5, (block_number * 13) % 20000 FROM blocks"
            .to_owned(),
        format!(
            "INSERT INTO alerts (event_at, observed_at, seen_at, n, id, alert, code, rule, severity, state, title, event_id) \
             SELECT now(), now() - n * make_interval(days => {DAYS}) / {ALERTS}, now(), 1, 'i' || n, 'a' || n, 'C' || n, \
             'rule-' || n % 50, (ARRAY['info', 'warning', 'critical'])[1 + n % 3], 'fired', 'title', 'e' \
             FROM generate_series(1, {ALERTS}) AS n"
        ),
        format!(
            "INSERT INTO deliveries (done_at, seen_at, observed_at, attempts, id, delivery, destination, channel, alert, rule, \
             severity, state) SELECT now(), now(), now(), 1, 'd' || n, 'd' || n, 'ops', 'telegram', 'a' || n, 'rule', 'info', \
             'sent' FROM generate_series(1, {ALERTS}) AS n"
        ),
        "VACUUM ANALYZE".to_owned(),
    ] {
        connection.run(&sql).await?;
    }
    Ok(())
}

/// Puts the older half of the chunks into the column store.
pub(super) async fn compress_half(connection: &Connection) -> anyhow::Result<u64> {
    let mut compressed = 0;
    for table in ["token_transfers", "native_transfers"] {
        let sql = format!("SELECT chunk::text FROM show_chunks('{table}') AS chunk ORDER BY chunk");
        let chunks = connection.client.query(&sql, &[]).await?;
        for row in chunks.iter().take(chunks.len() / 2) {
            let chunk: String = row.get(0);
            connection.run(&format!("SELECT compress_chunk('{chunk}', true)")).await?;
            compressed += 1;
        }
    }
    connection.run("VACUUM ANALYZE").await?;
    Ok(compressed)
}
