//! Messages of the history lane that hold many events.

use crypto_intel_nats::{OutMessage, list_dead_letters};
use crypto_intel_schemas::CHUNK_SCHEMA;
use crypto_intel_testkit::SeededRandom;
use rand::RngExt as _;

use crate::{chain::Chain, harness::Servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_and_older_messages_are_stored_alike_although_persist_dies() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let mut chain = Chain::new("base").in_history();
    for round in 0..6 {
        let persist = servers.persist(&format!("instance{round}")).await;
        for _ in 0..random.random_range(1..12) {
            let blocks = random.random_range(1..6);
            let events: Vec<_> =
                (0..blocks).flat_map(|_| chain.grow(random.random_range(0..30))).collect();
            if random.random_bool(0.3) {
                chain.publish(&servers.nats, &events).await;
            } else {
                let size = random.random_range(1..60);
                chain.publish_chunks(&servers.nats, &events, size).await;
            }
        }
        servers.applied_or_idle(&persist, random.random_range(0..200)).await;
        persist.kill().await;
    }
    let persist = servers.persist("last").await;
    servers.settled("HISTORY").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_unreadable_event_of_a_chunk_is_set_aside_alone() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base").in_history();
    let mut bodies: Vec<_> =
        chain.grow(4).iter().map(|event| (event.kind().as_str(), event.encode())).collect();
    bodies.insert(0, ("transfer.erc20", b"no map".to_vec()));
    bodies.insert(2, ("transfer.erc20", b"no map either".to_vec()));
    chain.publish_chunk(&servers.nats, &bodies).await;
    let foreign = OutMessage::new("history.base.chunk", "no frame").schema(CHUNK_SCHEMA);
    servers.nats.publish(foreign).await.unwrap();
    let events = chain.grow(3);
    chain.publish_chunks(&servers.nats, &events, 100).await;
    servers.settled("HISTORY").await;
    servers.assert_stored(&[&chain]).await;
    let letters = list_dead_letters(&servers.nats, None, 10).await.unwrap();
    let mut set_aside: Vec<(&str, &[u8])> =
        letters.iter().map(|letter| (&*letter.subject, &*letter.payload)).collect();
    set_aside.sort_unstable();
    let transfer = "history.base.transfer.erc20";
    let expected: [(&str, &[u8]); 3] =
        [("history.base.chunk", b"no frame"), (transfer, b"no map"), (transfer, b"no map either")];
    assert_eq!(set_aside, expected);
    persist.stop().await;
}
