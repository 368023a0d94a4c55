//! Types of what is said of a provider.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// How a provider, or one of its endpoints, does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    /// It answers as it should.
    #[default]
    Ok,
    /// It answers, but after its time, or with old data.
    Late,
    /// Requests fail, and are repeated.
    Failing,
    /// It is not asked for now: it asked for a pause, or failed too often.
    Held,
    /// It does not admit us: a wrong key, a plan that is too small, a region.
    Refused,
    /// Its quota is used up.
    QuotaSpent,
    /// It is not polled, for lack of its key, by the configuration, or because people paused it.
    Off,
}

impl ProviderState {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Late => "late",
            Self::Failing => "failing",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::QuotaSpent => "quota_spent",
            Self::Off => "off",
        }
    }
}

/// The time that a quota is for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum QuotaWindow {
    /// One second.
    Second,
    /// One minute.
    #[default]
    Minute,
    /// A day of UTC.
    Day,
    /// A calendar month of UTC.
    Month,
}

impl QuotaWindow {
    /// From the shortest to the longest.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Day, Self::Month];

    /// Whether it begins and ends with the calendar; the others slide.
    #[must_use]
    pub const fn is_calendar(self) -> bool {
        matches!(self, Self::Day | Self::Month)
    }

    /// How long it is; a month counts as its shortest, 28 days.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Day => 86_400,
            Self::Month => 28 * 86_400,
        })
    }

    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl fmt::Display for QuotaWindow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
