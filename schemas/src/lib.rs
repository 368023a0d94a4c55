//! The wire contract: events, codec, ids, subjects. No I/O.
//!
//! An event's body is one flat MessagePack map with snake_case string keys, so that any language
//! decodes it without a schema. Hashes and addresses are raw bytes, `uint256` is 32 bytes
//! big-endian, money is a decimal string, times are microseconds UTC. The same types serialize to
//! JSON for people: hex and decimal text instead of bytes.
//!
//! ```
//! use crypto_intel_schemas::{Event, Price, Decimal};
//!
//! let price = Price {
//!     asset: "bitcoin".into(),
//!     quote: "usd".into(),
//!     price: Decimal::parse("64000.5").unwrap(),
//!     ..Price::at("coingecko", 1_700_000_000_000_000, 1_700_000_000_500_000)
//! };
//! let body = Event::from(price.clone()).encode();
//! assert_eq!(Event::decode(&body).unwrap(), Event::Price(price));
//! ```

mod alerting;
mod chain;
mod codec;
mod decimal;
mod event;
mod ids;
mod kind;
mod market;
mod text;
mod uint256;

pub mod subjects;

pub use alerting::{Alert, AlertState, Delivery, DeliveryState, Link, Notification, Severity};
pub use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
pub use chain::{
    Approval, Block, BlockRef, ContractCreation, Erc20Transfer, Erc721Transfer, Erc1155Transfer,
    Finalized, Log, NativeTransfer, Reorg, TokenStandard, TransactionStatus,
};
pub use codec::DecodeError;
pub use decimal::{Decimal, DecimalError};
pub use event::{BlockFields, Event, LogFields, Payload, TransactionFields};
pub use ids::{chain_event_id, log_event_id, polled_event_id, short_code, transaction_event_id};
pub use kind::{Kind, UnknownKind};
pub use market::{Index, Price, Tick};
pub use uint256::Uint256;
