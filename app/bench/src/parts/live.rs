//! Live events: many clients, few filters; and fewer clients, each with its own.

use std::time::Duration;

use crypto_intel_nats::{Batch, OutMessage};
use crypto_intel_schemas::{
    Address, B256, Block, Decimal, Erc20Transfer, Event, Kind, chain_event_id, log_event_id,
    subjects,
};
use crypto_intel_service::now_us;

use crate::{
    child::Child,
    options::Options,
    report::{Line, Report, Verdict},
    setup,
    stats::{median, percentile},
    usage::Usage,
    worker::{
        CHAIN, CHAIN_ID, LiveClientsOutcome, LiveClientsReady, LiveClientsTask, LiveServerReady,
        LiveServerTask, Task,
    },
};

/// Acknowledged block to the last client, p99, milliseconds.
const LATENCY_GOAL_MS: f64 = 250.0;
/// Memory of one client, bytes.
const MEMORY_GOAL_BYTES: f64 = 10_000.0;

/// From how many clients on memory is that of clients.
const MANY_CLIENTS: usize = 5_000;

/// One situation.
#[derive(Debug, Clone, Copy)]
struct Case {
    key: &'static str,
    clients: usize,
    filters: usize,
    events: u32,
    every: Duration,
    blocks: u64,
    /// Share of a core.
    cpu_goal: f64,
    /// Whether one more client asks for everything and never reads.
    stuck: bool,
}

impl Case {
    /// For people.
    fn what(self) -> String {
        let Self { clients, filters, events, every, .. } = self;
        format!(
            "{clients} clients, {filters} filters, {events} events every {} s",
            every.as_secs_f64()
        )
    }

    /// How many clients a block has something for.
    fn reached(self) -> u64 {
        let filters = self.filters.min(self.events as usize);
        (filters * self.clients / self.filters) as u64
    }
}

/// What one side of it took.
#[derive(Debug)]
struct Measured {
    latencies_ms: Vec<f64>,
    cpu_cores: f64,
    bytes_per_client: f64,
    accepted_per_second: f64,
    frame_bytes: usize,
    missing: u64,
}

/// Measures the role and the bare loop in turns.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let scale = if options.quick { 20 } else { 1 };
    let seconds = options.seconds;
    let cases = [
        Case {
            key: "live_many",
            clients: 10_000 / scale,
            filters: 20,
            events: 200,
            every: Duration::from_secs(2),
            blocks: (seconds / 2).max(2),
            cpu_goal: 1.0,
            stuck: false,
        },
        Case {
            key: "live_own",
            clients: 1_000 / scale,
            filters: 1_000 / scale,
            events: 100 / scale as u32,
            every: Duration::from_secs(1),
            blocks: seconds,
            cpu_goal: 0.3,
            stuck: false,
        },
    ];
    for case in cases {
        let ours = measure_role(case).await?;
        // The bare loop knows no filters: it stands beside the case in which every client gets every block.
        let bare = match case.reached() == case.clients as u64 {
            true => Some(measure_bare(case, ours.frame_bytes).await?),
            false => None,
        };
        show(case, &ours, bare.as_ref(), report);
    }
    measure_stuck(seconds, scale, report).await
}

/// Whether one that does not read disturbs the others.
async fn measure_stuck(seconds: u64, scale: usize, report: &mut Report) -> anyhow::Result<()> {
    let without = Case {
        key: "live_stuck",
        clients: 1_000 / scale,
        filters: 20,
        events: 200,
        every: Duration::from_millis(200),
        // Of these none waits in the sockets' own buffers in the end.
        blocks: seconds * 5,
        cpu_goal: 1.0,
        stuck: false,
    };
    let alone = measure_role(without).await?;
    let beside = measure_role(Case { stuck: true, ..without }).await?;
    let sides = [("all read", &alone), ("one more does not read", &beside)];
    let lines = sides.map(|(what, side)| line(what, side));
    report.table(&heads(&without.what()), &lines);
    let [p99, with] =
        [&alone, &beside].map(|side| percentile(side.latencies_ms.iter().copied(), 0.99));
    report.put("live_stuck_p99_ratio", with / p99.max(1e-9));
    let is_met = with <= 1.1 * p99 && beside.missing == 0;
    report.judge(
        "live_stuck",
        Verdict::of(is_met),
        &format!(
            "others' p99 within 10 % of {p99:.1} ms; here {with:.1}, {} missing",
            beside.missing
        ),
    );
    Ok(())
}

async fn measure_role(case: Case) -> anyhow::Result<Measured> {
    let broker = setup::broker().await?;
    let task = LiveServerTask::Role { nats_url: broker.server.url(), database_url: None };
    let mut server = Child::start(&Task::LiveServer(task))?;
    let ready: LiveServerReady = server.answer().await?;
    let before = resident_bytes(server.pid());
    let paths = (0..case.filters)
        .map(|filter| {
            format!("/ws/onchain?kinds=transfer.erc20&addresses={:#x}", party(filter as u32))
        })
        .collect();
    let stuck = case.stuck.then(|| "/ws/onchain?kinds=transfer.erc20".to_owned());
    let task = LiveClientsTask { address: ready.address, paths, clients: case.clients, stuck };
    let mut clients = Child::start(&Task::LiveClients(task))?;
    let accepted: LiveClientsReady = clients.answer().await?;
    let used = Usage::of(server.pid());
    let mut acknowledged = Vec::new();
    for number in 1..=case.blocks {
        let due = tokio::time::Instant::now() + case.every;
        let messages = block(number, case).iter().map(message).collect();
        broker.nats.publish_batch(Batch { messages, fence: None }).await?;
        acknowledged.push((number, now_us()));
        tokio::time::sleep_until(due).await;
    }
    let after = resident_bytes(server.pid());
    let cpu = Usage::of(server.pid()).cpu_seconds - used.cpu_seconds;
    clients.finish();
    let outcome: LiveClientsOutcome = clients.answer().await?;
    clients.end().await?;
    server.end().await?;
    Ok(measured(case, &acknowledged, &outcome, cpu, after.saturating_sub(before), accepted))
}

async fn measure_bare(case: Case, frame_bytes: usize) -> anyhow::Result<Measured> {
    let mut server = Child::start(&Task::LiveServer(LiveServerTask::Bare { frame_bytes }))?;
    let ready: LiveServerReady = server.answer().await?;
    let before = resident_bytes(server.pid());
    let paths = vec!["/".to_owned()];
    let task =
        LiveClientsTask { address: ready.address, paths, clients: case.clients, stuck: None };
    let mut clients = Child::start(&Task::LiveClients(task))?;
    let accepted: LiveClientsReady = clients.answer().await?;
    let used = Usage::of(server.pid());
    let mut told = Vec::new();
    for number in 1..=case.blocks {
        let due = tokio::time::Instant::now() + case.every;
        server.tell(&number).await?;
        told.push((number, now_us()));
        tokio::time::sleep_until(due).await;
    }
    let after = resident_bytes(server.pid());
    let cpu = Usage::of(server.pid()).cpu_seconds - used.cpu_seconds;
    clients.finish();
    let outcome: LiveClientsOutcome = clients.answer().await?;
    clients.end().await?;
    server.end().await?;
    Ok(measured(case, &told, &outcome, cpu, after.saturating_sub(before), accepted))
}

fn measured(
    case: Case,
    published: &[(u64, i64)],
    outcome: &LiveClientsOutcome,
    cpu_seconds: f64,
    memory: u64,
    accepted: LiveClientsReady,
) -> Measured {
    let mut missing = 0;
    let mut latencies_ms = Vec::new();
    for (number, at_us) in published {
        let received = outcome.blocks.get(number).copied().unwrap_or_default();
        missing += case.reached().saturating_sub(received.clients);
        latencies_ms.push((received.last_us - at_us).max(0) as f64 / 1e3);
    }
    let seconds = case.every.as_secs_f64() * published.len() as f64;
    Measured {
        latencies_ms,
        cpu_cores: cpu_seconds / seconds.max(1e-9),
        bytes_per_client: memory as f64 / case.clients as f64,
        accepted_per_second: accepted.accepted_per_second,
        frame_bytes: (outcome.bytes / outcome.frames.max(1)) as usize,
        missing,
    }
}

fn heads(what: &str) -> [&str; 7] {
    [what, "p50 ms", "p99 ms", "cores", "kB a client", "accepted/s", "missing"]
}

fn line(what: &str, side: &Measured) -> Line {
    Line::new(what)
        .number(median(side.latencies_ms.iter().copied()))
        .number(percentile(side.latencies_ms.iter().copied(), 0.99))
        .number(side.cpu_cores)
        .number(side.bytes_per_client / 1e3)
        .number(side.accepted_per_second)
        .count(side.missing)
}

fn show(case: Case, ours: &Measured, bare: Option<&Measured>, report: &mut Report) {
    let mut lines = vec![line("role api", ours)];
    lines.extend(bare.map(|bare| line("bare loop: the same bytes to every client", bare)));
    let what = case.what();
    report.table(&heads(&what), &lines);
    let Case { key, .. } = case;
    let p99 = percentile(ours.latencies_ms.iter().copied(), 0.99);
    report.put(format!("{key}_p50_ms"), median(ours.latencies_ms.iter().copied()));
    report.put(format!("{key}_p99_ms"), p99);
    report.put(format!("{key}_cores"), ours.cpu_cores);
    report.put(format!("{key}_kb_per_client"), ours.bytes_per_client / 1e3);
    report.put(format!("{key}_accepted_per_second"), ours.accepted_per_second);
    if let Some(bare) = bare {
        report.put(format!("{key}_cores_ratio"), bare.cpu_cores / ours.cpu_cores.max(1e-9));
    }
    let is_met = p99 < LATENCY_GOAL_MS && ours.cpu_cores < case.cpu_goal && ours.missing == 0;
    let goal = format!(
        "{what}: last client after {LATENCY_GOAL_MS} ms at p99, below {} cores, nothing missing",
        case.cpu_goal
    );
    report.judge(key, Verdict::of(is_met), &goal);
    let goal = format!("{what}: below {} kB a client", MEMORY_GOAL_BYTES / 1e3);
    let verdict = match case.clients >= MANY_CLIENTS {
        true => Verdict::of(ours.bytes_per_client < MEMORY_GOAL_BYTES),
        // What the process has for all of them would count.
        false => Verdict::NotJudged,
    };
    report.judge(&format!("{key}_memory"), verdict, &goal);
}

/// The address of a filter.
fn party(filter: u32) -> Address {
    let mut bytes = [0x11; 20];
    bytes[16..].copy_from_slice(&filter.to_be_bytes());
    bytes.into()
}

fn block(number: u64, case: Case) -> Vec<Event> {
    let (now, hash) = (now_us(), B256::from(bytes_of(number)));
    let mut events: Vec<Event> =
        (0..case.events).map(|index| transfer(hash, number, index, case, now)).collect();
    events.push(Event::from(Block {
        id: chain_event_id(CHAIN, &hash, Kind::Block),
        chain: CHAIN.to_owned(),
        chain_id: CHAIN_ID,
        block_number: number,
        block_hash: hash,
        block_time_us: now,
        event_at_us: now,
        observed_at_us: now,
        ..Block::empty()
    }));
    events
}

fn bytes_of(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn transfer(hash: B256, number: u64, index: u32, case: Case, now: i64) -> Event {
    let filters = case.filters as u32;
    // Each event is of one filter, in turns over the blocks.
    let of = (number as u32 * case.events + index) % filters;
    Event::from(Erc20Transfer {
        id: log_event_id(CHAIN, &hash, Kind::Erc20Transfer, index, None),
        chain: CHAIN.to_owned(),
        chain_id: CHAIN_ID,
        block_number: number,
        block_hash: hash,
        block_time_us: now,
        event_at_us: now,
        observed_at_us: now,
        log_index: index,
        from: party(of),
        to: Address::repeat_byte(0x22),
        symbol: Some("USDC".to_owned()),
        decimals: Some(6),
        amount: Decimal::parse("1250.25").ok(),
        usd: Decimal::parse("1250.25").ok(),
        token_verified: true,
        ..Erc20Transfer::empty()
    })
}

fn message(event: &Event) -> OutMessage {
    OutMessage::new(subjects::of(event), event.encode()).schema(event.kind().schema())
}

/// Resident memory of a process now.
fn resident_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}
