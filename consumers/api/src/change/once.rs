//! The same change with the same key is made once, and answered alike, for a day and by every process: the bucket `idempotency` holds
//! which is being made and what was answered.
//!
//! The entry is made before the change, by compare and set: of two requests at the same time one goes on. A process that dies between
//! the two leaves it, and its key is refused for the day: whether the change was made is not known, and making it twice is what the
//! client wanted to avoid.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header},
    response::Response,
};
use crypto_intel_nats::{Bucket, Kv, KvError, escape_key};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::{
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};

use super::WithoutSecret;
use crate::{
    auth::{Caller, key::hex},
    layers::observe::RequestId,
    problem::{PROBLEM_JSON, Problem, ProblemKind},
    state::ApiState,
};

/// The header that names a change.
const KEY_HEADER: &str = "Idempotency-Key";
/// Says that an answer is that of an earlier request.
const REPLAYED_HEADER: HeaderName = HeaderName::from_static("idempotent-replayed");
const MAX_KEY_BYTES: usize = 255;
/// What [`key_of`] takes; HTTP takes blanks at the ends away.
const KEY_PATTERN: &str = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$";
/// Answers to changes are far smaller.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// Headers of an answer that are kept.
const KEPT_HEADERS: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];
/// An entry may expire just when it is looked at.
const MAX_TRIES: usize = 3;

/// Describes the header.
pub(crate) fn key_parameter() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_KEY_BYTES))
        .pattern(Some(KEY_PATTERN));
    ParameterBuilder::new()
        .name(KEY_HEADER)
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Names this change: the same request with the same key within a day changes nothing more, and is answered as before, with \
             `Idempotent-Replayed: true`.",
        ))
        .schema(Some(schema))
        .build()
}

/// What is kept of a change.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// SHA-256 of the request, as hex.
    request: String,
    /// When it began, microseconds UTC.
    at_us: i64,
    /// How it was answered; absent while it is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// What is known of a request before it is carried out.
pub(super) enum Begun {
    /// It names no key: each such request is another change.
    WithoutKey,
    /// It is the first one of its key.
    First(Once),
    /// It was made before: how that was answered.
    Known(Response),
}

/// A change that is being made under its key.
pub(super) struct Once {
    kv: Kv,
    key: String,
    revision: u64,
    request: String,
    at_us: i64,
}

impl Once {
    /// Begins it, unless it has begun before.
    ///
    /// # Errors
    /// When the key is malformed, belongs to another request, or its change is being made.
    pub(super) async fn begin(
        state: &ApiState,
        caller: &Caller,
        request: &Request<Bytes>,
    ) -> Result<Begun, Problem> {
        let Some(named) = key_of(request.headers())? else { return Ok(Begun::WithoutKey) };
        let kv = state.nats.kv(Bucket::Idempotency).await?;
        let owner = caller.id();
        let key = format!("{}.{}", escape_key(&owner), hex(&Sha256::digest(named.as_bytes())));
        let (request, at_us) = (fingerprint(request), now_us());
        let entry = Entry { request: request.clone(), at_us, answer: None };
        let value = encode(&entry)?;
        for _ in 0..MAX_TRIES {
            match kv.create(&key, value.clone()).await {
                Ok(revision) => {
                    return Ok(Begun::First(Self { kv, key, revision, request, at_us }));
                }
                Err(KvError::AlreadyExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            // A copy of the bucket may not have yet what another process wrote a moment ago: then it is being made.
            if let Some(found) = kv.get(&key).await? {
                return known(&found.value, &request, state);
            }
        }
        Err(being_made("it has just begun"))
    }

    /// Keeps the answer for those who ask again. What failed without a decision may be tried again with the same key; what is made
    /// is not, whatever became of telling it.
    pub(super) async fn keep(
        self,
        response: Response,
        is_made: bool,
        id: Option<&RequestId>,
    ) -> Response {
        let status = response.status();
        let is_open = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if is_open && !is_made {
            if let Err(error) = self.kv.delete_revision(&self.key, self.revision).await {
                tracing::warn!(%error, "cannot free the key of a change that failed");
            }
            return response;
        }
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, MAX_ANSWER_BYTES).await.unwrap_or_default();
        let headers = KEPT_HEADERS.into_iter().filter_map(|name| {
            let value = parts.headers.get(&name)?.to_str().ok()?.to_owned();
            Some((name.as_str().to_owned(), value))
        });
        let answer = Answer {
            status: status.as_u16(),
            headers: headers.collect(),
            body: match parts.extensions.get::<WithoutSecret>() {
                Some(kept) => kept.0.clone(),
                None => with_id(&parts.headers, &bytes, id),
            },
        };
        let entry = Entry { request: self.request, at_us: self.at_us, answer: Some(answer) };
        let written = match encode(&entry) {
            Ok(value) => self.kv.update(&self.key, value, self.revision).await.map(drop),
            Err(_) => Ok(()),
        };
        if let Err(error) = written {
            // The change is made: a client that asks again is told that its outcome is not known.
            tracing::warn!(%error, "cannot keep the answer to a change");
        }
        Response::from_parts(parts, Body::from(bytes))
    }
}

fn encode(entry: &Entry) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(entry)
        .map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))
}

/// What a kept answer says of the request that it was made to: a problem names it.
fn with_id(headers: &HeaderMap, body: &[u8], id: Option<&RequestId>) -> String {
    let is_problem = headers.get(header::CONTENT_TYPE).is_some_and(|it| it == PROBLEM_JSON);
    if let (true, Some(id), Ok(mut json)) =
        (is_problem, id, serde_json::from_slice::<serde_json::Value>(body))
    {
        json["instance"] = id.0.clone().into();
        return json.to_string();
    }
    String::from_utf8_lossy(body).into_owned()
}

/// The key that a request names.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_key = (1..=MAX_KEY_BYTES).contains(&value.len())
        && value.as_bytes().iter().all(|byte| (0x20..=0x7e).contains(byte))
        && values.next().is_none();
    match value.to_str() {
        Ok(text) if is_key => Ok(Some(text.to_owned())),
        _ => {
            let detail = format!("send one, of 1 to {MAX_KEY_BYTES} printable ASCII characters");
            Err(Problem::parameter(KEY_HEADER, detail))
        }
    }
}

/// What a request asks for, as a hash.
fn fingerprint(request: &Request<Bytes>) -> String {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let mut hash = Sha256::new();
    for part in [request.method().as_str().as_bytes(), path.as_bytes(), request.body()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

fn known(value: &[u8], request: &str, state: &ApiState) -> Result<Begun, Problem> {
    let entry: Entry = serde_json::from_slice(value).map_err(|error| {
        tracing::warn!(%error, "an entry of bucket `idempotency` is unreadable");
        Problem::new(ProblemKind::Internal, "what is kept of this key cannot be read: use another")
    })?;
    if entry.request != request {
        let detail = "the key belongs to another request: use one for each change";
        return Err(Problem::new(ProblemKind::KeyOfAnotherRequest, detail));
    }
    let Some(answer) = entry.answer else {
        let timeout_us = state.config.request_timeout_ms.saturating_mul(1_000);
        let age_us = now_us().saturating_sub(entry.at_us).unsigned_abs();
        return Err(if age_us > timeout_us.saturating_mul(2) {
            let detail = "whether this change was made is not known, as the server stopped in the middle: look, then use another key";
            Problem::new(ProblemKind::BeingMade, detail)
        } else {
            being_made("this change is being made")
        });
    };
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    Ok(Begun::Known(response))
}

fn being_made(detail: &str) -> Problem {
    Problem::new(ProblemKind::BeingMade, detail).after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY_HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_one_printable_text() {
        assert_eq!(key_of(&HeaderMap::new()).unwrap(), None);
        assert_eq!(key_of(&headers(&[b"a b"])).unwrap().as_deref(), Some("a b"));
        assert!(key_of(&headers(&[&[b'a'; 255]])).is_ok());
        for wrong in [&[&[b'a'; 256][..]][..], &[b""], &[b"a\tb"], &[b"\xc3\xa4"], &[b"a", b"a"]] {
            let problem = key_of(&headers(wrong)).unwrap_err();
            assert_eq!(problem.errors[0].parameter, KEY_HEADER, "{wrong:?}");
        }
    }

    #[test]
    fn requests_differ_by_method_path_and_body() {
        let of = |method: &str, path: &str, body: &'static str| {
            let request = Request::builder().method(method).uri(path);
            fingerprint(&request.body(Bytes::from(body)).unwrap())
        };
        let one = of("POST", "/a", "{}");
        assert_eq!(one, of("POST", "/a", "{}"));
        for other in [of("PATCH", "/a", "{}"), of("POST", "/a?b", "{}"), of("POST", "/a", "{ }")] {
            assert_ne!(one, other);
        }
        assert_ne!(of("POST", "/a", "b"), of("POST", "/ab", ""));
    }
}
