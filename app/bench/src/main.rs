//! `crypto-intel-bench`: rates and latencies of the pipeline on private servers, each beside the raw limit of the servers
//! that it uses, measured in the same run. `docs/benchmarks.md` describes the method.

mod child;
mod connection;
mod disk;
mod fixtures;
mod heights;
mod options;
mod parts;
mod random;
mod raw;
mod report;
mod run;
mod setup;
mod stats;
mod usage;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

/// The allocator of the `crypto-intel` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run::start(options::Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crypto-intel-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
