//! Cooldowns: after an alert, others of its group are held back and sent as one summary at the end.
//!
//! A cooldown belongs to its alert. While the alert is in no canonical block, or no longer meets its
//! rule, it suppresses nothing. Time is that of the stream: a cooldown starts when the alert is found,
//! whatever the time of its block.

use crypto_intel_schemas::{Alert, short_code};

use crate::{
    engine::{
        Engine,
        cooldown_group::{HeldBack, RunningCooldown},
        keys::{MatchKey, short_hash, summary_key},
        sent_alert::{MAX_SENT_ALERTS, MessageText, ReportedState, RuleMatch, SentAlert, Summary},
        state::NO_CHAIN,
        totals::{Measure, Text},
    },
    labels::labels_of,
    rules::Rule,
};

/// Events that cooldowns hold back, per chain; further ones are only counted and summed.
const MAX_HELD_BACK: usize = 1_000;

/// What a cooldown means for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CooldownDecision {
    /// An alert fires.
    Fire,
    /// It is held back.
    HoldBack,
}

impl Engine {
    /// Whether an event of a group fires an alert now. The summary of an earlier cooldown is published
    /// first.
    pub(super) fn decide_cooldown(
        &mut self,
        index: usize,
        group: &str,
        measure: Option<&Measure>,
        alerts: &mut Vec<Alert>,
    ) -> CooldownDecision {
        let rules = std::sync::Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let now_us = self.state.stream_time_us;
        let Some(known) = self.state.groups.get(&rule.id, group) else {
            return CooldownDecision::Fire;
        };
        let running: Vec<&RunningCooldown> = known
            .running
            .iter()
            .filter(|cooldown| now_us - cooldown.at_us < rule.cooldown_us)
            .collect();
        let suppressing: Vec<&&RunningCooldown> =
            running.iter().filter(|cooldown| self.state.suppresses(cooldown)).collect();
        if !suppressing.is_empty() {
            let passes = rule.larger_passes.zip(measure).is_some_and(|(factor, measure)| {
                let mut sent = suppressing.iter().map(|cooldown| cooldown.measure.as_ref());
                sent.all(|sent| sent.is_some_and(|sent| measure.is_times(factor, sent)))
            });
            return if passes { CooldownDecision::Fire } else { CooldownDecision::HoldBack };
        }
        if running.iter().all(|cooldown| self.state.is_withdrawn(cooldown)) {
            self.publish_held_back(index, group, alerts);
        }
        CooldownDecision::Fire
    }

    /// Holds an event back until the cooldown ends.
    pub(super) fn hold_back(
        &mut self,
        index: usize,
        group: &str,
        chain: &str,
        key: MatchKey,
        rule_match: RuleMatch,
    ) {
        let rules = std::sync::Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        self.metrics[index].suppressed_cooldown.inc();
        let state = self.state.chains.entry(chain.to_owned()).or_default();
        let is_full = state.matches.len() >= MAX_SENT_ALERTS + MAX_HELD_BACK;
        if let (true, Some(block)) = (is_full, rule_match.canonical_block) {
            self.evicted.inc();
            state.record_eviction(block, &rule.id, false);
        }
        let folded = is_full.then(|| rule_match.text.clone()).flatten();
        if !is_full {
            state.matches.insert(key.clone(), rule_match);
        }
        let group = self.state.group_mut(&rule.id, group);
        let held_back = group.held_back.entry(chain.to_owned()).or_default();
        match folded {
            Some(text) => held_back.folded.add(&text),
            None => drop(held_back.members.insert(key)),
        }
    }

    /// Ends the cooldowns that are over, and publishes the summaries of what they held back.
    pub(super) fn end_cooldowns(&mut self, alerts: &mut Vec<Alert>) {
        let now_us = self.state.stream_time_us;
        let mut over = Vec::new();
        for (rule, name, group) in self.state.groups.iter() {
            let index = self.rules.index_of(rule);
            let cooldown_us = index.map_or(0, |index| self.rules.rules[index].cooldown_us);
            let is_over = group.running.iter().all(|cooldown| {
                now_us - cooldown.at_us >= cooldown_us || self.state.is_withdrawn(cooldown)
            });
            if is_over || index.is_none() {
                let index = index.filter(|_| !group.held_back.is_empty());
                over.push((rule.to_owned(), name.to_owned(), index));
            }
        }
        for (rule, name, index) in over {
            if let Some(index) = index {
                self.publish_held_back(index, &name, alerts);
            }
            self.state.groups.remove(&rule, &name);
        }
    }

    /// One alert per chain about what a cooldown held back.
    pub(super) fn publish_held_back(&mut self, index: usize, name: &str, alerts: &mut Vec<Alert>) {
        let rules = std::sync::Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let group = self.state.group_mut(&rule.id, name);
        let all = std::mem::take(&mut group.held_back);
        let cooldown = group.running.last().cloned();
        for (chain_name, held_back) in all {
            let summary = summary_of(rule, cooldown.as_ref(), &held_back);
            let chain = self.state.chains.entry(chain_name.clone()).or_default();
            let mut totals = held_back.folded;
            let mut members = Vec::new();
            for key in held_back.members {
                // An event that left the chain is gone, or has got its own alert.
                let held = chain.matches.get(&key).filter(|held| held.alert.is_none());
                if let Some(text) = held.and_then(|held| held.text.as_ref()) {
                    totals.add(text);
                    members.push(key);
                }
            }
            let Some(first) = totals.first.clone() else { continue };
            let at_us = self.state.stream_time_us;
            let key = summary_key(&rule.id, name, &chain_name, at_us);
            let text = summary.text(&totals);
            let mut alert = summary_alert(rule, (&chain_name, name), key, at_us, &first, text);
            alert.addresses = std::mem::take(&mut totals.addresses);
            self.metrics[index].summaries.inc();
            alerts.push(alert.clone());
            if chain_name == NO_CHAIN {
                members.iter().for_each(|key| drop(chain.matches.remove(key)));
                continue;
            }
            for key in &members {
                if let Some(rule_match) = chain.matches.get_mut(key) {
                    rule_match.alert = Some(alert.alert.clone());
                }
            }
            let content_hash = short_hash(&summary.text(&totals).title);
            let reported = ReportedState { gone: false, holds: true, content_hash, number: None };
            let sent =
                SentAlert { alert, reported, members, summary: Some(summary), is_dirty: false };
            if chain.remember(sent) {
                self.evicted.inc();
            }
        }
    }
}

fn summary_of(rule: &Rule, cooldown: Option<&RunningCooldown>, held_back: &HeldBack) -> Summary {
    let seconds = rule.cooldown_us / 1_000_000;
    Summary {
        folded: held_back.folded.clone(),
        after: cooldown.map_or_else(|| rule.id.clone(), |cooldown| cooldown.title.clone()),
        within: match cooldown {
            Some(cooldown) => format!("within {} after #{}", duration(seconds), cooldown.code),
            None => format!("within {}", duration(seconds)),
        },
    }
}

/// `90 s`, `5 min`, `2 h`: the largest unit that loses nothing.
pub(super) fn duration(seconds: i64) -> String {
    match seconds {
        _ if seconds > 0 && seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        _ if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn summary_alert(
    rule: &Rule,
    (chain, group): (&str, &str),
    key: String,
    at_us: i64,
    first: &Text,
    text: MessageText,
) -> Alert {
    let mut alert = Alert {
        event_at_us: at_us,
        observed_at_us: at_us,
        code: short_code(&key),
        alert: key,
        rule: rule.id.clone(),
        severity: rule.severity,
        title: crate::template::title(&text.title),
        lines: text.lines.iter().map(|line| crate::template::line(line)).collect(),
        links: first.links.clone(),
        labels: labels_of(rule, (chain != NO_CHAIN).then_some(chain), group),
        routes: rule.routes.clone(),
        event_id: first.event_id.clone(),
        chain: (chain != NO_CHAIN).then(|| chain.to_owned()),
        seen_at_us: at_us,
        ..Alert::empty()
    };
    alert.id = super::alert_id(&alert);
    alert
}
