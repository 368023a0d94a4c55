//! A chain of another family than the EVM, in memory, followed on a real nats-server: numbers with holes, nodes that
//! know blocks by number only, addresses of 32 bytes in base58.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod follow;
mod history;
mod rig;
mod slots;
