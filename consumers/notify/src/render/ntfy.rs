//! ntfy: a title and a text without markup.

use crypto_intel_schemas::Alert;

use super::{
    fit::{self, Markup, Plain, fitted},
    layout::{self, DigestForm, Layout, Line, Span, digest_layout},
    text::clean_to,
    voice::Voice,
};
use crate::channel::MessageContent;

/// A longer message becomes a file.
const BUDGET_BYTES: usize = 4_096;
/// The server takes 1,024 bytes.
const TITLE_UNITS: usize = 250;
/// Lines of one digest that fit [`BUDGET_BYTES`] with titles of [`DIGEST`].
pub(crate) const MAX_DIGEST_ALERTS: usize = 25;
const DIGEST: DigestForm = DigestForm { lines: MAX_DIGEST_ALERTS, title_units: 40 };

/// How a message reads here.
pub(crate) fn layout(content: &MessageContent<'_>) -> Layout {
    layout::layout(content, DIGEST)
}

/// Whether a digest of these alerts shows each of them, also as a repeat.
pub(crate) fn takes_digest(alerts: &[Alert], voice: &Voice) -> bool {
    let layout = below_title(&digest_layout(alerts, DIGEST, true, voice));
    fit::fits(&layout, BUDGET_BYTES, &PlainBytes)
}

/// The title: the last line of the head, which says what happened.
pub(crate) fn title(layout: &Layout) -> String {
    let line = layout.head.last().map(|line| Plain.line(line)).unwrap_or_default();
    clean_to(&line, TITLE_UNITS)
}

/// Everything below the title.
pub(crate) fn message(layout: &Layout) -> String {
    fitted(&below_title(layout), BUDGET_BYTES, &PlainBytes)
}

/// What a tap on the notification opens.
pub(crate) fn click(layout: &Layout) -> Option<&str> {
    layout.links.iter().find_map(|span| match span {
        Span::Link { url, .. } => Some(url.as_str()),
        Span::Text(_) | Span::Bold(_) => None,
    })
}

fn below_title(layout: &Layout) -> Layout {
    let mut rest = layout.clone();
    rest.head.pop();
    rest
}

/// Plain text, counted in bytes.
struct PlainBytes;

impl Markup for PlainBytes {
    fn line(&self, line: &Line) -> String {
        Plain.line(line)
    }

    fn length(&self, line: &Line) -> usize {
        self.line(line).len()
    }
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
        let layout = alert_layout(&samples::alert(), true, &Voice::default());
        assert_eq!(title(&layout), "🚨 12,500,000 USDC ($12.50M) → Binance");
        assert_eq!(
            message(&layout),
            "↻ possible repeat of #K7Q2A\nfrom 0x28c6…1d60 to Binance 14\n\
             tx: https://etherscan.io/tx/0x1?a=1&b=2\nwhale-inflow #K7Q2A"
        );
        assert_eq!(click(&layout), Some("https://etherscan.io/tx/0x1?a=1&b=2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn long_messages_fit(alert in samples::long()) {
            let layout = alert_layout(&alert, true, &Voice::default());
            prop_assert!(message(&layout).len() <= BUDGET_BYTES);
            prop_assert!(title(&layout).len() <= 1_024);
        }
    }

    #[test]
    fn a_full_digest_fits_with_every_code() {
        let alerts = samples::many(MAX_DIGEST_ALERTS);
        let text = message(&digest_layout(&alerts, DIGEST, true, &Voice::default()));
        assert!(text.len() <= BUDGET_BYTES);
        assert!(alerts.iter().all(|alert| text.contains(&format!("#{}", alert.code))), "{text}");
    }
}
