//! Rules that fail while they are evaluated: told once by an alert of their own, and again only after they worked.

use crypto_intel_schemas::{Alert, AlertState, Labels, Severity, short_code};
use serde::{Deserialize, Serialize};

use crate::{
    engine::{Engine, alert_id, keys::failure_key},
    template,
};

/// Consecutive errors after which a rule is unhealthy.
const MAX_CONSECUTIVE_ERRORS: u32 = 10;

/// The rule of alerts about rules that fail: no rule of a file may have its id.
pub(crate) const RULE_FAILS: &str = "rule-fails";

/// A rule works again after so many evaluations in a row.
const WORKS_AFTER: u32 = 100;

/// What is known of a rule that failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// Digest of the rule set in which it did.
    set: String,
    /// Number of its alert's newest message.
    n: u32,
    is_open: bool,
    /// Evaluations without a failure since.
    worked: u32,
}

impl Engine {
    pub(super) fn note_success(&mut self, index: usize) {
        if std::mem::take(&mut self.consecutive_errors[index]) > 0 {
            self.metrics[index].unhealthy.set(0);
        }
        if self.state.failing.is_empty() {
            return;
        }
        let id = &self.rules.rules[index].id;
        let Some(failing) = self.state.failing.get_mut(id).filter(|failing| failing.is_open) else {
            return;
        };
        failing.worked += 1;
        if failing.worked < WORKS_AFTER {
            return;
        }
        failing.is_open = false;
        failing.n += 1;
        let failing = failing.clone();
        let title = format!("Rule {id} works again");
        self.tell(index, &failing, AlertState::Resolved, title, Vec::new());
    }

    pub(super) fn note_error(&mut self, index: usize, error: &str) {
        let metrics = &self.metrics[index];
        metrics.errors.inc();
        self.consecutive_errors[index] = self.consecutive_errors[index].saturating_add(1);
        if self.consecutive_errors[index] == MAX_CONSECUTIVE_ERRORS {
            metrics.unhealthy.set(1);
        }
        let id = self.rules.rules[index].id.clone();
        let set = self.rules.digest();
        let failing = self.state.failing.entry(id.clone()).or_default();
        if failing.set != set {
            *failing = Failing { set: set.to_owned(), ..Failing::default() };
        }
        failing.worked = 0;
        if failing.is_open {
            return;
        }
        failing.is_open = true;
        failing.n += 1;
        let failing = failing.clone();
        tracing::warn!(rule = id, error, "rule fails, correct its condition");
        let lines = vec![
            template::line(error),
            "It says nothing of events for which it fails: correct its condition.".to_owned(),
        ];
        self.tell(index, &failing, AlertState::Fired, format!("Rule {id} fails"), lines);
    }

    fn tell(
        &mut self,
        index: usize,
        failing: &Failing,
        state: AlertState,
        title: String,
        lines: Vec<String>,
    ) {
        let rule = &self.rules.rules[index];
        let key = failure_key(&rule.id, &failing.set);
        let now_us = self.state.stream_time_us;
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
            state,
            n: failing.n,
            title: template::title(&title),
            lines,
            labels,
            ongoing: true,
            routes: rule.routes.clone(),
            event_id: format!("{}:{}", self.stream.name(), self.state.position.sequence),
            ..Alert::empty()
        };
        alert.id = alert_id(&alert);
        self.failures.push(alert);
    }
}
