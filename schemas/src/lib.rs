#![doc = include_str!("../README.md")]

mod alerting;
mod chain;
mod chain_types;
mod codec;
mod decimal;
mod event;
mod ids;
mod kind;
mod market;
mod schema;
mod text;
mod uint256;

pub mod samples;
pub mod subjects;

pub use alerting::{Alert, AlertState, Delivery, DeliveryState, Link, Notification, Severity};
pub use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
pub use chain::{
    Approval, Block, ContractCreation, Erc20Transfer, Erc721Transfer, Erc1155Transfer, Finalized,
    Log, NativeTransfer, Reorg,
};
pub use chain_types::{BlockRef, TokenStandard, TransactionStatus};
pub use codec::DecodeError;
pub use decimal::{Decimal, DecimalError};
pub use event::{BlockFields, Event, LogFields, Payload, TransactionFields};
pub use ids::{chain_event_id, log_event_id, polled_event_id, short_code, transaction_event_id};
pub use kind::{Kind, UnknownKind};
pub use market::{Index, Price, Tick};
pub use uint256::Uint256;
