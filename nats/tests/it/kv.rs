use crypto_intel_nats::{Bucket, KvError};
use crypto_intel_testkit::{Broker, small_topology, within};

#[tokio::test]
async fn writes_compare_and_set() {
    let broker = Broker::start().await;
    let kv = broker.nats.kv(Bucket::Cursors).await.unwrap();
    assert_eq!(kv.get("anvil").await.unwrap(), None);
    let first = kv.create("anvil", "1").await.unwrap();
    assert!(matches!(kv.create("anvil", "2").await, Err(KvError::AlreadyExists { .. })));
    let second = kv.update("anvil", "2", first).await.unwrap();
    assert!(matches!(kv.update("anvil", "3", first).await, Err(KvError::WrongRevision { .. })));
    let entry = kv.get("anvil").await.unwrap().unwrap();
    assert_eq!((&entry.value[..], entry.revision), (&b"2"[..], second));
    assert!(matches!(kv.delete_revision("anvil", first).await, Err(KvError::WrongRevision { .. })));
    kv.delete("anvil").await.unwrap();
    assert_eq!(kv.get("anvil").await.unwrap(), None);
    // A deleted key can be created again.
    kv.create("anvil", "4").await.unwrap();
    assert!(matches!(kv.put("a b", "x").await, Err(KvError::InvalidKey { .. })));
}

#[tokio::test]
async fn lists_living_keys_by_prefix() {
    let broker = Broker::start().await;
    let kv = broker.nats.kv(Bucket::Prices).await.unwrap();
    assert_eq!(kv.keys("").await.unwrap(), Vec::<String>::new());
    for key in ["btc", "eth", "eth2", "gone"] {
        kv.put(key, key.to_owned()).await.unwrap();
    }
    kv.put("btc", "newer").await.unwrap();
    kv.delete("gone").await.unwrap();
    assert_eq!(kv.keys("").await.unwrap(), ["btc", "eth", "eth2"]);
    assert_eq!(kv.keys("eth").await.unwrap(), ["eth", "eth2"]);
    assert_eq!(kv.entries("btc").await.unwrap()[0].1.value, "newer");
}

#[tokio::test]
async fn watch_yields_existing_entries_and_then_every_change_across_a_restart() {
    let mut broker = Broker::start().await;
    let kv = broker.nats.kv(Bucket::Watchlist).await.unwrap();
    kv.put("a", "1").await.unwrap();
    kv.put("b", "1").await.unwrap();
    let mut watch = kv.watch_all().await.unwrap();
    let keys: Vec<_> = watch.load().await.into_iter().map(|change| change.key).collect();
    assert_eq!(keys, ["a", "b"]);
    broker.server.kill().unwrap();
    broker.server.start_again().await.unwrap();
    let other = broker.connect("other").await;
    let other = other.kv(Bucket::Watchlist).await.unwrap();
    other.put("a", "2").await.unwrap();
    other.delete("b").await.unwrap();
    let change = within(watch.next()).await.unwrap();
    assert_eq!((change.key.as_str(), change.value.as_deref()), ("a", Some(&b"2"[..])));
    let change = within(watch.next()).await.unwrap();
    assert_eq!((change.key.as_str(), change.value), ("b", None));
}

#[tokio::test]
async fn watch_reports_keys_that_vanished_with_their_bucket() {
    let broker = Broker::start().await;
    let kv = broker.nats.kv(Bucket::Silences).await.unwrap();
    kv.put("stays", "1").await.unwrap();
    kv.put("goes", "1").await.unwrap();
    let mut watch = kv.watch_all().await.unwrap();
    assert_eq!(watch.load().await.len(), 2);
    broker.nats.jetstream().delete_stream("KV_silences").await.unwrap();
    small_topology().apply(&broker.nats, false).await.unwrap();
    kv.put("stays", "2").await.unwrap();
    let change = within(watch.next()).await.unwrap();
    assert_eq!((change.key.as_str(), change.value.as_deref()), ("stays", Some(&b"2"[..])));
    let change = within(watch.next()).await.unwrap();
    assert_eq!((change.key.as_str(), change.value), ("goes", None));
}

#[tokio::test]
async fn expired_value_is_a_deletion_for_watchers() {
    let broker = Broker::start().await;
    let kv = broker.nats.kv(Bucket::Leases).await.unwrap();
    let mut watch = kv.watch_all().await.unwrap();
    kv.put("short", "1").await.unwrap();
    assert!(within(watch.next()).await.unwrap().value.is_some());
    assert_eq!(within(watch.next()).await.unwrap().value, None);
    assert_eq!(kv.get("short").await.unwrap(), None);
    kv.create("short", "2").await.unwrap();
}
