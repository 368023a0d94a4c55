//! How many operators of endpoints must know a block.

use crate::{rules::check::RuleCheck, streams::RuleStream};

/// More than any chain has operators of endpoints.
const MAX_OPERATORS: usize = 16;

impl RuleCheck<'_> {
    /// Operators that must have announced a block before the rule hears of its events.
    pub(super) fn agreed(&mut self, stream: RuleStream) -> usize {
        let Some(agreed) = &self.text.trigger.agreed else { return 1 };
        let place = agreed.span();
        if stream != RuleStream::Evm {
            let message = format!("what is on {} is in no block", stream.name());
            self.report_at(place, message, Some("leave `agreed` out".to_owned()));
        } else if !(1..=MAX_OPERATORS).contains(agreed.get_ref()) {
            let message = format!("`agreed` is 1 to {MAX_OPERATORS} operators");
            self.report_at(place, message, None);
        }
        *agreed.get_ref()
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::RuleSet;

    #[test]
    fn only_blocks_are_agreed_on_and_by_as_many_as_there_may_be() {
        for (on, agreed, expected) in [
            ("evm.*.block", "2", None),
            ("evm.*.block", "0", Some("`agreed` is 1 to 16 operators")),
            ("evm.*.block", "17", Some("`agreed` is 1 to 16 operators")),
            ("market.price.*", "2", Some("what is on MARKET is in no block")),
        ] {
            let rule = format!("[[rule]]\nid = 'a'\non = '{on}'\ntitle = 'x'\nagreed = {agreed}\n");
            let problem = RuleSet::parse(&[("t.toml", rule.as_str())], None).err();
            let message = problem.map(|problems| problems[0].message.clone());
            assert_eq!(message.as_deref(), expected, "{on} {agreed}");
        }
    }
}
