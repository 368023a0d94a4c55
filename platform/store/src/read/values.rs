//! Columns as the types of the wire. What a column holds was checked when it was written.

use crypto_intel_schemas::{Address, Decimal, FixedBytes, U256, Uint256};

pub(crate) fn address(bytes: &[u8]) -> Address {
    Address::try_from(bytes).unwrap_or_default()
}

pub(crate) fn optional_address(bytes: Option<&[u8]>) -> Option<Address> {
    bytes.and_then(|bytes| Address::try_from(bytes).ok())
}

pub(crate) fn selector(bytes: Option<&[u8]>) -> Option<FixedBytes<4>> {
    bytes.and_then(|bytes| FixedBytes::try_from(bytes).ok())
}

/// A `NUMERIC(78, 0)` as text.
pub(crate) fn uint256(text: &str) -> Uint256 {
    Uint256(U256::from_str_radix(text, 10).unwrap_or_default())
}

/// A `NUMERIC` as text.
pub(crate) fn decimal(text: Option<&str>) -> Option<Decimal> {
    text.and_then(|text| Decimal::parse(text).ok())
}
