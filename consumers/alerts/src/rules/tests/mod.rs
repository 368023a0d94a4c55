#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fields;
mod files;
mod index;
mod problems;
mod shipped;

use crypto_intel_schemas::Event;

use super::*;
use crate::condition::{Variables, Verdict};

/// A rule with these lines, and what every rule needs where they do not say it.
fn rule(lines: &str) -> String {
    let mut text = String::from("[[rule]]\n");
    for (key, default) in
        [("id", "id = 'test'"), ("on", "on = 'evm.*.transfer.erc20'"), ("title", "title = 'x'")]
    {
        if !lines.lines().any(|line| line.starts_with(&format!("{key} ="))) {
            text.push_str(default);
            text.push('\n');
        }
    }
    text + lines
}

/// The set of one file.
fn parse(text: &str) -> RuleSet {
    RuleSet::parse(&[("rules/test.toml", text)], None)
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// What the condition of a rule says of an event.
fn verdict(rules: &RuleSet, rule: &Rule, event: &Event) -> Verdict {
    with_variables(rules, event, |context, variables| rule.condition.evaluate(context, variables))
}

/// Calls with what conditions see of an event.
fn with_variables<T>(
    rules: &RuleSet,
    event: &Event,
    see: impl FnOnce(&cel::Context<'_, '_>, &Variables<'_>) -> T,
) -> T {
    let variables = Variables::new(event);
    let mut context = cel::Context::with_env(Arc::clone(&rules.conditions));
    context.set_variable_resolver(&variables);
    see(&context, &variables)
}

/// The title of a rule's message about an event.
fn title(rules: &RuleSet, rule: &Rule, event: &Event) -> String {
    let values = template::values_of(event, &rule.fields);
    rule.message.render(&rules.templates, &values).unwrap().title
}
