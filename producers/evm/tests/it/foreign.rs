//! Messages of other programs on the chain's subjects: they are set aside, and the chain continues.

use crypto_intel_nats::{OutMessage, list_dead_letters};
use crypto_intel_sandbox::ScriptedNode;
use crypto_intel_schemas::{B256, Block, Erc20Transfer, Event, Kind, chain_event_id};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};

use crate::{
    harness::{CHAIN, CHAIN_ID, chain_config, generator, node, push_new, start_evm},
    stream::transfers_of,
};

async fn publish(broker: &Broker, subject: &str, body: Vec<u8>) {
    broker.nats.publish(OutMessage::new(subject, body)).await.unwrap();
}

/// A map with the kind and version that every body has, and no other field that this version knows.
fn of_kind(kind: &str, version: u8) -> Vec<u8> {
    let mut body = vec![0x82, 0xa4];
    body.extend_from_slice(b"kind");
    body.push(0xa0 + kind.len() as u8);
    body.extend_from_slice(kind.as_bytes());
    body.push(0xa7);
    body.extend_from_slice(b"version");
    body.push(version);
    body
}

/// The newest marker that can be read.
async fn published(broker: &Broker) -> Option<(u64, Block)> {
    let last = broker.nats.last_sequence_matching("EVM", "evm.testchain.>").await.ok()?;
    let mut newest = None;
    let mut sequence = 1;
    while sequence <= last
        && let Some(message) =
            broker.nats.next_matching("EVM", sequence, "evm.testchain.block").await.ok()?
    {
        sequence = message.sequence + 1;
        if let Ok(Event::Block(marker)) = Event::decode(&message.payload) {
            newest = Some((message.sequence, marker));
        }
    }
    newest
}

async fn reaches_head(broker: &Broker, node: &ScriptedNode) {
    let head = node.chain().head().unwrap().hash;
    eventually(async || {
        published(broker).await.is_some_and(|(_, marker)| marker.block_hash == head).then_some(())
    })
    .await;
}

/// Block hash and log index of the transfers that are live at the end, for a reader that skips what it cannot read.
async fn transfers(broker: &Broker) -> std::collections::BTreeSet<(B256, u32)> {
    let mut there = std::collections::BTreeSet::new();
    let mut sequence = 1;
    while let Some(message) =
        broker.nats.next_matching("EVM", sequence, "evm.testchain.transfer.erc20").await.unwrap()
    {
        sequence = message.sequence + 1;
        if let Ok(Event::Erc20Transfer(transfer)) = Event::decode(&message.payload)
            && transfer.chain == CHAIN
        {
            let place = (transfer.block_hash, transfer.log_index);
            match transfer.removed {
                true => assert!(there.remove(&place), "only what is there is retracted"),
                false => assert!(there.insert(place), "nothing is there twice"),
            }
        }
    }
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_messages_are_set_aside_and_the_chain_goes_on() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(41);
    push_new(&node, &mut blocks, 5);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    reaches_head(&broker, &node).await;
    let other = Event::from(Erc20Transfer { chain: "other".to_owned(), ..Erc20Transfer::empty() });
    for (subject, body) in [
        ("evm.testchain.transfer.erc20", b"hello".to_vec()),
        ("evm.testchain.block", vec![0x81, 0xa1, b'x', 1]),
        ("evm.testchain.unheard.of", of_kind("unheard", 1)),
        ("evm.testchain.block", of_kind("block", 99)),
        ("evm.testchain.transfer.erc20", other.encode()),
        ("watch.testchain.0x00.transfer.erc20", b"hello".to_vec()),
    ] {
        publish(&broker, subject, body).await;
    }
    push_new(&node, &mut blocks, 3);
    reaches_head(&broker, &node).await;
    // The same after a restart behind them, and when the blocks around them leave the chain.
    producer.stop().await;
    publish(&broker, "evm.testchain.block", b"again".to_vec()).await;
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    reaches_head(&broker, &node).await;
    node.reorg(5, blocks.fork(5, 6)).unwrap();
    reaches_head(&broker, &node).await;
    assert_same_set(
        transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
        transfers(&broker).await,
    );
    let letters = list_dead_letters(&broker.nats, Some("evm"), 100).await.unwrap();
    let subjects: Vec<_> = letters.iter().map(|letter| letter.subject.as_str()).collect();
    assert_eq!(letters.len(), 7, "{subjects:?}");
    for letter in &letters {
        assert!(!letter.error.contains("Err("), "{}", letter.error);
        assert!(!letter.error.contains('{'), "{}", letter.error);
    }
    producer.stop().await;
}

/// A chain whose subjects hold only foreign messages begins like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_begins_behind_foreign_messages() {
    let (broker, node) = (Broker::start().await, node().await);
    for _ in 0..3 {
        publish(&broker, "evm.testchain.block", b"nonsense".to_vec()).await;
    }
    let mut blocks = generator(42);
    push_new(&node, &mut blocks, 5);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    reaches_head(&broker, &node).await;
    let transfers = transfers(&broker).await;
    assert_same_set(transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)), transfers);
    producer.stop().await;
}

/// After a downgrade: blocks whose markers it cannot read were published after those that it can. Their readable events
/// are retracted, block by block, and the blocks are published again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_behind_the_last_readable_marker_are_retracted_one_by_one() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(43);
    push_new(&node, &mut blocks, 4);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    reaches_head(&broker, &node).await;
    producer.stop().await;
    for number in [5_u64, 6] {
        let block_hash = B256::repeat_byte(number as u8);
        let event = Event::from(Erc20Transfer {
            id: chain_event_id(CHAIN, &block_hash, Kind::Erc20Transfer),
            chain: CHAIN.to_owned(),
            chain_id: CHAIN_ID,
            block_number: number,
            block_hash,
            incarnation: if number == 5 { 1 } else { 3 },
            ..Erc20Transfer::empty()
        });
        publish(&broker, "evm.testchain.transfer.erc20", event.encode()).await;
        publish(&broker, "evm.testchain.block", of_kind("block", 99)).await;
    }
    push_new(&node, &mut blocks, 2);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    reaches_head(&broker, &node).await;
    let mut markers = Vec::new();
    let mut sequence = 1;
    while let Some(message) =
        broker.nats.next_matching("EVM", sequence, "evm.testchain.block").await.unwrap()
    {
        sequence = message.sequence + 1;
        if let Ok(Event::Block(marker)) = Event::decode(&message.payload)
            && marker.removed
        {
            markers.push((marker.block_number, marker.incarnation, marker.messages));
        }
    }
    assert_eq!(markers, [(6, 4, 1), (5, 2, 1)]);
    assert_same_set(
        transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
        transfers(&broker).await,
    );
    producer.stop().await;
}
