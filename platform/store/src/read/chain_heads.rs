use crypto_intel_schemas::B256;

use crate::{error::StoreError, pool::store::Store};

/// A height and what is canonical there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChainHead {
    /// Chain slug.
    pub chain: String,
    /// Highest canonical block.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its own time, microseconds since 1970.
    pub time_us: i64,
}

impl Store {
    /// The highest canonical block of each chain.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn chain_heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        // A loose index scan: one step down the index per chain, however long the chains are.
        let rows = self
            .client()
            .await?
            .query(
                "WITH RECURSIVE chains AS ( \
                   (SELECT chain FROM blocks ORDER BY chain LIMIT 1) UNION ALL \
                   SELECT (SELECT chain FROM blocks WHERE chain > chains.chain ORDER BY chain LIMIT 1) \
                   FROM chains WHERE chains.chain IS NOT NULL) \
                 SELECT chain, block_number, block_hash, \
                 (extract(epoch FROM block_time) * 1000000)::bigint FROM chains \
                 JOIN LATERAL (SELECT block_number, block_hash, block_time FROM blocks \
                   WHERE blocks.chain = chains.chain AND canonical \
                   ORDER BY block_number DESC LIMIT 1) AS head ON true ORDER BY chain",
                &[],
            )
            .await
            .map_err(StoreError::sql("read the heads"))?;
        Ok(rows
            .iter()
            .map(|row| ChainHead {
                chain: row.get(0),
                number: row.get::<_, i64>(1).unsigned_abs(),
                hash: B256::try_from(row.get::<_, &[u8]>(2)).unwrap_or_default(),
                time_us: row.get(3),
            })
            .collect())
    }
}
