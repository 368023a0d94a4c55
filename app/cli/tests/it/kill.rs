//! The process is killed repeatedly, and every server restarted once: nothing is lost or duplicated, and a message that
//! may be a repeat is marked as one.

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

use crate::servers::{LogKey, Servers, amounts};

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

/// Adds blocks until stopped.
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

/// Every transaction that a chat service was told of, with the texts that name it.
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
async fn survives_kills_and_restarts_without_loss_or_duplicates() {
    let mut random = SeededRandom::from_environment();
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    node.chain().follow_finality(4, 8);
    let mut blocks = Synthetic::new(SyntheticOptions {
        transfers_per_block: TRANSFERS_PER_BLOCK,
        whale_every: 200,
        ..SyntheticOptions::default()
    });
    node.push_block(blocks.next_block_at(now_seconds())).unwrap();

    let mut servers = Servers::start("").await;
    let rules = servers.folder().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let settings = format!(
        "[alerts]\nrules = [\"rules.toml\"]\n{}\n[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\n\
         endpoints = [{{ url = \"{}\" }}]\n",
        Servers::destinations(&servers.chat),
        node.ws_url()
    );
    servers.configure(&settings);
    let stop = Arc::new(tokio::sync::Notify::new());
    let player = tokio::spawn(play(node.chain().clone(), blocks, Arc::clone(&stop)));

    for round in 0..KILLS {
        let mut process = servers.run(&["evm", "persist", "alerts", "notify"]);
        // The lease of the killed process has to expire first, so some rounds end while still waiting for it.
        random.pause_ms(300..9_000).await;
        if round == KILLS / 3 {
            servers.nats.kill().unwrap();
            servers.nats.start_again().await.unwrap();
            random.pause_ms(300..3_000).await;
        }
        if round == 2 * KILLS / 3 {
            servers.postgres.kill().unwrap();
            servers.postgres.start_again().await.unwrap();
            random.pause_ms(300..3_000).await;
        }
        assert!(!process.has_ended(), "ended by itself in round {round}:\n{}", servers.log_tail());
        process.kill();
    }
    stop.notify_one();
    player.await.unwrap();

    let mut process = servers.run(&["evm", "persist", "alerts", "notify"]);
    let chain = chain_transfers(node.chain());
    let whales: BTreeSet<String> = chain
        .values()
        .filter(|(_, amount)| *amount >= U256::from(WHALE_UNITS))
        .map(|(transaction, _)| transaction.clone())
        .collect();
    assert!(whales.len() >= KILLS, "{} whales in {} transfers", whales.len(), chain.len());
    eventually(async || {
        assert!(!process.has_ended(), "ended by itself at the end:\n{}", servers.log_tail());
        let stored = servers.try_stored_transfers().await.map_or(0, |rows| rows.len());
        let everywhere = [ChatService::Telegram, ChatService::Discord]
            .into_iter()
            .all(|service| told(&servers.chat, service).len() >= whales.len());
        stored >= chain.len() && everywhere
    })
    .await;

    assert_same_set(chain.into_keys(), servers.stored_transfers().await);
    for service in [ChatService::Telegram, ChatService::Discord] {
        let told = told(&servers.chat, service);
        assert_same_set(whales.clone(), told.keys().cloned());
        for (transaction, texts) in told {
            let unmarked = texts.iter().filter(|text| !text.contains("possible repeat")).count();
            assert!(
                unmarked <= 1,
                "{service:?} was told {transaction} twice without a mark: {texts:?}"
            );
        }
    }
    assert_eq!(servers.chat.violations(), [], "the real services would have refused");
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
