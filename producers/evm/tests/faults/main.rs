//! The fault suite: whatever endpoints, chain, broker or machine do, at the end the stream, folded as a consumer would
//! fold it, holds exactly what the chain holds, and nothing was published twice.
//!
//! `make test-faults`. `CRYPTO_INTEL_FAULT_SECONDS` is how long a lasting fault lasts: 6 by default,
//! 60 there. `CRYPTO_INTEL_SEED` repeats the random moments of a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod anvil;
mod broker;
mod cluster;
mod endpoints;
mod growth;
#[allow(dead_code)]
#[path = "../it/harness.rs"]
mod harness;
mod instances;
mod process;
mod recordings;
mod reorgs;
mod scenario;
mod scopes;
#[allow(dead_code)]
#[path = "../it/stream.rs"]
mod stream;
