//! What the engine remembers: everything that decides about later alerts, in one value.

use std::collections::BTreeMap;

use crypto_intel_nats::Position;
use serde::{Deserialize, Serialize};

use crate::engine::{
    chain_state::ChainState,
    cooldown_group::{CooldownGroup, RunningCooldown},
};

/// Version of the state's form. Another version is not read: rules then start from empty state.
pub(crate) const STATE_VERSION: u16 = 2;

/// Key of events without a block, which never leave the chain.
pub(crate) const NO_CHAIN: &str = "";

/// State of all rules of one stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) version: u16,
    /// Last message applied.
    pub(crate) position: Position,
    /// Newest store time of a message, microseconds: the engine's only clock.
    pub(crate) stream_time_us: i64,
    /// Newest tick, microseconds.
    pub(crate) tick_us: i64,
    /// Rule → group → its cooldowns and what they hold back.
    pub(crate) groups: BTreeMap<String, BTreeMap<String, CooldownGroup>>,
    pub(crate) chains: BTreeMap<String, ChainState>,
}

impl State {
    pub(crate) fn empty() -> Self {
        Self { version: STATE_VERSION, ..Self::default() }
    }

    /// Whether no chain is in the middle of a block: the best moment for a snapshot.
    pub(crate) fn is_between_blocks(&self) -> bool {
        self.chains.values().all(ChainState::is_between_blocks)
    }

    /// Makes the state smaller when it is too large to be stored: evicts the older half of each chain's
    /// alerts, or, where there are none, all cooldowns with what they hold back. Returns how many were
    /// evicted.
    pub(crate) fn shrink(&mut self) -> u64 {
        let mut evicted = 0;
        for chain in self.chains.values_mut() {
            for _ in 0..chain.sent_alerts.len().div_ceil(2) {
                chain.evict_oldest();
                evicted += 1;
            }
        }
        if evicted == 0 {
            evicted = self.groups.values().map(|groups| groups.len() as u64).sum();
            self.groups.clear();
            for chain in self.chains.values_mut() {
                chain.matches.retain(|_, found| found.alert.is_some());
            }
        }
        evicted
    }

    pub(super) fn suppresses(&self, cooldown: &RunningCooldown) -> bool {
        self.chains.get(&cooldown.chain).is_none_or(|chain| chain.suppresses(&cooldown.key))
    }

    pub(super) fn is_withdrawn(&self, cooldown: &RunningCooldown) -> bool {
        self.chains.get(&cooldown.chain).is_some_and(|chain| chain.is_withdrawn(&cooldown.key))
    }

    pub(super) fn group_mut(&mut self, rule: &str, group: &str) -> &mut CooldownGroup {
        self.groups.entry(rule.to_owned()).or_default().entry(group.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::Alert;

    use super::*;
    use crate::engine::sent_alert::{ReportedState, RuleMatch, SentAlert};

    #[test]
    fn the_stored_form_keeps_its_field_names() {
        let chains = BTreeMap::from([("base".to_owned(), ChainState::default())]);
        let groups = BTreeMap::from([("group".to_owned(), CooldownGroup::default())]);
        let groups = BTreeMap::from([("rule".to_owned(), groups)]);
        let state = State { chains, groups, ..State::empty() };
        let json = serde_json::to_value(&state).unwrap();
        let names = |value: &serde_json::Value| {
            value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&json), "version position stream_time_us tick_us groups chains");
        assert_eq!(
            names(&json["chains"]["base"]),
            "seen open_block sightings told crowded reorg unsettled homeless"
        );
        assert_eq!(names(&json["groups"]["rule"]["group"]), "openers collected");
        let reported = ReportedState { gone: false, holds: true, content_hash: 1, number: None };
        let rule_match = RuleMatch {
            alert: None,
            canonical_block: None,
            orphaned_since_us: 0,
            holds: true,
            content_hash: 1,
            text: None,
        };
        let json = serde_json::to_value(&rule_match).unwrap();
        assert_eq!(names(&json), "alert home homeless_since_us holds gist text");
        let sent_alert = SentAlert {
            alert: Alert::empty(),
            reported,
            members: Vec::new(),
            summary: None,
            is_dirty: false,
        };
        let json = serde_json::to_value(&sent_alert).unwrap();
        assert_eq!(names(&json), "alert belief members summary unsettled");
        assert_eq!(names(&json["belief"]), "gone holds gist number");
    }
}
