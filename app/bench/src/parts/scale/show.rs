//! The tables of this part: each figure, and how many times that of the first line it is.

use super::run::Measured;
use crate::{
    parts::history_to_rows::MEMORY_GOAL_MB,
    report::{self, Report, Verdict},
};

const SECONDS_PER_DAY: f64 = 86_400.0;

/// A line with its names.
#[derive(Debug)]
pub(super) struct Line {
    /// In the summary.
    key: String,
    /// In the tables.
    what: String,
    pub(super) measured: Measured,
}

impl Line {
    pub(super) const fn new(key: String, what: String, measured: Measured) -> Self {
        Self { key, what, measured }
    }
}

/// A figure of every line: end of its key, head of its column, value.
type Column = (&'static str, &'static str, fn(&Measured) -> f64);

const OFFERED: Column =
    ("offered_per_second", "events/s offered", |measured| measured.offered_per_second);
const STORED: Column =
    ("events_per_second", "events/s stored", |measured| measured.stored_per_second);
const CAUGHT_UP: Column =
    ("caught_up_seconds", "s until caught up", |measured| measured.caught_up_seconds);
const BEHIND: Column =
    ("behind_blocks", "blocks behind at the end", |measured| measured.behind_blocks);
const ROW_P50: Column =
    ("head_to_row_p50_ms", "head to row p50 ms", |measured| measured.row_p50_ms);
const ROW_P99: Column = ("head_to_row_p99_ms", "p99 ms", |measured| measured.row_p99_ms);
const PRODUCER_US: Column =
    ("producer_cpu_us_per_event", "producer", |measured| measured.producer_us);
const BROKER_US: Column = ("nats_cpu_us_per_event", "nats-server", |measured| measured.broker_us);
const PERSIST_US: Column = ("persist_cpu_us_per_event", "persist", |measured| measured.persist_us);
const POSTGRES_US: Column =
    ("postgres_cpu_us_per_event", "PostgreSQL", |measured| measured.postgres_us);
const NODE_US: Column = ("node_cpu_us_per_event", "nodes", |measured| measured.node_us);
const ALL_US: Column = ("cpu_us_per_event", "all but the nodes", Measured::cpu_us);
const WAL: Column = ("wal_bytes_per_event", "WAL bytes an event", |measured| measured.wal_bytes);
const PAGES: Column =
    ("pages_read_per_event", "pages read an event", |measured| measured.pages_read);
const PRODUCER_MB: Column =
    ("producer_peak_memory_mb", "producer", |measured| measured.producer_mb);
const PERSIST_MB: Column = ("persist_peak_memory_mb", "persist", |measured| measured.persist_mb);
const PERSIST_PEAK: Column =
    ("persist_peak_memory_mb", "persist's peak MB", |measured| measured.persist_mb);
const BROKER_MB: Column = ("nats_peak_memory_mb", "nats-server", |measured| measured.broker_mb);
const TASKS: Column = ("producer_tasks", "producer's tasks", |measured| measured.tasks);
const BATCH: Column = ("events_per_batch", "events a batch", |measured| measured.batch_events);
const TRANSACTION: Column =
    ("events_per_transaction", "events a transaction", |measured| measured.transaction_events);
const CONNECTIONS: Column =
    ("producer_connections", "its connections", |measured| measured.producer_connections);
const BROKER_CONNECTIONS: Column =
    ("nats_connections", "nats-server's", |measured| measured.broker_connections);

/// Chains that grow.
pub(super) fn live(report: &mut Report, title: &str, lines: &[Line]) {
    table(report, title, lines, &[OFFERED, STORED, BEHIND, ROW_P50, ROW_P99]);
    let costs = [ALL_US, PRODUCER_US, BROKER_US, PERSIST_US, POSTGRES_US, NODE_US];
    table(report, "CPU, µs an event", lines, &costs);
    let held = [PRODUCER_MB, PERSIST_MB, BROKER_MB, TASKS, CONNECTIONS, BROKER_CONNECTIONS];
    table(report, "peak memory, MB", lines, &held);
    table(report, "committed together", lines, &[BATCH, TRANSACTION]);
}

/// A persist that is behind, and then is not.
pub(super) fn behind(report: &mut Report, title: &str, lines: &[Line]) {
    table(report, title, lines, &[CAUGHT_UP, STORED, ROW_P50, ROW_P99, PERSIST_PEAK]);
    let costs = [BROKER_US, PERSIST_US, POSTGRES_US, WAL, PAGES];
    table(report, "catching up: CPU, µs an event", lines, &costs);
}

fn table(report: &mut Report, title: &str, lines: &[Line], columns: &[Column]) {
    let Some(first) = lines.first() else { return };
    let mut heads = vec![title];
    heads.extend(columns.iter().map(|(_, head, _)| *head));
    let mut rows = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let mut row = report::Line::new(&line.what);
        for (key, _, value) in columns {
            let key = format!("scale_{}_{key}", line.key);
            let (value, first) = (value(&line.measured), value(&first.measured));
            report.put(&key, value);
            if place == 0 {
                row = row.number(value);
                continue;
            }
            if first > 0.0 {
                report.put(format!("{key}_ratio"), value / first);
            }
            row = row.grown(value, first);
        }
        rows.push(row);
    }
    report.table(&heads, &rows);
}

/// How much of a day the backlog is: catching up takes as many times longer, as far as it grows in proportion.
pub(super) fn day(report: &mut Report, backlog: &Measured) {
    let day = backlog.offered_per_second * SECONDS_PER_DAY;
    let factor = day / backlog.backlog_events.max(1.0);
    // While it stores the day, the chain makes more.
    let gained = (backlog.stored_per_second - backlog.offered_per_second).max(1e-9);
    report.put("scale_backlog_day_ratio", factor);
    report.put("scale_backlog_day_hours", day / gained / 3_600.0);
    report.say(&format!(
        "a day of this chain is {factor:.0} times the backlog: {:.1} hours at this rate",
        day / gained / 3_600.0
    ));
}

/// Memory must not grow with what there is to do.
pub(super) fn judge(report: &mut Report, lines: &[Line]) {
    let peak = |value: fn(&Measured) -> f64| {
        lines.iter().map(|line| value(&line.measured)).fold(0.0, f64::max)
    };
    let producer = peak(|measured| measured.producer_mb);
    let persist = peak(|measured| measured.persist_mb);
    report.judge(
        "scale_memory",
        Verdict::of(producer.max(persist) < MEMORY_GOAL_MB),
        &format!(
            "{producer:.0} and {persist:.0} MB for producer and persist on any line, {MEMORY_GOAL_MB} allowed each"
        ),
    );
}
