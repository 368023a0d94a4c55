use crate::table::Table;

/// Tables that are kept equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetentionGroup {
    Transfers,
    Dex,
    Contracts,
    Events,
    Gas,
    Blocks,
    Market,
    Status,
    Alerts,
    Rollups,
}

impl RetentionGroup {
    /// Groups whose rows belong to blocks.
    pub(super) const OF_BLOCKS: [Self; 5] =
        [Self::Transfers, Self::Dex, Self::Contracts, Self::Events, Self::Gas];
    /// Groups that rollups are made of.
    pub(super) const WITH_ROLLUPS: [Self; 5] =
        [Self::Transfers, Self::Dex, Self::Gas, Self::Market, Self::Rollups];

    /// The key in `storage.retention_days`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Transfers => "transfers",
            Self::Dex => "dex",
            Self::Contracts => "contracts",
            Self::Events => "events",
            Self::Gas => "gas",
            Self::Blocks => "blocks",
            Self::Market => "market",
            Self::Status => "status",
            Self::Alerts => "alerts",
            Self::Rollups => "rollups",
        }
    }

    pub(super) const fn of(table: Table) -> Self {
        match table {
            Table::TokenTransfers | Table::NativeTransfers | Table::InternalTransfers => {
                Self::Transfers
            }
            Table::Swaps | Table::Liquidity => Self::Dex,
            Table::Approvals | Table::Contracts => Self::Contracts,
            Table::Events | Table::Logs => Self::Events,
            Table::BlockGas | Table::Reorgs | Table::Jumps => Self::Gas,
            Table::Blocks => Self::Blocks,
            Table::MarketTicks | Table::Indices => Self::Market,
            Table::NodeStatus => Self::Status,
            Table::Alerts | Table::Deliveries => Self::Alerts,
        }
    }
}
