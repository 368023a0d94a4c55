//! Queries over many rows: how long the summaries and typical queries take, before and after compression.

mod questions;
pub(super) mod rows;

use std::{fmt, time::Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use crypto_intel_service::now_us;
use crypto_intel_store::{Edition, Table};
use tokio::sync::mpsc;

use self::{
    questions::Question,
    rows::{ROWS_PER_BLOCK, Rows, Span, TABLES},
};
use crate::{
    connection::Connection,
    options::Options,
    report::{Line, Report},
    setup,
    stats::median,
};

/// Blocks of one COPY.
const BLOCKS_AT_ONCE: u64 = 500;
/// How often a query runs; the first time is shown separately.
const TIMES: usize = 5;

/// How long a query took, milliseconds.
#[derive(Debug)]
struct Answered {
    question: Question,
    outcome: Result<Took, String>,
}

#[derive(Debug)]
struct Took {
    first_ms: f64,
    again_ms: f64,
    rows: usize,
}

/// Loads the rows, asks, compresses where the server can, and asks again.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let database = setup::query_database().await?;
    let (connection, edition) = (&database.connection, &database.edition);
    report.put_text("queries_server", edition.to_string());
    let end_us = now_us();
    let loaded = load(connection, options.rows, options.days, end_us).await?;
    report.put("queries_rows", loaded.rows as f64);
    report.put("queries_copy_seconds", loaded.copy_seconds);
    report.put("queries_index_seconds", loaded.index_seconds);
    report.say(&loaded.to_string());
    let end = format!("to_timestamp({})", end_us / 1_000_000 + 1);
    let before = ask(connection, &end, options.days).await?;
    let after = if matches!(edition, Edition::TimescaleCommunity(_)) {
        compress(connection, report).await?;
        Some(ask(connection, &end, options.days).await?)
    } else {
        report.say(&format!("{edition}: no compression to compare with"));
        None
    };
    show(report, &format!("{} rows, {edition}", options.rows), &before, after.as_deref());
    Ok(())
}

/// What it took to fill the tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loaded {
    pub(super) rows: u64,
    pub(super) copy_seconds: f64,
    pub(super) index_seconds: f64,
}

impl fmt::Display for Loaded {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, copy_seconds, index_seconds } = self;
        write!(
            to,
            "{rows} rows COPYed in {copy_seconds:.0} s, indexes and statistics made in {index_seconds:.0} s"
        )
    }
}

/// COPYs about this many rows, of so many days, into tables that have only their keys, then makes the other indexes.
pub(super) async fn load(
    connection: &Connection,
    rows: u64,
    days: Option<u32>,
    end_us: i64,
) -> anyhow::Result<Loaded> {
    let blocks = (rows / ROWS_PER_BLOCK).max(1);
    let span = Span::new(blocks, days, end_us);
    let mut definitions = Vec::new();
    for table in TABLES {
        for index in connection.indexes(table).await? {
            connection.run(&format!("DROP INDEX {}", index.name)).await?;
            definitions.push(index.definition);
        }
    }
    let started = Instant::now();
    let mut generated = generate(blocks, span);
    while let Some(bodies) = generated.recv().await {
        for (table, body) in bodies? {
            connection.copy_in(&table.copy_sql(), body).await?;
        }
    }
    let copy_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    for definition in definitions {
        connection.run(&definition).await?;
    }
    for table in TABLES {
        connection.run(&format!("VACUUM (ANALYZE) {table}")).await?;
    }
    let index_seconds = started.elapsed().as_secs_f64();
    refresh_aggregates(connection).await?;
    Ok(Loaded { rows: blocks * ROWS_PER_BLOCK, copy_seconds, index_seconds })
}

/// Generates rows during the COPY of the previous ones.
fn generate(blocks: u64, span: Span) -> mpsc::Receiver<anyhow::Result<Vec<(Table, Bytes)>>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut rows = Rows::new(blocks, span);
        loop {
            let bodies = rows.next_bodies(BLOCKS_AT_ONCE);
            let is_last = bodies.as_ref().map_or(true, Vec::is_empty);
            if sender.blocking_send(bodies).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// Queries do not see what a continuous aggregate does not hold yet. Nothing was dropped here, so a full refresh loses
/// nothing. In the order of their creation, because one may be built on another.
async fn refresh_aggregates(connection: &Connection) -> anyhow::Result<()> {
    let sql = "SELECT format('%I.%I', view_schema, view_name) \
               FROM timescaledb_information.continuous_aggregates \
               ORDER BY length(materialization_hypertable_name), materialization_hypertable_name";
    let has_any = "SELECT to_regclass('timescaledb_information.continuous_aggregates') IS NOT NULL";
    let has_any: bool = connection.client.query_one(has_any, &[]).await?.get(0);
    if !has_any {
        return Ok(());
    }
    for row in connection.client.query(sql, &[]).await.context("list aggregates")? {
        let name: String = row.get(0);
        connection.run(&format!("CALL refresh_continuous_aggregate('{name}', NULL, NULL)")).await?;
    }
    Ok(())
}

async fn ask(
    connection: &Connection,
    end: &str,
    days: Option<u32>,
) -> anyhow::Result<Vec<Answered>> {
    let mut answers = Vec::new();
    for question in questions::all(&connection.client, end, days).await? {
        let outcome = match &question.sql {
            Ok(sql) => time(connection, sql).await.map_err(|error| format!("{error:#}")),
            Err(unknown) => Err(format!("the bench does not know what to give for {unknown}")),
        };
        answers.push(Answered { question, outcome });
    }
    ensure!(answers.iter().any(|answer| answer.outcome.is_ok()), "no question was answered");
    Ok(answers)
}

async fn time(connection: &Connection, sql: &str) -> anyhow::Result<Took> {
    let mut elapsed = Vec::new();
    let mut rows = 0;
    for _ in 0..TIMES {
        let started = Instant::now();
        // With planning, as for a first query.
        let answer =
            connection.client.query(sql, &[]).await.with_context(|| format!("ask {sql}"))?;
        elapsed.push(started.elapsed().as_secs_f64() * 1_000.0);
        rows = answer.len();
    }
    let again_ms = median(elapsed.iter().skip(1).copied());
    Ok(Took { first_ms: elapsed.first().copied().unwrap_or_default(), again_ms, rows })
}

/// Puts every chunk into the column store. Tables without compression settings get those of `docs/benchmarks.md`.
async fn compress(connection: &Connection, report: &mut Report) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for table in TABLES {
        let chunks = format!(
            "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = '{table}'"
        );
        if connection.number(&chunks).await? == 0 {
            continue;
        }
        let before = connection.bytes(table).await?;
        let chosen = format!(
            "SELECT count(*) FROM timescaledb_information.hypertables \
             WHERE hypertable_name = '{table}' AND compression_enabled"
        );
        if connection.number(&chosen).await? == 0 {
            let (segment, order) = match table {
                Table::MarketTicks => ("asset, quote, source", "event_at DESC"),
                Table::NativeTransfers => ("chain", "block_time DESC, tx_index"),
                _ => ("chain", "block_time DESC, log_index"),
            };
            connection
                .run(&format!(
                    "ALTER TABLE {table} SET (timescaledb.compress, \
                     timescaledb.compress_segmentby = '{segment}', \
                     timescaledb.compress_orderby = '{order}')"
                ))
                .await?;
        }
        let started = Instant::now();
        let chunks = format!("SELECT chunk::text FROM show_chunks('{table}') AS chunk");
        for row in connection.client.query(&chunks, &[]).await.context("list chunks")? {
            let chunk: String = row.get(0);
            // Each in a transaction of its own, as the policy does it.
            connection.run(&format!("SELECT compress_chunk('{chunk}', true)")).await?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let after = connection.bytes(table).await?;
        report.put(format!("queries_{table}_compression_ratio"), before / after.max(1.0));
        let line = Line::new(table.name()).number(before / 1e6).number(after / 1e6);
        lines.push(line.number(before / after.max(1.0)).number(seconds));
    }
    report.table(&["compression", "MB before", "MB after", "times smaller", "s"], &lines);
    Ok(())
}

fn show(report: &mut Report, title: &str, before: &[Answered], after: Option<&[Answered]>) {
    let mut heads = vec![title, "rows in the answer", "first ms", "again ms"];
    if after.is_some() {
        heads.extend(["compressed, first ms", "again ms"]);
    }
    let mut lines = Vec::new();
    let mut failures = Vec::new();
    for (place, answer) in before.iter().enumerate() {
        let key = &answer.question.key;
        let took = match &answer.outcome {
            Ok(took) => took,
            Err(error) => {
                failures.push(format!("{} was not answered: {error}", answer.question.what));
                continue;
            }
        };
        report.put(format!("query_{key}_ms"), took.again_ms);
        let line = Line::new(&answer.question.what).count(took.rows as u64);
        let mut line = line.number(took.first_ms).number(took.again_ms);
        if let Some(Ok(took)) = after.and_then(|after| after.get(place)).map(|it| &it.outcome) {
            report.put(format!("query_{key}_compressed_ms"), took.again_ms);
            line = line.number(took.first_ms).number(took.again_ms);
        }
        lines.push(line);
    }
    report.table(&heads, &lines);
    for failure in failures {
        report.say(&failure);
    }
}
