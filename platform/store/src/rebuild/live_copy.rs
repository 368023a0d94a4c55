use tokio_postgres::types::ToSql;

use super::columns::{Matches, TableMatch};
use crate::{
    error::StoreError,
    pool::store::Store,
    write::{
        block_lookup::{KnownBlock, known_blocks},
        transaction::BatchTransaction,
    },
};

/// How much was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct CopyCounts {
    /// Blocks that are new here, or that got a newer marker.
    pub blocks: u64,
    /// Rows of all tables but `blocks`.
    pub rows: u64,
}

impl std::ops::AddAssign for CopyCounts {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.rows += other.rows;
    }
}

/// A time range: blocks whose newest marker was stored in it, and rows that were observed in it. Microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// After this time.
    pub after_us: i64,
    /// At this time or before.
    pub until_us: i64,
}

impl Span {
    /// Everything up to a time.
    #[must_use]
    pub const fn until(until_us: i64) -> Self {
        Self { after_us: i64::MIN, until_us }
    }

    /// Everything after a time.
    #[must_use]
    pub const fn after(after_us: i64) -> Self {
        Self { after_us, until_us: i64::MAX }
    }
}

/// Copies what the streams no longer hold from the live tables into those of a schema. Blocks and their rows are in
/// `copy_blocks`, everything else in `copy_tables`.
#[derive(Debug, Clone)]
pub struct LiveCopy {
    /// Connected to the new tables.
    pub(super) store: Store,
    /// Schema of the live tables, as SQL writes it.
    pub(super) live: String,
    pub(super) matches: Matches,
}

impl LiveCopy {
    /// Compares both sets of tables; `store` is connected to the new ones.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn new(store: &Store, live: &str) -> Result<Self, StoreError> {
        let new = store.schema().map(ToString::to_string).unwrap_or_default();
        let matches = Matches::read(store, live, &new).await?;
        Ok(Self { store: store.clone(), live: live.to_owned(), matches })
    }

    /// Begins a transaction that copies blocks at these heights, and reads all hashes that are known at them.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn begin(
        &self,
        heights: &[(&str, u64)],
    ) -> Result<(BatchTransaction, Vec<KnownBlock>), StoreError> {
        let transaction = self.store.begin_snapshot().await?;
        let known = known_blocks(transaction.client()?, self.store.schema(), heights).await?;
        Ok((transaction, known))
    }

    /// Fails when the new table cannot take old rows and there are rows to copy.
    pub(super) async fn refuse_obstacle(
        &self,
        client: &deadpool_postgres::Object,
        matched: &TableMatch,
        source: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(), StoreError> {
        let Some(obstacle) = &matched.obstacle else { return Ok(()) };
        let found = client.query_one(&format!("SELECT EXISTS (SELECT {source})"), parameters).await;
        let found = found.map_err(StoreError::sql("look for old rows"))?;
        if found.get(0) {
            let reason = format!(
                "{}.{} has rows that no stream holds any more and that the new table cannot take: {obstacle}. Give the \
                 new column a default, or copy these rows yourself",
                self.live, matched.name
            );
            return Err(StoreError::Refusal { reason });
        }
        Ok(())
    }
}
