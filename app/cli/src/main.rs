//! The `crypto-intel` binary: reads its arguments and runs one command.

use std::process::ExitCode;

use clap::Parser as _;
use crypto_intel_cli::{Arguments, BAD_CONFIGURATION, ConfigError, execute};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(execute(arguments)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // The last word of a failed command belongs on the terminal, whatever the log's format.
            eprintln!("crypto-intel: {error:#}");
            let bad_configuration = error.chain().any(|cause| cause.is::<ConfigError>());
            ExitCode::from(if bad_configuration { BAD_CONFIGURATION } else { 1 })
        }
    }
}
