use crypto_intel_nats::{Position, ReaderError, ReaderOptions, Start, StreamReader};
use crypto_intel_testkit::{Broker, eventually, within};

use crate::messages::{block, message, read};

async fn open(broker: &Broker, start: Start) -> StreamReader {
    let options = ReaderOptions::new("EVM", "test", start);
    StreamReader::open(&broker.nats, options).await.unwrap()
}

#[tokio::test]
async fn reads_in_order_from_the_given_start() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 12_000, None)).await.unwrap();
    let mut reader = open(&broker, Start::First).await;
    assert_eq!(reader.pending(), 12_000);
    let all = read(&mut reader, 12_000).await;
    assert!(all.iter().zip(1..).all(|(message, sequence)| message.sequence == sequence));
    assert_eq!(reader.pending(), 0);
    assert_eq!(reader.position(), all.last().unwrap().position());

    let position = all[4_999].position();
    let mut after = open(&broker, Start::After(position)).await;
    assert_eq!(read(&mut after, 1).await[0].sequence, 5_001);
    let mut by_sequence = open(&broker, Start::Sequence(700)).await;
    assert_eq!(read(&mut by_sequence, 1).await[0].sequence, 700);
    let mut by_time = open(&broker, Start::Time(all[0].stored_at_us)).await;
    assert_eq!(read(&mut by_time, 1).await[0].sequence, 1);
    let mut nothing_applied = open(&broker, Start::After(Position::default())).await;
    assert_eq!(read(&mut nothing_applied, 1).await[0].sequence, 1);
}

#[tokio::test]
async fn new_means_what_is_stored_after_opening() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 10, None)).await.unwrap();
    let mut reader = open(&broker, Start::New).await;
    assert_eq!(reader.pending(), 0);
    broker.nats.publish(message("evm.anvil.log", 99)).await.unwrap();
    assert_eq!(read(&mut reader, 1).await[0].payload, "body 99");
}

#[tokio::test]
async fn hands_out_at_most_what_is_asked_for_and_more_without_waiting() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 100, None)).await.unwrap();
    let mut reader = open(&broker, Start::First).await;
    let first = reader.next(7).await.unwrap();
    assert!((1..=7).contains(&first.messages.len()));
    let mut count = first.messages.len();
    while count < 100 {
        let more = reader.try_more(1_000);
        count += more.len();
        if more.is_empty() {
            count += read(&mut reader, 1).await.len();
        }
    }
    assert_eq!(reader.position().sequence, 100);
    assert!(reader.try_more(1_000).is_empty());
}

#[tokio::test]
async fn stops_at_the_end_when_asked_to() {
    let broker = Broker::start().await;
    let mut reader = open(&broker, Start::First).await;
    assert!(reader.next_until_end(10).await.unwrap().is_none());
    broker.nats.publish_batch(block("evm.anvil.log", 100, None)).await.unwrap();
    let mut reader = open(&broker, Start::First).await;
    let mut count = 0;
    while let Some(batch) = within(reader.next_until_end(7)).await.unwrap() {
        count += batch.messages.len();
    }
    assert_eq!(count, 100);
}

#[tokio::test]
async fn messages_purged_while_they_were_awaited_do_not_hold_up_the_end() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 100, None)).await.unwrap();
    let mut options = ReaderOptions::new("EVM", "test", Start::First);
    options.max_batch = 2;
    let mut reader = StreamReader::open(&broker.nats, options).await.unwrap();
    read(&mut reader, 1).await;
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().await.unwrap();
    let end = async {
        while let Some(batch) = reader.next_until_end(7).await.unwrap() {
            assert!(batch.messages.len() <= 4);
        }
    };
    within(end).await;
}

#[tokio::test]
async fn filters_by_one_and_by_several_subjects() {
    let broker = Broker::start().await;
    for subject in ["evm.a.log", "evm.b.log", "watch.a.0x1.log", "tick.evm", "evm.a.block"] {
        broker.nats.publish(message(subject, 0)).await.unwrap();
    }
    let options = ReaderOptions::new("EVM", "test", Start::First).filters(["evm.>"]);
    let mut one = StreamReader::open(&broker.nats, options).await.unwrap();
    let subjects: Vec<_> = read(&mut one, 3).await.into_iter().map(|one| one.subject).collect();
    assert_eq!(subjects, ["evm.a.log", "evm.b.log", "evm.a.block"]);
    let options = ReaderOptions::new("EVM", "test", Start::First).filters(["evm.b.>", "tick.evm"]);
    let mut two = StreamReader::open(&broker.nats, options).await.unwrap();
    let subjects: Vec<_> = read(&mut two, 2).await.into_iter().map(|one| one.subject).collect();
    assert_eq!(subjects, ["evm.b.log", "tick.evm"]);
}

#[tokio::test]
async fn seek_reads_the_same_again() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 50, None)).await.unwrap();
    let mut reader = open(&broker, Start::First).await;
    let first = read(&mut reader, 20).await;
    reader.seek(first[9].position());
    let again = read(&mut reader, 40).await;
    assert_eq!(again[0].sequence, 11);
    assert_eq!(again[39].sequence, 50);
}

#[tokio::test]
async fn dropping_next_loses_nothing() {
    let broker = Broker::start().await;
    let mut reader = open(&broker, Start::First).await;
    let nats = broker.nats.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..300 {
            nats.publish(message("evm.anvil.log", number)).await.unwrap();
        }
    });
    let mut sequences = Vec::new();
    let reading = async {
        while sequences.len() < 300 {
            tokio::select! {
                biased;
                batch = reader.next(10) => {
                    sequences.extend(batch.unwrap().messages.iter().map(|message| message.sequence));
                }
                // Drops the pending `next` again and again.
                () = tokio::task::yield_now() => {}
            }
        }
    };
    within(reading).await;
    publishing.await.unwrap();
    assert_eq!(sequences, (1..=300).collect::<Vec<u64>>());
}

#[tokio::test]
async fn small_buffers_still_bring_everything() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 500, None)).await.unwrap();
    let mut options = ReaderOptions::new("EVM", "test", Start::First);
    options.max_batch = 3;
    options.prefetch_bytes = 1;
    let mut reader = StreamReader::open(&broker.nats, options).await.unwrap();
    assert_eq!(read(&mut reader, 500).await.last().unwrap().sequence, 500);
}

#[tokio::test]
async fn leaves_no_consumer_behind() {
    let broker = Broker::start().await;
    drop(open(&broker, Start::First).await);
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    eventually(async || stream.get_info().await.unwrap().state.consumer_count == 0).await;
}

#[tokio::test]
async fn missing_stream_is_an_error_that_names_the_remedy() {
    let broker = Broker::start().await;
    let options = ReaderOptions::new("NONE", "test", Start::First);
    let error = StreamReader::open(&broker.nats, options).await.unwrap_err();
    assert!(matches!(error, ReaderError::Open { .. }));
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("streams apply"));
}
