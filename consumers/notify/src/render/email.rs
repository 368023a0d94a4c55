//! Mail: a subject, and the message as text and as HTML.

use crypto_intel_schemas::Alert;

use super::{
    fit::{self, Markup, Plain, fitted},
    layout::{self, DigestForm, Layout, Line, Span, digest_layout},
    text::{clean_to, utf16_len},
    voice::Voice,
};
use crate::channel::MessageContent;

/// Mail has no limit that a message would reach; people have.
const BUDGET_UNITS: usize = 40_000;
const SUBJECT_UNITS: usize = 200;
/// Alerts in one mail.
pub(crate) const MAX_DIGEST_ALERTS: usize = 200;
const DIGEST: DigestForm = DigestForm { lines: MAX_DIGEST_ALERTS, title_units: 120 };

/// How a message reads here.
pub(crate) fn layout(content: &MessageContent<'_>) -> Layout {
    layout::layout(content, DIGEST)
}

/// Whether a digest of these alerts shows each of them, also as a repeat.
pub(crate) fn takes_digest(alerts: &[Alert], voice: &Voice) -> bool {
    let layout = digest_layout(alerts, DIGEST, true, voice);
    fit::fits(&layout, BUDGET_UNITS, &Html)
}

/// The first line, and whether it is a repeat.
pub(crate) fn subject(layout: &Layout) -> String {
    let lines: Vec<String> = layout.head.iter().map(|line| Plain.line(line)).collect();
    clean_to(&lines.join(" "), SUBJECT_UNITS)
}

/// The message for readers without HTML.
pub(crate) fn text(layout: &Layout) -> String {
    fitted(layout, BUDGET_UNITS, &Plain)
}

/// The message as HTML; all styles are in place, because mail readers drop others. `picture`: the id of a part of the mail
/// that it shows.
pub(crate) fn html(layout: &Layout, picture: Option<&str>) -> String {
    let lines = fitted(layout, BUDGET_UNITS, &Html);
    let picture = picture.map_or_else(String::new, |id| {
        format!("<img src=\"cid:{id}\" alt=\"\" style=\"max-width:100%;margin-top:10px\">\n")
    });
    format!(
        "<!doctype html><html><body style=\"font:15px/1.5 sans-serif\">\n{lines}\n{picture}</body></html>"
    )
}

struct Html;

impl Markup for Html {
    fn line(&self, line: &Line) -> String {
        let spans = line.iter().map(|span| match span {
            Span::Text(text) => escape(text),
            Span::Bold(text) => format!("<b>{}</b>", escape(text)),
            Span::Link { label, url } => {
                format!("<a href=\"{}\">{}</a>", escape(url), escape(label))
            }
        });
        format!("<div>{}</div>", spans.collect::<String>())
    }

    fn length(&self, line: &Line) -> usize {
        utf16_len(&self.line(line))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{layout::alert_layout, samples},
        *,
    };

    #[test]
    fn reads_as_designed() {
        let layout = alert_layout(&samples::alert(), false, &Voice::default());
        assert_eq!(subject(&layout), "🚨 12,500,000 USDC ($12.50M) → Binance");
        assert!(html(&layout, None).contains(
            "<div>🚨 <b>12,500,000 USDC ($12.50M) → Binance</b></div>\n<div>from 0x28c6…1d60 to Binance 14</div>"
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn hostile_text_makes_no_markup(alert in samples::hostile()) {
            let html = html(&alert_layout(&alert, false, &Voice::default()), None);
            let tags = html.split('<').skip(1).filter_map(|rest| rest.split_once('>'));
            for (tag, _) in tags {
                let known = ["!doctype html", "html", "body style", "/", "div", "b", "a href=\""];
                prop_assert!(known.iter().any(|known| tag.starts_with(known)), "{tag}");
            }
        }
    }
}
