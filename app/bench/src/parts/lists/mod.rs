//! The lists of the API over many rows, on PostgreSQL and on TimescaleDB: how long each takes, and that none reads a large table or
//! chunk from begin to end.

mod questions;
mod rows;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use crypto_intel_sandbox::Postgres;
use crypto_intel_service::Secret;
use crypto_intel_store::{Edition, ReadLimits, Store, StoreConfig};

use self::questions::Question;
use crate::{
    connection::Connection,
    options::Options,
    report::{Line, Report},
    setup::{self, QueryDatabase},
    stats::percentile,
};

/// Rows of transfers.
const MAX_ROWS: u64 = 1_000_000;
/// How often each list is asked, after the first time.
const TIMES: usize = 100;
/// A relation of fewer rows may be read as a whole.
const LARGE: u32 = 5_000;
/// The server tells its counts when a connection ends.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// On the server of `DATABASE_URL`; else on PostgreSQL, and on TimescaleDB where `make timescale` has put it.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let rows = options.rows.min(MAX_ROWS);
    measure_on(setup::query_database().await?, rows, report).await?;
    if std::env::var_os("DATABASE_URL").is_some() {
        return Ok(());
    }
    match Postgres::timescale_database().await {
        Ok(database) => measure_on(setup::prepared(database).await?, rows, report).await,
        Err(error) => {
            report.say(&format!("TimescaleDB was not measured: {error:#}"));
            Ok(())
        }
    }
}

async fn measure_on(database: QueryDatabase, rows: u64, report: &mut Report) -> anyhow::Result<()> {
    let connection = &database.connection;
    rows::fill(connection, rows).await?;
    let (key, is_community) = match &database.edition {
        Edition::Plain => ("plain", false),
        Edition::TimescaleCommunity(_) => ("community", true),
        _ => ("timescale", false),
    };
    if is_community {
        let compressed = rows::compress_half(connection).await?;
        report.say(&format!("{compressed} chunks, the older half, are in the column store"));
    }
    let title = format!("lists over {rows} rows, {}", database.edition);
    let mut lines = Vec::new();
    let mut scanned = Vec::new();
    for (name, what, question) in questions::all(connection).await? {
        let before = large_scans(connection).await?;
        let took = ask(database.url(), &question).await.with_context(|| format!("ask {what}"))?;
        let found = told_scans(connection, &before).await?;
        let figures = [
            ("p50_ms", percentile(took.iter().copied(), 0.5)),
            ("p99_ms", percentile(took.iter().copied(), 0.99)),
        ];
        let mut line = Line::new(what);
        for (figure, value) in figures {
            report.put(format!("list_{key}_{name}_{figure}"), value);
            line = line.number(value);
        }
        lines.push(line.count(found.len() as u64));
        scanned.extend(found.into_iter().map(|table| format!("{what}: {table}")));
    }
    report.table(&[&title, "p50 ms", "p99 ms", "tables read from begin to end"], &lines);
    report.put(format!("list_{key}_sequential_scans"), scanned.len() as f64);
    for one in &scanned {
        report.say(&format!("read from begin to end: {one}"));
    }
    Ok(())
}

/// Milliseconds of each time but the first.
async fn ask(url: &str, question: &Question) -> anyhow::Result<Vec<f64>> {
    let config = StoreConfig { url: Secret::new(url), ..StoreConfig::default() };
    let limits = ReadLimits {
        pool_size: 1,
        statement_timeout: Duration::from_secs(60),
        wait: Duration::from_secs(60),
    };
    let store = Store::reader(&config, limits)?;
    let mut took = Vec::new();
    for _ in 0..=TIMES {
        let started = Instant::now();
        question.ask(&store).await?;
        took.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    took.remove(0);
    Ok(took)
}

/// Counts of each large relation: its name, and how often it was read from begin to end and by indexes.
type Scans = Vec<(String, i64, i64)>;

async fn large_scans(connection: &Connection) -> anyhow::Result<Scans> {
    let sql = format!(
        "SELECT pg_class.relname::text AS relname, coalesce(seq_scan, 0), coalesce(idx_scan, 0) FROM pg_stat_user_tables \
         JOIN pg_class ON pg_class.oid = relid WHERE reltuples > {LARGE} ORDER BY 1"
    );
    // A transaction sees the counts of its first look.
    let rows = connection.client.query(&sql, &[]).await.context("read the server's counts")?;
    Ok(rows.iter().map(|row| (row.get("relname"), row.get(1), row.get(2))).collect())
}

/// The large relations that were read from begin to end since `before`, as soon as the server tells of anything.
async fn told_scans(connection: &Connection, before: &Scans) -> anyhow::Result<Vec<String>> {
    let started = Instant::now();
    loop {
        let after = large_scans(connection).await?;
        if after != *before || started.elapsed() > TOLD_WITHIN {
            let was = |name: &str| before.iter().find(|one| one.0 == name).map_or(0, |one| one.1);
            let read = after.into_iter().filter(|(name, scans, _)| *scans > was(name));
            return Ok(read.map(|(name, ..)| name).collect());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
