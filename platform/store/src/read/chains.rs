use crypto_intel_schemas::B256;

use crate::{error::StoreError, pool::store::Store};

/// Blocks over which the time between two is averaged.
const BLOCKS_OF_MEAN: i64 = 32;

/// The newest canonical block of a chain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChainHead {
    /// Chain slug.
    pub chain: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Height.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// The block's own time, microseconds since 1970.
    pub block_time_us: i64,
    /// When the pipeline first saw it, microseconds since 1970.
    pub observed_at_us: i64,
    /// When its row was written, microseconds since 1970.
    pub stored_at_us: i64,
    /// The highest safe block, where the chain has one.
    pub safe_number: Option<u64>,
    /// The highest final block.
    pub finalized_number: u64,
    /// Mean seconds between the newest blocks.
    pub block_seconds: Option<f64>,
}

impl Store {
    /// The newest canonical block of every chain, by name. Chains are few and their blocks many: the index is entered once
    /// for each chain.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn chain_heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        let rows = self
            .ask(
                "read the heads of chains",
                "WITH RECURSIVE known AS ( \
                 (SELECT chain FROM blocks ORDER BY chain LIMIT 1) \
                 UNION ALL \
                 SELECT (SELECT blocks.chain FROM blocks WHERE blocks.chain > known.chain ORDER BY blocks.chain LIMIT 1) \
                 FROM known WHERE known.chain IS NOT NULL) \
                 SELECT head.chain, head.chain_id, head.block_number, head.block_hash, \
                 (extract(epoch FROM head.block_time) * 1000000)::bigint, \
                 (extract(epoch FROM head.observed_at) * 1000000)::bigint, \
                 (extract(epoch FROM head.stored_at) * 1000000)::bigint, head.safe_number, head.finalized_number, \
                 (SELECT extract(epoch FROM head.block_time - earlier.block_time)::float8 \
                  / nullif(head.block_number - earlier.block_number, 0) FROM blocks AS earlier \
                  WHERE earlier.chain = head.chain AND earlier.canonical \
                  AND earlier.block_number >= head.block_number - $1 ORDER BY earlier.block_number LIMIT 1) \
                 FROM known CROSS JOIN LATERAL ( \
                 SELECT * FROM blocks WHERE blocks.chain = known.chain AND canonical \
                 ORDER BY block_number DESC LIMIT 1) AS head ORDER BY head.chain",
                &[&BLOCKS_OF_MEAN],
            )
            .await?;
        Ok(rows
            .iter()
            .map(|row| ChainHead {
                chain: row.get(0),
                chain_id: row.get::<_, i64>(1).unsigned_abs(),
                block_number: row.get::<_, i64>(2).unsigned_abs(),
                block_hash: B256::try_from(row.get::<_, &[u8]>(3)).unwrap_or_default(),
                block_time_us: row.get(4),
                observed_at_us: row.get(5),
                stored_at_us: row.get(6),
                safe_number: row.get::<_, Option<i64>>(7).map(i64::unsigned_abs),
                finalized_number: row.get::<_, i64>(8).unsigned_abs(),
                block_seconds: row.get(9),
            })
            .collect())
    }
}
