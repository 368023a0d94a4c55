/// Tables that are kept for the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the configuration describes them
pub enum RetentionGroup {
    Transfers,
    Dex,
    Contracts,
    Events,
    Gas,
    Blocks,
    Market,
    Metrics,
    Signals,
    Status,
    Alerts,
    Audit,
    Rollups,
}

impl RetentionGroup {
    /// Groups whose rows belong to blocks.
    pub(crate) const OF_BLOCKS: [Self; 5] =
        [Self::Transfers, Self::Dex, Self::Contracts, Self::Events, Self::Gas];
    /// Groups that rollups are computed from.
    pub(crate) const WITH_ROLLUPS: [Self; 5] =
        [Self::Transfers, Self::Dex, Self::Gas, Self::Market, Self::Rollups];

    /// The key in `storage.retention_days`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfers => "transfers",
            Self::Dex => "dex",
            Self::Contracts => "contracts",
            Self::Events => "events",
            Self::Gas => "gas",
            Self::Blocks => "blocks",
            Self::Market => "market",
            Self::Metrics => "metrics",
            Self::Signals => "signals",
            Self::Status => "status",
            Self::Alerts => "alerts",
            Self::Audit => "audit",
            Self::Rollups => "rollups",
        }
    }
}
