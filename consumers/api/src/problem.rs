//! What a failed request is answered with: RFC 9457, whatever failed.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use crypto_intel_nats::{KvError, NatsError};
use crypto_intel_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, as a class: each has a status, a title and a page in docs/api.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    BadParameter,
    CursorMismatch,
    MalformedBody,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    UnsupportedMediaType,
    Unprocessable,
    BeingMade,
    KeyOfAnotherRequest,
    UnknownHost,
    QuotaExceeded,
    Internal,
    Unavailable,
    Busy,
    QueryTooHeavy,
    TimedOut,
}

impl ProblemKind {
    /// URI, status and title.
    const fn facts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadParameter => {
                ("/problems/bad-parameter", StatusCode::BAD_REQUEST, "A parameter is not valid")
            }
            Self::CursorMismatch => (
                "/problems/cursor-mismatch",
                StatusCode::BAD_REQUEST,
                "The cursor is of another list",
            ),
            Self::MalformedBody => {
                ("/problems/malformed-body", StatusCode::BAD_REQUEST, "The body cannot be read")
            }
            Self::Unauthenticated => {
                ("/problems/unauthenticated", StatusCode::UNAUTHORIZED, "A valid key is needed")
            }
            Self::Forbidden => {
                ("/problems/forbidden", StatusCode::FORBIDDEN, "The key has no such right")
            }
            Self::NotFound => {
                ("/problems/not-found", StatusCode::NOT_FOUND, "There is no such thing")
            }
            Self::MethodNotAllowed => (
                "/problems/method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The method is not allowed here",
            ),
            Self::TooLarge => {
                ("/problems/too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
            }
            Self::UnsupportedMediaType => (
                "/problems/unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be application/json",
            ),
            Self::Unprocessable => (
                "/problems/unprocessable",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The body says what cannot be done",
            ),
            Self::BeingMade => {
                ("/problems/being-made", StatusCode::CONFLICT, "The same change has begun")
            }
            Self::KeyOfAnotherRequest => (
                "/problems/idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key belongs to another request",
            ),
            Self::UnknownHost => (
                "/problems/unknown-host",
                StatusCode::MISDIRECTED_REQUEST,
                "The host is not one of this API",
            ),
            // Registered with the problem types of IANA.
            Self::QuotaExceeded => (
                "https://iana.org/assignments/http-problem-types#quota-exceeded",
                StatusCode::TOO_MANY_REQUESTS,
                "The quota is used up",
            ),
            Self::Internal => {
                ("/problems/internal", StatusCode::INTERNAL_SERVER_ERROR, "An error of the server")
            }
            Self::Unavailable => (
                "/problems/unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "A server behind the API does not answer",
            ),
            Self::Busy => (
                "/problems/busy",
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many questions at the same time",
            ),
            Self::QueryTooHeavy => (
                "/problems/query-too-heavy",
                StatusCode::SERVICE_UNAVAILABLE,
                "The question takes too long",
            ),
            Self::TimedOut => (
                "/problems/timed-out",
                StatusCode::SERVICE_UNAVAILABLE,
                "The request took too long",
            ),
        }
    }

    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Self::Unprocessable,
            status if status.is_client_error() => Self::MalformedBody,
            _ => Self::Internal,
        }
    }
}

/// A failed request (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Which kind of problem, as a URI: `/problems/<name>`.
    #[serde(rename = "type")]
    pub(crate) type_uri: &'static str,
    /// The same for people.
    pub(crate) title: &'static str,
    /// The status code of the answer.
    pub(crate) status: u16,
    /// What is wrong with this request, and how to correct it.
    pub(crate) detail: String,
    /// The id of the request, as in its header `X-Request-Id` and in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// Each parameter that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<ParameterProblem>,
    #[serde(skip)]
    #[schema(ignore)]
    pub(crate) retry_after: Option<u32>,
}

/// A parameter that is wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ParameterProblem {
    /// Its name.
    pub(crate) parameter: String,
    /// What is wrong with it, and how to correct it.
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let (type_uri, status, title) = kind.facts();
        Self {
            type_uri,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// A body that says what cannot be done.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unprocessable, detail)
    }

    /// Several parameters at once.
    pub(crate) fn parameters(errors: Vec<ParameterProblem>) -> Self {
        let texts: Vec<String> =
            errors.iter().map(|one| format!("{}: {}", one.parameter, one.detail)).collect();
        Self { errors, ..Self::new(ProblemKind::BadParameter, texts.join("; ")) }
    }

    /// One parameter.
    pub(crate) fn parameter(parameter: &str, detail: impl Into<String>) -> Self {
        let error = ParameterProblem { parameter: parameter.to_owned(), detail: detail.into() };
        Self::parameters(vec![error])
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::NotFound, detail)
    }

    /// The same, to be tried again after some seconds.
    pub(crate) fn after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { retry_after: Some(u32::try_from(seconds).unwrap_or(u32::MAX)), ..self }
    }

    /// What a failed answer that is no problem yet says.
    pub(crate) fn of_answer(status: StatusCode, text: &str) -> Self {
        let text = text.trim();
        let kind = ProblemKind::of_status(status);
        let detail = if text.is_empty() { kind.facts().2 } else { text };
        Self { status: status.as_u16(), ..Self::new(kind, detail) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer. The layer that knows the request's id makes it again, with the id.
    pub(crate) fn answer(&self) -> Response {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = (
            self.status(),
            [(header::CONTENT_TYPE, PROBLEM_JSON), (header::CACHE_CONTROL, "no-store")],
            body,
        )
            .into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.answer();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    /// Nothing of what the database says leaves the process, but for the log.
    fn from(error: StoreError) -> Self {
        const SOON: Duration = Duration::from_secs(1);
        const LATER: Duration = Duration::from_secs(5);
        if error.is_timeout() {
            let detail =
                "the database would take too long: ask for a shorter time, or with more filters";
            return Self::new(ProblemKind::QueryTooHeavy, detail).after(SOON);
        }
        if matches!(error, StoreError::PoolExhausted) {
            let detail = "every connection to the database is in use: try again";
            return Self::new(ProblemKind::Busy, detail).after(SOON);
        }
        tracing::warn!(error = %format!("{error:#}"), hint = error.hint(), "a question to the database failed");
        Self::new(ProblemKind::Unavailable, "the database does not answer the question")
            .after(LATER)
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        tracing::warn!(error = %format!("{error:#}"), "a request to the broker failed");
        Self::new(ProblemKind::Unavailable, "the broker does not answer")
            .after(Duration::from_secs(5))
    }
}

impl From<NatsError> for Problem {
    fn from(error: NatsError) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl From<KvError> for Problem {
    fn from(error: KvError) -> Self {
        anyhow::Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_parameters_are_told_at_once() {
        let one = |name: &str| ParameterProblem { parameter: name.into(), detail: "wrong".into() };
        let problem = Problem::parameters(vec![one("limit"), one("chain")]);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "/problems/bad-parameter");
        assert_eq!(json["status"], 400);
        assert_eq!(json["detail"], "limit: wrong; chain: wrong");
        assert_eq!(json["errors"][1]["parameter"], "chain");
    }

    #[test]
    fn a_wait_is_rounded_up() {
        let problem = Problem::new(ProblemKind::Busy, "").after(Duration::from_millis(1_001));
        assert_eq!(problem.answer().headers()["retry-after"], "2");
    }
}
