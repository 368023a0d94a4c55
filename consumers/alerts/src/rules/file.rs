//! The form of a rule file.

use std::collections::BTreeMap;

use crypto_intel_schemas::Severity;
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::{
    nearest::correction,
    rules::{
        example::{EXAMPLE_KEYS, ExampleText},
        patterns::Patterns,
        problem::{RuleProblem, SourceText},
        trigger::{TriggerText, take_unknown_keys},
        unpriced::Unpriced,
    },
};

/// A rule as it is written. `README.md` documents every key.
#[derive(Debug, Deserialize)]
pub(super) struct RuleText {
    pub(super) id: Spanned<String>,
    /// For people only.
    pub(super) description: Option<String>,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    pub(super) on: Spanned<Patterns>,
    pub(super) when: Option<Spanned<String>>,
    pub(super) unpriced: Option<Spanned<Unpriced>>,
    #[serde(default)]
    pub(super) severity: Severity,
    pub(super) cooldown: Option<Spanned<String>>,
    pub(super) larger_passes: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) group_by: Vec<Spanned<String>>,
    pub(super) max_event_age: Option<Spanned<String>>,
    /// Read on its own.
    #[serde(skip)]
    pub(super) trigger: TriggerText,
    pub(super) title: Spanned<String>,
    #[serde(default)]
    pub(super) lines: Vec<Spanned<String>>,
    pub(super) links: Option<Vec<LinkText>>,
    #[serde(default)]
    pub(super) labels: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pub(super) routes: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) example: Vec<Spanned<ExampleText>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LinkText {
    pub(super) label: Spanned<String>,
    pub(super) url: Spanned<String>,
}

/// Keys of a file, of a rule and of a link: what "did you mean" chooses from.
const FILE_KEYS: &[&str] = &["rule"];
const LINK_KEYS: &[&str] = &["label", "url"];
const RULE_KEYS: &[&str] = &[
    "id",
    "description",
    "enabled",
    "on",
    "when",
    "unpriced",
    "severity",
    "cooldown",
    "larger_passes",
    "group_by",
    "max_event_age",
    "trigger",
    "window",
    "sequence",
    "absence",
    "first",
    "for",
    "keep_firing_for",
    "resolve_when",
    "resolved_title",
    "resolved_lines",
    "finality",
    "agreed",
    "confirmations",
    "title",
    "lines",
    "links",
    "labels",
    "routes",
    "example",
];

/// The rules of a file as they are written. What is wrong with a key or a value is noted, and the
/// rest is read as if it were not there: one mistake does not hide the others.
pub(super) fn read(source: SourceText<'_>, problems: &mut Vec<RuleProblem>) -> Vec<RuleText> {
    let mut table = match DeTable::parse(source.text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            report(source, None, &error, problems);
            return Vec::new();
        }
    };
    take_unknown(&mut table, FILE_KEYS, source, None, problems);
    let rules = table.into_iter().next().map(|(_, rules)| rules);
    let Some(rules) = rules else { return Vec::new() };
    let span = rules.span();
    let DeValue::Array(rules) = rules.into_inner() else {
        let message = "`rule` is a list of tables".to_owned();
        problems.push(source.at(span, None, message, Some("write [[rule]]".to_owned())));
        return Vec::new();
    };
    rules.into_iter().filter_map(|rule| read_rule(rule, source, problems)).collect()
}

fn read_rule(
    mut rule: Spanned<DeValue<'_>>,
    source: SourceText<'_>,
    problems: &mut Vec<RuleProblem>,
) -> Option<RuleText> {
    let id = rule.get_ref().get("id").and_then(|id| id.get_ref().as_str()).map(str::to_owned);
    let id = id.as_deref();
    if let DeValue::Table(table) = rule.get_mut() {
        take_unknown(table, RULE_KEYS, source, id, problems);
        take_unknown_keys(table, source, id, problems);
        for (key, known) in [("links", LINK_KEYS), ("example", EXAMPLE_KEYS)] {
            let Some(DeValue::Array(items)) = table.get_mut(key).map(Spanned::get_mut) else {
                continue;
            };
            for item in items.iter_mut() {
                if let DeValue::Table(item) = item.get_mut() {
                    take_unknown(item, known, source, id, problems);
                }
            }
        }
    }
    let trigger = read_as::<TriggerText>(&mut rule, source, id, problems)?;
    let text = read_as::<RuleText>(&mut rule, source, id, problems)?;
    Some(RuleText { trigger, ..text })
}

/// Reads a part of a rule's keys, without those whose values are wrong.
fn read_as<T: for<'de> Deserialize<'de>>(
    rule: &mut Spanned<DeValue<'_>>,
    source: SourceText<'_>,
    id: Option<&str>,
    problems: &mut Vec<RuleProblem>,
) -> Option<T> {
    loop {
        let error = match T::deserialize(ValueDeserializer::from(rule.clone())) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        report(source, id, &error, problems);
        let place = error.span().map(|span| span.start)?;
        let DeValue::Table(table) = rule.get_mut() else { return None };
        let wrong = table
            .iter()
            .find(|(key, value)| value.span().contains(&place) && !is_required(key.get_ref()))
            .map(|(key, _)| key.get_ref().to_string())?;
        table.remove(wrong.as_str());
    }
}

fn is_required(key: &str) -> bool {
    matches!(key, "id" | "on" | "title")
}

/// Records the unknown keys, and removes them.
pub(super) fn take_unknown(
    table: &mut DeTable<'_>,
    known: &[&str],
    source: SourceText<'_>,
    rule: Option<&str>,
    problems: &mut Vec<RuleProblem>,
) {
    let mut unknown: Vec<(std::ops::Range<usize>, String)> = table
        .keys()
        .filter(|key| !known.contains(&key.get_ref().as_ref()))
        .map(|key| (key.span(), key.get_ref().to_string()))
        .collect();
    unknown.sort_by_key(|(span, _)| span.start);
    for (span, key) in unknown {
        table.remove(key.as_str());
        let hint = correction(&key, known.iter().copied());
        problems.push(source.at(span, rule, format!("unknown field `{key}`"), Some(hint)));
    }
}

fn report(
    source: SourceText<'_>,
    rule: Option<&str>,
    error: &toml::de::Error,
    problems: &mut Vec<RuleProblem>,
) {
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    problems.push(source.at(error.span().unwrap_or(0..0), rule, message, None));
}

fn yes() -> bool {
    true
}

/// Reads `90s`, `5m`, `1h30m`, `2d`, `250ms` as microseconds.
pub(super) fn parse_duration_us(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_length =
            rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let factor: i64 = match rest[..unit_length].trim() {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return None,
        };
        rest = &rest[unit_length..];
        total = total.checked_add(number.checked_mul(factor)?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(parse_duration_us("90s"), Some(90_000_000));
        assert_eq!(parse_duration_us("1h30m"), Some(5_400_000_000));
        assert_eq!(parse_duration_us("0s"), Some(0));
        for refused in ["", "5", "m", "5 minutes", "-5m", "1.5h", "99999999999999999d"] {
            assert_eq!(parse_duration_us(refused), None, "{refused}");
        }
    }
}
