//! Server-sent events: one subscription over plain HTTP, for curl and simple readers.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use crypto_intel_service::now_us;
use futures::{Stream, stream};
use tokio::{sync::Notify, time::Instant};
use tokio_tungstenite::tungstenite::Message;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Live,
    access::{admitted, connect, refuse_key_in},
    format::Format,
    message::server::Answer,
    query::StreamQuery,
    session::{HEARTBEAT, Session},
};
use crate::{
    auth::{Caller, Identity, scopes::Scope},
    guard::Guard,
    limits::cost,
    parameters::Asked,
    places::Place,
    problem::Problem,
    state::ApiState,
};

/// How long a client waits before it comes back, milliseconds.
const RETRY_MS: u64 = 2_000;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    // Every role has this scope; what a service needs beyond it is asked for with the subscription.
    let guard = Guard::new(Scope::Chain, cost::LIST);
    OpenApiRouter::new().routes(guard.of(routes!(open)))
}

/// Events as they happen, as server-sent events: each message has the place behind it as `id`, from where `Last-Event-ID` goes on.
/// Messages are those of the websocket; a comment every 15 s says that the connection lives.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    tag = "live",
    params(StreamQuery),
    responses((status = 200, body = String, content_type = "text/event-stream"))
)]
async fn open(
    State(state): State<ApiState>,
    caller: Caller,
    identity: Identity,
    headers: HeaderMap,
    uri: Uri,
    query: Result<Asked<StreamQuery>, Problem>,
) -> Result<Response, Problem> {
    refuse_key_in(uri.query())?;
    let mut wish = query?.parameters.subscribe();
    if let Some(last) = headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty()) {
        wish.resume = Some(String::from_utf8_lossy(last.as_bytes()).into_owned());
    }
    let live = Arc::clone(&state.live);
    let connected = connect(&live.connections, Some(&caller), caller.address, &state.config.live)?;
    let admitted = admitted(&state, identity, &headers, caller.address).await?;
    let mut session = Session::new(Arc::clone(&live.hub), Format::Json, Some(caller), false);
    session.try_subscribe(&wish).await?;
    let told = Told {
        waker: session.waker(),
        session,
        live,
        state,
        admitted,
        beat: Instant::now() + HEARTBEAT,
        is_counted: false,
        has_begun: false,
        has_ended: false,
        _connected: connected,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies would wait for more.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(told.into_stream())).into_response())
}

/// One client.
struct Told {
    session: Session,
    waker: Arc<Notify>,
    live: Arc<Live>,
    state: ApiState,
    admitted: Option<Caller>,
    beat: Instant,
    is_counted: bool,
    has_begun: bool,
    has_ended: bool,
    _connected: Place,
}

impl Told {
    fn into_stream(mut self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        self.is_counted = true;
        self.live.hub.metrics.clients.with_label_values(&["events"]).inc();
        stream::unfold(self, async |mut told| {
            let bytes = told.next().await?;
            Some((Ok(bytes), told))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            return Some(format!("retry: {RETRY_MS}\n\n").into());
        }
        loop {
            if self.has_ended {
                return self.next_bytes();
            }
            if self.live.stop.is_cancelled() {
                self.end("shutdown");
            } else if Instant::now() >= self.beat {
                self.beat = Instant::now() + HEARTBEAT;
                if self.admitted.as_ref().is_some_and(|one| !one.counts(&self.state)) {
                    self.end("key revoked");
                    continue;
                }
                // Without data nothing is dispatched, but the place is remembered.
                let (resume, _) = self.session.resume();
                return Some(format!("id: {resume}\n: {}\n\n", now_us()).into());
            } else if let Some(bytes) = self.next_bytes() {
                return Some(bytes);
            } else {
                tokio::select! {
                    () = self.live.stop.cancelled() => {}
                    () = self.waker.notified() => {}
                    () = tokio::time::sleep_until(self.beat) => {}
                }
            }
        }
    }

    fn end(&mut self, reason: &'static str) {
        self.has_ended = true;
        self.live.hub.metrics.closed.with_label_values(&[reason]).inc();
        self.session.answer(&Answer::Bye { reason, retry_after_ms: RETRY_MS });
    }

    fn next_bytes(&mut self) -> Option<Bytes> {
        let outgoing = match self.has_ended {
            true => self.session.next_answer()?,
            false => self.session.next_message()?,
        };
        let metrics = &self.live.hub.metrics;
        metrics.messages_sent.inc();
        metrics.events_sent.inc_by(outgoing.events as u64);
        match outgoing.message {
            Message::Text(text) => Some(text.into()),
            _ => None,
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if self.is_counted {
            self.live.hub.metrics.clients.with_label_values(&["events"]).dec();
        }
    }
}
