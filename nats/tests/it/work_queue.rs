use std::time::{Duration, Instant};

use crypto_intel_nats::{WorkQueue, WorkQueueOptions};
use crypto_intel_testkit::{Broker, small_topology, within};

use crate::messages::message;

fn options() -> WorkQueueOptions {
    WorkQueueOptions {
        filter: "notify.out.>".to_owned(),
        ack_wait: Duration::from_secs(2),
        ..WorkQueueOptions::default()
    }
}

#[tokio::test]
async fn work_is_redelivered_until_it_is_acknowledged() {
    let broker = Broker::start().await;
    let mut queue = WorkQueue::open(&broker.nats, "OUTBOX", "notify", options()).await.unwrap();
    for number in 0..3 {
        broker.nats.publish(message("notify.out.ops", number)).await.unwrap();
    }
    let done = within(queue.next()).await.unwrap();
    assert_eq!((done.delivered, &done.message.payload[..]), (1, &b"body 0"[..]));
    done.ack().await.unwrap();
    let never = within(queue.next()).await.unwrap();
    never.term().await.unwrap();
    let later = within(queue.next()).await.unwrap();
    let asked = Instant::now();
    later.retry_after(Duration::from_millis(300)).await.unwrap();
    let again = within(queue.next()).await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(250), "{:?}", asked.elapsed());
    assert_eq!((again.delivered, again.message.sequence), (2, 3));
    again.in_progress().await.unwrap();
    // Dropped: it is redelivered after ack_wait.
    drop(again);
    let third = within(queue.next()).await.unwrap();
    assert_eq!((third.delivered, third.message.sequence), (3, 3));
    third.ack().await.unwrap();
}

#[tokio::test]
async fn opening_leaves_the_definition_as_it_is() {
    let broker = Broker::start().await;
    let options = WorkQueueOptions {
        filter: "alert.>".to_owned(),
        ack_wait: Duration::from_secs(5),
        max_ack_pending: 1,
        ..WorkQueueOptions::default()
    };
    WorkQueue::open(&broker.nats, "ALERT", "notify", options).await.unwrap();
    assert_eq!(small_topology().diff(&broker.nats).await.unwrap(), []);
}

#[tokio::test]
async fn queue_resumes_after_a_server_restart() {
    let mut broker = Broker::start().await;
    let mut queue = WorkQueue::open(&broker.nats, "OUTBOX", "notify", options()).await.unwrap();
    broker.nats.publish(message("notify.out.ops", 0)).await.unwrap();
    within(queue.next()).await.unwrap().ack().await.unwrap();
    broker.server.stop().await.unwrap();
    broker.server.start_again().await.unwrap();
    let writer = broker.connect("writer").await;
    writer.publish(message("notify.out.ops", 1)).await.unwrap();
    let work = within(queue.next()).await.unwrap();
    assert_eq!(work.message.payload, "body 1");
    within(work.ack()).await.unwrap();
}
