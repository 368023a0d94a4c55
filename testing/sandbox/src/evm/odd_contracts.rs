//! Contracts for wallets' tests: collections, odd tokens, a contract wallet, and what reads many balances at once.

use alloy_primitives::{Address, U256, address, hex, keccak256};
use anyhow::Context as _;
use serde_json::{Value, json};

use super::contracts;
use crate::http::RpcClient;

/// Where Multicall3 is on most chains.
pub const MULTICALL_ADDRESS: Address = address!("0xca11bde05977b3631167028862be2a173976ca11");

/// Gas that any call of these needs at most.
const CALL_GAS: u64 = 500_000;

/// A contract of the sandbox that only some tests need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddContract {
    /// `SandboxOddToken`: ERC-20 that takes fees, rebases, and may refuse to tell balances.
    OddToken,
    /// `SandboxCollection`: ERC-721 and ERC-1155.
    Collection,
    /// `SandboxWallet`: a wallet behind a proxy.
    Wallet,
    /// `SandboxMulticall`: the functions of Multicall3 that we call.
    Multicall,
}

impl OddContract {
    const fn bytecode(self) -> &'static str {
        match self {
            Self::OddToken => include_str!("../../contracts/SandboxOddToken.hex"),
            Self::Collection => include_str!("../../contracts/SandboxCollection.hex"),
            Self::Wallet => include_str!("../../contracts/SandboxWallet.hex"),
            Self::Multicall => include_str!("../../contracts/SandboxMulticall.hex"),
        }
    }

    /// Deploys it from an unlocked account.
    ///
    /// # Errors
    /// As [`Contracts::deploy`](super::Contracts::deploy).
    pub async fn deploy(self, rpc: &RpcClient, from: Address) -> anyhow::Result<Address> {
        contracts::deploy(rpc, from, self.bytecode()).await
    }

    /// Puts `SandboxMulticall` where Multicall3 is on other chains.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub async fn place_multicall(rpc: &RpcClient, from: Address) -> anyhow::Result<()> {
        let deployed =
            Self::Multicall.deploy(rpc, from).await.context("deploy SandboxMulticall")?;
        let code = rpc.call("eth_getCode", json!([deployed, "latest"])).await?;
        rpc.call("anvil_setCode", json!([MULTICALL_ADDRESS, code])).await.map(drop)
    }
}

/// The transaction that calls a function whose arguments are all one word.
#[must_use]
pub fn call_transaction(from: Address, to: Address, signature: &str, words: &[U256]) -> Value {
    transaction(from, to, &call_data(signature, words))
}

/// The transaction by which a `SandboxWallet` calls another contract, or pays.
#[must_use]
pub fn execute_transaction(
    from: Address,
    wallet: Address,
    to: Address,
    value: u128,
    data: &[u8],
) -> Value {
    let mut call = call_data(
        "execute(address,uint256,bytes)",
        &[address_word(to), U256::from(value), U256::from(96), U256::from(data.len())],
    );
    call.extend(data);
    call.resize((call.len() - 4).next_multiple_of(32) + 4, 0);
    transaction(from, wallet, &call)
}

/// Selector and arguments.
#[must_use]
pub fn call_data(signature: &str, words: &[U256]) -> Vec<u8> {
    let mut data = keccak256(signature)[..4].to_vec();
    for word in words {
        data.extend(word.to_be_bytes::<32>());
    }
    data
}

/// An address as an argument.
#[must_use]
pub fn address_word(address: Address) -> U256 {
    U256::from_be_bytes(address.into_word().0)
}

fn transaction(from: Address, to: Address, data: &[u8]) -> Value {
    let data = hex::encode_prefixed(data);
    json!({ "from": from, "to": to, "data": data, "gas": format!("{CALL_GAS:#x}") })
}
