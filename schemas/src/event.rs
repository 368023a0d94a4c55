use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Address, Alert, Approval, B256, Block, ContractCreation, ContractEvent, Delivery,
    Erc20Transfer, Erc721Transfer, Erc1155Transfer, Finalized, FixedBytes, Index, InternalTransfer,
    Jump, Kind, Liquidity, Log, NativeTransfer, NodeStatus, Notification, Price, Reorg, Swap, Tick,
};

/// What every event body is: one kind of one version with a deterministic id.
pub trait Payload: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug {
    /// The kind of this body.
    const KIND: Kind;

    /// The event's id, the same each time it is seen.
    fn id(&self) -> &str;
}

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
    /// Place in the block.
    pub tx_index: u32,
    /// Sender; absent where the endpoint gave no transaction.
    pub tx_from: Option<Address>,
    /// Recipient; absent for a contract creation.
    pub tx_to: Option<Address>,
    /// First four bytes of the input.
    pub method: Option<FixedBytes<4>>,
}

/// The log an event was decoded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFields {
    /// Place in the block.
    pub log_index: u32,
    /// The contract that emitted it: the token of a transfer.
    pub address: Address,
    /// Place within the log, where one log is several events.
    pub sub_index: Option<u32>,
}

/// Defines a body: the common fields of its level, then its own.
///
/// Levels: `base`; `chain` (of a block); `tx` (of a transaction); `log` (of a log).
macro_rules! event {
    // -- entry points, one per level ------------------------------------------------------------
    ($(#[$meta:meta])* pub struct $name:ident: base $body:tt) => {
        $crate::event::event!(@emit [$(#[$meta])*] $name [] $body);

        impl $name {
            /// A body with its common fields set and its own fields empty; `id` is to be set.
            #[must_use]
            pub fn at(source: impl Into<String>, event_at_us: i64, observed_at_us: i64) -> Self {
                Self { source: source.into(), event_at_us, observed_at_us, ..Self::empty() }
            }
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident: chain $body:tt) => {
        $crate::event::event!(@chain [$(#[$meta])*] $name [] $body);
    };
    ($(#[$meta:meta])* pub struct $name:ident: tx $body:tt) => {
        $crate::event::event!(@tx [$(#[$meta])*] $name [] $body);
    };
    ($(#[$meta:meta])* pub struct $name:ident: log $body:tt) => {
        $crate::event::event!(@tx [$(#[$meta])*] $name [
            /// Place of the log in its block.
            pub log_index: u32,
            /// The contract that emitted the log: the token of a transfer.
            #[schemars(with = "crate::text::AddressText")]
            pub address: $crate::Address,
            /// Place within the log, where one log is several events.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub sub_index: Option<u32>,
        ] $body);

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
    // -- levels ---------------------------------------------------------------------------------
    (@tx [$($meta:tt)*] $name:ident [$($fields:tt)*] $body:tt) => {
        $crate::event::event!(@chain [$($meta)*] $name [
            /// Hash of the transaction.
            #[schemars(with = "crate::text::HashText")]
            pub tx_hash: $crate::B256,
            /// Place of the transaction in its block.
            pub tx_index: u32,
            /// Sender of the transaction; absent where the endpoint gave no transaction.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<crate::text::AddressText>")]
            pub tx_from: Option<$crate::Address>,
            /// Recipient of the transaction; absent for a contract creation.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<crate::text::AddressText>")]
            pub tx_to: Option<$crate::Address>,
            /// First four bytes of the transaction's input; absent where it has fewer.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<crate::text::SelectorText>")]
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
    (@chain [$($meta:tt)*] $name:ident [$($fields:tt)*] $body:tt) => {
        $crate::event::event!(@emit [$($meta)*] $name [
            /// Chain slug, such as `ethereum`.
            pub chain: String,
            /// EIP-155 chain id.
            pub chain_id: u64,
            /// Height of the block.
            pub block_number: u64,
            /// Hash of the block.
            #[schemars(with = "crate::text::HashText")]
            pub block_hash: $crate::B256,
            /// The block's own time, microseconds UTC.
            pub block_time_us: i64,
            /// Whether the event left the canonical chain (as in Ethereum's log subscription).
            pub removed: bool,
            /// 1 added, 2 removed, 3 added again, and so on, of this block hash.
            pub incarnation: u32,
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

            /// The same event under another block state: how it is retracted and added again.
            pub fn set_incarnation(&mut self, incarnation: u32, observed_at_us: i64) {
                self.incarnation = incarnation;
                self.removed = incarnation % 2 == 0;
                self.observed_at_us = observed_at_us;
            }
        }
    };
    (@emit [$($meta:tt)*] $name:ident [$($fields:tt)*] {
        $( $(#[$own_meta:meta])* pub $own:ident : $own_type:ty, )*
    }) => {
        $($meta)*
        #[derive(
            Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        pub struct $name {
            /// What the event is.
            pub kind: $crate::Kind,
            /// Version of this kind's body.
            pub version: u16,
            /// Deterministic id, the same each time the event is seen.
            pub id: String,
            /// Who said it: `evm` or the provider's name.
            pub source: String,
            /// When it happened, by its source's clock, microseconds UTC.
            pub event_at_us: i64,
            /// When this pipeline first saw it, microseconds UTC.
            pub observed_at_us: i64,
            $($fields)*
            $( $(#[$own_meta])* pub $own: $own_type, )*
        }

        impl $crate::Payload for $name {
            const KIND: $crate::Kind = $crate::Kind::$name;

            fn id(&self) -> &str {
                &self.id
            }
        }
    };
}
pub(crate) use event;

macro_rules! events {
    ($( $variant:ident $levels:tt ),* $(,)?) => {
        /// Any event of the pipeline.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // the variants are the documented body types
        pub enum Event {
            $( $variant($crate::event::$variant), )*
        }

        $(
            impl From<$crate::event::$variant> for Event {
                fn from(body: $crate::event::$variant) -> Self {
                    Self::$variant(body)
                }
            }
        )*

        impl Event {
            /// What the event is.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $( Self::$variant(_) => Kind::$variant, )* }
            }

            /// The event's id.
            #[must_use]
            pub fn id(&self) -> &str {
                match self { $( Self::$variant(body) => &body.id, )* }
            }

            /// Who said it.
            #[must_use]
            pub fn source(&self) -> &str {
                match self { $( Self::$variant(body) => &body.source, )* }
            }

            /// When it happened, microseconds UTC.
            #[must_use]
            pub fn event_at_us(&self) -> i64 {
                match self { $( Self::$variant(body) => body.event_at_us, )* }
            }

            /// When this pipeline first saw it, microseconds UTC.
            #[must_use]
            pub fn observed_at_us(&self) -> i64 {
                match self { $( Self::$variant(body) => body.observed_at_us, )* }
            }

            /// The block it belongs to, for chain events.
            #[must_use]
            pub fn block_fields(&self) -> Option<BlockFields<'_>> {
                match self { $( Self::$variant(body) => $crate::event::level!(chain body $levels), )* }
            }

            /// The transaction it belongs to, if it belongs to one.
            #[must_use]
            pub fn transaction_fields(&self) -> Option<TransactionFields> {
                match self { $( Self::$variant(body) => $crate::event::level!(tx body $levels), )* }
            }

            /// The log it was decoded from, if it was.
            #[must_use]
            pub fn log_fields(&self) -> Option<LogFields> {
                match self { $( Self::$variant(body) => $crate::event::level!(log body $levels), )* }
            }

            /// Puts a chain event under another state of its block; nothing for other events.
            pub fn set_incarnation(&mut self, incarnation: u32, observed_at_us: i64) {
                match self {
                    $( Self::$variant(body) => {
                        $crate::event::level!(incarnation body $levels incarnation observed_at_us);
                    } )*
                }
            }

            /// Labels of the watched addresses that a chain event touches; `None` for other events.
            pub fn watched_mut(&mut self) -> Option<&mut Vec<String>> {
                match self { $( Self::$variant(body) => $crate::event::level!(watched body $levels), )* }
            }

            /// Labels of the watched addresses that a chain event touches; none of other events.
            #[must_use]
            pub fn watched(&self) -> &[String] {
                match self { $( Self::$variant(body) => $crate::event::level!(labels body $levels), )* }
            }

            pub(crate) fn encode_into(&self, buffer: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
                match self { $( Self::$variant(body) => rmp_serde::encode::write_named(buffer, body), )* }
            }

            pub(crate) fn decode_kind(kind: Kind, body: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
                match kind { $( Kind::$variant => crate::codec::read_whole(body).map(Self::$variant), )* }
            }

            /// The event as JSON for people: hex for bytes, decimal text for big numbers.
            #[must_use]
            pub fn to_json(&self) -> serde_json::Value {
                let value = match self { $( Self::$variant(body) => serde_json::to_value(body), )* };
                // Bodies hold strings, numbers, lists and maps with string keys: always JSON.
                value.unwrap_or_default()
            }

            /// Reads the JSON form that [`Event::to_json`] writes.
            ///
            /// # Errors
            /// When it is not an object with a known `kind`, or a field is missing or malformed.
            pub fn from_json(json: &serde_json::Value) -> Result<Self, serde_json::Error> {
                match Kind::deserialize(&json["kind"])? {
                    $( Kind::$variant => $crate::event::$variant::deserialize(json).map(Self::$variant), )*
                }
            }

            /// JSON Schema of a kind's body in its JSON form.
            #[must_use]
            pub fn json_schema(kind: Kind) -> schemars::Schema {
                let derived = match kind {
                    $( Kind::$variant => schemars::schema_for!($crate::event::$variant), )*
                };
                crate::schema::of_kind(kind, derived)
            }
        }
    };
}

macro_rules! level {
    (chain $body:ident (base)) => {{
        let _ = $body;
        None
    }};
    (chain $body:ident ($($level:ident)*)) => {
        Some($body.block_fields())
    };
    (tx $body:ident (base)) => {{
        let _ = $body;
        None
    }};
    (tx $body:ident (chain)) => {{
        let _ = $body;
        None
    }};
    (tx $body:ident ($($level:ident)*)) => {
        Some($body.transaction_fields())
    };
    (log $body:ident (log)) => {
        Some($body.log_fields())
    };
    (log $body:ident ($($level:ident)*)) => {{
        let _ = $body;
        None
    }};
    (watched $body:ident (base)) => {{
        let _ = $body;
        None
    }};
    (watched $body:ident ($($level:ident)*)) => {
        Some(&mut $body.watched)
    };
    (labels $body:ident (base)) => {{
        let _ = $body;
        &[]
    }};
    (labels $body:ident ($($level:ident)*)) => {
        &$body.watched
    };
    (incarnation $body:ident (base) $incarnation:ident $observed:ident) => {
        let _ = ($body, $incarnation, $observed);
    };
    (incarnation $body:ident ($($level:ident)*) $incarnation:ident $observed:ident) => {
        $body.set_incarnation($incarnation, $observed);
    };
}
pub(crate) use level;

events! {
    Block (chain),
    Reorg (chain),
    Finalized (chain),
    Jump (chain),
    NativeTransfer (tx),
    InternalTransfer (tx),
    Erc20Transfer (log),
    Erc721Transfer (log),
    Erc1155Transfer (log),
    Approval (log),
    Swap (log),
    Liquidity (log),
    ContractEvent (log),
    ContractCreation (tx),
    Log (log),
    Price (base),
    Index (base),
    NodeStatus (base),
    Tick (base),
    Alert (base),
    Notification (base),
    Delivery (base),
}
