//! Which stream the patterns of a rule read.

use crypto_intel_schemas::patterns::is_pattern;
use toml::Spanned;

use crate::{
    nearest::{correction, did_you_mean},
    rules::check::RuleCheck,
    streams::{self, RuleStream},
};

impl RuleCheck<'_> {
    /// The stream that all patterns read.
    pub(super) fn check_patterns(&mut self, on: &[Spanned<String>]) -> Option<RuleStream> {
        let [first, ..] = on else {
            let hint = "a list such as [\"evm.*.transfer.>\", \"evm.*.approval\"]";
            self.report(&self.text.on, "`on` names no subject", Some(hint.to_owned()));
            return None;
        };
        let streams: Vec<Option<RuleStream>> =
            on.iter().map(|pattern| self.check_pattern(pattern)).collect();
        let stream = streams[0]?;
        for (pattern, other) in on.iter().zip(&streams).skip(1) {
            let other = (*other)?;
            if other != stream {
                let message = format!(
                    "{:?} is of the stream {}, {:?} of {}",
                    first.get_ref(),
                    stream.name(),
                    pattern.get_ref(),
                    other.name()
                );
                let hint = "a rule reads one stream: write one rule for each";
                self.report(pattern, message, Some(hint.to_owned()));
                return None;
            }
        }
        Some(stream)
    }

    fn check_pattern(&mut self, on: &Spanned<String>) -> Option<RuleStream> {
        let pattern = on.get_ref();
        if !is_pattern(pattern) {
            let message = format!("{pattern:?} is no subject pattern");
            let hint = "tokens between dots, * for one token, > for the rest: evm.*.transfer.erc20";
            self.report(on, message, Some(hint.to_owned()));
            return None;
        }
        let prefix = pattern.split('.').next().unwrap_or_default();
        let Some(stream) = streams::stream_of_pattern(pattern) else {
            let hint = match prefix {
                "watch" => "watched events are on evm.… too: write `on = \"evm.*.transfer.erc20\"` and `size(watched) > 0`".to_owned(),
                "*" | ">" => format!(
                    "a rule reads one stream: begin with one of {}",
                    streams::readable_prefixes().join(", ")
                ),
                _ => did_you_mean(prefix, streams::readable_prefixes()).unwrap_or_else(|| {
                    format!("subjects begin with one of: {}", streams::readable_prefixes().join(", "))
                }),
            };
            self.report(on, format!("rules cannot read {pattern:?}"), Some(hint));
            return None;
        };
        if streams::kinds_of_pattern(pattern).is_empty() {
            let examples = streams::example_patterns();
            let hint = correction(pattern, examples.iter().map(String::as_str));
            self.report(on, format!("no kind of event is on {pattern:?}"), Some(hint));
            return None;
        }
        Some(stream)
    }
}
