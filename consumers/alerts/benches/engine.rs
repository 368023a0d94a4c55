//! Events a second of one core over 10, 100 and 1,000 rules of which one in a hundred events meets one, decoding included;
//! memory of a window with 100,000 groups, events a second through it, and what its snapshots write.
//! `cargo bench -p crypto-intel-alerts`
#![allow(missing_docs)] // criterion's macros make public items
#![allow(clippy::unwrap_used)]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crypto_intel_alerts::{Engine, Metrics, RuleSet, RuleStream, SnapshotMeter};
use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{
    Address, B256, Block, Erc20Transfer, Event, Kind, U256, Uint256, chain_event_id, log_event_id,
    subjects,
};
use crypto_intel_service::prometheus::Registry;

const START_US: i64 = 1_700_000_000_000_000;
const EVENTS: u64 = 20_000;
const EVENTS_IN_BLOCK: u64 = 200;
const GROUPS: u64 = 100_000;
/// Events of one second, and the seconds that are measured.
const EVENTS_IN_SECOND: u64 = 1_000;
const SECONDS: u64 = 300;

fn engine(rules: &str) -> Engine {
    let rules = RuleSet::parse(&[("bench.toml", rules)], None).unwrap();
    let metrics = Metrics::new(&Registry::new()).unwrap();
    Engine::new(Arc::new(rules), RuleStream::Evm, &metrics)
}

fn message(event: impl Into<Event>, sequence: u64, stored_at_us: i64) -> StreamMessage {
    let event = event.into();
    StreamMessage {
        subject: subjects::of(&event),
        schema: None,
        headers: None,
        payload: Bytes::from(event.encode()),
        sequence,
        stored_at_us,
        remaining: 0,
    }
}

fn hash(kind: u8, number: u64) -> B256 {
    let mut hash = B256::repeat_byte(kind);
    hash.0[24..].copy_from_slice(&number.to_be_bytes());
    hash
}

fn transfer(number: u64, symbol: u64, to: u64, amount: u64, at_us: i64) -> Erc20Transfer {
    let block = number / EVENTS_IN_BLOCK;
    let block_hash = hash(1, block);
    let log_index = u32::try_from(number % EVENTS_IN_BLOCK).unwrap();
    let mut payee = [0x11; 20];
    payee[12..].copy_from_slice(&to.to_be_bytes());
    Erc20Transfer {
        id: log_event_id("base", &block_hash, Kind::Erc20Transfer, log_index, None),
        chain: "base".into(),
        event_at_us: at_us,
        observed_at_us: at_us,
        block_time_us: at_us,
        block_number: block,
        block_hash,
        incarnation: 1,
        tx_hash: hash(2, number),
        log_index,
        symbol: Some(format!("T{symbol}")),
        to: Address::from(payee),
        value: Uint256(U256::from(amount)),
        ..Erc20Transfer::empty()
    }
}

fn marker(number: u64, at_us: i64) -> Block {
    let block_hash = hash(1, number);
    Block {
        id: chain_event_id("base", &block_hash, Kind::Block),
        chain: "base".into(),
        event_at_us: at_us,
        block_number: number,
        block_hash,
        incarnation: 1,
        finalized_number: number.saturating_sub(10),
        ..Block::empty()
    }
}

/// Transfers of a thousand tokens, of which one in a hundred is large enough for the rule of its token.
fn stream(rules: u64) -> Vec<StreamMessage> {
    let mut messages = Vec::new();
    for number in 0..EVENTS {
        let at_us = START_US + i64::try_from(number).unwrap() * 1_000;
        let is_large = number % 100 == 0;
        let symbol = if is_large { number / 100 % rules } else { number % 1_000 };
        let amount = if is_large { 1_000 } else { 10 };
        let sequence = messages.len() as u64 + 1;
        messages.push(message(transfer(number, symbol, number, amount, at_us), sequence, at_us));
        if (number + 1).is_multiple_of(EVENTS_IN_BLOCK) {
            let sequence = messages.len() as u64 + 1;
            messages.push(message(marker(number / EVENTS_IN_BLOCK, at_us), sequence, at_us));
        }
    }
    messages
}

fn rules(count: u64) -> String {
    let rule = |number: u64| {
        format!(
            "[[rule]]\nid = 'r{number}'\non = 'evm.*.transfer.erc20'\nwhen = 'symbol == \"T{number}\" && value >= u256(\"100\") && chain == \"base\"'\ntitle = '{{{{ value|num }}}} {{{{ symbol }}}}'\n"
        )
    };
    (0..count).map(rule).collect()
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("events");
    group.sample_size(10).throughput(Throughput::Elements(EVENTS));
    for count in [10, 100, 1_000] {
        let (text, messages) = (rules(count), stream(count));
        group.bench_function(format!("{count} rules"), |bencher| {
            bencher.iter_batched(
                || engine(&text),
                |mut engine| {
                    let (mut alerts, mut fired) = (Vec::new(), 0);
                    for message in &messages {
                        engine.apply(black_box(message), &mut alerts).unwrap();
                        fired += alerts.len() as u64;
                        alerts.clear();
                    }
                    assert_eq!(fired, EVENTS / 100);
                    engine
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

const WINDOW: &str = r#"
[[rule]]
id = "volume"
on = "evm.*.transfer.erc20"
trigger = "window"
group_by = ["to"]
title = "{{ sum }}"
[rule.window]
over = "1h"
every = "1m"
of = "value"
having = "sum > 1e9"
"#;

/// Megabytes of memory that the process has.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default()
        / 1_024.0
}

/// Prints what 100,000 groups take in memory, what a second of events over them writes, and how long its snapshot takes.
fn snapshots(_: &mut Criterion) {
    let mut engine = engine(WINDOW);
    let mut meter = SnapshotMeter::new();
    let mut alerts = Vec::new();
    let (mut number, mut sequence, mut written, mut largest) = (0_u64, 0_u64, 0, 0);
    let (mut taken, mut applied) = (Duration::ZERO, Duration::ZERO);
    let filling = GROUPS / EVENTS_IN_SECOND;
    let before = resident();
    for second in 0..filling + SECONDS {
        if second == filling {
            let full = resident() - before;
            println!(
                "windows of {GROUPS} groups: {full:.0} MB, with what is kept to store their changes"
            );
        }
        let at_us = START_US + i64::try_from(second).unwrap() * 1_000_000;
        for _ in 0..EVENTS_IN_SECOND {
            // Neighbours in time are far apart by name.
            let to = number.wrapping_mul(7_919) % GROUPS;
            sequence += 1;
            let event = message(transfer(number, 1, to, 5, at_us), sequence, at_us);
            let begun = Instant::now();
            engine.apply(&event, &mut alerts).unwrap();
            applied += begun.elapsed();
            number += 1;
            if number.is_multiple_of(EVENTS_IN_BLOCK) {
                sequence += 1;
                let block = number / EVENTS_IN_BLOCK - 1;
                engine.apply(&message(marker(block, at_us), sequence, at_us), &mut alerts).unwrap();
            }
        }
        let begun = Instant::now();
        let bytes = meter.snapshot(&mut engine);
        if second >= filling {
            taken += begun.elapsed();
            written += bytes;
            largest = largest.max(bytes);
        }
    }
    let each = applied.as_secs_f64() / number as f64;
    println!("windows of {GROUPS} groups: {:.0} events a second of one core", 1.0 / each);
    let seconds = usize::try_from(SECONDS).unwrap();
    println!(
        "windows of {GROUPS} groups, {EVENTS_IN_SECOND} events a second: {} bytes a snapshot, at most {largest}, {:.1} ms each",
        written / seconds,
        taken.as_secs_f64() * 1_000.0 / seconds as f64
    );
}

// Memory is measured before anything else takes some.
criterion_group!(benches, snapshots, events);
criterion_main!(benches);
