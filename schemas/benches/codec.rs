//! Nanoseconds and bytes per event of every kind. `cargo bench -p crypto-intel-schemas`
#![allow(missing_docs)] // criterion's macros make public items

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto_intel_schemas::{Event, Kind, samples};

fn codec(criterion: &mut Criterion) {
    println!("{:<20} {:>12} {:>12}", "kind", "bytes", "bytes minimal");
    for &kind in Kind::ALL {
        let full = samples::sample(kind).encode().len();
        let minimal = samples::sample_minimal(kind).encode().len();
        println!("{:<20} {full:>12} {minimal:>12}", kind.as_str());
    }
    encode(criterion);
    decode(criterion);
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for &kind in Kind::ALL {
        let event = samples::sample(kind);
        let mut buffer = event.encode();
        group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: buffer.len() as u64 });
        group.bench_function(kind.as_str(), |bencher| {
            bencher.iter(|| {
                buffer.clear();
                black_box(&event).encode_to(&mut buffer);
                black_box(buffer.len())
            });
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for &kind in Kind::ALL {
        let body = samples::sample(kind).encode();
        group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: body.len() as u64 });
        group.bench_function(kind.as_str(), |bencher| {
            bencher.iter(|| Event::decode(black_box(&body)));
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
