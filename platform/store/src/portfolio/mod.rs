//! What wallets are worth, and what they gained and lost.

mod dollars;
mod ledger;
mod lots;
mod merge;
mod position;
mod report;

pub use self::{
    dollars::Dollars,
    ledger::{EntryKind, LedgerEntry, PastPrice, Reading},
    lots::{CostMethod, Direction, Flow, ProfitAndLoss},
    position::{AssetHistory, Missing, Position},
    report::{AssetKeyOf, ValuedAsset, WalletValue},
};
