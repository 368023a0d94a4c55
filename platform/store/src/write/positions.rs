use tokio_postgres::types::ToSql;

use super::{terminate_idle_blockers::with_idle_blockers_terminated, transaction::Advance};
use crate::{error::StoreError, pool::store::Store, stream_position::StreamPosition};

impl Store {
    /// The position of a stream; creates it at 0 when there is none.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn position(&self, stream: &str) -> Result<StreamPosition, StoreError> {
        self.start_position(stream, StreamPosition::default()).await?;
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT sequence, stored_at_us, revision FROM positions WHERE stream = $1",
                &[&stream],
            )
            .await
            .map_err(StoreError::sql("read the position"))?;
        Ok(StreamPosition::from_row(&row))
    }

    /// Creates a position unless one of that name exists.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn start_position(&self, name: &str, at: StreamPosition) -> Result<(), StoreError> {
        let client = self.client().await?;
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&name, &at.sequence_as_i64(), &at.stored_at_us, &at.revision];
        // Waits for a transaction that has moved it and is not committed yet.
        let insert = client.execute(
            "INSERT INTO positions (stream, sequence, stored_at_us, revision) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &parameters,
        );
        let inserted = with_idle_blockers_terminated(self, insert).await;
        inserted.map_err(StoreError::sql("create the position"))?;
        Ok(())
    }

    /// Moves a position without rows, by compare-and-set.
    ///
    /// # Errors
    /// [`StoreError::FenceLost`] when it is not at `from`; else when a statement fails.
    pub async fn move_position(
        &self,
        stream: &str,
        from: StreamPosition,
        to: StreamPosition,
    ) -> Result<(), StoreError> {
        let (transaction, _) = self.begin(Advance { stream, from, to }, &[]).await?;
        transaction.commit().await
    }

    /// Removes a position; does nothing when there is none.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn remove_position(&self, name: &str) -> Result<(), StoreError> {
        let client = self.client().await?;
        client
            .execute("DELETE FROM positions WHERE stream = $1", &[&name])
            .await
            .map_err(StoreError::sql("remove the position"))?;
        Ok(())
    }
}
