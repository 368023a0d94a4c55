//! How many events a million gas has, by scope, on recorded blocks: `CRYPTO_INTEL_DATA=… cargo run --release -p
//! crypto-intel-evm --example scope_rates`. docs/scope.md has its table.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use crypto_intel_evm::{LogProof, MESSAGE_BYTES, measure::Pipeline};
use crypto_intel_sandbox::node::{load_recorded, recorded_numbers};
use crypto_intel_schemas::{Event, Kind};

/// Blocks before 2023 say little of what a block has today.
const SINCE: u64 = 1_672_531_200;

/// Events and bytes of a scope.
#[derive(Default, Clone, Copy)]
struct Counted {
    events: usize,
    bytes: u64,
}

fn main() -> anyhow::Result<()> {
    let data = PathBuf::from(std::env::var("CRYPTO_INTEL_DATA").context("set CRYPTO_INTEL_DATA")?);
    println!("| chain | blocks | Mgas | scope | events per Mgas | bytes per event in the stream |");
    println!("| --- | ---: | ---: | --- | ---: | ---: |");
    for chain in ["ethereum", "polygon", "optimism", "base", "arbitrum"] {
        let pipeline = Pipeline::new(chain)?;
        let (mut blocks, mut gas) = (0, 0.0);
        let mut counted: BTreeMap<&str, Counted> = BTreeMap::new();
        let numbers = recorded_numbers(&data, chain)?;
        for block in load_recorded(&data, chain, &numbers)? {
            let read = pipeline.read(block.full_json(), block.receipts_json(), LogProof::Bloom)?;
            if read.timestamp() < SINCE || read.gas_used() < 1_000_000 {
                continue;
            }
            blocks += 1;
            gas += read.gas_used() as f64 / 1e6;
            let mut body = Vec::new();
            for event in pipeline.events(&read) {
                body.clear();
                event.encode_to(&mut body);
                for scope in scopes_of(&event) {
                    let counted = counted.entry(scope).or_default();
                    counted.events += 1;
                    counted.bytes += body.len() as u64 + MESSAGE_BYTES;
                }
            }
        }
        for (scope, counted) in counted {
            let per_gas = counted.events as f64 / gas;
            let bytes = counted.bytes / counted.events.max(1) as u64;
            println!("| {chain} | {blocks} | {gas:.0} | {scope} | {per_gas:.2} | {bytes} |");
        }
    }
    Ok(())
}

fn scopes_of(event: &Event) -> Vec<&'static str> {
    let mut scopes = vec!["1 everything"];
    match event.kind() {
        Kind::Erc20Transfer => scopes.push("2 transfer.erc20"),
        Kind::Swap => scopes.extend(["4 swap, liquidity", "5 swap"]),
        Kind::Liquidity => scopes.push("4 swap, liquidity"),
        _ => {}
    }
    if let Event::Erc20Transfer(transfer) = event
        && transfer.token_verified
    {
        scopes.push("3 verified tokens, transfer.erc20");
        if transfer.symbol.as_deref() == Some("USDC") {
            scopes.push("6 USDC alone, transfer.erc20");
        }
    }
    scopes
}
