use crypto_intel_nats::{
    Nats, OutMessage, ReaderOptions, ReplayError, ReplayStream, ReplayTarget, Start, StreamMessage,
    StreamRange, StreamReader,
};
use crypto_intel_schemas::{CHUNK_SCHEMA, ChunkWriter};
use crypto_intel_testkit::Broker;

use crate::messages::{block, read};

const RANGE: StreamRange = StreamRange { from: 1, to: 1_200, is_cut: false };

fn target(prefix: &str) -> ReplayTarget {
    ReplayTarget {
        prefix: prefix.to_owned(),
        what: "EVM".to_owned(),
        max_bytes: 16 << 20,
        max_age_seconds: 3_600,
    }
}

/// 1,200 messages of the stream EVM; the last one has a message id, which must not apply again to its copy.
async fn originals(nats: &Nats) -> Vec<StreamMessage> {
    nats.publish_batch(block("evm.anvil.log", 1_199, None)).await.unwrap();
    let special = OutMessage::new("evm.other.log", "special")
        .message_id("once")
        .header("traceparent", "00-1-2-01");
    nats.publish(special).await.unwrap();
    everything(nats, "EVM", 1_200).await
}

async fn everything(nats: &Nats, stream: &str, count: usize) -> Vec<StreamMessage> {
    let options = ReaderOptions::new(stream, "test", Start::First);
    read(&mut StreamReader::open(nats, options).await.unwrap(), count).await
}

#[tokio::test]
async fn copies_have_the_body_and_say_where_they_come_from() {
    let broker = Broker::start().await;
    let originals = originals(&broker.nats).await;
    let target = target("sandbox.one");
    target.check(&broker.nats).await.unwrap();
    assert!(ReplayStream::find(&broker.nats, &target).await.unwrap().is_none());
    let mut stream = ReplayStream::create(&broker.nats, &target, RANGE).await.unwrap();
    assert_eq!(stream.publish("EVM", &originals).await.unwrap(), 1_200);
    let copies = everything(&broker.nats, "REPLAY_sandbox_one", 1_200).await;
    for (copy, original) in copies.iter().zip(&originals) {
        assert_eq!(copy.subject, format!("sandbox.one.{}", original.subject));
        assert_eq!((&copy.payload, &copy.schema), (&original.payload, &original.schema));
        assert_eq!(copy.header("Original-Stream"), Some("EVM"));
        assert_eq!(copy.header("Original-Sequence"), Some(&*original.sequence.to_string()));
        let time: jiff::Timestamp = copy.header("Original-Time").unwrap().parse().unwrap();
        assert_eq!(time.as_microsecond(), original.stored_at_us);
    }
    let special = copies.last().unwrap();
    assert_eq!(special.header("traceparent"), Some("00-1-2-01"));
    assert_eq!(special.header("Nats-Msg-Id"), None);
}

#[tokio::test]
async fn a_second_run_resumes_and_stores_nothing_twice() {
    let broker = Broker::start().await;
    let originals = originals(&broker.nats).await;
    let target = target("sandbox");
    let mut first = ReplayStream::create(&broker.nats, &target, RANGE).await.unwrap();
    first.publish("EVM", &originals[..700]).await.unwrap();

    let mut second = ReplayStream::find(&broker.nats, &target).await.unwrap().unwrap();
    assert_eq!((second.last_original(), second.range()), (originals[699].position(), RANGE));
    // It may be given messages that are already there.
    assert_eq!(second.publish("EVM", &originals[600..1_000]).await.unwrap(), 300);
    // The first run is still alive and does not know of the second: the fence stops it.
    let error = first.publish("EVM", &originals[700..900]).await.unwrap_err();
    assert!(matches!(error, ReplayError::Raced { .. }), "{error}");
    assert_eq!(second.publish("EVM", &originals).await.unwrap(), 200);
    let copies = everything(&broker.nats, "REPLAY_sandbox", 1_200).await;
    assert!(copies.iter().zip(&originals).all(|(copy, original)| copy.payload == original.payload));
    assert_eq!(broker.nats.stream_state("REPLAY_sandbox").await.unwrap().messages, 1_200);
}

#[tokio::test]
async fn a_replay_that_ended_within_a_chunk_resumes_there() {
    let broker = Broker::start().await;
    for chunk in 0..2 {
        let mut writer = ChunkWriter::default();
        (0..1_200).for_each(|event| writer.push("log", format!("{chunk} {event}").as_bytes()));
        let body = writer.finish().unwrap();
        let message = OutMessage::new("history.anvil.chunk", body).schema(CHUNK_SCHEMA);
        broker.nats.publish(message).await.unwrap();
    }
    let originals = everything(&broker.nats, "HISTORY", 2_400).await;
    assert_eq!((originals[1_199].sequence, originals[1_200].sequence), (1, 2));
    let range = StreamRange { from: 1, to: 2, is_cut: false };
    let target = ReplayTarget { what: "HISTORY".to_owned(), ..target("sandbox") };
    let mut first = ReplayStream::create(&broker.nats, &target, range).await.unwrap();
    first.publish("HISTORY", &originals[..1_700]).await.unwrap();
    let mut second = ReplayStream::find(&broker.nats, &target).await.unwrap().unwrap();
    assert_eq!(second.last_original().sequence, 1, "the second chunk is read again");
    assert_eq!(second.publish("HISTORY", &originals[1_200..]).await.unwrap(), 700);
    let copies = everything(&broker.nats, "REPLAY_sandbox", 2_400).await;
    assert!(copies.iter().zip(&originals).all(|(copy, original)| copy.payload == original.payload));
    assert!(copies.iter().all(|copy| copy.subject == "sandbox.history.anvil.log"));
    assert_eq!(broker.nats.stream_state("REPLAY_sandbox").await.unwrap().messages, 2_400);
}

#[tokio::test]
async fn taken_and_invalid_prefixes_are_refused() {
    let broker = Broker::start().await;
    let refusal = async |prefix: &str| target(prefix).check(&broker.nats).await.unwrap_err();
    for prefix in ["evm", "evm.base", "$KV.prices", "watch", "alert", "", "a..b", "a.*", "a b"] {
        let error = refusal(prefix).await;
        let taken = matches!(error, ReplayError::Taken { .. });
        assert!(taken || matches!(error, ReplayError::Prefix { .. }), "{prefix}: {error}");
    }
    for prefix in ["evm", "watch", "gas"] {
        let error = refusal(prefix).await;
        assert!(matches!(error, ReplayError::Taken { .. }), "{prefix}: {error}");
    }
    let config = crypto_intel_nats::async_nats::jetstream::stream::Config {
        name: "THEIRS".to_owned(),
        subjects: vec!["theirs.*.x".to_owned()],
        ..Default::default()
    };
    broker.nats.jetstream().create_stream(config).await.unwrap();
    assert!(refusal("theirs").await.to_string().contains("stream THEIRS"));
    target("theirs_not").check(&broker.nats).await.unwrap();
}

#[tokio::test]
async fn a_stream_holds_one_replay_until_it_is_deleted() {
    let broker = Broker::start().await;
    let nats = broker.connect("other").await;
    ReplayStream::create(&nats, &target("sandbox"), RANGE).await.unwrap();
    let other = ReplayTarget { what: "HISTORY".to_owned(), ..target("sandbox") };
    let error = ReplayStream::find(&nats, &other).await.unwrap_err();
    assert!(error.to_string().contains("another replay (EVM)"), "{error}");
    ReplayStream::delete(&nats, &other).await.unwrap();
    assert!(ReplayStream::find(&nats, &other).await.unwrap().is_none());
}

#[tokio::test]
async fn a_full_stream_loses_nothing_and_resumes_with_more_room() {
    let broker = Broker::start().await;
    let originals = originals(&broker.nats).await;
    let small = ReplayTarget { max_bytes: 100_000, ..target("sandbox") };
    let mut stream = ReplayStream::create(&broker.nats, &small, RANGE).await.unwrap();
    let error = stream.publish("EVM", &originals).await.unwrap_err();
    assert!(error.to_string().contains("--max-bytes"), "{error}");
    let mut stream = ReplayStream::find(&broker.nats, &target("sandbox")).await.unwrap().unwrap();
    stream.publish("EVM", &originals).await.unwrap();
    let copies = everything(&broker.nats, "REPLAY_sandbox", 1_200).await;
    assert!(copies.iter().zip(&originals).all(|(copy, original)| copy.payload == original.payload));
}
