//! Other teams, in an account of their own: they read the copied streams in any way that clients offer, and cannot change
//! anything in our account.

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull, push};
use crypto_intel_nats::{
    Change, Nats, NatsError, ReaderOptions, Start, StreamReader, Topology, WorkQueue,
    WorkQueueOptions,
};
use crypto_intel_testkit::{connect_to, eventually, small_topology, within};
use futures::StreamExt as _;

use crate::messages::{block, message};
use crate::permissions::{asks, can_read, cannot_publish, server, user};

const COPIED: [&str; 6] = ["ALERT", "EVM", "HISTORY", "MARKET", "SIGNALS", "STATUS"];

/// Waits until the copy has this number of messages.
async fn copied(reader: &Nats, stream: &str, messages: u64) {
    eventually(async || nats_holds(reader, stream).await == Some(messages)).await;
}

async fn nats_holds(reader: &Nats, stream: &str) -> Option<u64> {
    reader.stream_state(stream).await.ok().map(|state| state.messages)
}

#[tokio::test]
async fn a_team_reads_in_every_way_that_clients_offer() {
    let server = server().await;
    let evm = user(&server, "evm").await;
    let nats = user(&server, "reader").await;
    let mut live = nats.client().subscribe("evm.>").await.unwrap();
    // An answer on the same connection shows that the subscription is in force.
    nats.stream_state("EVM").await.unwrap();
    evm.publish_batch(block("evm.anvil.log", 5, None)).await.unwrap();
    assert_eq!(within(live.next()).await.unwrap().payload, "body 0");
    copied(&nats, "EVM", 5).await;
    assert_eq!(nats.get("EVM", 2).await.unwrap().unwrap().payload, "body 1");
    can_read(&nats, "EVM", "evm.>", 5).await;

    let options = WorkQueueOptions { filter: "evm.>".to_owned(), ..WorkQueueOptions::default() };
    let mut queue = WorkQueue::open(&nats, "EVM", "warehouse", options).await.unwrap();
    within(queue.next()).await.unwrap().ack().await.unwrap();

    let stream = nats.jetstream().get_stream("EVM").await.unwrap();
    let ordered = stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
    let mut messages = ordered.messages().await.unwrap();
    assert_eq!(within(messages.next()).await.unwrap().unwrap().payload, "body 0");
    let inbox = nats.client().new_inbox();
    let config = push::OrderedConfig { deliver_subject: inbox, ..Default::default() };
    let pushed = stream.create_consumer(config).await.unwrap();
    let mut messages = pushed.messages().await.unwrap();
    assert_eq!(within(messages.next()).await.unwrap().unwrap().payload, "body 0");
    stream.delete_consumer("warehouse").await.unwrap();
    assert!(!server.log().contains("Violation"), "{}", server.log());
}

#[tokio::test]
async fn a_team_can_change_nothing_in_our_account() {
    let server = server().await;
    let alerts = user(&server, "alerts").await;
    let notify = user(&server, "notify").await;
    let admin = user(&server, "admin").await;
    let nats = user(&server, "reader").await;
    for number in 0..3 {
        let subject = format!("alert.high.rule.{number}.fired.1");
        alerts.publish(message(&subject, number)).await.unwrap();
    }
    copied(&nats, "ALERT", 3).await;
    let options = WorkQueueOptions { filter: "alert.>".to_owned(), ..WorkQueueOptions::default() };
    let mut queue = WorkQueue::open(&notify, "ALERT", "notify", options).await.unwrap();
    within(queue.next()).await.unwrap().ack().await.unwrap();
    let before = asks(&admin, "$JS.API.CONSUMER.INFO.ALERT.notify", "").await.unwrap();

    // Our subjects, every bucket, dead letters, the outbox, the subjects of copying.
    for subject in [
        "evm.anvil.log",
        "watch.anvil.0x1.log",
        "history.anvil.log",
        "market.price.btc",
        "tick.evm",
        "status.node.a.b",
        "alert.high.rule.id.fired.1",
        "notify.out.ops",
        "notify.done.ops",
        "dlq.a.evm.1.2",
        "$KV.leases.alerts",
        "$KV.cursors.evm.anvil",
        "$KV.gaps.anvil.1",
        "$KV.prices.x",
        "$KV.tokens.x",
        "$KV.watchlist._all.x",
        "$KV.silences.x",
        "$KV.rule_state.x",
        "$KV.deliveries.x",
        "crypto_intel.API.CONSUMER.CREATE.ALERT",
        "outside.deliver.x",
        "outside.API.STREAM.DELETE.EVM",
    ] {
        cannot_publish(&nats, subject).await;
    }
    // Their own copies: read only.
    for stream in COPIED {
        for request in ["PURGE", "DELETE", "UPDATE", "CREATE", "MSG.DELETE", "SNAPSHOT", "RESTORE"]
        {
            let answer = asks(&nats, &format!("$JS.API.STREAM.{request}.{stream}"), "").await;
            assert!(matches!(answer, Err(NatsError::Forbidden { .. })), "{request}: {answer:?}");
        }
    }
    // A consumer with the same name as ours is their own: they can create, read, acknowledge and delete it.
    assert!(asks(&nats, "$JS.API.CONSUMER.INFO.ALERT.notify", "").await.unwrap().contains("10014"));
    let options = WorkQueueOptions { filter: "alert.>".to_owned(), ..WorkQueueOptions::default() };
    let mut theirs = WorkQueue::open(&nats, "ALERT", "notify", options).await.unwrap();
    for _ in 0..3 {
        within(theirs.next()).await.unwrap().ack().await.unwrap();
    }
    nats.client().publish("$JS.ACK.ALERT.notify.1.2.2.1.0", "+ACK".into()).await.unwrap();
    asks(&nats, "$JS.API.CONSUMER.DELETE.ALERT.notify", "").await.unwrap();
    let names = asks(&nats, "$JS.API.CONSUMER.NAMES.ALERT", "").await.unwrap();
    assert!(!names.contains("\"notify\""), "{names}");
    // Streams without a copy do not exist for them.
    for stream in ["DLQ", "NOTIFY", "OUTBOX", "KV_leases", "KV_cursors", "KV_watchlist"] {
        let error = nats.stream_state(stream).await.unwrap_err();
        assert!(matches!(error, NatsError::NoStream { .. }), "{stream}: {error:?}");
        let options = ReaderOptions::new(stream, "outside", Start::First);
        assert!(StreamReader::open(&nats, options).await.is_err(), "{stream}");
    }
    let names = asks(&nats, "$JS.API.STREAM.NAMES", "").await.unwrap();
    assert!(!names.contains("KV_") && !names.contains("DLQ"), "{names}");

    let after = asks(&admin, "$JS.API.CONSUMER.INFO.ALERT.notify", "").await.unwrap();
    let floor = |text: &str| {
        let info: serde_json::Value = serde_json::from_str(text).unwrap();
        (info["ack_floor"]["stream_seq"].clone(), info["created"].clone())
    };
    assert_eq!(floor(&before), floor(&after));
    assert_eq!(admin.stream_state("ALERT").await.unwrap().messages, 3);
    for _ in 0..2 {
        within(queue.next()).await.unwrap().ack().await.unwrap();
    }
}

/// A consumer can name any subject to deliver to, but none of them leads out of their account or to an API.
#[tokio::test]
async fn no_consumer_of_a_team_delivers_into_our_account() {
    let server = server().await;
    let evm = user(&server, "evm").await;
    let admin = user(&server, "admin").await;
    let nats = user(&server, "reader").await;
    evm.publish_batch(block("evm.anvil.log", 5, None)).await.unwrap();
    copied(&nats, "EVM", 5).await;
    let stream = nats.jetstream().get_stream("EVM").await.unwrap();
    for (number, subject) in [
        "alert.critical.rule.id.fired.1",
        "$KV.watchlist._all.x",
        "evm.anvil.log",
        "dlq.a.b.1.2",
        "crypto_intel.API.CONSUMER.CREATE.EVM",
        "$JS.API.STREAM.DELETE.EVM",
        "$JS.API.STREAM.PURGE.EVM",
        "outside.API.STREAM.DELETE.EVM",
        "outside.deliver.x",
    ]
    .into_iter()
    .enumerate()
    {
        let config = push::Config {
            name: Some(format!("sly-{number}")),
            deliver_subject: subject.to_owned(),
            deliver_policy: DeliverPolicy::All,
            headers_only: true,
            inactive_threshold: Duration::from_secs(5),
            ..push::Config::default()
        };
        // The server may refuse or create it.
        let _ = stream.create_consumer(config).await;
    }
    // An event takes the same way, so it arrives after anything that these consumers deliver.
    evm.publish(message("evm.anvil.log", 6)).await.unwrap();
    copied(&nats, "EVM", 6).await;
    assert_eq!(admin.stream_state("EVM").await.unwrap().messages, 6);
    for stream in ["ALERT", "DLQ", "KV_watchlist"] {
        assert_eq!(admin.stream_state(stream).await.unwrap().messages, 0, "{stream}");
    }
}

#[tokio::test]
async fn a_copy_of_a_recreated_stream_is_recreated() {
    let server = server().await;
    let evm = user(&server, "evm").await;
    let admin = user(&server, "admin").await;
    let nats = user(&server, "reader").await;
    let topology = small_topology();
    evm.publish_batch(block("evm.anvil.log", 50, None)).await.unwrap();
    copied(&nats, "EVM", 50).await;
    assert_eq!(topology.diff(&admin).await.unwrap(), []);
    // Deleted by another program, which leaves the copy alone: it waits for sequence 51.
    admin.jetstream().delete_stream("EVM").await.unwrap();
    topology.apply(&admin, false).await.unwrap();
    evm.publish_batch(block("evm.anvil.log", 3, None)).await.unwrap();
    let differences = topology.diff(&admin).await.unwrap();
    if !differences.is_empty() {
        topology.apply(&admin, false).await.unwrap();
    }
    copied(&nats, "EVM", 3).await;
    assert_eq!(topology.diff(&admin).await.unwrap(), []);
    // Removed by us, with its copy.
    topology.remove(&admin, "EVM").await.unwrap();
    let error = nats.stream_state("EVM").await.unwrap_err();
    assert!(matches!(error, NatsError::NoStream { .. }), "{error:?}");
    let changes = topology.apply(&admin, false).await.unwrap();
    let made = |object: &str| Change::Created { object: object.to_owned() };
    assert!(
        changes.contains(&made("EVM")) && changes.contains(&made("OUTSIDE/EVM")),
        "{changes:?}"
    );
}

/// Copies are not synced for each message: a batch of thousands is copied at once, and what a restart of the server loses
/// is copied again.
#[tokio::test]
async fn copies_keep_up_and_are_whole_again_after_the_server_was_killed() {
    let mut server = server().await;
    let evm = user(&server, "evm").await;
    let nats = user(&server, "reader").await;
    evm.publish_batch(block("evm.anvil.log", 2_000, None)).await.unwrap();
    copied(&nats, "EVM", 2_000).await;
    server.kill().unwrap();
    server.start_again().await.unwrap();
    copied(&nats, "EVM", 2_000).await;
    let evm = user(&server, "evm").await;
    evm.publish_batch(block("evm.anvil.log", 10, None)).await.unwrap();
    copied(&nats, "EVM", 2_010).await;
}

/// A server with another configuration: everything works, without copies.
#[tokio::test]
async fn a_server_without_the_account_has_no_copies() {
    use crypto_intel_sandbox::{NatsOptions, NatsServer};

    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let nats = connect_to(server.url(), "test").await;
    let changes = small_topology().apply(&nats, false).await.unwrap();
    let is_copy = |change: &Change| matches!(change, Change::Created { object } if object.starts_with("OUTSIDE/"));
    assert!(!changes.iter().any(is_copy), "{changes:?}");
    let status = Topology::embedded().unwrap().status(&nats).await.unwrap();
    assert!(status.iter().all(|stream| stream.state.is_some()), "{status:?}");
}
