//! The past of a chain from a node to committed rows: producer, nats-server, persist and PostgreSQL together on one machine.

mod past;

use std::time::Instant;

use anyhow::{Context as _, ensure};

use self::past::PastNode;
use crate::{
    child::Child,
    connection::{Connection, tables},
    options::Options,
    report::{Line, Report, Verdict},
    setup::{self, Database},
    stats::median,
    usage::{Usage, cpu_seconds_of_tree},
    worker::{BenchScope, EvmOutcome, Lane, PersistOutcome, PersistTask, Task},
};

/// Maximum memory of each role.
pub(super) const MEMORY_GOAL_MB: f64 = 100.0;

/// One round.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// From the producer's start to the last commit.
    seconds: f64,
    producer: EvmOutcome,
    persist: PersistOutcome,
    node_cpu: f64,
    broker_cpu: f64,
    postgres_cpu: f64,
    stream_bytes: f64,
    table_bytes: f64,
    rows: f64,
}

/// One past and what is taken of it.
struct Case<'a> {
    /// Begins the names of its results.
    key: &'a str,
    node: &'a PastNode,
    scope: BenchScope,
}

/// Measures each past several times, each time into a fresh stream and emptied tables.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let database = setup::database().await?;
    let connection = Connection::open(&database.url).await?;
    let node = PastNode::scripted(options).await?;
    let case = Case { key: "history_to_rows", node: &node, scope: BenchScope::Everything };
    measure_case(&case, options, (&database, &connection), report).await?;
    node.end().await?;
    let node = PastNode::anvil(options.history_blocks / 2).await?;
    for (key, scope) in [
        ("history_to_rows_anvil", BenchScope::Everything),
        ("history_to_rows_one_event", BenchScope::OneEvent),
    ] {
        let case = Case { key, node: &node, scope };
        measure_case(&case, options, (&database, &connection), report).await?;
    }
    node.end().await
}

async fn measure_case(
    case: &Case<'_>,
    options: &Options,
    (database, connection): (&Database, &Connection),
    report: &mut Report,
) -> anyhow::Result<()> {
    let events = case.node.events(case.scope).await?;
    let mut rounds = Vec::new();
    for _ in 0..options.repeat {
        connection.empty().await?;
        rounds.push(round(case, database, connection, events).await?);
    }
    let what = match case.scope {
        BenchScope::Everything => "everything",
        BenchScope::OneEvent => "one event of one contract",
    };
    let (blocks, bodies) = (case.node.blocks(), case.node.bodies());
    let title = format!("history to rows: {blocks} blocks, {bodies}, {what}");
    show(report, case.key, &title, events as f64, &rounds);
    Ok(())
}

async fn round(
    case: &Case<'_>,
    database: &Database,
    connection: &Connection,
    events: u64,
) -> anyhow::Result<Round> {
    let broker = setup::broker().await?;
    let nats_url = broker.server.url();
    let used = || {
        (
            Usage::of(case.node.pid()).cpu_seconds,
            Usage::of(broker.server.pid()).cpu_seconds,
            cpu_seconds_of_tree(database.server.pid()),
        )
    };
    let before = used();
    let persist = PersistTask {
        nats_url: nats_url.clone(),
        database_url: database.url.clone(),
        lane: Lane::History,
        messages: events,
    };
    let producer = case.node.task(nats_url, case.scope);
    let started = Instant::now();
    let stored = async {
        let outcome: PersistOutcome = Child::run(&Task::Persist(persist)).await?;
        anyhow::Ok((outcome, started.elapsed().as_secs_f64()))
    };
    let produced = async { Child::run::<EvmOutcome>(&Task::Evm(producer)).await };
    let ((persist, seconds), producer) =
        tokio::try_join!(stored, produced).context("take the past to the tables")?;
    let after = used();
    let rows = connection.rows().await?;
    ensure!(rows > 0, "persist stored nothing of {events} events");
    let mut table_bytes = 0.0;
    for table in tables() {
        table_bytes += connection.bytes(table).await?;
    }
    let stream_bytes = broker.nats.stream_state(Lane::History.stream()).await?.bytes as f64;
    Ok(Round {
        seconds,
        producer,
        persist,
        node_cpu: after.0 - before.0,
        broker_cpu: after.1 - before.1,
        postgres_cpu: after.2 - before.2,
        stream_bytes,
        table_bytes,
        rows: rows as f64,
    })
}

fn show(report: &mut Report, key: &str, title: &str, events: f64, rounds: &[Round]) {
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
    let per_second = events / of(|round| round.seconds);
    report.put(format!("{key}_events_per_second"), per_second);
    let line = Line::new("from the node's websocket to the last commit").number(per_second);
    report.table(&[title, "events/s"], &[line]);
    let per_event = |value: fn(&Round) -> f64| of(value) * 1e6 / events;
    let peak = |value: fn(&Round) -> u64| rounds.iter().map(value).max().unwrap_or(0) as f64 / 1e6;
    let producer_peak = peak(|round| round.producer.usage.peak_memory_bytes);
    let persist_peak = peak(|round| round.persist.usage.peak_memory_bytes);
    let costs = [
        ("node_cpu_us_per_event", "node's CPU, µs per event", per_event(|round| round.node_cpu)),
        (
            "producer_cpu_us_per_event",
            "producer's CPU, µs per event",
            per_event(|round| round.producer.usage.cpu_seconds),
        ),
        (
            "nats_cpu_us_per_event",
            "nats-server's CPU, µs per event",
            per_event(|round| round.broker_cpu),
        ),
        (
            "persist_cpu_us_per_event",
            "persist's CPU, µs per event",
            per_event(|round| round.persist.usage.cpu_seconds),
        ),
        (
            "postgres_cpu_us_per_event",
            "PostgreSQL's CPU, µs per event",
            per_event(|round| round.postgres_cpu),
        ),
        ("producer_peak_memory_mb", "producer's peak memory, MB", producer_peak),
        ("persist_peak_memory_mb", "persist's peak memory, MB", persist_peak),
        (
            "stream_bytes_per_event",
            "bytes in the stream per event",
            of(|round| round.stream_bytes) / events,
        ),
        (
            "table_bytes_per_row",
            "bytes in tables and indexes per row",
            of(|round| round.table_bytes / round.rows),
        ),
        ("events", "events in all, markers included", events),
    ];
    report.costs(key, &costs);
    report.judge(
        &format!("{key}_memory"),
        Verdict::of(producer_peak.max(persist_peak) < MEMORY_GOAL_MB),
        &format!(
            "{producer_peak:.0} and {persist_peak:.0} MB for producer and persist, {MEMORY_GOAL_MB} allowed each"
        ),
    );
}
