//! Which rules an event concerns, without asking every rule.

use std::collections::{BTreeSet, HashMap};

use crypto_intel_schemas::{Event, patterns::matches};

use crate::{
    condition::fields::{FieldValue, field_of, hex_text},
    rules::RuleSet,
    streams::RuleStream,
};

/// Subjects that are remembered: they are few by design, and hostile ones must not fill memory.
const MAX_SUBJECTS: usize = 10_000;

/// Rules of one stream by subject, then by a field value that their condition needs.
#[derive(Debug)]
pub(crate) struct SubjectIndex {
    stream: RuleStream,
    subjects: HashMap<String, Candidates>,
}

/// The rules whose pattern matches a subject.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Tried with every event.
    scanned: Vec<usize>,
    /// Tried when the field has one of the values.
    by_field: Vec<(&'static str, HashMap<String, Vec<usize>>)>,
}

impl SubjectIndex {
    pub(crate) fn new(stream: RuleStream) -> Self {
        Self { stream, subjects: HashMap::new() }
    }

    /// The candidates of a subject, found once and remembered.
    pub(crate) fn candidates(&mut self, rules: &RuleSet, subject: &str) -> &Candidates {
        if !self.subjects.contains_key(subject) {
            if self.subjects.len() >= MAX_SUBJECTS {
                self.subjects.clear();
            }
            let candidates = Candidates::build(rules, self.stream, subject);
            self.subjects.insert(subject.to_owned(), candidates);
        }
        &self.subjects[subject]
    }
}

impl Candidates {
    fn build(rules: &RuleSet, stream: RuleStream, subject: &str) -> Self {
        let mut candidates = Self::default();
        for (index, rule) in rules.rules.iter().enumerate() {
            if rule.stream != stream || !rule.on.iter().any(|pattern| matches(pattern, subject)) {
                continue;
            }
            let Some(required) = rule.required() else {
                candidates.scanned.push(index);
                continue;
            };
            let by_value =
                match candidates.by_field.iter().position(|(field, _)| *field == required.field) {
                    Some(position) => &mut candidates.by_field[position].1,
                    None => {
                        candidates.by_field.push((required.field, HashMap::new()));
                        let last = candidates.by_field.len() - 1;
                        &mut candidates.by_field[last].1
                    }
                };
            for value in &required.values {
                by_value.entry(value.clone()).or_default().push(index);
            }
        }
        candidates
    }

    /// Whether no rule reads this subject: its bodies need not be decoded.
    pub(crate) fn is_empty(&self) -> bool {
        self.scanned.is_empty() && self.by_field.is_empty()
    }

    /// The rules to try with an event, by their numbers, in order.
    pub(crate) fn of(&self, event: &Event) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = self.scanned.iter().copied().collect();
        for (field, by_value) in &self.by_field {
            let rules = match field_of(event, field) {
                Some(FieldValue::Text(text)) => by_value.get(text),
                Some(FieldValue::Hex(bytes)) => by_value.get(&hex_text(bytes)),
                _ => None,
            };
            found.extend(rules.into_iter().flatten());
        }
        found
    }
}
