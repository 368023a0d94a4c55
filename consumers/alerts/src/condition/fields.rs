//! The fields of events as conditions and templates see them: flat, by their wire names.

use crypto_intel_schemas::{
    Address, B256, CallType, Decimal, DexProtocol, Event, EventFields, FixedBytes, I256, Int256,
    Kind, LiquidityAction, TokenStandard, TransactionStatus, U256, Uint256,
};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldType {
    Bool,
    Int,
    /// Exact on the wire, a double in conditions, exact text in templates.
    Decimal,
    Text,
    /// Raw bytes of this length: lower-case hex text with `0x`.
    Hex(usize),
    Texts,
    U256,
    /// Exact on the wire, a double in conditions, exact text in templates.
    I256,
    /// Values of a contract's event by name: `fields["wad"]`.
    Fields,
}

/// A field that rules may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) field_type: FieldType,
    /// Not in every event of the pattern: `null` in conditions where it is absent.
    pub(crate) optional: bool,
}

/// A field's value, borrowed from its event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FieldValue<'a> {
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
}

trait AsField {
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
    CallType, FieldType::Text, |value| FieldValue::Text(value.as_str());
    Vec<String>, FieldType::Texts, |value| FieldValue::Texts(value);
    Decimal, FieldType::Decimal, |value| FieldValue::Decimal(value);
    Uint256, FieldType::U256, |value| FieldValue::U256(value.0);
    Int256, FieldType::I256, |value| FieldValue::I256(value.0);
    EventFields, FieldType::Fields, |value| FieldValue::Fields(value);
    Address, FieldType::Hex(20), |value| FieldValue::Hex(value.as_slice());
    B256, FieldType::Hex(32), |value| FieldValue::Hex(value.as_slice());
    FixedBytes<4>, FieldType::Hex(4), |value| FieldValue::Hex(value.as_slice());
}

impl<T: AsField> AsField for Option<T> {
    const TYPE: FieldType = T::TYPE;
    const OPTIONAL: bool = true;

    fn as_field(&self) -> FieldValue<'_> {
        self.as_ref().map_or(FieldValue::Absent, T::as_field)
    }
}

/// Reads name, type and presence of a field off the body's own type.
fn describe<B, T: AsField>(name: &'static str, _field: fn(&B) -> &T) -> Field {
    Field { name, field_type: T::TYPE, optional: T::OPTIONAL }
}

macro_rules! kinds {
    ($( $kind:ident: $level:ident { $($own:ident),* } )*) => {
        /// The fields of a kind; none for what rules do not read. `removed` and `incarnation` are
        /// left out: conditions never see removed events.
        pub(crate) fn fields_of(kind: Kind) -> Vec<Field> {
            match kind {
                $( Kind::$kind => kinds!(@$level describe $kind [$($own),*]), )*
                Kind::NodeStatus | Kind::Tick | Kind::Alert | Kind::Notification | Kind::Delivery => Vec::new(),
            }
        }

        /// The value of a field; `None` when the event's kind has no such field.
        pub(crate) fn field_of<'a>(event: &'a Event, name: &str) -> Option<FieldValue<'a>> {
            match event {
                $( Event::$kind(body) => kinds!(@$level value body name [$($own),*]), )*
                Event::NodeStatus(_) | Event::Tick(_) | Event::Alert(_) | Event::Notification(_) | Event::Delivery(_) => None,
            }
        }
    };
    (@log $($head:ident)* [$($own:ident),*]) => {
        kinds!(@tx $($head)* [log_index, address, sub_index, $($own),*])
    };
    (@tx $($head:ident)* [$($own:ident),*]) => {
        kinds!(@chain $($head)* [tx_hash, tx_index, tx_from, tx_to, method, $($own),*])
    };
    (@chain $($head:ident)* [$($own:ident),*]) => {
        kinds!(@base $($head)* [
            chain, chain_id, block_number, block_hash, block_time_us, watched, $($own),*
        ])
    };
    (@base $($head:ident)* [$($own:ident),*]) => {
        kinds!(@$($head)* [kind, id, source, event_at_us, observed_at_us, $($own),*])
    };
    (@describe $kind:ident [$($own:ident),*]) => {
        vec![$(
            describe(stringify!($own), |body: &crypto_intel_schemas::$kind| &body.$own)
        ),*]
    };
    (@value $body:ident $name:ident [$($own:ident),*]) => {
        match $name {
            $( stringify!($own) => Some($body.$own.as_field()), )*
            _ => None,
        }
    };
}

kinds! {
    Block: chain {
        parent_hash, safe_number, finalized_number, rows, messages, transactions, gas_used,
        gas_limit, base_fee_per_gas, miner
    }
    Reorg: chain { depth }
    Finalized: chain { finalized_number, finalized_hash, safe_number }
    Jump: chain { from_number, to_number }
    NativeTransfer: tx { from, to, value, symbol, amount, usd, status }
    Erc20Transfer: log { from, to, value, symbol, decimals, amount, usd, token_verified }
    Erc721Transfer: log { from, to, token_id }
    Erc1155Transfer: log { operator, from, to, token_id, value }
    Approval: log { standard, owner, spender, value, token_id, approved }
    InternalTransfer: tx { sub_index, from, to, value, call_type, symbol, amount, usd }
    Swap: log {
        protocol, pool_id, sender, recipient, amount0, amount1, sqrt_price_x96, liquidity, tick, fee,
        protocol_fee0, protocol_fee1
    }
    Liquidity: log {
        protocol, action, pool, pool_id, token0, token1, sender, owner, recipient, amount0, amount1,
        liquidity_delta, reserve0, reserve1, fee, tick_spacing, tick_lower, tick_upper, tick,
        sqrt_price_x96, hooks
    }
    ContractEvent: log { abi, name, signature, fields }
    ContractCreation: tx { contract, creator, code_length, status }
    Log: log { reason, truncated, data_length }
    Price: base { asset, quote, price, volume_24h, market_cap, change_24h_percent }
    Index: base { index, value, classification }
}

/// The fields that events of these kinds have: one that not every kind has is optional. Two kinds
/// that give a name different types leave it out, so that no rule can depend on which came.
pub(crate) fn fields_of_all(kinds: &[Kind]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut contradictory: Vec<&str> = Vec::new();
    let per_kind: Vec<Vec<Field>> = kinds.iter().map(|kind| fields_of(*kind)).collect();
    for field in per_kind.iter().flatten() {
        match fields.iter_mut().find(|known| known.name == field.name) {
            None => fields.push(*field),
            Some(known) if known.field_type == field.field_type => known.optional |= field.optional,
            Some(_) => contradictory.push(field.name),
        }
    }
    fields.retain(|field| !contradictory.contains(&field.name));
    for field in &mut fields {
        field.optional |=
            per_kind.iter().any(|of_kind| of_kind.iter().all(|other| other.name != field.name));
    }
    fields
}

/// Lower-case hex with `0x`: addresses, hashes and selectors in text.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode_prefixed(bytes)
}
