//! What rules would have said of a stream's past.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{Alert, AlertState, Event, Kind};
use prometheus::Registry;
use serde::Serialize;

use crate::{
    condition::fields::{FieldValue, field_of},
    engine::{Engine, failures::RULE_FAILS},
    metrics::Metrics,
    rules::RuleSet,
    streams::RuleStream,
};

/// So many alerts of each rule are shown beside the first, the last and the largest.
const MAX_SAMPLES: usize = 3;
const NAMED: usize = 3;
const HOUR_US: i64 = 3_600_000_000;

/// So many alerts are kept for a comparison; further ones are only counted.
const MAX_COMPARED: usize = 200_000;

/// A rule set over the past of one stream, beginning with empty state.
#[derive(Debug)]
pub struct Trial {
    rules: Arc<RuleSet>,
    metrics: Metrics,
    stream: RuleStream,
    engine: Engine,
    alerts: Vec<Alert>,
    findings: BTreeMap<String, RuleFindings>,
    /// Newest text of each alert by its key.
    told: BTreeMap<String, Told>,
    max_compared: usize,
    uncompared: u64,
    undecodable: u64,
}

/// What one rule would have said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuleFindings {
    /// Its id.
    pub rule: String,
    /// Events that its condition was evaluated for, and those for which it was true.
    pub evaluated: u64,
    /// Events for which it was true.
    pub matched: u64,
    /// Alerts.
    pub fired: u64,
    /// Alerts that were corrected after a reorganisation, and those whose condition ended.
    pub corrected: u64,
    /// Alerts of conditions that ended.
    pub resolved: u64,
    /// Matches that a cooldown collected.
    pub collected: u64,
    /// Events that lacked a field that the condition depends on.
    pub absent: u64,
    /// Events without a known amount in dollars that the rule left out.
    pub unpriced: u64,
    /// Conditions and templates that failed.
    pub errors: u64,
    /// Alerts by hour; hours without one are left out.
    pub hours: Vec<HourCount>,
    /// The first alert.
    pub first: Option<Told>,
    /// The last alert.
    pub last: Option<Told>,
    /// The alert about the most dollars.
    pub largest: Option<Told>,
    /// Some others.
    pub samples: Vec<Told>,
}

/// Alerts of an hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HourCount {
    /// When it begins, microseconds since 1970.
    pub begins_us: i64,
    /// How many.
    pub fired: u64,
}

/// What an alert would have said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Told {
    /// Id of the rule.
    pub rule: String,
    /// Key of the alert.
    pub alert: String,
    /// When its event was stored, microseconds.
    pub at_us: i64,
    /// First line.
    pub title: String,
    /// Further lines.
    pub lines: Vec<String>,
    /// Dollars that it is about, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
}

/// What two rule sets say of the same past.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Alerts of the old set alone.
    pub only_old: Vec<Told>,
    /// Alerts of the new set alone.
    pub only_new: Vec<Told>,
    /// Alerts of both that say something else: the old and the new one.
    pub changed: Vec<(Told, Told)>,
    /// Alerts of both that say the same.
    pub same: u64,
    /// Alerts that were too many to be compared.
    pub uncompared: u64,
}

impl Trial {
    /// Begins with empty state.
    ///
    /// # Errors
    /// When its counters cannot be registered.
    pub fn new(rules: Arc<RuleSet>, stream: RuleStream) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(&Registry::new())?;
        let engine = Engine::new(Arc::clone(&rules), stream, &metrics);
        let alerts = Vec::new();
        let (findings, told) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self {
            rules,
            metrics,
            stream,
            engine,
            alerts,
            findings,
            told,
            max_compared: MAX_COMPARED,
            uncompared: 0,
            undecodable: 0,
        })
    }

    /// The same without what a comparison needs, which is every alert.
    #[must_use]
    pub fn uncompared(self) -> Self {
        Self { max_compared: 0, ..self }
    }

    /// The stream that is read.
    #[must_use]
    pub fn stream(&self) -> RuleStream {
        self.stream
    }

    /// Subjects that the rules need.
    #[must_use]
    pub fn filters(&self) -> Vec<String> {
        self.rules.filters(self.stream)
    }

    /// Kinds of event that the rules read.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<Kind> {
        self.rules.kinds(self.stream)
    }

    /// Messages that are not our events.
    #[must_use]
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// Applies the next message.
    pub fn apply(&mut self, message: &StreamMessage) {
        if self.engine.apply(message, &mut self.alerts).is_err() {
            self.undecodable += 1;
        }
        if self.alerts.is_empty() {
            return;
        }
        let event = Event::decode(&message.payload).ok();
        for alert in std::mem::take(&mut self.alerts) {
            let usd = event.as_ref().filter(|event| event.id() == alert.event_id).and_then(dollars);
            self.note(alert, usd);
        }
    }

    fn note(&mut self, alert: Alert, usd: Option<f64>) {
        // That a rule fails is no finding of a rule: its failures are counted.
        if alert.rule == RULE_FAILS {
            return;
        }
        let Alert { rule, alert: key, title, lines, state, observed_at_us: at_us, .. } = alert;
        let found = self.findings.entry(rule.clone()).or_default();
        let told = Told { rule, alert: key, at_us, title, lines, usd };
        match state {
            AlertState::Fired => {
                found.fired += 1;
                let begins_us = at_us - at_us.rem_euclid(HOUR_US);
                let mut hours = found.hours.iter_mut().rev();
                match hours.find(|hour| hour.begins_us == begins_us) {
                    Some(hour) => hour.fired += 1,
                    None => found.hours.push(HourCount { begins_us, fired: 1 }),
                }
                found.first.get_or_insert_with(|| told.clone());
                found.last = Some(told.clone());
                let largest = found.largest.as_ref().and_then(|largest| largest.usd);
                if usd.is_some() && usd > largest {
                    found.largest = Some(told.clone());
                }
                let is_new = found.samples.iter().all(|sample| sample.title != told.title);
                if found.samples.len() < MAX_SAMPLES + NAMED && is_new {
                    found.samples.push(told.clone());
                }
            }
            AlertState::Corrected => found.corrected += 1,
            AlertState::Resolved => found.resolved += 1,
        }
        if self.told.len() < self.max_compared || self.told.contains_key(&told.alert) {
            self.told.insert(told.alert.clone(), told);
        } else {
            self.uncompared += 1;
        }
    }

    /// What each rule of the stream would have said, in the order of the files.
    #[must_use]
    pub fn findings(&self) -> Vec<RuleFindings> {
        let rules = self.rules.rules.iter().filter(|rule| rule.stream == self.stream);
        let of_rule = |id: &str| {
            let counters = self.metrics.rule(id);
            let mut found = self.findings.get(id).cloned().unwrap_or_default();
            let named = [&found.first, &found.last, &found.largest].into_iter().flatten();
            let named: Vec<String> = named.map(|told| told.title.clone()).collect();
            found.samples.retain(|sample| !named.contains(&sample.title));
            found.samples.truncate(MAX_SAMPLES);
            found.hours.sort_by_key(|hour| hour.begins_us);
            RuleFindings {
                rule: id.to_owned(),
                evaluated: counters.evaluated.get(),
                matched: counters.matched.get(),
                collected: counters.suppressed_cooldown.get(),
                absent: counters.absent.get(),
                unpriced: counters.unpriced.get(),
                errors: counters.errors.get(),
                ..found
            }
        };
        rules.map(|rule| of_rule(&rule.id)).collect()
    }

    /// How this, the old set, and a new one differ over the same past.
    #[must_use]
    pub fn compare(&self, new: &Self) -> Difference {
        let uncompared = self.uncompared + new.uncompared;
        let mut difference = Difference { uncompared, ..Difference::default() };
        for (key, old) in &self.told {
            match new.told.get(key) {
                None => difference.only_old.push(old.clone()),
                Some(new) if (&old.title, &old.lines) == (&new.title, &new.lines) => {
                    difference.same += 1;
                }
                Some(new) => difference.changed.push((old.clone(), new.clone())),
            }
        }
        let only_new = new.told.iter().filter(|(key, _)| !self.told.contains_key(*key));
        difference.only_new.extend(only_new.map(|(_, told)| told.clone()));
        let in_time = |told: &Told| (told.at_us, told.alert.clone());
        difference.only_old.sort_by_key(in_time);
        difference.only_new.sort_by_key(in_time);
        difference.changed.sort_by_key(|(old, _)| in_time(old));
        difference
    }
}

impl Difference {
    /// Whether both sets say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.only_old.is_empty() && self.only_new.is_empty() && self.changed.is_empty()
    }
}

fn dollars(event: &Event) -> Option<f64> {
    ["usd", "amount_usd"].iter().find_map(|name| match field_of(event, name) {
        Some(FieldValue::Decimal(usd)) => Some(usd.to_f64()),
        _ => None,
    })
}
