//! Which policies the configuration wants, and how they differ from those in force. Pure.

use std::{collections::BTreeMap, fmt};

use super::{
    config::StorageConfig,
    rollups::{DAY, HOUR, MINUTE, ROLLUPS, Rollup},
};
use crate::{pool::edition::Edition, tables::Table};

/// What a policy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// A continuous aggregate is refreshed.
    Refresh,
    /// Old rows move to the column store.
    ColumnStore,
    /// TimescaleDB drops old chunks.
    Retention,
    /// persist drops old rows or chunks.
    RetentionByPersist,
}

/// What a policy is set to, all in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// An age.
    After(i64),
    /// A window of time before now, and how often.
    Refresh {
        /// Where it begins; `None` = at the first row.
        start: Option<i64>,
        /// Where it ends.
        end: i64,
        /// How often.
        every: i64,
    },
}

/// Policies in force or wanted, by kind and object.
pub(super) type Policies = BTreeMap<(PolicyKind, String), Setting>;

/// A policy that is or would be changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PolicyChange {
    /// What it does.
    pub kind: PolicyKind,
    /// The table or rollup.
    pub object: String,
    /// What is in force; `None` = nothing.
    pub from: Option<Setting>,
    /// What it is changed to; `None` = nothing.
    pub to: Option<Setting>,
}

/// The policies that the configuration wants on a server.
pub(super) fn wanted(config: &StorageConfig, edition: &Edition) -> Policies {
    let community = matches!(edition, Edition::TimescaleCommunity(_));
    let days = |days: u32| Setting::After(i64::from(days) * DAY);
    let mut policies = Policies::new();
    for table in Table::ALL {
        let kept = config.retention_days.of(table.spec().retention);
        let by_server = community && table.is_partitioned();
        if kept > 0 {
            let kind =
                if by_server { PolicyKind::Retention } else { PolicyKind::RetentionByPersist };
            policies.insert((kind, table.name().to_owned()), days(kept));
        }
        if by_server {
            let key = (PolicyKind::ColumnStore, table.name().to_owned());
            policies.insert(key, days(config.compress_after_days));
        }
    }
    for rollup in ROLLUPS.iter().filter(|_| community) {
        let name = rollup.name.to_owned();
        policies.insert((PolicyKind::Refresh, name.clone()), refresh(rollup, config));
        let kept = config.retention_days.rollups;
        if kept > 0 && rollup.width < DAY {
            policies.insert((PolicyKind::Retention, name), days(kept));
        }
    }
    policies
}

/// How a rollup is refreshed.
fn refresh(rollup: &Rollup, config: &StorageConfig) -> Setting {
    let kept = config.retention_days.of(rollup.group);
    let start = match (config.refresh_days, kept) {
        (0, 0) => None,
        // A day younger than the rows that retention drops.
        (0, kept) => Some(i64::from(kept - 1) * DAY),
        (days, _) => Some(i64::from(days) * DAY),
    };
    // Rows that are newer than the last refresh are aggregated when a query asks for them.
    let every = (rollup.width / 2).clamp(5 * MINUTE, HOUR);
    Setting::Refresh { start, end: rollup.width, every }
}

/// The changes that are needed. Refreshes come first: none may reach rows that a new retention drops.
pub(super) fn changes(in_force: &Policies, wanted: &Policies) -> Vec<PolicyChange> {
    let mut keys: Vec<&(PolicyKind, String)> = in_force.keys().chain(wanted.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .map(|key| PolicyChange {
            kind: key.0,
            object: key.1.clone(),
            from: in_force.get(key).copied(),
            to: wanted.get(key).copied(),
        })
        .filter(|change| change.from != change.to)
        .collect()
}

impl fmt::Display for PolicyChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, none) = match self.kind {
            PolicyKind::Refresh => ("refresh", "never"),
            PolicyKind::ColumnStore => ("column store", "never"),
            PolicyKind::Retention | PolicyKind::RetentionByPersist => ("retention", "none"),
        };
        let say = |setting: Option<Setting>| match setting {
            Some(setting) => setting.to_string(),
            None => none.to_owned(),
        };
        let by = match self.kind {
            PolicyKind::RetentionByPersist => "persist",
            _ => "TimescaleDB",
        };
        let (from, to) = (say(self.from), say(self.to));
        write!(formatter, "{what} of {} by {by}: {from} -> {to}", self.object)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(age) => write!(formatter, "after {}", Interval(*age)),
            Self::Refresh { start, end, every } => {
                match start {
                    Some(start) => write!(formatter, "from {} ago", Interval(*start))?,
                    None => formatter.write_str("from the first row")?,
                }
                write!(formatter, " to {} ago, every {}", Interval(*end), Interval(*every))
            }
        }
    }
}

/// Seconds, written as an interval that both PostgreSQL and people read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval(pub(super) i64);

impl fmt::Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self.0 {
            seconds if seconds % DAY == 0 => (seconds / DAY, "day"),
            seconds if seconds % HOUR == 0 => (seconds / HOUR, "hour"),
            seconds if seconds % MINUTE == 0 => (seconds / MINUTE, "minute"),
            seconds => (seconds, "second"),
        };
        write!(formatter, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn community() -> Edition {
        Edition::TimescaleCommunity("2.28.3".into())
    }

    fn config() -> StorageConfig {
        let mut config = StorageConfig::default();
        config.retention_days.transfers = 90;
        config.retention_days.blocks = 400;
        config
    }

    fn of(policies: &Policies, kind: PolicyKind, object: &str) -> Option<Setting> {
        policies.get(&(kind, object.to_owned())).copied()
    }

    #[test]
    fn the_community_edition_has_policies_of_its_own_except_for_plain_tables() {
        let policies = wanted(&config(), &community());
        let days = |days| Some(Setting::After(days * DAY));
        assert_eq!(of(&policies, PolicyKind::Retention, "token_transfers"), days(90));
        assert_eq!(of(&policies, PolicyKind::ColumnStore, "token_transfers"), days(7));
        assert_eq!(of(&policies, PolicyKind::RetentionByPersist, "token_transfers"), None);
        assert_eq!(of(&policies, PolicyKind::RetentionByPersist, "blocks"), days(400));
        assert_eq!(of(&policies, PolicyKind::ColumnStore, "blocks"), None);
        assert_eq!(of(&policies, PolicyKind::Retention, "logs"), None, "kept forever");
    }

    #[test]
    fn elsewhere_persist_drops_old_rows() {
        for edition in [Edition::Plain, Edition::TimescaleApache("2.19.3".into())] {
            let policies = wanted(&config(), &edition);
            let objects: Vec<&str> = policies.keys().map(|(_, object)| object.as_str()).collect();
            let kept = [
                "balances",
                "blocks",
                "internal_transfers",
                "native_transfers",
                "node_status",
                "provider_statuses",
                "token_transfers",
                "transactions",
            ];
            assert_eq!(objects, kept);
            assert!(policies.keys().all(|(kind, _)| *kind == PolicyKind::RetentionByPersist));
        }
    }

    #[test]
    fn every_refresh_is_younger_than_the_retention_of_its_rows() {
        let policies = wanted(&config(), &community());
        let start = |name: &str| match of(&policies, PolicyKind::Refresh, name) {
            Some(Setting::Refresh { start, .. }) => start,
            _ => None,
        };
        assert_eq!(start("token_volume_hourly"), Some(89 * DAY));
        assert_eq!(start("token_volume_daily"), None, "hours are kept forever");
        assert_eq!(start("candles_1m"), None);
        let set = StorageConfig { refresh_days: 10, ..config() };
        let policies = wanted(&set, &community());
        let expected = Setting::Refresh { start: Some(10 * DAY), end: DAY, every: HOUR };
        assert_eq!(of(&policies, PolicyKind::Refresh, "candles_1d"), Some(expected));
    }

    #[test]
    fn changes_name_the_old_and_the_new_setting() {
        let in_force = wanted(&StorageConfig::default(), &community());
        let mut config = config();
        config.retention_days.status = 0;
        config.compress_after_days = 14;
        let wanted = wanted(&config, &community());
        let said: Vec<String> =
            changes(&in_force, &wanted).iter().map(ToString::to_string).collect();
        for expected in [
            "retention of token_transfers by TimescaleDB: none -> after 90 days",
            "retention of node_status by TimescaleDB: after 30 days -> none",
            "retention of blocks by persist: none -> after 400 days",
            "column store of logs by TimescaleDB: after 7 days -> after 14 days",
            "refresh of token_volume_hourly by TimescaleDB: from the first row to 1 hour ago, every 30 minutes -> from 89 days ago to 1 hour ago, every 30 minutes",
        ] {
            assert!(said.iter().any(|text| text == expected), "{expected} in {said:#?}");
        }
        assert!(said[0].starts_with("refresh"), "before any retention: {}", said[0]);
        assert!(changes(&wanted, &wanted).is_empty());
    }
}
