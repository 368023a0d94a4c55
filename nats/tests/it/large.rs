use bytes::Bytes;
use crypto_intel_nats::{Bucket, Kv, KvError};
use crypto_intel_testkit::{Broker, SeededRandom};
use rand::RngExt as _;
use serde_json::json;

/// Bytes that are no multiple of a part.
const BYTES: usize = 1_400_000;

fn value(seed: u64) -> Bytes {
    let mut bytes = vec![0; BYTES];
    SeededRandom::with_seed(seed).fill(&mut bytes[..]);
    bytes.into()
}

async fn subjects(kv: &Kv, broker: &Broker) -> usize {
    let parts = broker.nats.subjects_of(&kv.bucket().stream(), "$KV.labels.*.*.*").await.unwrap();
    let mut living = 0;
    for subject in parts {
        let key = subject.strip_prefix("$KV.labels.").unwrap();
        living += usize::from(kv.get(key).await.unwrap().is_some());
    }
    living
}

#[tokio::test]
async fn a_value_larger_than_a_message_is_replaced_as_a_whole_and_leaves_nothing_behind() {
    let broker = Broker::start().await;
    let kv = broker.nats.kv(Bucket::Labels).await.unwrap();
    assert_eq!(kv.get_large("desk").await.unwrap(), None);
    let first = kv.put_large("desk", json!({"of": 1}), &value(1), 0).await.unwrap();
    let (head, bytes) = kv.get_large("desk").await.unwrap().unwrap();
    assert_eq!((head.about, head.revision, &bytes), (json!({"of": 1}), first, &value(1)));

    let second = kv.put_large("desk", json!({"of": 2}), &value(2), first).await.unwrap();
    // A writer that has not seen the second one changes nothing.
    for stale in [0, first] {
        let refused = kv.put_large("desk", json!({"of": 3}), &value(3), stale).await;
        assert!(
            matches!(refused, Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. })),
            "{refused:?}"
        );
    }
    let (head, bytes) = kv.get_large("desk").await.unwrap().unwrap();
    assert_eq!((head.revision, &bytes), (second, &value(2)));
    assert_eq!(subjects(&kv, &broker).await, 3, "parts of other values are gone");
    kv.put_large("other", json!({}), &Bytes::new(), 0).await.unwrap();
    let keys: Vec<String> =
        kv.large_values().await.unwrap().into_iter().map(|head| head.key).collect();
    assert_eq!(keys, ["desk", "other"]);

    assert!(kv.delete_large("desk").await.unwrap() && !kv.delete_large("desk").await.unwrap());
    assert_eq!(kv.get_large("desk").await.unwrap(), None);
    assert_eq!(subjects(&kv, &broker).await, 0);
    // The name can be used again.
    kv.put_large("desk", json!({}), &value(4), 0).await.unwrap();
}

#[tokio::test]
async fn a_value_that_lacks_a_part_is_not_taken_for_whole() {
    let broker = Broker::start().await;
    let kv = broker.nats.kv(Bucket::Labels).await.unwrap();
    kv.put_large("desk", json!({}), &value(1), 0).await.unwrap();
    let parts = broker.nats.subjects_of("KV_labels", "$KV.labels.*.*.1").await.unwrap();
    kv.delete(parts[0].strip_prefix("$KV.labels.").unwrap()).await.unwrap();
    let read = kv.get_large("desk").await;
    assert!(matches!(&read, Err(KvError::Damaged { reason, .. }) if reason.contains("part 1")));
}
