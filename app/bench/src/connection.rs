//! A direct connection to the database: the bare loop, and the rows that it copies.

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use crypto_intel_store::Table;
use futures::{SinkExt as _, StreamExt as _, pin_mut};
use tokio_postgres::{Client, CopyInSink, NoTls, Statement};
use tokio_util::task::AbortOnDropHandle;

/// Bytes given to the connection at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// A binary COPY of no rows: header and trailer.
const EMPTY_COPY_BYTES: usize = 21;

/// The tables that chain events become rows of, in the order in which persist writes them.
pub(crate) fn tables() -> Vec<Table> {
    let mut tables = Table::OF_BLOCKS.to_vec();
    tables.push(Table::Blocks);
    tables
}

/// A direct connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    _driver: AbortOnDropHandle<()>,
}

/// A secondary index.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) name: String,
    /// The statement that makes it.
    pub(crate) definition: String,
}

/// The rows of one transaction, by table.
#[derive(Debug, Clone, Default)]
pub(crate) struct CopyBatch {
    /// Events that they come from, markers included.
    pub(crate) events: u64,
    pub(crate) bodies: Vec<(Table, Bytes)>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let (client, driver) =
            tokio_postgres::connect(url, NoTls).await.context("connect to the database")?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                eprintln!("crypto-intel-bench: database connection lost: {error}");
            }
        });
        Ok(Self { client, _driver: AbortOnDropHandle::new(driver) })
    }

    /// Runs statements that return nothing.
    pub(crate) async fn run(&self, sql: &str) -> anyhow::Result<()> {
        self.client.batch_execute(sql).await.with_context(|| format!("run {sql}"))
    }

    /// The one number that a query returns.
    pub(crate) async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let row = self.client.query_one(sql, &[]).await.with_context(|| format!("run {sql}"))?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// Process id of the server's process behind this connection, where it runs on this machine.
    pub(crate) async fn backend(&self) -> anyhow::Result<u32> {
        let pid = self.number("SELECT pg_backend_pid()::bigint").await?;
        u32::try_from(pid).context("read the server's process id")
    }

    /// Both sides begin with empty tables, no position and nothing left to write back.
    pub(crate) async fn empty(&self) -> anyhow::Result<()> {
        let names: Vec<&str> = tables().into_iter().map(Table::name).collect();
        self.run(&format!("TRUNCATE {}, positions", names.join(", "))).await?;
        self.run("CHECKPOINT").await
    }

    /// How many rows there are of chain events.
    pub(crate) async fn rows(&self) -> anyhow::Result<u64> {
        let counts: Vec<String> =
            tables().iter().map(|table| format!("(SELECT count(*) FROM {table})")).collect();
        self.number(&format!("SELECT {}", counts.join(" + "))).await
    }

    /// The stored rows as COPY writes them, split as persist splits them: as many whole blocks as fit into a
    /// transaction, sorted by key within each.
    pub(crate) async fn take_rows(&self, max_events: u64) -> anyhow::Result<Vec<CopyBatch>> {
        let sql = "SELECT block_number, event_rows::bigint + 1 FROM blocks ORDER BY block_number";
        let rows = self.client.query(sql, &[]).await.context("list the blocks")?;
        let blocks = rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
        let mut batches = Vec::new();
        for (first, last, events) in cut(blocks, max_events) {
            let mut batch = CopyBatch { events, bodies: Vec::new() };
            for table in tables() {
                if let Some(body) = self.copy_out(table, first, last).await? {
                    batch.bodies.push((table, body));
                }
            }
            batches.push(batch);
        }
        Ok(batches)
    }

    async fn copy_out(&self, table: Table, first: i64, last: i64) -> anyhow::Result<Option<Bytes>> {
        let columns = columns(table)?;
        // Keys come first in every table.
        let sql = format!(
            "COPY (SELECT {columns} FROM {table} WHERE block_number BETWEEN {first} AND {last} \
             ORDER BY 1, 2, 3, 4) TO STDOUT (FORMAT binary)"
        );
        let stream = self.client.copy_out(&sql).await.context("copy rows out")?;
        pin_mut!(stream);
        let mut body = BytesMut::new();
        while let Some(part) = stream.next().await {
            body.extend_from_slice(&part.context("copy rows out")?);
        }
        Ok((body.len() > EMPTY_COPY_BYTES).then(|| body.freeze()))
    }

    /// The raw limit: a transaction for each batch, a COPY for each table in it, and nothing else.
    pub(crate) async fn copy(&self, batches: &[CopyBatch]) -> anyhow::Result<()> {
        let mut statements: Vec<(Table, Statement)> = Vec::new();
        for table in tables() {
            let prepared = self.client.prepare(&table.copy_sql()).await;
            statements.push((table, prepared.context("prepare a COPY")?));
        }
        for batch in batches {
            let mut begin = Some(self.client.batch_execute("BEGIN"));
            for (table, body) in &batch.bodies {
                let statement = statements.iter().find(|(of, _)| of == table);
                let (_, statement) = statement.context("find the COPY of a table")?;
                let copy_in = self.client.copy_in(statement);
                let sink: CopyInSink<Bytes> = match begin.take() {
                    // Sent together: one round trip less.
                    Some(begin) => {
                        let (begun, sink) = futures::join!(begin, copy_in);
                        begun.context("begin")?;
                        sink
                    }
                    None => copy_in.await,
                }
                .context("begin a COPY")?;
                feed(sink, body).await?;
            }
            self.run("COMMIT").await?;
        }
        Ok(())
    }

    /// One COPY on its own.
    pub(crate) async fn copy_in(&self, sql: &str, body: Bytes) -> anyhow::Result<()> {
        feed(self.client.copy_in(sql).await.context("begin a COPY")?, &body).await
    }

    /// The indexes of a table that are not its key.
    pub(crate) async fn indexes(&self, table: Table) -> anyhow::Result<Vec<Index>> {
        let sql = "SELECT quote_ident(name.relname), pg_get_indexdef(indexrelid) FROM pg_index \
                   JOIN pg_class AS name ON name.oid = indexrelid \
                   WHERE indrelid = to_regclass($1) AND NOT indisprimary ORDER BY 1";
        let rows = self.client.query(sql, &[&table.name()]).await.context("list indexes")?;
        let index = |row: &tokio_postgres::Row| Index { name: row.get(0), definition: row.get(1) };
        Ok(rows.iter().map(index).collect())
    }

    /// Table and indexes, bytes; of a hypertable with its chunks.
    pub(crate) async fn bytes(&self, table: Table) -> anyhow::Result<f64> {
        let is_there = "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'";
        let size = format!("pg_total_relation_size('{table}')");
        let sql = match self.number(is_there).await? {
            0 => format!("SELECT {size}"),
            _ => format!("SELECT coalesce(hypertable_size('{table}'), {size})"),
        };
        Ok(self.number(&sql).await? as f64)
    }
}

async fn feed(sink: CopyInSink<Bytes>, body: &Bytes) -> anyhow::Result<()> {
    pin_mut!(sink);
    let mut rest = body.clone();
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
        sink.feed(chunk).await.context("copy rows in")?;
    }
    sink.finish().await.context("copy rows in")?;
    Ok(())
}

/// The columns of a table as persist writes them.
fn columns(table: Table) -> anyhow::Result<String> {
    let sql = table.copy_sql();
    let columns = sql.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let (columns, _) = columns.context("find the columns of a COPY")?;
    Ok(columns.to_owned())
}

/// First and last block of each batch, and its events: blocks are added while they fit; a larger one is a batch of its own.
fn cut(blocks: impl Iterator<Item = (i64, i64)>, max_events: u64) -> Vec<(i64, i64, u64)> {
    let mut batches: Vec<(i64, i64, u64)> = Vec::new();
    for (number, events) in blocks {
        let events = events.unsigned_abs();
        match batches.last_mut() {
            Some((_, last, sum)) if *sum + events <= max_events => {
                *last = number;
                *sum += events;
            }
            _ => batches.push((number, number, events)),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_whole_blocks_up_to_the_limit() {
        let blocks = [(1, 40), (2, 60), (3, 1), (4, 500), (5, 10)];
        let batches = cut(blocks.into_iter(), 100);
        assert_eq!(batches, [(1, 2, 100), (3, 3, 1), (4, 4, 500), (5, 5, 10)]);
    }
}
