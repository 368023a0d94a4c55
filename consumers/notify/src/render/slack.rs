//! Slack: blocks whose texts are literal, so that nothing in them is markup; only links need it.

use crypto_intel_schemas::Alert;
use serde_json::{Value, json};

use super::{
    fit::{self, Markup, Plain, fitted, shrunk},
    layout::{self, DigestForm, Layout, Line, Span, digest_layout},
    text::{clean_to, utf16_len},
    voice::Voice,
};
use crate::channel::MessageContent;

/// All blocks of a message together; above about 13,200 Slack refuses it.
const BUDGET_UNITS: usize = 12_000;
const SECTION_UNITS: usize = 3_000;
const HEADER_UNITS: usize = 150;
/// Notifications and clients without blocks show this much.
const FALLBACK_UNITS: usize = 400;
/// Lines of one digest that fit [`BUDGET_UNITS`] with titles of [`DIGEST`].
pub(crate) const MAX_DIGEST_ALERTS: usize = 60;
const DIGEST: DigestForm = DigestForm { lines: MAX_DIGEST_ALERTS, title_units: 70 };

/// How a message reads here.
pub(crate) fn layout(content: &MessageContent<'_>) -> Layout {
    layout::layout(content, DIGEST)
}

/// Whether a digest of these alerts shows each of them, also as a repeat.
pub(crate) fn takes_digest(alerts: &[Alert], voice: &Voice) -> bool {
    let layout = digest_layout(alerts, DIGEST, true, voice);
    fit::fits(&layout, BUDGET_UNITS, &Mrkdwn)
}

/// What a notification shows.
pub(crate) fn fallback(layout: &Layout) -> String {
    let lines: Vec<String> = layout.head.iter().map(words).collect();
    escape(&clean_to(&lines.join(" "), FALLBACK_UNITS))
}

/// The message without blocks.
pub(crate) fn plain(layout: &Layout) -> String {
    escape(&fitted(layout, BUDGET_UNITS / 4, &Plain))
}

/// The message's blocks.
pub(crate) fn blocks(layout: &Layout) -> Value {
    let mut layout = layout.clone();
    while utf16_len(&links(&layout.links)) > SECTION_UNITS {
        layout.links.pop();
    }
    let shrunk = shrunk(&layout, BUDGET_UNITS, &Mrkdwn);
    let mut blocks = Vec::new();
    for line in &layout.head {
        let text = words(line);
        let kind = if utf16_len(&text) <= HEADER_UNITS { "header" } else { "section" };
        blocks.push(json!({ "type": kind, "text": literal(&text) }));
    }
    for text in sections(&shrunk.body) {
        blocks.push(json!({ "type": "section", "text": literal(&text) }));
    }
    if !shrunk.links.is_empty() {
        let text = json!({ "type": "mrkdwn", "text": links(&shrunk.links), "verbatim": true });
        blocks.push(json!({ "type": "section", "text": text }));
    }
    blocks.push(json!({ "type": "context", "elements": [literal(&words(&layout.foot))] }));
    Value::from(blocks)
}

fn literal(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// Lines in as few sections as take them.
fn sections(lines: &[Line]) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in lines {
        let text = words(line);
        match sections.last_mut() {
            Some(last) if utf16_len(last) + 1 + utf16_len(&text) <= SECTION_UNITS => {
                last.push('\n');
                last.push_str(&text);
            }
            _ => sections.push(text),
        }
    }
    sections
}

fn words(line: &Line) -> String {
    let texts = line.iter().map(|span| match span {
        Span::Text(text) | Span::Bold(text) => text.as_str(),
        Span::Link { label, .. } => label.as_str(),
    });
    texts.collect()
}

fn links(line: &Line) -> String {
    let texts: Vec<String> = line
        .iter()
        .map(|span| match span {
            Span::Text(text) | Span::Bold(text) => escape(text),
            // What ends the address or begins the label may not stand in them.
            Span::Link { label, url } => {
                let url = escape(url).replace('|', "%7C");
                format!("<{url}|{}>", escape(label).replace('|', "¦"))
            }
        })
        .collect();
    texts.join(" · ")
}

/// Slack decodes only these three.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The upper bound of a line's length in any of its forms.
struct Mrkdwn;

impl Markup for Mrkdwn {
    fn line(&self, line: &Line) -> String {
        links(line)
    }

    fn length(&self, line: &Line) -> usize {
        utf16_len(&links(line))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{layout::alert_layout, samples},
        *,
    };

    /// The lengths of all texts, or what Slack would refuse.
    fn check(blocks: &Value) -> Result<usize, String> {
        let blocks = blocks.as_array().ok_or("no list")?;
        if blocks.len() > 50 {
            return Err(format!("{} blocks", blocks.len()));
        }
        let mut sum = 0;
        for block in blocks {
            let text =
                if block["type"] == "context" { &block["elements"][0] } else { &block["text"] };
            let units = text["text"].as_str().unwrap_or_default().encode_utf16().count();
            let most = if block["type"] == "header" { 150 } else { 3_000 };
            if units == 0 || units > most {
                return Err(format!("{units} units in a {}", block["type"]));
            }
            sum += units;
        }
        Ok(sum)
    }

    #[test]
    fn reads_as_designed() {
        let blocks = blocks(&alert_layout(&samples::alert(), false, &Voice::default()));
        assert_eq!(blocks[0]["type"], "header");
        assert_eq!(blocks[0]["text"]["text"], "🚨 12,500,000 USDC ($12.50M) → Binance");
        assert_eq!(blocks[1]["text"]["text"], "from 0x28c6…1d60 to Binance 14");
        assert_eq!(blocks[2]["text"]["text"], "<https://etherscan.io/tx/0x1?a=1&amp;b=2|tx>");
        assert_eq!(blocks[3]["elements"][0]["text"], "whale-inflow #K7Q2A");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn blocks_are_within_the_limits(alert in samples::long()) {
            let layout = alert_layout(&alert, true, &Voice::default());
            let sum = check(&blocks(&layout)).map_err(TestCaseError::fail)?;
            prop_assert!(sum <= 13_200, "{sum}");
        }

        #[test]
        fn hostile_text_is_shown_as_it_is(alert in samples::hostile()) {
            let layout = alert_layout(&alert, false, &Voice::default());
            let blocks = blocks(&layout);
            check(&blocks).map_err(TestCaseError::fail)?;
            let literal = blocks.as_array().into_iter().flatten().all(|block| {
                block["type"] == "context" || block["text"]["type"] == "plain_text"
                    || block["text"]["text"].as_str().is_some_and(|text| text.matches('<').count() == text.matches('>').count())
            });
            prop_assert!(literal, "{blocks}");
        }
    }

    #[test]
    fn a_full_digest_fits_with_every_code() {
        let alerts = samples::many(MAX_DIGEST_ALERTS);
        let layout = digest_layout(&alerts, DIGEST, true, &Voice::default());
        let text = blocks(&layout).to_string();
        for alert in &alerts {
            assert!(text.contains(&format!("#{}", alert.code)), "{}", alert.code);
        }
    }
}
