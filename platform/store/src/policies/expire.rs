//! What persist does where the server has no retention of its own.

use crate::{Store, StoreError};

impl Store {
    /// Tables whose old rows are ours to drop.
    ///
    /// # Errors
    /// When the database does not answer or wants migrating.
    pub async fn expiring_tables(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query("SELECT target::text FROM storage_retention ORDER BY target::text", &[])
            .await
            .map_err(StoreError::sql("read how long rows are kept"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Drops what is too old of a table, of a plain one at most so many rows; returns how many rows or, of a hypertable,
    /// chunks went. Fewer than `most` rows: nothing is left to drop.
    ///
    /// # Errors
    /// As [`expiring_tables`](Self::expiring_tables).
    pub async fn drop_expired(&self, table: &str, most: u32) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_one("SELECT drop_expired($1::text::regclass, $2)", &[&table, &i64::from(most)])
            .await
            .map_err(|cause| StoreError::Sql {
                doing: format!("drop old rows of {table}"),
                cause,
            })?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }
}
