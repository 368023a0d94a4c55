//! How much a row takes: measured, for estimates. docs/storage.md says how.

use crate::tables::Table;

impl Table {
    /// Bytes of a usual row with its entries in the indexes, on plain PostgreSQL.
    #[must_use]
    pub const fn usual_row_bytes(self) -> u32 {
        match self {
            Self::TokenTransfers => 550,
            Self::NativeTransfers | Self::InternalTransfers => 670,
            Self::Swaps => 930,
            Self::Liquidity => 820,
            Self::Approvals | Self::Contracts => 680,
            Self::Events | Self::Logs => 890,
            Self::BlockGas => 230,
            Self::Blocks => 370,
            _ => 200,
        }
    }
}
