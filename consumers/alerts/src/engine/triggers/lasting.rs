//! Conditions that last: evaluated, told once, and ended once.

use std::sync::Arc;

use cel::Context;
use crypto_intel_schemas::Alert;

use super::{
    condition::{Firing, Phase, Step},
    group::{Signal, TriggerGroup},
    messages::Told,
    window::{WindowValues, values_of},
};
use crate::{
    condition::{Condition, NamedValue, NamedValues, Verdict},
    engine::{Engine, failures::Stage, firing::LocatedEvent, keys::condition_key},
    rules::{
        Rule,
        trigger::{Lasting, Trigger, values::named_values},
    },
};

/// What a look at a group found.
struct Look {
    signal: Signal,
    values: Option<WindowValues>,
}

impl Engine {
    /// Looks at a group: after an event, or when time passed.
    pub(super) fn evaluate(
        &mut self,
        index: usize,
        name: &str,
        cause: Option<&LocatedEvent<'_>>,
        alerts: &mut Vec<Alert>,
    ) {
        self.look_at(index, name, cause, false, alerts);
    }

    /// The same after a reorganisation took something back.
    pub(super) fn evaluate_after_reorg(
        &mut self,
        index: usize,
        name: &str,
        alerts: &mut Vec<Alert>,
    ) {
        self.look_at(index, name, None, true, alerts);
    }

    fn look_at(
        &mut self,
        index: usize,
        name: &str,
        cause: Option<&LocatedEvent<'_>>,
        after_reorg: bool,
        alerts: &mut Vec<Alert>,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        if let Some(lasting) = &rule.lasting
            && let Some(group) = self.state.triggers.get(&rule.id, name)
            // While a chain is between two branches only events say something: when time looks is not the same after
            // a restart.
            && (cause.is_some() || after_reorg || group.unsettled.is_empty())
        {
            let (mut look, error) = match self.look(rule, lasting, group) {
                Ok(look) => (look, None),
                // A condition that cannot be evaluated is neither true nor over.
                Err(error) => (Look { signal: Signal::Neutral, values: None }, Some(error)),
            };
            if after_reorg && error.is_none() {
                look.signal = after_reorganisation(rule, lasting, group, look.signal);
            }
            let now_us = self.state.stream_time_us;
            let is_unsettled = !group.unsettled.is_empty();
            let step = group.phase.step(lasting, look.signal, is_unsettled, now_us);
            if let Some(error) = error {
                self.note_error(index, Stage::Whole, &error);
            } else if step != Step::Stay {
                self.take(index, name, step, &look, cause, after_reorg, alerts);
            }
        }
        self.reschedule(index, name);
    }

    fn look(&self, rule: &Rule, lasting: &Lasting, group: &TriggerGroup) -> Result<Look, String> {
        let now_us = self.state.stream_time_us;
        match &rule.trigger {
            Trigger::Window(window) => {
                let values = values_of(window, group.windows(), now_us);
                let signal = self.signal_of(&window.having, lasting, &values)?;
                Ok(Look { signal, values: Some(values) })
            }
            Trigger::Absence(absence) => {
                let last_us = group.last_seen_us();
                let is_silent = last_us.is_some_and(|last_us| now_us - last_us >= absence.for_us);
                let signal = match is_silent {
                    // What was taken back may come again in the next block.
                    true if !group.unsettled.is_empty() => Signal::Neutral,
                    true => Signal::True,
                    false => Signal::Ends,
                };
                Ok(Look { signal, values: None })
            }
            _ => {
                let signal = group.level().map_or(Signal::Ends, |level| level.now());
                Ok(Look { signal, values: None })
            }
        }
    }

    fn signal_of(
        &self,
        having: &Condition,
        lasting: &Lasting,
        values: &WindowValues,
    ) -> Result<Signal, String> {
        if values.count == 0 {
            return Ok(Signal::Ends);
        }
        let named = named_values(values);
        if self.is_true(having, &named)? {
            return Ok(Signal::True);
        }
        match &lasting.resolve_when {
            Some(condition) if !self.is_true(condition, &named)? => Ok(Signal::Neutral),
            _ => Ok(Signal::Ends),
        }
    }

    fn is_true(
        &self,
        condition: &Condition,
        values: &[(&'static str, NamedValue<'_>)],
    ) -> Result<bool, String> {
        let variables = NamedValues::new(values);
        let mut context = Context::with_env(Arc::clone(&self.rules.conditions));
        context.set_variable_resolver(&variables);
        match condition.evaluate(&context, &variables) {
            Verdict::Failed(error) => Err(error),
            verdict => Ok(verdict == Verdict::Match),
        }
    }

    #[allow(clippy::too_many_arguments)] // one caller; a structure would only name them again
    fn take(
        &mut self,
        index: usize,
        name: &str,
        step: Step,
        look: &Look,
        cause: Option<&LocatedEvent<'_>>,
        after_reorg: bool,
        alerts: &mut Vec<Alert>,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let now_us = self.state.stream_time_us;
        let told = Told { index, group: name, values: look.values.as_ref(), cause };
        let phase = match step {
            Step::Stay => return,
            Step::Wait => Phase::Pending { since_us: now_us },
            Step::GiveUp => Phase::Idle,
            Step::Fire => {
                let occurrence = cause.map(LocatedEvent::occurrence_id).unwrap_or_default();
                let key = condition_key(&rule.id, name, now_us, &occurrence);
                let alert = self.condition_alert(&told, key);
                self.metrics[index].fired.inc();
                alerts.push(alert.clone());
                // The state remembers what was said, not what was drawn.
                let alert = Alert { chart: None, ..alert };
                Phase::Firing(Box::new(Firing { alert, since_us: now_us, ending_since_us: None }))
            }
            Step::Resolve => {
                let Some(group) = self.state.triggers.get(&rule.id, name) else { return };
                let Phase::Firing(firing) = &group.phase else { return };
                alerts.push(self.resolved_alert(&told, firing, after_reorg));
                self.metrics[index].resolved.inc();
                Phase::Idle
            }
            Step::BeginEnd | Step::GoOn => {
                let group = self.state.triggers.get_mut(&rule.id, name);
                if let Some(Phase::Firing(firing)) = group.map(|group| &mut group.phase) {
                    firing.ending_since_us = (step == Step::BeginEnd).then_some(now_us);
                }
                return;
            }
        };
        if let Some(group) = self.state.triggers.get_mut(&rule.id, name) {
            group.phase = phase;
        }
    }
}

/// What a signal means once a reorganisation took something back: neither what was true nor what ended on the old
/// branch only counts.
fn after_reorganisation(
    rule: &Rule,
    lasting: &Lasting,
    group: &TriggerGroup,
    signal: Signal,
) -> Signal {
    match (signal, &rule.trigger) {
        // The new branch must make it true by itself.
        (Signal::Neutral, Trigger::Window(_)) => Signal::Ends,
        // The newest event that decides says it is true.
        (Signal::Neutral, Trigger::Event) if group.phase.is_idle() && lasting.for_us == 0 => {
            Signal::True
        }
        (signal, _) => signal,
    }
}

impl TriggerGroup {
    /// The alert that is told and has not ended.
    pub(super) fn into_alert(self) -> Option<Alert> {
        match self.phase {
            Phase::Firing(firing) => Some(firing.alert),
            _ => None,
        }
    }
}
