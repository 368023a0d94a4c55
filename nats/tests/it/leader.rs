//! One instance leads, the others stand by and say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crypto_intel_nats::{Bucket, LEASE_SECONDS, Leadership, Nats};
use crypto_intel_testkit::{Broker, RunningRole, eventually};

pub(crate) const TASK: &str = "evm.anvil";

/// An instance that does the task whenever it leads.
pub(crate) struct Instance {
    role: RunningRole,
    pub(crate) terms: Arc<AtomicUsize>,
}

impl Instance {
    pub(crate) fn start(nats: &Nats, name: &str) -> Self {
        let terms = Arc::new(AtomicUsize::new(0));
        let (nats, counted) = (nats.clone(), Arc::clone(&terms));
        let role = RunningRole::start(name, |context| async move {
            let probe = Arc::new(context.health.probe(TASK, None));
            let leadership = Leadership::new(TASK, &nats, &context, probe)?;
            let work = leadership.run(async |term| {
                counted.fetch_add(1, Ordering::SeqCst);
                Err(term.over().await.into())
            });
            work.await
        });
        Self { role, terms }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.role.is_healthy(TASK)
    }

    pub(crate) fn leads(&self) -> bool {
        self.role.metric("crypto_intel_leader", &[TASK]) > 0.0
    }

    pub(crate) async fn until_leads(&self) {
        eventually(async || self.leads()).await;
    }

    /// Waits until the probe is (not) healthy and its detail contains `text`.
    pub(crate) async fn until(&self, healthy: bool, text: &str) {
        eventually(async || {
            let probe = self.role.probe(TASK)?;
            (probe.healthy == healthy && probe.detail.contains(text)).then_some(())
        })
        .await;
    }

    /// Ends it like a killed process: the lease is not released.
    pub(crate) async fn kill(self) {
        self.role.kill().await;
    }

    pub(crate) async fn stop(self) {
        self.role.stop().await;
    }
}

#[tokio::test]
async fn stands_by_while_the_leader_is_seen_to_renew_and_takes_over_when_it_stops() {
    let broker = Broker::start().await;
    let other = broker.connect("two").await;
    let first = Instance::start(&broker.nats, "one");
    first.until_leads().await;
    let second = Instance::start(&other, "two");
    second.until(true, "standing by, one leads").await;
    assert!(!second.leads());
    first.stop().await;
    second.until_leads().await;
    assert!(second.is_healthy());
    second.stop().await;
}

#[tokio::test]
async fn takes_over_from_an_instance_that_was_killed() {
    let broker = Broker::start().await;
    let other = broker.connect("two").await;
    let first = Instance::start(&broker.nats, "one");
    first.until_leads().await;
    let second = Instance::start(&other, "two");
    second.until(true, "standing by, one leads").await;
    let died = std::time::Instant::now();
    first.kill().await;
    second.until_leads().await;
    assert!(died.elapsed().as_secs() >= LEASE_SECONDS - 2, "{:?}", died.elapsed());
    second.stop().await;
}

#[tokio::test]
async fn takes_its_own_lease_again_at_once() {
    let broker = Broker::start().await;
    let first = Instance::start(&broker.nats, "one");
    first.until_leads().await;
    first.kill().await;
    let died = std::time::Instant::now();
    let again = Instance::start(&broker.nats, "one");
    again.until_leads().await;
    assert!(died.elapsed().as_secs() < LEASE_SECONDS - 1, "{:?}", died.elapsed());
    again.stop().await;
}

#[tokio::test]
async fn a_lease_that_is_neither_renewed_nor_expires_is_unhealthy() {
    let broker = Broker::start().await;
    let kv = broker.nats.kv(Bucket::Leases).await.unwrap();
    // As on a server with a full disk, which cannot record that the lease expired.
    let update = serde_json::json!({ "name": "KV_leases", "max_age": 0 });
    set_stream(&broker.nats, update).await;
    kv.put(TASK, r#"{"owner":"gone","token":"x"}"#).await.unwrap();
    let standby = Instance::start(&broker.nats, "one");
    standby.until(false, "the lease of gone was not renewed").await;
    kv.delete(TASK).await.unwrap();
    standby.until_leads().await;
    standby.stop().await;
}

#[tokio::test]
async fn leads_again_after_the_lease_was_taken_away() {
    let broker = Broker::start().await;
    let instance = Instance::start(&broker.nats, "one");
    instance.until_leads().await;
    let kv = broker.nats.kv(Bucket::Leases).await.unwrap();
    kv.put(TASK, r#"{"owner":"two","token":"x"}"#).await.unwrap();
    eventually(async || !instance.leads()).await;
    instance.until_leads().await;
    assert_eq!(instance.terms.load(Ordering::SeqCst), 2);
    instance.stop().await;
}

/// Changes settings of a stream.
pub(crate) async fn set_stream(nats: &Nats, changes: serde_json::Value) {
    let name = changes["name"].as_str().unwrap().to_owned();
    let stream = nats.jetstream().get_stream(&name).await.unwrap();
    let mut config = serde_json::to_value(&stream.cached_info().config).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    let answer: serde_json::Value =
        nats.jetstream().request(format!("STREAM.UPDATE.{name}"), &config).await.unwrap();
    assert!(answer.get("error").is_none(), "{answer}");
}
