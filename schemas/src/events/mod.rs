//! The kinds of event, each in a file of its own. `docs/adding-a-kind.md` says how to add one.

use crate::kinds::for_each_kind;

pub(crate) mod alert;
pub(crate) mod approval;
pub(crate) mod article;
pub(crate) mod audit;
pub(crate) mod balance;
pub(crate) mod block;
pub(crate) mod contract_creation;
pub(crate) mod contract_event;
pub(crate) mod delivery;
pub(crate) mod erc1155_transfer;
pub(crate) mod erc20_transfer;
pub(crate) mod erc721_transfer;
pub(crate) mod finalized;
pub(crate) mod index;
pub(crate) mod internal_transfer;
pub(crate) mod jump;
pub(crate) mod liquidity;
pub(crate) mod log;
pub(crate) mod metric;
pub(crate) mod native_transfer;
pub(crate) mod node_status;
pub(crate) mod notification;
pub(crate) mod price;
pub(crate) mod provider_status;
pub(crate) mod reorg;
pub(crate) mod swap;
pub(crate) mod tick;
pub(crate) mod transaction;
pub(crate) mod whale;

macro_rules! bodies {
    ($( $module:ident::$Body:ident, )*) => {
        /// The bodies of all kinds.
        pub(crate) mod bodies {
            $( pub use super::$module::$Body; )*
        }
    };
}
for_each_kind!(bodies);
