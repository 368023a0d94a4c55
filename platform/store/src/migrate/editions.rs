//! What migrations create, and in which form on which edition of the server.

use crate::{policies::rollups::rollup_names, pool::edition::Edition, tables::Table};

/// The migration that creates the rollups.
const ROLLUPS: &str = "V11__rollups";

/// Tables that were renamed: name at creation, and today's.
const FIRST_NAMES: [(&str, &str); 1] = [("prices", "market_ticks")];

/// What a migration creates on a server of this edition, one sentence per form; empty for a migration that creates neither tables
/// nor rollups.
pub(crate) fn made_by(migration: &str, sql: &str, edition: &Edition) -> Vec<String> {
    let mut made = Vec::new();
    for partitioned in [false, true] {
        let tables = tables_of(sql).filter(|name| is_partitioned(name) == partitioned);
        let names: Vec<&str> = tables.collect();
        if names.is_empty() {
            continue;
        }
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

/// The tables that a migration creates, in its order.
fn tables_of(sql: &str) -> impl Iterator<Item = &str> {
    let rest = sql.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
    rest.filter_map(|rest| rest.split([' ', '(']).next())
}

/// Whether a table is partitioned by time. Tables that hold no events are plain.
fn is_partitioned(name: &str) -> bool {
    let renamed = FIRST_NAMES.iter().find(|(first, _)| *first == name);
    let name = renamed.map_or(name, |(_, now)| now);
    Table::ALL.iter().any(|table| table.name() == name && table.is_partitioned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::embedded::MIGRATIONS;

    fn community() -> Edition {
        Edition::TimescaleCommunity("2.28.3".into())
    }

    #[test]
    fn every_table_is_made_by_some_migration() {
        let made: Vec<&str> = MIGRATIONS.iter().flat_map(|(_, sql)| tables_of(sql)).collect();
        for table in Table::ALL {
            let first = FIRST_NAMES.iter().find(|(_, now)| *now == table.name());
            let name = first.map_or(table.name(), |(first, _)| first);
            assert!(made.contains(&name), "{table}");
        }
    }

    #[test]
    fn tables_are_reported_with_their_form() {
        let said = |wanted: &str| {
            let found = MIGRATIONS.iter().find(|(name, _)| *name == wanted);
            found.map(|(name, sql)| made_by(name, sql, &community())).unwrap_or_default()
        };
        assert_eq!(
            said("V2__chain_tables"),
            [
                "tables blocks (plain)",
                "tables native_transfers, token_transfers, approvals, contracts, logs (hypertable)",
            ]
        );
        assert_eq!(said("V3__market_tables"), ["tables prices, indices (hypertable)"]);
        assert_eq!(said("V4__alerting_tables"), ["tables alerts, deliveries (plain)"]);
        assert_eq!(
            said("V6__dex_and_event_tables"),
            ["tables swaps, liquidity, events, internal_transfers (hypertable)"]
        );
        assert_eq!(said("V8__chain_state"), ["tables block_gas, reorgs, node_status (hypertable)"]);
        assert_eq!(said("V12__retention"), ["tables storage_retention (plain)"]);
        assert!(said("V7__market_ticks").is_empty());
    }

    #[test]
    fn rollups_take_the_form_that_the_server_supports() {
        let said = |edition: &Edition| made_by(ROLLUPS, "", edition).join("");
        assert!(said(&Edition::Plain).contains("candles_1m"));
        assert!(said(&Edition::Plain).ends_with("(views, computed when they are asked)"));
        assert!(said(&community()).ends_with("(continuous aggregates)"));
    }
}
