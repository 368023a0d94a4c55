//! Types of fields.

pub(crate) mod account_address;
pub(crate) mod alert_types;
pub(crate) mod chain_types;
pub(crate) mod decimal;
pub(crate) mod event_fields;
pub(crate) mod int256;
pub(crate) mod json_hex;
pub(crate) mod labels;
pub(crate) mod link;
pub(crate) mod provider_types;
pub(crate) mod text;
pub(crate) mod uint256;
