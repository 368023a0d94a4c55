//! Rollups that the migrations create.

use crate::tables::retention_group::RetentionGroup;

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A rollup, which is a continuous aggregate or a view.
#[derive(Debug)]
pub(super) struct Rollup {
    pub(super) name: &'static str,
    /// Width of a bucket, seconds.
    pub(super) width: i64,
    /// Group of the rows that it is computed from.
    pub(super) group: RetentionGroup,
}

const fn rollup(name: &'static str, width: i64, group: RetentionGroup) -> Rollup {
    Rollup { name, width, group }
}

/// Every rollup that can be a continuous aggregate; daily ones are computed from hourly ones, except candles and fees.
pub(super) const ROLLUPS: [Rollup; 20] = [
    rollup("candles_1m", MINUTE, RetentionGroup::Market),
    rollup("candles_5m", 5 * MINUTE, RetentionGroup::Market),
    rollup("candles_1h", HOUR, RetentionGroup::Market),
    rollup("candles_1d", DAY, RetentionGroup::Market),
    rollup("token_volume_hourly", HOUR, RetentionGroup::Transfers),
    rollup("token_volume_daily", DAY, RetentionGroup::Rollups),
    rollup("watched_token_flow_hourly", HOUR, RetentionGroup::Transfers),
    rollup("watched_token_flow_daily", DAY, RetentionGroup::Rollups),
    rollup("watched_native_flow_hourly", HOUR, RetentionGroup::Transfers),
    rollup("watched_native_flow_daily", DAY, RetentionGroup::Rollups),
    rollup("watched_internal_flow_hourly", HOUR, RetentionGroup::Transfers),
    rollup("watched_internal_flow_daily", DAY, RetentionGroup::Rollups),
    rollup("watched_transactions_hourly", HOUR, RetentionGroup::Transfers),
    rollup("watched_transactions_daily", DAY, RetentionGroup::Rollups),
    rollup("balances_hourly", HOUR, RetentionGroup::Transfers),
    rollup("balances_daily", DAY, RetentionGroup::Rollups),
    rollup("pool_volume_hourly", HOUR, RetentionGroup::Dex),
    rollup("pool_volume_daily", DAY, RetentionGroup::Rollups),
    rollup("base_fee_hourly", HOUR, RetentionGroup::Gas),
    rollup("base_fee_daily", DAY, RetentionGroup::Gas),
];

/// Names of the rollups.
pub(crate) fn rollup_names() -> impl Iterator<Item = &'static str> {
    ROLLUPS.iter().map(|rollup| rollup.name)
}

/// Width of a rollup's buckets, seconds.
pub(crate) fn rollup_width_seconds(name: &str) -> Option<i64> {
    ROLLUPS.iter().find(|rollup| rollup.name == name).map(|rollup| rollup.width)
}
