//! Feeds hostile logs to the decoder until time is up: each becomes events that survive encoding and have unique ids,
//! and none causes a panic. Runs on stable Rust.
//!
//! `cargo run --release -p crypto-intel-evm --example fuzz_logs -- [--seconds 60] [--seed N]`

use std::{error::Error, process::ExitCode};

use alloy_primitives::{Address, B256, U256, keccak256};
use crypto_intel_evm::fuzzing::{HostileLog, Target};
use rand::{RngExt, rngs::StdRng};

mod support;

/// Events that are decoded here or common elsewhere, for plausible first topics.
const SIGNATURES: [&str; 28] = [
    "Transfer(address,address,uint256)",
    "TransferSingle(address,address,address,uint256,uint256)",
    "TransferBatch(address,address,address,uint256[],uint256[])",
    "Approval(address,address,uint256)",
    "ApprovalForAll(address,address,bool)",
    "Deposit(address,uint256)",
    "Withdrawal(address,uint256)",
    "Swap(address,uint256,uint256,uint256,uint256,address)",
    "Sync(uint112,uint112)",
    "Mint(address,uint256,uint256)",
    "Burn(address,uint256,uint256,address)",
    "PairCreated(address,address,address,uint256)",
    "Swap(address,address,int256,int256,uint160,uint128,int24)",
    "Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)",
    "Mint(address,address,int24,int24,uint128,uint256,uint256)",
    "Burn(address,int24,int24,uint128,uint256,uint256)",
    "Collect(address,address,int24,int24,uint128,uint128)",
    "Initialize(uint160,int24)",
    "PoolCreated(address,address,uint24,int24,address)",
    "Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)",
    "Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)",
    "ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)",
    "AnswerUpdated(int256,uint256,uint256)",
    "NewRound(uint256,address,uint256)",
    "Swap(address,uint256,uint256,uint256,uint256,address,uint256)",
    "PoolCreated(address,address,bool,address,uint256)",
    "Fees(address,uint256,uint256)",
    "Nothing()",
];

struct Generator {
    topics: Vec<B256>,
}

impl Generator {
    /// A word that is often a length, an offset, an address or a boundary value of its type.
    fn word(&self, random: &mut StdRng) -> U256 {
        match random.random_range(0..9) {
            0 => U256::ZERO,
            1 => U256::MAX,
            2 => U256::from(random.random_range(0..12_u64) * 32),
            3 => U256::from(random.random_range(0..300_u64)),
            4 => U256::ONE << random.random_range(0..256_usize),
            5 => (U256::ONE << random.random_range(0..256_usize)) - U256::ONE,
            6 => U256::from(random.random::<u64>()),
            7 => U256::MAX - U256::from(random.random_range(0..64_u64)),
            _ => U256::from_be_bytes(random.random::<[u8; 32]>()),
        }
    }

    fn log(&self, random: &mut StdRng) -> HostileLog {
        let mut topics = Vec::new();
        if random.random_range(0..50) > 0 {
            topics.push(self.topics[random.random_range(0..self.topics.len())]);
            for _ in 0..random.random_range(0..4) {
                topics.push(self.word(random).into());
            }
        }
        let words = match random.random_range(0..40) {
            0 => random.random_range(0..2_000),
            _ => random.random_range(0..12),
        };
        let mut data = Vec::with_capacity(words * 32);
        for _ in 0..words {
            data.extend_from_slice(&self.word(random).to_be_bytes::<32>());
        }
        if random.random_range(0..5) == 0 {
            data.truncate(random.random_range(0..=data.len()));
        }
        HostileLog { address: Address::from(random.random::<[u8; 20]>()), topics, data }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let target = Target::new()?;
    let generator = Generator { topics: SIGNATURES.map(keccak256).to_vec() };
    support::run(
        |random| {
            let count = random.random_range(1..6);
            (0..count).map(|_| generator.log(random)).collect::<Vec<_>>()
        },
        |logs| target.logs(logs).map(Some),
        |logs| format!("{logs:?}"),
    )
}
