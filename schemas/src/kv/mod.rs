//! What key-value buckets hold for readers beyond the crate that writes it: keys, and values as JSON.

pub(crate) mod asset_price;
pub(crate) mod bucket;
pub(crate) mod chain_cursor;
pub(crate) mod key;
pub mod leases;
pub(crate) mod persisted_position;
pub(crate) mod verified;
pub(crate) mod watchlist;
