use crypto_intel_nats::{OutMessage, PublishError, PublishedOnce};
use crypto_intel_testkit::{Broker, eventually};

const SUBJECT: &str = "alert.high.rule.id.fired.1";

fn alert(body: &'static str, id: Option<&str>) -> OutMessage {
    let message = OutMessage::new(SUBJECT, body);
    match id {
        Some(id) => message.message_id(id),
        None => message,
    }
}

#[tokio::test]
async fn what_a_stream_holds_already_is_no_error_and_what_it_refuses_is_one() {
    let broker = Broker::start().await;
    let nats = &broker.nats;
    let first = nats.publish_once("ALERT", alert("a", Some("one"))).await.unwrap();
    assert!(matches!(first, PublishedOnce::New), "{first:?}");
    // The server forgets ids after a tenth of a second; from then on only the message that it holds has this one.
    eventually(async || {
        let again = nats.publish_once("ALERT", alert("a", Some("one"))).await.unwrap();
        matches!(again, PublishedOnce::Known(Some(_)))
    })
    .await;
    // Another message on the subject: the stream does not have this one.
    let other = nats.publish_once("ALERT", alert("b", Some("two"))).await.unwrap_err();
    assert!(matches!(other, PublishError::Full { .. }), "{other:?}");
    let by_subject = nats.publish_once("ALERT", alert("c", None)).await.unwrap();
    let PublishedOnce::Known(Some(held)) = by_subject else { panic!("{by_subject:?}") };
    assert_eq!(held.payload, "a");

    let stream = nats.jetstream().get_stream("ALERT").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.max_bytes = 1;
    nats.jetstream().update_stream(config).await.unwrap();
    let full = OutMessage::new("alert.high.rule.other.fired.1", "d");
    let full = nats.publish_once("ALERT", full).await.unwrap_err();
    assert!(matches!(full, PublishError::Full { .. }), "{full:?}");
}
