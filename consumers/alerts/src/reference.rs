//! The reference of what rules may name: fields of each kind, values of triggers, functions.

use std::{collections::BTreeSet, fmt::Write as _};

use crypto_intel_schemas::{Field, Kind};

use crate::{
    condition::{fields::fields_of, functions::FUNCTIONS, types::Type},
    rules::trigger::values::{absence_fields, sequence_fields, window_fields},
};

/// Fields that every event has: told once.
const EVERYWHERE: [&str; 5] = ["kind", "id", "source", "event_at_us", "observed_at_us"];

/// The reference as Markdown, made of the lists that rules are checked with.
#[must_use]
pub fn rules_reference() -> String {
    let mut text = "# Fields, values and functions of rules\n\n\
        Generated from the types by `make generate`; [the README of alerts](../consumers/alerts/README.md) says how rules are \
        written, [alerts](alerts.md) walks from a rule to its message. A field in italics may be absent: what depends on it is \
        then neither true nor false.\n\n## Fields\n\nEvery event has "
        .to_owned();
    let common = Kind::ALL.iter().flat_map(|kind| fields_of(*kind));
    let common: Vec<Field> = EVERYWHERE
        .iter()
        .filter_map(|name| common.clone().find(|field| field.name == *name))
        .collect();
    text.push_str(&listed(&common));
    text.push_str(", and those of its kind.\n\n| kind | on | fields |\n| --- | --- | --- |\n");
    for kind in Kind::ALL.iter().filter(|kind| kind.is_in_rules()) {
        let mut own = fields_of(*kind);
        own.retain(|field| !EVERYWHERE.contains(&field.name));
        let patterns: Vec<String> =
            kind.patterns().iter().map(|pattern| format!("`{pattern}`")).collect();
        let _ = writeln!(text, "| `{kind}` | {} | {} |", patterns.join(", "), listed(&own));
    }
    text.push_str("\n## Values of triggers\n\nIn `having` of a window, and in the templates of each trigger.\n\n");
    text.push_str("| trigger | values |\n| --- | --- |\n");
    for (trigger, fields) in [
        ("window", window_fields()),
        ("sequence", sequence_fields()),
        ("absence", absence_fields()),
    ] {
        let _ = writeln!(text, "| `{trigger}` | {} |", listed(&fields));
    }
    text.push_str("\n## Functions\n\n| function | what it says |\n| --- | --- |\n");
    let mut told = BTreeSet::new();
    for function in FUNCTIONS.iter().filter(|function| told.insert(function.usage)) {
        let usage = function.usage.replace('|', "\\|");
        let _ = writeln!(text, "| `{usage}` | {} |", function.about);
    }
    text
}

/// `chain` text, *`usd`* a double, …
fn listed(fields: &[Field]) -> String {
    let texts = fields.iter().map(|field| {
        let name = match field.optional {
            true => format!("*`{}`*", field.name),
            false => format!("`{}`", field.name),
        };
        format!("{name} {}", Type::of_field(field.field_type))
    });
    texts.collect::<Vec<_>>().join(", ")
}
