use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// Ends a request whose answer does not begin in time. Answers that have begun, such as a stream of events, go on.
pub(crate) async fn limit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let timeout = Duration::from_millis(state.config.request_timeout_ms);
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("there was no answer within {} ms", timeout.as_millis());
            Problem::new(ProblemKind::TimedOut, detail)
                .after(Duration::from_secs(1))
                .into_response()
        }
    }
}
