//! What the stored groups of a rule depend on: where a changed rule differs in it, its groups begin again, and what it
//! told is ended. What only decides what they mean (`having`, `for`, messages) is not in it.

use crate::{
    engine::keys::short_hash,
    rules::{
        Rule,
        trigger::{Sequence, Trigger, ValueOf, Window},
    },
};

impl Rule {
    /// Hash of what its groups depend on; 0 for a rule without any.
    pub(super) fn form(&self) -> u64 {
        let trigger = match &self.trigger {
            Trigger::Event if self.lasting.is_none() => return 0,
            // The newest event decides, and one that is new to the rule comes soon.
            Trigger::Event => "event".to_owned(),
            // Were they to begin again, every group would be a first one.
            Trigger::First { .. } => "first".to_owned(),
            Trigger::Absence(_) => "absence".to_owned(),
            Trigger::Sequence(sequence) => {
                format!("{}\n{}", self.events(), form_of_sequence(sequence))
            }
            Trigger::Window(window) => format!("{}\n{}", self.events(), form_of_window(window)),
        };
        short_hash(&format!("{trigger}\n{:?}", self.group_by))
    }

    /// The events that are counted.
    fn events(&self) -> String {
        format!("{:?} {} {:?}", self.on, self.condition.text(), self.unpriced)
    }
}

fn form_of_sequence(sequence: &Sequence) -> String {
    let steps = sequence.steps.iter();
    let steps: Vec<String> = steps
        .map(|step| format!("{:?} {} {:?}", step.on, step.condition.text(), step.group_by))
        .collect();
    format!("sequence {}", steps.join("\n"))
}

fn form_of_window(window: &Window) -> String {
    let of = match &window.of {
        Some(ValueOf::Field(name)) => name.as_str(),
        Some(ValueOf::Expression(expression)) => expression.text(),
        None => "",
    };
    let Window { over_us, step_us, distinct, percentiles, baseline, .. } = window;
    format!("window {over_us} {step_us} {of} {distinct:?} {percentiles:?} {baseline:?}")
}
