//! The engine: events in, alerts out. Without I/O and clock: its output depends only on the rules, its
//! state and the messages, so that a replay gives the same alerts.

mod chain_state;
pub(crate) mod cooldown_group;
mod cooldowns;
pub(crate) mod entries;
pub(crate) mod failures;
mod firing;
pub(crate) mod keys;
mod reorgs;
mod sent_alert;
pub(crate) mod state;
mod switch;
mod totals;
mod tracked;
pub(crate) mod triggers;

use std::sync::Arc;

use cel::Context;
use crypto_intel_nats::{Position, StreamMessage};
use crypto_intel_schemas::{
    Alert, DecodeError, Event, Kind,
    subjects::{self, Lane},
};

use self::{
    failures::{Failures, Stage, no_failures},
    firing::LocatedEvent,
    reorgs::Reconciled,
    state::State,
    triggers::{Judged, Matched, TriggerIndex},
};
use crate::{
    condition::{Variables, Verdict},
    metrics::{Metrics, RuleMetrics},
    rules::{RuleSet, SubjectIndex},
    streams::RuleStream,
};

/// Applies one stream's messages to one stream's rules.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    stream: RuleStream,
    index: SubjectIndex,
    state: State,
    triggers: TriggerIndex,
    metrics: Vec<RuleMetrics>,
    failures: Vec<Failures>,
    /// Alerts about rules that fail, until the message is applied.
    own_alerts: Vec<Alert>,
    /// Alerts that can no longer be corrected.
    evicted: prometheus::IntCounter,
}

/// What the engine found out about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Whether no chain is in the middle of a block: the best moment for a snapshot.
    pub between_blocks: bool,
    /// Whether the message was a tick.
    pub tick: bool,
}

impl Engine {
    /// An engine with empty state.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, stream: RuleStream, metrics: &Metrics) -> Self {
        Self::with_state(rules, stream, metrics, State::empty())
    }

    pub(crate) fn with_state(
        rules: Arc<RuleSet>,
        stream: RuleStream,
        metrics: &Metrics,
        mut state: State,
    ) -> Self {
        state.retire_failures(&rules);
        let triggers = TriggerIndex::build(&rules, stream, &mut state);
        let per_rule: Vec<RuleMetrics> =
            rules.rules.iter().map(|rule| metrics.rule(&rule.id)).collect();
        Self {
            failures: no_failures(&rules, stream, &per_rule),
            own_alerts: Vec::new(),
            rules,
            stream,
            index: SubjectIndex::new(stream),
            state,
            triggers,
            metrics: per_rule,
            evicted: metrics.evicted.clone(),
        }
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The state, for a snapshot.
    pub(crate) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Last message applied.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.position
    }

    /// Newest tick, microseconds; 0 before the first.
    #[must_use]
    pub fn tick_us(&self) -> i64 {
        self.state.tick_us
    }

    /// Forgets everything: the stream was recreated.
    pub fn reset(&mut self) {
        let mut state = std::mem::replace(&mut self.state, State::empty());
        self.state.ended = state.take_told();
        self.failures = no_failures(&self.rules, self.stream, &self.metrics);
        self.triggers = TriggerIndex::build(&self.rules, self.stream, &mut self.state);
    }

    /// An alert could not be sent: it suppresses nothing, and is not corrected.
    pub(crate) fn discard_alert(&mut self, alert: &str) {
        let mut discarded = Vec::new();
        for chain in self.state.chains.values_mut() {
            discarded
                .extend(chain.sent_alerts.remove(alert).into_iter().flat_map(|sent| sent.members));
            discarded.iter().for_each(|key| drop(chain.matches.remove(key)));
        }
        let begun: Vec<(String, String)> = self
            .state
            .groups
            .iter()
            .filter(|(.., group)| group.running.iter().any(|it| discarded.contains(&it.key)))
            .map(|(rule, group, _)| (rule.to_owned(), group.to_owned()))
            .collect();
        for (rule, group) in begun {
            if let Some(group) = self.state.groups.get_mut(&rule, &group) {
                group.running.retain(|cooldown| !discarded.contains(&cooldown.key));
            }
        }
    }

    /// Applies the next message of the stream; alerts are appended to `alerts` in a fixed order.
    ///
    /// # Errors
    /// When the body is not one of our events. The message counts as applied: it belongs into the dead
    /// letters.
    pub fn apply(
        &mut self,
        message: &StreamMessage,
        alerts: &mut Vec<Alert>,
    ) -> Result<Applied, DecodeError> {
        self.state.position = message.position();
        self.state.stream_time_us = self.state.stream_time_us.max(message.stored_at_us);
        let tick = message.subject.starts_with("tick.");
        if tick {
            if let Event::Tick(tick) = Event::decode(&message.payload)? {
                self.state.tick_us = self.state.tick_us.max(tick.event_at_us);
            }
            self.pass_time(alerts);
        } else if self.is_relevant(&message.subject) {
            let event = Event::decode(&message.payload)?;
            if !self.is_own(&event) {
                self.apply_event(&event, message, alerts);
            }
        }
        alerts.append(&mut self.own_alerts);
        Ok(Applied { between_blocks: self.state.is_between_blocks(), tick })
    }

    /// Whether an event is an alert about alerts: rules hear of what others say, never of each other, so that none can
    /// feed itself.
    fn is_own(&self, event: &Event) -> bool {
        let Event::Alert(alert) = event else { return false };
        alert.event_id.starts_with("alert:")
            || self.rules.find(&alert.rule).is_some_and(|rule| rule.stream == RuleStream::Alert)
    }

    /// Whether the body must be read: some rule reads the subject, or it is a block marker.
    fn is_relevant(&mut self, subject: &str) -> bool {
        let marker = matches!(subjects::parse_chain(subject), Some((Lane::Live, _, Kind::Block)));
        marker || !self.index.candidates(&self.rules, subject).is_empty()
    }

    fn pass_time(&mut self, alerts: &mut Vec<Alert>) {
        let now_us = self.state.stream_time_us;
        let chains = self.state.chains.iter_mut();
        let reconciled: Vec<(String, Reconciled)> =
            chains.map(|(name, chain)| (name.clone(), chain.pass_time(now_us))).collect();
        for (chain, reconciled) in reconciled {
            self.emit(&chain, reconciled, alerts);
        }
        self.end_cooldowns(alerts);
        self.pass_time_of_triggers(alerts);
    }

    fn apply_event(&mut self, event: &Event, message: &StreamMessage, alerts: &mut Vec<Alert>) {
        let now_us = self.state.stream_time_us;
        let mut rank = 0;
        if let Some(block) = event.block_fields() {
            let chain = self.state.chain_mut(block.chain);
            if chain.was_seen(&block) {
                return;
            }
            if block.removed {
                // Whole blocks leave, and their markers say so: events can be ignored.
                if let Event::Block(marker) = event {
                    chain.close_block(&block);
                    chain.drop_block(marker, now_us);
                    self.undo_block(&marker.chain, &marker.block_hash);
                }
                return;
            }
            rank = chain.rank(event, &block);
        }
        let located = LocatedEvent::new(event, rank, message);
        let matched = self.matching_rules(&located);
        let judged: Vec<(usize, Judged)> = matched
            .into_iter()
            .map(|matched| (matched.index, self.judge(matched, &located, alerts)))
            .collect();
        self.relocate(&located, &judged);
        for (index, judged) in &judged {
            if let Judged::Fires(opening) = judged {
                self.fire(*index, &located, opening.as_ref(), alerts);
            }
        }
        if let Event::Block(marker) = event
            && let Some(chain) = self.state.chains.get_mut(&marker.chain)
        {
            chain.close_block(&marker.block_fields());
            let reconciled = chain.add_block(marker, now_us);
            self.emit(&marker.chain, reconciled, alerts);
            self.settle_block(marker, alerts);
        }
    }

    fn emit(&mut self, chain: &str, reconciled: Reconciled, alerts: &mut Vec<Alert>) {
        let rules = Arc::clone(&self.rules);
        for correction in reconciled.corrections {
            if let Some(index) = rules.index_of(&correction.rule) {
                self.metrics[index].corrected.inc();
            }
            alerts.push(correction);
        }
        for notice in reconciled.notices {
            let Some(rule) = rules.find(&notice.rule) else { continue };
            let mut alert = notice.alert(chain, rule);
            alert.event_at_us = self.state.stream_time_us;
            alert.observed_at_us = self.state.stream_time_us;
            alert.seen_at_us = self.state.stream_time_us;
            alert.id = alert_id(&alert);
            alerts.push(alert);
        }
    }

    /// The enabled rules whose condition is true for an event, or that hear of its being false.
    fn matching_rules(&mut self, located: &LocatedEvent<'_>) -> Vec<Matched> {
        let rules = Arc::clone(&self.rules);
        let candidates = self.index.candidates(&rules, &located.message.subject).of(located.event);
        if candidates.is_empty() {
            return Vec::new();
        }
        let variables = Variables::new(located.event);
        let mut context = Context::with_env(Arc::clone(&rules.conditions));
        context.set_variable_resolver(&variables);
        let mut matched = Vec::new();
        for index in candidates {
            let rule = &rules.rules[index];
            let metrics = &self.metrics[index];
            metrics.evaluated.inc();
            match rule.verdict(&context, &variables) {
                Verdict::NoMatch if rule.is_level() => {
                    matched.push(Matched { index, holds: false })
                }
                Verdict::NoMatch => self.note_success(index, Stage::Condition),
                Verdict::Absent => metrics.absent.inc(),
                Verdict::Unpriced => metrics.unpriced.inc(),
                Verdict::Failed(error) => self.note_error(index, Stage::Condition, &error),
                Verdict::Match => {
                    metrics.matched.inc();
                    matched.push(Matched { index, holds: true });
                }
            }
        }
        matched
    }
}

/// Id of an alert event: the alert's key, its state and number.
fn alert_id(alert: &Alert) -> String {
    format!("alert:{}:{}:{}", alert.alert, alert.state.as_str(), alert.n)
}

#[cfg(test)]
mod tests;
