//! A real node reorganises, with amounts that differ between branches, while alerts and messages are sent: in the end, the
//! last messages in each chat match the node's chain.
//!
//! `CRYPTO_INTEL_FAULT_SECONDS` sets the duration, 6 by default; `CRYPTO_INTEL_SEED` repeats a run.

use std::{collections::BTreeMap, time::Duration};

use crypto_intel_sandbox::{Anvil, AnvilOptions, ChatServer, chat::ChatService};
use crypto_intel_testkit::{SeededRandom, TEST_TIMEOUT, anvil};
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::servers::{Servers, number};

/// Each account makes one transaction.
const ACCOUNTS: usize = 250;
const LARGE: u64 = 5;

const RULES: &str = r#"
[[rule]]
id = "flat"
on = "evm.local.transfer.erc20"
when = 'value >= u256("5")'
max_event_age = "1h"
title = "{{ value }} to {{ to }}"
lines = ["by {{ from }}", "block {{ block_number }} at {{ block_time_us|time }}"]
routes = ["ops", "desk"]

[[rule]]
id = "cool"
on = "evm.local.transfer.erc20"
when = 'value >= u256("5")'
cooldown = "2s"
group_by = ["to"]
max_event_age = "1h"
title = "{{ value }} to {{ to }}"
lines = ["by {{ from }}", "block {{ block_number }}"]
routes = ["ops", "desk"]
"#;

/// A contract that logs a transfer from its caller: recipient and amount are the call's first two
/// words; if the third is 1, the amount is 1 in odd blocks.
const CONTRACT: &str = "603a80600b6000396000f3\
    604035 4316 8015 60203502 01 600052 600035 33\
    7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef\
    60206000 a3 00";

/// A transfer on the node's chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Transfer {
    by: String,
    to: String,
    amount: u64,
    block: u64,
}

/// A node, and random actions of its users.
struct Actor {
    node: Anvil,
    contract: String,
    accounts: Vec<String>,
    /// Transactions by their sender.
    made: BTreeMap<String, Value>,
    /// Senders whose transactions were dropped and may be sent again.
    dropped: Vec<String>,
    highest: u64,
    random: SeededRandom,
}

impl Actor {
    async fn start(mut random: SeededRandom) -> Option<Self> {
        let options = AnvilOptions {
            manual_mining: true,
            // Blocks are final six blocks below the head, or far below.
            slots_in_an_epoch: if random.random() { 3 } else { 32 },
            extra_args: vec![format!("--accounts={ACCOUNTS}")],
            ..AnvilOptions::default()
        };
        let node = anvil(options).await?;
        let accounts = node.accounts().await.unwrap();
        let code = format!("0x{}", CONTRACT.replace(' ', ""));
        let creation = json!({ "from": accounts[0], "data": code, "gas": "0x100000" });
        let hash = node.rpc().call("eth_sendTransaction", json!([creation])).await.unwrap();
        node.mine(1).await.unwrap();
        let receipt = node.rpc().call("eth_getTransactionReceipt", json!([hash])).await.unwrap();
        let contract = receipt["contractAddress"].as_str().unwrap().to_owned();
        let (made, dropped) = (BTreeMap::new(), Vec::new());
        Some(Self { node, contract, accounts, made, dropped, highest: 1, random })
    }

    /// A transaction of an account that has sent none yet. Every field is set, so that it is the same when sent again.
    fn transaction(&mut self) -> Option<Value> {
        let from = self.accounts.get(self.made.len() + 1)?.clone();
        let (to, amount) = (self.random.random_range(1..4), self.random.random_range(1..12));
        let is_fickle = u8::from(self.random.random_ratio(1, 3));
        let transaction = json!({
            "from": from, "to": self.contract, "nonce": "0x0", "gas": "0x30000",
            "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": "0x1",
            "data": format!("0x{to:064x}{amount:064x}{is_fickle:064x}"),
        });
        self.made.insert(from.to_lowercase(), transaction.clone());
        Some(transaction)
    }

    /// Some new transactions, and perhaps one that was dropped.
    fn some_transactions(&mut self) -> Vec<Value> {
        let count = self.random.random_range(0..3);
        let mut some: Vec<Value> = (0..count).filter_map(|_| self.transaction()).collect();
        if !self.dropped.is_empty() && self.random.random_ratio(1, 2) {
            let index = self.random.random_range(0..self.dropped.len());
            some.push(self.made[&self.dropped.swap_remove(index)].clone());
        }
        some
    }

    async fn step(&mut self) {
        let head = self.node.block_number().await.unwrap();
        let depth = self.random.random_range(1..5_u64).min(head.saturating_sub(2));
        if depth == 0 || self.random.random_ratio(3, 4) {
            self.mine().await;
        } else {
            let held = self.held().await;
            let newest = held.into_iter().filter(|transfer| transfer.block > head - depth);
            let (kept, gone): (Vec<String>, Vec<String>) =
                newest.map(|transfer| transfer.by).partition(|_| self.random.random_ratio(2, 3));
            self.dropped.extend(gone);
            if self.random.random() {
                self.replace(depth, &kept).await;
            } else {
                self.node.rpc().call("anvil_rollback", json!([depth])).await.unwrap();
                self.dropped.extend(kept);
                self.mine().await;
            }
        }
        self.highest = self.highest.max(self.node.block_number().await.unwrap());
    }

    async fn mine(&mut self) {
        for transaction in self.some_transactions() {
            self.node.rpc().call("eth_sendTransaction", json!([transaction])).await.unwrap();
        }
        self.node.mine(1).await.unwrap();
    }

    /// Replaces the newest `depth` blocks by as many others, with some of the same transactions.
    async fn replace(&mut self, depth: u64, kept: &[String]) {
        let kept = kept.iter().map(|by| self.made[by].clone()).collect::<Vec<_>>();
        let mut placed: Vec<(Value, u64)> = Vec::new();
        for transaction in kept.into_iter().chain(self.some_transactions()) {
            placed.push((transaction, self.random.random_range(0..depth)));
        }
        self.node.reorg(depth, &placed).await.unwrap();
    }

    async fn held(&self) -> Vec<Transfer> {
        let filter = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": self.contract }]);
        let logs = self.node.rpc().call("eth_getLogs", filter).await.unwrap();
        let address = |word: &Value| format!("0x{}", &word.as_str().unwrap()[26..]);
        let logs = logs.as_array().unwrap().iter();
        logs.map(|log| Transfer {
            by: address(&log["topics"][1]),
            to: address(&log["topics"][2]),
            amount: number(&json!(format!("0x{}", &log["data"].as_str().unwrap()[50..]))),
            block: number(&log["blockNumber"]),
        })
        .collect()
    }
}

/// What the messages of a chat say last about one alert.
#[derive(Debug, Clone, Default)]
struct Belief {
    by: Option<String>,
    title: String,
    block: u64,
    gone: bool,
    fails_rule: bool,
}

/// By rule and code.
fn beliefs(chat: &ChatServer, service: ChatService) -> BTreeMap<(String, String), Belief> {
    let mut beliefs: BTreeMap<(String, String), Belief> = BTreeMap::new();
    let mut messages = chat.messages();
    messages.retain(|message| message.service == service);
    // What was changed last is what was told last.
    messages.sort_by_key(|message| message.changed);
    for message in messages {
        let all: Vec<&str> = message.text.lines().map(str::trim).collect();
        // A message that was changed keeps its earlier lines below.
        let now = all.iter().position(|line| *line == "before:").unwrap_or(all.len());
        let lines = &all[..now];
        let find = |prefix: &str| lines.iter().find_map(|line| line.strip_prefix(prefix));
        let foot = all.iter().rev().find_map(|line| {
            let (rule, code) = line.split_once(" #")?;
            ["flat", "cool"].contains(&rule).then(|| (rule.to_owned(), code[..5].to_owned()))
        });
        let belief = beliefs.entry(foot.unwrap_or_else(|| panic!("{}", message.text))).or_default();
        let title = lines.iter().find(|line| line.contains(" to 0x")).copied().unwrap_or_default();
        belief.title =
            title.trim_start_matches(|character: char| !character.is_ascii_digit()).into();
        let by = all.iter().find_map(|line| line.strip_prefix("by "));
        belief.by = belief.by.take().or_else(|| by.map(str::to_owned));
        belief.gone = find("No longer on chain").is_some();
        belief.fails_rule = message.text.contains("no longer meets the rule");
        let block = find("block ").or_else(|| find("Moved to block ")).or_else(|| {
            ["Changed by", "Back on chain"]
                .iter()
                .filter_map(|start| find(start))
                .find_map(|rest| rest.split_once("in block ").map(|(_, number)| number))
        });
        let digits = block.and_then(|text| text.split([' ', '.', ',']).next());
        belief.block = digits.and_then(|text| text.parse().ok()).unwrap_or(belief.block);
    }
    beliefs
}

/// Differences between the last messages of a chat and the node's chain.
fn differences(held: &[Transfer], chat: &ChatServer, service: ChatService) -> Vec<String> {
    let beliefs = beliefs(chat, service);
    let mut found = Vec::new();
    for rule in ["flat", "cool"] {
        let of_rule = beliefs.iter().filter(|((of, _), belief)| of == rule && !belief.gone);
        let mut told: Vec<&Transfer> = Vec::new();
        let mut collected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for ((_, code), belief) in of_rule {
            let words: Vec<&str> = belief.title.split([' ', ',']).collect();
            let amount: u64 = words[0].parse().unwrap_or_default();
            let Some(by) = &belief.by else {
                let sum = words.iter().rposition(|word| *word == "sum" || *word == "more");
                let sum = words[sum.map_or(0, |place| place + 1)..].iter();
                let sum =
                    sum.filter_map(|word| word.parse::<u64>().ok()).next().unwrap_or_default();
                let to = words.last().copied().unwrap_or_default().to_owned();
                let totals = collected.entry(to).or_default();
                *totals = (totals.0 + amount, totals.1 + sum);
                continue;
            };
            let Some(truth) = held.iter().find(|held| held.by == *by) else {
                found.push(format!("{service:?} {rule} {code}: not on chain: {belief:?}"));
                continue;
            };
            let is_right = truth.amount == amount
                && truth.block == belief.block
                && belief.fails_rule == (truth.amount < LARGE)
                && !told.contains(&truth);
            if !is_right {
                found.push(format!("{service:?} {rule} {code}: is {truth:?}, told {belief:?}"));
            }
            told.push(truth);
        }
        let mut untold: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for held in held.iter().filter(|held| held.amount >= LARGE && !told.contains(held)) {
            let totals = untold.entry(held.to.clone()).or_default();
            *totals = (totals.0 + 1, totals.1 + held.amount);
        }
        if untold != collected {
            found.push(format!("{service:?} {rule}: untold {untold:?}, collected {collected:?}"));
        }
    }
    found
}

fn fault_duration() -> Duration {
    let text = std::env::var("CRYPTO_INTEL_FAULT_SECONDS").unwrap_or_else(|_| "6".to_owned());
    Duration::from_secs(text.parse().expect("CRYPTO_INTEL_FAULT_SECONDS is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_messages_of_each_chat_match_the_chain() {
    let Some(mut actor) = Actor::start(SeededRandom::from_environment()).await else { return };
    let servers = Servers::start("").await;
    std::fs::write(servers.folder().join("rules.toml"), RULES).unwrap();
    servers.configure(&format!(
        "[alerts]\nrules = [\"rules.toml\"]\n{}\n[evm.chains.local]\nchain_id = {}\nstart = 0\nstale_seconds = 3600\n\
         endpoints = [{{ url = \"{}\" }}]\n",
        Servers::destinations(&servers.chat),
        AnvilOptions::default().chain_id,
        actor.node.ws_url()
    ));
    let mut process = servers.run(&["evm", "alerts", "notify"]);
    // Sets the pace of the steps and waits for no result: they are meant to overlap with the pipeline's work.
    let mut clock = tokio::time::interval(Duration::from_millis(250));
    let until = tokio::time::Instant::now() + fault_duration();
    while tokio::time::Instant::now() < until {
        clock.tick().await;
        actor.step().await;
    }
    let held = async |actor: &mut Actor| {
        while actor.node.block_number().await.unwrap() < actor.highest + 4 {
            actor.node.mine(1).await.unwrap();
        }
        actor.held().await
    };
    let held = held(&mut actor).await;
    let differences = |chat: &ChatServer| {
        let services = [ChatService::Telegram, ChatService::Discord].into_iter();
        services.flat_map(|service| differences(&held, chat, service)).collect::<Vec<_>>()
    };
    let deadline = tokio::time::Instant::now() + TEST_TIMEOUT;
    while !differences(&servers.chat).is_empty() && tokio::time::Instant::now() < deadline {
        assert!(!process.has_ended(), "ended by itself:\n{}", servers.log_tail());
        clock.tick().await;
    }
    let found = differences(&servers.chat);
    let texts: Vec<String> =
        servers.chat.messages().into_iter().map(|message| message.text).collect();
    assert!(found.is_empty(), "{found:#?}\nheld {held:#?}\nmessages {texts:#?}");
    assert!(held.len() > 2, "something happened: {held:?}");
    assert_eq!(servers.chat.violations(), [], "the real services would have refused");
    let corrected = texts.iter().filter(|text| text.contains("· corrected")).count();
    println!("{} transfers held, {} messages, {corrected} corrections", held.len(), texts.len());
}
