//! The state as entries with keys: what a snapshot stores one by one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::engine::{
    chain_state::ChainState,
    keys::MatchKey,
    state::{Head, State},
};

/// First part of an entry's key.
const COOLDOWNS: &str = "g";
const CHAIN: &str = "c";
const MATCH: &str = "m";
const ALERT: &str = "a";
const TRIGGER: &str = "t";
const WAITING: &str = "w";

/// What changed of an entry: its key, and its new value if it still exists.
type Change = (String, Option<Bytes>);

impl State {
    /// The entries that differ from the stored ones. What is returned counts as stored.
    pub(crate) fn take_changes(&mut self, stored: &BTreeMap<String, Bytes>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (rule, group) in self.groups.take_changed() {
            let value = self.groups.get(&rule, &group).map(encode);
            changes.push((key(COOLDOWNS, &[&rule, &group]), value));
        }
        for (rule, group) in self.triggers.take_changed() {
            let value = self.triggers.get(&rule, &group).map(encode);
            changes.push((key(TRIGGER, &[&rule, &group]), value));
        }
        for (chain, hash) in self.waiting.take_changed() {
            let value = self.waiting.get(&chain, &hash).map(encode);
            changes.push((key(WAITING, &[&chain, &hash]), value));
        }
        self.changes_of_chains(stored, &mut changes);
        changes.retain(|(key, value)| stored.get(key) != value.as_ref());
        changes
    }

    /// Matches and alerts change in many places and are few: they are compared.
    fn changes_of_chains(&self, stored: &BTreeMap<String, Bytes>, changes: &mut Vec<Change>) {
        let first = changes.len();
        for (name, chain) in &self.chains {
            changes.push((key(CHAIN, &[name]), Some(encode(chain))));
            for (found, value) in &chain.matches {
                let key = key(MATCH, &[name, &found.occurrence, &found.rule]);
                changes.push((key, Some(encode(value))));
            }
            for (alert, value) in &chain.sent_alerts {
                changes.push((key(ALERT, &[name, alert]), Some(encode(value))));
            }
        }
        let kept: BTreeSet<&str> = changes[first..].iter().map(|(key, _)| key.as_str()).collect();
        let gone: Vec<Change> = [CHAIN, MATCH, ALERT]
            .into_iter()
            .flat_map(|kind| {
                let prefix = format!("{kind}\n");
                let of_kind = stored.range(prefix.clone()..);
                of_kind.map(|(key, _)| key).take_while(move |key| key.starts_with(&prefix))
            })
            .filter(|key| !kept.contains(key.as_str()))
            .map(|key| (key.clone(), None))
            .collect();
        changes.extend(gone);
    }

    /// The state of a head and its entries. An entry that cannot be read is left out, with a warning.
    pub(crate) fn restore(head: Head, entries: &BTreeMap<String, Bytes>) -> Self {
        let mut state = Self::of(head);
        for (key, value) in entries {
            if state.restore_entry(key, value).is_none() {
                tracing::warn!(
                    key = %key.escape_debug(),
                    "an entry of the rule state is unreadable, rules continue without it"
                );
            }
        }
        state
    }

    fn restore_entry(&mut self, key: &str, value: &Bytes) -> Option<()> {
        let (kind, names) = key.split_once('\n')?;
        match kind {
            COOLDOWNS => {
                let (rule, group) = names.split_once('\n')?;
                self.groups.restore(rule, group, decode(value)?);
            }
            TRIGGER => {
                let (rule, group) = names.split_once('\n')?;
                self.triggers.restore(rule, group, decode(value)?);
            }
            WAITING => {
                let (chain, hash) = names.split_once('\n')?;
                self.waiting.restore(chain, hash, decode(value)?);
            }
            CHAIN => {
                // Kinds are read in the order of their names: alerts are there already.
                let mut chain = decode::<ChainState>(value)?;
                let known = self.chains.remove(names);
                chain.sent_alerts = known.map(|known| known.sent_alerts).unwrap_or_default();
                self.chains.insert(names.to_owned(), chain);
            }
            MATCH => {
                let mut names = names.split('\n');
                let (chain, occurrence, rule) = (names.next()?, names.next()?, names.next()?);
                let chain = self.chains.entry(chain.to_owned()).or_default();
                chain.matches.insert(MatchKey::new(occurrence, rule), decode(value)?);
            }
            ALERT => {
                let (chain, alert) = names.split_once('\n')?;
                let chain = self.chains.entry(chain.to_owned()).or_default();
                chain.sent_alerts.insert(alert.to_owned(), decode(value)?);
            }
            _ => return None,
        }
        Some(())
    }
}

fn key(kind: &str, names: &[&str]) -> String {
    let mut key = kind.to_owned();
    for name in names {
        key.push('\n');
        key.push_str(name);
    }
    key
}

/// Plain data in memory: writing it cannot fail.
pub(crate) fn encode<T: Serialize>(value: &T) -> Bytes {
    let encoded = rmp_serde::to_vec_named(value);
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    encoded.unwrap_or_default().into()
}

fn decode<T: DeserializeOwned>(value: &Bytes) -> Option<T> {
    rmp_serde::from_slice(value).ok()
}
