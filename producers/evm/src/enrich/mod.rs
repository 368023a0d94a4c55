//! Data added to decoded events: listed assets, prices, token metadata, and labels of watched addresses.

pub(crate) mod asset_keys;
pub(crate) mod assets;
pub(crate) mod labels;
pub(crate) mod look_alikes;
pub(crate) mod prices;
pub(crate) mod tokens;
pub(crate) mod watch;
