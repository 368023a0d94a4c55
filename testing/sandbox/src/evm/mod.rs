//! A private development chain and the traffic on it.

mod anvil;
mod contracts;
mod traffic;

pub use anvil::{Anvil, AnvilOptions};
pub use contracts::{BURST_ADDRESS, Contracts, TOKEN_ADDRESS};
pub use traffic::{Traffic, TrafficCounts, TrafficOptions};
