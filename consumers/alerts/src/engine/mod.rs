//! The engine: events in, alerts out. No I/O and no clock: what it does depends only on the rules,
//! its state and the messages, so that a replay gives the same alerts.

mod cooldowns;
mod corrections;
mod firing;
pub(crate) mod keys;
pub(crate) mod state;
mod told;
mod totals;

use std::sync::Arc;

use cel::Context;
use crypto_intel_nats::{Position, StreamMessage};
use crypto_intel_schemas::{
    Alert, DecodeError, Event, Kind,
    subjects::{self, Lane},
};

use self::{corrections::Settled, firing::Seen, state::State};
use crate::{
    condition::{Variables, Verdict},
    metrics::{Metrics, RuleMetrics},
    rules::{RuleSet, SubjectIndex},
    streams::SourceStream,
};

/// Errors of a rule in a row until it is called unhealthy.
const ERRORS_UNTIL_UNHEALTHY: u32 = 10;

/// Applies one stream's messages to one stream's rules.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    stream: SourceStream,
    index: SubjectIndex,
    state: State,
    metrics: Vec<RuleMetrics>,
    errors_in_a_row: Vec<u32>,
    crowded_out: prometheus::IntCounter,
}

/// What a message was to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Whether a snapshot is cheapest now: no chain is in the middle of a block.
    pub between_blocks: bool,
    /// Whether the message was a tick.
    pub tick: bool,
}

impl Engine {
    /// An engine with empty state.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, stream: SourceStream, metrics: &Metrics) -> Self {
        Self::with_state(rules, stream, metrics, State::empty())
    }

    pub(crate) fn with_state(
        rules: Arc<RuleSet>,
        stream: SourceStream,
        metrics: &Metrics,
        state: State,
    ) -> Self {
        let per_rule = rules.rules.iter().map(|rule| metrics.rule(&rule.id)).collect();
        Self {
            errors_in_a_row: vec![0; rules.rules.len()],
            rules,
            stream,
            index: SubjectIndex::new(stream),
            state,
            metrics: per_rule,
            crowded_out: metrics.crowded_out.clone(),
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
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

    /// Forgets everything: the stream was made anew.
    pub fn reset(&mut self) {
        self.state = State::empty();
    }

    /// An alert could not be told: it keeps nothing quiet, and is not corrected.
    pub(crate) fn disown(&mut self, alert: &str) {
        let mut disowned = Vec::new();
        for chain in self.state.chains.values_mut() {
            disowned.extend(chain.told.remove(alert).into_iter().flat_map(|told| told.members));
            disowned.iter().for_each(|key| drop(chain.sightings.remove(key)));
        }
        for group in self.state.groups.values_mut().flat_map(|groups| groups.values_mut()) {
            group.openers.retain(|opener| !disowned.contains(&opener.key));
        }
    }

    /// Applies the next message of the stream; alerts are appended to `alerts` in a fixed order.
    ///
    /// # Errors
    /// When the body is no event of ours. The message counts as applied: it belongs into the dead
    /// letters.
    pub fn apply(
        &mut self,
        message: &StreamMessage,
        alerts: &mut Vec<Alert>,
    ) -> Result<Applied, DecodeError> {
        self.state.position = message.position();
        self.state.stream_time_us = self.state.stream_time_us.max(message.stored_at_us);
        let tick = message.subject.strip_prefix("tick.") == Some(self.stream.slug());
        if tick {
            if let Event::Tick(tick) = Event::decode(&message.payload)? {
                self.state.tick_us = self.state.tick_us.max(tick.event_at_us);
            }
            self.pass_time(alerts);
        } else if self.concerns(&message.subject) {
            let event = Event::decode(&message.payload)?;
            self.apply_event(&event, message, alerts);
        }
        Ok(Applied { between_blocks: self.state.is_between_blocks(), tick })
    }

    /// Whether the body must be read: some rule reads the subject, or it is a block marker.
    fn concerns(&mut self, subject: &str) -> bool {
        let marker = matches!(subjects::parse_chain(subject), Some((Lane::Live, _, Kind::Block)));
        marker || !self.index.candidates(&self.rules, subject).is_empty()
    }

    fn pass_time(&mut self, alerts: &mut Vec<Alert>) {
        let now_us = self.state.stream_time_us;
        let chains = self.state.chains.iter_mut();
        let settled: Vec<(String, Settled)> =
            chains.map(|(name, chain)| (name.clone(), chain.pass_time(now_us))).collect();
        for (chain, settled) in settled {
            self.say(&chain, settled, alerts);
        }
        self.end_cooldowns(alerts);
    }

    fn apply_event(&mut self, event: &Event, message: &StreamMessage, alerts: &mut Vec<Alert>) {
        let now_us = self.state.stream_time_us;
        let mut rank = 0;
        if let Some(block) = event.block_fields() {
            let chain = self.state.chains.entry(block.chain.to_owned()).or_default();
            if chain.was_seen(&block) {
                return;
            }
            if block.removed {
                // Whole blocks leave, and their markers say so: the events need no look.
                if let Event::Block(marker) = event {
                    chain.close_block(&block);
                    chain.drop_block(marker, now_us);
                }
                return;
            }
            rank = chain.rank(event, &block);
        }
        let seen = Seen::new(event, rank, message);
        let matched = self.matches(&seen);
        self.place(&seen, &matched);
        for index in matched {
            self.fire(index, &seen, alerts);
        }
        if let Event::Block(marker) = event
            && let Some(chain) = self.state.chains.get_mut(&marker.chain)
        {
            chain.close_block(&marker.block_fields());
            let settled = chain.add_block(marker, now_us);
            self.say(&marker.chain, settled, alerts);
        }
    }

    fn say(&mut self, chain: &str, settled: Settled, alerts: &mut Vec<Alert>) {
        let rules = Arc::clone(&self.rules);
        let index_of = |id: &str| rules.rules.iter().position(|rule| rule.id == id);
        for correction in settled.corrections {
            if let Some(index) = index_of(&correction.rule) {
                self.metrics[index].corrected.inc();
            }
            alerts.push(correction);
        }
        for notice in settled.notices {
            let Some(rule) = index_of(&notice.rule).map(|index| &rules.rules[index]) else {
                continue;
            };
            let mut alert = notice.alert(chain, rule.severity, &rule.routes);
            alert.event_at_us = self.state.stream_time_us;
            alert.observed_at_us = self.state.stream_time_us;
            alert.seen_at_us = self.state.stream_time_us;
            alert.id = alert_id(&alert);
            alerts.push(alert);
        }
    }

    /// The enabled rules whose condition is true for an event.
    fn matches(&mut self, seen: &Seen<'_>) -> Vec<usize> {
        let rules = Arc::clone(&self.rules);
        let candidates = self.index.candidates(&rules, &seen.message.subject).of(seen.event);
        if candidates.is_empty() {
            return Vec::new();
        }
        let variables = Variables::new(seen.event);
        let mut context = Context::with_env(Arc::clone(&rules.conditions));
        context.set_variable_resolver(&variables);
        let mut matched = Vec::new();
        for index in candidates {
            let rule = &rules.rules[index];
            let metrics = &self.metrics[index];
            metrics.evaluated.inc();
            match rule.condition.evaluate(&context, &variables) {
                Verdict::NoMatch => self.note_success(index),
                Verdict::Absent => metrics.absent.inc(),
                Verdict::Failed(error) => self.note_error(index, &error),
                Verdict::Match => {
                    metrics.matched.inc();
                    self.note_success(index);
                    matched.push(index);
                }
            }
        }
        matched
    }

    fn note_success(&mut self, index: usize) {
        if std::mem::take(&mut self.errors_in_a_row[index]) > 0 {
            self.metrics[index].unhealthy.set(0);
        }
    }

    fn note_error(&mut self, index: usize, error: &str) {
        let metrics = &self.metrics[index];
        metrics.errors.inc();
        self.errors_in_a_row[index] = self.errors_in_a_row[index].saturating_add(1);
        if self.errors_in_a_row[index] == ERRORS_UNTIL_UNHEALTHY {
            metrics.unhealthy.set(1);
            let rule = &self.rules.rules[index].id;
            tracing::warn!(rule, error, "rule fails again and again, correct its condition");
        }
    }
}

/// Id of an alert event: the alert's key, its state and number.
fn alert_id(alert: &Alert) -> String {
    format!("alert:{}:{}:{}", alert.alert, alert.state.as_str(), alert.n)
}

#[cfg(test)]
mod tests;
