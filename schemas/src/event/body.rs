//! What the bodies of all kinds have in common, written once by a macro.

use alloy_primitives::{Address, B256, FixedBytes};

/// The block an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockFields<'a> {
    /// Chain slug.
    pub chain: &'a str,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Height.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// The block's own time, microseconds.
    pub block_time_us: i64,
    /// Whether the event left the canonical chain.
    pub removed: bool,
    /// 1 added, 2 removed, 3 added again, …
    pub incarnation: u32,
}

/// The transaction an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionFields {
    /// Hash of the transaction.
    pub tx_hash: B256,
    /// Index in the block.
    pub tx_index: u32,
    /// Sender; absent when the endpoint did not return the transaction.
    pub tx_from: Option<Address>,
    /// Recipient; absent for a contract creation.
    pub tx_to: Option<Address>,
    /// First four bytes of the input.
    pub method: Option<FixedBytes<4>>,
}

/// The log an event was decoded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFields {
    /// Index in the block.
    pub log_index: u32,
    /// The contract that emitted it: the token of a transfer.
    pub address: Address,
    /// Index within the log, when one log is several events.
    pub sub_index: Option<u32>,
}

/// The two sides of what an event moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    /// Who gives.
    pub from: Option<Address>,
    /// Who gets.
    pub to: Option<Address>,
}

/// What an event says of its two sides beside their addresses, to be set.
#[derive(Debug)]
pub struct PartyLabels<'a> {
    /// The name of who gives.
    pub from_label: &'a mut Option<String>,
    /// The name of who gets.
    pub to_label: &'a mut Option<String>,
    /// What who gives is.
    pub from_tags: &'a mut Vec<String>,
    /// What who gets is.
    pub to_tags: &'a mut Vec<String>,
}

/// Defines a body: the common fields of its level, then its own. A field is its type's default in `empty()`, unless
/// `= value` follows the type.
///
/// Levels: `base`; `chain` (of a block); `tx` (of a transaction); `log` (of a log). Each adds its fields, and the
/// methods of `EventBody` for them, to those of the one above it. `tx between (from, to)` and `log between (from, to)` name
/// the fields of the two sides, and add what is known of these.
macro_rules! event {
    // -- entry points, one per level ------------------------------------------------------------
    ($(#[$meta:meta])* pub struct $name:ident: base $body:tt) => {
        $crate::event::body::event!(@emit [$(#[$meta])*] $name [] [] $body);

        impl $name {
            /// A body with its common fields set and its own fields empty; the caller sets `id`.
            #[must_use]
            pub fn at(source: impl Into<String>, event_at_us: i64, observed_at_us: i64) -> Self {
                Self { source: source.into(), event_at_us, observed_at_us, ..Self::empty() }
            }
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident: chain $body:tt) => {
        $crate::event::body::event!(@chain [$(#[$meta])*] $name [] [] $body);
    };
    ($(#[$meta:meta])* pub struct $name:ident: tx $body:tt) => {
        $crate::event::body::event!(@tx [$(#[$meta])*] $name [] [] $body);
    };
    ($(#[$meta:meta])* pub struct $name:ident: log $body:tt) => {
        $crate::event::body::event!(@log @tx [$(#[$meta])*] $name [] $body);
    };
    ($(#[$meta:meta])* pub struct $name:ident: tx between ($from:ident, $to:ident) { $($own:tt)* }) => {
        $crate::event::body::event!(@between [$(#[$meta])*] $name [] [] $from $to { $($own)* });
    };
    ($(#[$meta:meta])* pub struct $name:ident: log between ($from:ident, $to:ident) { $($own:tt)* }) => {
        $crate::event::body::event!(@log @between [$(#[$meta])*] $name [$from $to] { $($own)* });
    };
    // -- levels ---------------------------------------------------------------------------------
    (@log @$level:ident [$($meta:tt)*] $name:ident [$($sides:tt)*] $body:tt) => {
        $crate::event::body::event!(@$level [$($meta)*] $name [
            fn log(&self) -> Option<$crate::LogFields> {
                Some(self.log_fields())
            }
        ] [
            /// Index of the log in its block.
            pub log_index: u32,
            /// The contract that emitted the log: the token of a transfer.
            #[schemars(with = "crate::types::json_hex::AddressText")]
            pub address: $crate::Address,
            /// Index within the log, when one log is several events.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub sub_index: Option<u32>,
        ] $($sides)* $body);

        impl $name {
            /// The log this was decoded from.
            #[must_use]
            pub fn log_fields(&self) -> $crate::LogFields {
                $crate::LogFields {
                    log_index: self.log_index,
                    address: self.address,
                    sub_index: self.sub_index,
                }
            }
        }
    };
    (@between [$($meta:tt)*] $name:ident [$($methods:tt)*] [$($fields:tt)*] $from:ident $to:ident { $($own:tt)* }) => {
        $crate::event::body::event!(@tx [$($meta)*] $name [
            fn parties(&self) -> Option<$crate::Parties> {
                Some($crate::Parties { from: self.$from.into(), to: self.$to.into() })
            }

            fn party_labels_mut(&mut self) -> Option<$crate::PartyLabels<'_>> {
                Some($crate::PartyLabels {
                    from_label: &mut self.from_label,
                    to_label: &mut self.to_label,
                    from_tags: &mut self.from_tags,
                    to_tags: &mut self.to_tags,
                })
            }

            $($methods)*
        ] [$($fields)*] {
            $($own)*
            #[doc = concat!("What `", stringify!($from), "` is called, where a label names it.")]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub from_label: Option<String>,
            #[doc = concat!("What `", stringify!($to), "` is called, where a label names it.")]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub to_label: Option<String>,
            #[doc = concat!("What `", stringify!($from), "` is by all labels, such as `exchange`; `sanctioned` first.")]
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub from_tags: Vec<String>,
            #[doc = concat!("What `", stringify!($to), "` is by all labels, such as `exchange`; `sanctioned` first.")]
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub to_tags: Vec<String>,
        });
    };
    (@tx [$($meta:tt)*] $name:ident [$($methods:tt)*] [$($fields:tt)*] $body:tt) => {
        $crate::event::body::event!(@chain [$($meta)*] $name [
            fn transaction(&self) -> Option<$crate::TransactionFields> {
                Some(self.transaction_fields())
            }

            $($methods)*
        ] [
            /// Hash of the transaction.
            #[schemars(with = "crate::types::json_hex::HashText")]
            pub tx_hash: $crate::B256,
            /// Index of the transaction in its block.
            pub tx_index: u32,
            /// Sender of the transaction; absent when the endpoint did not return the transaction.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
            pub tx_from: Option<$crate::Address>,
            /// Recipient of the transaction; absent for a contract creation.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
            pub tx_to: Option<$crate::Address>,
            /// First four bytes of the transaction's input; absent when it has fewer.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<crate::types::json_hex::SelectorText>")]
            pub method: Option<$crate::FixedBytes<4>>,
            $($fields)*
        ] $body);

        impl $name {
            /// The transaction this belongs to.
            #[must_use]
            pub fn transaction_fields(&self) -> $crate::TransactionFields {
                $crate::TransactionFields {
                    tx_hash: self.tx_hash,
                    tx_index: self.tx_index,
                    tx_from: self.tx_from,
                    tx_to: self.tx_to,
                    method: self.method,
                }
            }
        }
    };
    (@chain [$($meta:tt)*] $name:ident [$($methods:tt)*] [$($fields:tt)*] $body:tt) => {
        $crate::event::body::event!(@emit [$($meta)*] $name [
            fn block(&self) -> Option<$crate::BlockFields<'_>> {
                Some(self.block_fields())
            }

            fn watched(&self) -> &[String] {
                &self.watched
            }

            fn watched_mut(&mut self) -> Option<&mut Vec<String>> {
                Some(&mut self.watched)
            }

            fn put_under(&mut self, incarnation: u32, observed_at_us: i64) {
                self.set_incarnation(incarnation, observed_at_us);
            }

            $($methods)*
        ] [
            /// Chain slug, such as `ethereum`.
            pub chain: String,
            /// EIP-155 chain id.
            pub chain_id: u64,
            /// Height of the block.
            pub block_number: u64,
            /// Hash of the block.
            #[schemars(with = "crate::types::json_hex::HashText")]
            pub block_hash: $crate::B256,
            /// The block's own time, microseconds UTC.
            pub block_time_us: i64,
            /// Whether the event left the canonical chain (as in Ethereum's log subscription).
            pub removed: bool,
            /// 1 added, 2 removed, 3 added again, and so on, of this block hash.
            pub incarnation: u32 = 1,
            /// Labels of the watched addresses that the event touches.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub watched: Vec<String>,
            $($fields)*
        ] $body);

        impl $name {
            /// The block this belongs to.
            #[must_use]
            pub fn block_fields(&self) -> $crate::BlockFields<'_> {
                $crate::BlockFields {
                    chain: &self.chain,
                    chain_id: self.chain_id,
                    block_number: self.block_number,
                    block_hash: self.block_hash,
                    block_time_us: self.block_time_us,
                    removed: self.removed,
                    incarnation: self.incarnation,
                }
            }

            /// Moves the event to another state of its block: this is how it is retracted and added again.
            pub fn set_incarnation(&mut self, incarnation: u32, observed_at_us: i64) {
                self.incarnation = incarnation;
                self.removed = incarnation % 2 == 0;
                self.observed_at_us = observed_at_us;
            }
        }
    };
    (@emit [$($meta:tt)*] $name:ident [$($methods:tt)*] [$($fields:tt)*] { $($own:tt)* }) => {
        $crate::event::body::event!(@define [$($meta)*] $name [$($methods)*] {
            /// Kind of the event.
            pub kind: $crate::Kind = $crate::Kind::$name,
            /// Version of this kind's body.
            pub version: u16 = <$name as $crate::event::event_kind::EventKind>::VERSION,
            /// Deterministic id, the same each time the event is seen.
            pub id: String,
            /// Where it comes from: `evm` or the provider's name.
            pub source: String = <$name as $crate::event::event_kind::EventKind>::SOURCE.to_owned(),
            /// When it happened, by its source's clock, microseconds UTC.
            pub event_at_us: i64,
            /// When this pipeline first saw it, microseconds UTC.
            pub observed_at_us: i64,
            $($fields)*
            $($own)*
        });
    };
    (@define [$($meta:tt)*] $name:ident [$($methods:tt)*] {
        $( $(#[$field_meta:meta])* pub $field:ident: $type:ty $(= $value:expr)?, )*
    }) => {
        $($meta)*
        #[derive(
            Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl $name {
            /// All fields at zero, for struct update syntax: `Body { id, ..Body::empty() }`.
            #[must_use]
            pub fn empty() -> Self {
                Self { $( $field: $crate::event::body::value_or_default!($($value)?), )* }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::empty()
            }
        }

        impl $crate::event::event_kind::EventBody for $name {
            const KIND: $crate::Kind = $crate::Kind::$name;
            const FIELDS: &'static [$crate::event::fields::Field] =
                &[$( $crate::event::fields::Field::of::<$type>(stringify!($field)), )*];

            fn id(&self) -> &str {
                &self.id
            }

            fn set_id(&mut self, id: String) {
                self.id = id;
            }

            fn source(&self) -> &str {
                &self.source
            }

            fn event_at_us(&self) -> i64 {
                self.event_at_us
            }

            fn observed_at_us(&self) -> i64 {
                self.observed_at_us
            }

            fn field(&self, name: &str) -> Option<$crate::event::fields::FieldValue<'_>> {
                use $crate::event::fields::AsField;
                match name {
                    $( stringify!($field) => Some(self.$field.as_field()), )*
                    _ => None,
                }
            }

            $($methods)*
        }
    };
}
pub(crate) use event;

macro_rules! value_or_default {
    () => {
        Default::default()
    };
    ($value:expr) => {
        $value
    };
}
pub(crate) use value_or_default;
