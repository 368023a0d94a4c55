//! The tables that store events, one file each: its specification, and how a row is written.
//! `docs/adding-a-kind.md` says how to add one.

mod alerts;
mod approvals;
mod articles;
mod audit;
mod balances;
pub(crate) mod block_gas;
pub(crate) mod blocks;
mod columns;
pub(crate) mod common;
mod contracts;
mod deliveries;
mod events;
mod indices;
mod internal_transfers;
mod jumps;
mod liquidity;
mod logs;
mod market_ticks;
mod metrics;
mod native_transfers;
mod node_status;
mod provider_statuses;
mod reorgs;
pub(crate) mod retention_group;
mod sizes;
pub(crate) mod spec;
mod sql;
mod swaps;
mod token_transfers;
mod transactions;
mod whales;

use std::fmt;

use crypto_intel_schemas::{Event, Kind};

pub use columns::Column;
use spec::TableSpec;

use crate::copy_format::row_sink::{RowSink, Unstorable};

macro_rules! registry {
    ($( $module:ident::$Table:ident, )*) => {
        /// A table that stores events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // the migrations describe the tables
        pub enum Table {
            $( $Table, )*
        }

        impl Table {
            /// Every table, in the order in which a transaction writes them: blocks last, so that their `stored_at` is
            /// close to the commit.
            pub const ALL: [Self; [$( stringify!($Table) ),*].len()] = [$( Self::$Table ),*];

            /// Its specification.
            #[must_use]
            pub const fn spec(self) -> &'static TableSpec {
                match self {
                    $( Self::$Table => &$module::SPEC, )*
                }
            }

            /// Writes the row of an event of one of its kinds; on an error the row is left incomplete.
            pub(crate) fn put(
                self,
                row: &mut impl RowSink,
                event: &Event,
            ) -> Result<(), Unstorable> {
                match self {
                    $( Self::$Table => $module::put(row, event), )*
                }
            }
        }
    };
}

registry! {
    token_transfers::TokenTransfers,
    native_transfers::NativeTransfers,
    approvals::Approvals,
    contracts::Contracts,
    transactions::Transactions,
    internal_transfers::InternalTransfers,
    swaps::Swaps,
    liquidity::Liquidity,
    events::Events,
    logs::Logs,
    block_gas::BlockGas,
    reorgs::Reorgs,
    jumps::Jumps,
    balances::Balances,
    market_ticks::MarketTicks,
    indices::Indices,
    metrics::Metrics,
    articles::Articles,
    whales::Whales,
    node_status::NodeStatus,
    provider_statuses::ProviderStatuses,
    alerts::Alerts,
    deliveries::Deliveries,
    audit::Audit,
    blocks::Blocks,
}

/// The table of each kind; a kind in two of them does not compile.
const OF_KIND: [Option<Table>; Kind::ALL.len()] = {
    let mut of_kind = [None; Kind::ALL.len()];
    let mut at = 0;
    while at < Table::ALL.len() {
        let kinds = Table::ALL[at].spec().kinds;
        let mut of_table = 0;
        while of_table < kinds.len() {
            let place = kinds[of_table] as usize;
            assert!(of_kind[place].is_none(), "a kind belongs to one table");
            of_kind[place] = Some(Table::ALL[at]);
            of_table += 1;
        }
        at += 1;
    }
    of_kind
};

const BLOCK_TABLES: usize = {
    let (mut count, mut at) = (0, 0);
    while at < Table::ALL.len() {
        count += Table::ALL[at].spec().of_block as usize;
        at += 1;
    }
    count
};

impl Table {
    /// The tables whose rows belong to a block and are deleted with it. All but `block_gas`, which comes from the marker,
    /// hold events.
    pub const OF_BLOCKS: [Self; BLOCK_TABLES] = {
        let mut tables = [Self::Blocks; BLOCK_TABLES];
        let (mut count, mut at) = (0, 0);
        while at < Self::ALL.len() {
            if Self::ALL[at].spec().of_block {
                tables[count] = Self::ALL[at];
                count += 1;
            }
            at += 1;
        }
        tables
    };

    /// The table that stores events of a kind; `None` for markers, ticks and the like.
    #[must_use]
    pub const fn of_kind(kind: Kind) -> Option<Self> {
        OF_KIND[kind as usize]
    }

    /// The name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// Whether it is a hypertable on TimescaleDB.
    #[must_use]
    pub const fn is_partitioned(self) -> bool {
        self.spec().partitioned
    }

    /// The column that says how old a row is.
    #[must_use]
    pub const fn time_column(self) -> &'static str {
        self.spec().time_column
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
