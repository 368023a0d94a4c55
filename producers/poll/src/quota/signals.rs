use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::limits::Window;

/// An epoch below this is a time to wait: some providers mix the two.
const EARLIEST_EPOCH: u64 = 1_000_000;
/// Longest wait that is believed: a month and a day.
const MAX_WAIT: Duration = Duration::from_secs(32 * 86_400);

/// Where a provider says what is used.
#[derive(Debug, Clone, Default)]
pub(crate) struct SignalHeaders {
    /// Units used of a window.
    pub(crate) used: Option<(HeaderName, Window)>,
    /// Units left of a window.
    pub(crate) remaining: Option<(HeaderName, Window)>,
    /// When that window ends.
    pub(crate) reset: Option<(HeaderName, ResetUnit)>,
}

/// What the number in a header means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResetUnit {
    /// To wait.
    Seconds,
    /// To wait.
    Milliseconds,
    /// Since 1970.
    EpochSeconds,
    /// Since 1970.
    EpochMilliseconds,
}

/// What an answer says of the quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    /// Units used of a window.
    pub(crate) used: Option<(Window, u64)>,
    /// Units left of a window.
    pub(crate) remaining: Option<(Window, u64)>,
    /// When that window ends, from now.
    pub(crate) reset: Option<Duration>,
    /// Units that this answer has cost.
    pub(crate) cost: Option<u64>,
}

impl SignalHeaders {
    /// Reads the headers of an answer. What is not a number is nothing: the quota of the file counts anyway.
    pub(crate) fn read(&self, headers: &HeaderMap, now_us: i64) -> Signals {
        let count = |known: &Option<(HeaderName, Window)>| {
            let (name, window) = known.as_ref()?;
            Some((*window, number(headers, name)?))
        };
        let reset = self.reset.as_ref().and_then(|(name, unit)| {
            let wait = unit.wait(number(headers, name)?, now_us)?;
            Some(wait.min(MAX_WAIT))
        });
        Signals { used: count(&self.used), remaining: count(&self.remaining), reset, cost: None }
    }
}

impl ResetUnit {
    fn wait(self, value: u64, now_us: i64) -> Option<Duration> {
        let milliseconds = |value: u64, unit: u64| value.checked_mul(unit);
        let until = |epoch_ms: u64| {
            let now_ms = u64::try_from(now_us / 1_000).unwrap_or(0);
            Duration::from_millis(epoch_ms.saturating_sub(now_ms))
        };
        let is_wait = value < EARLIEST_EPOCH;
        Some(match self {
            Self::Seconds => Duration::from_secs(value),
            Self::Milliseconds => Duration::from_millis(value),
            Self::EpochSeconds if is_wait => Duration::from_secs(value),
            Self::EpochMilliseconds if is_wait => Duration::from_millis(value),
            Self::EpochSeconds => until(milliseconds(value, 1_000)?),
            Self::EpochMilliseconds => until(value),
        })
    }
}

/// The number that a header holds; of one with further parts, such as `12;w=60` or `12, 340`, the first. A fraction
/// is rounded up.
fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    let first = text.split([';', ',']).next().unwrap_or_default().trim();
    let (whole, fraction) = first.split_once('.').unwrap_or((first, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let more = fraction.bytes().any(|byte| byte != b'0');
    whole.parse::<u64>().ok()?.checked_add(more.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    fn read(unit: ResetUnit, text: &str) -> Signals {
        let name = |text: &'static str| HeaderName::from_static(text);
        let known = SignalHeaders {
            used: Some((name("x-used"), Window::Minute)),
            remaining: Some((name("x-left"), Window::Day)),
            reset: Some((name("x-reset"), unit)),
        };
        let headers = [("x-used", text), ("x-left", text), ("x-reset", text)];
        let headers = headers.iter().map(|(key, value)| (name(key), value.parse().unwrap()));
        known.read(&headers.collect(), NOW_S as i64 * 1_000_000)
    }

    #[test]
    fn a_reset_is_read_in_every_unit() {
        let wait = |unit, text: &str| read(unit, text).reset;
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(wait(ResetUnit::Seconds, "90"), seconds(90));
        assert_eq!(wait(ResetUnit::Milliseconds, "90000"), seconds(90));
        assert_eq!(wait(ResetUnit::EpochSeconds, "1800000090"), seconds(90));
        assert_eq!(wait(ResetUnit::EpochMilliseconds, "1800000090000"), seconds(90));
        assert_eq!(wait(ResetUnit::EpochSeconds, "90"), seconds(90), "too early for a time");
        assert_eq!(wait(ResetUnit::EpochMilliseconds, "90000"), seconds(90));
        assert_eq!(wait(ResetUnit::EpochSeconds, "1799999990"), seconds(0), "past");
        assert_eq!(wait(ResetUnit::Seconds, "18446744073709551615"), Some(MAX_WAIT));
    }

    #[test]
    fn counts_are_read_as_providers_write_them() {
        let signals = read(ResetUnit::Seconds, "12;w=60");
        assert_eq!(signals.used, Some((Window::Minute, 12)));
        assert_eq!(signals.remaining, Some((Window::Day, 12)));
        for (text, number) in
            [("7", Some(7)), (" 7, 340", Some(7)), ("7.2", Some(8)), ("7.0", Some(7))]
        {
            assert_eq!(read(ResetUnit::Seconds, text).used.map(|(_, used)| used), number, "{text}");
        }
        for text in ["", "-1", "many", "nan", "1e3", "99999999999999999999999", "."] {
            assert_eq!(read(ResetUnit::Seconds, text), Signals::default(), "{text}");
        }
    }
}
