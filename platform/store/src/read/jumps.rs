//! Ranges of blocks that live left to history.

use crypto_intel_schemas::B256;

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// A time that live left a range of blocks to history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JumpLine {
    /// Chain slug.
    pub chain: String,
    /// Height of the first block after the range.
    pub block_number: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Its own time, microseconds since 1970.
    pub block_time_us: i64,
    /// When the pipeline saw it, microseconds since 1970.
    pub observed_at_us: i64,
    /// First block of the range.
    pub from_number: u64,
    /// Last block of the range.
    pub to_number: u64,
}

impl Store {
    /// Ranges that were left to history in a time, newest first, at most `most`.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn jumps(
        &self,
        chains: Option<&[String]>,
        since_us: i64,
        until_us: i64,
        most: u32,
    ) -> Result<Vec<JumpLine>, StoreError> {
        let rows = self
            .ask(
                "read jumps",
                "SELECT chain, block_number, block_hash, (extract(epoch FROM block_time) * 1000000)::bigint, \
                 (extract(epoch FROM observed_at) * 1000000)::bigint, from_number, to_number FROM jumps \
                 WHERE block_time >= $1 AND block_time <= $2 AND ($3::text[] IS NULL OR chain = ANY ($3)) \
                 ORDER BY block_time DESC, chain, block_hash, incarnation LIMIT $4",
                &[&Timestamp(since_us), &Timestamp(until_us), &chains, &i64::from(most)],
            )
            .await?;
        let line = |row: &tokio_postgres::Row| JumpLine {
            chain: row.get(0),
            block_number: row.get::<_, i64>(1).unsigned_abs(),
            block_hash: B256::try_from(row.get::<_, &[u8]>(2)).unwrap_or_default(),
            block_time_us: row.get(3),
            observed_at_us: row.get(4),
            from_number: row.get::<_, i64>(5).unsigned_abs(),
            to_number: row.get::<_, i64>(6).unsigned_abs(),
        };
        Ok(rows.iter().map(line).collect())
    }
}
