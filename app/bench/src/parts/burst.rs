//! Far more alerts at once than any chat takes: from the stream of alerts to what people read.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use crypto_intel_nats::{Nats, OutMessage};
use crypto_intel_sandbox::{ChatLimits, ChatOptions, ChatServer};
use crypto_intel_schemas::{Alert, Event, Severity, subjects};
use crypto_intel_service::now_us;
use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use tempfile::TempDir;

use crate::{
    child::Child,
    options::Options,
    report::{Line, Report},
    setup,
    usage::Usage,
    worker::{StandingTask, Task},
};

/// Publications at a time.
const UNDER_WAY: usize = 256;
/// Different rules among the alerts: each makes a group.
const RULES: usize = 10;
/// How often the ends of the alerts are counted.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Nothing ended for this long: it has failed. A group of Telegram takes one message each three seconds.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);
const ROUTES: &str =
    "[root]\ndestinations = [\"ops\"]\ngroup_by = [\"rule\", \"chain\"]\ncollect = \"1s\"\n";

/// How the alerts are told.
#[derive(Debug, Clone, Copy)]
struct Shape {
    key: &'static str,
    what: &'static str,
    /// By a file of routes that groups them; else by the names in the alerts.
    grouped: bool,
}

const SHAPES: [Shape; 2] = [
    Shape { key: "digests", what: "by the names in the alerts", grouped: false },
    Shape { key: "groups", what: "grouped by rule", grouped: true },
];

/// What became of the alerts of one shape.
#[derive(Debug)]
struct Measured {
    routed_seconds: f64,
    told_seconds: f64,
    messages: usize,
    cpu_us: f64,
    memory_mb: f64,
}

/// Publishes the alerts, starts notify, and waits until each has ended.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let alerts = options.alerts as usize;
    let mut lines = Vec::new();
    for shape in SHAPES {
        let measured = run(shape, alerts).await?;
        let rate = alerts as f64 / measured.routed_seconds;
        for (name, figure) in [
            ("routed_per_second", rate),
            ("told_s", measured.told_seconds),
            ("messages", measured.messages as f64),
            ("cpu_us_per_alert", measured.cpu_us),
            ("memory_mb", measured.memory_mb),
        ] {
            report.put(format!("burst_{}_{name}", shape.key), figure);
        }
        lines.push(
            Line::new(shape.what)
                .number(rate)
                .number(measured.told_seconds)
                .count(measured.messages as u64)
                .number(measured.cpu_us)
                .number(measured.memory_mb),
        );
    }
    let head = format!("{alerts} alerts at once");
    let heads = ["routed/s", "s until all are told", "messages", "CPU µs per alert", "peak MB"];
    report.table(&[&[head.as_str()], heads.as_slice()].concat(), &lines);
    Ok(())
}

async fn run(shape: Shape, alerts: usize) -> anyhow::Result<Measured> {
    let options = ChatOptions { limits: ChatLimits::Strict, ..ChatOptions::default() };
    let chat = ChatServer::start(options);
    let (broker, chat) = tokio::try_join!(setup::broker(), chat)?;
    publish(&broker.nats, alerts).await?;
    let folder = tempfile::tempdir().context("make a folder for the routes")?;
    let notify = StandingTask::Notify {
        nats_url: broker.server.url(),
        chat_url: chat.url(),
        routes: shape.grouped.then(|| routes(&folder)).transpose()?,
    };
    let began = Instant::now();
    let child = Child::start(&Task::Standing(notify))?;
    let routed = ended(&broker.nats, "OUTBOX", alerts);
    let told = ended(&broker.nats, "NOTIFY", alerts);
    let (routed, told) = tokio::try_join!(routed, told)?;
    let usage = Usage::of(child.pid());
    child.end().await?;
    ensure!(
        chat.violations().is_empty(),
        "the chat would have refused: {:?}",
        chat.violations().first()
    );
    Ok(Measured {
        routed_seconds: (routed - began).as_secs_f64(),
        told_seconds: (told - began).as_secs_f64(),
        messages: chat.message_count(),
        cpu_us: usage.cpu_seconds * 1e6 / alerts as f64,
        memory_mb: usage.peak_memory_bytes as f64 / 1e6,
    })
}

fn routes(folder: &TempDir) -> anyhow::Result<PathBuf> {
    let path = folder.path().join("routes.toml");
    fs::write(&path, ROUTES).context("write the routes")?;
    Ok(path)
}

async fn publish(nats: &Nats, alerts: usize) -> anyhow::Result<()> {
    let published = (0..alerts).map(|number| {
        let event = Event::from(alert(number));
        let message = OutMessage::new(subjects::of(&event), event.encode());
        nats.publish(message.schema(event.kind().schema()))
    });
    let published = stream::iter(published).buffer_unordered(UNDER_WAY);
    published.try_for_each(|_| future::ok(())).await.context("publish alerts")
}

fn alert(number: usize) -> Alert {
    Alert {
        id: format!("alert-{number}"),
        alert: format!("key-{number}"),
        code: format!("C{number:05}"),
        rule: format!("rule-{}", number % RULES),
        severity: Severity::Warning,
        title: format!("{number} USDC moved"),
        lines: vec!["from 0x28c6…1d60 to Binance 14".into()],
        routes: vec!["ops".into()],
        event_id: format!("event-{number}"),
        seen_at_us: now_us(),
        observed_at_us: now_us(),
        ..Alert::empty()
    }
}

/// When a stream has had so many messages.
async fn ended(nats: &Nats, stream: &str, wanted: usize) -> anyhow::Result<Instant> {
    let (mut newest, mut changed) = (0, Instant::now());
    loop {
        let found = nats.stream_state(stream).await?.last_sequence;
        if found >= wanted as u64 {
            return Ok(Instant::now());
        }
        if found > newest {
            (newest, changed) = (found, Instant::now());
        }
        ensure!(changed.elapsed() < STALL_TIMEOUT, "{stream} has {found} messages of {wanted}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
