use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use serde::de::DeserializeOwned;

use crate::problem::{Problem, ProblemKind};

/// A body of JSON. Its type refuses fields that it does not know.
#[derive(Debug, Clone)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "send JSON, with `Content-Type: application/json`";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            let detail =
                "send the body as it is: what is compressed could be far larger than it seems";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::of_answer(rejection.status(), &rejection.body_text()))?;
        // Types with fields would take a list, too, field by field.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(Problem::unprocessable("a list was sent: send an object"));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let kind = match error.classify() {
                serde_json::error::Category::Data => ProblemKind::Unprocessable,
                _ => ProblemKind::MalformedBody,
            };
            Problem::new(kind, error.to_string())
        })
    }
}
