//! Answers in the form of Etherscan: `status`, `message`, `result`, with errors in the body of a 200.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

/// How long to wait where an answer only says that there were too many requests.
const SHORT_WAIT: Duration = Duration::from_secs(2);
const LONG_WAIT: Duration = Duration::from_secs(60);
const DAY_SECONDS: u64 = 86_400;

#[derive(Deserialize)]
struct Envelope<'a> {
    status: &'a str,
    #[serde(default)]
    message: Option<String>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

/// What an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// Rows, as a JSON list.
    Rows(&'a str),
    /// There are none.
    None,
    /// Wait so long.
    Wait(Duration, String),
    /// No answer for this key, plan or chain.
    Refused(String),
    /// This list is not offered, to this plan or at all.
    NotOffered(String),
    /// Something else is wrong.
    Failed(String),
}

/// Reads an answer that came at this second since 1970.
pub(crate) fn read(body: &[u8], now_seconds: u64) -> Verdict<'_> {
    let envelope: Envelope<'_> = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(error) => return Verdict::Failed(format!("no answer of an explorer: {error}")),
    };
    let result = envelope.result.map(RawValue::get).unwrap_or("null");
    let message = envelope.message.unwrap_or_default();
    // The cause is in `result`, of Blockscout and Routescan in `message`.
    let cause: String = serde_json::from_str(result).unwrap_or_else(|_| message.clone());
    match envelope.status {
        "1" if result.starts_with('[') => Verdict::Rows(result),
        "0" if is_empty(&message, result) => Verdict::None,
        _ => cause_of(cause, now_seconds),
    }
}

/// `No transactions found`, `No token transfers found`, `No internal transactions found`, `No records found`.
fn is_empty(message: &str, result: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.starts_with("no ")
        && message.ends_with(" found")
        && (result == "null" || result.trim_start_matches('[').trim_start() == "]")
}

fn cause_of(cause: String, now_seconds: u64) -> Verdict<'static> {
    let text = cause.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if has(&["daily rate limit", "daily limit"]) {
        return Verdict::Wait(until_midnight(now_seconds), cause);
    }
    if has(&["too many invalid api key"]) {
        return Verdict::Wait(LONG_WAIT, cause);
    }
    if has(&["temporarily unavailable", "not been processed yet"]) {
        return Verdict::Wait(LONG_WAIT, cause);
    }
    if has(&["rate limit", "too many requests"]) {
        return Verdict::Wait(SHORT_WAIT, cause);
    }
    if has(&[
        "api pro endpoint",
        "api exclusive endpoint",
        "invalid action",
        "unknown action",
        "missing or invalid action",
    ]) {
        return Verdict::NotOffered(cause);
    }
    let refusals = [
        "api key",
        "not supported",
        "unsupported chainid",
        "deprecated",
        "invalid address",
        "upgrade your api plan",
        "unknown module",
    ];
    if has(&refusals) {
        return Verdict::Refused(cause);
    }
    Verdict::Failed(if cause.is_empty() { "no reason given".to_owned() } else { cause })
}

fn until_midnight(now_seconds: u64) -> Duration {
    Duration::from_secs(DAY_SECONDS - now_seconds % DAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notok(result: &str) -> String {
        format!(r#"{{"status":"0","message":"NOTOK","result":"{result}"}}"#)
    }

    #[test]
    fn answers_without_rows_are_told_from_errors() {
        for body in [
            r#"{"status":"0","message":"No transactions found","result":[]}"#,
            r#"{"message":"No token transfers found","result":[],"status":"0"}"#,
            r#"{"message":"No internal transactions found","result":null,"status":"0"}"#,
        ] {
            assert_eq!(read(body.as_bytes(), 0), Verdict::None, "{body}");
        }
        assert_eq!(read(br#"{"status":"1","message":"OK","result":[]}"#, 0), Verdict::Rows("[]"));
        let unsupported = br#"{"status":"0","message":"chain not supported","result":null}"#;
        assert!(matches!(read(unsupported, 0), Verdict::Refused(_)));
        let later = br#"{"message":"Internal transactions for this transaction have not been processed yet","result":[],"status":"2"}"#;
        assert!(matches!(read(later, 0), Verdict::Wait(..)));
        assert!(matches!(read(b"<html>", 0), Verdict::Failed(_)));
        assert!(matches!(
            read(br#"{"status":"1","message":"OK","result":{}}"#, 0),
            Verdict::Failed(_)
        ));
    }

    #[test]
    fn each_cause_asks_for_what_helps() {
        let wait = |text: &str| match read(notok(text).as_bytes(), DAY_SECONDS * 3 + 86_000) {
            Verdict::Wait(wait, _) => wait.as_secs(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(wait("Max calls per sec rate limit reached (3/sec)"), 2);
        assert_eq!(wait("Max daily rate limit reached 100000"), 400);
        assert_eq!(wait("Too many invalid api key attempts, please try again later"), 60);
        assert_eq!(
            wait(
                "Free API access is temporarily unavailable due to unusually high network activity."
            ),
            60
        );
        for text in [
            "Missing/Invalid API Key",
            "Free API access is not supported for this chain. Please upgrade your api plan for full chain coverage.",
            "You are using a deprecated V1 endpoint, switch to Etherscan API V2.",
            "Missing or unsupported chainid parameter (required for v2 api)",
        ] {
            assert!(matches!(read(notok(text).as_bytes(), 0), Verdict::Refused(_)), "{text}");
        }
        let pro = "Sorry, it looks like you are trying to access an API Pro endpoint.";
        assert!(matches!(read(notok(pro).as_bytes(), 0), Verdict::NotOffered(_)));
        assert!(matches!(read(notok("Query Timeout").as_bytes(), 0), Verdict::Failed(_)));
    }
}
