//! A private nats-server with our streams, a chain that is made up, and the role under test.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use crypto_intel_alerts::{Config, run};
use crypto_intel_nats::{
    Batch, Bucket, Nats, NatsConfig, OutMessage, ReaderOptions, Start, StreamMessage, StreamReader,
    Topology, connect,
};
use crypto_intel_sandbox::{NatsOptions, NatsServer};
use crypto_intel_schemas::{
    Address, Alert, B256, Block, Erc20Transfer, Event, Kind, U256, Uint256, chain_event_id,
    log_event_id, subjects,
};
use crypto_intel_service::{Context, Secret, now_us};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const RULES: &str = r#"
[[rule]]
id = "large"
on = "evm.*.transfer.erc20"
when = 'value >= u256("100")'
severity = "warning"
title = "{{ value|num }} moved"
routes = ["ops"]
"#;

/// Everything that a test needs.
pub(crate) struct Stage {
    pub(crate) server: NatsServer,
    pub(crate) nats: Nats,
    rules: TempDir,
}

/// A role that runs.
pub(crate) struct Role {
    pub(crate) context: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let options = NatsOptions { sync_always: false, ..NatsOptions::default() };
        Self::on(NatsServer::start(options).await.unwrap(), "").await
    }

    /// On a server with the users of our `server.conf`, as its administrator.
    pub(crate) async fn with_users() -> Self {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../nats/server.conf");
        let options =
            NatsOptions { sync_always: false, ..NatsOptions::with_users_of(config).unwrap() };
        Self::on(NatsServer::start(options).await.unwrap(), "admin").await
    }

    async fn on(server: NatsServer, user: &str) -> Self {
        let nats = connect_as(&server, user).await;
        Topology::embedded().unwrap().apply(&nats, false).await.unwrap();
        let rules = tempfile::tempdir().unwrap();
        std::fs::write(rules.path().join("test.toml"), RULES).unwrap();
        Self { server, nats, rules }
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            rules: vec![self.rules.path().join("*.toml")],
            snapshot_interval_ms: 50,
            ..Config::default()
        }
    }

    pub(crate) fn start(&self, instance: &str) -> Role {
        self.start_on(self.nats.clone(), instance)
    }

    pub(crate) fn start_on(&self, nats: Nats, instance: &str) -> Role {
        let context = Context::new(instance);
        let task = tokio::spawn(run(self.config(), nats, context.clone()));
        Role { context, task }
    }

    /// Ends a role as a crash would; its lease is taken to have expired.
    pub(crate) async fn kill(&self, role: Role) {
        role.task.abort();
        let ended = role.task.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "it ended before it was killed");
        self.nats.kv(Bucket::Leases).await.unwrap().delete("alerts").await.unwrap();
    }

    pub(crate) async fn publish(&self, events: Vec<Event>) {
        let messages = events
            .iter()
            .map(|event| {
                OutMessage::new(subjects::of(event), event.encode()).schema(event.kind().schema())
            })
            .collect();
        self.nats.publish_batch(Batch { messages, fence: None }).await.unwrap();
    }

    /// Everything a stream holds.
    pub(crate) async fn all(&self, stream: &str) -> Vec<StreamMessage> {
        let state = self.nats.stream_state(stream).await.unwrap();
        let mut messages = Vec::new();
        if state.messages == 0 {
            return messages;
        }
        let options = ReaderOptions::new(stream, "look", Start::First);
        let mut reader = StreamReader::open(&self.nats, options).await.unwrap();
        while messages
            .last()
            .is_none_or(|message: &StreamMessage| message.sequence < state.last_sequence)
        {
            messages.extend(reader.next(1_000).await.unwrap().messages);
        }
        messages
    }

    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        let decode = |message: &StreamMessage| match Event::decode(&message.payload).unwrap() {
            Event::Alert(alert) => alert,
            other => panic!("not an alert: {other:?}"),
        };
        self.all("ALERT").await.iter().map(decode).collect()
    }

    /// Waits until so many alerts are there.
    pub(crate) async fn alerts_when(&self, count: usize) -> Vec<Alert> {
        until("alerts", async || {
            let state = self.nats.stream_state("ALERT").await.ok()?;
            (state.messages >= count as u64).then_some(())
        })
        .await;
        self.alerts().await
    }
}

impl Role {
    pub(crate) fn of(context: Context, task: JoinHandle<anyhow::Result<()>>) -> Self {
        Self { context, task }
    }

    pub(crate) async fn stop(self) {
        self.context.shutdown.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("it stops in time");
        ended.unwrap().unwrap();
    }

    pub(crate) fn probe(&self, name: &str) -> Option<(bool, String)> {
        let report = self.context.health.report();
        let probe = report.probes.into_iter().find(|probe| probe.name == name)?;
        Some((probe.healthy, probe.detail))
    }

    pub(crate) async fn until_healthy(&self, name: &str) {
        until(name, async || self.probe(name).filter(|(healthy, _)| *healthy).map(drop)).await;
    }

    /// Sum of a counter over its labels.
    pub(crate) fn counter(&self, name: &str) -> f64 {
        let name = format!("crypto_intel_alerts_{name}");
        let families = self.context.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family
            .into_iter()
            .flat_map(|family| family.get_metric())
            .map(|metric| metric.get_counter().get_value())
            .sum()
    }
}

fn password(user: &str) -> String {
    format!("of-{user}")
}

pub(crate) async fn connect_as(server: &NatsServer, user: &str) -> Nats {
    let config = NatsConfig {
        url: server.url().into(),
        user: user.to_owned(),
        password: Secret::new(if user.is_empty() { String::new() } else { password(user) }),
        ..NatsConfig::default()
    };
    connect(&config, "test", &CancellationToken::new()).await.unwrap()
}

/// Asks again until there is an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "no {what} in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A block's events, marker last: one transfer per amount, each in its own transaction.
pub(crate) fn block(
    number: u64,
    hash: B256,
    incarnation: u32,
    transfers: &[(B256, u64)],
) -> Vec<Event> {
    let now = now_us();
    let mut events: Vec<Event> = Vec::new();
    for (log_index, (tx_hash, amount)) in transfers.iter().enumerate() {
        let log_index = u32::try_from(log_index).unwrap();
        events.push(Event::from(Erc20Transfer {
            id: log_event_id("anvil", &hash, Kind::Erc20Transfer, log_index, None),
            chain: "anvil".into(),
            event_at_us: now,
            observed_at_us: now,
            block_number: number,
            block_hash: hash,
            removed: incarnation.is_multiple_of(2),
            incarnation,
            tx_hash: *tx_hash,
            tx_index: log_index,
            log_index,
            to: Address::repeat_byte(9),
            value: Uint256(U256::from(*amount)),
            ..Erc20Transfer::empty()
        }));
    }
    events.push(Event::from(Block {
        id: chain_event_id("anvil", &hash, Kind::Block),
        chain: "anvil".into(),
        event_at_us: now,
        observed_at_us: now,
        block_number: number,
        block_hash: hash,
        removed: incarnation.is_multiple_of(2),
        incarnation,
        ..Block::empty()
    }));
    events
}

pub(crate) fn hash(kind: u8, number: u64) -> B256 {
    let mut hash = B256::repeat_byte(kind);
    hash.0[24..].copy_from_slice(&number.to_be_bytes());
    hash
}

/// How often each transaction was alerted.
pub(crate) fn count_by_transaction(alerts: &[Alert]) -> BTreeMap<B256, usize> {
    let mut counts = BTreeMap::new();
    for alert in alerts {
        *counts.entry(alert.tx_hash.unwrap()).or_default() += 1;
    }
    counts
}
