//! Times as people write and read them.

use crate::args::parse_duration;

/// The beginning of all that a stream holds.
const START: &str = "start";

/// RFC 3339, UTC.
pub(crate) fn time_text(time_us: i64) -> String {
    jiff::Timestamp::from_microsecond(time_us)
        .map_or_else(|_| time_us.to_string(), |time| format!("{time:.3}"))
}

/// Microseconds since the Unix epoch of a time ago, or of a time.
///
/// # Errors
/// Names the flag and what it takes.
pub(crate) fn parse_moment(flag: &str, text: &str, now_us: i64) -> anyhow::Result<i64> {
    if let Ok(ago) = parse_duration(text) {
        return Ok(now_us - i64::try_from(ago.as_micros()).unwrap_or(i64::MAX));
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        anyhow::anyhow!(
            "{flag} {text:?} is neither a time ago such as 10m, nor a time such as 2026-01-31T12:00:00Z"
        )
    })?;
    Ok(time.as_microsecond())
}

/// The same of the beginning of a range, which may be `start`, or not be given: all that there is.
///
/// # Errors
/// As [`parse_moment`].
pub(crate) fn parse_beginning(
    flag: &str,
    text: Option<&str>,
    now_us: i64,
) -> anyhow::Result<Option<i64>> {
    match text {
        None | Some(START) => Ok(None),
        Some(text) => parse_moment(flag, text, now_us)
            .map(Some)
            .map_err(|error| anyhow::anyhow!("{error}, nor `{START}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_age_or_a_time() {
        let moment = |text| parse_moment("--since", text, 15_000_000);
        assert_eq!(moment("10s").unwrap(), 5_000_000);
        assert_eq!(moment("1970-01-01T00:00:01Z").unwrap(), 1_000_000);
        let error = moment("yesterday").unwrap_err().to_string();
        assert!(error.contains("--since") && error.contains("10m"), "{error}");
        assert!(!error.contains("start"), "not every moment may be one: {error}");
    }

    #[test]
    fn a_range_may_begin_with_all_that_there_is() {
        let beginning = |text| parse_beginning("--since", text, 15_000_000);
        assert_eq!(beginning(Some("10s")).unwrap(), Some(5_000_000));
        assert_eq!((beginning(Some("start")).unwrap(), beginning(None).unwrap()), (None, None));
        let error = beginning(Some("yesterday")).unwrap_err().to_string();
        assert!(error.contains("10m") && error.contains("`start`"), "{error}");
    }
}
