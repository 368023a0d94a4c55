//! The names of all kinds of event; what each kind declares is in its own file.

/// The registry: every kind by its file and its body, in the order of the documentation. Calls a macro with the list.
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            block::Block,
            reorg::Reorg,
            finalized::Finalized,
            jump::Jump,
            native_transfer::NativeTransfer,
            internal_transfer::InternalTransfer,
            erc20_transfer::Erc20Transfer,
            erc721_transfer::Erc721Transfer,
            erc1155_transfer::Erc1155Transfer,
            approval::Approval,
            swap::Swap,
            liquidity::Liquidity,
            contract_event::ContractEvent,
            contract_creation::ContractCreation,
            transaction::Transaction,
            log::Log,
            balance::Balance,
            price::Price,
            index::Index,
            metric::Metric,
            article::Article,
            whale::Whale,
            node_status::NodeStatus,
            provider_status::ProviderStatus,
            tick::Tick,
            alert::Alert,
            notification::Notification,
            delivery::Delivery,
            audit::Audit,
        }
    };
}
pub(crate) use for_each_kind;

macro_rules! kind_enum {
    ($( $module:ident::$Body:ident, )*) => {
        /// Kind of an event: the `kind` of its body.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // the bodies are documented
        pub enum Kind {
            $( $Body, )*
        }

        impl Kind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$Body),*];
        }
    };
}
for_each_kind!(kind_enum);

/// A `kind` that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind {0:?}")]
pub struct UnknownKind(pub String);
