//! Dropping old rows where the server has no retention of its own; persist calls it.

use crate::{error::StoreError, pool::store::Store};

/// Tables from which persist drops old rows.
///
/// # Errors
/// When the database does not answer or is not migrated.
pub async fn expiring_tables(store: &Store) -> Result<Vec<String>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query("SELECT target::text FROM storage_retention ORDER BY target::text", &[])
        .await
        .map_err(StoreError::sql("read how long rows are kept"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Drops rows of a table that are too old, at most `limit` of a plain table; returns how many rows or, of a hypertable,
/// chunks were dropped. Fewer than `limit` means that none is left.
///
/// # Errors
/// As [`expiring_tables`].
pub async fn drop_expired(store: &Store, table: &str, limit: u32) -> Result<u64, StoreError> {
    let client = store.client().await?;
    let row = client
        .query_one("SELECT drop_expired($1::text::regclass, $2)", &[&table, &i64::from(limit)])
        .await
        .map_err(|cause| StoreError::Sql { doing: format!("drop old rows of {table}"), cause })?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}
