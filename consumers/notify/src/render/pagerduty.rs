//! PagerDuty: an incident with a summary and details.

use crypto_intel_schemas::{Alert, Severity};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    fit::{Markup as _, Plain},
    layout::{DigestForm, Span, layout},
    text::clean_to,
};
use crate::channel::MessageContent;

/// The summary takes 1,024 characters.
const SUMMARY_UNITS: usize = 1_024;
/// Incidents are never folded.
const NO_DIGEST: DigestForm = DigestForm { lines: 1, title_units: SUMMARY_UNITS };
/// Longer keys are refused.
const KEY_BYTES: usize = 255;

/// Names the incident: the alert's key.
pub(crate) fn dedup_key(alert: &Alert) -> String {
    let key = &alert.alert;
    key[..key.floor_char_boundary(KEY_BYTES)].to_owned()
}

/// What the incident shows.
pub(crate) fn payload(content: &MessageContent<'_>) -> Value {
    let alert = &content.own.alert;
    let layout = layout(content, NO_DIGEST);
    let head: Vec<String> = layout.head.iter().map(|line| Plain.line(line)).collect();
    let lines: Vec<String> = layout.body.iter().map(|line| Plain.line(line)).collect();
    let severity = match alert.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    };
    let mut payload = json!({
        "summary": clean_to(&head.join(" "), SUMMARY_UNITS),
        "source": alert.chain.as_deref().unwrap_or("crypto-intel"),
        "severity": severity,
        "class": alert.rule,
        "custom_details": { "text": lines, "rule": alert.rule, "code": alert.code, "labels": alert.labels },
    });
    if let Ok(time) = Timestamp::from_microsecond(alert.event_at_us)
        && alert.event_at_us > 0
    {
        payload["timestamp"] = time.to_string().into();
    }
    payload
}

/// The alert's links.
pub(crate) fn links(alert: &Alert) -> Value {
    let links = super::layout::links(alert);
    let links = links.into_iter().filter_map(|span| match span {
        Span::Link { label, url } => Some(json!({ "href": url, "text": label })),
        Span::Text(_) | Span::Bold(_) => None,
    });
    links.collect()
}
