use tokio_postgres::Client;

use crate::{error::StoreError, pool::store::Store, stream_position::PositionRow};

impl Store {
    /// The positions of all streams, by name.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn positions(&self) -> Result<Vec<PositionRow>, StoreError> {
        let client = self.client().await?;
        all_positions(&client).await
    }
}

pub(crate) async fn all_positions(client: &Client) -> Result<Vec<PositionRow>, StoreError> {
    let rows = client
        .query(
            "SELECT sequence, stored_at_us, stream, \
             (extract(epoch FROM updated_at) * 1000000)::bigint FROM positions ORDER BY stream",
            &[],
        )
        .await
        .map_err(StoreError::sql("read the positions"))?;
    Ok(rows
        .iter()
        .map(|row| PositionRow {
            sequence: row.get::<_, i64>(0).unsigned_abs(),
            stored_at_us: row.get(1),
            stream: row.get(2),
            updated_at_us: row.get(3),
        })
        .collect())
}
