use crypto_intel_nats::{Batch, Fence, NatsConfig, OutMessage, PublishError, connect};
use crypto_intel_sandbox::NatsOptions;
use crypto_intel_testkit::{Broker, eventually, within};
use tokio_util::sync::CancellationToken;

use crate::messages::{block, message};

#[tokio::test]
async fn stores_a_batch_whole_and_in_order() {
    let broker = Broker::start().await;
    let ack = broker.nats.publish_batch(block("evm.anvil.log", 3_000, Some(0))).await.unwrap();
    assert_eq!((ack.stream.as_str(), ack.last_sequence, ack.messages), ("EVM", 3_000, 3_000));
    let middle = broker.nats.get("EVM", 1_500).await.unwrap().unwrap();
    assert_eq!(middle.payload, "body 1499");
    assert_eq!(middle.schema.as_deref(), Some("test.kind/1"));
    assert_eq!(middle.header("Content-Type"), Some("application/msgpack"));
    assert_eq!(broker.nats.get("EVM", 3_001).await.unwrap().map(|message| message.sequence), None);
}

#[tokio::test]
async fn of_racing_writers_exactly_one_is_stored() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 5, Some(0))).await.unwrap();
    // Another chain does not disturb the fence.
    broker.nats.publish(message("evm.other.log", 0)).await.unwrap();
    let mut racing = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let nats = broker.connect(&format!("writer-{writer}")).await;
        // Also a batch of one, which is a plain publish.
        let messages = if writer % 2 == 0 { 20 } else { 1 };
        racing.spawn(async move {
            (messages, nats.publish_batch(block("evm.anvil.log", messages, Some(5))).await)
        });
    }
    let mut stored = 0;
    while let Some(outcome) = racing.join_next().await {
        match outcome.unwrap() {
            (messages, Ok(_)) => stored += messages as u64,
            (_, Err(error)) => {
                assert!(matches!(error, PublishError::WrongLastSequence { .. }), "{error}");
            }
        }
    }
    let state = broker.nats.stream_state("EVM").await.unwrap();
    assert!(stored == 1 || stored == 20, "{stored}");
    assert_eq!(state.messages, 6 + stored);
    let last = broker.nats.last_sequence_matching("EVM", "evm.anvil.>").await.unwrap();
    assert_eq!(last, state.last_sequence);
}

#[tokio::test]
async fn refused_fence_reports_the_actual_sequence() {
    let broker = Broker::start().await;
    broker.nats.publish_batch(block("evm.anvil.log", 7, Some(0))).await.unwrap();
    let error = broker.nats.publish_batch(block("evm.anvil.log", 2, Some(3))).await.unwrap_err();
    assert!(
        matches!(error, PublishError::WrongLastSequence { actual: None | Some(7) }),
        "{error:?}"
    );
    let error = broker.nats.publish_batch(block("evm.anvil.log", 1, Some(3))).await.unwrap_err();
    assert!(
        matches!(error, PublishError::WrongLastSequence { actual: None | Some(7) }),
        "{error:?}"
    );
    assert_eq!(broker.nats.stream_state("EVM").await.unwrap().messages, 7);
}

#[tokio::test]
async fn batch_above_the_limit_is_refused_with_the_limit() {
    let options = NatsOptions { batch_max_messages: 100, ..NatsOptions::default() };
    let broker = Broker::start_with(options).await;
    for messages in [101, 150, 1_000] {
        let batch = block("evm.anvil.log", messages, Some(0));
        let error = broker.nats.publish_batch(batch).await.unwrap_err();
        assert!(
            matches!(error, PublishError::BatchTooLong { limit: Some(100), .. }),
            "{messages}: {error:?}"
        );
    }
    let ack = broker.nats.publish_batch(block("evm.anvil.log", 100, Some(0))).await.unwrap();
    assert_eq!(ack.last_sequence, 100);
}

#[tokio::test]
async fn repeated_message_id_refuses_the_whole_batch() {
    let broker = Broker::start().await;
    let answer = |messages: usize| {
        let mut batch = block("market.price.btc", messages, None);
        batch.messages.last_mut().unwrap().message_id = Some("coingecko:price:7".to_owned());
        batch
    };
    broker.nats.publish_batch(answer(3)).await.unwrap();
    for messages in [3, 1] {
        let error = broker.nats.publish_batch(answer(messages)).await.unwrap_err();
        assert!(matches!(error, PublishError::DuplicateId), "{error:?}");
    }
    assert_eq!(broker.nats.stream_state("MARKET").await.unwrap().messages, 3);
}

#[tokio::test]
async fn what_cannot_be_stored_is_named() {
    let broker = Broker::start().await;
    let error = broker.nats.publish(message("nobody.takes.this", 0)).await.unwrap_err();
    assert!(matches!(&error, PublishError::NoStream { subject } if subject == "nobody.takes.this"));
    let large = OutMessage::new("evm.anvil.log", vec![0; 2 << 20]);
    let batch = Batch { messages: vec![message("evm.anvil.log", 0), large], fence: None };
    let error = broker.nats.publish_batch(batch).await.unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { limit, .. } if limit == 1 << 20), "{error:?}");
    let error = broker.nats.publish_batch(Batch::default()).await.unwrap_err();
    assert!(matches!(error, PublishError::Empty));
    assert_eq!(broker.nats.stream_state("EVM").await.unwrap().messages, 0);
}

#[tokio::test]
async fn unknown_outcome_is_resolved_by_reading() {
    let mut broker = Broker::start().await;
    let config = NatsConfig {
        url: broker.server.url().into(),
        request_timeout_ms: 500,
        ..NatsConfig::default()
    };
    let nats = connect(&config, "impatient", &CancellationToken::new()).await.unwrap();
    nats.publish_batch(block("evm.anvil.log", 10, Some(0))).await.unwrap();
    // The server takes the bytes and does not answer: the batch may or may not be stored afterwards.
    broker.server.pause().unwrap();
    let error = nats.publish_batch(block("evm.anvil.log", 10, Some(10))).await.unwrap_err();
    assert!(matches!(error, PublishError::UnknownOutcome { .. }), "{error:?}");
    broker.server.resume().unwrap();
    let last = broker.nats.last_sequence_matching("EVM", "evm.anvil.>").await.unwrap();
    // In both cases the fence admits the batch once.
    let again = broker.nats.publish_batch(block("evm.anvil.log", 10, Some(10))).await;
    if last == 20 {
        assert!(matches!(again, Err(PublishError::WrongLastSequence { .. })), "{again:?}");
    }
    assert_eq!(broker.nats.stream_state("EVM").await.unwrap().messages, 20);
}

#[tokio::test]
async fn killed_server_loses_no_acknowledged_batch_and_stores_none_twice() {
    let mut broker = Broker::start().await;
    let nats = broker.nats.clone();
    let publishing = async move {
        let (mut last, mut unknown) = (0, 0_u32);
        while last < 2_000 {
            let batch = block("evm.anvil.log", 50, Some(last));
            match nats.publish_batch(batch).await {
                Ok(ack) => {
                    assert_eq!(ack.last_sequence, last + 50);
                    last = ack.last_sequence;
                }
                Err(error) => {
                    unknown += 1;
                    assert!(unknown < 200, "{error:?}");
                    let found = eventually(async || {
                        nats.last_sequence_matching("EVM", "evm.anvil.>").await
                    })
                    .await;
                    assert!(found == last || found == last + 50, "{found} after {last}");
                    last = found;
                }
            }
        }
    };
    let watcher = broker.nats.clone();
    let restarting = async {
        eventually(async || watcher.stream_state("EVM").await.ok()?.last_sequence.checked_sub(200))
            .await;
        broker.server.kill().unwrap();
        broker.server.start_again().await.unwrap();
    };
    within(async { tokio::join!(publishing, restarting) }).await;
    assert_eq!(broker.nats.stream_state("EVM").await.unwrap().messages, 2_000);
}

#[tokio::test]
async fn windowed_publisher_keeps_order_and_reports_what_failed() {
    let broker = Broker::start().await;
    let mut window = broker.nats.window(64);
    for number in 0..1_000 {
        window.push(message("check.dns", number)).await.unwrap();
        assert!(window.outstanding() <= 64);
    }
    assert_eq!(window.flush().await.unwrap(), 1_000);
    let state = broker.nats.stream_state("STATUS").await.unwrap();
    assert_eq!(state.messages, 1_000);
    assert_eq!(broker.nats.get("STATUS", 778).await.unwrap().unwrap().payload, "body 777");
    window.push(message("nobody.takes.this", 0)).await.unwrap();
    let error = window.flush().await.unwrap_err();
    assert!(matches!(error, PublishError::NoStream { .. }), "{error:?}");
    window.push(message("check.dns", 1_000)).await.unwrap();
    assert_eq!(window.flush().await.unwrap(), 1_001);
}

#[tokio::test]
async fn fence_counts_only_what_its_filter_matches() {
    let broker = Broker::start().await;
    assert_eq!(broker.nats.last_sequence_matching("EVM", "evm.anvil.>").await.unwrap(), 0);
    broker.nats.publish(message("evm.anvil.block", 0)).await.unwrap();
    broker.nats.publish(message("evm.other.block", 0)).await.unwrap();
    let last = broker.nats.last_on_subject("EVM", "evm.*.block").await.unwrap().unwrap();
    assert_eq!((last.sequence, last.subject.as_str()), (2, "evm.other.block"));
    assert_eq!(broker.nats.last_sequence_matching("EVM", "evm.anvil.>").await.unwrap(), 1);
    let next = broker.nats.next_matching("EVM", 1, "evm.other.>").await.unwrap().unwrap();
    assert_eq!(next.sequence, 2);
    let fence = Fence { filter: "evm.anvil.>".to_owned(), last_sequence: 1 };
    let batch = Batch { messages: vec![message("watch.anvil.0xaa.log", 0)], fence: Some(fence) };
    broker.nats.publish_batch(batch).await.unwrap();
}
