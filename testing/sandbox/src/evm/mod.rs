//! A private development chain and the traffic on it.

mod anvil;
mod contracts;
mod odd_contracts;
mod traffic;

pub use anvil::{Anvil, AnvilOptions};
pub use contracts::{BURST_ADDRESS, Contracts, FORWARDER_CODE, TOKEN_ADDRESS};
pub use odd_contracts::{
    MULTICALL_ADDRESS, OddContract, address_word, call_data, call_transaction, execute_transaction,
};
pub use traffic::{Traffic, TrafficCounts, TrafficOptions};
