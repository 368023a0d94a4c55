//! The process is killed again and again, and every server restarted once: nothing is lost, nothing
//! is there twice, and a message that may be a repeat says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::U256;
use crypto_intel_sandbox::{
    Chain, ChatServer, NodeOptions, ScriptedNode,
    chat::ChatService,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::{SeededRandom, assert_same_set, eventually};
use serde_json::Value;

use crate::pipeline::{LogKey, PATIENCE, Pipeline, amounts};

const KILLS: usize = 12;
const BLOCK_INTERVAL: Duration = Duration::from_millis(150);
const TRANSFERS_PER_BLOCK: usize = 40;
/// A million tokens of six decimals.
const WHALE_UNITS: u64 = 1_000_000_000_000;

/// Every transfer that the node's chain holds, with its transaction and amount.
fn chain_transfers(chain: &Chain) -> BTreeMap<LogKey, (String, U256)> {
    let logs: Vec<Value> = chain
        .blocks()
        .iter()
        .flat_map(|block| {
            block.logs().map(|log| serde_json::from_str(log).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    amounts(&logs)
}

/// Plays blocks until told to stop.
async fn play(chain: Chain, mut blocks: Synthetic, stop: Arc<tokio::sync::Notify>) {
    let mut ticks = tokio::time::interval(BLOCK_INTERVAL);
    loop {
        tokio::select! {
            () = stop.notified() => return,
            _ = ticks.tick() => chain.push_block(blocks.next_block_at(now_seconds())).unwrap(),
        }
    }
}

fn now_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Every transaction that was told, per service, with the texts that told it.
fn told(chat: &ChatServer, service: ChatService) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in chat.messages() {
        let transaction = message.text.lines().find_map(|line| line.trim().strip_prefix("tx "));
        if let (true, Some(transaction)) = (message.service == service, transaction) {
            told.entry(transaction.trim().to_owned()).or_default().push(message.text.clone());
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_kills_and_restarts_without_loss_or_copy() {
    let mut random = SeededRandom::from_environment();
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    node.chain().follow_finality(4, 8);
    let mut blocks = Synthetic::new(SyntheticOptions {
        transfers_per_block: TRANSFERS_PER_BLOCK,
        whale_every: 200,
        ..SyntheticOptions::default()
    });
    node.push_block(blocks.next_block_at(now_seconds())).unwrap();

    let mut pipeline = Pipeline::start("").await;
    let rules = pipeline.folder().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let settings = format!(
        "[alerts]\nrules = [\"rules.toml\"]\n{}\n[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\n\
         endpoints = [{{ url = \"{}\" }}]\n",
        Pipeline::destinations(&pipeline.chat),
        node.ws_url()
    );
    pipeline.configure(&settings);
    let stop = Arc::new(tokio::sync::Notify::new());
    let player = tokio::spawn(play(node.chain().clone(), blocks, Arc::clone(&stop)));

    for round in 0..KILLS {
        let mut process = pipeline.run(&["evm", "persist", "alerts", "notify"]);
        // The lease of the killed one has to run out first, so some rounds die while they wait.
        pause(&mut random, 300, 9_000).await;
        if round == KILLS / 3 {
            pipeline.nats.kill().unwrap();
            pipeline.nats.start_again().await.unwrap();
            pause(&mut random, 300, 3_000).await;
        }
        if round == 2 * KILLS / 3 {
            pipeline.postgres.kill().unwrap();
            pipeline.postgres.start_again().await.unwrap();
            pause(&mut random, 300, 3_000).await;
        }
        assert!(!process.has_ended(), "ended by itself in round {round}:\n{}", pipeline.log_tail());
        process.kill();
    }
    stop.notify_one();
    player.await.unwrap();

    let mut process = pipeline.run(&["evm", "persist", "alerts", "notify"]);
    let chain = chain_transfers(node.chain());
    let whales: BTreeSet<String> = chain
        .values()
        .filter(|(_, amount)| *amount >= U256::from(WHALE_UNITS))
        .map(|(transaction, _)| transaction.clone())
        .collect();
    assert!(whales.len() >= KILLS, "{} whales in {} transfers", whales.len(), chain.len());
    eventually(PATIENCE, async || {
        assert!(!process.has_ended(), "ended by itself at the end:\n{}", pipeline.log_tail());
        let stored = pipeline.try_stored_transfers().await.map_or(0, |rows| rows.len());
        let everywhere = [ChatService::Telegram, ChatService::Discord]
            .into_iter()
            .all(|service| told(&pipeline.chat, service).len() >= whales.len());
        stored >= chain.len() && everywhere
    })
    .await;

    assert_same_set(chain.into_keys(), pipeline.stored_transfers().await);
    for service in [ChatService::Telegram, ChatService::Discord] {
        let told = told(&pipeline.chat, service);
        assert_same_set(whales.clone(), told.keys().cloned());
        for (transaction, texts) in told {
            let unmarked = texts.iter().filter(|text| !text.contains("possible repeat")).count();
            assert!(
                unmarked <= 1,
                "{service:?} was told {transaction} twice without a mark: {texts:?}"
            );
        }
    }
    assert_eq!(pipeline.chat.violations(), [], "the real services would have refused");
}

const RULES: &str = r#"
[[rule]]
id = "whale"
on = "evm.local.transfer.erc20"
when = 'value >= u256("1000000000000")'
severity = "critical"
max_event_age = "1h"
title = "{{ value }} units moved"
lines = ["tx {{ tx_hash }}"]
routes = ["ops", "desk"]
"#;

/// A random moment: how far the process gets is what is tried, so nothing is waited for here.
async fn pause(random: &mut SeededRandom, from_ms: u64, to_ms: u64) {
    let moment = Duration::from_millis(rand::RngExt::random_range(&mut **random, from_ms..to_ms));
    let mut clock = tokio::time::interval(moment);
    clock.tick().await;
    clock.tick().await;
}
