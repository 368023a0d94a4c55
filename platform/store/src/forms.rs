//! What migrations make, and in which form on which server.

use crate::{policies::rollups::rollup_names, pool::edition::Edition};

/// The migration that makes the rollups.
const ROLLUPS: &str = "V11__rollups";

/// Tables that migrations make, and whether they are partitioned by time.
const TABLES: &[(&str, bool, &[&str])] = &[
    ("V1__foundation", false, &["positions"]),
    ("V2__chain_tables", false, &["blocks"]),
    (
        "V2__chain_tables",
        true,
        &["native_transfers", "token_transfers", "approvals", "contracts", "logs"],
    ),
    ("V3__market_tables", true, &["prices", "indices"]),
    ("V4__alerting_tables", false, &["alerts", "deliveries"]),
    ("V6__dex_and_event_tables", true, &["swaps", "liquidity", "events", "internal_transfers"]),
    ("V8__chain_state", true, &["block_gas", "reorgs", "node_status"]),
    ("V9__wallets", false, &["wallets"]),
    ("V12__retention", false, &["storage_retention"]),
    ("V16__jumps", true, &["jumps"]),
];

/// What a migration makes on a server of this edition, a sentence per form; nothing for one that makes no table or rollup.
pub(crate) fn made_by(migration: &str, edition: &Edition) -> Vec<String> {
    let mut made = Vec::new();
    for (_, partitioned, names) in TABLES.iter().filter(|(name, ..)| *name == migration) {
        let form = match (partitioned, edition) {
            (false, _) => "plain",
            (true, Edition::Plain) => "plain, for there is no TimescaleDB",
            (true, Edition::TimescaleApache(_) | Edition::TimescaleCommunity(_)) => "hypertable",
            (true, Edition::TimescaleToCome(_)) => "hypertable, once the extension is there",
        };
        made.push(format!("tables {} ({form})", names.join(", ")));
    }
    if migration == ROLLUPS {
        let names: Vec<&str> = rollup_names().collect();
        let form = match edition {
            Edition::TimescaleCommunity(_) => "continuous aggregates",
            Edition::TimescaleApache(_) | Edition::Plain => "views, computed when they are asked",
            Edition::TimescaleToCome(_) => "continuous aggregates or, on the Apache edition, views",
        };
        made.push(format!("rollups {} ({form})", names.join(", ")));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;

    #[test]
    fn every_table_is_made_by_some_migration_in_its_form() {
        for table in Table::ALL {
            // Its name since V7.
            let name = if table == Table::MarketTicks { "prices" } else { table.name() };
            let made = TABLES.iter().find(|(_, _, names)| names.contains(&name));
            assert_eq!(made.map(|made| made.1), Some(table.is_partitioned()), "{table}");
        }
    }

    #[test]
    fn rollups_are_what_the_server_takes() {
        let said = |edition: &Edition| made_by(ROLLUPS, edition).join("");
        assert!(said(&Edition::Plain).contains("candles_1m"));
        assert!(said(&Edition::Plain).ends_with("(views, computed when they are asked)"));
        let community = Edition::TimescaleCommunity("2.28.3".into());
        assert!(said(&community).ends_with("(continuous aggregates)"));
        assert!(made_by("V7__market_ticks", &community).is_empty());
    }
}
