//! The form of a trigger in a rule file. `README.md` documents every key.

use serde::Deserialize;
use toml::{Spanned, de::DeValue};

use crate::rules::{
    file::take_unknown,
    patterns::Patterns,
    problem::{RuleProblem, SourceText},
};

/// The keys of a rule that say when it fires.
#[derive(Debug, Default, Deserialize)]
pub(in crate::rules) struct TriggerText {
    pub(super) trigger: Option<Spanned<String>>,
    pub(super) window: Option<Spanned<WindowText>>,
    pub(super) sequence: Option<Spanned<SequenceText>>,
    pub(super) absence: Option<Spanned<AbsenceText>>,
    pub(super) first: Option<Spanned<FirstText>>,
    #[serde(rename = "for")]
    pub(super) lasts: Option<Spanned<String>>,
    pub(super) keep_firing_for: Option<Spanned<String>>,
    pub(super) resolve_when: Option<Spanned<String>>,
    pub(super) resolved_title: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) resolved_lines: Vec<Spanned<String>>,
    pub(super) finality: Option<Spanned<String>>,
    pub(super) confirmations: Option<Spanned<u64>>,
    pub(super) agreed: Option<Spanned<usize>>,
}

impl TriggerText {
    /// What makes the rule fire, as it is named in rule files.
    pub(in crate::rules) fn kind(&self) -> &str {
        let tables = [
            ("window", self.window.is_some()),
            ("sequence", self.sequence.is_some()),
            ("absence", self.absence.is_some()),
            ("first", self.first.is_some()),
        ];
        let of_table = tables.into_iter().find(|(_, is_there)| *is_there).map(|(name, _)| name);
        self.trigger.as_ref().map(|kind| kind.get_ref().as_str()).or(of_table).unwrap_or("event")
    }

    /// How long its condition must last.
    pub(in crate::rules) fn lasts(&self) -> Option<&str> {
        self.lasts.as_ref().map(|lasts| lasts.get_ref().as_str())
    }

    /// The templates of a condition's end with the names they get: the title first.
    pub(in crate::rules) fn resolved_templates(
        &self,
        id: &str,
    ) -> impl Iterator<Item = (String, &Spanned<String>)> {
        let title = self.resolved_title.iter().map(move |title| (format!("{id}/resolved"), title));
        let lines = self.resolved_lines.iter().enumerate();
        let lines = lines.map(move |(index, line)| (format!("{id}/resolved/{index}"), line));
        title.chain(lines)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct WindowText {
    pub(super) over: Spanned<String>,
    pub(super) kind: Option<Spanned<String>>,
    pub(super) every: Option<Spanned<String>>,
    pub(super) of: Option<Spanned<String>>,
    pub(super) distinct: Option<Spanned<String>>,
    pub(super) baseline: Option<Spanned<String>>,
    pub(super) measure: Option<Spanned<String>>,
    pub(super) having: Spanned<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SequenceText {
    pub(super) within: Spanned<String>,
    pub(super) step: Vec<Spanned<StepText>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StepText {
    pub(super) on: Option<Spanned<Patterns>>,
    pub(super) when: Option<Spanned<String>>,
    pub(super) group_by: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AbsenceText {
    #[serde(rename = "for")]
    pub(super) lasts: Spanned<String>,
    #[serde(default)]
    pub(super) keys: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FirstText {
    pub(super) over: Spanned<String>,
}

/// Keys of the tables of a rule.
const TABLES: [(&str, &[&str]); 4] = [
    ("window", &["over", "kind", "every", "of", "distinct", "baseline", "measure", "having"]),
    ("sequence", &["within", "step"]),
    ("absence", &["for", "keys"]),
    ("first", &["over"]),
];
const STEP_KEYS: &[&str] = &["on", "when", "group_by"];

/// Records unknown keys of a rule's tables, and removes them.
pub(in crate::rules) fn take_unknown_keys(
    rule: &mut toml::de::DeTable<'_>,
    source: SourceText<'_>,
    id: Option<&str>,
    problems: &mut Vec<RuleProblem>,
) {
    for (name, keys) in TABLES {
        let Some(DeValue::Table(table)) = rule.get_mut(name).map(Spanned::get_mut) else {
            continue;
        };
        take_unknown(table, keys, source, id, problems);
        let Some(DeValue::Array(steps)) = table.get_mut("step").map(Spanned::get_mut) else {
            continue;
        };
        for step in steps.iter_mut() {
            if let DeValue::Table(step) = step.get_mut() {
                take_unknown(step, STEP_KEYS, source, id, problems);
            }
        }
    }
}
