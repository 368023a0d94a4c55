//! The loop of the fuzz targets: rounds, each with its own seed, until time is up.

use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng};

/// The result of one input.
pub(crate) type Outcome = Result<Option<usize>, String>;

#[derive(Default)]
struct Counts {
    inputs: u64,
    refused: u64,
    events: u64,
    slowest: Duration,
}

/// Runs inputs until `--seconds` (60) are over, beginning with `--seed`: `make` creates an input, `play` runs it, and
/// `show` is its text if it fails.
pub(crate) fn run<Input>(
    make: impl Fn(&mut StdRng) -> Input,
    play: impl Fn(&Input) -> Outcome,
    show: impl Fn(&Input) -> String,
) -> Result<ExitCode, Box<dyn Error>> {
    let (seconds, seed) = arguments()?;
    println!("seed {seed}, {seconds} s");
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut counts = Counts::default();
    for round in 0.. {
        let round_seed = seed.wrapping_add(round);
        let mut random = StdRng::seed_from_u64(round_seed);
        for _ in 0..1_000 {
            let input = make(&mut random);
            let started = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| play(&input)));
            counts.slowest = counts.slowest.max(started.elapsed());
            counts.inputs += 1;
            match outcome.unwrap_or_else(|_| Err("panic".to_owned())) {
                Ok(Some(events)) => counts.events += events as u64,
                Ok(None) => counts.refused += 1,
                Err(failure) => {
                    eprintln!(
                        "{failure}\n{}\nagain: --seed {round_seed} --seconds 1",
                        show(&input)
                    );
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    let Counts { inputs, refused, events, slowest } = counts;
    println!("{inputs} inputs: {refused} refused, {events} events; slowest {slowest:?}");
    Ok(ExitCode::SUCCESS)
}

fn arguments() -> Result<(u64, u64), Box<dyn Error>> {
    let (mut seconds, mut seed) = (60, rand::random());
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a number"))?.parse()?;
        match name.as_str() {
            "--seconds" => seconds = value,
            "--seed" => seed = value,
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    Ok((seconds, seed))
}
