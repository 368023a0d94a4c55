//! Rules that look at more than one event: windows, sequences, absences, first events, and conditions that last.
//!
//! Each event contributes to its group ([`group`]); a block's contributions are taken back with the block
//! ([`journal`]). Conditions are evaluated after each contribution and when time passes ([`lasting`]).

mod chart;
pub(crate) mod condition;
mod distinct;
pub(crate) mod exact;
mod form;
pub(crate) mod group;
mod journal;
mod lasting;
mod messages;
mod sample;
pub(crate) mod sequence;
pub(crate) mod waiting;
pub(crate) mod window;

use std::sync::Arc;

use bytes::Bytes;
use cel::Context;
use crypto_intel_schemas::{Alert, Event, patterns};

pub(super) use self::journal::TriggerIndex;
use self::{
    exact::Exact,
    group::{Level, Part, Place, Signal, TriggerGroup},
    sequence::{Hit, Hits},
    window::Share,
};
use crate::{
    condition::{
        Variables, Verdict,
        fields::{FieldValue, field_of},
    },
    engine::{Engine, failures::Stage, firing::LocatedEvent, keys::short_hash},
    labels::group_of,
    rules::trigger::{Sequence, Trigger, ValueOf, Window},
};

/// A rule whose condition an event met, or, for a condition over single events, did not meet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matched {
    pub(super) index: usize,
    pub(super) holds: bool,
}

/// What an event means for a rule.
#[derive(Debug)]
pub(super) enum Judged {
    /// It is told.
    Fires(Option<Opening>),
    /// It waits until its block is deep enough.
    Waits,
    /// It is not told, or not by itself.
    Nothing,
}

/// The first event of a sequence.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) event: Box<Event>,
    /// From there to the last one.
    pub(super) elapsed_seconds: i64,
}

impl Engine {
    /// What an event means for a rule whose condition it met. Conditions that last may fire or end by it.
    pub(super) fn judge(
        &mut self,
        matched: Matched,
        located: &LocatedEvent<'_>,
        alerts: &mut Vec<Alert>,
    ) -> Judged {
        if self.must_wait(matched.index, located) {
            self.note_success(matched.index, Stage::Condition);
            self.wait(matched, located);
            return Judged::Waits;
        }
        let judged = self.judge_trigger(matched, located, alerts);
        self.note_success(matched.index, Stage::Whole);
        judged
    }

    fn judge_trigger(
        &mut self,
        matched: Matched,
        located: &LocatedEvent<'_>,
        alerts: &mut Vec<Alert>,
    ) -> Judged {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[matched.index];
        match &rule.trigger {
            Trigger::Event if rule.lasting.is_some() => self.judge_level(matched, located, alerts),
            Trigger::Event => return Judged::Fires(None),
            Trigger::First { over_us } => {
                if self.is_first(matched.index, *over_us, located) {
                    return Judged::Fires(None);
                }
            }
            Trigger::Sequence(sequence) => {
                if let Some(opening) = self.judge_sequence(matched.index, sequence, located) {
                    return Judged::Fires(Some(opening));
                }
            }
            Trigger::Window(window) => self.judge_window(matched.index, window, located, alerts),
            Trigger::Absence(_) => {
                let group = group_of(&rule.group_by, located.event);
                let seen = Part::Seen(self.time_of(located));
                self.contribute(matched.index, &group, located, seen, 0);
                self.evaluate(matched.index, &group, Some(located), alerts);
            }
        }
        Judged::Nothing
    }

    /// Event time; what claims to come from the future comes from now.
    fn time_of(&self, located: &LocatedEvent<'_>) -> i64 {
        located.event.event_at_us().min(self.state.stream_time_us)
    }

    /// Adds to a group what an event contributes; `step` tells contributions of one event apart.
    fn contribute(
        &mut self,
        index: usize,
        name: &str,
        located: &LocatedEvent<'_>,
        part: Part,
        step: usize,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let block = located.canonical_block.map(|block| (block.number, block.hash));
        let group = self.state.triggers.get_or_insert_with(&rule.id, name, TriggerGroup::default);
        let copy = || short_hash(&format!("{}\n{step}", located.event.id()));
        if block.is_none() && group.is_copy(copy()) {
            return;
        }
        let place = Place { chain: located.chain, block };
        let within_us = rule.trigger.within_us();
        let index_of_blocks = &self.triggers;
        // What follows is done once for each block and group, not for each event.
        let is_begun = group.is_in(place);
        if !is_begun {
            group.finalize(|chain| index_of_blocks.finalized(chain), within_us);
        }
        if group.add(place, part, within_us) {
            self.evicted.inc();
        }
        if let (Trigger::Window(window), Some(base)) = (&rule.trigger, group.base_window()) {
            base.forget(window, self.state.stream_time_us);
        }
        if let (Some((number, hash)), false) = (block, is_begun) {
            self.triggers.note(located.chain, number, hash, (index, name.to_owned()));
        }
    }

    /// Whether no event of the group came within the period before this one. Groups are of one chain.
    fn is_first(&mut self, index: usize, over_us: i64, located: &LocatedEvent<'_>) -> bool {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let group = format!("{}\n{}", located.chain, group_of(&rule.group_by, located.event));
        let at_us = self.time_of(located);
        let known = self.state.triggers.get(&rule.id, &group);
        let before_us = known.and_then(TriggerGroup::last_seen_us);
        self.contribute(index, &group, located, Part::Seen(at_us), 0);
        self.reschedule(index, &group);
        before_us.is_none_or(|before_us| at_us.saturating_sub(before_us) >= over_us)
    }

    /// The first event of the sequence that this one completes.
    fn judge_sequence(
        &mut self,
        index: usize,
        sequence: &Sequence,
        located: &LocatedEvent<'_>,
    ) -> Option<Opening> {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let at_us = self.time_of(located);
        let mut opening = None;
        // Backwards: an event is not two steps of one sequence.
        for (number, step) in sequence.steps.iter().enumerate().rev() {
            let subject = &located.message.subject;
            let is_on = step.on.iter().any(|pattern| patterns::matches(pattern, subject));
            if !is_on || !self.holds(index, &step.condition, located.event) {
                continue;
            }
            let group = group_of(&step.group_by, located.event);
            if number + 1 < sequence.steps.len() {
                let is_opening = number == 0;
                let body = if is_opening { located.message.payload.clone() } else { Bytes::new() };
                let hits = Part::Hits(Hits::one(Hit { step: number, at_us, body }));
                self.contribute(index, &group, located, hits, number);
                self.reschedule(index, &group);
                continue;
            }
            let known = self.state.triggers.get(&rule.id, &group);
            let starts = known.map(|known| known.starts(sequence.within_us)).unwrap_or_default();
            let start = starts.before(number, at_us, sequence.within_us);
            opening = start.and_then(|start| {
                let event = Box::new(Event::decode(&start.body).ok()?);
                let elapsed_seconds = (at_us - start.at_us).max(0) / 1_000_000;
                Some(Opening { event, elapsed_seconds })
            });
        }
        opening
    }

    fn holds(
        &mut self,
        index: usize,
        condition: &crate::condition::Condition,
        event: &Event,
    ) -> bool {
        let variables = Variables::new(event);
        let mut context = Context::with_env(Arc::clone(&self.rules.conditions));
        context.set_variable_resolver(&variables);
        match condition.evaluate(&context, &variables) {
            Verdict::Match => true,
            Verdict::Failed(error) => {
                self.note_error(index, Stage::Whole, &error);
                false
            }
            _ => false,
        }
    }

    fn judge_window(
        &mut self,
        index: usize,
        window: &Window,
        located: &LocatedEvent<'_>,
        alerts: &mut Vec<Alert>,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let at_us = self.time_of(located);
        let is_late =
            at_us.div_euclid(window.step_us) < window.first_step(self.state.stream_time_us);
        if is_late {
            self.metrics[index].late.inc();
            if window.baseline.is_none() {
                return;
            }
        }
        let value = match &window.of {
            None => None,
            Some(of) => match self.value_of(of, located.event) {
                Ok(Some(value)) => Some(value),
                Ok(None) => {
                    self.metrics[index].absent.inc();
                    return;
                }
                Err(error) => return self.note_error(index, Stage::Whole, &error),
            },
        };
        let distinct = window.distinct.as_ref();
        let distinct = distinct
            .map(|field| group_of(std::slice::from_ref(field), located.event))
            .filter(|text| !text.is_empty());
        let group = group_of(&rule.group_by, located.event);
        let share = Share { at_us, sequence: located.message.sequence, value, distinct };
        let part = Part::window(window, share);
        self.contribute(index, &group, located, part, 0);
        self.evaluate(index, &group, Some(located), alerts);
    }

    /// The exact value of an event; `None` where it has none.
    fn value_of(&self, of: &ValueOf, event: &Event) -> Result<Option<Exact>, String> {
        let text = match of {
            ValueOf::Field(name) => match field_of(event, name) {
                Some(FieldValue::Decimal(value)) => value.as_str().to_owned(),
                Some(FieldValue::U256(value)) => return Ok(Some(Exact::from_u256(value))),
                Some(FieldValue::I256(value)) => value.to_string(),
                Some(FieldValue::Int(value)) => value.to_string(),
                _ => return Ok(None),
            },
            ValueOf::Expression(expression) => {
                let variables = Variables::new(event);
                let mut context = Context::with_env(Arc::clone(&self.rules.conditions));
                context.set_variable_resolver(&variables);
                match expression.number(&context, &variables)? {
                    Some(number) => number,
                    None => return Ok(None),
                }
            }
        };
        Exact::parse(&text).map(Some).ok_or_else(|| format!("{text} has too many digits"))
    }

    /// A condition over single events: the newest event of a group decides.
    fn judge_level(
        &mut self,
        matched: Matched,
        located: &LocatedEvent<'_>,
        alerts: &mut Vec<Alert>,
    ) {
        let Matched { index, holds } = matched;
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let Some(lasting) = &rule.lasting else { return };
        let group = group_of(&rule.group_by, located.event);
        if !holds && self.state.triggers.get(&rule.id, &group).is_none() {
            return;
        }
        if located.age_us() > rule.max_event_age_us {
            self.metrics[index].suppressed_age.inc();
            return;
        }
        let signal = match &lasting.resolve_when {
            _ if holds => Signal::True,
            Some(condition) if !self.holds(index, condition, located.event) => Signal::Neutral,
            _ => Signal::Ends,
        };
        let alert = match signal {
            Signal::True => Some(self.alert_of_event(index, located)),
            Signal::Ends => self.resolved_of_event(index, located),
            Signal::Neutral => None,
        };
        self.contribute(index, &group, located, Part::Level(Level::new(signal, alert)), 0);
        self.evaluate(index, &group, Some(located), alerts);
    }
}

impl Part {
    fn window(window: &Window, share: Share) -> Self {
        let mut part = window::WindowPart::default();
        part.add(window, share);
        Self::Window(part)
    }
}
