//! What so many labels cost: `cargo run --release -p crypto-intel-labels --example million -- 1000000`. The figures of ADR 18.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use crypto_intel_labels::{BookBuilder, Label, SourceInfo, pack, unpack_each};
use crypto_intel_schemas::{AccountAddress, WatchChain};

/// Memory of this process, MiB: now and at its highest.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kilobytes = line.split_whitespace().nth(1).and_then(|text| text.parse().ok());
    kilobytes.unwrap_or(0_u64) / 1024
}

fn address(number: u64) -> Option<AccountAddress> {
    let mut bytes = [0; 20];
    let mut state = number;
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
        let mixed = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes();
        chunk.copy_from_slice(&mixed[..chunk.len()]);
    }
    AccountAddress::from_slice(&bytes)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let labels: Vec<Label> = (0..count)
        .filter_map(|number| {
            Some(Label {
                chain: WatchChain::All,
                address: address(number)?,
                category: "phishing".to_owned(),
                name: format!("Fake_Phishing{number}"),
                detail: String::new(),
                confidence: None,
            })
        })
        .collect();
    let packed = pack(&labels)?;
    println!("{count} labels: {:.1} MB in the bucket", packed.len() as f64 / 1e6);
    drop(labels);
    let before = memory("VmRSS");
    let begin = Instant::now();
    let info = SourceInfo { name: "many".to_owned(), confidence: 80, ..SourceInfo::default() };
    let mut builder = BookBuilder::default();
    unpack_each(&packed, |label| builder.add(&info, &label))?;
    let book = builder.finish();
    let built = begin.elapsed();
    println!(
        "a book of {} addresses in {built:.1?}; memory {} MiB more than {before}, at its highest {}",
        book.len(),
        memory("VmRSS").saturating_sub(before),
        memory("VmHWM")
    );
    let asked: Vec<AccountAddress> = (0..1_000_000).filter_map(|at| address(at * 7)).collect();
    let (scope, begin) = (book.scope_of("ethereum"), Instant::now());
    let found = asked.iter().filter(|one| book.find(scope, one).is_some()).count();
    let each = begin.elapsed().as_nanos() / asked.len() as u128;
    println!("{found} of {} found, {each} ns a question", asked.len());
    Ok(())
}
