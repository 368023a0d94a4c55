//! Telegram: HTML by the rules of its own parser.

use crypto_intel_schemas::Alert;

use super::{
    fit::{self, Markup, Plain, fitted, seen_length},
    layout::{self, DigestForm, Layout, Line, Span, digest_layout},
    voice::Voice,
};
use crate::channel::MessageContent;

/// Telegram bounds the text after its entities are parsed.
pub(crate) const TEXT_UNITS: usize = 4_096;
/// The same of the text below a picture.
pub(crate) const CAPTION_UNITS: usize = 1_024;
/// Lines of one digest that fit 4,096 units with titles of [`DIGEST`].
pub(crate) const MAX_DIGEST_ALERTS: usize = 40;
const DIGEST: DigestForm = DigestForm { lines: MAX_DIGEST_ALERTS, title_units: 70 };

/// The text for `parse_mode: HTML`.
pub(crate) fn html(layout: &Layout, budget: usize) -> String {
    fitted(layout, budget, &Html)
}

/// Whether all of it can stand below a picture.
pub(crate) fn fits_caption(layout: &Layout) -> bool {
    fit::fits(layout, CAPTION_UNITS, &Html)
}

/// The text without a `parse_mode`.
pub(crate) fn plain(layout: &Layout, budget: usize) -> String {
    fitted(layout, budget, &Plain)
}

/// How a message reads here.
pub(crate) fn layout(content: &MessageContent<'_>) -> Layout {
    layout::layout(content, DIGEST)
}

/// Whether a digest of these alerts shows each of them, also as a repeat.
pub(crate) fn takes_digest(alerts: &[Alert], voice: &Voice) -> bool {
    let layout = digest_layout(alerts, DIGEST, true, voice);
    fit::fits(&layout, TEXT_UNITS, &Html)
}

struct Html;

impl Markup for Html {
    fn line(&self, line: &Line) -> String {
        line.iter()
            .map(|span| match span {
                Span::Text(text) => escape(text),
                Span::Bold(text) => format!("<b>{}</b>", escape(text)),
                Span::Link { label, url } => {
                    format!("<a href=\"{}\">{}</a>", escape(url), escape(label))
                }
            })
            .collect()
    }

    fn length(&self, line: &Line) -> usize {
        seen_length(line)
    }
}

/// The parser decodes only these four names, and decodes them even without the semicolon: `&` is
/// escaped always.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::{
        super::{layout::alert_layout, samples, text::utf16_len},
        *,
    };

    /// A model of the service's parser: the text that people see, and the addresses of links.
    fn parse(html: &str) -> Result<(String, Vec<String>), String> {
        let (mut seen, mut urls, mut open) = (String::new(), Vec::new(), Vec::new());
        let mut rest = html;
        while let Some(at) = rest.find(['<', '&']) {
            seen.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(tail) = rest.strip_prefix('&') {
                rest = entity(tail, &mut seen);
                continue;
            }
            let end = rest.find('>').ok_or("unclosed tag")?;
            match &rest[1..end] {
                "b" => open.push("b"),
                tag if tag.starts_with("a href=\"") => {
                    let mut url = String::new();
                    let raw = tag["a href=\"".len()..].strip_suffix('"').ok_or("bad attribute")?;
                    let mut raw = raw;
                    while let Some(at) = raw.find('&') {
                        url.push_str(&raw[..at]);
                        raw = entity(&raw[at + 1..], &mut url);
                    }
                    url.push_str(raw);
                    urls.push(url);
                    open.push("a");
                }
                tag if tag.strip_prefix('/').is_some_and(|name| open.last() == Some(&name)) => {
                    open.pop();
                }
                tag => return Err(format!("unsupported tag {tag:?}")),
            }
            rest = &rest[end + 1..];
        }
        seen.push_str(rest);
        if open.is_empty() { Ok((seen, urls)) } else { Err("unclosed entity".to_owned()) }
    }

    /// As the service does it: four names, the semicolon optional, anything else is literal.
    fn entity<'a>(tail: &'a str, into: &mut String) -> &'a str {
        for (name, character) in [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')] {
            if let Some(rest) = tail.strip_prefix(name) {
                into.push(character);
                return rest.strip_prefix(';').unwrap_or(rest);
            }
        }
        into.push('&');
        tail
    }

    fn seen(layout: &Layout) -> String {
        let mut lines: Vec<&Line> = layout.head.iter().chain(&layout.body).collect();
        lines.push(&layout.foot);
        lines
            .iter()
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
        let html = html(&alert_layout(&samples::alert(), false, &Voice::default()), TEXT_UNITS);
        assert_eq!(
            html,
            "🚨 <b>12,500,000 USDC ($12.50M) → Binance</b>\n\
             from 0x28c6…1d60 to Binance 14\n\
             <a href=\"https://etherscan.io/tx/0x1?a=1&amp;b=2\">tx</a>\n\
             whale-inflow #K7Q2A"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_people_see_is_what_was_meant(alert in samples::hostile(), repeat: bool) {
            let mut alert = alert;
            alert.links.clear();
            let layout = alert_layout(&alert, repeat, &Voice::default());
            let (text, urls) = parse(&html(&layout, TEXT_UNITS)).map_err(TestCaseError::fail)?;
            prop_assert_eq!(text, seen(&layout));
            prop_assert!(urls.is_empty());
        }

        #[test]
        fn links_lead_where_they_say(alert in samples::hostile()) {
            let layout = alert_layout(&alert, false, &Voice::default());
            let (text, urls) = parse(&html(&layout, TEXT_UNITS)).map_err(TestCaseError::fail)?;
            let meant: Vec<String> = layout.links.iter().filter_map(|span| match span {
                Span::Link { url, .. } => Some(url.clone()),
                _ => None,
            }).collect();
            prop_assert_eq!(urls, meant);
            prop_assert!(utf16_len(&text) <= TEXT_UNITS);
        }

        #[test]
        fn long_messages_fit_and_keep_first_and_last_line(alert in samples::long()) {
            let layout = alert_layout(&alert, true, &Voice::default());
            let (text, _) = parse(&html(&layout, TEXT_UNITS)).map_err(TestCaseError::fail)?;
            prop_assert!(utf16_len(&text) <= TEXT_UNITS);
            prop_assert!(text.starts_with('↻') && text.ends_with("whale-inflow #K7Q2A"));
            prop_assert!(utf16_len(&plain(&layout, TEXT_UNITS)) <= TEXT_UNITS);
        }
    }

    #[test]
    fn a_full_digest_fits_with_every_code() {
        let alerts = samples::many(MAX_DIGEST_ALERTS);
        let layout = digest_layout(&alerts, DIGEST, true, &Voice::default());
        let (text, _) = parse(&html(&layout, TEXT_UNITS)).unwrap();
        assert!(utf16_len(&text) <= TEXT_UNITS);
        for alert in &alerts {
            assert!(text.contains(&format!("#{}", alert.code)), "{}", alert.code);
        }
    }
}
