#![doc = include_str!("../README.md")]

mod alerting;
mod chain;
mod chain_types;
mod codec;
mod decimal;
mod dex;
mod event;
mod event_fields;
mod explorers;
mod ids;
mod int256;
mod kind;
mod market;
mod schema;
mod status;
mod text;
mod touch;
mod uint256;
mod watch;

pub mod patterns;
pub mod samples;
pub mod subjects;

pub use alerting::{Alert, AlertState, Delivery, DeliveryState, Link, Notification, Severity};
pub use alloy_primitives::{Address, B256, Bytes, FixedBytes, I256, U256};
pub use chain::{
    Approval, Block, ContractCreation, Erc20Transfer, Erc721Transfer, Erc1155Transfer, Finalized,
    Jump, Log, NativeTransfer, Reorg,
};
pub use chain_types::{
    BlockRef, CallType, DexProtocol, LiquidityAction, TokenStandard, TransactionStatus,
};
pub use codec::DecodeError;
pub use decimal::{Decimal, DecimalError};
pub use dex::{ContractEvent, InternalTransfer, Liquidity, Swap};
pub use event::{BlockFields, Event, LogFields, Payload, TransactionFields};
pub use event_fields::{EventFields, EventValue};
pub use explorers::{Explorers, known_explorer};
pub use ids::{chain_event_id, log_event_id, polled_event_id, short_code, transaction_event_id};
pub use int256::Int256;
pub use kind::{Kind, UnknownKind};
pub use market::{Index, Price, Tick};
pub use status::NodeStatus;
pub use touch::Touched;
pub use uint256::Uint256;
pub use watch::{WatchChain, WatchEntry, WatchKind, Watched};
