//! What was sent when, and an own count of it by window, for tests.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

use super::limits::{Limits, Window};

/// Every request to one provider with one key: microseconds and weight.
#[derive(Debug, Clone, Default)]
pub(crate) struct SendRecord {
    pub(crate) sent: Vec<(i64, u32)>,
}

impl SendRecord {
    pub(crate) fn add(&mut self, time_us: i64, weight: u32) {
        self.sent.push((time_us, weight));
    }

    /// The first window that holds more than its limit.
    pub(crate) fn exceeded(&self, limits: &Limits) -> Option<String> {
        let most = self.most(limits).into_iter();
        let too_many =
            most.zip(limits.windows()).find(|((_, most), (_, limit))| most > &u64::from(*limit));
        too_many.map(|((window, most), (_, limit))| {
            format!("{most} units in one {window}, limit is {limit}")
        })
    }

    /// Most units in any one window, for each that has a limit.
    pub(crate) fn most(&self, limits: &Limits) -> Vec<(Window, u64)> {
        let mut sent = self.sent.clone();
        sent.sort_unstable();
        let most = |window: Window| match window {
            Window::Second => most_within(&sent, 1_000_000),
            Window::Minute => most_within(&sent, 60_000_000),
            Window::Day => most_by(&sent, |time_us| time_us.div_euclid(86_400_000_000)),
            Window::Month => most_by(&sent, |time_us| {
                let date = Timestamp::from_microsecond(time_us).unwrap_or_default();
                let date = date.to_zoned(TimeZone::UTC).date();
                i64::from(date.year()) * 12 + i64::from(date.month())
            }),
        };
        limits.windows().map(|(window, _)| (window, most(window))).collect()
    }
}

/// Most units in any window of this length, wherever it begins.
fn most_within(sent: &[(i64, u32)], length_us: i64) -> u64 {
    let (mut most, mut sum, mut oldest) = (0, 0_u64, 0);
    for (time_us, weight) in sent {
        sum += u64::from(*weight);
        while sent[oldest].0 <= time_us - length_us {
            sum -= u64::from(sent[oldest].1);
            oldest += 1;
        }
        most = most.max(sum);
    }
    most
}

fn most_by(sent: &[(i64, u32)], period: impl Fn(i64) -> i64) -> u64 {
    let mut sums: BTreeMap<i64, u64> = BTreeMap::new();
    for (time_us, weight) in sent {
        *sums.entry(period(*time_us)).or_default() += u64::from(*weight);
    }
    sums.into_values().max().unwrap_or(0)
}
