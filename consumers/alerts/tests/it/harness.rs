//! A private nats-server with our streams, an invented chain, and the role under test.

use std::collections::BTreeMap;

use crypto_intel_alerts::{Config, run};
use crypto_intel_nats::{Bucket, Nats, StreamMessage};
use crypto_intel_sandbox::NatsOptions;
use crypto_intel_schemas::{
    Address, Alert, B256, Block, Erc20Transfer, Event, Kind, U256, Uint256, chain_event_id,
    log_event_id,
};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{Broker, RunningRole, eventually};
use tempfile::TempDir;

const RULES: &str = r#"
[[rule]]
id = "large"
on = "evm.*.transfer.erc20"
when = 'value >= u256("100")'
severity = "warning"
title = "{{ value|num }} moved"
routes = ["ops"]
"#;

/// The broker, and rules to run on it.
pub(crate) struct Servers {
    pub(crate) broker: Broker,
    rules: TempDir,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        Self::with_rules(RULES).await
    }

    pub(crate) async fn with_rules(rules: &str) -> Self {
        let options = NatsOptions { sync_always: false, ..NatsOptions::default() };
        Self::of(Broker::start_with(options).await, rules)
    }

    pub(crate) fn on(broker: Broker) -> Self {
        Self::of(broker, RULES)
    }

    fn of(broker: Broker, text: &str) -> Self {
        let rules = tempfile::tempdir().unwrap();
        std::fs::write(rules.path().join("test.toml"), text).unwrap();
        Self { broker, rules }
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            rules: vec![self.rules.path().join("*.toml")],
            snapshot_interval_ms: 50,
            reload_ms: 50,
            ..Config::default()
        }
    }

    /// Replaces the rule file.
    pub(crate) fn write_rules(&self, text: &str) {
        std::fs::write(self.rules.path().join("test.toml"), text).unwrap();
    }

    /// Empties the stream of alerts, as if none had been published.
    pub(crate) async fn purge_alerts(&self) {
        let stream = self.broker.nats.jetstream().get_stream("ALERT").await.unwrap();
        stream.purge().await.unwrap();
    }

    pub(crate) fn alerts(&self, instance: &str) -> RunningRole {
        self.alerts_on(self.broker.nats.clone(), instance)
    }

    pub(crate) fn alerts_on(&self, nats: Nats, instance: &str) -> RunningRole {
        RunningRole::start(instance, |context| run(self.config(), nats, context))
    }

    /// Ends a role as a crash would, and deletes its lease as if it had expired.
    pub(crate) async fn kill(&self, role: RunningRole) {
        role.kill().await;
        self.broker.nats.kv(Bucket::Leases).await.unwrap().delete("alerts").await.unwrap();
    }

    pub(crate) async fn published(&self) -> Vec<Alert> {
        // Ticks ask for changed rules there, too.
        let decode = |message: &StreamMessage| match Event::decode(&message.payload).unwrap() {
            Event::Alert(alert) => Some(alert),
            Event::Tick(_) => None,
            other => panic!("not an alert: {other:?}"),
        };
        self.broker.messages("ALERT").await.iter().filter_map(decode).collect()
    }

    /// Waits for at least `count` alerts.
    pub(crate) async fn published_when(&self, count: usize) -> Vec<Alert> {
        eventually(async || {
            let alerts = self.published().await;
            (alerts.len() >= count).then_some(alerts)
        })
        .await
    }
}

/// Waits until the role counted something.
pub(crate) async fn until_counted(role: &RunningRole, name: &str) {
    eventually(async || counter(role, name) > 0.0).await;
}

/// A counter of this crate.
pub(crate) fn counter(role: &RunningRole, name: &str) -> f64 {
    role.metric(&format!("crypto_intel_alerts_{name}"), &[])
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

/// Number of alerts about each transaction.
pub(crate) fn count_by_transaction(alerts: &[Alert]) -> BTreeMap<B256, usize> {
    let mut counts = BTreeMap::new();
    for alert in alerts {
        *counts.entry(alert.tx_hash.unwrap()).or_default() += 1;
    }
    counts
}
