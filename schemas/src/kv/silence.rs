use serde::{Deserialize, Serialize};

use crate::subjects::forms::token;

/// Alerts that are told to no one for a time: a value of the bucket `silences`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Five characters that people can read out; also its key.
    pub id: String,
    /// What it matches, all of them: `rule=depeg`, `chain!=base`, `token=~USD.*`, `chain in (base, optimism)`.
    pub matchers: Vec<String>,
    /// When it starts, microseconds UTC.
    pub starts_us: i64,
    /// When it ends, microseconds UTC.
    pub ends_us: i64,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Who ended it before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// When what it kept back was told, microseconds UTC; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_us: Option<i64>,
}

impl Silence {
    /// Whether it is in force at a time.
    #[must_use]
    pub const fn is_active(&self, at_us: i64) -> bool {
        self.starts_us <= at_us && at_us < self.ends_us
    }
}

/// Someone takes care of an alert: it is neither repeated nor escalated. A value of the bucket `routing`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Key of the alert.
    pub alert: String,
    /// Who.
    pub by: String,
    /// When, microseconds UTC.
    pub at_us: i64,
}

impl Acknowledgement {
    /// What all keys begin with.
    pub const PREFIX: &'static str = "ack.";

    /// The key of an alert.
    #[must_use]
    pub fn key(alert: &str) -> String {
        format!("{}{}", Self::PREFIX, token(alert))
    }
}
