//! The fields of events, flat, by their wire names: what rules, templates and filters use.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, I256, U256};

use crate::{
    kinds::Kind,
    types::{
        alert_types::{AlertAddress, AlertState, Chart, DeliveryState, Link, Severity},
        chain_types::{
            BalanceReason, BlockRef, CallType, DexProtocol, LiquidityAction, TokenStandard,
            TransactionStatus,
        },
        decimal::Decimal,
        event_fields::EventFields,
        int256::Int256,
        labels::Labels,
        provider_types::{ProviderState, QuotaWindow},
        uint256::Uint256,
    },
};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// True or false.
    Bool,
    /// A whole number of up to 64 bits.
    Int,
    /// An exact decimal number.
    Decimal,
    /// Text.
    Text,
    /// Raw bytes of this length.
    Hex(usize),
    /// A list of texts.
    Texts,
    /// An unsigned 256-bit integer.
    U256,
    /// A signed 256-bit integer.
    I256,
    /// Values of a contract's event by name.
    Fields,
    /// Texts by name.
    Labels,
    /// A list or a structure that only the body's own type describes.
    Structure,
}

/// The fields that every body begins with.
pub const COMMON_FIELDS: [&str; 6] =
    ["kind", "version", "id", "source", "event_at_us", "observed_at_us"];

/// A field of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name on the wire.
    pub name: &'static str,
    /// What it holds.
    pub field_type: FieldType,
    /// Whether it may be absent.
    pub optional: bool,
}

impl Field {
    /// A field with the properties of its Rust type.
    pub(crate) const fn of<T: AsField>(name: &'static str) -> Self {
        Self { name, field_type: T::TYPE, optional: T::OPTIONAL }
    }
}

/// A field's value, borrowed from its event.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)] // as `FieldType`
pub enum FieldValue<'a> {
    /// The event does not have it, or it is a structure.
    Absent,
    Bool(bool),
    Int(i64),
    Decimal(&'a Decimal),
    Text(&'a str),
    Hex(&'a [u8]),
    Texts(&'a [String]),
    U256(U256),
    I256(I256),
    Fields(&'a EventFields),
    Labels(&'a Labels),
}

/// How a Rust type of a body appears as a field.
pub(crate) trait AsField {
    const TYPE: FieldType;
    const OPTIONAL: bool = false;
    fn as_field(&self) -> FieldValue<'_>;
}

macro_rules! as_field {
    ($( $rust_type:ty, $field_type:expr, |$value:ident| $as_field:expr; )*) => {
        $(
            impl AsField for $rust_type {
                const TYPE: FieldType = $field_type;

                fn as_field(&self) -> FieldValue<'_> {
                    let $value = self;
                    $as_field
                }
            }
        )*
    };
}

as_field! {
    bool, FieldType::Bool, |value| FieldValue::Bool(*value);
    u8, FieldType::Int, |value| FieldValue::Int(i64::from(*value));
    u16, FieldType::Int, |value| FieldValue::Int(i64::from(*value));
    u32, FieldType::Int, |value| FieldValue::Int(i64::from(*value));
    // No height, chain id, gas or length of a real chain comes near the limit of an int.
    u64, FieldType::Int, |value| FieldValue::Int(i64::try_from(*value).unwrap_or(i64::MAX));
    i32, FieldType::Int, |value| FieldValue::Int(i64::from(*value));
    i64, FieldType::Int, |value| FieldValue::Int(*value);
    String, FieldType::Text, |value| FieldValue::Text(value);
    Kind, FieldType::Text, |value| FieldValue::Text(value.as_str());
    TransactionStatus, FieldType::Text, |value| FieldValue::Text(value.as_str());
    TokenStandard, FieldType::Text, |value| FieldValue::Text(value.as_str());
    DexProtocol, FieldType::Text, |value| FieldValue::Text(value.as_str());
    LiquidityAction, FieldType::Text, |value| FieldValue::Text(value.as_str());
    BalanceReason, FieldType::Text, |value| FieldValue::Text(value.as_str());
    CallType, FieldType::Text, |value| FieldValue::Text(value.as_str());
    Severity, FieldType::Text, |value| FieldValue::Text(value.as_str());
    AlertState, FieldType::Text, |value| FieldValue::Text(value.as_str());
    DeliveryState, FieldType::Text, |value| FieldValue::Text(value.as_str());
    ProviderState, FieldType::Text, |value| FieldValue::Text(value.as_str());
    QuotaWindow, FieldType::Text, |value| FieldValue::Text(value.as_str());
    Vec<String>, FieldType::Texts, |value| FieldValue::Texts(value);
    Decimal, FieldType::Decimal, |value| FieldValue::Decimal(value);
    Uint256, FieldType::U256, |value| FieldValue::U256(value.0);
    Int256, FieldType::I256, |value| FieldValue::I256(value.0);
    EventFields, FieldType::Fields, |value| FieldValue::Fields(value);
    Labels, FieldType::Labels, |value| FieldValue::Labels(value);
    Address, FieldType::Hex(20), |value| FieldValue::Hex(value.as_slice());
    B256, FieldType::Hex(32), |value| FieldValue::Hex(value.as_slice());
    FixedBytes<4>, FieldType::Hex(4), |value| FieldValue::Hex(value.as_slice());
}

macro_rules! structures {
    ($( $rust_type:ty, )*) => {
        $(
            impl AsField for $rust_type {
                const TYPE: FieldType = FieldType::Structure;

                fn as_field(&self) -> FieldValue<'_> {
                    FieldValue::Absent
                }
            }
        )*
    };
}

structures! { BlockRef, Bytes, Chart, Vec<AlertAddress>, Vec<B256>, Vec<BlockRef>, Vec<Link>, Vec<u32>, Vec<u64>, }

impl<T: AsField> AsField for Option<T> {
    const TYPE: FieldType = T::TYPE;
    const OPTIONAL: bool = true;

    fn as_field(&self) -> FieldValue<'_> {
        self.as_ref().map_or(FieldValue::Absent, T::as_field)
    }
}
