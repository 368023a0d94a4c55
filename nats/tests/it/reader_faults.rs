use crypto_intel_nats::{Notice, Position, ReadBatch, ReaderOptions, Start, StreamReader};
use crypto_intel_testkit::{Broker, small_topology, within};

use crate::messages::{block, message, read};

async fn open(broker: &Broker, start: Start) -> StreamReader {
    let options = ReaderOptions::new("EVM", "test", start);
    StreamReader::open(&broker.nats, options).await.unwrap()
}

async fn notices(reader: &mut StreamReader) -> Vec<Notice> {
    within(async {
        loop {
            let ReadBatch { notices, .. } = reader.next(1_000).await.unwrap();
            if !notices.is_empty() {
                return notices;
            }
        }
    })
    .await
}

#[tokio::test]
async fn resumes_after_a_server_restart_without_loss_or_duplicates() {
    let mut broker = Broker::start().await;
    let mut reader = open(&broker, Start::First).await;
    broker.nats.publish_batch(block("evm.anvil.log", 500, None)).await.unwrap();
    assert_eq!(read(&mut reader, 200).await.len(), 200);
    for round in 0..2 {
        broker.server.kill().unwrap();
        broker.server.start_again().await.unwrap();
        // A second connection, so that the messages are there whatever state ours is in.
        let writer = broker.connect("writer").await;
        writer.publish_batch(block("evm.anvil.log", 100, None)).await.unwrap();
        let before = reader.position().sequence;
        let count = 600 + round * 100 - usize::try_from(before).unwrap();
        let messages = read(&mut reader, count).await;
        assert!(messages.iter().zip(before + 1..).all(|(message, next)| message.sequence == next));
    }
    assert_eq!(reader.position().sequence, 700);
}

#[tokio::test]
async fn resumes_after_its_consumer_was_deleted() {
    let broker = Broker::start().await;
    let mut reader = open(&broker, Start::First).await;
    broker.nats.publish_batch(block("evm.anvil.log", 10, None)).await.unwrap();
    read(&mut reader, 10).await;
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    let names = {
        use futures::TryStreamExt as _;
        stream.consumer_names().try_collect::<Vec<_>>().await.unwrap()
    };
    assert_eq!(names.len(), 1);
    stream.delete_consumer(&names[0]).await.unwrap();
    broker.nats.publish(message("evm.anvil.log", 77)).await.unwrap();
    let next = read(&mut reader, 1).await;
    assert_eq!((next[0].sequence, &next[0].payload[..]), (11, &b"body 77"[..]));
}

#[tokio::test]
async fn recreated_stream_is_reported_and_read_from_its_first_message() {
    let broker = Broker::start().await;
    let mut reader = open(&broker, Start::First).await;
    broker.nats.publish_batch(block("evm.anvil.log", 10, None)).await.unwrap();
    read(&mut reader, 10).await;
    let was = reader.position();
    broker.nats.jetstream().delete_stream("EVM").await.unwrap();
    small_topology().apply(&broker.nats, false).await.unwrap();
    // Longer than the old one, so that sequences alone would not show it.
    broker.nats.publish_batch(block("evm.anvil.log", 25, None)).await.unwrap();
    assert_eq!(notices(&mut reader).await, [Notice::StreamReset { was, first_sequence: 1 }]);
    assert_eq!(read(&mut reader, 25).await[0].sequence, 1);

    // The same for a reader that was away meanwhile.
    let mut late = open(&broker, Start::After(was)).await;
    assert_eq!(notices(&mut late).await, [Notice::StreamReset { was, first_sequence: 1 }]);
    assert_eq!(read(&mut late, 25).await[24].sequence, 25);
}

#[tokio::test]
async fn position_beyond_the_end_of_a_stream_is_a_reset() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 10, None)).await.unwrap();
    let was = Position { sequence: 500, stored_at_us: 0 };
    let mut reader = open(&broker, Start::After(was)).await;
    assert_eq!(notices(&mut reader).await, [Notice::StreamReset { was, first_sequence: 1 }]);
    assert_eq!(read(&mut reader, 10).await[0].sequence, 1);
}

#[tokio::test]
async fn other_store_time_at_the_position_is_a_reset() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 10, None)).await.unwrap();
    let stored = broker.nats.get("EVM", 5).await.unwrap().unwrap();
    let was = Position { sequence: 5, stored_at_us: stored.stored_at_us + 1 };
    let mut reader = open(&broker, Start::After(was)).await;
    assert_eq!(notices(&mut reader).await, [Notice::StreamReset { was, first_sequence: 1 }]);
    let mut right = open(&broker, Start::After(stored.position())).await;
    assert_eq!(read(&mut right, 1).await[0].sequence, 6);
}

#[tokio::test]
async fn purge_before_the_position_was_reached_is_a_lost_range() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 20, None)).await.unwrap();
    let mut reader = open(&broker, Start::First).await;
    let applied = read(&mut reader, 5).await[4].position();
    drop(reader);
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().sequence(16).await.unwrap();
    let mut reader = open(&broker, Start::After(applied)).await;
    assert_eq!(notices(&mut reader).await, [Notice::LostRange { from: 6, to: 15 }]);
    assert_eq!(read(&mut reader, 5).await[0].sequence, 16);
}

#[tokio::test]
async fn what_was_gone_before_the_first_read_is_not_lost() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 20, None)).await.unwrap();
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().sequence(11).await.unwrap();
    for start in [Start::First, Start::After(Position::default()), Start::Time(1)] {
        let mut reader = open(&broker, start).await;
        assert_eq!(read(&mut reader, 5).await[0].sequence, 11);
        // A notice would come with the next batch.
        assert_eq!(read(&mut reader, 5).await[4].sequence, 20);
    }
}

#[tokio::test]
async fn purge_under_a_running_reader_is_a_lost_range() {
    let broker = Broker::start().await;
    let mut options = ReaderOptions::new("EVM", "test", Start::First);
    options.max_batch = 4;
    let mut reader = StreamReader::open(&broker.nats, options).await.unwrap();
    broker.nats.publish_batch(block("evm.anvil.log", 1_000, None)).await.unwrap();
    read(&mut reader, 2).await;
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().sequence(901).await.unwrap();
    let lost = notices(&mut reader).await;
    let [Notice::LostRange { from, to: 900 }] = lost.as_slice() else { panic!("{lost:?}") };
    // Messages that were already in flight were still read.
    assert!((3..=7).contains(from), "{from}");
}

#[tokio::test]
async fn nothing_is_lost_when_all_that_was_purged_had_been_applied() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 20, None)).await.unwrap();
    let mut reader = open(&broker, Start::First).await;
    let applied = read(&mut reader, 20).await[19].position();
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().await.unwrap();
    let mut late = open(&broker, Start::After(applied)).await;
    broker.nats.publish(message("evm.anvil.log", 0)).await.unwrap();
    assert_eq!(read(&mut late, 1).await[0].sequence, 21);
    assert_eq!(read(&mut reader, 1).await[0].sequence, 21);
}

#[tokio::test]
async fn frozen_server_is_noticed_and_survived() {
    let mut broker = Broker::start().await;
    let mut reader = open(&broker, Start::First).await;
    broker.nats.publish(message("evm.anvil.log", 0)).await.unwrap();
    read(&mut reader, 1).await;
    broker.server.pause().unwrap();
    let waited = tokio::time::timeout(std::time::Duration::from_millis(300), reader.next(1)).await;
    assert!(waited.is_err());
    broker.server.resume().unwrap();
    broker.nats.publish(message("evm.anvil.log", 1)).await.unwrap();
    assert_eq!(read(&mut reader, 1).await[0].sequence, 2);
}
