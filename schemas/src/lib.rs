#![doc = include_str!("../README.md")]

mod event;
mod events;
mod explorers;
mod kinds;
mod kv;
mod sample_values;
mod streams;
mod types;

pub mod patterns;
pub mod samples;
pub mod subjects;

pub use alloy_primitives::{Address, B256, Bytes, FixedBytes, I256, U256};
pub use event::{
    Event,
    addresses::Addresses,
    body::{BlockFields, LogFields, Parties, PartyLabels, TransactionFields},
    chunk::{CHUNK_SCHEMA, Chunk, ChunkError, ChunkWriter, MAX_CHUNK_BYTES},
    codec::DecodeError,
    event_kind::{EventBody, EventKind},
    fields::{COMMON_FIELDS, Field, FieldType, FieldValue},
    ids::{
        balance_event_id, chain_event_id, log_event_id, polled_event_id, short_code,
        transaction_event_id,
    },
};
pub use events::bodies::*;
pub use explorers::{Explorers, known_explorer};
pub use kinds::{Kind, UnknownKind};
pub use kv::{
    api_key::{ApiKeyEntry, ApiRole},
    asset_price::{AssetPrice, HeldPrice, SourcePrice},
    bucket::Bucket,
    chain_cursor::ChainCursor,
    fact_value::{FactChoice, FactValue, HeldValue, SourceValue, SourceVerdict},
    key::{escape_key, unescape_key},
    leases,
    past::{Covers, Finder, Past, PastDoubt, PastRange},
    persisted_position::PersistedPosition,
    silence::{Acknowledgement, Silence},
    subscription::{Subscription, SubscriptionTarget},
    token_entry::TokenEntry,
    verified::Verified,
    watchlist::{WatchChain, WatchEntry, WatchKind, Watched},
};
pub use streams::Stream;
pub use types::{
    account_address::AccountAddress,
    alert_types::{
        AlertAddress, AlertState, Chart, ChartPoint, ChartShape, DeliveryState, Link, Severity,
    },
    chain_types::{
        BalanceReason, BlockRef, CallType, DexProtocol, LiquidityAction, TokenStandard,
        TransactionStatus,
    },
    decimal::{Decimal, DecimalError},
    event_fields::{EventFields, EventValue},
    int256::Int256,
    labels::Labels,
    link::{LinkError, canonical_link},
    provider_types::{ProviderState, QuotaWindow},
    text::is_printable,
    uint256::Uint256,
};
