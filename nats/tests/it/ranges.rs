use crypto_intel_nats::{Nats, RangeError, RangeRequest, StreamRange};
use crypto_intel_testkit::Broker;

use crate::messages::block;

/// Ten messages, of which the first two are gone.
async fn ten_without_two(nats: &Nats) {
    nats.publish_batch(block("evm.anvil.log", 5, None)).await.unwrap();
    nats.publish_batch(block("evm.anvil.log", 5, None)).await.unwrap();
    let stream = nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().sequence(3).await.unwrap();
}

fn sequences(from: u64, to: u64) -> RangeRequest {
    RangeRequest { from_sequence: Some(from), to_sequence: Some(to), ..RangeRequest::default() }
}

#[tokio::test]
async fn a_range_is_limited_to_what_the_stream_holds() {
    let broker = Broker::start().await;
    ten_without_two(&broker.nats).await;
    let range = async |request| broker.nats.range("EVM", request).await.unwrap();
    let all = range(RangeRequest::default()).await;
    assert_eq!(all, StreamRange { from: 3, to: 10, is_cut: false });
    assert_eq!(range(sequences(4, 6)).await, StreamRange { from: 4, to: 6, is_cut: false });
    assert_eq!(range(sequences(1, 99)).await, StreamRange { from: 3, to: 10, is_cut: true });
    let time =
        async |sequence| broker.nats.get("EVM", sequence).await.unwrap().unwrap().stored_at_us;
    let (fourth, eighth) = (time(4).await, time(8).await);
    let between =
        RangeRequest { since_us: Some(fourth), until_us: Some(eighth), ..RangeRequest::default() };
    let found = range(between).await;
    // Messages of a batch may have the same time: a range contains all of them or none.
    assert!(found.from <= 4 && found.to < 8 && !found.is_cut, "{found:?}");
    assert!(time(found.from).await == fourth && time(found.to).await < eighth, "{found:?}");
}

#[tokio::test]
async fn a_range_from_before_the_stream_is_only_cut_once_messages_are_gone() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 5, None)).await.unwrap();
    let long_ago = RangeRequest { since_us: Some(1), ..RangeRequest::default() };
    let range = broker.nats.range("EVM", long_ago).await.unwrap();
    assert_eq!(range, StreamRange { from: 1, to: 5, is_cut: false });
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().sequence(3).await.unwrap();
    assert!(broker.nats.range("EVM", long_ago).await.unwrap().is_cut);
}

#[tokio::test]
async fn an_empty_range_says_where_the_stream_is() {
    let broker = Broker::start().await;
    let range = async |stream: &str, request| broker.nats.range(stream, request).await.unwrap_err();
    let error = range("NOWHERE", RangeRequest::default()).await;
    assert!(error.to_string().contains("no stream NOWHERE"), "{error}");
    let error = range("EVM", RangeRequest::default()).await;
    assert!(matches!(error, RangeError::NoMessages { .. }), "{error}");
    ten_without_two(&broker.nats).await;
    let error = range("EVM", sequences(1, 2)).await;
    assert!(matches!(error, RangeError::TooOld { first: 3, .. }), "{error}");
    assert!(error.to_string().contains("from sequence 3 (20"), "{error}");
    let error = range("EVM", sequences(11, 12)).await;
    assert!(matches!(error, RangeError::TooNew { last: 10, .. }), "{error}");
    let error = range("EVM", sequences(6, 5)).await;
    assert!(matches!(error, RangeError::Empty { from: 6, to: 5, .. }), "{error}");
    let future = RangeRequest { since_us: Some(i64::MAX / 2_000), ..RangeRequest::default() };
    let error = range("EVM", future).await;
    assert!(matches!(error, RangeError::TooNew { .. }), "{error}");
    let past = RangeRequest { until_us: Some(1), ..RangeRequest::default() };
    let error = range("EVM", past).await;
    assert!(matches!(error, RangeError::TooOld { .. }), "{error}");
}
