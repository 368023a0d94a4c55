use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crypto_intel_nats::{
    Bucket, Nats, Notice, ReaderOptions, SnapshotError, Start, StreamReader, check_snapshot,
};
use crypto_intel_sandbox::{NatsOptions, NatsServer};
use crypto_intel_testkit::{Broker, connect_to, eventually, messages, within};

use crate::messages::{block, message, read};

const NO_PROGRESS: &(dyn Fn(u64) + Send + Sync) = &|_| {};

/// A second server, without any stream.
async fn empty_server() -> (NatsServer, Nats) {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let nats = connect_to(server.url(), "restored").await;
    (server, nats)
}

fn archive(folder: &Path) -> std::path::PathBuf {
    let archive = folder.join("stream.arc.s2");
    if archive.exists() { archive } else { folder.join("stream.tar.s2") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_restored_as_it_was_while_others_published() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        broker.nats.publish_batch(block("evm.anvil.log", 500, None)).await.unwrap();
        broker.nats.publish(message("tick.evm", number)).await.unwrap();
    }
    // The oldest messages are gone, as after expiry.
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().sequence(701).await.unwrap();
    let publisher = broker.nats.clone();
    let publishing = tokio::spawn(async move {
        loop {
            publisher.publish_batch(block("evm.anvil.log", 50, None)).await.unwrap();
        }
    });
    eventually(async || broker.nats.stream_state("EVM").await.unwrap().last_sequence > 20 * 501)
        .await;

    let told = AtomicU64::new(0);
    let progress = |bytes| told.store(bytes, Ordering::Relaxed);
    let snapshot = broker.nats.snapshot("EVM", folder.path(), &progress).await.unwrap();
    publishing.abort();
    let _ended = publishing.await;
    assert_eq!(snapshot.first_sequence, 701);
    assert_eq!(snapshot.messages, snapshot.last_sequence - 700);
    assert_eq!(snapshot.left_meanwhile, 0);
    assert_eq!(told.into_inner(), archive(folder.path()).metadata().unwrap().len());
    assert_eq!(check_snapshot(folder.path()).unwrap(), snapshot);

    let (_server, restored) = empty_server().await;
    let state = restored.restore_snapshot(folder.path(), NO_PROGRESS).await.unwrap();
    assert_eq!(state.first_sequence, 701);
    // Before 2.15, some messages that were published meanwhile are there, too.
    assert!(state.last_sequence >= snapshot.last_sequence);
    assert_eq!(state.messages, state.last_sequence - 700);
    let mut original = messages(&broker.nats, "EVM").await;
    original.truncate(state.messages as usize);
    let restored_messages = messages(&restored, "EVM").await;
    assert_eq!(restored_messages.len(), original.len());
    for (was, is) in original.iter().zip(restored_messages) {
        assert_eq!((&was.subject, &was.payload), (&is.subject, &is.payload));
        assert_eq!((was.sequence, was.stored_at_us), (is.sequence, is.stored_at_us));
        assert_eq!(was.schema, is.schema);
    }
    let config = async |nats: &Nats| {
        let stream = nats.jetstream().get_stream("EVM").await.unwrap();
        let mut config = stream.cached_info().config.clone();
        // The server notes its own version and level there.
        config.metadata.clear();
        config
    };
    assert_eq!(config(&broker.nats).await, config(&restored).await);
}

#[tokio::test]
async fn a_reader_resumes_at_its_position_in_a_restored_stream() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    broker.nats.publish_batch(block("evm.anvil.log", 100, None)).await.unwrap();
    let position = messages(&broker.nats, "EVM").await[59].position();
    broker.nats.snapshot("EVM", folder.path(), NO_PROGRESS).await.unwrap();

    let (_server, restored) = empty_server().await;
    restored.restore_snapshot(folder.path(), NO_PROGRESS).await.unwrap();
    let open = async |position| {
        let options = ReaderOptions::new("EVM", "test", Start::After(position));
        StreamReader::open(&restored, options).await.unwrap()
    };
    assert_eq!(read(&mut open(position).await, 1).await[0].sequence, 61);

    // A message that was published after the snapshot: its sequence belongs to another message now.
    let mut other = position;
    other.stored_at_us += 1;
    let batch = within(open(other).await.next(10)).await.unwrap();
    assert_eq!(batch.notices, [Notice::StreamReset { was: other, first_sequence: 1 }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_restored_while_it_is_written_to() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    let prices = broker.nats.kv(Bucket::Prices).await.unwrap();
    for key in 0..200 {
        prices.put(&format!("asset.{key}"), format!("{key}")).await.unwrap();
    }
    let writer = prices.clone();
    let writing = tokio::spawn(async move {
        loop {
            for key in 0..100 {
                writer.put(&format!("asset.{key}"), format!("{key}")).await.unwrap();
            }
        }
    });
    // Several times, because each snapshot coincides with other writes.
    for round in 0..5 {
        let folder = folder.path().join(round.to_string());
        broker.nats.snapshot("KV_prices", &folder, NO_PROGRESS).await.unwrap();
        let (_server, restored) = empty_server().await;
        restored.restore_snapshot(&folder, NO_PROGRESS).await.unwrap();
        let prices = restored.kv(Bucket::Prices).await.unwrap();
        for key in 100..200 {
            let entry = prices.get(&format!("asset.{key}")).await.unwrap().unwrap();
            assert_eq!(entry.value, format!("{key}"));
        }
        prices.put("asset.0", "after").await.unwrap();
    }
    writing.abort();
}

#[tokio::test]
async fn acknowledged_messages_stay_acknowledged() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..10 {
        let subject = format!("alert.info.rule.key{number}.fired.1");
        broker.nats.publish(message(&subject, number)).await.unwrap();
    }
    let info = async |nats: &Nats| {
        let stream = nats.jetstream().get_stream("ALERT").await.unwrap();
        let consumer: crypto_intel_nats::async_nats::jetstream::consumer::PullConsumer =
            stream.get_consumer("notify").await.unwrap();
        consumer
    };
    let consumer = info(&broker.nats).await;
    for _ in 0..4 {
        let mut batch = consumer.fetch().max_messages(1).messages().await.unwrap();
        let message = futures::StreamExt::next(&mut batch).await.unwrap().unwrap();
        message.double_ack().await.unwrap();
    }
    broker.nats.snapshot("ALERT", folder.path(), NO_PROGRESS).await.unwrap();

    let (_server, restored) = empty_server().await;
    restored.restore_snapshot(folder.path(), NO_PROGRESS).await.unwrap();
    let floor = info(&restored).await.cached_info().ack_floor.stream_sequence;
    assert_eq!(floor, 4);
}

#[tokio::test]
async fn an_empty_stream_keeps_its_sequence() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    broker.nats.publish_batch(block("evm.anvil.log", 10, None)).await.unwrap();
    broker.nats.jetstream().get_stream("EVM").await.unwrap().purge().await.unwrap();
    for stream in ["EVM", "HISTORY"] {
        broker.nats.snapshot(stream, &folder.path().join(stream), NO_PROGRESS).await.unwrap();
    }
    let (_server, restored) = empty_server().await;
    for (stream, last) in [("EVM", 10), ("HISTORY", 0)] {
        let folder = folder.path().join(stream);
        let state = restored.restore_snapshot(&folder, NO_PROGRESS).await.unwrap();
        assert_eq!((state.messages, state.last_sequence), (0, last), "{stream}");
    }
}

// The server gives up when the messages of one frame take longer than 5 s, and its own frames hold 7,000 of these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_messages_are_restored_where_each_is_synced() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        broker.nats.publish_batch(block("evm.anvil.log", 1_000, None)).await.unwrap();
    }
    let snapshot = broker.nats.snapshot("EVM", folder.path(), NO_PROGRESS).await.unwrap();
    let (_server, restored) = empty_server().await;
    let state = restored.restore_snapshot(folder.path(), NO_PROGRESS).await.unwrap();
    assert_eq!(state.messages, snapshot.messages);
}

#[tokio::test]
async fn a_truncated_or_changed_snapshot_is_broken() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        broker.nats.publish_batch(block("evm.anvil.log", 500, None)).await.unwrap();
    }
    broker.nats.snapshot("EVM", folder.path(), NO_PROGRESS).await.unwrap();
    let path = archive(folder.path());
    let whole = std::fs::read(&path).unwrap();
    let broken = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        matches!(check_snapshot(folder.path()), Err(SnapshotError::Broken { .. }))
    };
    assert!(!broken(&whole));
    assert!(broken(&whole[..whole.len() - 1]));
    assert!(broken(&whole[..whole.len() / 2]));
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    assert!(broken(&changed));
}

#[tokio::test]
async fn a_stream_that_exists_is_left_alone() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    broker.nats.publish_batch(block("evm.anvil.log", 10, None)).await.unwrap();
    broker.nats.snapshot("EVM", folder.path(), NO_PROGRESS).await.unwrap();
    broker.nats.publish(message("evm.anvil.log", 11)).await.unwrap();
    let error = broker.nats.restore_snapshot(folder.path(), NO_PROGRESS).await.unwrap_err();
    assert!(matches!(error, SnapshotError::Nats { doing: "restore", .. }), "{error:?}");
    assert_eq!(broker.nats.stream_state("EVM").await.unwrap().last_sequence, 11);
    let error = broker.nats.snapshot("NONE", &folder.path().join("none"), NO_PROGRESS).await;
    assert!(matches!(error, Err(SnapshotError::Nats { doing: "snapshot", .. })));
    let form = check_snapshot(folder.path()).unwrap().form;
    assert!(form.is_taken_by(&broker.nats.server_version()), "{form:?}");
}
