//! From JSON to bodies: `cargo bench -p crypto-intel-evm`. Recorded blocks where `CRYPTO_INTEL_DATA` names them,
//! else generated ones.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{hint::black_box, path::PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto_intel_evm::measure::Pipeline;
use crypto_intel_sandbox::{
    NodeBlock,
    node::{Synthetic, SyntheticOptions, load_recorded},
};

fn blocks() -> Vec<(&'static str, NodeBlock)> {
    let generated = Synthetic::new(SyntheticOptions::default()).next_block();
    let mut blocks = vec![("generated", generated)];
    if let Some(data) = std::env::var_os("CRYPTO_INTEL_DATA").map(PathBuf::from) {
        let recorded = load_recorded(&data, "ethereum", &[18_500_000, 15_537_394]).unwrap();
        blocks.extend(["ethereum-18500000", "ethereum-15537394"].into_iter().zip(recorded));
    }
    blocks
}

fn decode(criterion: &mut Criterion) {
    let pipeline = Pipeline::new("ethereum").unwrap();
    for (name, block) in blocks() {
        let read = pipeline.read(block.full_json(), block.receipts_json()).unwrap();
        let events = pipeline.bodies(&read) as u64;
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(events));
        group.bench_function("read", |bencher| {
            bencher.iter(|| {
                black_box(pipeline.read(block.full_json(), block.receipts_json()).unwrap())
            });
        });
        group.bench_function("decode and encode", |bencher| {
            bencher.iter(|| black_box(pipeline.bodies(&read)));
        });
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
