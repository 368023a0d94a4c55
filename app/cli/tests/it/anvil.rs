//! A real EVM node with real reorganisations.

use crypto_intel_sandbox::{AnvilOptions, RpcClient, evm::Contracts};
use crypto_intel_testkit::{anvil, assert_same_set, eventually};
use serde_json::{Value, json};

use crate::servers::{LogKey, Servers, erc20_keys};

/// Every ERC-20 transfer that the node itself has now.
async fn chain_transfers(rpc: &RpcClient) -> Vec<LogKey> {
    let filter = json!([{ "fromBlock": "0x0", "toBlock": "latest" }]);
    let logs: Vec<Value> =
        serde_json::from_value(rpc.call("eth_getLogs", filter).await.unwrap()).unwrap();
    erc20_keys(&logs)
}

#[tokio::test(flavor = "multi_thread")]
async fn anvil_reorg() {
    let options = AnvilOptions { manual_mining: true, ..AnvilOptions::default() };
    let Some(node) = anvil(options).await else { return };
    node.rpc().call("evm_setAutomine", json!([true])).await.unwrap();
    let accounts: Vec<alloy_primitives::Address> =
        node.accounts().await.unwrap().iter().map(|account| account.parse().unwrap()).collect();
    let (from, to) = (accounts[0], accounts[1]);
    let contracts = Contracts::deploy(node.rpc(), from).await.unwrap();
    node.send(&contracts.mint(from, from, 1_000_000)).await.unwrap();

    let settings = format!(
        "[evm.chains.local]\nchain_id = {}\nstart = 0\nfinality_tags = false\nfinality_depth = 20\n\
         endpoints = [{{ url = \"{}\" }}]\nstale_seconds = 3600\n",
        AnvilOptions::default().chain_id,
        node.ws_url()
    );
    let servers = Servers::start(&settings).await;
    let _process = servers.run(&["evm", "persist"]);
    let until_stored = async || {
        let expected = chain_transfers(node.rpc()).await;
        eventually(async || {
            let mut stored = servers.stored_transfers().await;
            let mut expected = expected.clone();
            stored.sort_unstable();
            expected.sort_unstable();
            stored == expected
        })
        .await;
        assert_same_set(expected, servers.stored_transfers().await);
    };

    for depth in [1, 3] {
        for units in 1..=5 {
            node.send(&contracts.transfer(from, to, units)).await.unwrap();
        }
        until_stored().await;
        let before = chain_transfers(node.rpc()).await;
        // The last blocks are replaced by as many others, with other transfers in them.
        node.reorg(depth, &[(contracts.transfer(from, to, 1_000 + u128::from(depth)), 0)])
            .await
            .unwrap();
        node.mine(1).await.unwrap();
        let after = chain_transfers(node.rpc()).await;
        assert_ne!(before, after, "a reorganisation of depth {depth} changes the transfers");
        until_stored().await;
    }

    let reorganisations =
        servers.succeed(&["tail", "evm.local.reorg", "--since", "start", "--limit", "2"]);
    let depths: Vec<u64> = reorganisations
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["depth"].as_u64().unwrap())
        .collect();
    assert_eq!(depths, [1, 3]);
}
