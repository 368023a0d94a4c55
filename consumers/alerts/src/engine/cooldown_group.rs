//! What cooldowns keep in the state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::engine::{
    keys::MatchKey,
    totals::{Measure, Totals},
};

/// The events of a rule that share a cooldown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CooldownGroup {
    /// Alerts whose cooldown runs, oldest first.
    #[serde(rename = "openers")]
    pub(crate) running: Vec<RunningCooldown>,
    /// What is held back, by chain.
    #[serde(rename = "collected")]
    pub(super) held_back: BTreeMap<String, HeldBack>,
}

/// An alert that suppresses others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunningCooldown {
    pub(crate) chain: String,
    pub(crate) key: MatchKey,
    /// Stream time, microseconds.
    pub(crate) at_us: i64,
    pub(crate) code: String,
    pub(crate) title: String,
    pub(crate) measure: Option<Measure>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HeldBack {
    pub(super) members: BTreeSet<MatchKey>,
    pub(super) folded: Totals,
}
