//! What a rule does with an event whose amount in dollars is unknown.

use cel::Context;
use crypto_intel_schemas::Event;
use serde::{Deserialize, Serialize};

use crate::{
    condition::{Price, Variables, Verdict},
    rules::Rule,
};

/// `unpriced` of a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unpriced {
    /// It does not fire, and counts it.
    #[default]
    Skip,
    /// It fires, if it would at some price.
    Fire,
    /// The same, and the message says that it is unpriced.
    Mark,
}

impl Rule {
    /// What the rule says about the event behind `variables`.
    pub(crate) fn verdict(&self, context: &Context<'_, '_>, variables: &Variables<'_>) -> Verdict {
        variables.forget_price();
        let verdict = self.condition.evaluate(context, variables);
        if verdict != Verdict::Absent || !variables.lacks_price() {
            return verdict;
        }
        let fires_at = |price| {
            variables.suppose(price);
            let verdict = self.condition.evaluate(context, variables);
            variables.suppose(Price::Unknown);
            verdict == Verdict::Match
        };
        match self.unpriced {
            Unpriced::Skip => Verdict::Unpriced,
            Unpriced::Fire | Unpriced::Mark
                if fires_at(Price::Highest) || fires_at(Price::Zero) =>
            {
                Verdict::Match
            }
            Unpriced::Fire | Unpriced::Mark => Verdict::Absent,
        }
    }

    /// Whether the message about an event must say that it is unpriced.
    pub(crate) fn marks_unpriced(&self, event: &Event) -> bool {
        self.unpriced == Unpriced::Mark && self.condition.prices().are_unknown(event)
    }
}
