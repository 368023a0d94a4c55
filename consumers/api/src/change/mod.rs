//! A change: carried out to its end once it has begun, once for each `Idempotency-Key`, and written into the audit before it is
//! answered.

mod once;
pub(crate) mod refusals;

use std::panic::resume_unwind;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use crypto_intel_nats::write_audit;
use crypto_intel_schemas::Audit;
use crypto_intel_service::now_us;
use serde::Serialize;

use crate::{
    auth::Caller,
    layers::observe::RequestId,
    problem::{Problem, ProblemKind},
    state::ApiState,
};
pub(crate) use once::key_parameter;
use once::{Begun, Once};

/// What a route changes, for the audit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action {
    /// Thing and verb, such as `silence.add`.
    pub(crate) name: &'static str,
    /// Whether an `Idempotency-Key` counts: not where the answer holds a secret, which is kept nowhere.
    pub(crate) is_kept: bool,
}

/// What a handler tells the audit of what it did, in the extensions of its answer. Never a secret.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    actor: Option<(String, Option<String>)>,
    target: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

impl Changed {
    /// A thing, by its id.
    pub(crate) fn of(target: impl Into<String>) -> Self {
        Self { target: Some(target.into()), ..Self::default() }
    }

    /// By another client than the one that asked: one who was not known before.
    pub(crate) fn by(self, caller: &Caller) -> Self {
        Self { actor: Some((caller.name.clone(), caller.key.clone())), ..self }
    }

    /// What it was, if anything.
    pub(crate) fn from(self, before: Option<&impl Serialize>) -> Self {
        Self { before: before.and_then(|before| serde_json::to_string(before).ok()), ..self }
    }

    /// What it is now.
    pub(crate) fn to(self, after: &impl Serialize) -> Self {
        Self { after: serde_json::to_string(after).ok(), ..self }
    }
}

/// What those are answered who ask again for a change whose answer holds a secret, in the extensions of the answer: the same without
/// it. What is kept is read by those who may read the bucket.
#[derive(Debug, Clone)]
pub(crate) struct WithoutSecret(String);

impl WithoutSecret {
    /// The answer as JSON, without the secret.
    pub(crate) fn of(answer: &impl Serialize) -> Self {
        Self(serde_json::to_string(answer).unwrap_or_default())
    }
}

/// Carries a change out. Its body is read before: a client that goes away in the middle of it changes nothing. From there on it goes
/// to its end, whether or not the client still waits.
pub(crate) async fn carry_out(
    state: &ApiState,
    caller: &Caller,
    action: Action,
    request: Request,
    next: Next,
) -> Response {
    let request = match whole(state, request).await {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    let begun = if action.is_kept {
        Once::begin(state, caller, &request).await
    } else {
        Ok(Begun::WithoutKey)
    };
    let once = match begun {
        Ok(Begun::WithoutKey) => None,
        Ok(Begun::First(once)) => Some(once),
        Ok(Begun::Known(answer)) => return answer,
        Err(problem) => return problem.into_response(),
    };
    let (state, caller) = (state.clone(), caller.clone());
    let tracker = state.changes.clone();
    let carried_out = tracker.spawn(async move {
        let id = request.extensions().get::<RequestId>().cloned();
        let mut response = next.run(request.map(Body::from)).await;
        let changed = response.extensions().get::<Changed>().cloned().unwrap_or_default();
        let is_made = response.status().is_success();
        if is_made
            && let Err(problem) = record(&state, &caller, action.name, id.as_ref(), changed).await
        {
            response = problem.into_response();
        }
        match once {
            Some(once) => once.keep(response, is_made, id.as_ref()).await,
            None => response,
        }
    });
    match carried_out.await {
        Ok(response) => response,
        // The layer outside says so.
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => Problem::new(ProblemKind::Unavailable, "the server stops").into_response(),
    }
}

/// Carries a question out. A list that goes out as a file is in the audit before its first byte is sent.
pub(crate) async fn look(
    state: &ApiState,
    caller: &Caller,
    request: Request,
    next: Next,
) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let uri = request.uri().clone();
    let response = next.run(request).await;
    if !response.headers().contains_key(header::CONTENT_DISPOSITION) {
        return response;
    }
    let changed = Changed::of(uri.path()).to(&uri.query());
    match record(state, caller, "export.begin", id.as_ref(), changed).await {
        Ok(()) => response,
        Err(_) => {
            let detail = "files are written into the audit, and that failed";
            Problem::new(ProblemKind::Unavailable, detail).into_response()
        }
    }
}

/// The request with all of its body.
async fn whole(
    state: &ApiState,
    request: Request,
) -> Result<axum::http::Request<axum::body::Bytes>, Problem> {
    let (parts, body) = request.into_parts();
    let most = state.config.max_body_bytes;
    let bytes = to_bytes(body, most).await.map_err(|_| {
        let detail = format!("the body did not come whole, or is larger than {most} bytes");
        Problem::of_answer(StatusCode::PAYLOAD_TOO_LARGE, &detail)
    })?;
    Ok(axum::http::Request::from_parts(parts, bytes))
}

/// Writes a change into the audit.
///
/// # Errors
/// When it was not acknowledged: then it is in the log alone.
async fn record(
    state: &ApiState,
    caller: &Caller,
    action: &'static str,
    id: Option<&RequestId>,
    changed: Changed,
) -> Result<(), Problem> {
    let Changed { actor, target, before, after } = changed;
    let (name, key) = actor.unwrap_or_else(|| (caller.name.clone(), caller.key.clone()));
    let request = id.map(|id| id.0.clone());
    let now = now_us();
    let audit = Audit {
        id: format!("audit:{}", request.as_deref().unwrap_or("unknown")),
        actor: name,
        key,
        action: action.to_owned(),
        target,
        via: "api".to_owned(),
        origin: caller.address.to_string(),
        request,
        before,
        after,
        ..Audit::at("api", now, now)
    };
    tracing::info!(caller = audit.actor, action = audit.action, target = audit.target, "changed");
    write_audit(&state.nats, &audit).await.map_err(|error| {
        let line = crypto_intel_schemas::Event::from(audit).to_json();
        tracing::error!(error = %error, audit = %line, "a change is not in the audit");
        let detail = "the change was made, and could not be written into the audit: it is in the log of this process";
        Problem::new(ProblemKind::Unavailable, detail)
    })
}
