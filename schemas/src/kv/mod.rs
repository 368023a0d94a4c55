//! Keys and JSON values of key-value buckets that are read outside the crate that writes them.

pub(crate) mod api_key;
pub(crate) mod asset_price;
pub(crate) mod bucket;
pub(crate) mod chain_cursor;
pub(crate) mod fact_value;
pub(crate) mod key;
pub mod leases;
pub(crate) mod past;
pub(crate) mod persisted_position;
pub(crate) mod silence;
pub(crate) mod subscription;
pub(crate) mod token_entry;
pub(crate) mod verified;
pub(crate) mod watchlist;
