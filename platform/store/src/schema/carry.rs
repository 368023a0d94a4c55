//! Takes over what the streams no longer hold: from the live tables into those of this connection's schema.

use crypto_intel_schemas::B256;
use tokio_postgres::types::ToSql;

use super::columns::{Matches, TableMatch};
use crate::{
    BatchTransaction, KnownBlock, Store, StoreError, Table,
    known::{height, known_blocks, read_block},
    time::Timestamp,
};

/// What came over.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Carried {
    /// Blocks that are new here, or whose newer marker came over.
    pub blocks: u64,
    /// Rows of all tables but `blocks`.
    pub rows: u64,
}

impl std::ops::AddAssign for Carried {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.rows += other.rows;
    }
}

/// What is looked at: blocks whose newest marker was stored, and rows that were observed, after one time and until
/// another; microseconds since 1970.
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

/// Where to go on in the list of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockCursor {
    /// Chain of the last block; empty = from the beginning.
    pub chain: String,
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// Copies rows from the live tables into those of a schema.
#[derive(Debug, Clone)]
pub struct Carrier {
    pub(super) store: Store,
    /// Schema of the live tables, as SQL writes it.
    pub(super) live: String,
    pub(super) matches: Matches,
}

impl Carrier {
    /// Compares both sets of tables; `store` is connected to the new ones.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn new(store: &Store, live: &str) -> Result<Self, StoreError> {
        let new = store.schema().map(ToString::to_string).unwrap_or_default();
        let matches = store.table_matches(live, &new).await?;
        Ok(Self { store: store.clone(), live: live.to_owned(), matches })
    }

    /// Live blocks that are unknown here, or have a newer marker there, in order of chain and height.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn newer_blocks(
        &self,
        after: &BlockCursor,
        span: Span,
        limit: u32,
    ) -> Result<Vec<KnownBlock>, StoreError> {
        let sql = format!(
            "SELECT old.chain, old.block_number, old.block_hash, \
             (extract(epoch FROM old.block_time) * 1000000)::bigint, old.canonical, old.revision \
             FROM {live}.blocks AS old LEFT JOIN blocks AS new USING (chain, block_number, block_hash) \
             WHERE (old.chain, old.block_number, old.block_hash) > ($1, $2, $3) AND old.revision > $4 AND old.revision <= $5 \
             AND (new.chain IS NULL OR old.revision > new.revision) \
             ORDER BY old.chain, old.block_number, old.block_hash LIMIT $6",
            live = self.live
        );
        let number = if after.chain.is_empty() { -1 } else { height(after.number) };
        let parameters: [&(dyn ToSql + Sync); 6] = [
            &after.chain,
            &number,
            &after.hash.as_slice(),
            &span.after_us,
            &span.until_us,
            &i64::from(limit),
        ];
        self.blocks(&sql, &parameters, "compare the blocks").await
    }

    /// Canonical blocks here that have fewer rows than their marker says, or only those of some addresses, and are
    /// canonical in the live tables, too: a stream that begins in the middle of a block tells only its rest.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn incomplete_blocks(&self) -> Result<Vec<KnownBlock>, StoreError> {
        // Only rows of events are what a marker counts.
        let events = Table::OF_BLOCKS.into_iter().filter(|table| table.has_column("tx_index"));
        let rows: Vec<String> =
            events.map(|table| format!("SELECT chain, block_hash FROM {table}")).collect();
        let sql = format!(
            "WITH counts AS (SELECT chain, block_hash, count(*) AS found FROM ({rows}) AS rows GROUP BY 1, 2) \
             SELECT old.chain, old.block_number, old.block_hash, \
             (extract(epoch FROM old.block_time) * 1000000)::bigint, old.canonical, old.revision \
             FROM blocks AS new LEFT JOIN counts USING (chain, block_hash) \
             JOIN {live}.blocks AS old USING (chain, block_number, block_hash) \
             WHERE new.canonical AND old.canonical \
             AND (new.partial OR new.event_rows > coalesce(found, 0)) ORDER BY 1, 2, 3",
            rows = rows.join(" UNION ALL "),
            live = self.live
        );
        self.blocks(&sql, &[], "count the rows of blocks").await
    }

    async fn blocks(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        doing: &str,
    ) -> Result<Vec<KnownBlock>, StoreError> {
        let transaction = self.store.begin_carry().await?;
        let rows = transaction.client()?.query(sql, parameters).await;
        let rows = rows.map_err(StoreError::sql(doing))?;
        transaction.commit().await?;
        Ok(rows.iter().map(read_block).collect())
    }

    /// Begins to take over blocks at these heights, and reads what is known there: all hashes.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn begin(
        &self,
        heights: &[(&str, u64)],
    ) -> Result<(BatchTransaction, Vec<KnownBlock>), StoreError> {
        let transaction = self.store.begin_carry().await?;
        let known = known_blocks(transaction.client()?, self.store.schema(), heights).await?;
        Ok((transaction, known))
    }

    /// Copies the rows of blocks of one chain, leaving out those whose key is here; returns how many came over.
    ///
    /// # Errors
    /// When the tables differ too much for it, or a statement fails; the transaction is then to be dropped.
    pub async fn rows(
        &self,
        transaction: &BatchTransaction,
        chain: &str,
        blocks: &[&KnownBlock],
    ) -> Result<u64, StoreError> {
        let times = || blocks.iter().map(|block| block.time_us);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(0) };
        let hashes: Vec<&[u8]> = blocks.iter().map(|block| block.hash.as_slice()).collect();
        let (first, last) = (Timestamp(first), Timestamp(last));
        let parameters: [&(dyn ToSql + Sync); 4] = [&chain, &hashes, &first, &last];
        let client = transaction.client()?;
        let mut copied = 0;
        for table in Table::OF_BLOCKS {
            let Some(matched) = self.matches.of(table) else { continue };
            let source = format!(
                "FROM {}.{table} WHERE chain = $1 AND block_hash = ANY ($2) AND block_time BETWEEN $3 AND $4",
                self.live
            );
            self.refuse_obstacle(client, matched, &source, &parameters).await?;
            if matched.obstacle.is_some() {
                continue;
            }
            let columns = matched.list();
            let sql = format!(
                "INSERT INTO {table} ({columns}) SELECT {columns} {source} ON CONFLICT DO NOTHING"
            );
            let count = client.execute(&sql, &parameters).await;
            copied += count.map_err(StoreError::sql(format!("take over rows of {table}")))?;
        }
        Ok(copied)
    }

    /// Fails when a table has an obstacle and there are rows that would have to come over.
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

    /// Puts live blocks that are unknown here into `blocks`, each canonical or not as told.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub async fn insert_blocks(
        &self,
        transaction: &BatchTransaction,
        blocks: &[(&KnownBlock, bool)],
    ) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        let Some(matched) = self.matches.of(Table::Blocks) else { return Ok(()) };
        if let Some(obstacle) = &matched.obstacle {
            let reason = format!(
                "{}.blocks has blocks that no stream holds any more: {obstacle}",
                self.live
            );
            return Err(StoreError::Refusal { reason });
        }
        let columns = matched.list();
        let values = matched.columns.iter().map(|column| match column.as_str() {
            "canonical" => "wanted.canonical".to_owned(),
            other => format!("old.{other}"),
        });
        let sql = format!(
            "INSERT INTO blocks ({columns}) SELECT {} FROM {} ON CONFLICT DO NOTHING",
            values.collect::<Vec<_>>().join(", "),
            self.wanted()
        );
        execute(transaction, &sql, blocks, "take over blocks").await
    }

    /// Puts the newer markers of live blocks onto blocks that are known here.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub async fn update_blocks(
        &self,
        transaction: &BatchTransaction,
        blocks: &[(&KnownBlock, bool)],
    ) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE blocks AS new SET canonical = wanted.canonical, revision = old.revision, \
             partial = old.partial, incarnation = old.incarnation, event_rows = old.event_rows, \
             transactions = old.transactions FROM {} \
             WHERE new.chain = old.chain AND new.block_number = old.block_number \
             AND new.block_hash = old.block_hash",
            self.wanted()
        );
        execute(transaction, &sql, blocks, "take over newer markers").await
    }

    /// Live blocks by the parameters of [`execute`].
    fn wanted(&self) -> String {
        format!(
            "unnest($1::text[], $2::bigint[], $3::bytea[], $4::boolean[]) \
             AS wanted (chain, block_number, block_hash, canonical) \
             JOIN {}.blocks AS old USING (chain, block_number, block_hash)",
            self.live
        )
    }

    /// At how many heights the live tables have a canonical block and the new ones none, although they know nothing newer
    /// of it.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn bare_heights(&self, span: Span) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT count(*) FROM {}.blocks AS old WHERE old.canonical AND old.revision > $1 \
             AND old.revision <= $2 AND NOT EXISTS \
             (SELECT FROM blocks AS new WHERE new.chain = old.chain AND new.block_number = old.block_number \
              AND (new.canonical OR new.block_hash = old.block_hash AND new.revision > old.revision))",
            self.live
        );
        let transaction = self.store.begin_carry().await?;
        let span: [&(dyn ToSql + Sync); 2] = [&span.after_us, &span.until_us];
        let row = transaction.client()?.query_one(&sql, &span).await;
        let row = row.map_err(StoreError::sql("compare the heights"))?;
        transaction.commit().await?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }
}

async fn execute(
    transaction: &BatchTransaction,
    sql: &str,
    blocks: &[(&KnownBlock, bool)],
    doing: &str,
) -> Result<(), StoreError> {
    let chains: Vec<&str> = blocks.iter().map(|(block, _)| block.chain.as_str()).collect();
    let numbers: Vec<i64> = blocks.iter().map(|(block, _)| height(block.number)).collect();
    let hashes: Vec<&[u8]> = blocks.iter().map(|(block, _)| block.hash.as_slice()).collect();
    let canonical: Vec<bool> = blocks.iter().map(|(_, canonical)| *canonical).collect();
    transaction
        .client()?
        .execute(sql, &[&chains, &numbers, &hashes, &canonical])
        .await
        .map_err(StoreError::sql(doing))?;
    Ok(())
}
