use tokio_postgres::{Client, Row, types::ToSql};

use crate::{Advance, Store, StoreError};

/// How far a stream has been applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct StreamPosition {
    /// Stream sequence of the last message applied; 0 = nothing.
    pub sequence: u64,
    /// When the stream stored it, microseconds since 1970; 0 with sequence 0.
    pub stored_at_us: i64,
    /// Highest block revision given out so far.
    pub revision: i64,
}

/// A row of `positions`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PositionRow {
    /// Name of the stream.
    pub stream: String,
    /// Stream sequence of the last message applied; 0 = nothing.
    pub sequence: u64,
    /// When the stream stored it, microseconds since 1970.
    pub stored_at_us: i64,
    /// When the position last moved, microseconds since 1970.
    pub updated_at_us: i64,
}

impl Store {
    /// The position of a stream; makes it at 0 when there is none.
    ///
    /// # Errors
    /// When the database does not answer or wants migrating.
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
        Ok(read(&row))
    }

    /// Makes a position where there is none of that name; one that is there stays.
    ///
    /// # Errors
    /// When the database does not answer or wants migrating.
    pub async fn start_position(&self, name: &str, at: StreamPosition) -> Result<(), StoreError> {
        let client = self.client().await?;
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&name, &sequence(at), &at.stored_at_us, &at.revision];
        // Waits for who has moved it and not committed yet.
        let making = client.execute(
            "INSERT INTO positions (stream, sequence, stored_at_us, revision) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &parameters,
        );
        self.past_stalled(making).await.map_err(StoreError::sql("make the position"))?;
        Ok(())
    }

    /// Moves a position without rows, by compare-and-set.
    ///
    /// # Errors
    /// [`StoreError::FenceLost`] when it is elsewhere; else when a statement fails.
    pub async fn move_position(
        &self,
        stream: &str,
        from: StreamPosition,
        to: StreamPosition,
    ) -> Result<(), StoreError> {
        let (transaction, _) = self.begin(Advance { stream, from, to }, &[]).await?;
        transaction.commit().await
    }

    /// Removes a position; harmless when there is none.
    ///
    /// # Errors
    /// When the database does not answer or wants migrating.
    pub async fn remove_position(&self, name: &str) -> Result<(), StoreError> {
        let client = self.client().await?;
        client
            .execute("DELETE FROM positions WHERE stream = $1", &[&name])
            .await
            .map_err(StoreError::sql("remove the position"))?;
        Ok(())
    }

    /// The positions of all streams, by name.
    ///
    /// # Errors
    /// When the database does not answer or wants migrating.
    pub async fn positions(&self) -> Result<Vec<PositionRow>, StoreError> {
        let client = self.client().await?;
        all(&client).await
    }
}

pub(crate) async fn all(client: &Client) -> Result<Vec<PositionRow>, StoreError> {
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

pub(crate) fn read(row: &Row) -> StreamPosition {
    StreamPosition {
        sequence: row.get::<_, i64>(0).unsigned_abs(),
        stored_at_us: row.get(1),
        revision: row.get(2),
    }
}

/// Sequences count messages: they stay far below 2^63.
pub(crate) fn sequence(position: StreamPosition) -> i64 {
    i64::try_from(position.sequence).unwrap_or(i64::MAX)
}
