//! Our own contracts: deployment and calls.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, address, keccak256};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::http::RpcClient;

const TOKEN_BYTECODE: &str = include_str!("../../contracts/SandboxToken.hex");
const BURST_BYTECODE: &str = include_str!("../../contracts/SandboxBurst.hex");
/// More than any single call of the token needs.
const TOKEN_GAS: u64 = 100_000;
const BURST_GAS: u64 = 200_000;
const BURST_GAS_PER_TRANSFER: u64 = 40_000;
const NATIVE_GAS: u64 = 21_000;
const RECEIPT_DEADLINE: Duration = Duration::from_secs(60);

/// Where the token is on a fresh anvil: the first contract of its first account.
pub const TOKEN_ADDRESS: Address = address!("0x5fbdb2315678afecb367f032d93f642f64180aa3");
/// Where the burst contract is on a fresh anvil: the second contract of its first account.
pub const BURST_ADDRESS: Address = address!("0xe7f1725e7734ce288f8367e1bb143e90bb3f0512");

/// The sandbox's contracts on one chain.
#[derive(Debug, Clone)]
pub struct Contracts {
    /// `SandboxToken`: ERC-20, 6 decimals, anybody may mint.
    pub token: Address,
    /// `SandboxBurst`: many transfers in one transaction.
    pub burst: Address,
}

impl Contracts {
    /// Deploys both from the unlocked account `from`, the token first. With manual mining, mine meanwhile.
    ///
    /// # Errors
    /// Fails when the node refuses, or a contract is not in a block after 60 s.
    pub async fn deploy(rpc: &RpcClient, from: Address) -> anyhow::Result<Self> {
        let token = deploy(rpc, from, TOKEN_BYTECODE).await.context("deploy SandboxToken")?;
        let burst = deploy(rpc, from, BURST_BYTECODE).await.context("deploy SandboxBurst")?;
        Ok(Self { token, burst })
    }

    /// The transaction that mints `units` (millionths) to `to`.
    #[must_use]
    pub fn mint(&self, from: Address, to: Address, units: u128) -> Value {
        let data = call("mint(address,uint256)", &[word(to), units.into()]);
        transaction(from, self.token, &data, TOKEN_GAS)
    }

    /// The transaction that moves `units` (millionths) from `from` to `to`.
    #[must_use]
    pub fn transfer(&self, from: Address, to: Address, units: u128) -> Value {
        let data = call("transfer(address,uint256)", &[word(to), units.into()]);
        transaction(from, self.token, &data, TOKEN_GAS)
    }

    /// The transaction that lets `spender` move up to `units` (millionths) of `from`.
    #[must_use]
    pub fn approve(&self, from: Address, spender: Address, units: u128) -> Value {
        let data = call("approve(address,uint256)", &[word(spender), units.into()]);
        transaction(from, self.token, &data, TOKEN_GAS)
    }

    /// The transaction that makes one mint and `count` transfers, number i (from 1) of i units.
    #[must_use]
    pub fn burst(&self, from: Address, count: u64) -> Value {
        let data = call("burst(address,uint256)", &[word(self.token), u128::from(count).into()]);
        let gas = BURST_GAS + BURST_GAS_PER_TRANSFER * count;
        transaction(from, self.burst, &data, gas)
    }
}

/// The transaction that sends native currency.
pub(super) fn native(from: Address, to: Address, wei: u128) -> Value {
    json!({"from": from, "to": to, "value": format!("{wei:#x}"), "gas": format!("{NATIVE_GAS:#x}")})
}

/// Creation code of a contract that passes on what it is paid to the address in the first 32 bytes of its input, and goes on
/// when that fails.
pub const FORWARDER_CODE: &str = "0x695f5f5f5f345f355af1005f52600a6016f3";

/// Waits until a transaction is in a block and returns its receipt.
pub(super) async fn receipt(rpc: &RpcClient, hash: &Value) -> anyhow::Result<Value> {
    let started = Instant::now();
    loop {
        let receipt = rpc.call("eth_getTransactionReceipt", json!([hash])).await?;
        if !receipt.is_null() {
            return Ok(receipt);
        }
        if started.elapsed() > RECEIPT_DEADLINE {
            bail!("transaction {hash} is in no block after {RECEIPT_DEADLINE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn deploy(
    rpc: &RpcClient,
    from: Address,
    bytecode: &str,
) -> anyhow::Result<Address> {
    let transaction = json!({"from": from, "data": format!("0x{}", bytecode.trim())});
    let hash = rpc.call("eth_sendTransaction", json!([transaction])).await?;
    let receipt = receipt(rpc, &hash).await?;
    if receipt["status"] != "0x1" {
        bail!("creation failed: {receipt}");
    }
    receipt["contractAddress"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .context("read contract address")
}

// Gas is given, because an estimate holds for the state it was made on and not for the one after a reorg.
fn transaction(from: Address, to: Address, data: &str, gas: u64) -> Value {
    json!({"from": from, "to": to, "data": data, "gas": format!("{gas:#x}")})
}

/// One ABI word.
struct Word(String);

impl From<u128> for Word {
    fn from(number: u128) -> Self {
        Self(format!("{number:064x}"))
    }
}

fn word(address: Address) -> Word {
    Word(format!("{:0>64}", format!("{address:x}").trim_start_matches("0x")))
}

fn call(signature: &str, words: &[Word]) -> String {
    let selector = &keccak256(signature).to_string()[..10];
    words.iter().fold(selector.to_owned(), |data, word| data + &word.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_calls_as_the_abi_does() {
        let data = call("transfer(address,uint256)", &[word(TOKEN_ADDRESS), 255_u128.into()]);
        let expected = "0xa9059cbb0000000000000000000000005fbdb2315678afecb367f032d93f642f64180aa3\
                        00000000000000000000000000000000000000000000000000000000000000ff";
        assert_eq!(data, expected);
    }
}
