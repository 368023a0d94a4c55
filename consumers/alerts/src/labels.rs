//! Labels of alerts: what routes, silences and inhibitions match.

use crypto_intel_schemas::{Event, Labels};

use crate::{condition::fields::field_text, rules::Rule, template::clean::clean};

/// Characters of a label's text.
pub(crate) const MAX_LABEL_TEXT: usize = 120;

/// The values of `group_by` fields, as one text: a line for each, empty where the event lacks it.
pub(crate) fn group_of(names: &[String], event: &Event) -> String {
    let values = names.iter().map(|name| field_text(event, name).replace('\n', " "));
    values.collect::<Vec<_>>().join("\n")
}

/// Labels of an alert of `rule` about a group: those of the rule, the values of `group_by` by their fields' names, and
/// the chain.
pub(crate) fn labels_of(rule: &Rule, chain: Option<&str>, group: &str) -> Labels {
    let mut labels = rule.labels.clone();
    for (name, value) in rule.group_by.iter().zip(group.split('\n')) {
        let text = clean(value, MAX_LABEL_TEXT);
        if !text.is_empty() {
            labels.0.insert(name.clone(), text);
        }
    }
    if let Some(chain) = chain {
        labels.0.insert("chain".to_owned(), chain.to_owned());
    }
    labels
}
