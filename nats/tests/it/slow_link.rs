//! A slow connection: a batch may take longer than the request timeout, and is stored once or not at all.

use std::time::Instant;

use crypto_intel_nats::{Batch, Fence, Nats, OutMessage, PublishError};
use crypto_intel_sandbox::Link;
use crypto_intel_testkit::{Broker, connect_to, eventually, nats_config, within};

const MESSAGES: u64 = 50;
const BODY_BYTES: usize = 100_000;

async fn linked(broker: &Broker) -> (Link, Nats) {
    let link = Link::to(broker.server.port()).await.unwrap();
    let nats = connect_to(format!("nats://127.0.0.1:{}", link.port()), "slow").await;
    (link, nats)
}

fn large_batch() -> Batch {
    let message = |_| OutMessage::new("evm.anvil.log", vec![7; BODY_BYTES]);
    Batch {
        messages: (0..MESSAGES).map(message).collect(),
        fence: Some(Fence { filter: "evm.anvil.>".to_owned(), last_sequence: 0 }),
    }
}

#[tokio::test]
async fn a_batch_that_takes_longer_than_the_request_timeout_is_stored_once() {
    let broker = Broker::start().await;
    let (link, nats) = linked(&broker).await;
    link.set_bytes_per_second(Some(1 << 20));
    let started = Instant::now();
    let ack = within(nats.publish_batch(large_batch())).await.unwrap();
    let limit_ms = u128::from(nats_config(broker.server.url()).request_timeout_ms);
    assert!(started.elapsed().as_millis() > limit_ms, "the link was not slow");
    assert_eq!((ack.messages, ack.last_sequence), (MESSAGES, MESSAGES));
    assert_eq!(broker.count("EVM").await, MESSAGES);
}

#[tokio::test]
async fn a_batch_that_a_link_cannot_carry_in_time_fails_and_can_be_sent_again() {
    let broker = Broker::start().await;
    let (link, nats) = linked(&broker).await;
    link.set_bytes_per_second(Some(50 << 10));
    // Some of it has arrived, the commit has not: nothing is stored, and that is certain.
    let error = within(nats.publish_batch(large_batch())).await.unwrap_err();
    assert!(matches!(error, PublishError::Disconnected), "{error:?}");
    assert_eq!(broker.nats.stream_state("EVM").await.unwrap().messages, 0);
    link.set_bytes_per_second(None);
    // What is left of the first attempt is still in front of the next one.
    let ack = eventually(async || nats.publish_batch(large_batch()).await).await;
    assert_eq!((ack.messages, ack.last_sequence), (MESSAGES, MESSAGES));
    let again = nats.publish_batch(large_batch()).await.unwrap_err();
    assert!(matches!(again, PublishError::WrongLastSequence { .. }), "{again:?}");
    assert_eq!(broker.count("EVM").await, MESSAGES);
}
