//! Restarts, a broker that goes away, a second instance, batches that were cut off.

use crypto_intel_nats::{Batch, Bucket, Fence, OutMessage};
use crypto_intel_sandbox::NatsOptions;
use crypto_intel_schemas::{B256, Erc20Transfer, Event, chain_event_id};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};

use crate::{
    harness::{
        CHAIN, CHAIN_ID, Replay as _, chain_config, generator, node, push_new, start_evm,
        start_evm_as,
    },
    stream::transfers_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_publishes_nothing_twice_and_misses_nothing() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(21);
    push_new(&node, &mut blocks, 10);
    for round in 0..6 {
        let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
        push_new(&node, &mut blocks, 5);
        if round % 2 == 0 {
            broker.at_head(node.chain()).await;
            producer.stop().await;
        } else {
            producer.kill().await;
        }
        push_new(&node, &mut blocks, 5);
    }
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.numbers(), (1..=70).collect::<Vec<_>>());
    assert_eq!(replayed.markers.len(), 70, "each block once");
    assert_same_set(
        transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
        replayed.transfers(),
    );
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cursor_follows_the_final_block() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(22);
    push_new(&node, &mut blocks, 30);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    push_new(&node, &mut blocks, 1);
    broker.at_head(node.chain()).await;
    let cursors = broker.nats.kv(Bucket::Cursors).await.unwrap();
    eventually(async || {
        let entry = cursors.get(&format!("evm.{CHAIN}")).await.ok()??;
        let cursor: serde_json::Value = serde_json::from_slice(&entry.value).ok()?;
        (cursor["number"] == 31 && cursor["final_number"].as_u64()? >= 26).then_some(())
    })
    .await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restart_is_survived() {
    let (mut broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(23);
    push_new(&node, &mut blocks, 10);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    for _ in 0..2 {
        push_new(&node, &mut blocks, 10);
        broker.server.kill().unwrap();
        push_new(&node, &mut blocks, 10);
        broker.server.start_again().await.unwrap();
        push_new(&node, &mut blocks, 10);
        let replayed = broker.at_head(node.chain()).await;
        assert_eq!(replayed.markers.len(), node.chain().blocks().len(), "each block once");
    }
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_stands_by_and_takes_over() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(24);
    push_new(&node, &mut blocks, 10);
    let config = chain_config(&[node.ws_url()]);
    let first = start_evm_as("first", &broker.nats, config.clone());
    broker.at_head(node.chain()).await;
    let own_connection = broker.connect("evm").await;
    let second = start_evm_as("second", &own_connection, config);
    second.until_reported(&["standing by, first leads"]).await;
    push_new(&node, &mut blocks, 10);
    broker.at_head(node.chain()).await;
    let published = "crypto_intel_evm_blocks_acked_total";
    assert!(second.metric(published, &[CHAIN]) < 0.5, "only the leader publishes");
    first.stop().await;
    push_new(&node, &mut blocks, 10);
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.markers.len(), 30);
    assert!((second.metric(published, &[CHAIN]) - 10.0).abs() < 0.5);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_writer_is_kept_out_by_the_fence() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(25);
    push_new(&node, &mut blocks, 5);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let replayed = broker.at_head(node.chain()).await;
    let stale = replayed.markers[2].0;
    let refused = broker
        .nats
        .publish_batch(Batch {
            messages: vec![OutMessage::new(format!("evm.{CHAIN}.log"), vec![0])],
            fence: Some(Fence { filter: format!("evm.{CHAIN}.>"), last_sequence: stale }),
        })
        .await;
    assert!(refused.is_err());
    push_new(&node, &mut blocks, 5);
    assert_eq!(broker.at_head(node.chain()).await.markers.len(), 10);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_above_the_batch_limit_goes_out_in_several() {
    let options = NatsOptions { batch_max_messages: 4, ..NatsOptions::default() };
    let (broker, node) = (Broker::start_with(options).await, node().await);
    let mut blocks = generator(26);
    push_new(&node, &mut blocks, 6);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.numbers(), (1..=6).collect::<Vec<_>>());
    assert_same_set(
        transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
        replayed.transfers(),
    );
    node.reorg(2, blocks.fork(2, 3)).unwrap();
    let replayed = broker.at_head(node.chain()).await;
    assert_same_set(
        transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
        replayed.transfers(),
    );
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_left_half_published_is_retracted_first() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(27);
    push_new(&node, &mut blocks, 5);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    producer.stop().await;
    // What a crash between two batches of one block leaves: events without their marker.
    let hash = B256::repeat_byte(0x77);
    let event = Event::from(Erc20Transfer {
        id: chain_event_id(CHAIN, &hash, crypto_intel_schemas::Kind::Erc20Transfer),
        chain: CHAIN.to_owned(),
        chain_id: CHAIN_ID,
        block_number: 6,
        block_hash: hash,
        ..Erc20Transfer::empty()
    });
    let half = OutMessage::new(format!("evm.{CHAIN}.transfer.erc20"), event.encode());
    broker.nats.publish(half).await.unwrap();
    push_new(&node, &mut blocks, 2);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let last = node.chain().head().unwrap().hash;
    let markers = eventually(async || {
        let message = broker.nats.last_on_subject("EVM", "evm.testchain.block").await.ok()??;
        let Ok(Event::Block(marker)) = Event::decode(&message.payload) else { return None };
        (marker.block_hash == last).then_some(message.sequence)
    })
    .await;
    assert!(markers > 0);
    let removed = broker
        .nats
        .next_matching("EVM", 1, "evm.testchain.transfer.erc20")
        .await
        .unwrap()
        .is_some();
    assert!(removed);
    let mut states = Vec::new();
    let mut sequence = 1;
    while let Some(message) =
        broker.nats.next_matching("EVM", sequence, "evm.testchain.>").await.unwrap()
    {
        sequence = message.sequence + 1;
        let event = Event::decode(&message.payload).unwrap();
        let fields = event.block_fields().unwrap();
        if fields.block_hash == hash {
            states.push((event.kind().as_str(), fields.removed, fields.incarnation));
        }
    }
    assert_eq!(
        states,
        [("transfer.erc20", false, 1), ("transfer.erc20", true, 2), ("block", true, 2)]
    );
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purged_stream_is_filled_again_from_the_final_block() {
    let (broker, node) = (Broker::start().await, node().await);
    node.chain().follow_finality(2, 4);
    let mut blocks = generator(28);
    push_new(&node, &mut blocks, 20);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    push_new(&node, &mut blocks, 1);
    broker.at_head(node.chain()).await;
    let cursors = broker.nats.kv(Bucket::Cursors).await.unwrap();
    eventually(async || {
        let entry = cursors.get(&format!("evm.{CHAIN}")).await.ok()??;
        let cursor: serde_json::Value = serde_json::from_slice(&entry.value).ok()?;
        (cursor["number"] == 21).then_some(())
    })
    .await;
    let stream = broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().await.unwrap();
    push_new(&node, &mut blocks, 3);
    let replayed = broker.at_head(node.chain()).await;
    let numbers = replayed.numbers();
    assert!((13..=22).contains(&numbers[0]), "begins after what was final: {numbers:?}");
    assert_eq!(numbers, (numbers[0]..=24).collect::<Vec<_>>());
    producer.stop().await;
}
