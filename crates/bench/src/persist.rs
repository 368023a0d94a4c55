//! From the stream to committed rows, beside a loop that only COPYs the same rows.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use crypto_intel_store::Table;
use futures::{SinkExt as _, StreamExt as _, pin_mut};
use tokio_postgres::{Client, CopyInSink, NoTls, Statement};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    child::Child,
    options::Options,
    publish::Source,
    report::{Line, Report},
    setup::{self, Database},
    stats::median,
    usage::cpu_seconds_with_children,
    worker::{PersistOutcome, PersistTask, Task},
};

/// Bytes given to the connection at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// The tables that chain events become rows of.
const TABLES: [Table; 7] = [
    Table::TokenTransfers,
    Table::NativeTransfers,
    Table::Approvals,
    Table::Contracts,
    Table::Logs,
    Table::BlockGas,
    Table::Blocks,
];

/// A direct connection.
#[derive(Debug)]
struct Connection {
    client: Client,
    _driver: AbortOnDropHandle<()>,
}

/// The rows of one transaction, by place in [`TABLES`].
type CopyBatch = Vec<(usize, Bytes)>;

/// What each round measured.
#[derive(Debug, Default)]
struct Rounds {
    fresh: Vec<PersistOutcome>,
    known: Vec<PersistOutcome>,
    postgres_cpu: Vec<f64>,
    copy: Vec<f64>,
    copy_postgres_cpu: Vec<f64>,
}

/// Stores the filled stream by each side in turns, always into the same emptied tables.
pub(crate) async fn measure(
    options: &Options,
    source: &Source,
    report: &mut Report,
) -> anyhow::Result<()> {
    let database = setup::database().await?;
    let connection = Connection::open(&database.url).await?;
    // Once unmeasured: gives the rows, and files that both sides then find there.
    connection.empty().await?;
    let first = store(source, &database).await?;
    let rows = connection.take_rows(source.blocks, first.batches.max(1)).await?;
    connection.empty().await?;
    connection.copy(&rows).await?;
    let mut rounds = Rounds::default();
    for _ in 0..options.repeat {
        connection.empty().await?;
        let cpu_before = cpu_seconds_with_children(database.server.pid());
        rounds.fresh.push(store(source, &database).await?);
        let cpu = cpu_seconds_with_children(database.server.pid()) - cpu_before;
        rounds.postgres_cpu.push(cpu);
        connection.run("UPDATE positions SET sequence = 0, stored_at_us = 0").await?;
        rounds.known.push(store(source, &database).await?);
        connection.empty().await?;
        let cpu_before = cpu_seconds_with_children(database.server.pid());
        let started = Instant::now();
        connection.copy(&rows).await?;
        rounds.copy.push(started.elapsed().as_secs_f64());
        let cpu = cpu_seconds_with_children(database.server.pid()) - cpu_before;
        rounds.copy_postgres_cpu.push(cpu);
        connection.same_rows(source).await?;
    }
    let table_bytes = connection.bytes().await?;
    show(report, source, &rounds, rows.len(), table_bytes);
    Ok(())
}

async fn store(source: &Source, database: &Database) -> anyhow::Result<PersistOutcome> {
    let task = PersistTask {
        nats_url: source.broker.server.url(),
        database_url: database.url.clone(),
        messages: source.messages,
    };
    Child::run(&Task::Persist(task)).await
}

impl Connection {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let (client, driver) =
            tokio_postgres::connect(url, NoTls).await.context("connect to the database")?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                eprintln!("crypto-intel-bench: database connection lost: {error}");
            }
        });
        Ok(Self { client, _driver: AbortOnDropHandle::new(driver) })
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        self.client.batch_execute(sql).await.with_context(|| format!("run {sql}"))
    }

    /// Both sides begin with empty tables, no position and nothing left to write back.
    async fn empty(&self) -> anyhow::Result<()> {
        let names = TABLES.map(Table::name).join(", ");
        self.run(&format!("TRUNCATE {names}, positions")).await?;
        self.run("CHECKPOINT").await
    }

    /// The stored rows as COPY writes them, split as persist split them: whole blocks, as many transactions, sorted by
    /// key within each.
    async fn take_rows(&self, blocks: u64, batches: u64) -> anyhow::Result<Vec<CopyBatch>> {
        let per_batch = blocks.div_ceil(batches).max(1);
        let mut all = Vec::new();
        for first in (1..=blocks).step_by(per_batch as usize) {
            let mut batch = Vec::new();
            for (place, table) in TABLES.into_iter().enumerate() {
                let body = self.copy_out(table, first, first + per_batch).await?;
                if let Some(body) = body {
                    batch.push((place, body));
                }
            }
            all.push(batch);
        }
        Ok(all)
    }

    async fn copy_out(&self, table: Table, from: u64, to: u64) -> anyhow::Result<Option<Bytes>> {
        let sql = table.copy_sql();
        let columns = sql.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let (columns, _) = columns.context("find the columns of a COPY")?;
        let rows = format!("FROM {table} WHERE block_number >= {from} AND block_number < {to}");
        let count = self.client.query_one(&format!("SELECT count(*) {rows}"), &[]).await;
        let count: i64 = count.context("count rows")?.get(0);
        if count == 0 {
            return Ok(None);
        }
        // Keys come first in every table.
        let sql =
            format!("COPY (SELECT {columns} {rows} ORDER BY 1, 2, 3, 4) TO STDOUT (FORMAT binary)");
        let stream = self.client.copy_out(&sql).await.context("copy rows out")?;
        pin_mut!(stream);
        let mut body = BytesMut::new();
        while let Some(part) = stream.next().await {
            body.extend_from_slice(&part.context("copy rows out")?);
        }
        Ok(Some(body.freeze()))
    }

    /// The limit: a transaction for each batch, a COPY for each table in it, and nothing else.
    async fn copy(&self, batches: &[CopyBatch]) -> anyhow::Result<()> {
        let mut statements: Vec<Statement> = Vec::new();
        for table in TABLES {
            let prepared = self.client.prepare(&table.copy_sql()).await;
            statements.push(prepared.context("prepare a COPY")?);
        }
        for batch in batches {
            let mut begin = Some(self.client.batch_execute("BEGIN"));
            for (place, body) in batch {
                let copy_in = self.client.copy_in(&statements[*place]);
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
                pin_mut!(sink);
                let mut rest = body.clone();
                while !rest.is_empty() {
                    let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
                    sink.feed(chunk).await.context("copy rows in")?;
                }
                sink.finish().await.context("copy rows in")?;
            }
            self.run("COMMIT").await?;
        }
        Ok(())
    }

    async fn same_rows(&self, source: &Source) -> anyhow::Result<()> {
        let counts = TABLES.map(|table| format!("(SELECT count(*) FROM {table})")).join(" + ");
        let row = self.client.query_one(&format!("SELECT {counts}"), &[]).await?;
        let rows = row.get::<_, i64>(0).unsigned_abs();
        ensure!(rows > source.messages / 2, "only {rows} rows of {}", source.messages);
        Ok(())
    }

    /// Tables and indexes, bytes.
    async fn bytes(&self) -> anyhow::Result<f64> {
        let sizes = TABLES.map(|table| format!("pg_total_relation_size('{table}')")).join(" + ");
        let row = self.client.query_one(&format!("SELECT {sizes}"), &[]).await?;
        Ok(row.get::<_, i64>(0) as f64)
    }
}

fn show(report: &mut Report, source: &Source, rounds: &Rounds, batches: usize, table_bytes: f64) {
    let messages = source.messages as f64;
    let seconds = |outcomes: &[PersistOutcome]| {
        median(outcomes.iter().map(|outcome| outcome.seconds)).max(1e-9)
    };
    let copy = median(rounds.copy.iter().copied()).max(1e-9);
    let cpu = median(rounds.fresh.iter().map(|outcome| outcome.usage.cpu_seconds));
    let peak = median(rounds.fresh.iter().map(|outcome| outcome.usage.peak_memory_bytes as f64));
    let sides = [
        ("persist", "persist, fresh rows", seconds(&rounds.fresh)),
        ("persist_duplicates", "persist, every row known", seconds(&rounds.known)),
        ("persist_raw", "bare loop: COPY of the same rows", copy),
    ];
    let mut lines = Vec::new();
    for (key, what, seconds) in sides {
        report.put(format!("{key}_events_per_second"), messages / seconds);
        if key != "persist_raw" {
            report.put(format!("{key}_ratio"), copy / seconds);
        }
        lines.push(Line::new(what).number(messages / seconds).number(copy / seconds));
    }
    report.table(&["persist", "events/s", "of COPY"], &lines);
    let transactions = median(rounds.fresh.iter().map(|outcome| outcome.batches as f64));
    let postgres = median(rounds.postgres_cpu.iter().copied());
    let copy_postgres = median(rounds.copy_postgres_cpu.iter().copied());
    let inside = rounds.fresh.iter().map(|outcome| outcome.transaction_seconds / outcome.seconds);
    let costs = [
        ("cpu_us_per_event", "persist's CPU, µs per event", cpu * 1e6 / messages),
        ("postgres_cpu_us_per_event", "PostgreSQL's CPU, µs per event", postgres * 1e6 / messages),
        (
            "raw_postgres_cpu_us_per_event",
            "PostgreSQL's CPU in the bare loop, µs per event",
            copy_postgres * 1e6 / messages,
        ),
        ("in_transaction_ratio", "share of its time inside transactions", median(inside)),
        ("peak_memory_mb", "persist's peak memory, MB", peak / 1e6),
        ("events_per_transaction", "events in a transaction", messages / transactions.max(1.0)),
        ("raw_transactions", "transactions of the bare loop", batches as f64),
        ("bytes_per_event", "bytes per event in tables and indexes", table_bytes / messages),
    ];
    let mut lines = Vec::new();
    for (suffix, what, value) in costs {
        report.put(format!("persist_{suffix}"), value);
        lines.push(Line::new(what).number(value));
    }
    report.table(&["its cost", ""], &lines);
}
