//! Feeds damaged answers of nodes to the parser until time is up: each is refused or becomes valid events, and none
//! causes a panic. Runs on stable Rust.
//!
//! `cargo run --release -p crypto-intel-evm --example fuzz_answers -- [--seconds 60] [--seed N]` `CRYPTO_INTEL_DATA`
//! names recorded blocks to damage in addition to the generated ones.

use std::{error::Error, path::PathBuf, process::ExitCode};

use crypto_intel_evm::fuzzing::Target;
use crypto_intel_sandbox::{
    NodeBlock,
    node::{Synthetic, SyntheticOptions, load_recorded},
};
use rand::{RngExt, rngs::StdRng};

mod support;

/// Fragments with a meaning in JSON or hex.
const PIECES: [&str; 18] = [
    "null",
    "\"0x\"",
    "\"0x0\"",
    "\"0x1\"",
    "0",
    "-1",
    "1e999",
    "\"0xffffffffffffffff\"",
    "true",
    "[]",
    "{}",
    "[[[[",
    "\"\\u0000\"",
    "\"\\ud800\"",
    ",",
    "}",
    "\"logs\":",
    "0xffffffffffffffffffffffff",
];

/// Larger blocks would only reduce the number of rounds.
const MAX_LENGTH: usize = 200_000;

struct Corpus(Vec<(String, String)>);

impl Corpus {
    fn new() -> Result<Self, Box<dyn Error>> {
        let options =
            SyntheticOptions { transfers_per_block: 3, native_per_block: 2, ..Default::default() };
        let mut generator = Synthetic::new(options);
        let mut blocks: Vec<NodeBlock> = (0..4).map(|_| generator.next_block()).collect();
        if let Some(data) = std::env::var_os("CRYPTO_INTEL_DATA").map(PathBuf::from) {
            for (chain, number) in [("ethereum", 1_000_000), ("ethereum", 4_000_000)] {
                blocks.extend(load_recorded(&data, chain, &[number])?);
            }
        }
        let mut texts = Vec::new();
        for block in &blocks {
            let logs: Vec<&str> = block.logs().collect();
            texts.push((block.full_json().to_string(), block.receipts_json().to_string()));
            texts.push((block.full_json().to_string(), format!("[{}]", logs.join(","))));
            texts.push((block.json_with_hashes(), block.receipts_json().to_string()));
        }
        texts.retain(|(block, logs)| block.len() + logs.len() < MAX_LENGTH);
        Ok(Self(texts))
    }

    fn input(&self, random: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
        let (block, logs) = &self.0[random.random_range(0..self.0.len())];
        let (mut block, mut logs) = (block.clone().into_bytes(), logs.clone().into_bytes());
        for _ in 0..random.random_range(0..3) {
            damage(&mut block, random);
        }
        for _ in 0..random.random_range(0..4) {
            damage(&mut logs, random);
        }
        (block, logs)
    }
}

fn damage(text: &mut Vec<u8>, random: &mut StdRng) {
    if text.is_empty() {
        return;
    }
    let at = random.random_range(0..text.len());
    let end = (at + random.random_range(1..=40)).min(text.len());
    let piece = PIECES[random.random_range(0..PIECES.len())];
    match random.random_range(0..9) {
        0 => text[at] ^= 1 << random.random_range(0..8),
        1 => text[at] = b"0123456789abcdefx\"{}[],:"[random.random_range(0..24)],
        2 => text.truncate(at),
        3 => drop(text.drain(at..end)),
        4 => drop(text.splice(at..at, piece.bytes())),
        5 => {
            let repeated = text[at..end].repeat(random.random_range(1..8));
            text.splice(at..at, repeated);
        }
        // Replaces a whole value, so that the text stays JSON.
        _ => {
            let Some(start) = text[at..].iter().position(|byte| *byte == b':') else { return };
            let start = at + start + 1;
            let length = text[start..].iter().position(|byte| matches!(byte, b',' | b'}'));
            let end = start + length.unwrap_or(0);
            text.splice(start..end, piece.bytes());
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let target = Target::new()?;
    let corpus = Corpus::new()?;
    support::run(
        |random| corpus.input(random),
        |(block, logs)| target.answers(block, logs),
        |(block, logs)| {
            format!("{}\n{}", String::from_utf8_lossy(block), String::from_utf8_lossy(logs))
        },
    )
}
