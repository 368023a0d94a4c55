use deadpool_postgres::Object;

use crate::{
    error::StoreError,
    pool::{extension, store::Store},
    tables::Table,
};

/// Tables that the planner estimates to be larger than this are not counted.
const MAX_COUNTED_ROWS: i64 = 1_000_000;

impl Store {
    /// How many rows each table has, in the order of [`Table::ALL`]; large tables are estimated from the planner's
    /// statistics.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn table_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let client = self.client().await?;
        let extension = extension::schema(&client).await?;
        let mut counts = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            let estimate = match &extension {
                Some(extension) => format!("SELECT {extension}.approximate_row_count('{table}')"),
                None => format!(
                    "SELECT reltuples::bigint FROM pg_class WHERE oid = '{table}'::regclass"
                ),
            };
            let mut rows: i64 = number(&client, &estimate).await?;
            if rows < MAX_COUNTED_ROWS {
                rows = number(&client, &format!("SELECT count(*) FROM {table}")).await?;
            }
            counts.push((table.name().to_owned(), rows.unsigned_abs()));
        }
        Ok(counts)
    }
}

async fn number(client: &Object, sql: &str) -> Result<i64, StoreError> {
    let row = client.query_one(sql, &[]).await.map_err(StoreError::sql("count rows"))?;
    Ok(row.get(0))
}
