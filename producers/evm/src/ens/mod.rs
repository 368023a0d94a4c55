//! Names of the Ethereum Name Service, forward and reverse (<https://docs.ens.domains>, EIP-137 and EIP-181), by calls of its
//! contracts on Ethereum.

mod name;
mod resolve;

pub use name::EnsName;
pub use resolve::ResolvedName;
