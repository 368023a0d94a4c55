//! Transfers as pages: of an address, of a token, or all, newest first, over the tables of transfers.

mod events;
mod question;
mod walk;

use crypto_intel_schemas::{Address, B256, Event};
use serde::{Deserialize, Serialize};

pub use walk::{WalkBudget, Walked};

use super::sql::{PageRequest, RowPage};
use crate::{error::StoreError, pool::store::Store};

/// What is transferred, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransferKind {
    /// Value of a transaction itself.
    Native,
    /// Value moved inside contracts.
    Internal,
    /// ERC-20.
    Erc20,
    /// ERC-721.
    Erc721,
    /// ERC-1155.
    Erc1155,
}

impl TransferKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Native, Self::Internal, Self::Erc20, Self::Erc721, Self::Erc1155];
}

/// Which side of a transfer an address is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It gives.
    Out,
    /// It gets.
    In,
    /// One of both.
    Either,
}

/// Which transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferFilter {
    /// Of these chains; `None` for all.
    pub chains: Option<Vec<String>>,
    /// Of these kinds.
    pub kinds: Vec<TransferKind>,
    /// Of this address, on this side.
    pub address: Option<(Address, Side)>,
    /// Of this token.
    pub token: Option<Address>,
    /// Only those that touch a watched address.
    pub watched: bool,
    /// Only native value and tokens on the list of known ones.
    pub verified: bool,
    /// Worth at least so many dollars, as decimal text.
    pub min_usd: Option<String>,
    /// From then on, microseconds since 1970.
    pub since_us: i64,
    /// Up to then, microseconds since 1970.
    pub until_us: i64,
}

impl TransferFilter {
    /// All transfers between two times, microseconds since 1970.
    #[must_use]
    pub fn between(since_us: i64, until_us: i64) -> Self {
        Self {
            chains: None,
            kinds: TransferKind::ALL.to_vec(),
            address: None,
            token: None,
            watched: false,
            verified: false,
            min_usd: None,
            since_us,
            until_us,
        }
    }
}

/// Where a transfer is in the list: its block's time and place, its place in the block, its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferKey {
    /// The block's own time, microseconds since 1970.
    pub block_time_us: i64,
    /// Height.
    pub block_number: i64,
    /// Four bytes of the block's hash.
    pub block_tag: i32,
    /// Log or transaction index.
    pub place: i32,
    /// Which of several of one log or transaction.
    pub sub_place: i32,
    /// Chain slug.
    pub chain: String,
    /// Which table.
    pub rank: i16,
}

/// A transfer as an event, and where it is in the list. Its block may be unknown for a moment: then there is no event yet.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTransfer {
    /// Where it is in the list.
    pub key: TransferKey,
    /// As it was on the wire, without labels.
    pub event: Option<Event>,
}

impl Store {
    /// A page of transfers, newest first.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated, or the question takes too long.
    pub async fn transfers(
        &self,
        filter: &TransferFilter,
        page: &PageRequest<TransferKey>,
    ) -> Result<RowPage<StoredTransfer>, StoreError> {
        let Some((sql, values)) = question::page(filter, page) else {
            return Ok(RowPage { rows: Vec::new(), more: false });
        };
        let rows = self.ask("read transfers", &sql, &values.values()).await?;
        Ok(RowPage::new(rows.iter().map(events::read).collect(), page))
    }

    /// Every stored transfer of a transaction, in the order of the block. `block_number` says where it is; without it the tables are
    /// searched for the hash.
    ///
    /// # Errors
    /// As [`transfers`](Self::transfers).
    pub async fn transfers_of(
        &self,
        chain: &str,
        tx_hash: B256,
        block_number: Option<u64>,
    ) -> Result<Vec<Event>, StoreError> {
        let (sql, values) = question::of_transaction(chain, tx_hash, block_number);
        let rows = self.ask("read a transaction", &sql, &values.values()).await?;
        let mut found: Vec<StoredTransfer> = rows.iter().map(events::read).collect();
        found.reverse();
        Ok(found.into_iter().filter_map(|one| one.event).collect())
    }
}
