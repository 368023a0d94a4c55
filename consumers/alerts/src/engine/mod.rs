//! The engine: events in, alerts out. No I/O and no clock: what it does depends only on the rules,
//! its state and the messages, so that a replay gives the same alerts.

mod corrections;
pub(crate) mod keys;
pub(crate) mod state;

use std::sync::Arc;

use cel::Context;
use crypto_intel_nats::{Position, StreamMessage};
use crypto_intel_schemas::{
    Alert, AlertState, BlockRef, DecodeError, Event, Kind, short_code,
    subjects::{self, Lane},
};

use self::{
    corrections::{Correction, Moment},
    keys::Occurrence,
    state::{OpenAlert, State},
};
use crate::{
    condition::{
        Variables, Verdict,
        fields::{FieldValue, field_of, hex_text},
    },
    metrics::{Metrics, RuleMetrics},
    rules::{Rule, RuleSet, SubjectIndex},
    streams::SourceStream,
    template::{self, Message},
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
        let moment = Moment { stream_time_us: self.state.stream_time_us };
        let mut corrections = Vec::new();
        for chain in self.state.chains.values_mut() {
            corrections.extend(chain.pass_time(moment));
        }
        self.correct(corrections, alerts);
        let rules = &self.rules.rules;
        self.state.forget_cooldowns(|id| {
            let rule = rules.iter().find(|rule| rule.id == id)?;
            // An event that is older still is too old anyway.
            Some(rule.cooldown_us.saturating_add(rule.max_event_age_us))
        });
    }

    fn apply_event(&mut self, event: &Event, message: &StreamMessage, alerts: &mut Vec<Alert>) {
        let moment = Moment { stream_time_us: self.state.stream_time_us };
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
                    chain.drop_block(marker, moment);
                }
                return;
            }
            rank = chain.rank(event, &block);
            if chain.homeless {
                let place = BlockRef { number: block.block_number, hash: block.block_hash };
                chain.place(&Occurrence::of(event, rank), place);
            }
        }
        self.evaluate(event, rank, message, alerts);
        if let Event::Block(marker) = event
            && let Some(chain) = self.state.chains.get_mut(&marker.chain)
        {
            chain.close_block(&marker.block_fields());
            let corrections = chain.add_block(marker, moment);
            self.correct(corrections, alerts);
        }
    }

    fn correct(&mut self, corrections: Vec<Correction>, alerts: &mut Vec<Alert>) {
        for Correction { alert, cooldown } in corrections {
            // What was taken back must not keep the next one quiet.
            if let Some((group, previous)) = cooldown
                && self.state.last_fire_us(&alert.rule, &group) == Some(alert.event_at_us)
            {
                self.state.set_last_fire(&alert.rule, &group, previous);
            }
            if let Some(index) = self.rules.rules.iter().position(|rule| rule.id == alert.rule) {
                self.metrics[index].corrected.inc();
            }
            alerts.push(alert);
        }
    }

    fn evaluate(
        &mut self,
        event: &Event,
        rank: u32,
        message: &StreamMessage,
        alerts: &mut Vec<Alert>,
    ) {
        let rules = Arc::clone(&self.rules);
        let candidates = self.index.candidates(&rules, &message.subject).of(event);
        if candidates.is_empty() {
            return;
        }
        let variables = Variables::new(event);
        let mut context = Context::with_env(Arc::clone(&rules.conditions));
        context.set_variable_resolver(&variables);
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
                    self.fire(index, event, rank, message, alerts);
                }
            }
        }
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

    fn fire(
        &mut self,
        index: usize,
        event: &Event,
        rank: u32,
        message: &StreamMessage,
        alerts: &mut Vec<Alert>,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let occurrence = Occurrence::of(event, rank);
        let key = occurrence.key(&rule.id);
        let chain = event.block_fields().map(|block| block.chain.to_owned());
        let open = chain.as_ref().and_then(|chain| self.state.chains.get(chain));
        if open.is_some_and(|chain| chain.alerts.contains_key(&key)) {
            return;
        }
        let metrics = &self.metrics[index];
        // By the stream's clock: a replay, and a reader that is behind, decide alike.
        if message.stored_at_us.saturating_sub(event.event_at_us()) > rule.max_event_age_us {
            metrics.suppressed_age.inc();
            return;
        }
        let group = group_of(rule, event);
        let previous_fire_us = self.state.last_fire_us(&rule.id, &group);
        let cooling = previous_fire_us.is_some_and(|previous| {
            event.event_at_us().abs_diff(previous) < rule.cooldown_us.unsigned_abs()
        });
        if cooling {
            metrics.suppressed_cooldown.inc();
            return;
        }
        metrics.fired.inc();
        let alert = self.alert(rule, event, key.clone(), message, index);
        if rule.cooldown_us > 0 {
            let at_us = previous_fire_us.unwrap_or(i64::MIN).max(event.event_at_us());
            self.state.set_last_fire(&rule.id, &group, Some(at_us));
        }
        let is_lasting = event.kind().is_lasting();
        if let (Some(block), Some(chain), false) = (event.block_fields(), chain, is_lasting) {
            let place = BlockRef { number: block.block_number, hash: block.block_hash };
            let open = OpenAlert {
                alert: alert.clone(),
                occurrence,
                block: Some(place),
                told_gone: false,
                group,
                previous_fire_us,
            };
            if self.state.chains.entry(chain).or_default().keep(key, open) {
                self.crowded_out.inc();
            }
        }
        alerts.push(alert);
    }

    fn alert(
        &self,
        rule: &Rule,
        event: &Event,
        key: String,
        message: &StreamMessage,
        index: usize,
    ) -> Alert {
        let text = self.write(rule, event, index);
        let block = event.block_fields();
        let mut alert = Alert {
            event_at_us: event.event_at_us(),
            observed_at_us: message.stored_at_us,
            code: short_code(&key),
            alert: key,
            rule: rule.id.clone(),
            severity: rule.severity,
            state: AlertState::Fired,
            n: 1,
            title: text.title,
            lines: text.lines,
            links: text.links,
            routes: rule.routes.clone(),
            event_id: event.id().to_owned(),
            chain: block.map(|block| block.chain.to_owned()),
            block_number: block.map(|block| block.block_number),
            block_hash: block.map(|block| block.block_hash),
            tx_hash: event.transaction_fields().map(|transaction| transaction.tx_hash),
            seen_at_us: event.observed_at_us(),
            ..Alert::empty()
        };
        alert.id = alert_id(&alert);
        alert
    }

    /// The message; where a template fails, one that says so: an alert is never lost for its text.
    fn write(&self, rule: &Rule, event: &Event, index: usize) -> Message {
        let mut values = template::values_of(event, &rule.fields);
        values.insert("rule", rule.id.as_str().into());
        values.insert("severity", rule.severity.as_str().into());
        let mut text = rule.message.render(&self.rules.templates, &values).unwrap_or_else(|error| {
            self.metrics[index].errors.inc();
            tracing::warn!(rule = rule.id, error = %format!("{error:#}"), "template failed, correct it");
            Message {
                title: format!("{} fired", rule.id),
                lines: vec![format!("its message could not be written: {}", error.kind())],
                links: Vec::new(),
            }
        });
        if rule.message.default_link {
            text.links.extend(template::transaction_link(event));
        }
        text
    }
}

/// Id of an alert event: the alert's key, its state and number.
fn alert_id(alert: &Alert) -> String {
    format!("alert:{}:{}:{}", alert.alert, alert.state.as_str(), alert.n)
}

/// The values of a rule's `group_by` fields, as one text.
fn group_of(rule: &Rule, event: &Event) -> String {
    let values = rule.group_by.iter().map(|name| match field_of(event, name) {
        None | Some(FieldValue::Absent) => String::new(),
        Some(FieldValue::Bool(value)) => value.to_string(),
        Some(FieldValue::Int(value)) => value.to_string(),
        Some(FieldValue::Decimal(value)) => value.to_string(),
        Some(FieldValue::Text(value)) => value.replace('\n', " "),
        Some(FieldValue::Hex(value)) => hex_text(value),
        Some(FieldValue::Texts(values)) => values.join("\t").replace('\n', " "),
        Some(FieldValue::U256(value)) => value.to_string(),
        Some(FieldValue::I256(value)) => value.to_string(),
        Some(FieldValue::Fields(fields)) => fields.to_json_text(),
    });
    values.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
