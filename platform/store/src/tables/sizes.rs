//! How much a row takes: measured, for estimates. docs/storage.md says how.

use crate::tables::Table;

impl Table {
    /// Bytes of a usual row with its entries in the indexes, on plain PostgreSQL.
    #[must_use]
    pub const fn usual_row_bytes(self) -> u32 {
        match self {
            Self::TokenTransfers => 350,
            Self::NativeTransfers | Self::InternalTransfers => 260,
            Self::Swaps => 370,
            Self::Liquidity => 310,
            Self::Transactions => 330,
            Self::Approvals | Self::Contracts => 310,
            Self::Events | Self::Logs => 420,
            Self::BlockGas => 230,
            Self::Blocks => 410,
            _ => 200,
        }
    }
}
