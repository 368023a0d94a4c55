//! `[quota]` of a provider file: how much may be requested, and where the provider says what is left.

use std::num::NonZeroU32;

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaFile {
    #[serde(default)]
    pub(crate) per_second: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) per_minute: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) per_day: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) per_month: Option<NonZeroU32>,
    pub(crate) burst: NonZeroU32,
    /// Windows that differ with a key.
    #[serde(default)]
    pub(crate) with_key: Option<WindowsFile>,
    /// A header that says how much of a window is used.
    #[serde(default)]
    #[expect(dead_code, reason = "only checked so far")]
    pub(crate) used_header: Option<WindowHeaderFile>,
    /// A header that says how much of a window is left.
    #[serde(default)]
    #[expect(dead_code, reason = "only checked so far")]
    pub(crate) remaining_header: Option<WindowHeaderFile>,
    /// A header that says when a window ends.
    #[serde(default)]
    #[expect(dead_code, reason = "only checked so far")]
    pub(crate) reset_header: Option<ResetHeaderFile>,
}

/// Units of weight per window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WindowsFile {
    pub(crate) per_second: Option<NonZeroU32>,
    pub(crate) per_minute: Option<NonZeroU32>,
    /// Of UTC.
    pub(crate) per_day: Option<NonZeroU32>,
    /// A calendar month of UTC.
    pub(crate) per_month: Option<NonZeroU32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only checked so far")]
pub(crate) struct WindowHeaderFile {
    pub(crate) name: String,
    pub(crate) window: WindowName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WindowName {
    Second,
    Minute,
    Day,
    Month,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only checked so far")]
pub(crate) struct ResetHeaderFile {
    pub(crate) name: String,
    pub(crate) unit: ResetUnit,
}

/// What the number in a header means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResetUnit {
    /// To wait.
    Seconds,
    /// To wait.
    Milliseconds,
    EpochSeconds,
    EpochMilliseconds,
}

impl QuotaFile {
    /// The windows that count, with or without a key.
    pub(crate) fn windows(&self, has_key: bool) -> WindowsFile {
        let own = WindowsFile {
            per_second: self.per_second,
            per_minute: self.per_minute,
            per_day: self.per_day,
            per_month: self.per_month,
        };
        match self.with_key {
            Some(with_key) if has_key => WindowsFile {
                per_second: with_key.per_second.or(own.per_second),
                per_minute: with_key.per_minute.or(own.per_minute),
                per_day: with_key.per_day.or(own.per_day),
                per_month: with_key.per_month.or(own.per_month),
            },
            _ => own,
        }
    }
}

impl WindowsFile {
    /// The tightest window as units per minute; `None` without any window.
    pub(crate) fn tightest_per_minute(&self) -> Option<NonZeroU32> {
        let minutes = |window: Option<NonZeroU32>, minutes: u32| Some(window?.get() / minutes);
        let rates = [
            self.per_second.map(|window| window.get().saturating_mul(60)),
            minutes(self.per_minute, 1),
            minutes(self.per_day, 24 * 60),
            minutes(self.per_month, 31 * 24 * 60),
        ];
        let tightest = rates.into_iter().flatten().min()?;
        Some(NonZeroU32::new(tightest).unwrap_or(NonZeroU32::MIN))
    }
}
