use crypto_intel_nats::{
    Bucket, ConnectError, Lease, Nats, NatsConfig, NatsError, PublishError, ReaderOptions, Start,
    StreamReader, WorkQueue, WorkQueueOptions, connect, dead_letter,
};
use crypto_intel_sandbox::{NatsServer, nats_password};
use crypto_intel_service::Secret;
use crypto_intel_testkit::{Broker, within};
use tokio_util::sync::CancellationToken;

use crate::messages::{block, message, read};

/// A server with the configuration that we ship, and its streams.
pub(crate) async fn server() -> NatsServer {
    Broker::start_with_users().await.server
}

fn config(server: &NatsServer, user: &str, password: String) -> NatsConfig {
    NatsConfig {
        url: server.url().into(),
        user: user.to_owned(),
        password: Secret::new(password),
        request_timeout_ms: 20_000,
        ..NatsConfig::default()
    }
}

pub(crate) async fn user(server: &NatsServer, user: &str) -> Nats {
    let config = config(server, user, nats_password(user));
    connect(&config, user, &CancellationToken::new()).await.unwrap()
}

pub(crate) async fn can_read(nats: &Nats, stream: &str, filter: &str, count: usize) {
    let options = ReaderOptions::new(stream, "permissions", Start::First).filters([filter]);
    let mut reader = StreamReader::open(nats, options).await.unwrap();
    assert_eq!(read(&mut reader, count).await.len(), count);
}

async fn can_lease(nats: &Nats, key: &str) {
    let lease = Lease::try_acquire(nats, key, "test").await.unwrap().unwrap();
    lease.release().await;
}

/// Fails at once, and the error names the user and the subject.
pub(crate) async fn cannot_publish(nats: &Nats, subject: &str) {
    let error = nats.publish(message(subject, 0)).await.unwrap_err();
    assert!(matches!(error, PublishError::Forbidden { .. }), "{subject}: {error:?}");
    let text = error.to_string();
    assert!(text.contains(subject) && text.contains(nats.user()), "{text}");
}

/// What the API answers; refused requests never reach it.
pub(crate) async fn asks(nats: &Nats, subject: &str, body: &str) -> Result<String, NatsError> {
    nats.ask(subject, body.to_owned())
        .await
        .map(|answer| String::from_utf8(answer.to_vec()).unwrap())
}

async fn cannot_ask(nats: &Nats, subject: &str) {
    let answer = asks(nats, subject, "").await;
    assert!(matches!(answer, Err(NatsError::Forbidden { .. })), "{subject}: {answer:?}");
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
    for (bucket, key) in [
        (Bucket::Cursors, "evm.anvil"),
        (Bucket::Contracts, "anvil.uniswap.0x1"),
        (Bucket::Gaps, "anvil.1"),
        (Bucket::Pasts, "anvil.0x1"),
        (Bucket::Tokens, "anvil.0x1"),
    ] {
        let kv = nats.kv(bucket).await.unwrap();
        let revision = kv.create(key, "1").await.unwrap();
        kv.update(key, "2", revision).await.unwrap();
        assert_eq!(kv.get(key).await.unwrap().unwrap().value, "2");
    }
    assert_eq!(nats.kv(Bucket::Gaps).await.unwrap().keys("").await.unwrap(), ["anvil.1"]);
    for bucket in [Bucket::Prices, Bucket::Watchlist] {
        let mut watch = nats.kv(bucket).await.unwrap().watch_all().await.unwrap();
        assert!(watch.load().await.is_empty());
    }
    for subject in [
        "alert.high.rule.id.fired.1",
        "market.price.btc",
        "dlq.persist.evm.1.2",
        "$KV.prices.btc",
        "$KV.cursors.persist.EVM",
        "$KV.cursors.verified.anvil",
        "$KV.leases.persist.EVM",
        "outside.API.STREAM.PURGE.EVM",
    ] {
        cannot_publish(&nats, subject).await;
    }
}

#[tokio::test]
async fn poll_does_its_work_and_no_other() {
    let server = server().await;
    let nats = user(&server, "poll").await;
    nats.publish_batch(block("market.price.btc", 3, None)).await.unwrap();
    nats.publish(message("sentiment.fng", 0)).await.unwrap();
    nats.kv(Bucket::Prices).await.unwrap().put("btc", "1").await.unwrap();
    nats.kv(Bucket::Cursors).await.unwrap().put("poll.binance.ticker", "1").await.unwrap();
    can_lease(&nats, "poll.binance").await;
    assert!(nats.last_on_subject("MARKET", "market.price.btc").await.unwrap().is_some());
    for subject in ["evm.anvil.log", "$KV.leases.evm.anvil", "$KV.cursors.evm.anvil"] {
        cannot_publish(&nats, subject).await;
    }
    cannot_ask(&nats, "$JS.API.CONSUMER.CREATE.MARKET.mine").await;
}

#[tokio::test]
async fn persist_does_its_work_and_no_other() {
    let server = server().await;
    user(&server, "evm").await.publish_batch(block("evm.anvil.log", 5, None)).await.unwrap();
    let alerts = user(&server, "alerts").await;
    alerts.publish(message("alert.high.rule.id.fired.1", 0)).await.unwrap();
    let nats = user(&server, "persist").await;
    can_read(&nats, "EVM", "evm.>", 5).await;
    can_read(&nats, "ALERT", "alert.>", 1).await;
    can_lease(&nats, "persist.EVM").await;
    let bad = nats.get("EVM", 3).await.unwrap().unwrap();
    dead_letter(&nats, "persist", "EVM", &bad, "no id").await.unwrap();
    dead_letter(&nats, "persist", "EVM", &bad, "no id").await.unwrap();
    for stream in ["HISTORY", "MARKET", "SIGNALS", "STATUS", "NOTIFY"] {
        let options = ReaderOptions::new(stream, "permissions", Start::First);
        StreamReader::open(&nats, options).await.unwrap();
    }
    let mut watch = nats.kv(Bucket::Watchlist).await.unwrap().watch_all().await.unwrap();
    assert!(watch.load().await.is_empty());
    for subject in [
        "evm.anvil.log",
        "dlq.alerts.evm.1.2",
        "$KV.watchlist._all.x",
        "$KV.gaps.anvil.1",
        "$KV.cursors.evm.anvil",
        "$KV.leases.notify.ops",
    ] {
        cannot_publish(&nats, subject).await;
    }
    // What notify depends on.
    for subject in [
        "$JS.API.CONSUMER.MSG.NEXT.ALERT.notify",
        "$JS.API.CONSUMER.DELETE.ALERT.notify",
        "$JS.API.CONSUMER.CREATE.ALERT.notify",
        "$JS.API.CONSUMER.CREATE.ALERT.notify.alert.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.ALERT.notify",
        "$JS.ACK.ALERT.notify.1.1.1.1.0",
        "$JS.API.CONSUMER.MSG.NEXT.OUTBOX.notify-ops",
        "$JS.API.STREAM.PURGE.ALERT",
        "$JS.API.STREAM.DELETE.ALERT",
        "$JS.API.CONSUMER.NAMES.ALERT",
    ] {
        cannot_ask(&nats, subject).await;
    }
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
    for subject in ["evm.anvil.log", "$KV.silences.x", "$KV.leases.notify.ops"] {
        cannot_publish(&alerts, subject).await;
    }
    for stream in ["KV_watchlist", "KV_prices", "KV_silences"] {
        cannot_ask(&alerts, &format!("$JS.API.STREAM.INFO.{stream}")).await;
    }
    // Rules read alerts, but not through the consumer of notify.
    can_read(&alerts, "ALERT", "alert.>", 1).await;
    cannot_ask(&alerts, "$JS.API.CONSUMER.CREATE.ALERT.notify").await;

    let notify = user(&server, "notify").await;
    let options = WorkQueueOptions { filter: "alert.>".to_owned(), ..WorkQueueOptions::default() };
    let mut queue = WorkQueue::open(&notify, "ALERT", "notify", options).await.unwrap();
    within(queue.next()).await.unwrap().ack().await.unwrap();
    notify.publish(message("notify.done.ops", 0)).await.unwrap();
    notify.publish(message("notify.out.ops", 0)).await.unwrap();
    let options =
        WorkQueueOptions { filter: "notify.out.ops".to_owned(), ..WorkQueueOptions::default() };
    let mut queue = WorkQueue::open(&notify, "OUTBOX", "notify-ops", options).await.unwrap();
    within(queue.next()).await.unwrap().ack().await.unwrap();
    notify.kv(Bucket::Deliveries).await.unwrap().create("x", "attempt").await.unwrap();
    notify.kv(Bucket::Silences).await.unwrap().create("x", "silence").await.unwrap();
    can_lease(&notify, "notify.ops").await;
    for subject in ["alert.high.rule.id.fired.2", "$KV.watchlist.x", "$KV.leases.alerts"] {
        cannot_publish(&notify, subject).await;
    }
    cannot_ask(&notify, "$JS.API.CONSUMER.CREATE.ALERT.mine").await;
}

/// A refusal is an answer: waiting for the timeout would take 20 s here, and 10 s in a role.
#[tokio::test]
async fn a_refusal_fails_a_pending_request_at_once() {
    let server = server().await;
    let nats = user(&server, "alerts").await;
    let started = std::time::Instant::now();
    let error = nats.stream_state("NOTIFY").await.unwrap_err();
    assert!(
        matches!(&error, NatsError::Forbidden { user, what }
        if user == "alerts" && what == "$JS.API.STREAM.INFO.NOTIFY"),
        "{error:?}"
    );
    // Also in a batch in which only the first message is refused, and in a window.
    let evm = user(&server, "evm").await;
    let mut batch = block("evm.anvil.log", 2, None);
    batch.messages.insert(0, message("market.price.btc", 0));
    let error = evm.publish_batch(batch).await.unwrap_err();
    let is_first = |error: &PublishError| matches!(error, PublishError::Forbidden { subject, .. } if subject == "market.price.btc");
    assert!(is_first(&error), "{error:?}");
    let mut window = nats.window(4);
    window.push(message("market.price.btc", 0)).await.unwrap();
    let error = window.flush().await.unwrap_err();
    assert!(is_first(&error), "{error:?}");
    let options = ReaderOptions::new("NOTIFY", "permissions", Start::First);
    let error = StreamReader::open(&nats, options).await.unwrap_err();
    assert!(error.to_string().contains("use a user that may"), "{error}");
    assert!(started.elapsed() < std::time::Duration::from_secs(15), "{:?}", started.elapsed());
}
