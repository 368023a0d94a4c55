//! Discord: a headline, and an embed with the rest; markdown with everything special escaped.

use crypto_intel_schemas::{Alert, AlertState, Severity};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    fit::{self, Markup, fitted, shrunk},
    layout::{self, DigestForm, Layout, Line, Span, digest_layout},
    text::{clean_to, utf16_len},
    voice::Voice,
};
use crate::channel::{MessageContent, Place};

/// Discord bounds `content` as it is written, with its markup.
const BUDGET_UNITS: usize = 2_000;
/// The same for the description of an embed. With fields and foot it is below the 6,000 of all embeds together.
const DESCRIPTION_UNITS: usize = 4_096;
/// Lines of one digest that fit a description with titles of [`DIGEST`], all escaped.
pub(crate) const MAX_DIGEST_ALERTS: usize = 30;
const DIGEST: DigestForm = DigestForm { lines: MAX_DIGEST_ALERTS, title_units: 50 };
/// Labels that are shown as fields.
const MAX_FIELDS: usize = 6;
const FIELD_NAME_UNITS: usize = 40;
const FIELD_UNITS: usize = 100;
/// The stripe at the side.
const RED: u32 = 0x00d9_3025;
const AMBER: u32 = 0x00f2_a600;
const BLUE: u32 = 0x0034_78f6;
const GREEN: u32 = 0x002e_9e4f;
const GREY: u32 = 0x0080_868b;

/// All of it in `content`. Without `links` their labels stay: for a channel that blocks addresses.
pub(crate) fn markdown(layout: &Layout, links: bool) -> String {
    fitted(layout, BUDGET_UNITS, &Markdown { links })
}

/// The first lines, which a notification shows.
pub(crate) fn headline(layout: &Layout) -> String {
    let lines: Vec<String> = layout.head.iter().map(|line| MARKDOWN.line(line)).collect();
    lines.join("\n")
}

/// What is below the headline.
pub(crate) fn embed(layout: &Layout, content: &MessageContent<'_>) -> Value {
    let mut embed = json!({ "color": colour(content) });
    let description = description(layout);
    if !description.is_empty() {
        embed["description"] = description.into();
    }
    let foot = fit::Plain.line(&layout.timeless_foot);
    embed["footer"] = json!({ "text": foot });
    let is_brief = matches!(content.place, Place::Reply { is_edited: true, .. });
    let [alert] = content.alerts else { return embed };
    if let Ok(time) = Timestamp::from_microsecond(alert.event_at_us)
        && alert.event_at_us > 0
    {
        embed["timestamp"] = time.to_string().into();
    }
    let fields = fields(alert);
    if !is_brief && !fields.is_empty() {
        embed["fields"] = fields.into();
    }
    embed
}

fn description(layout: &Layout) -> String {
    let rest = Layout { head: Vec::new(), foot: Line::new(), ..layout.clone() };
    let fit::Shrunk { body, links } = shrunk(&rest, DESCRIPTION_UNITS, &MARKDOWN);
    let mut lines: Vec<String> = body.iter().map(|line| MARKDOWN.line(line)).collect();
    let links: Vec<String> = links.into_iter().map(|link| MARKDOWN.line(&vec![link])).collect();
    if !links.is_empty() {
        lines.push(links.join(" · "));
    }
    lines.join("\n")
}

/// What the alert is about, beside its chain's and rule's names in the text.
fn fields(alert: &Alert) -> Vec<Value> {
    let labels = alert.labels.0.iter().take(MAX_FIELDS);
    let labels = labels
        .map(|(name, value)| (clean_to(name, FIELD_NAME_UNITS), clean_to(value, FIELD_UNITS)));
    let seen = labels.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    seen.map(
        |(name, value)| json!({ "name": escape(&name), "value": escape(&value), "inline": true }),
    )
    .collect()
}

fn colour(content: &MessageContent<'_>) -> u32 {
    let state = content.alerts.iter().map(|alert| alert.state);
    let first = content.alerts.first().map(|alert| alert.state).unwrap_or_default();
    let of_all = if state.clone().all(|one| one == first) { first } else { AlertState::Fired };
    let severity = content.alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
    match (of_all, severity) {
        (AlertState::Resolved, _) => GREEN,
        (AlertState::Corrected, _) => GREY,
        (AlertState::Fired, Severity::Critical) => RED,
        (AlertState::Fired, Severity::Warning) => AMBER,
        (AlertState::Fired, Severity::Info) => BLUE,
    }
}

/// How a message reads here.
pub(crate) fn layout(content: &MessageContent<'_>) -> Layout {
    layout::layout(content, DIGEST)
}

/// Whether a digest of these alerts shows each of them, also as a repeat.
pub(crate) fn takes_digest(alerts: &[Alert], voice: &Voice) -> bool {
    let layout = digest_layout(alerts, DIGEST, true, voice);
    fit::fits(&layout, DESCRIPTION_UNITS, &MARKDOWN)
}

const MARKDOWN: Markdown = Markdown { links: true };

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
    use crypto_intel_schemas::{Labels, Notification};
    use proptest::prelude::*;

    use super::{
        super::{layout::alert_layout, samples},
        *,
    };
    use crate::records::delivery::notification;

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

    fn content<'a>(
        own: &'a Notification,
        alerts: &'a [Alert],
        voice: &'a Voice,
    ) -> MessageContent<'a> {
        MessageContent::new(own, alerts, voice)
    }

    /// What all texts of an embed come to, by Discord's own count.
    fn units(embed: &Value) -> usize {
        let text = |value: &Value| value.as_str().map_or(0, |text| utf16_len(text.trim()));
        let fields = embed["fields"].as_array().into_iter().flatten();
        let fields: usize = fields.map(|one| text(&one["name"]) + text(&one["value"])).sum();
        text(&embed["description"]) + text(&embed["footer"]["text"]) + fields
    }

    #[test]
    fn an_embed_has_the_colour_of_its_severity_fields_and_a_time() {
        let labels = Labels::from([("chain", "base"), ("token", "US*DC")]);
        let alert = Alert { labels, event_at_us: 1_764_424_800_000_000, ..samples::alert() };
        let (own, voice) = (notification(&alert, "desk"), Voice::default());
        let alerts = [alert];
        let content = content(&own, &alerts, &voice);
        let layout = layout(&content);
        assert_eq!(headline(&layout), "🚨 **12,500,000 USDC \\($12.50M\\) → Binance**");
        let expected = json!({
            "color": RED,
            "description": "from 0x28c6…1d60 to Binance 14\n[tx](<https://etherscan.io/tx/0x1?a=1&b=2>)",
            "fields": [
                { "name": "chain", "value": "base", "inline": true },
                { "name": "token", "value": "US\\*DC", "inline": true },
            ],
            "footer": { "text": "whale-inflow #K7Q2A" },
            "timestamp": "2025-11-29T14:00:00Z",
        });
        assert_eq!(embed(&layout, &content), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn embeds_are_within_the_limits_whatever_they_tell(alert in samples::long(), more in samples::hostile()) {
            let labels = (0..40).map(|number| (format!("{}{number}", more.title), more.title.repeat(50)));
            let alert = Alert { labels: Labels(labels.collect()), ..alert };
            let (own, voice) = (notification(&alert, "desk"), Voice::default());
            let alerts = [alert];
            let content = content(&own, &alerts, &voice);
            let layout = layout(&content);
            let embed = embed(&layout, &content);
            prop_assert!(utf16_len(&headline(&layout)) <= BUDGET_UNITS);
            prop_assert!(utf16_len(embed["description"].as_str().unwrap_or_default()) <= DESCRIPTION_UNITS);
            prop_assert!(units(&embed) <= 6_000, "{}", units(&embed));
        }
    }

    #[test]
    fn a_full_digest_fits_with_every_code() {
        let alerts = samples::many(MAX_DIGEST_ALERTS);
        assert!(takes_digest(&alerts, &Voice::default()));
        let layout = digest_layout(&alerts, DIGEST, true, &Voice::default());
        let description = description(&layout);
        assert!(utf16_len(&description) <= DESCRIPTION_UNITS);
        for alert in &alerts {
            assert!(description.contains(&format!("#{}", alert.code)), "{}", alert.code);
        }
    }
}
