//! Queries of an audit: which blocks are stored, and which rows of them.

use std::collections::HashSet;

use crypto_intel_schemas::B256;

use crate::{
    error::StoreError,
    pool::store::Store,
    rows::row_set::{RowSet, TableRows},
    sql_values::height,
    tables::{Table, common::block_tag},
};

/// A block that is canonical in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Whether only the events of some addresses were stored.
    pub partial: bool,
    /// Digest of the scope for which it is complete; `None` = everything.
    pub scope: Option<String>,
    /// The blocks from here up to its own have no event in that scope where they have no row.
    pub covers_from: Option<u64>,
}

/// The identity of a row of a block: its event's id as columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    /// The table.
    pub table: Table,
    /// Height of its block.
    pub block_number: u64,
    /// Tag of its block, see [`block_tag`].
    pub block_tag: i32,
    /// Log index, or the transaction's index where the event is one of a transaction.
    pub index: i32,
    /// Which of the events of one log; 0 for the only one.
    pub sub_index: i32,
}

/// A block whose rows are queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockTime {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its own time, microseconds since 1970.
    pub time_us: i64,
}

/// An audit compares events; rows that are made from markers follow from the block itself.
fn event_tables() -> impl Iterator<Item = Table> {
    Table::OF_BLOCKS.into_iter().filter(|table| !table.spec().kinds.is_empty())
}

impl RowSet {
    /// Keys of the rows of all events that belong to a block.
    #[must_use]
    pub fn block_keys(&self) -> HashSet<RowKey> {
        let of_table = |table: Table| {
            let keys = self.table(table).keys();
            keys.filter_map(move |key| read_key(table, key)).collect::<Vec<_>>()
        };
        event_tables().flat_map(of_table).collect()
    }
}

impl TableRows {
    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.rows().iter().map(|row| self.key(row))
    }
}

/// A key as it is encoded for COPY: block time, height, tag, places in the block, chain.
fn read_key(table: Table, key: &[u8]) -> Option<RowKey> {
    let mut fields = Vec::with_capacity(6);
    let mut rest = key;
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
        fields.push(tail.get(..length)?);
        rest = tail.get(length..)?;
    }
    let [_time, number, words @ .., _chain] = fields.as_slice() else { return None };
    let word = |at: usize| {
        let bytes: Option<[u8; 4]> = words.get(at).and_then(|bytes| (*bytes).try_into().ok());
        bytes.map(i32::from_be_bytes)
    };
    Some(RowKey {
        table,
        block_number: u64::from_be_bytes((*number).try_into().ok()?),
        block_tag: word(0)?,
        index: word(1)?,
        sub_index: word(2).unwrap_or(0),
    })
}

/// The columns of the key that say where in its block a row is.
fn places(table: Table) -> impl Iterator<Item = &'static str> {
    table.spec().key.iter().copied().skip(3).take_while(|column| *column != "chain")
}

impl Store {
    /// The canonical blocks of a chain between two numbers, both included, and the first one after them: it may stand for some of
    /// them.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn canonical_blocks(
        &self,
        chain: &str,
        from: u64,
        to: u64,
    ) -> Result<Vec<StoredBlock>, StoreError> {
        let (from, to) = (height(from), height(to));
        let rows = self
            .client()
            .await?
            .query(
                "SELECT block_number, block_hash, partial, scope_digest, covers_from FROM blocks \
                 WHERE chain = $1 AND block_number BETWEEN $2 AND $3 AND canonical \
                 UNION ALL (SELECT block_number, block_hash, partial, scope_digest, covers_from FROM blocks \
                 WHERE chain = $1 AND block_number > $3 AND canonical ORDER BY block_number LIMIT 1)",
                &[&chain, &from, &to],
            )
            .await
            .map_err(StoreError::sql("read blocks"))?;
        let block = |row: &tokio_postgres::Row| StoredBlock {
            number: row.get::<_, i64>(0).unsigned_abs(),
            hash: B256::try_from(row.get::<_, &[u8]>(1)).unwrap_or_default(),
            partial: row.get(2),
            scope: row.get(3),
            covers_from: row.get::<_, Option<i64>>(4).map(i64::unsigned_abs),
        };
        Ok(rows.iter().map(block).collect())
    }

    /// Keys of all event rows that are stored for these blocks.
    ///
    /// # Errors
    /// As [`canonical_blocks`](Self::canonical_blocks).
    pub async fn row_keys(
        &self,
        chain: &str,
        blocks: &[BlockTime],
    ) -> Result<HashSet<RowKey>, StoreError> {
        let mut keys = HashSet::new();
        let times = || blocks.iter().map(|block| block.time_us);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(keys) };
        let numbers: Vec<i64> = blocks.iter().map(|block| height(block.number)).collect();
        let tags: Vec<i32> = blocks.iter().map(|block| block_tag(&block.hash)).collect();
        let client = self.client().await?;
        for table in event_tables() {
            let mut places = places(table);
            let index = places.next().unwrap_or("0");
            let sub_index = places.next().unwrap_or("0");
            // The time only selects partitions: a second more on each side allows for rounding.
            let sql = format!(
                "SELECT block_number, block_tag, {index}::int, {sub_index}::int FROM {table} \
                 JOIN unnest($2::bigint[], $3::int[]) AS wanted (block_number, block_tag) \
                 USING (block_number, block_tag) WHERE chain = $1 AND block_time BETWEEN \
                 to_timestamp($4::bigint / 1000000 - 1) AND to_timestamp($5::bigint / 1000000 + 1)"
            );
            let rows = client
                .query(&sql, &[&chain, &numbers, &tags, &first, &last])
                .await
                .map_err(StoreError::sql("read the keys of rows"))?;
            keys.extend(rows.iter().map(|row| RowKey {
                table,
                block_number: row.get::<_, i64>(0).unsigned_abs(),
                block_tag: row.get(1),
                index: row.get(2),
                sub_index: row.get(3),
            }));
        }
        Ok(keys)
    }

    /// Number of the oldest canonical block of a chain, or of the oldest that it stands for; with `kept_days`, of the oldest whose rows are not about to be dropped
    /// by a retention of that many days.
    ///
    /// # Errors
    /// As [`canonical_blocks`](Self::canonical_blocks).
    pub async fn oldest_block(
        &self,
        chain: &str,
        kept_days: Option<u32>,
    ) -> Result<Option<u64>, StoreError> {
        let client = self.client().await?;
        let found = match kept_days {
            None => {
                let sql = "SELECT coalesce(covers_from, block_number) FROM blocks \
                           WHERE chain = $1 AND canonical ORDER BY block_number LIMIT 1";
                client.query_opt(sql, &[&chain]).await.map(|row| row.map(|row| row.get(0)))
            }
            Some(days) => {
                // By time: an index finds it, however many blocks are older.
                let sql = format!(
                    "SELECT coalesce(covers_from, block_number) FROM blocks WHERE chain = $1 AND canonical \
                     AND block_time > now() - interval '{days} days' + interval '2 hours' \
                     ORDER BY block_time, block_number LIMIT 1"
                );
                client.query_opt(&sql, &[&chain]).await.map(|row| row.map(|row| row.get(0)))
            }
        };
        let oldest: Option<i64> = found.map_err(StoreError::sql("read the oldest block"))?;
        Ok(oldest.map(i64::unsigned_abs))
    }
}
