//! The tables of the storage part.

use super::{Place, Rounds, Stored};
use crate::{
    report::{Line, Report, Verdict},
    stats::median,
    usage::cores,
    worker::ReadOutcome,
};

/// Minimum share of the bare COPY loop's rate, for fresh rows.
const GOAL: f64 = 0.8;

/// Seconds of each side.
struct Sides {
    fresh: f64,
    known: f64,
    copy: f64,
    reader: f64,
    bare: f64,
}

impl Sides {
    fn of(rounds: &Rounds) -> Self {
        let stored =
            |side: &[Stored]| median(side.iter().map(|stored| stored.persist.seconds)).max(1e-9);
        let read = |side: &[ReadOutcome]| median(side.iter().map(|read| read.seconds)).max(1e-9);
        Self {
            fresh: stored(&rounds.fresh),
            known: stored(&rounds.known),
            copy: median(rounds.copy.iter().map(|(seconds, _)| *seconds)).max(1e-9),
            reader: read(&rounds.reader),
            bare: read(&rounds.bare),
        }
    }
}

pub(super) fn all(report: &mut Report, place: &Place<'_>, rounds: &Rounds) {
    let sides = Sides::of(rounds);
    rates(report, place, &sides);
    costs(report, place, rounds);
    mix(report, place);
    let share = sides.copy / sides.fresh;
    report.judge(
        "persist_rate",
        Verdict::of(share >= GOAL),
        &format!("fresh rows at {share:.2} of the bare COPY loop, {GOAL} wanted"),
    );
}

fn rates(report: &mut Report, place: &Place<'_>, sides: &Sides) {
    let messages = place.source.messages as f64;
    let lines = [
        ("persist", "persist, fresh rows", sides.fresh),
        ("persist_duplicates", "persist, every row known", sides.known),
        ("persist_raw", "bare loop: COPY of the same rows", sides.copy),
        ("persist_reader", "our reader alone, events decoded", sides.reader),
        ("persist_reader_raw", "the client's pull consumer alone", sides.bare),
    ];
    let lines = lines.map(|(key, what, seconds)| {
        report.put(format!("{key}_events_per_second"), messages / seconds);
        let of = [sides.copy, sides.reader, sides.bare].map(|limit| limit / seconds);
        if ["persist", "persist_duplicates"].contains(&key) {
            report.put(format!("{key}_ratio"), of[0]);
            report.put(format!("{key}_of_reader_ratio"), of[1]);
            report.put(format!("{key}_of_reader_raw_ratio"), of[2]);
        }
        Line::new(what).number(messages / seconds).number(of[0]).number(of[1]).number(of[2])
    });
    let title = format!("persist: {} blocks, {}", place.source.blocks, place.source.bodies);
    report.table(&[&title, "events/s", "of COPY", "of our reader", "of the client"], &lines);
}

fn costs(report: &mut Report, place: &Place<'_>, rounds: &Rounds) {
    let messages = place.source.messages as f64;
    let fresh = |value: fn(&Stored) -> f64| median(rounds.fresh.iter().map(value));
    let known = |value: fn(&Stored) -> f64| median(rounds.known.iter().map(value));
    let per_event = |seconds: f64| seconds * 1e6 / messages;
    let copy_cpu = median(rounds.copy.iter().map(|(_, cpu)| *cpu));
    let transactions = fresh(|stored| stored.persist.batches as f64);
    let stored_bytes: f64 = place.mix.iter().map(|share| share.stored_bytes).sum();
    let costs = [
        (
            "cpu_us_per_event",
            "persist's CPU, µs per event",
            per_event(fresh(|stored| stored.persist.usage.cpu_seconds)),
        ),
        (
            "postgres_cpu_us_per_event",
            "PostgreSQL's CPU, µs per event",
            per_event(fresh(|stored| stored.postgres_cpu)),
        ),
        (
            "nats_cpu_us_per_event",
            "nats-server's CPU, µs per event",
            per_event(fresh(|stored| stored.broker_cpu)),
        ),
        (
            "duplicates_cpu_us_per_event",
            "persist's CPU where every row is known, µs per event",
            per_event(known(|stored| stored.persist.usage.cpu_seconds)),
        ),
        (
            "duplicates_postgres_cpu_us_per_event",
            "PostgreSQL's CPU where every row is known, µs per event",
            per_event(known(|stored| stored.postgres_cpu)),
        ),
        (
            "raw_postgres_cpu_us_per_event",
            "PostgreSQL's CPU in the bare loop, µs per event",
            per_event(copy_cpu),
        ),
        (
            "busy_ratio",
            "share of all cores' time that the three used",
            fresh(|stored| stored.cpu() / (stored.persist.seconds * cores())),
        ),
        (
            "in_transaction_ratio",
            "share of its time inside transactions",
            fresh(|stored| stored.persist.transaction_seconds / stored.persist.seconds),
        ),
        (
            "peak_memory_mb",
            "persist's peak memory, MB",
            fresh(|stored| stored.persist.usage.peak_memory_bytes as f64) / 1e6,
        ),
        ("transactions", "transactions", transactions),
        ("events_per_transaction", "events in a transaction", messages / transactions.max(1.0)),
        ("raw_transactions", "transactions of the bare loop", place.batches.len() as f64),
        ("messages", "events, markers included", messages),
        ("bytes_per_event", "bytes per event in tables and indexes", stored_bytes / messages),
    ];
    report.costs("persist", &costs);
}

fn mix(report: &mut Report, place: &Place<'_>) {
    let mut lines = Vec::new();
    for share in place.mix.iter().filter(|share| share.rows > 0) {
        let rows = share.rows as f64;
        report.put(format!("persist_rows_{}", share.table), rows);
        let line = Line::new(share.table.name()).count(share.rows).number(rows / place.rows as f64);
        lines.push(line.number(share.copy_bytes / rows).number(share.stored_bytes / rows));
    }
    let heads =
        ["rows by table", "rows", "share", "bytes a row in COPY", "bytes a row with indexes"];
    report.table(&heads, &lines);
}
