//! Pasts of addresses that explorers lead to, on a real node: the same events as when every block is looked into.

use std::collections::BTreeMap;

use crypto_intel_evm::{
    ChainConfig, ExplorerConfig, Gap, GapReason, Gaps, Pasts, Start, TracesMode, Watchlist,
};
use crypto_intel_sandbox::{
    Anvil, AnvilOptions, ExplorerFault, ExplorerServer,
    evm::{Contracts, FORWARDER_CODE},
};
use crypto_intel_schemas::{Address, Event, Finder, Kind, Past, WatchChain, WatchEntry};
use crypto_intel_service::Secret;
use crypto_intel_testkit::{Broker, RunningRole, anvil, assert_same_set, eventually};
use serde_json::{Value, json};

use crate::harness::{CHAIN, chain_config, start_evm};

/// A chain on which one account did everything that an account can do.
struct World {
    node: Anvil,
    explorer: ExplorerServer,
    account: Address,
    /// Last block of the past.
    last: u64,
}

impl World {
    async fn start() -> Option<Self> {
        let node = anvil(AnvilOptions { slots_in_an_epoch: 1, ..AnvilOptions::default() }).await?;
        let explorer = ExplorerServer::start().await.unwrap();
        let accounts: Vec<Address> =
            node.accounts().await.unwrap().iter().map(|text| text.parse().unwrap()).collect();
        let (owner, account, other) = (accounts[0], accounts[1], accounts[2]);
        let contracts = Contracts::deploy(node.rpc(), owner).await.unwrap();
        let created = node.send(&json!({ "from": other, "data": FORWARDER_CODE })).await.unwrap();
        let forwarder: Address = created["contractAddress"].as_str().unwrap().parse().unwrap();
        let pay = |from: Address, to: Address, through: bool| {
            let input = json!(format!("{:#x}", to.into_word()));
            match through {
                true => {
                    json!({ "from": from, "to": forwarder, "value": "0x64", "input": input, "gas": "0x186a0" })
                }
                false => json!({ "from": from, "to": to, "value": "0x7b" }),
            }
        };
        for round in 0..6_u128 {
            let transactions = [
                contracts.mint(owner, account, 1_000),
                contracts.transfer(account, other, 10 + round),
                contracts.approve(account, other, 7),
                // More than it has: it fails, and leaves no log.
                contracts.transfer(account, other, 1_000_000_000),
                pay(account, other, false),
                pay(other, account, false),
                pay(other, account, true),
                pay(account, other, true),
                // The token takes no payment: the inner call fails.
                pay(account, contracts.token, true),
                // Nothing of it.
                pay(owner, other, true),
            ];
            for transaction in &transactions {
                node.send(transaction).await.unwrap();
            }
            node.mine(3).await.unwrap();
        }
        node.send(&json!({ "from": account, "data": FORWARDER_CODE })).await.unwrap();
        let last = node.block_number().await.unwrap();
        node.mine(8).await.unwrap();
        explorer.index(node.rpc(), 0, last + 4).await.unwrap();
        Some(Self { node, explorer, account, last })
    }

    fn config(&self, traces: TracesMode, explored: bool) -> ChainConfig {
        let explorer = ExplorerConfig {
            url: Secret::new(self.explorer.url()),
            key: Secret::new("hush"),
            requests_per_second: Some(1_000.0),
            page_rows: Some(7),
            ..ExplorerConfig::default()
        };
        ChainConfig {
            start: Start::Latest,
            traces,
            explorers: if explored { vec![explorer] } else { Vec::new() },
            ..chain_config(&[self.node.ws_url()])
        }
    }
}

/// A producer, and the events that it published of an account's past.
struct Run {
    broker: Broker,
    producer: RunningRole,
}

impl Run {
    async fn start(world: &World, config: ChainConfig, every_block: bool) -> Self {
        let broker = Broker::start().await;
        let list = Watchlist::open(&broker.nats).await.unwrap();
        list.add(&WatchChain::All, &world.account.into(), WatchEntry::default()).await.unwrap();
        let gaps = Gaps::open(&broker.nats, CHAIN).await.unwrap();
        let address = Some(format!("{:#x}", world.account));
        let gap = Gap { address, every_block, ..Gap::new(1, world.last, GapReason::Watch) };
        gaps.queue_gap(gap).await.unwrap();
        let producer = start_evm(&broker.nats, config);
        Self { broker, producer }
    }

    async fn until_filled(&self) {
        let gaps = Gaps::open(&self.broker.nats, CHAIN).await.unwrap();
        eventually(async || gaps.list().await.unwrap().is_empty()).await;
    }

    /// Ids with their kinds; each id once.
    async fn events(&self) -> BTreeMap<String, Kind> {
        let mut found = BTreeMap::new();
        for message in self.broker.messages("HISTORY").await {
            let event = Event::decode(&message.payload).unwrap();
            if event.kind() != Kind::Block {
                let known = found.insert(event.id().to_owned(), event.kind());
                assert_eq!(known, None, "{} is there twice", event.id());
            }
        }
        found
    }

    async fn past(&self, world: &World) -> Past {
        let pasts = Pasts::open(&self.broker.nats, CHAIN).await.unwrap();
        pasts.get(&format!("{:#x}", world.account)).await.unwrap()
    }

    async fn trouble(&self) -> Option<String> {
        let gaps = Gaps::open(&self.broker.nats, CHAIN).await.unwrap();
        gaps.list().await.unwrap().first().and_then(|gap| gap.trouble.clone())
    }
}

fn etherscan() -> Vec<Finder> {
    vec![Finder::Explorer("etherscan".to_owned())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explorer_leads_to_the_same_events_as_looking_into_every_block() {
    let Some(world) = World::start().await else { return };
    // In the way: a busy explorer, and one that gives fewer rows than asked for.
    world.explorer.inject(None, ExplorerFault::TooManyRequests(1), 1);
    let busy = "Max calls per sec rate limit reached (3/sec)";
    world.explorer.inject(Some("txlist"), ExplorerFault::NotOk(busy.to_owned()), 1);
    world.explorer.inject(Some("tokentx"), ExplorerFault::Text("<html>".to_owned()), 1);
    world.explorer.give_at_most(3);
    let every = Run::start(&world, world.config(TracesMode::TraceBlock, false), true).await;
    let explored = Run::start(&world, world.config(TracesMode::TraceBlock, true), false).await;
    every.until_filled().await;
    explored.until_filled().await;
    let (expected, found) = (every.events().await, explored.events().await);
    assert_same_set(expected.iter(), found.iter());
    for (kind, count) in [
        (Kind::Erc20Transfer, 12),
        (Kind::NativeTransfer, 24),
        (Kind::InternalTransfer, 12),
        (Kind::Approval, 6),
        (Kind::ContractCreation, 1),
    ] {
        assert_eq!(found.values().filter(|one| **one == kind).count(), count, "{kind}");
    }
    let past = explored.past(&world).await;
    let all = |finders: Vec<Finder>| vec![(1, world.last, finders)];
    assert_eq!(past.complete("logs"), all(vec![Finder::OwnLogs]));
    assert_eq!(past.complete("transactions"), all(etherscan()));
    assert_eq!(past.complete("payments"), all(etherscan()));
    assert_eq!((past.doubts, past.more_doubts), (Vec::new(), 0));
    assert_eq!(every.past(&world).await.complete("payments"), all(vec![Finder::EveryBlock]));
    let requests = world.explorer.requests();
    assert!(requests.iter().all(|query| query["apikey"] == "hush" && query["chainid"] == "31337"));
    every.producer.stop().await;
    explored.producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_explorer_says_and_the_chain_does_not_is_kept_as_a_doubt() {
    let Some(world) = World::start().await else { return };
    let made_up = json!({
        "blockNumber": "5", "hash": format!("0x{}", "ab".repeat(32)), "blockHash": "",
        "from": world.account, "to": world.account, "value": "1", "isError": "0",
    });
    world.explorer.add_row("txlist", made_up);
    // Without traces the payments that it names are not in our blocks.
    let explored = Run::start(&world, world.config(TracesMode::Off, true), false).await;
    explored.until_filled().await;
    let past = explored.past(&world).await;
    assert_eq!(past.complete("logs"), [(1, world.last, vec![Finder::OwnLogs])]);
    assert_eq!(past.complete("transactions"), []);
    assert_eq!(past.complete("payments"), []);
    let texts: Vec<&str> = past.doubts.iter().map(|doubt| doubt.text.as_str()).collect();
    assert_eq!(past.doubts[0].number, 5, "{texts:?}");
    assert!(texts[0].contains("is not in the block"), "{texts:?}");
    assert!(texts[1].ends_with("there are no traces"), "{texts:?}");
    assert_eq!(past.doubts.len() as u64 + past.more_doubts, 1 + 6);
    let doubts =
        explored.producer.metric("crypto_intel_evm_explorer_doubts_total", &[CHAIN, "etherscan"]);
    assert_eq!(doubts, 7.0);
    let kinds = explored.events().await;
    assert_eq!(kinds.values().filter(|kind| **kind == Kind::NativeTransfer).count(), 24);
    explored.producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusing_explorer_is_left_out_and_a_failing_one_is_waited_for() {
    let Some(world) = World::start().await else { return };
    let plan = "Free API access is not supported for this chain. Please upgrade your api plan.";
    for action in ["eth_blockNumber", "txlist"] {
        world.explorer.refuse(action, Some(plan));
    }
    let refused = Run::start(&world, world.config(TracesMode::Off, true), false).await;
    refused.until_filled().await;
    let past = refused.past(&world).await;
    assert_eq!(past.complete("logs"), [(1, world.last, vec![Finder::OwnLogs])]);
    assert_eq!(past.complete("transactions"), []);
    let outcomes = ["refused", "ok"].map(|outcome| {
        let labels = [CHAIN, "etherscan", outcome];
        refused.producer.metric("crypto_intel_evm_explorer_requests_total", &labels)
    });
    assert_eq!(outcomes, [1.0, 0.0], "it is not asked again");
    refused.producer.stop().await;

    for action in ["eth_blockNumber", "txlist"] {
        world.explorer.refuse(action, None);
    }
    world
        .explorer
        .refuse("txlistinternal", Some("Query Timeout. Please select a smaller result dataset"));
    world.explorer.refuse("token1155tx", Some("Error! Missing Or invalid Action name"));
    let waiting = Run::start(&world, world.config(TracesMode::TraceBlock, true), false).await;
    let trouble = eventually(async || waiting.trouble().await).await;
    assert!(trouble.contains("etherscan gives no answer: Query Timeout"), "{trouble}");
    assert_eq!(waiting.past(&world).await, Past::default());
    world.explorer.refuse("txlistinternal", None);
    waiting.until_filled().await;
    assert_eq!(waiting.past(&world).await.complete("payments"), [(1, world.last, etherscan())]);
    waiting.producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explorer_that_has_not_come_so_far_or_answers_out_of_order_is_not_believed() {
    let Some(world) = World::start().await else { return };
    world.explorer.set_head(world.last - 1);
    let run = Run::start(&world, world.config(TracesMode::TraceBlock, true), false).await;
    let trouble = eventually(async || run.trouble().await).await;
    assert!(
        trouble.contains(&format!("etherscan is at block {} only", world.last - 1)),
        "{trouble}"
    );
    // Rows of the newest blocks first: what lies between two pages would be unknown.
    let rows: Value = json!({ "status": "1", "message": "OK", "result": [
        { "blockNumber": "9", "hash": format!("0x{}", "01".repeat(32)) },
        { "blockNumber": "8", "hash": format!("0x{}", "02".repeat(32)) },
    ] });
    world.explorer.inject(Some("txlist"), ExplorerFault::Text(rows.to_string()), 100);
    world.explorer.set_head(world.last);
    let trouble =
        eventually(async || run.trouble().await.filter(|text| text.contains("txlist"))).await;
    assert!(trouble.contains("row 1: block 8 is not in order"), "{trouble}");
    run.producer.stop().await;
}
