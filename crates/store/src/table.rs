use std::fmt;

use crate::encode_dex;

/// A table that events become rows of. Its columns are in the order in which rows are encoded: the key first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the migrations describe the tables
pub enum Table {
    TokenTransfers,
    NativeTransfers,
    Approvals,
    Contracts,
    InternalTransfers,
    Swaps,
    Liquidity,
    Events,
    Logs,
    MarketTicks,
    Indices,
    Alerts,
    Deliveries,
    Blocks,
}

impl Table {
    /// Every table, in the order in which a transaction writes them: blocks last, so that their `stored_at` is close to
    /// the commit.
    pub const ALL: [Self; 14] = [
        Self::TokenTransfers,
        Self::NativeTransfers,
        Self::Approvals,
        Self::Contracts,
        Self::InternalTransfers,
        Self::Swaps,
        Self::Liquidity,
        Self::Events,
        Self::Logs,
        Self::MarketTicks,
        Self::Indices,
        Self::Alerts,
        Self::Deliveries,
        Self::Blocks,
    ];

    /// The tables whose rows belong to a block and go with it.
    pub const OF_BLOCKS: [Self; 9] = [
        Self::TokenTransfers,
        Self::NativeTransfers,
        Self::Approvals,
        Self::Contracts,
        Self::InternalTransfers,
        Self::Swaps,
        Self::Liquidity,
        Self::Events,
        Self::Logs,
    ];

    /// The name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokenTransfers => "token_transfers",
            Self::NativeTransfers => "native_transfers",
            Self::Approvals => "approvals",
            Self::Contracts => "contracts",
            Self::InternalTransfers => "internal_transfers",
            Self::Swaps => "swaps",
            Self::Liquidity => "liquidity",
            Self::Events => "events",
            Self::Logs => "logs",
            Self::MarketTicks => "market_ticks",
            Self::Indices => "indices",
            Self::Alerts => "alerts",
            Self::Deliveries => "deliveries",
            Self::Blocks => "blocks",
        }
    }

    /// Columns in the order in which rows are encoded.
    pub(crate) const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::TokenTransfers => &[
                "chain",
                "block_hash",
                "log_index",
                "sub_index",
                "block_time",
                "observed_at",
                "block_number",
                "chain_id",
                "tx_index",
                "decimals",
                "token_verified",
                "tx_hash",
                "standard",
                "token",
                "sender",
                "recipient",
                "operator",
                "token_id",
                "value",
                "symbol",
                "amount",
                "usd",
                "tx_from",
                "tx_to",
                "method",
                "watched",
            ],
            Self::NativeTransfers => &[
                "chain",
                "block_hash",
                "tx_index",
                "block_time",
                "observed_at",
                "block_number",
                "chain_id",
                "tx_hash",
                "sender",
                "recipient",
                "value",
                "status",
                "symbol",
                "amount",
                "usd",
                "method",
                "watched",
            ],
            Self::Approvals => &[
                "chain",
                "block_hash",
                "log_index",
                "block_time",
                "observed_at",
                "block_number",
                "chain_id",
                "tx_index",
                "approved",
                "tx_hash",
                "standard",
                "token",
                "owner",
                "spender",
                "value",
                "token_id",
                "tx_from",
                "watched",
            ],
            Self::Contracts => &[
                "chain",
                "block_hash",
                "tx_index",
                "block_time",
                "observed_at",
                "block_number",
                "chain_id",
                "code_length",
                "tx_hash",
                "contract",
                "creator",
                "status",
                "watched",
            ],
            Self::Logs => &[
                "chain",
                "block_hash",
                "log_index",
                "block_time",
                "observed_at",
                "block_number",
                "chain_id",
                "data_length",
                "tx_index",
                "truncated",
                "tx_hash",
                "address",
                "topic0",
                "topic1",
                "topic2",
                "topic3",
                "data",
                "data_keccak",
                "reason",
                "tx_from",
                "watched",
            ],
            Self::InternalTransfers => encode_dex::INTERNAL_TRANSFERS,
            Self::Swaps => encode_dex::SWAPS,
            Self::Liquidity => encode_dex::LIQUIDITY,
            Self::Events => encode_dex::EVENTS,
            Self::MarketTicks => &[
                "asset",
                "quote",
                "source",
                "event_at",
                "observed_at",
                "price",
                "volume_24h",
                "market_cap",
                "change_24h_percent",
            ],
            Self::Indices => {
                &["index_name", "source", "event_at", "observed_at", "value", "classification"]
            }
            Self::Alerts => &[
                "id",
                "event_at",
                "observed_at",
                "seen_at",
                "block_number",
                "n",
                "alert",
                "code",
                "rule",
                "severity",
                "state",
                "title",
                "lines",
                "links",
                "routes",
                "event_id",
                "chain",
                "block_hash",
                "tx_hash",
            ],
            Self::Deliveries => &[
                "id",
                "done_at",
                "seen_at",
                "observed_at",
                "attempts",
                "delivery",
                "destination",
                "channel",
                "alert",
                "rule",
                "severity",
                "state",
                "message_id",
                "error",
            ],
            Self::Blocks => &[
                "chain",
                "block_number",
                "block_hash",
                "block_time",
                "observed_at",
                "chain_id",
                "revision",
                "finalized_number",
                "safe_number",
                "incarnation",
                "event_rows",
                "transactions",
                "canonical",
                "partial",
                "parent_hash",
                "gas_used",
                "gas_limit",
                "base_fee_per_gas",
                "miner",
                "unverified",
            ],
        }
    }

    /// `COPY` straight into the table; a key that exists fails with 23505.
    #[must_use]
    pub fn copy_sql(self) -> String {
        self.copy_into(self.name())
    }

    pub(crate) fn stage_sql(self) -> String {
        // Defaults are not copied: what a stage does not hold is not inserted from it either.
        format!(
            "CREATE TEMP TABLE IF NOT EXISTS stage_{name} ON COMMIT DELETE ROWS AS SELECT {columns} FROM {name} WITH NO DATA",
            name = self.name(),
            columns = self.columns().join(", "),
        )
    }

    pub(crate) fn copy_stage_sql(self) -> String {
        self.copy_into(&format!("stage_{}", self.name()))
    }

    pub(crate) fn merge_sql(self) -> String {
        let columns = self.columns().join(", ");
        format!(
            "INSERT INTO {name} ({columns}) SELECT {columns} FROM stage_{name} ON CONFLICT DO NOTHING",
            name = self.name()
        )
    }

    fn copy_into(self, target: &str) -> String {
        format!("COPY {target} ({}) FROM STDIN (FORMAT binary)", self.columns().join(", "))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
