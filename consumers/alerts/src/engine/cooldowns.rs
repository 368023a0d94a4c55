//! Cooldowns: after an alert, others of its group are collected and told together at the end.
//!
//! A cooldown belongs to its alert. While that is in no canonical block, or no longer meets its
//! rule, it keeps nothing quiet. Time is the stream's: a cooldown lasts so long after the alert was
//! found, whatever the block says.

use std::collections::{BTreeMap, BTreeSet};

use crypto_intel_schemas::{Alert, short_code};
use serde::{Deserialize, Serialize};

use crate::{
    engine::{
        Engine,
        keys::{SightingKey, short_hash, summary_key},
        state::{NO_CHAIN, State},
        told::{Belief, MOST_TOLD, Sighting, Summary, Told},
        totals::{Measure, Text, Totals},
    },
    rules::Rule,
};

/// What cooldowns hold back, per chain: what comes beyond is counted and summed only.
const MOST_COLLECTED: usize = 1_000;

/// The events of a rule that have a cooldown in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Alerts whose cooldown runs, oldest first.
    pub(crate) openers: Vec<Opener>,
    /// What is held back, by chain.
    collected: BTreeMap<String, Collected>,
}

/// An alert that keeps others quiet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opener {
    pub(crate) chain: String,
    pub(crate) key: SightingKey,
    /// Stream time, microseconds.
    pub(crate) at_us: i64,
    pub(crate) code: String,
    pub(crate) title: String,
    pub(crate) measure: Option<Measure>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Collected {
    members: BTreeSet<SightingKey>,
    folded: Totals,
}

/// What an event is to a cooldown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is told.
    Free,
    /// It is held back.
    HeldBack,
}

impl State {
    fn counts(&self, opener: &Opener) -> bool {
        self.chains.get(&opener.chain).is_none_or(|chain| chain.counts(&opener.key))
    }

    fn is_void(&self, opener: &Opener) -> bool {
        self.chains.get(&opener.chain).is_some_and(|chain| chain.is_void(&opener.key))
    }

    pub(super) fn group_mut(&mut self, rule: &str, group: &str) -> &mut Group {
        self.groups.entry(rule.to_owned()).or_default().entry(group.to_owned()).or_default()
    }
}

impl Engine {
    /// Whether an event of a group is told now. What an earlier cooldown held back is told first.
    pub(super) fn standing(
        &mut self,
        index: usize,
        group: &str,
        measure: Option<&Measure>,
        alerts: &mut Vec<Alert>,
    ) -> Standing {
        let rules = std::sync::Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let now_us = self.state.stream_time_us;
        let Some(known) = self.state.groups.get(&rule.id).and_then(|groups| groups.get(group))
        else {
            return Standing::Free;
        };
        let running: Vec<&Opener> = known
            .openers
            .iter()
            .filter(|opener| now_us - opener.at_us < rule.cooldown_us)
            .collect();
        let quieting: Vec<&&Opener> =
            running.iter().filter(|opener| self.state.counts(opener)).collect();
        if !quieting.is_empty() {
            let passes = rule.larger_passes.zip(measure).is_some_and(|(factor, measure)| {
                let mut told = quieting.iter().map(|opener| opener.measure.as_ref());
                told.all(|told| told.is_some_and(|told| measure.is_times(factor, told)))
            });
            return if passes { Standing::Free } else { Standing::HeldBack };
        }
        if running.iter().all(|opener| self.state.is_void(opener)) {
            self.tell_collected(index, group, alerts);
        }
        Standing::Free
    }

    /// Holds an event back until the cooldown ends.
    pub(super) fn collect(
        &mut self,
        index: usize,
        group: &str,
        chain: &str,
        key: SightingKey,
        sighting: Sighting,
    ) {
        let rules = std::sync::Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        self.metrics[index].suppressed_cooldown.inc();
        let state = self.state.chains.entry(chain.to_owned()).or_default();
        let is_full = state.sightings.len() >= MOST_TOLD + MOST_COLLECTED;
        if let (true, Some(home)) = (is_full, sighting.home) {
            self.crowded_out.inc();
            state.crowd(home, &rule.id, false);
        }
        let folded = is_full.then(|| sighting.text.clone()).flatten();
        if !is_full {
            state.sightings.insert(key.clone(), sighting);
        }
        let group = self.state.group_mut(&rule.id, group);
        let collected = group.collected.entry(chain.to_owned()).or_default();
        match folded {
            Some(text) => collected.folded.add(&text),
            None => drop(collected.members.insert(key)),
        }
    }

    /// Ends the cooldowns that are over, and tells what they held back.
    pub(super) fn end_cooldowns(&mut self, alerts: &mut Vec<Alert>) {
        let now_us = self.state.stream_time_us;
        let mut due = Vec::new();
        let mut all = std::mem::take(&mut self.state.groups);
        all.retain(|rule_id, groups| {
            let Some(index) = self.rules.rules.iter().position(|rule| rule.id == *rule_id) else {
                return false;
            };
            let cooldown_us = self.rules.rules[index].cooldown_us;
            groups.retain(|name, group| {
                let is_over = group.openers.iter().all(|opener| {
                    now_us - opener.at_us >= cooldown_us || self.state.is_void(opener)
                });
                if is_over && !group.collected.is_empty() {
                    due.push((index, name.clone()));
                    return true;
                }
                !is_over
            });
            !groups.is_empty()
        });
        self.state.groups = all;
        for (index, name) in due {
            self.tell_collected(index, &name, alerts);
            if let Some(groups) = self.state.groups.get_mut(&self.rules.rules[index].id) {
                groups.remove(&name);
            }
        }
        self.state.groups.retain(|_, groups| !groups.is_empty());
    }

    /// One message per chain about what a cooldown held back.
    fn tell_collected(&mut self, index: usize, name: &str, alerts: &mut Vec<Alert>) {
        let rules = std::sync::Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let group = self.state.group_mut(&rule.id, name);
        let all = std::mem::take(&mut group.collected);
        let opener = group.openers.last().cloned();
        for (chain_name, collected) in all {
            let summary = summary_of(rule, opener.as_ref(), &collected);
            let chain = self.state.chains.entry(chain_name.clone()).or_default();
            let mut totals = collected.folded;
            let mut members = Vec::new();
            for key in collected.members {
                // What left the chain meanwhile is not there, or was told by an alert of its own.
                let held = chain.sightings.get(&key).filter(|sighting| sighting.alert.is_none());
                if let Some(text) = held.and_then(|sighting| sighting.text.as_ref()) {
                    totals.add(text);
                    members.push(key);
                }
            }
            let Some(first) = totals.first.clone() else { continue };
            let at_us = self.state.stream_time_us;
            let key = summary_key(&rule.id, name, &chain_name, at_us);
            let words = summary.words(&totals);
            let alert = summary_alert(rule, &chain_name, key, at_us, &first, words);
            self.metrics[index].summaries.inc();
            alerts.push(alert.clone());
            if chain_name == NO_CHAIN {
                members.iter().for_each(|key| drop(chain.sightings.remove(key)));
                continue;
            }
            for key in &members {
                if let Some(sighting) = chain.sightings.get_mut(key) {
                    sighting.alert = Some(alert.alert.clone());
                }
            }
            let gist = short_hash(&summary.words(&totals).title);
            let belief = Belief { gone: false, holds: true, gist, number: None };
            let told = Told { alert, belief, members, summary: Some(summary), unsettled: false };
            if chain.keep(told) {
                self.crowded_out.inc();
            }
        }
    }
}

fn summary_of(rule: &Rule, opener: Option<&Opener>, collected: &Collected) -> Summary {
    let seconds = rule.cooldown_us / 1_000_000;
    Summary {
        folded: collected.folded.clone(),
        after: opener.map_or_else(|| rule.id.clone(), |opener| opener.title.clone()),
        within: match opener {
            Some(opener) => format!("within {} after #{}", duration(seconds), opener.code),
            None => format!("within {}", duration(seconds)),
        },
    }
}

/// `90 s`, `5 min`, `2 h`: the largest unit that loses nothing.
fn duration(seconds: i64) -> String {
    match seconds {
        _ if seconds > 0 && seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        _ if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn summary_alert(
    rule: &Rule,
    chain: &str,
    key: String,
    at_us: i64,
    first: &Text,
    words: crate::engine::told::Words,
) -> Alert {
    let mut alert = Alert {
        event_at_us: at_us,
        observed_at_us: at_us,
        code: short_code(&key),
        alert: key,
        rule: rule.id.clone(),
        severity: rule.severity,
        title: crate::template::title(&words.title),
        lines: words.lines.iter().map(|line| crate::template::line(line)).collect(),
        links: first.links.clone(),
        routes: rule.routes.clone(),
        event_id: first.event_id.clone(),
        chain: (chain != NO_CHAIN).then(|| chain.to_owned()),
        seen_at_us: at_us,
        ..Alert::empty()
    };
    alert.id = super::alert_id(&alert);
    alert
}
