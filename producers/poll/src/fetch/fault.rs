//! Errors that a provider reports in a successful answer, found by `jq.fault`.

use std::time::Duration;

use crypto_intel_schemas::QuotaWindow;
use jaq_json::Val;

use super::error::FetchError;
use crate::{
    catalogue::{Endpoint, Provider},
    mapping::filter::shorten,
    quota::calendar::end_us,
};

/// Longest wait that a fault may ask for.
const MAX_WAIT_SECONDS: f64 = 31.0 * 86_400.0;

/// Applies `jq.fault`: null and false are fine, a text is the fault, and so is an object with `message` and perhaps
/// `rate_limited`, `wait_seconds`, `spent` and `refused`.
pub(super) fn check_fault(
    provider: &Provider,
    endpoint: &Endpoint,
    value: &Val,
    received_at_us: i64,
) -> Result<(), FetchError> {
    let Some(filter) = &endpoint.filters.fault else { return Ok(()) };
    // A filter that fails was given an unexpected answer; the events filter reports that better.
    let outputs = match filter.run(value.clone(), &endpoint.variables) {
        Err(problem) if filter.is_stuck() => {
            return Err(FetchError::Shape { problem: format!("jq.fault before it: {problem}") });
        }
        other => other.unwrap_or_default(),
    };
    let fault = outputs.iter().find(|output| !matches!(output, Val::Null | Val::Bool(false)));
    match fault {
        Some(fault) => Err(error_of(provider, fault, received_at_us)),
        None => Ok(()),
    }
}

fn error_of(provider: &Provider, fault: &Val, received_at_us: i64) -> FetchError {
    let field = |name: &'static str| match fault {
        Val::Obj(map) => map.get(&Val::utf8_str(name)).filter(|value| !matches!(value, Val::Null)),
        _ => None,
    };
    let is_true = |name| matches!(field(name), Some(Val::Bool(true)));
    let message = match fault {
        Val::Obj(_) => field("message").map_or_else(|| "no message".to_owned(), text_of),
        other => text_of(other),
    };
    let message = shorten(&provider.redact(&message), 200);
    let spent = match field("spent").map(text_of).as_deref() {
        Some("day") => Some(QuotaWindow::Day),
        Some("month") => Some(QuotaWindow::Month),
        _ => None,
    };
    if let Some(spent) = spent {
        let wait = until_end_of(spent, received_at_us);
        return FetchError::Spent { spent, reason: message, wait };
    }
    if is_true("refused") {
        return FetchError::Refused { status: 200, excerpt: message };
    }
    let wait = field("wait_seconds").and_then(|seconds| text_of(seconds).parse::<f64>().ok());
    let wait = wait.filter(|seconds| seconds.is_finite());
    let wait =
        wait.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, MAX_WAIT_SECONDS).ceil()));
    match is_true("rate_limited") || wait.is_some() {
        true => FetchError::RateLimited { reason: message, wait },
        false => FetchError::Fault { message },
    }
}

fn text_of(value: &Val) -> String {
    match value {
        Val::TStr(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => other.to_string(),
    }
}

/// From now to the end of the day or month of UTC, in whole seconds.
fn until_end_of(spent: QuotaWindow, now_us: i64) -> Duration {
    let left = end_us(spent, now_us).saturating_sub(now_us).max(1);
    Duration::from_secs(left.unsigned_abs().div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_spent_quota_comes_back_with_the_next_day_or_month() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
        for (spent, now, seconds) in [
            (QuotaWindow::Day, "2026-11-28T23:59:00Z", 60),
            (QuotaWindow::Day, "2026-11-28T00:00:00Z", 86_400),
            (QuotaWindow::Month, "2026-11-30T23:00:00Z", 3_600),
            (QuotaWindow::Month, "2026-12-31T23:59:59.5Z", 1),
            (QuotaWindow::Month, "2028-02-01T00:00:00Z", 29 * 86_400),
        ] {
            assert_eq!(until_end_of(spent, at(now)), Duration::from_secs(seconds), "{now}");
        }
    }
}
