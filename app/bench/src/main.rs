//! `crypto-intel-bench`: rates and latencies of the pipeline on private servers, each beside the raw limit of what it
//! stands on, measured in the same run. `docs/benchmarks.md` describes the method.

mod child;
mod consume;
mod disk;
mod fill;
mod history;
mod latency;
mod options;
mod persist;
mod publish;
mod queries;
mod random;
mod raw;
mod report;
mod setup;
mod stats;
mod usage;
mod watched;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

/// That of the `crypto-intel` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = options::Options::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(options.execute()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crypto-intel-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
