//! What the engine remembers: everything that decides about later alerts, in one value.

use std::collections::BTreeMap;

use crypto_intel_nats::Position;
use crypto_intel_schemas::Alert;
use serde::{Deserialize, Serialize};

use crate::{
    engine::{
        chain_state::ChainState,
        cooldown_group::{CooldownGroup, RunningCooldown},
        failures::Failing,
        tracked::Tracked,
        triggers::{group::TriggerGroup, waiting::WaitingBlock},
    },
    snapshot::shards::Table,
};

/// Version of the head's form. An unknown version is not read: rules then start from empty state.
pub(crate) const STATE_VERSION: u16 = 3;

/// Key of events without a block, which never leave the chain.
pub(crate) const NO_CHAIN: &str = "";

/// State of all rules of one stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    /// Last message applied.
    pub(crate) position: Position,
    /// Newest store time of a message, microseconds: the engine's only clock.
    pub(crate) stream_time_us: i64,
    /// Newest tick, microseconds.
    pub(crate) tick_us: i64,
    /// By rule and group: cooldowns and what they hold back.
    pub(crate) groups: Tracked<CooldownGroup>,
    pub(crate) chains: BTreeMap<String, ChainState>,
    /// By rule and group: what triggers remember.
    pub(crate) triggers: Tracked<TriggerGroup>,
    /// By chain and block hash: events that wait until the block is deep enough.
    pub(crate) waiting: Tracked<WaitingBlock>,
    /// Rule → what its groups depend on.
    pub(crate) forms: BTreeMap<String, u64>,
    /// Alerts of rules that changed: their end is told at the next tick.
    pub(crate) ended: Vec<Alert>,
    /// Rule → how it fails.
    pub(crate) failing: BTreeMap<String, Failing>,
}

/// What is stored under the stream's own key: how far the state is, and which records hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) version: u16,
    pub(crate) position: Position,
    pub(crate) stream_time_us: i64,
    pub(crate) tick_us: i64,
    pub(crate) table: Table,
    #[serde(default)]
    pub(crate) forms: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) ended: Vec<Alert>,
    #[serde(rename = "failures", default)]
    pub(crate) failing: BTreeMap<String, Failing>,
}

/// Version 2: everything in one value.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SingleValue {
    pub(crate) version: u16,
    position: Position,
    stream_time_us: i64,
    tick_us: i64,
    groups: BTreeMap<String, BTreeMap<String, CooldownGroup>>,
    chains: BTreeMap<String, ChainState>,
}

impl SingleValue {
    pub(crate) const VERSION: u16 = 2;
}

impl From<SingleValue> for State {
    fn from(value: SingleValue) -> Self {
        let SingleValue { position, stream_time_us, tick_us, groups, chains, .. } = value;
        let mut state = Self { position, stream_time_us, tick_us, chains, ..Self::default() };
        for (rule, groups) in groups {
            for (name, group) in groups {
                *state.group_mut(&rule, &name) = group;
            }
        }
        state
    }
}

impl State {
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    pub(super) fn of(head: Head) -> Self {
        let Head { position, stream_time_us, tick_us, forms, ended, failing, .. } = head;
        Self { position, stream_time_us, tick_us, forms, ended, failing, ..Self::default() }
    }

    pub(crate) fn head(&self, table: Table) -> Head {
        Head {
            version: STATE_VERSION,
            position: self.position,
            stream_time_us: self.stream_time_us,
            tick_us: self.tick_us,
            table,
            forms: self.forms.clone(),
            ended: self.ended.clone(),
            failing: self.failing.clone(),
        }
    }

    /// Whether no chain is in the middle of a block: the best moment for a snapshot.
    pub(crate) fn is_between_blocks(&self) -> bool {
        self.chains.values().all(ChainState::is_between_blocks)
    }

    pub(super) fn suppresses(&self, cooldown: &RunningCooldown) -> bool {
        self.chains.get(&cooldown.chain).is_none_or(|chain| chain.suppresses(&cooldown.key))
    }

    pub(super) fn is_withdrawn(&self, cooldown: &RunningCooldown) -> bool {
        self.chains.get(&cooldown.chain).is_some_and(|chain| chain.is_withdrawn(&cooldown.key))
    }

    /// A chain's state; most are there already, and a new entry costs a name.
    pub(super) fn chain_mut(&mut self, chain: &str) -> &mut ChainState {
        if !self.chains.contains_key(chain) {
            self.chains.insert(chain.to_owned(), ChainState::default());
        }
        let state = self.chains.get_mut(chain);
        #[allow(clippy::expect_used)] // inserted above
        state.expect("the chain was inserted")
    }

    pub(crate) fn group_mut(&mut self, rule: &str, group: &str) -> &mut CooldownGroup {
        self.groups.get_or_insert_with(rule, group, CooldownGroup::default)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::sent_alert::{ReportedState, RuleMatch, SentAlert};

    #[test]
    fn the_stored_form_keeps_its_field_names() {
        let names = |value: &serde_json::Value| {
            value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
        };
        let head = serde_json::to_value(State::empty().head(Table::default())).unwrap();
        assert_eq!(
            names(&head),
            "version position stream_time_us tick_us table forms ended failures"
        );
        let chain = serde_json::to_value(ChainState::default()).unwrap();
        assert_eq!(names(&chain), "seen open_block crowded reorg unsettled homeless");
        let group = serde_json::to_value(CooldownGroup::default()).unwrap();
        assert_eq!(names(&group), "openers collected");
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
