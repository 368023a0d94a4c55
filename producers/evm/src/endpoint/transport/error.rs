use std::time::Duration;

use crypto_intel_service::Retryable;

/// An endpoint cannot be used, or does not answer as it should. Endpoints are named by host or
/// configured name, never by their URL, which may hold a key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EndpointError {
    /// The connection cannot be made.
    #[error("cannot connect to {endpoint}: {reason}")]
    Connect {
        /// The endpoint.
        endpoint: String,
        /// What the network reported.
        reason: String,
    },
    /// The endpoint serves another chain.
    #[error(
        "endpoint {endpoint} of chain {chain} serves chain id {found}, but chain_id is {wanted}: correct evm.chains.{chain}.chain_id or the endpoint's url"
    )]
    WrongChain {
        /// The endpoint.
        endpoint: String,
        /// Slug of the chain.
        chain: String,
        /// The configured chain id.
        wanted: u64,
        /// The chain id that the endpoint reports.
        found: u64,
    },
    /// The connection was lost.
    #[error("endpoint {endpoint} is not connected")]
    Disconnected {
        /// The endpoint.
        endpoint: String,
    },
    /// The connection was lost for a known reason.
    #[error("endpoint {endpoint} lost its connection: {reason}")]
    Lost {
        /// The endpoint.
        endpoint: String,
        /// What was wrong, with the beginning of the frame that could not be read.
        reason: String,
    },
    /// No head came for too long, although there are newer blocks.
    #[error("endpoint {endpoint} is silent: no head for {seconds} s, {reason}")]
    Silent {
        /// The endpoint.
        endpoint: String,
        /// How long no head came.
        seconds: u64,
        /// The result of asking for the head.
        reason: String,
    },
    /// No answer in time.
    #[error("endpoint {endpoint} did not answer {method} within {timeout_ms} ms")]
    Timeout {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// How long the answer was waited for.
        timeout_ms: u64,
    },
    /// Too many requests.
    #[error("endpoint {endpoint} limits the rate of requests: {reason}")]
    RateLimited {
        /// The endpoint.
        endpoint: String,
        /// What it said.
        reason: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It failed or asked to be left alone: no request is sent to it now.
    #[error("endpoint {endpoint} is left alone for {} ms", wait.as_millis())]
    Resting {
        /// The endpoint.
        endpoint: String,
        /// For how long.
        wait: Duration,
    },
    /// The endpoint does not offer the method.
    #[error("endpoint {endpoint} does not offer {method}: {reason}")]
    Unsupported {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// What it said.
        reason: String,
    },
    /// The endpoint refuses this request.
    #[error("endpoint {endpoint} refuses {method}: {reason} ({code})")]
    Refused {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// The JSON-RPC error code, or the HTTP status.
        code: i64,
        /// What it said.
        reason: String,
    },
    /// The answer is not what was asked for.
    #[error("endpoint {endpoint} gave no proper answer to {method}: {reason}")]
    Answer {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl EndpointError {
    /// Classifies an error object of JSON-RPC.
    pub(crate) fn from_rpc(
        endpoint: &str,
        method: &'static str,
        (code, text, data): (i64, &str, Option<&str>),
    ) -> Self {
        let endpoint = endpoint.to_owned();
        // Providers put anything here: cut, for logs.
        let reason: String = text.chars().take(300).collect();
        let lower = reason.to_ascii_lowercase();
        let says = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        // Some refuse a wide range of blocks with the code of a rate limit.
        let too_wide = says(&["results", "block range", "blocks range", "range of blocks"]);
        let too_slow = says(&["timeout", "timed out"]);
        // This is how a node of BNB Smart Chain says that it serves no logs at all.
        let no_logs = method == "eth_getLogs" && lower.trim() == "limit exceeded";
        let limited = (matches!(code, 429 | -32005 | -32017 | -32029 | -32097)
            && !(too_wide || too_slow || no_logs))
            || says(&[
                "rate limit",
                "too many requests",
                "rate exceeded",
                "request limit",
                "rps limit",
                "compute units per second",
                "capacity limit",
                "credits",
            ]);
        if limited {
            let retry_after = data.and_then(asked_to_wait);
            return Self::RateLimited { endpoint, reason, retry_after };
        }
        let absent = code == -32601
            || no_logs
            || says(&[
                "method not found",
                "not supported",
                "unsupported method",
                "is not available",
                "method not allowed",
                "not whitelisted",
            ]);
        if absent {
            return Self::Unsupported { endpoint, method, reason };
        }
        Self::Refused { endpoint, method, code, reason }
    }

    /// Whether the endpoint as a whole does not work, rather than this one request.
    pub(crate) const fn is_outage(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Answer { .. } => true,
            // Missing key, unpaid plan, no service; and JSON-RPC's internal error.
            Self::Refused { code, .. } => matches!(*code, 401..=403 | 500..=599) || *code == -32603,
            _ => false,
        }
    }

    /// The label in metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::WrongChain { .. } => "wrong_chain",
            Self::Disconnected { .. } | Self::Lost { .. } => "disconnected",
            Self::Silent { .. } => "silent",
            Self::Timeout { .. } => "timeout",
            Self::RateLimited { .. } => "rate_limited",
            Self::Resting { .. } => "resting",
            Self::Unsupported { .. } => "unsupported",
            Self::Refused { .. } => "refused",
            Self::Answer { .. } => "answer",
        }
    }
}

impl Retryable for EndpointError {
    fn is_retryable(&self) -> bool {
        !matches!(self, Self::WrongChain { .. } | Self::Unsupported { .. })
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            Self::Resting { wait, .. } => Some(*wait),
            _ => None,
        }
    }
}

/// Correction of a URL that asks for TLS on a port without it.
pub(crate) fn tls_hint(url: &str, text: &str) -> &'static str {
    if !text.contains("InvalidContentType") {
        ""
    } else if url.starts_with("wss") {
        ": the port speaks no TLS, write ws:// in place of wss://"
    } else {
        ": the port speaks no TLS, write http:// in place of https://"
    }
}

/// Seconds in the `data` of a rate limit, in the forms that providers use; at most ten minutes.
fn asked_to_wait(data: &str) -> Option<Duration> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    let places = [
        &data["rate"]["backoff_seconds"],
        &data["backoff_seconds"],
        &data["retry_after"],
        &data["try_again_in"],
    ];
    let seconds = places.into_iter().find_map(|place| {
        let text = place.as_str().map(|text| text.trim_end_matches('s'));
        place.as_f64().or_else(|| text.and_then(|text| text.parse().ok()))
    })?;
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(Duration::from_secs(600)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_rate_limit_says_how_long_to_wait() {
        for (data, seconds) in [
            (r#"{"rate":{"allowed_rps":1,"backoff_seconds":30,"current_rps":1.1}}"#, 30.0),
            (r#"{"try_again_in":"1.5s"}"#, 1.5),
            (r#"{"retry_after":86400}"#, 600.0),
        ] {
            let error = EndpointError::from_rpc("node", "eth_call", (-32005, "slow", Some(data)));
            assert_eq!(error.retry_after().unwrap().as_secs_f64(), seconds, "{data}");
        }
        let odd = EndpointError::from_rpc("node", "eth_call", (429, "slow", Some("[1]")));
        assert_eq!(odd.retry_after(), None);
    }

    #[test]
    fn refusals_are_classified_by_their_meaning() {
        for (code, text, expected) in [
            (
                -32601,
                "the method eth_getBlockReceipts does not exist/is not available",
                "unsupported",
            ),
            (-32005, "daily request count exceeded", "rate_limited"),
            (-32000, "Too Many Requests", "rate_limited"),
            (-32600, "Method not allowed on this plan", "unsupported"),
            (-32000, "header not found", "refused"),
            (-32005, "query returned more than 10000 results", "refused"),
            (-32007, "50/second request limit reached - reduce calls per second", "rate_limited"),
            (429, "Your app has exceeded its compute units per second capacity.", "rate_limited"),
        ] {
            let error = EndpointError::from_rpc("node", "eth_getBlockReceipts", (code, text, None));
            assert_eq!(error.reason(), expected, "{text}");
        }
        for (text, expected) in [
            ("limit exceeded", "unsupported"),
            ("query timeout exceeded", "refused"),
            ("project ID request rate exceeded", "rate_limited"),
        ] {
            let error = EndpointError::from_rpc("node", "eth_getLogs", (-32005, text, None));
            assert_eq!(error.reason(), expected, "{text}");
        }
    }
}
