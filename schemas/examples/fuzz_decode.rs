//! Feeds damaged bodies to the decoder until time is up: it must refuse or read each one whole,
//! and never panic. Runs on stable Rust.
//!
//! `cargo run --release -p crypto-intel-schemas --example fuzz_decode -- [--seconds 60] [--seed N]`

use std::{
    error::Error,
    panic::catch_unwind,
    process::ExitCode,
    time::{Duration, Instant},
};

use crypto_intel_schemas::{Event, Kind, samples};
use rand::{SeedableRng, rngs::StdRng};

#[path = "../tests/it/mutate.rs"]
mod mutate;

/// Bodies between two checks of the clock; each such round has its own seed.
const ROUND: u64 = 10_000;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut seconds = 60_u64;
    let mut seed = rand::random::<u64>();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a number"))?.parse()?;
        match name.as_str() {
            "--seconds" => seconds = value,
            "--seed" => seed = value,
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    let corpus = corpus();
    println!("seed {seed}, {} bodies to begin with, {seconds} s", corpus.len());

    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut counts = Counts::default();
    for round in 0.. {
        let round_seed = seed.wrapping_add(round);
        if let Err(failure) = play(&corpus, round_seed, &mut counts) {
            eprintln!("{failure}\nagain: --seed {round_seed} --seconds 1");
            return Ok(ExitCode::FAILURE);
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    println!(
        "{} bodies: {} refused, {} read; slowest {:?}",
        counts.refused + counts.read,
        counts.refused,
        counts.read,
        counts.slowest
    );
    Ok(ExitCode::SUCCESS)
}

#[derive(Default)]
struct Counts {
    refused: u64,
    read: u64,
    slowest: Duration,
}

/// The events of the golden vectors, and bytes that are no event at all.
fn corpus() -> Vec<Vec<u8>> {
    let mut corpus = vec![b"\x82\xa4kind\xa5price\xa7version\x01".to_vec(), b"{}".to_vec()];
    for &kind in Kind::ALL {
        corpus.push(samples::sample(kind).encode());
        corpus.push(samples::sample_minimal(kind).encode());
    }
    corpus
}

/// One round of damaged bodies; the failure names the body.
fn play(corpus: &[Vec<u8>], seed: u64, counts: &mut Counts) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..ROUND {
        let body = mutate::mutated(corpus, &mut random);
        let fail = |what: &str| {
            let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{what}: {hex}")
        };
        let started = Instant::now();
        let read = catch_unwind(|| Event::decode(&body)).map_err(|_| fail("panic"))?;
        counts.slowest = counts.slowest.max(started.elapsed());
        let Ok(event) = read else {
            counts.refused += 1;
            continue;
        };
        counts.read += 1;
        if !Event::decode(&event.encode()).is_ok_and(|again| again == event) {
            return Err(fail("does not survive a round trip"));
        }
    }
    Ok(())
}
