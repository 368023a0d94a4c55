//! A cursor of the server over the rows of one table: whatever their number, few of them are in memory.

use std::collections::VecDeque;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::{
    PastRequest,
    body::{Body, body_of, hex, micros, select_list},
};
use crate::{error::StoreError, tables::Table};

/// Rows that are fetched at once.
const FETCHED: usize = 1_000;

/// What a provider says more than a day late is placed at its own time.
const LATE: &str = "interval '1 day'";

/// Rows of one table in the order in which they are read.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) table: Table,
    rows: VecDeque<PastRow>,
    is_done: bool,
}

/// A row with its columns by name, and its time.
#[derive(Debug)]
pub(super) struct PastRow {
    /// When it is told: the block's time, or when it was observed, microseconds.
    pub(super) at_us: i64,
    pub(super) body: Body,
}

impl Cursor {
    /// Declares a cursor over the rows of a range.
    pub(super) async fn open(
        client: &ClientWrapper,
        table: Table,
        request: &PastRequest,
    ) -> Result<Self, StoreError> {
        let sql = format!("DECLARE past_{table} NO SCROLL CURSOR FOR {}", select(table, request));
        client.batch_execute(&sql).await.map_err(StoreError::sql(format!("read {table}")))?;
        Ok(Self { table, rows: VecDeque::new(), is_done: false })
    }

    /// The next row, which stays.
    pub(super) async fn peek(
        &mut self,
        client: &ClientWrapper,
    ) -> Result<Option<&PastRow>, StoreError> {
        if self.rows.is_empty() && !self.is_done {
            let table = self.table;
            let doing = || StoreError::sql(format!("read {table}"));
            let sql = format!("FETCH {FETCHED} FROM past_{table}");
            let rows = client.query(&sql, &[]).await.map_err(doing())?;
            self.is_done = rows.len() < FETCHED;
            for row in rows {
                self.rows.push_back(past_row(table, &row).map_err(doing())?);
            }
        }
        Ok(self.rows.front())
    }

    /// Takes the row that [`peek`](Self::peek) has shown.
    pub(super) fn take(&mut self) -> Option<PastRow> {
        self.rows.pop_front()
    }
}

fn past_row(table: Table, row: &Row) -> Result<PastRow, tokio_postgres::Error> {
    let mut body = body_of(table, row)?;
    let after = table.columns().len();
    let at_us = row.try_get(after)?;
    if table == Table::Balances {
        // Its block's row is gone where blocks are kept for a shorter time.
        let (block_hash, chain_id): (Option<&[u8]>, Option<i64>) =
            (row.try_get(after + 1)?, row.try_get(after + 2)?);
        body.insert("block_hash".into(), hex(block_hash.unwrap_or(&[0; 32])));
        body.insert("chain_id".into(), chain_id.unwrap_or_default().into());
    }
    Ok(PastRow { at_us, body })
}

/// Rows of blocks in the order of their key, which has an index; all others by the time at which they are told.
fn select(table: Table, request: &PastRequest) -> String {
    let (since, until) = (time(request.since_us), time(request.until_us));
    let columns = select_list(table);
    if table == Table::Blocks {
        return format!(
            "SELECT {columns}, {} FROM blocks AS t WHERE t.canonical AND t.block_time >= {since} AND t.block_time < {until} \
             ORDER BY t.block_time, t.block_number, block_tag(t.block_hash)",
            micros("t.block_time")
        );
    }
    if table.spec().of_block {
        let key = table.spec().key.iter().map(|column| format!("t.{column}"));
        return format!(
            "SELECT {columns}, {} FROM {table} AS t WHERE t.block_time >= {since} AND t.block_time < {until} ORDER BY {}",
            micros("t.block_time"),
            key.collect::<Vec<_>>().join(", ")
        );
    }
    let time_column = format!("t.{}", table.time_column());
    let told = format!(
        "CASE WHEN t.observed_at - {time_column} > {LATE} THEN {time_column} ELSE t.observed_at END"
    );
    let of_block = match table {
        Table::Balances => {
            ", (SELECT b.block_hash FROM blocks AS b WHERE b.chain = t.chain AND b.block_number = t.block_number \
             AND block_tag(b.block_hash) = t.block_tag LIMIT 1), \
             (SELECT b.chain_id FROM blocks AS b WHERE b.chain = t.chain AND b.block_number = t.block_number LIMIT 1)"
        }
        _ => "",
    };
    format!(
        "SELECT {columns}, {}{of_block} FROM {table} AS t WHERE {time_column} >= {since} - {LATE} \
         AND {time_column} < {until} + {LATE} AND {told} >= {since} AND {told} < {until} ORDER BY {told}, {time_column}",
        micros(&told)
    )
}

/// A constant: a cursor is declared without parameters.
fn time(time_us: i64) -> String {
    // Far beyond what a timestamp holds is as good as its limits.
    let time_us = time_us.clamp(0, 9_000_000_000_000_000);
    format!("(timestamptz '1970-01-01 00:00:00+00' + interval '{time_us} microseconds')")
}
