//! Discord: markdown with everything special escaped.

use crypto_intel_schemas::Alert;

use super::{
    fit::{self, Markup, fitted},
    layout::{self, DigestForm, Layout, Line, Span, digest_layout},
    text::utf16_len,
    voice::Voice,
};
use crate::channel::MessageContent;

/// Discord bounds `content` as it is written, with its markup.
const BUDGET_UNITS: usize = 2_000;
/// Lines of one digest that fit 2,000 units with titles of [`DIGEST`], all escaped.
pub(crate) const MAX_DIGEST_ALERTS: usize = 12;
const DIGEST: DigestForm = DigestForm { lines: MAX_DIGEST_ALERTS, title_units: 40 };

/// The text of `content`. Without `links` their labels stay: for a channel that blocks addresses.
pub(crate) fn markdown(layout: &Layout, links: bool) -> String {
    fitted(layout, BUDGET_UNITS, &Markdown { links })
}

/// How a message reads here.
pub(crate) fn layout(content: &MessageContent<'_>) -> Layout {
    layout::layout(content, DIGEST)
}

/// Whether a digest of these alerts shows each of them, also as a repeat.
pub(crate) fn takes_digest(alerts: &[Alert], voice: &Voice) -> bool {
    let layout = digest_layout(alerts, DIGEST, true, voice);
    fit::fits(&layout, BUDGET_UNITS, &Markdown { links: true })
}

struct Markdown {
    links: bool,
}

impl Markup for Markdown {
    fn line(&self, line: &Line) -> String {
        line.iter()
            .map(|span| match span {
                Span::Text(text) => escape(text),
                Span::Bold(text) => format!("**{}**", escape(text)),
                // In angle brackets an address may hold parentheses and unfolds no preview.
                Span::Link { label, url } if self.links => {
                    format!("[{}](<{}>)", escape(label), url.replace('>', "%3E"))
                }
                Span::Link { label, .. } => escape(label),
            })
            .collect()
    }

    fn length(&self, line: &Line) -> usize {
        utf16_len(&self.line(line))
    }
}

/// A backslash makes any punctuation literal. A zero-width space behind `@` breaks `@everyone`,
/// which no backslash does; clean text holds no other one.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if matches!(
            character,
            '\\' | '*'
                | '_'
                | '~'
                | '|'
                | '>'
                | '<'
                | '#'
                | '-'
                | '['
                | ']'
                | '('
                | ')'
                | ':'
                | '`'
        ) {
            escaped.push('\\');
        }
        escaped.push(character);
        if character == '@' {
            escaped.push('\u{200b}');
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{layout::alert_layout, samples},
        *,
    };

    /// A model of the client: what people see of text without links.
    fn parse(markdown: &str) -> Result<String, String> {
        let mut seen = String::new();
        let mut characters = markdown.chars().peekable();
        let mut bold = false;
        while let Some(character) = characters.next() {
            match character {
                '\\' => seen.push(characters.next().ok_or("lone backslash at the end")?),
                '*' if characters.next_if_eq(&'*').is_some() => bold = !bold,
                '@' if characters.next_if_eq(&'\u{200b}').is_some() => seen.push('@'),
                '*' | '_' | '~' | '|' | '`' | '<' | '[' | '@' => {
                    return Err(format!("unescaped {character:?}"));
                }
                _ => seen.push(character),
            }
        }
        if bold { Err("unclosed bold".to_owned()) } else { Ok(seen) }
    }

    fn seen(layout: &Layout) -> String {
        let lines = layout.head.iter().chain(&layout.body).chain([&layout.foot]);
        lines
            .map(|line| {
                line.iter()
                    .map(|span| match span {
                        Span::Text(text) | Span::Bold(text) => text.as_str(),
                        Span::Link { label, .. } => label.as_str(),
                    })
                    .collect::<String>()
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn reads_as_designed() {
        let layout = alert_layout(&samples::alert(), false, &Voice::default());
        assert_eq!(
            markdown(&layout, true),
            "🚨 **12,500,000 USDC \\($12.50M\\) → Binance**\n\
             from 0x28c6…1d60 to Binance 14\n\
             [tx](<https://etherscan.io/tx/0x1?a=1&b=2>)\n\
             whale\\-inflow \\#K7Q2A"
        );
        assert!(!markdown(&layout, false).contains("etherscan"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_people_see_is_what_was_meant(alert in samples::hostile(), repeat: bool) {
            let mut alert = alert;
            alert.links.clear();
            let layout = alert_layout(&alert, repeat, &Voice::default());
            let markdown = markdown(&layout, true);
            prop_assert!(!markdown.contains("@everyone") && !markdown.contains("@here"));
            prop_assert_eq!(parse(&markdown).map_err(TestCaseError::fail)?, seen(&layout));
        }

        #[test]
        fn long_messages_fit_and_keep_first_and_last_line(alert in samples::long()) {
            let markdown = markdown(&alert_layout(&alert, true, &Voice::default()), true);
            prop_assert!(utf16_len(&markdown) <= BUDGET_UNITS);
            prop_assert!(markdown.starts_with('↻'));
            prop_assert!(markdown.ends_with("whale\\-inflow \\#K7Q2A"));
        }
    }

    #[test]
    fn a_full_digest_fits_with_every_code() {
        let alerts = samples::many(MAX_DIGEST_ALERTS);
        let layout = digest_layout(&alerts, DIGEST, true, &Voice::default());
        let markdown = markdown(&layout, true);
        assert!(utf16_len(&markdown) <= BUDGET_UNITS);
        for alert in &alerts {
            assert!(markdown.contains(&format!("#{}", alert.code)), "{}", alert.code);
        }
    }
}
