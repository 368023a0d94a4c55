//! `[quota]` of a provider file: how much may be requested, and where the provider says what is left.

use std::num::NonZeroU32;

use reqwest::header::HeaderName;
use serde::Deserialize;

use super::mistake::Mistake;
use crate::quota::{
    limits::Window,
    signals::{ResetUnit, SignalHeaders},
};

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaFile {
    /// Another provider, which counts our requests to both together: its quota is that of this one. Nothing else is said then.
    #[serde(default)]
    pub(crate) of: Option<String>,
    #[serde(default)]
    pub(crate) per_second: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) per_minute: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) per_day: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) per_month: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) burst: Option<NonZeroU32>,
    /// Windows that differ with a key.
    #[serde(default)]
    pub(crate) with_key: Option<WindowsFile>,
    /// A header that says how much of a window is used.
    #[serde(default)]
    pub(crate) used_header: Option<WindowHeaderFile>,
    /// A header that says how much of a window is left.
    #[serde(default)]
    pub(crate) remaining_header: Option<WindowHeaderFile>,
    /// A header that says when a window ends.
    #[serde(default)]
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

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowHeaderFile {
    pub(crate) name: String,
    pub(crate) window: Window,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetHeaderFile {
    pub(crate) name: String,
    pub(crate) unit: ResetUnit,
}

impl QuotaFile {
    /// That of a provider whose requests are counted with those of `owner`.
    ///
    /// # Errors
    /// When this one says more than whose it is, or the owner's is that of a third.
    pub(crate) fn shared(&self, owner: &str, quota: &Self) -> Result<Self, Mistake> {
        if *self != (Self { of: self.of.clone(), ..Self::default() }) {
            let problem = format!(
                "quota.of takes the whole quota of {owner}: leave out what else [quota] says"
            );
            return Err(Mistake::at("quota.of", problem));
        }
        if let Some(third) = &quota.of {
            let problem = format!("the quota of {owner} is itself that of {third}: name {third}");
            return Err(Mistake::at("quota.of", problem));
        }
        Ok(Self { of: self.of.clone(), ..quota.clone() })
    }

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

    /// Where the provider says what is used.
    pub(crate) fn signals(&self) -> Result<SignalHeaders, Mistake> {
        let name = |field: &str, name: &str| -> Result<HeaderName, Mistake> {
            let problem = format!("quota.{field}.name {name:?} is not the name of a header");
            name.parse().map_err(|_| Mistake::at(&format!("quota.{field}"), problem))
        };
        let window = |field: &str, header: &Option<WindowHeaderFile>| match header {
            Some(header) => Ok(Some((name(field, &header.name)?, header.window))),
            None => Ok(None),
        };
        Ok(SignalHeaders {
            used: window("used_header", &self.used_header)?,
            remaining: window("remaining_header", &self.remaining_header)?,
            reset: match &self.reset_header {
                Some(header) => Some((name("reset_header", &header.name)?, header.unit)),
                None => None,
            },
        })
    }
}
