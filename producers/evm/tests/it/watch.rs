//! Watch-lists: labels and copies, from a block boundary on, retracted like everything else.

use std::collections::BTreeMap;

use crypto_intel_evm::Watchlist;
use crypto_intel_nats::Nats;
use crypto_intel_sandbox::NatsOptions;
use crypto_intel_schemas::{Address, Event, Kind, WatchChain, WatchEntry};
use crypto_intel_testkit::{Broker, eventually, messages};

use crate::{
    harness::{
        CHAIN, Replay as _, chain_config, generator, node, push_new, start_evm, start_evm_as,
    },
    stream::Replayed,
};

/// The token of generated blocks: it is in each transfer.
const TOKEN: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

fn entry(label: &str) -> WatchEntry {
    WatchEntry { label: Some(label.to_owned()), ..WatchEntry::default() }
}

/// Copies in their order: sequence, subject, event.
async fn copies(nats: &Nats) -> Vec<(u64, String, Event)> {
    let prefix = format!("watch.{CHAIN}.");
    let mut found = Vec::new();
    for message in messages(nats, "EVM").await {
        if message.subject.starts_with(&prefix) {
            let event = Event::decode(&message.payload).unwrap();
            found.push((message.sequence, message.subject, event));
        }
    }
    found
}

fn watched(event: &Event) -> Vec<String> {
    let labels = event.to_json()["watched"].as_array().cloned().unwrap_or_default();
    labels.iter().map(|label| label.as_str().unwrap().to_owned()).collect()
}

/// Copies that are live after folding, by subject and id.
fn folded(copies: &[(u64, String, Event)]) -> BTreeMap<(String, String), Event> {
    let mut live = BTreeMap::new();
    for (_, subject, event) in copies {
        let key = (subject.clone(), event.id().to_owned());
        if event.block_fields().unwrap().removed {
            assert!(live.remove(&key).is_some(), "only what is there is retracted: {key:?}");
        } else {
            assert!(live.insert(key, event.clone()).is_none(), "nothing is there twice");
        }
    }
    live
}

/// The expected copies, by the labels of the events alone.
fn expected(replayed: &Replayed, address: Address) -> BTreeMap<(String, String), Event> {
    let labelled = replayed.live().filter(|event| !watched(event).is_empty());
    labelled
        .map(|event| {
            let subject = format!("watch.{CHAIN}.{address:#x}.{}", event.kind());
            ((subject, event.id().to_owned()), event.clone())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_counts_for_whole_blocks_while_blocks_flow() {
    let (broker, node) = (Broker::start().await, node().await);
    let token: Address = TOKEN.parse().unwrap();
    let list = Watchlist::open(&broker.nats).await.unwrap();
    let one = WatchChain::One(CHAIN.to_owned());
    let mut blocks = generator(41);
    push_new(&node, &mut blocks, 5);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    assert!(list.add(&one, &token.into(), entry("token")).await.unwrap());
    // Blocks keep coming; the change takes effect between two of them.
    let labelled = eventually(async || {
        push_new(&node, &mut blocks, 3);
        let found = copies(&broker.nats).await;
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert!(watched(&labelled[0].2) == ["token"]);
    push_new(&node, &mut blocks, 5);
    assert!(list.remove(&one, &token.into()).await.unwrap());
    let replayed = eventually(async || {
        push_new(&node, &mut blocks, 2);
        let replayed = broker.at_head(node.chain()).await;
        let top = replayed.stack.last().unwrap().block_hash;
        let last = replayed.erc20().find(|transfer| transfer.block_hash == top)?;
        last.watched.is_empty().then_some(replayed)
    })
    .await;

    // Each block is labelled wholly or not at all, and the labelled ones are consecutive.
    let mut by_block: BTreeMap<u64, Vec<bool>> = BTreeMap::new();
    for transfer in replayed.erc20() {
        by_block.entry(transfer.block_number).or_default().push(!transfer.watched.is_empty());
    }
    let states: Vec<bool> = by_block
        .values()
        .map(|events| {
            assert!(events.iter().all(|labelled| *labelled == events[0]), "a block is never half");
            events[0]
        })
        .collect();
    let changes = states.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(changes, 2, "{states:?}");
    let found = copies(&broker.nats).await;
    assert_eq!(folded(&found), expected(&replayed, token));
    for (sequence, _, event) in &found {
        let hash = event.block_fields().unwrap().block_hash;
        let place = replayed.markers.iter().position(|(_, marker)| marker.block_hash == hash);
        let place = place.unwrap();
        assert!(*sequence < replayed.markers[place].0, "before its block's marker");
        assert!(*sequence > replayed.markers[place - 1].0, "after the marker before");
    }
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_begins_with_the_whole_list_and_reorgs_retract_copies() {
    let (broker, node) = (Broker::start().await, node().await);
    let list = Watchlist::open(&broker.nats).await.unwrap();
    let token: Address = TOKEN.parse().unwrap();
    list.add(&WatchChain::All, &token.into(), entry("anywhere")).await.unwrap();
    let mut blocks = generator(42);
    push_new(&node, &mut blocks, 12);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let replayed = broker.at_head(node.chain()).await;
    assert!(
        replayed.erc20().all(|transfer| transfer.watched == ["anywhere"]),
        "from the first block"
    );
    node.reorg(3, blocks.fork(3, 5)).unwrap();
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(folded(&copies(&broker.nats).await), expected(&replayed, token));
    producer.stop().await;

    // A reorg of almost all blocks, by another process, with another list.
    list.remove(&WatchChain::All, &token.into()).await.unwrap();
    node.reorg(13, blocks.fork(13, 15)).unwrap();
    let producer = start_evm_as("two", &broker.nats, chain_config(&[node.ws_url()]));
    let replayed = broker.at_head(node.chain()).await;
    let mut new = replayed.erc20().filter(|transfer| transfer.block_number > 1);
    assert!(new.all(|transfer| transfer.watched.is_empty()));
    let found = copies(&broker.nats).await;
    assert_eq!(folded(&found), expected(&replayed, token));
    assert!(found.iter().any(|(_, _, event)| event.block_fields().unwrap().removed));
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_in_several_batches_keep_fence_and_copies() {
    // Far fewer messages in a batch than a block has: each of its 8 events has a copy.
    let options = NatsOptions { batch_max_messages: 5, ..NatsOptions::default() };
    let (broker, node) = (Broker::start_with(options).await, node().await);
    let list = Watchlist::open(&broker.nats).await.unwrap();
    let token: Address = TOKEN.parse().unwrap();
    list.add(&WatchChain::All, &token.into(), entry("token")).await.unwrap();
    let mut blocks = generator(43);
    push_new(&node, &mut blocks, 6);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    node.reorg(2, blocks.fork(2, 3)).unwrap();
    let replayed = broker.at_head(node.chain()).await;
    let found = folded(&copies(&broker.nats).await);
    assert_eq!(found, expected(&replayed, token));
    // Each transfer of the token, and the transaction that was sent to it.
    assert_eq!(found.len(), replayed.erc20().count() + replayed.count(Kind::Transaction));
    assert_eq!(replayed.erc20().count(), replayed.count(Kind::Transaction));
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_side_of_a_transfer_that_is_watched_is_named_as_in_the_list() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(43);
    push_new(&node, &mut blocks, 8);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let replayed = broker.at_head(node.chain()).await;
    producer.stop().await;
    let mut senders: BTreeMap<Address, usize> = BTreeMap::new();
    replayed.erc20().for_each(|transfer| *senders.entry(transfer.from).or_default() += 1);
    let (mine, _) = senders.into_iter().max_by_key(|(_, times)| *times).unwrap();
    let list = Watchlist::open(&broker.nats).await.unwrap();
    list.add(&WatchChain::All, &mine.into(), entry("mine")).await.unwrap();

    let before = replayed.erc20().map(|transfer| transfer.block_number).max().unwrap();
    push_new(&node, &mut blocks, 24);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let replayed = broker.at_head(node.chain()).await;
    let mut named = 0;
    for transfer in replayed.erc20().filter(|transfer| transfer.block_number > before) {
        let sides = [
            (transfer.from, &transfer.from_label, &transfer.from_tags),
            (transfer.to, &transfer.to_label, &transfer.to_tags),
        ];
        for (address, label, tags) in sides {
            let is_mine = address == mine;
            named += usize::from(is_mine);
            assert_eq!(tags.contains(&"watched".to_owned()), is_mine, "{transfer:?}");
            assert_eq!(label.as_deref() == Some("mine"), is_mine, "{transfer:?}");
        }
    }
    assert!(named > 0, "the address is a side of some transfers");
    producer.stop().await;
}
