use crypto_intel_schemas::B256;
use deadpool_postgres::Object;
use tokio_postgres::{Row, types::ToSql};

use crate::{
    error::StoreError,
    pool::{advisory_locks::HEIGHT_LOCK_SEED, schema_name::SchemaName},
    sql_values::height,
};

/// A block as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBlock {
    /// Chain slug.
    pub chain: String,
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// The block's own time, microseconds since 1970.
    pub time_us: i64,
    /// Whether it is the canonical one at its height.
    pub canonical: bool,
    /// Revision of its newest marker; 0 for a partial block.
    pub revision: i64,
}

/// Heights that share a lock. Streams that write the same chain at distant heights, as live and history do, do not wait
/// for each other.
const HEIGHTS_PER_LOCK: u64 = 4_096;
/// Locks per chain: the server keeps the locks of all transactions in one table of a fixed size, and a batch of history may
/// have a thousand heights far from each other. Ranges that share a lock wait for each other, which is harmless.
const LOCKS_PER_CHAIN: u64 = 64;

/// Takes the locks of the heights, then reads every hash that is known at them.
pub(crate) async fn known_blocks(
    client: &Object,
    schema: Option<&SchemaName>,
    heights: &[(&str, u64)],
) -> Result<Vec<KnownBlock>, StoreError> {
    if heights.is_empty() {
        return Ok(Vec::new());
    }
    let chains: Vec<&str> = heights.iter().map(|(chain, _)| *chain).collect();
    let numbers: Vec<i64> = heights.iter().map(|(_, number)| height(*number)).collect();
    // Tables in a schema of their own have locks of their own. A slug has no dot, so the names differ.
    let lock_name = |(chain, number): &(&str, u64)| {
        let range = (number / HEIGHTS_PER_LOCK) % LOCKS_PER_CHAIN;
        match schema {
            Some(schema) => format!("{schema}.{chain} {range}"),
            None => format!("{chain} {range}"),
        }
    };
    let mut locked: Vec<String> = heights.iter().map(lock_name).collect();
    locked.sort_unstable();
    locked.dedup();
    // An array keeps its order, so all transactions take their locks in the same order.
    let lock = client
        .prepare_cached(
            "SELECT pg_advisory_xact_lock(hashtextextended(heights, $2)) FROM unnest($1::text[]) AS heights",
        )
        .await
        .map_err(StoreError::sql("prepare locking heights"))?;
    let read = client
        .prepare_cached(
            "SELECT chain, block_number, block_hash, \
             (extract(epoch FROM block_time) * 1000000)::bigint, canonical, revision \
             FROM unnest($1::text[], $2::bigint[]) AS wanted (chain, block_number) \
             JOIN blocks USING (chain, block_number)",
        )
        .await
        .map_err(StoreError::sql("prepare reading known blocks"))?;
    let lock_parameters: [&(dyn ToSql + Sync); 2] = [&locked, &HEIGHT_LOCK_SEED];
    let read_parameters: [&(dyn ToSql + Sync); 2] = [&chains, &numbers];
    let (locked, rows) = futures::join!(
        client.query(&lock, &lock_parameters),
        client.query(&read, &read_parameters),
    );
    locked.map_err(StoreError::sql("lock the heights"))?;
    let rows = rows.map_err(StoreError::sql("read known blocks"))?;
    Ok(rows.iter().map(read_block).collect())
}

/// Chain, height, hash, time, canonical, revision.
pub(crate) fn read_block(row: &Row) -> KnownBlock {
    KnownBlock {
        chain: row.get(0),
        number: row.get::<_, i64>(1).unsigned_abs(),
        // Only hashes of 32 bytes are ever written.
        hash: B256::try_from(row.get::<_, &[u8]>(2)).unwrap_or_default(),
        time_us: row.get(3),
        canonical: row.get(4),
        revision: row.get(5),
    }
}
