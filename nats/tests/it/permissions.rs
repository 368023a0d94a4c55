use std::path::Path;

use crypto_intel_nats::{
    Bucket, ConnectError, Lease, Nats, NatsConfig, PublishError, ReaderOptions, Start,
    StreamReader, WorkQueue, WorkQueueOptions, connect, dead_letter,
};
use crypto_intel_sandbox::{NatsOptions, NatsServer};
use crypto_intel_service::Secret;
use tokio_util::sync::CancellationToken;

use crate::broker::{block, message, read, small_topology, within};

const USERS: [&str; 7] = ["admin", "evm", "poll", "persist", "alerts", "notify", "reader"];

/// A server with the configuration that we ship, and its streams.
async fn server() -> NatsServer {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("server.conf");
    let env = USERS
        .iter()
        .map(|user| (format!("NATS_{}_PASSWORD", user.to_uppercase()), format!("of-{user}")))
        .collect();
    let options = NatsOptions { config: Some(config), env, ..NatsOptions::default() };
    let server = NatsServer::start(options).await.unwrap();
    let admin = user(&server, "admin").await;
    small_topology().apply(&admin, false).await.unwrap();
    server
}

fn config(server: &NatsServer, user: &str, password: String) -> NatsConfig {
    NatsConfig {
        url: server.url().into(),
        user: user.to_owned(),
        password: Secret::new(password),
        request_timeout_ms: 2_000,
        ..NatsConfig::default()
    }
}

async fn user(server: &NatsServer, user: &str) -> Nats {
    let config = config(server, user, format!("of-{user}"));
    connect(&config, user, &CancellationToken::new()).await.unwrap()
}

async fn can_read(nats: &Nats, stream: &str, filter: &str, count: usize) {
    let options = ReaderOptions::new(stream, "permissions", Start::First).filters([filter]);
    let mut reader = StreamReader::open(nats, options).await.unwrap();
    assert_eq!(read(&mut reader, count).await.len(), count);
}

async fn can_lease(nats: &Nats, key: &str) {
    let lease = Lease::try_acquire(nats, key, "test").await.unwrap().unwrap();
    lease.release().await;
}

async fn cannot_publish(nats: &Nats, subject: &str) {
    let error = nats.publish(message(subject, 0)).await.unwrap_err();
    assert!(matches!(error, PublishError::UnknownOutcome { .. }), "{subject}: {error:?}");
}

#[tokio::test]
async fn wrong_password_is_refused_at_once() {
    let server = server().await;
    let config = config(&server, "evm", "guessed".to_owned());
    let error = connect(&config, "evm", &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    let anonymous = NatsConfig { url: server.url().into(), ..NatsConfig::default() };
    let error = connect(&anonymous, "evm", &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn evm_does_its_work_and_no_other() {
    let server = server().await;
    let nats = user(&server, "evm").await;
    nats.publish_batch(block("evm.anvil.log", 20, Some(0))).await.unwrap();
    nats.publish_batch(block("history.anvil.log", 20, None)).await.unwrap();
    assert_eq!(nats.last_sequence_matching("EVM", "evm.anvil.>").await.unwrap(), 20);
    let newest = nats.last_from_leader("EVM", "evm.anvil.>").await.unwrap();
    assert_eq!(newest.map(|newest| newest.sequence), Some(20));
    can_read(&nats, "EVM", "evm.anvil.>", 20).await;
    can_lease(&nats, "evm.anvil").await;
    for bucket in [Bucket::Cursors, Bucket::Contracts, Bucket::Gaps, Bucket::Tokens] {
        let kv = nats.kv(bucket).await.unwrap();
        let revision = kv.create("anvil", "1").await.unwrap();
        kv.update("anvil", "2", revision).await.unwrap();
        assert_eq!(kv.keys("").await.unwrap(), ["anvil"]);
    }
    for bucket in [Bucket::Prices, Bucket::Watchlist] {
        let mut watch = nats.kv(bucket).await.unwrap().watch_all().await.unwrap();
        assert!(watch.load().await.is_empty());
    }
    cannot_publish(&nats, "alert.high.rule.id.fired.1").await;
    cannot_publish(&nats, "market.price.btc").await;
    cannot_publish(&nats, "$KV.prices.btc").await;
}

#[tokio::test]
async fn poll_does_its_work_and_no_other() {
    let server = server().await;
    let nats = user(&server, "poll").await;
    nats.publish_batch(block("market.price.btc", 3, None)).await.unwrap();
    nats.publish(message("sentiment.fng", 0)).await.unwrap();
    nats.publish(message("status.provider.binance", 0)).await.unwrap();
    nats.kv(Bucket::Prices).await.unwrap().put("btc", "1").await.unwrap();
    can_lease(&nats, "poll.binance").await;
    can_read(&nats, "MARKET", "market.>", 3).await;
    cannot_publish(&nats, "evm.anvil.log").await;
}

#[tokio::test]
async fn persist_reads_and_buries_and_publishes_nothing_else() {
    let server = server().await;
    user(&server, "evm").await.publish_batch(block("evm.anvil.log", 5, None)).await.unwrap();
    let nats = user(&server, "persist").await;
    can_read(&nats, "EVM", "evm.>", 5).await;
    can_lease(&nats, "persist").await;
    let bad = nats.get("EVM", 3).await.unwrap().unwrap();
    dead_letter(&nats, "persist", "EVM", &bad, "no id").await.unwrap();
    dead_letter(&nats, "persist", "EVM", &bad, "no id").await.unwrap();
    for stream in ["HISTORY", "MARKET", "SIGNALS", "STATUS", "ALERT", "NOTIFY"] {
        let options = ReaderOptions::new(stream, "permissions", Start::First);
        StreamReader::open(&nats, options).await.unwrap();
    }
    let mut watch = nats.kv(Bucket::Watchlist).await.unwrap().watch_all().await.unwrap();
    assert!(watch.load().await.is_empty());
    cannot_publish(&nats, "$KV.watchlist._all.x").await;
    cannot_publish(&nats, "evm.anvil.log").await;
    cannot_publish(&nats, "dlq.alerts.evm.1.2").await;
}

#[tokio::test]
async fn alerts_and_notify_do_their_work_and_no_other() {
    let server = server().await;
    let alerts = user(&server, "alerts").await;
    alerts.publish(message("tick.evm", 0)).await.unwrap();
    can_read(&alerts, "EVM", "tick.evm", 1).await;
    alerts.publish(message("alert.high.rule.id.fired.1", 0)).await.unwrap();
    let again = alerts.publish(message("alert.high.rule.id.fired.1", 0)).await.unwrap_err();
    assert!(matches!(again, PublishError::Full { code: 10_077, .. }), "{again:?}");
    let subject = "alert.high.rule.id.fired.1";
    assert!(alerts.last_on_subject("ALERT", subject).await.unwrap().is_some());
    alerts.kv(Bucket::RuleState).await.unwrap().put("shard-0", "state").await.unwrap();
    can_lease(&alerts, "alerts").await;
    cannot_publish(&alerts, "evm.anvil.log").await;

    let notify = user(&server, "notify").await;
    let options = WorkQueueOptions { filter: "alert.>".to_owned(), ..WorkQueueOptions::default() };
    let mut queue = WorkQueue::open(&notify, "ALERT", "notify", options).await.unwrap();
    within("alert", queue.next()).await.unwrap().ack().await.unwrap();
    notify.publish(message("notify.done.ops", 0)).await.unwrap();
    notify.kv(Bucket::Deliveries).await.unwrap().create("x", "attempt").await.unwrap();
    can_lease(&notify, "notify.ops").await;
    cannot_publish(&notify, "alert.high.rule.id.fired.2").await;
}

#[tokio::test]
async fn reader_reads_everything_and_publishes_nothing() {
    use futures::StreamExt as _;

    let server = server().await;
    let evm = user(&server, "evm").await;
    let nats = user(&server, "reader").await;
    let mut live = nats.client().subscribe("evm.>").await.unwrap();
    // An answer on the same connection: the subscription is in force.
    nats.stream_state("EVM").await.unwrap();
    evm.publish_batch(block("evm.anvil.log", 5, None)).await.unwrap();
    can_read(&nats, "EVM", "evm.>", 5).await;
    assert_eq!(nats.get("EVM", 2).await.unwrap().unwrap().payload, "body 1");
    assert_eq!(within("live message", live.next()).await.unwrap().payload, "body 0");
    for subject in ["evm.anvil.log", "alert.high.rule.id.fired.1", "dlq.a.evm.1.2", "$KV.prices.x"]
    {
        cannot_publish(&nats, subject).await;
    }
    let purge = nats.jetstream().get_stream("EVM").await.unwrap().purge().await;
    assert!(purge.is_err());
    assert_eq!(evm.stream_state("EVM").await.unwrap().messages, 5);
}
