use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Longest wait that is honoured: the longest ban that a provider is known to impose.
const MAX_WAIT: Duration = Duration::from_secs(3 * 86_400);

/// How long `Retry-After` asks to wait, which it says in seconds or as a date.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    wait_from(headers, Timestamp::now())
}

fn wait_from(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds.max(0.0).ceil()).ok()?,
        Err(_) => {
            let parser = DateTimeParser::new().relaxed_weekday(true);
            let date = parser.parse_timestamp(text).ok()?;
            let seconds = date.as_second().saturating_sub(now.as_second()).max(0);
            Duration::from_secs(seconds.unsigned_abs())
        }
    };
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        let now: Timestamp = "2026-11-21T06:00:00Z".parse().unwrap();
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        wait_from(&headers, now)
    }

    #[test]
    fn waits_as_asked_in_seconds_or_until_a_date() {
        assert_eq!(parsed("7"), Some(Duration::from_secs(7)));
        assert_eq!(parsed("0.4"), Some(Duration::from_secs(1)));
        assert_eq!(parsed("-3"), Some(Duration::ZERO));
        assert_eq!(parsed("Sat, 21 Nov 2026 06:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(parsed("Sat, 21 Nov 2020 06:01:30 GMT"), Some(Duration::ZERO));
        assert_eq!(parsed("99999999999"), Some(MAX_WAIT));
        assert_eq!(parsed("soon"), None);
        assert_eq!(parsed("nan"), Some(Duration::ZERO));
        assert_eq!(wait_from(&HeaderMap::new(), Timestamp::UNIX_EPOCH), None);
    }
}
