//! The whole process: least permissions, prices, chains that fail alone.

use std::collections::BTreeMap;

use crypto_intel_evm::{ChainConfig, Config, EndpointConfig};
use crypto_intel_nats::Bucket;
use crypto_intel_sandbox::node::{Synthetic, SyntheticOptions};
use crypto_intel_schemas::Event;
use crypto_intel_service::{Context, now_us};
use crypto_intel_testkit::{Broker, RunningRole, assert_same_set, eventually};

use crate::{
    harness::{
        CHAIN, CHAIN_ID, Replay as _, chain_config, generator, node, push, push_new, start_chains,
        start_evm,
    },
    stream::{Replayed, transfers_of},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permissions_of_its_own_user_are_enough() {
    let (broker, node) = (Broker::start_with_users().await, node().await);
    let nats = broker.connect_as("evm").await;
    node.chain().follow_finality(1, 2);
    let mut blocks = generator(41);
    push_new(&node, &mut blocks, 10);
    let producer = start_evm(&nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    node.reorg(1, blocks.fork(1, 2)).unwrap();
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.reorgs.len(), 1);
    let cursors = broker.nats.kv(Bucket::Cursors).await.unwrap();
    eventually(async || cursors.get("evm.testchain").await.ok().flatten()).await;
    producer.stop().await;
    let log = broker.server.log();
    assert!(!log.contains("Permissions Violation"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_price_puts_usd_on_transfers() {
    let (broker, node) = (Broker::start().await, node().await);
    let prices = broker.nats.kv(Bucket::Prices).await.unwrap();
    let price = |at_us: i64| {
        serde_json::json!({ "price": "0.5", "at_us": at_us, "source": "test" }).to_string()
    };
    prices.put("usd-coin", price(now_us())).await.unwrap();
    let usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48".parse().unwrap();
    let mut blocks = Synthetic::new(SyntheticOptions {
        tokens: vec![usdc],
        transfers_per_block: 5,
        ..SyntheticOptions::default()
    });
    let seconds = || u64::try_from(now_us() / 1_000_000).unwrap();
    // Caught up after an outage: today's price does not apply.
    push(&node, [blocks.next_block_at(seconds() - 3_600)]);
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        list.path(),
        format!(
            "[{CHAIN}]\ntokens = [{{ contract = \"{usdc}\", asset = \"usd-coin\", symbol = \"USDC\", decimals = 6 }}]"
        ),
    )
    .unwrap();
    let config = Config {
        chains: BTreeMap::from([(CHAIN.to_owned(), chain_config(&[node.ws_url()]))]),
        assets: Some(list.path().to_owned()),
        ..Config::default()
    };
    let nats = broker.nats.clone();
    let producer =
        RunningRole::start("one", |context| crypto_intel_evm::run(config, nats, context));
    // The first blocks may be earlier than the first price.
    let transfer = eventually(async || {
        push(&node, [blocks.next_block_at(seconds())]);
        let replayed = broker.at_head(node.chain()).await;
        assert!(
            replayed.erc20().all(|transfer| transfer.block_number > 1 || transfer.usd.is_none())
        );
        replayed.erc20().find(|transfer| transfer.usd.is_some()).cloned()
    })
    .await;
    assert!(transfer.token_verified);
    assert_eq!(transfer.symbol.as_deref(), Some("USDC"));
    let amount = transfer.amount.unwrap().to_f64();
    assert!((transfer.usd.unwrap().to_f64() - amount / 2.0).abs() <= 0.01);
    // An outdated price is not used.
    prices.put("usd-coin", price(now_us() - 301_000_000)).await.unwrap();
    eventually(async || {
        push(&node, [blocks.next_block_at(seconds())]);
        let replayed = broker.at_head(node.chain()).await;
        let top = replayed.top().unwrap();
        let newest: Vec<_> =
            replayed.erc20().filter(|transfer| transfer.block_hash == top).collect();
        !newest.is_empty() && newest.iter().all(|transfer| transfer.usd.is_none())
    })
    .await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_fail_alone() {
    let (broker, good, bad) = (Broker::start().await, node().await, node().await);
    let (mut good_blocks, mut bad_blocks) = (generator(42), generator(43));
    push_new(&good, &mut good_blocks, 5);
    push_new(&bad, &mut bad_blocks, 5);
    let mut strict = chain_config(&[bad.ws_url()]);
    strict.max_reorg_depth = 1;
    let unreachable = ChainConfig {
        chain_id: CHAIN_ID,
        endpoints: vec![EndpointConfig::at("ws://127.0.0.1:1")],
        ..ChainConfig::default()
    };
    let chains = BTreeMap::from([
        ("good".to_owned(), chain_config(&[good.ws_url()])),
        ("strict".to_owned(), strict),
        ("unreachable".to_owned(), unreachable),
    ]);
    let producer = start_chains("one", &broker.nats, chains);
    eventually(async || {
        let top = Replayed::of(&broker.nats, "strict").await.top();
        top == bad.chain().head().map(|head| head.hash)
    })
    .await;
    bad.reorg(3, bad_blocks.fork(3, 4)).unwrap();
    producer.until_reported(&["max_reorg_depth is 1"]).await;
    push_new(&good, &mut good_blocks, 20);
    let replayed = eventually(async || {
        let replayed = Replayed::of(&broker.nats, "good").await;
        (replayed.top() == good.chain().head().map(|head| head.hash)).then_some(replayed)
    })
    .await;
    assert_same_set(
        transfers_of(good.chain().blocks().iter().map(AsRef::as_ref)),
        replayed.transfers(),
    );
    eventually(async || {
        // The chain that stopped is not healthy.
        producer.is_healthy("evm.good.head") && !producer.is_ready()
    })
    .await;
    assert!(replayed.live().all(|event| !matches!(event, Event::Log(_))));
    producer.stop().await;
}

#[tokio::test]
async fn a_bad_configuration_is_refused_before_anything_starts() {
    let broker = Broker::start().await;
    let config = Config {
        chains: BTreeMap::from([("Bad".to_owned(), ChainConfig::default())]),
        ..Config::default()
    };
    let ended = crypto_intel_evm::run(config, broker.nats.clone(), Context::new("one")).await;
    let error = format!("{:#}", ended.unwrap_err());
    assert!(error.contains("evm.chains.Bad.chain_id: missing"), "{error}");
    let missing = Config { assets: Some("/nowhere/assets.toml".into()), ..Config::default() };
    let ended = crypto_intel_evm::run(missing, broker.nats.clone(), Context::new("one")).await;
    let error = format!("{:#}", ended.unwrap_err());
    assert!(error.contains("evm.assets /nowhere/assets.toml"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_role_reports_its_error_again_and_recovers() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(46);
    push_new(&node, &mut blocks, 3);
    let context = Context::new("one");
    let folder = tempfile::tempdir().unwrap();
    let assets = folder.path().join("tokens.toml");
    let chains = BTreeMap::from([(CHAIN.to_owned(), chain_config(&[node.ws_url()]))]);
    let config = Config { chains, assets: Some(assets.clone()), ..Config::default() };
    let run = || crypto_intel_evm::run(config.clone(), broker.nats.clone(), context.clone());
    for _ in 0..2 {
        let error = format!("{:#}", run().await.unwrap_err());
        assert!(error.contains("tokens.toml"), "{error}");
    }
    std::fs::write(&assets, "").unwrap();
    let running = tokio::spawn(run());
    broker.at_head(node.chain()).await;
    context.shutdown.cancel();
    running.await.unwrap().unwrap();
}
