//! From JSON to bodies: `cargo bench -p crypto-intel-evm`. Recorded blocks where `CRYPTO_INTEL_DATA` names them,
//! else generated ones.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::HashMap, hint::black_box, path::PathBuf};

use alloy_primitives::keccak256;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto_intel_evm::{
    LogProof,
    measure::{MeasuredBlock, Pipeline},
};
use crypto_intel_sandbox::{
    NodeBlock,
    node::{Synthetic, SyntheticOptions, load_recorded},
};
use crypto_intel_schemas::Address;

fn blocks() -> Vec<(&'static str, NodeBlock)> {
    let generated = Synthetic::new(SyntheticOptions::default()).next_block();
    let mut blocks = vec![("generated", generated)];
    if let Some(data) = std::env::var_os("CRYPTO_INTEL_DATA").map(PathBuf::from) {
        let recorded = load_recorded(&data, "ethereum", &[18_500_000, 15_537_394]).unwrap();
        blocks.extend(["ethereum-18500000", "ethereum-15537394"].into_iter().zip(recorded));
    }
    blocks
}

/// Watches 100,000 addresses, chosen so that one percent of the block's events touch one.
fn watching(block: &MeasuredBlock) -> Pipeline {
    let pipeline = Pipeline::new("ethereum").unwrap();
    let events = pipeline.addresses(block);
    let mut uses: HashMap<Address, usize> = HashMap::new();
    for address in events.iter().flatten() {
        *uses.entry(*address).or_default() += 1;
    }
    let mut wanted = events.len().div_ceil(100);
    let mut chosen: Vec<Address> = Vec::new();
    let mut rare: Vec<(Address, usize)> = uses.into_iter().collect();
    rare.sort_by_key(|(address, count)| (*count, *address));
    for (address, count) in rare {
        if wanted == 0 {
            break;
        }
        wanted = wanted.saturating_sub(count);
        chosen.push(address);
    }
    let others = (0_u64..100_000).map(|index| Address::from_word(keccak256(index.to_be_bytes())));
    pipeline.watch(chosen.into_iter().chain(others).take(100_000));
    pipeline
}

fn decode(criterion: &mut Criterion) {
    let pipeline = Pipeline::new("ethereum").unwrap();
    for (name, block) in blocks() {
        let read_by =
            |proof| pipeline.read(block.full_json(), block.receipts_json(), proof).unwrap();
        let read = read_by(LogProof::Presence);
        let events = pipeline.bodies(&read) as u64;
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(events));
        for (what, proof) in [
            ("read", LogProof::Presence),
            ("read, bloom filter exact", LogProof::Bloom),
            ("read, receipts root", LogProof::ReceiptsRoot),
        ] {
            // The header of a generated block has no root of its receipts.
            if name == "generated" && proof == LogProof::ReceiptsRoot {
                continue;
            }
            group.bench_function(what, |bencher| bencher.iter(|| black_box(read_by(proof))));
        }
        if name != "generated" {
            let proven = || pipeline.read_proven(block.full_json(), block.receipts_json()).unwrap();
            group.bench_function("read, header, transactions and receipts root", |bencher| {
                bencher.iter(|| black_box(proven()));
            });
        }
        group.bench_function("decode and encode", |bencher| {
            bencher.iter(|| black_box(pipeline.bodies(&read)));
        });
        let watching = watching(&read);
        group.bench_function("decode and encode, 100,000 addresses watched", |bencher| {
            bencher.iter(|| black_box(watching.bodies(&read)));
        });
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
