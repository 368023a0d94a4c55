//! Rules that fail while they are evaluated: told once by an alert of their own, and again only after they worked.

use std::sync::Arc;

use crypto_intel_schemas::{Alert, Labels, Severity, short_code};
use serde::{Deserialize, Serialize};

use crate::{
    engine::{Engine, alert_id, keys::failure_key, state::State},
    metrics::RuleMetrics,
    rules::RuleSet,
    streams::RuleStream,
    template,
};

/// Consecutive errors after which a rule is unhealthy.
const MAX_CONSECUTIVE_ERRORS: u32 = 10;

/// The rule of alerts about rules that fail: no rule of a file may have its id.
pub(crate) const RULE_FAILS: &str = "rule-fails";

/// A rule works again after so many evaluations in a row.
const WORKS_AFTER: u32 = 100;

/// How far an evaluation came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// The rule's condition over an event.
    #[default]
    #[serde(rename = "c")]
    Condition,
    /// Everything: values, steps and conditions of its trigger, too.
    #[serde(rename = "t")]
    Whole,
}

/// What is known of a rule that fails. Forgotten when it works again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// Digest of the rule set in which it does.
    set: String,
    /// How far an evaluation must come to show that it works again.
    stage: Stage,
    /// Evaluations without a failure since.
    worked: u32,
    /// What was told.
    alert: Box<Alert>,
}

/// Failures of a rule without a success between them, since the engine has its rules.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Failures {
    consecutive: u32,
    stage: Stage,
    /// Number of the newest message for which it failed.
    sequence: u64,
}

/// None yet, for each rule; what an earlier engine reported of this stream's rules counts no more.
pub(super) fn no_failures(
    rules: &RuleSet,
    stream: RuleStream,
    metrics: &[RuleMetrics],
) -> Vec<Failures> {
    let own = rules.rules.iter().zip(metrics).filter(|(rule, _)| rule.stream == stream);
    own.for_each(|(_, metrics)| metrics.unhealthy.set(0));
    vec![Failures::default(); rules.rules.len()]
}

impl State {
    /// What was told of failing rules ends with their rule set.
    pub(super) fn retire_failures(&mut self, rules: &RuleSet) {
        let Self { failing, ended, .. } = self;
        let left = |id: &String, failing: &mut Failing| {
            failing.set != rules.digest() || rules.index_of(id).is_none()
        };
        ended.extend(failing.extract_if(.., left).map(|(_, failing)| *failing.alert));
    }

    /// What is told of failing rules, which are forgotten.
    pub(super) fn take_failures(&mut self) -> impl Iterator<Item = Alert> + use<> {
        std::mem::take(&mut self.failing).into_values().map(|failing| *failing.alert)
    }
}

impl Engine {
    /// An evaluation came so far without a failure.
    pub(super) fn note_success(&mut self, index: usize, stage: Stage) {
        let failures = &mut self.failures[index];
        if stage == Stage::Whole && failures.sequence == self.state.position.sequence {
            return;
        }
        if failures.consecutive > 0 && stage >= failures.stage {
            failures.consecutive = 0;
            self.metrics[index].unhealthy.set(0);
        }
        if self.state.failing.is_empty() {
            return;
        }
        let id = &self.rules.rules[index].id;
        let Some(failing) = self.state.failing.get_mut(id).filter(|it| stage >= it.stage) else {
            return;
        };
        failing.worked += 1;
        if failing.worked < WORKS_AFTER {
            return;
        }
        let mut alert = Alert::clone(&failing.alert);
        self.state.failing.remove(id);
        alert.title = template::title(&format!("Rule {id} works again"));
        alert.lines = Vec::new();
        Self::end(&mut alert, self.state.stream_time_us);
        self.own_alerts.push(alert);
    }

    pub(super) fn note_error(&mut self, index: usize, stage: Stage, error: &str) {
        let metrics = &self.metrics[index];
        metrics.errors.inc();
        let failures = &mut self.failures[index];
        failures.consecutive = failures.consecutive.saturating_add(1);
        failures.stage = failures.stage.max(stage);
        failures.sequence = self.state.position.sequence;
        if failures.consecutive == 1 {
            failures.stage = stage;
        }
        if failures.consecutive == MAX_CONSECUTIVE_ERRORS {
            metrics.unhealthy.set(1);
        }
        let rules = Arc::clone(&self.rules);
        let id = &rules.rules[index].id;
        if let Some(failing) = self.state.failing.get_mut(id) {
            failing.worked = 0;
            failing.stage = failing.stage.max(stage);
            return;
        }
        tracing::warn!(rule = id, error, "rule fails, correct its condition");
        let alert = self.failure_alert(index, error);
        self.own_alerts.push(alert.clone());
        let (set, alert) = (rules.digest().to_owned(), Box::new(alert));
        self.state.failing.insert(id.clone(), Failing { set, stage, worked: 0, alert });
    }

    fn failure_alert(&self, index: usize, error: &str) -> Alert {
        let rule = &self.rules.rules[index];
        let now_us = self.state.stream_time_us;
        let sequence = self.state.position.sequence;
        let key = failure_key(&rule.id, self.rules.digest(), now_us, sequence);
        let mut labels = rule.labels.clone();
        labels.0.extend(Labels::from([("failing_rule", rule.id.as_str())]).0);
        let mut alert = Alert {
            event_at_us: now_us,
            observed_at_us: now_us,
            seen_at_us: now_us,
            code: short_code(&key),
            alert: key,
            rule: RULE_FAILS.to_owned(),
            severity: Severity::Warning,
            n: 1,
            title: template::title(&format!("Rule {} fails", rule.id)),
            lines: vec![
                template::line(error),
                "It says nothing of events for which it fails: correct its condition.".to_owned(),
            ],
            labels,
            ongoing: true,
            routes: rule.routes.clone(),
            event_id: format!("{}:{sequence}", self.stream.name()),
            ..Alert::empty()
        };
        alert.id = alert_id(&alert);
        alert
    }
}
