//! A scope that widens while the chain reorganises, the broker restarts, and an endpoint leaves logs out.

use std::{collections::BTreeSet, time::Duration};

use crypto_intel_evm::{ChainConfig, Gaps, LogProof, ScopeConfig};
use crypto_intel_schemas::{B256, Event};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};

use crate::{
    growth::Pace,
    harness::{CHAIN, Replay as _, start_evm},
    scenario::{Scenario, natives_of, pass},
    stream::transfers_of,
};

/// An event by its block and its place: of a log, or of a transaction.
type Place = (B256, u32);

/// Transfers of tokens and native ones that both lanes have.
async fn published(broker: &Broker) -> (BTreeSet<Place>, BTreeSet<Place>) {
    let live = broker.replay().await;
    let past = broker.messages("HISTORY").await;
    let past: Vec<Event> =
        past.iter().map(|message| Event::decode(&message.payload).unwrap()).collect();
    let (mut tokens, mut natives) = (BTreeSet::new(), BTreeSet::new());
    for event in live.live().chain(&past) {
        match event {
            Event::Erc20Transfer(body) => {
                tokens.insert((body.block_hash, body.log_index));
            }
            Event::NativeTransfer(body) => {
                natives.insert((body.block_hash, body.tx_index));
            }
            _ => {}
        }
    }
    (tokens, natives)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_widens_amid_faults_ends_with_everything() {
    let mut scenario = Scenario::start(1_301, 2, Pace::RESTLESS).await;
    let wide = ChainConfig { check_logs: LogProof::ReceiptsRoot, ..scenario.config() };
    let kinds = vec!["transfer.erc20".to_owned()];
    let scope = ScopeConfig { kinds, ..ScopeConfig::default() };
    let narrow = ChainConfig { scope, ..wide.clone() };
    let producer = start_evm(&scenario.broker.nats, narrow.clone());
    scenario.goes_on().await;
    scenario.broker.server.kill().unwrap();
    pass(Duration::from_secs(1)).await;
    scenario.broker.server.start_again().await.unwrap();
    scenario.goes_on().await;
    producer.stop().await;

    // Wider, and narrow again, before what is missing can have been published.
    let producer = start_evm(&scenario.broker.nats, wide.clone());
    scenario.goes_on().await;
    producer.stop().await;
    let producer = start_evm(&scenario.broker.nats, narrow);
    scenario.goes_on().await;
    producer.stop().await;
    let producer = start_evm(&scenario.broker.nats, wide);
    scenario.nodes[0].omit_last_logs(true);
    scenario.goes_on().await;
    scenario.broker.server.kill().unwrap();
    scenario.broker.server.start_again().await.unwrap();
    scenario.goes_on().await;
    scenario.nodes[0].omit_last_logs(false);

    // What was queued is published once it is final.
    let mut blocks = scenario.stop_growth().await;
    for _ in 0..40 {
        scenario.chain.push_block(blocks.next_block()).unwrap();
    }
    scenario.caught_up().await;
    let gaps = Gaps::open(&scenario.broker.nats, CHAIN).await.unwrap();
    eventually(async || gaps.list().await.is_ok_and(|gaps| gaps.is_empty())).await;
    let blocks = scenario.chain.blocks();
    let blocks: Vec<_> = blocks.iter().map(AsRef::as_ref).collect();
    let (tokens, natives) = published(&scenario.broker).await;
    assert_same_set(transfers_of(blocks.iter().copied()), tokens);
    assert_same_set(natives_of(&blocks), natives);
    producer.stop().await;
}
