use crypto_intel_nats::{dead_letter, list_dead_letters, show_dead_letter};
use crypto_intel_testkit::Broker;

use crate::messages::message;

#[tokio::test]
async fn dead_lettering_is_idempotent_and_keeps_the_whole_message() {
    let broker = Broker::start().await;
    let nats = &broker.nats;
    nats.publish(message("evm.anvil.log", 5)).await.unwrap();
    let bad = nats.get("EVM", 1).await.unwrap().unwrap();
    for _ in 0..3 {
        dead_letter(nats, "persist", "EVM", &bad, "field `id`\nis missing").await.unwrap();
    }
    dead_letter(nats, "alerts", "EVM", &bad, "other consumer").await.unwrap();
    let letters = list_dead_letters(nats, Some("persist"), 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.consumer.as_str(), letter.stream.as_str()), ("persist", "EVM"));
    assert_eq!((letter.sequence, letter.stored_at_us), (1, bad.stored_at_us));
    let subject = format!("dlq.persist.evm.1.{}", bad.stored_at_us);
    assert!(nats.last_on_subject("DLQ", &subject).await.unwrap().is_some());
    assert_eq!(letter.subject, "evm.anvil.log");
    assert_eq!(letter.schema.as_deref(), Some("test.kind/1"));
    assert_eq!(letter.error, "field `id` is missing");
    assert_eq!(letter.payload, "body 5");
    assert_eq!(letter.cut_from_bytes, None);
    let shown = show_dead_letter(nats, letter.dlq_sequence).await.unwrap().unwrap();
    assert_eq!(shown.error, letter.error);
    assert_eq!(list_dead_letters(nats, None, 10).await.unwrap().len(), 2);
    assert_eq!(list_dead_letters(nats, None, 1).await.unwrap()[0].consumer, "alerts");
}

#[tokio::test]
async fn full_dead_letter_stream_is_a_retryable_error() {
    let broker = Broker::start().await;
    let nats = &broker.nats;
    nats.publish(message("evm.anvil.log", 5)).await.unwrap();
    let bad = nats.get("EVM", 1).await.unwrap().unwrap();
    let stream = nats.jetstream().get_stream("DLQ").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.max_bytes = 50;
    nats.jetstream().update_stream(config).await.unwrap();
    let error = dead_letter(nats, "persist", "EVM", &bad, "x").await.unwrap_err();
    assert!(crypto_intel_service::Retryable::is_retryable(&error), "{error:?}");
}
