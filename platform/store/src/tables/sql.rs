use std::fmt;

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
    BlockGas,
    Reorgs,
    Jumps,
    MarketTicks,
    Indices,
    NodeStatus,
    Alerts,
    Deliveries,
    Blocks,
}

impl Table {
    /// Every table, in the order in which a transaction writes them: blocks last, so that their `stored_at` is close to
    /// the commit.
    pub const ALL: [Self; 18] = [
        Self::TokenTransfers,
        Self::NativeTransfers,
        Self::Approvals,
        Self::Contracts,
        Self::InternalTransfers,
        Self::Swaps,
        Self::Liquidity,
        Self::Events,
        Self::Logs,
        Self::BlockGas,
        Self::Reorgs,
        Self::Jumps,
        Self::MarketTicks,
        Self::Indices,
        Self::NodeStatus,
        Self::Alerts,
        Self::Deliveries,
        Self::Blocks,
    ];

    /// The tables whose rows belong to a block and go with it. All but `block_gas`, which comes from the marker, hold
    /// events.
    pub const OF_BLOCKS: [Self; 10] = [
        Self::TokenTransfers,
        Self::NativeTransfers,
        Self::Approvals,
        Self::Contracts,
        Self::InternalTransfers,
        Self::Swaps,
        Self::Liquidity,
        Self::Events,
        Self::Logs,
        Self::BlockGas,
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
            Self::BlockGas => "block_gas",
            Self::Reorgs => "reorgs",
            Self::Jumps => "jumps",
            Self::MarketTicks => "market_ticks",
            Self::Indices => "indices",
            Self::NodeStatus => "node_status",
            Self::Alerts => "alerts",
            Self::Deliveries => "deliveries",
            Self::Blocks => "blocks",
        }
    }

    /// Whether it is a hypertable where TimescaleDB is.
    #[must_use]
    pub const fn is_partitioned(self) -> bool {
        !matches!(self, Self::Blocks | Self::Alerts | Self::Deliveries)
    }

    /// The column that says how old a row is.
    #[must_use]
    pub const fn time_column(self) -> &'static str {
        match self {
            Self::MarketTicks | Self::Indices | Self::NodeStatus => "event_at",
            Self::Alerts => "observed_at",
            Self::Deliveries => "done_at",
            _ => "block_time",
        }
    }

    /// Whether rows have this column.
    pub(crate) fn has_column(self, column: &str) -> bool {
        self.columns().contains(&column)
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
