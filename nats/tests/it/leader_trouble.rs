//! Whatever prevents an instance from leading fails its probe, in the words of NATS, until the cause is gone.

use crypto_intel_nats::{Nats, NatsConfig, connect};
use crypto_intel_sandbox::{NatsOptions, NatsServer, SmallDisk};
use crypto_intel_service::Secret;
use crypto_intel_testkit::{Broker, connect_to, eventually, small_topology};
use tokio_util::sync::CancellationToken;

use crate::leader::{Instance, TASK, set_stream};
use crate::messages::message;

#[tokio::test]
async fn nats_that_went_away() {
    let mut broker = Broker::start().await;
    let leader = Instance::start(&broker.nats, "one");
    leader.until_leads().await;
    let other = broker.connect("two").await;
    let standby = Instance::start(&other, "two");
    standby.until(true, "standing by, one leads").await;
    broker.server.kill().unwrap();
    leader.until(false, "not connected to nats").await;
    standby.until(false, "not connected to nats").await;
    assert!(!leader.leads());
    broker.server.start_again().await.unwrap();
    eventually(async || leader.leads() || standby.leads()).await;
    leader.until(true, "lead").await;
    standby.until(true, "lead").await;
    leader.stop().await;
    standby.stop().await;
}

#[tokio::test]
async fn a_missing_bucket() {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let nats = connect_to(server.url(), "test").await;
    let instance = Instance::start(&nats, "one");
    instance.until(false, "no stream KV_leases: run `crypto-intel streams apply`").await;
    small_topology().apply(&nats, false).await.unwrap();
    instance.until_leads().await;
    instance.stop().await;
}

/// A user with all permissions, and one with a changing password and permissions.
fn users(password: &str, denied: &str) -> Vec<String> {
    vec![format!(
        r#"authorization {{ users: [
            {{ user: admin, password: admin }}
            {{ user: role, password: {password}, permissions: {{ publish: {{ deny: [{denied:?}] }}, subscribe: ">" }} }}
        ] }}"#
    )]
}

async fn user(server: &NatsServer, name: &str) -> Nats {
    let config = NatsConfig {
        url: server.url().into(),
        user: name.to_owned(),
        password: Secret::new(if name == "admin" { "admin" } else { "old" }),
        request_timeout_ms: 3_000,
        ..NatsConfig::default()
    };
    connect(&config, name, &CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn a_password_that_was_changed() {
    let options = NatsOptions { extra_conf: users("old", "none"), ..NatsOptions::default() };
    let mut server = NatsServer::start(options).await.unwrap();
    small_topology().apply(&user(&server, "admin").await, false).await.unwrap();
    let instance = Instance::start(&user(&server, "role").await, "one");
    instance.until_leads().await;
    server.restart_with(users("new", "none")).await.unwrap();
    instance.until(false, "correct nats.user and nats.password").await;
    server.restart_with(users("old", "none")).await.unwrap();
    instance.until_leads().await;
    instance.until(true, "leading").await;
    instance.stop().await;
}

#[tokio::test]
async fn a_permission_that_was_taken_away() {
    let lease = format!("$KV.leases.{TASK}");
    let options = NatsOptions { extra_conf: users("old", &lease), ..NatsOptions::default() };
    let mut server = NatsServer::start(options).await.unwrap();
    let admin = user(&server, "admin").await;
    small_topology().apply(&admin, false).await.unwrap();
    let role = user(&server, "role").await;
    let instance = Instance::start(&role, "one");
    instance.until(false, "may not").await;
    // It is not healthy while another leads either: it could not take over.
    let other = Instance::start(&admin, "two");
    other.until_leads().await;
    instance.until(false, "may not").await;
    server.restart_with(users("old", "none")).await.unwrap();
    instance.until(true, "lead").await;
    instance.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_bucket_that_is_full() {
    let broker = Broker::start().await;
    set_stream(&broker.nats, serde_json::json!({ "name": "KV_leases", "max_bytes": 1 })).await;
    let instance = Instance::start(&broker.nats, "one");
    instance.until(false, "NATS does not store").await;
    set_stream(&broker.nats, serde_json::json!({ "name": "KV_leases", "max_bytes": 1 << 20 }))
        .await;
    instance.until_leads().await;
    instance.stop().await;
}

#[tokio::test]
async fn a_disk_that_is_full() {
    let Some(disk) = SmallDisk::mount(40) else {
        eprintln!("skipped: a small disk can only be mounted by root");
        return;
    };
    let store_dir = Some(disk.path().join("store"));
    let options = NatsOptions { store_dir, ..NatsOptions::default() };
    let mut server = NatsServer::start(options).await.unwrap();
    let nats = connect_to(server.url(), "test").await;
    small_topology().apply(&nats, false).await.unwrap();
    let instance = Instance::start(&nats, "one");
    instance.until_leads().await;
    disk.fill().unwrap();
    // Fills the space that the bucket's file still has.
    let big = "x".repeat(2_000);
    eventually(async || {
        let _ = nats.publish(message("$KV.leases.filler", 0).header("filler", &big)).await;
        !instance.leads()
    })
    .await;
    instance.until(false, "NATS does not store").await;
    instance.until(false, "is its disk full? make room, then restart nats-server").await;
    disk.make_room().unwrap();
    server.start_again().await.unwrap();
    instance.until_leads().await;
    instance.until(true, "leading").await;
    instance.stop().await;
}
