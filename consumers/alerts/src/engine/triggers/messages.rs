//! What people read about conditions that last.

use crypto_intel_schemas::{Alert, AlertState, Chart, short_code};
use minijinja::value::Value;

use super::{
    chart::chart_of,
    condition::Firing,
    group::{Level, Signal},
    window::WindowValues,
};
use crate::{
    condition::NamedValue,
    engine::{
        Engine, alert_id,
        cooldowns::duration,
        firing::{LocatedEvent, alert_of},
    },
    labels::labels_of,
    rules::{
        Rule,
        trigger::{
            Trigger,
            values::{named_values, shown},
        },
    },
    template::{self, Message, Values},
};

/// What a message is about.
pub(super) struct Told<'t> {
    pub(super) index: usize,
    pub(super) group: &'t str,
    pub(super) values: Option<&'t WindowValues>,
    /// The event that decided; absent where time did.
    pub(super) cause: Option<&'t LocatedEvent<'t>>,
}

impl Engine {
    /// What would be told of an event that meets its condition.
    pub(super) fn alert_of_event(&self, index: usize, located: &LocatedEvent<'_>) -> Alert {
        let text = self.render_text(index, located.event, None);
        alert_of(&self.rules.rules[index], located, String::new(), text)
    }

    /// What would be told of the event that ends a condition, where the rule has words for it.
    pub(super) fn resolved_of_event(
        &self,
        index: usize,
        located: &LocatedEvent<'_>,
    ) -> Option<Alert> {
        let rule = &self.rules.rules[index];
        let resolved = rule.lasting.as_ref()?.resolved.as_ref()?;
        let mut values = template::values_of(located.event, &rule.fields);
        add_rule(&mut values, rule);
        let Message { title, lines, .. } = self.write(index, resolved, &values);
        Some(Alert { title, lines, event_id: located.event.id().to_owned(), ..Alert::empty() })
    }

    /// The first message of a condition.
    pub(super) fn condition_alert(&self, told: &Told<'_>, key: String) -> Alert {
        let now_us = self.state.stream_time_us;
        let level = self.level(told).and_then(|level| level.alert);
        let mut alert = level.map_or_else(|| self.alert_of_values(told), |alert| *alert);
        alert.code = short_code(&key);
        alert.alert = key;
        alert.ongoing = true;
        alert.observed_at_us = now_us;
        alert.id = alert_id(&alert);
        alert
    }

    fn level(&self, told: &Told<'_>) -> Option<Level> {
        let rule = &self.rules.rules[told.index];
        self.state.triggers.get(&rule.id, told.group)?.level()
    }

    fn alert_of_values(&self, told: &Told<'_>) -> Alert {
        let rule = &self.rules.rules[told.index];
        let now_us = self.state.stream_time_us;
        let values = self.values(told);
        let Message { title, mut lines, links } = self.write(told.index, &rule.message, &values);
        if told.values.is_some_and(|values| values.is_about) {
            lines.push(
                "Distinct counts and percentiles are about: too many values to be exact."
                    .to_owned(),
            );
        }
        let event = told.cause.map(|cause| cause.event);
        let place = rule.group_by.iter().position(|name| name == "chain");
        let chain = place.and_then(|place| told.group.split('\n').nth(place)).map(str::to_owned);
        let chain = chain.filter(|chain| !chain.is_empty());
        Alert {
            chart: self.chart(told),
            event_at_us: event.map_or(now_us, crypto_intel_schemas::Event::event_at_us),
            observed_at_us: now_us,
            rule: rule.id.clone(),
            severity: rule.severity,
            state: AlertState::Fired,
            n: 1,
            title,
            lines,
            links,
            labels: labels_of(rule, chain.as_deref(), told.group),
            routes: rule.routes.clone(),
            event_id: event.map_or_else(|| format!("tick:{now_us}"), |event| event.id().to_owned()),
            chain,
            seen_at_us: event.map_or(now_us, crypto_intel_schemas::Event::observed_at_us),
            ..Alert::empty()
        }
    }

    /// The picture of what a window's rule saw.
    fn chart(&self, told: &Told<'_>) -> Option<Chart> {
        let rule = &self.rules.rules[told.index];
        let Trigger::Window(window) = &rule.trigger else { return None };
        let group = self.state.triggers.get(&rule.id, told.group)?;
        chart_of(window, group.windows(), self.state.stream_time_us)
    }

    /// The last message of a condition.
    pub(super) fn resolved_alert(
        &self,
        told: &Told<'_>,
        firing: &Firing,
        after_reorg: bool,
    ) -> Alert {
        let now_us = self.state.stream_time_us;
        let mut alert = firing.alert.clone();
        let rule = &self.rules.rules[told.index];
        // The words of an event that ended it; where a reorganisation did, the newest event may be a true one.
        let level = self.level(told).filter(|level| level.now() == Signal::Ends);
        let level = level.and_then(|level| level.alert);
        let resolved = rule.lasting.as_ref().and_then(|lasting| lasting.resolved.as_ref());
        let is_level = matches!(rule.trigger, Trigger::Event);
        let text = match (level, resolved) {
            (Some(level), Some(_)) => Some((level.title, level.lines)),
            (None, Some(resolved)) if !is_level => {
                let Message { title, lines, .. } =
                    self.write(told.index, resolved, &self.values(told));
                Some((title, lines))
            }
            _ => None,
        };
        let seconds = (now_us - firing.since_us).max(0) / 1_000_000;
        let (title, mut lines) = text.unwrap_or_else(|| {
            let title = template::title(&format!("Ended: {}", alert.title));
            (title, vec![format!("after {}", duration(seconds))])
        });
        if after_reorg {
            lines.push("Blocks were replaced by a reorganisation.".to_owned());
        }
        (alert.title, alert.lines) = (title, lines);
        if let Some(cause) = told.cause {
            cause.event.id().clone_into(&mut alert.event_id);
        }
        Self::end(&mut alert, now_us);
        alert
    }

    /// Makes the next message of a condition its end.
    pub(in crate::engine) fn end(alert: &mut Alert, now_us: i64) {
        alert.state = AlertState::Resolved;
        alert.n += 1;
        alert.event_at_us = now_us;
        alert.observed_at_us = now_us;
        alert.id = alert_id(alert);
    }

    /// What templates of windows and absences see: the group, the values, and the rule.
    fn values(&self, told: &Told<'_>) -> Values {
        let rule = &self.rules.rules[told.index];
        let mut values = Values::new();
        for (name, text) in rule.group_by.iter().zip(told.group.split('\n')) {
            if let Some(field) = rule.fields.iter().find(|field| field.name == name) {
                let value = if text.is_empty() { Value::from(()) } else { Value::from(text) };
                values.insert(field.name, value);
            }
        }
        for (name, value) in told.values.map(named_values).unwrap_or_default() {
            values.insert(
                name,
                match value {
                    NamedValue::Int(value) => Value::from(value),
                    NamedValue::Double(value) => Value::from(shown(value)),
                    NamedValue::Exact(value) => Value::from(value.to_string()),
                    NamedValue::Absent => Value::from(()),
                },
            );
        }
        if let Trigger::Absence(_) = rule.trigger {
            let group = self.state.triggers.get(&rule.id, told.group);
            let last_us = group.and_then(super::group::TriggerGroup::last_seen_us);
            let silent_us = last_us.map_or(0, |last_us| self.state.stream_time_us - last_us);
            values.insert("last_at_us", last_us.map_or(Value::from(()), Value::from));
            values.insert("silent_seconds", Value::from(silent_us / 1_000_000));
        }
        add_rule(&mut values, rule);
        values
    }
}

fn add_rule(values: &mut Values, rule: &Rule) {
    values.entry("rule").or_insert_with(|| rule.id.as_str().into());
    values.entry("severity").or_insert_with(|| rule.severity.as_str().into());
}
