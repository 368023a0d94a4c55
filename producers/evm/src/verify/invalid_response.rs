use super::level::LogProof;

/// Names of checks in metrics and in `unverified`.
pub(crate) const HEADER_HASH: &str = "header_hash";
pub(crate) const TRANSACTIONS_ROOT: &str = "transactions_root";

/// Why an answer cannot be the block. It is asked for again, from another endpoint where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidResponse {
    #[error("malformed {what}: {reason}")]
    Malformed { what: &'static str, reason: String },
    #[error("{what} of block {number} belong to another block")]
    OtherBlock { what: &'static str, number: u64 },
    #[error("block {number} has {transactions} transactions but {receipts} receipts")]
    Count { number: u64, transactions: usize, receipts: usize },
    #[error("receipt {index} of block {number} belongs to another transaction")]
    Place { number: u64, index: usize },
    #[error("log {index} of block {number} belongs to a transaction that the block does not have")]
    LogPlace { number: u64, index: u32 },
    #[error("logs of a range are not those that block {number} has: some are missing")]
    RangeLogs { number: u64 },
    #[error("empty answer for block {number}, which has logs by its bloom filter")]
    Empty { number: u64 },
    #[error("{logs} logs of block {number} do not match its bloom filter: some are missing")]
    Bloom { number: u64, logs: usize },
    #[error(
        "receipts of block {number} do not match its receipts root: logs or receipts are missing"
    )]
    ReceiptsRoot { number: u64 },
    #[error(
        "header of block {number} does not match its hash: it is forged, or has fields that are not known here (then \
         set check_header = false for this chain)"
    )]
    HeaderHash { number: u64 },
    #[error("transactions of block {number} are not those of its header")]
    Transactions { number: u64 },
    #[error(
        "log indexes of block {number} are not consecutive from 0: {found} where {expected} should be"
    )]
    LogIndex { number: u64, expected: u32, found: u32 },
}

impl InvalidResponse {
    /// The label in metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::OtherBlock { .. } => "other_block",
            Self::Count { .. } => "receipt_count",
            Self::Place { .. } => "receipt_place",
            Self::LogPlace { .. } => "log_place",
            Self::RangeLogs { .. } => "range_logs",
            Self::Empty { .. } => LogProof::Presence.name(),
            Self::Bloom { .. } => LogProof::Bloom.name(),
            Self::ReceiptsRoot { .. } => LogProof::ReceiptsRoot.name(),
            Self::HeaderHash { .. } => HEADER_HASH,
            Self::Transactions { .. } => TRANSACTIONS_ROOT,
            Self::LogIndex { .. } => "log_index",
        }
    }
}
