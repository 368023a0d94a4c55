use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tables::retention_group::RetentionGroup;

/// A refresh covers at least two buckets and ends one bucket before now.
const MIN_REFRESH_DAYS: u32 = 3;

/// How long rows are kept and when they are compressed. `crypto-intel migrate` applies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Age at which rows move to the column store, where they take a fifth of the space, in days; only in TimescaleDB's
    /// community edition. Late rows cost twenty times more there: choose more than the longest backlog and replay.
    pub compress_after_days: u32,
    /// How far back rollups follow late rows, in days; 0 = as far as rows are kept. Only TimescaleDB's community edition
    /// stores rollups; elsewhere queries compute them.
    pub refresh_days: u32,
    /// How long rows are kept, in days; 0 = forever.
    pub retention_days: RetentionDays,
}

/// How long rows are kept by group of tables, in days; 0 = forever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionDays {
    /// `token_transfers`, `native_transfers`, `internal_transfers`, `transactions` and `balances`.
    pub transfers: u32,
    /// `swaps` and `liquidity`.
    pub dex: u32,
    /// `approvals` and `contracts`.
    pub contracts: u32,
    /// `events` and `logs`.
    pub events: u32,
    /// `block_gas`, `reorgs` and `jumps`.
    pub gas: u32,
    /// `blocks`; at least as long as any group whose rows belong to blocks.
    pub blocks: u32,
    /// `market_ticks` and `indices`.
    pub market: u32,
    /// `metrics`.
    pub metrics: u32,
    /// `articles` and `whales`.
    pub signals: u32,
    /// `node_status` and `provider_statuses`.
    pub status: u32,
    /// `alerts` and `deliveries`.
    pub alerts: u32,
    /// `audit`.
    pub audit: u32,
    /// Rollups by minute and hour, where they are stored; those by day are kept forever.
    pub rollups: u32,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            compress_after_days: 7,
            refresh_days: 0,
            retention_days: RetentionDays {
                transfers: 0,
                dex: 0,
                contracts: 0,
                events: 0,
                gas: 0,
                blocks: 0,
                market: 0,
                metrics: 0,
                signals: 0,
                status: 30,
                alerts: 0,
                audit: 0,
                rollups: 0,
            },
        }
    }
}

impl Default for RetentionDays {
    fn default() -> Self {
        StorageConfig::default().retention_days
    }
}

impl RetentionDays {
    /// The setting of a group.
    pub(super) const fn of(&self, group: RetentionGroup) -> u32 {
        match group {
            RetentionGroup::Transfers => self.transfers,
            RetentionGroup::Dex => self.dex,
            RetentionGroup::Contracts => self.contracts,
            RetentionGroup::Events => self.events,
            RetentionGroup::Gas => self.gas,
            RetentionGroup::Blocks => self.blocks,
            RetentionGroup::Market => self.market,
            RetentionGroup::Metrics => self.metrics,
            RetentionGroup::Signals => self.signals,
            RetentionGroup::Status => self.status,
            RetentionGroup::Alerts => self.alerts,
            RetentionGroup::Audit => self.audit,
            RetentionGroup::Rollups => self.rollups,
        }
    }
}

impl StorageConfig {
    /// Age beyond which some rows of blocks are dropped, in days; `None` when all are kept forever.
    #[must_use]
    pub fn horizon_days(&self) -> Option<u32> {
        let days = RetentionGroup::OF_BLOCKS.into_iter().map(|group| self.retention_days.of(group));
        days.filter(|days| *days > 0).min()
    }

    /// Checks rules that span several fields.
    ///
    /// # Errors
    /// One sentence per problem, which names the key and says how to correct it.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        if self.compress_after_days == 0 {
            problems.push(
                "storage.compress_after_days is 0: rows are compressed after 1 day at the earliest"
                    .to_owned(),
            );
        }
        if (1..MIN_REFRESH_DAYS).contains(&self.refresh_days) {
            problems.push(format!(
                "storage.refresh_days is {}: rollups by day need {MIN_REFRESH_DAYS} days at least; 0 is as far back as rows are kept",
                self.refresh_days
            ));
        }
        for group in RetentionGroup::WITH_ROLLUPS {
            self.check_rows_of_rollups(group, &mut problems);
        }
        let blocks = self.retention_days.blocks;
        for group in RetentionGroup::OF_BLOCKS {
            let days = self.retention_days.of(group);
            if blocks > 0 && (days == 0 || days > blocks) {
                let name = group.name();
                problems.push(format!(
                    "storage.retention_days.blocks is {blocks}, but rows of blocks stay longer (retention_days.{name} = {days}): rows would belong to no known block; raise blocks, or lower {name}"
                ));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// A refresh of a period whose rows were dropped would delete the rollup's rows of that period, so refreshes must not reach
    /// back that far.
    fn check_rows_of_rollups(&self, group: RetentionGroup, problems: &mut Vec<String>) {
        let (days, name) = (self.retention_days.of(group), group.name());
        if days == 0 {
            return;
        }
        if days <= MIN_REFRESH_DAYS {
            problems.push(format!(
                "storage.retention_days.{name} is {days}: rollups by day are made from these rows; keep them for {} days at least, or forever (0)",
                MIN_REFRESH_DAYS + 1
            ));
        } else if self.refresh_days >= days {
            problems.push(format!(
                "storage.refresh_days is {}, but retention_days.{name} drops rows after {days} days: rollups would lose what was dropped; set refresh_days below {days}, or 0",
                self.refresh_days
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn problems(change: impl FnOnce(&mut StorageConfig)) -> Vec<String> {
        let mut config = StorageConfig::default();
        change(&mut config);
        config.validate().err().unwrap_or_default()
    }

    #[test]
    fn the_defaults_keep_everything_except_the_state_of_endpoints() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
        assert_eq!(StorageConfig::default().horizon_days(), None);
    }

    #[test]
    fn a_refresh_never_reaches_dropped_rows() {
        for (refresh_days, transfers, bad) in [
            (0, 90, false),
            (89, 90, false),
            (90, 90, true),
            (400, 90, true),
            (0, 4, false),
            (0, 3, true),
            (2, 0, true),
        ] {
            let found = problems(|config| {
                config.refresh_days = refresh_days;
                config.retention_days.transfers = transfers;
            });
            assert_eq!(!found.is_empty(), bad, "{refresh_days} {transfers}: {found:?}");
        }
        assert!(
            problems(|config| config.retention_days.status = 1).is_empty(),
            "no rollup needs it"
        );
        assert!(!problems(|config| config.retention_days.rollups = 2).is_empty());
    }

    #[test]
    fn blocks_outlive_their_rows_and_nothing_is_compressed_at_once() {
        assert!(problems(|config| config.retention_days.blocks = 30).len() >= 5);
        let found = problems(|config| {
            let days = &mut config.retention_days;
            (days.transfers, days.dex, days.contracts, days.events, days.gas) =
                (30, 30, 10, 30, 30);
            days.blocks = 30;
        });
        assert!(found.is_empty(), "{found:?}");
        assert!(!problems(|config| config.compress_after_days = 0).is_empty());
    }
}
