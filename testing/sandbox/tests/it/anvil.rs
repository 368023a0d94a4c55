use std::time::Duration;

use crypto_intel_sandbox::evm::{BURST_ADDRESS, Contracts, TOKEN_ADDRESS};
use crypto_intel_sandbox::{Anvil, AnvilOptions, Traffic, TrafficOptions};
use crypto_intel_testkit::{anvil, eventually};
use serde_json::json;

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

async fn transfer_logs(anvil: &Anvil) -> Vec<serde_json::Value> {
    let filter = json!([{"fromBlock": "0x0", "toBlock": "latest", "topics": [TRANSFER]}]);
    let logs = anvil.rpc().call("eth_getLogs", filter).await.unwrap();
    logs.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_burst_makes_many_transfers_in_one_transaction_and_a_reorg_takes_them_back() {
    let Some(anvil) = anvil(AnvilOptions::default()).await else { return };
    let from = anvil.accounts().await.unwrap()[0].parse().unwrap();
    let contracts = Contracts::deploy(anvil.rpc(), from).await.unwrap();
    assert_eq!((contracts.token, contracts.burst), (TOKEN_ADDRESS, BURST_ADDRESS));
    let receipt = anvil.send(&contracts.burst(from, 200)).await.unwrap();
    assert_eq!(receipt["status"], "0x1");
    let logs = transfer_logs(&anvil).await;
    assert_eq!(logs.len(), 201);
    let sum: u64 = logs[1..]
        .iter()
        .map(|log| u64::from_str_radix(&log["data"].as_str().unwrap()[50..], 16).unwrap())
        .sum();
    assert_eq!(sum, 200 * 201 / 2);
    let head = anvil.block_number().await.unwrap();
    anvil.reorg(1, &[(contracts.mint(from, from, 7), 0)]).await.unwrap();
    assert_eq!(anvil.block_number().await.unwrap(), head);
    assert_eq!(transfer_logs(&anvil).await.len(), 1);
}

#[tokio::test]
async fn traffic_reaches_blocks_at_the_block_time() {
    let options =
        AnvilOptions { block_time: Some(Duration::from_millis(200)), ..AnvilOptions::default() };
    let Some(anvil) = anvil(options).await else { return };
    let options = TrafficOptions { per_second: 100.0, native_every: 2, ..Default::default() };
    let traffic = Traffic::start(&anvil.http_url(), options).await.unwrap();
    eventually(async || traffic.counts().token >= 20 && traffic.counts().native >= 20).await;
    let counts = traffic.stop().await.unwrap();
    assert_eq!(counts.refused, 0);
    let accounts = anvil.accounts().await.unwrap().len() as u64;
    let expected = usize::try_from(counts.token + accounts).unwrap();
    eventually(async || transfer_logs(&anvil).await.len() >= expected).await;
    assert_eq!(transfer_logs(&anvil).await.len(), expected);
}

#[tokio::test]
async fn mines_only_on_command_when_asked_to() {
    let options = AnvilOptions { manual_mining: true, chain_id: 7, ..AnvilOptions::default() };
    let Some(anvil) = anvil(options).await else { return };
    assert_eq!(anvil.rpc().call_quantity("eth_chainId", json!([])).await.unwrap(), 7);
    assert_eq!(anvil.block_number().await.unwrap(), 0);
    anvil.mine(3).await.unwrap();
    assert_eq!(anvil.block_number().await.unwrap(), 3);
}
