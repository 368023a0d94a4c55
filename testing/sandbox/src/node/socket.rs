//! Requests over HTTP and websockets, and what is pushed to subscribers.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures::stream::SplitSink;
use futures::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::block::NodeBlock;
use super::chain::Change;
use super::faults::RateLimitForm;
use super::logs::{LogFilter, as_removed};
use super::rpc::{self, Answer, RpcError};
use super::{Control, NodeState};
use crate::local_server::Connection;

const MAX_FRAME_BYTES: usize = 64 << 20;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(default)]
    params: Value,
}

pub(super) fn router(state: Arc<NodeState>) -> Router {
    // Providers put keys into the path, so any path reaches this node.
    Router::new().fallback(any(handle)).with_state(state)
}

async fn handle(
    State(state): State<Arc<NodeState>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    body: Bytes,
) -> Response {
    if state.faults().unavailable {
        return (StatusCode::SERVICE_UNAVAILABLE, "temporarily unavailable").into_response();
    }
    if let Ok(upgrade) = upgrade {
        return upgrade
            .max_message_size(MAX_FRAME_BYTES)
            .on_upgrade(move |socket| Session::run(state, connection, socket));
    }
    if state.faults().unresponsive {
        connection.closed().await;
    }
    let limit = state.faults().refuse_one();
    if let Some(limit) = limit
        && limit.form == RateLimitForm::Http
    {
        count_calls(&state, &body);
        let retry_after = [(header::RETRY_AFTER, limit.retry_after_seconds.to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, retry_after, "Too Many Requests").into_response();
    }
    pause(&state).await;
    let refusal = limit.map(RpcError::rate_limited);
    let text = answer(&body, |method, params| {
        state.count(method);
        match &refusal {
            Some(error) => Err(RpcError {
                data: error.data.clone(),
                ..RpcError::new(error.code, &error.message)
            }),
            None => rpc::call(&state, method, params),
        }
    });
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

impl NodeState {
    fn count(&self, method: &str) {
        let mut calls = self.calls();
        if let Some(count) = calls.by_method.get_mut(method) {
            *count += 1;
        } else {
            calls.by_method.insert(method.to_owned(), 1);
        }
    }
}

fn count_calls(state: &NodeState, body: &[u8]) {
    let _ = answer(body, |method, _| {
        state.count(method);
        Ok(Answer::Text(String::new()))
    });
}

fn is_muted(state: &NodeState, body: &[u8]) -> bool {
    let faults = state.faults();
    !faults.muted.is_empty()
        && serde_json::from_slice::<Request<'_>>(body)
            .is_ok_and(|request| faults.muted.contains(&*request.method))
}

async fn pause(state: &NodeState) {
    let delay = state.faults().delay;
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
}

/// Answers one request or a list of them.
fn answer(body: &[u8], mut call: impl FnMut(&str, &Value) -> Result<Answer, RpcError>) -> String {
    let is_batch = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_batch {
        return match serde_json::from_slice::<Request<'_>>(body) {
            Ok(request) => answer_one(&request, &mut call),
            Err(error) => parse_error(&error),
        };
    }
    match serde_json::from_slice::<Vec<Request<'_>>>(body) {
        Ok(requests) => {
            let answers: Vec<String> =
                requests.iter().map(|request| answer_one(request, &mut call)).collect();
            format!("[{}]", answers.join(","))
        }
        Err(error) => parse_error(&error),
    }
}

fn answer_one(
    request: &Request<'_>,
    call: &mut impl FnMut(&str, &Value) -> Result<Answer, RpcError>,
) -> String {
    let id = request.id.map_or("null", RawValue::get);
    match call(&request.method, &request.params) {
        Ok(result) => {
            let result = result.as_str();
            let mut text = String::with_capacity(result.len() + id.len() + 48);
            text.push_str(r#"{"jsonrpc":"2.0","id":"#);
            text.push_str(id);
            text.push_str(r#","result":"#);
            text.push_str(result);
            text.push('}');
            text
        }
        Err(error) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, error.to_json()),
    }
}

fn parse_error(error: &serde_json::Error) -> String {
    let error = RpcError::new(-32700, format!("parse error: {error}"));
    format!(r#"{{"jsonrpc":"2.0","id":null,"error":{}}}"#, error.to_json())
}

enum Topic {
    Heads,
    Logs(LogFilter),
}

struct Subscription {
    id: String,
    topic: Topic,
}

struct Session {
    state: Arc<NodeState>,
    sink: SplitSink<WebSocket, Message>,
    subscriptions: Vec<Subscription>,
    next_subscription: u64,
}

impl Session {
    async fn run(state: Arc<NodeState>, connection: Connection, socket: WebSocket) {
        let mut changes = state.chain.subscribe();
        let mut controls = state.control.subscribe();
        {
            let mut calls = state.calls();
            calls.sockets_opened += 1;
            calls.sockets_open += 1;
        }
        let (sink, mut stream) = socket.split();
        let next_subscription = state.calls().sockets_opened << 32;
        let mut session = Self { state, sink, subscriptions: Vec::new(), next_subscription };
        loop {
            let alive = tokio::select! {
                () = connection.closed() => false,
                frame = stream.next() => match frame {
                    Some(Ok(Message::Text(text))) => session.answer(text.as_bytes()).await,
                    Some(Ok(Message::Binary(bytes))) => session.answer(&bytes).await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => true,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => false,
                },
                // A client that falls too far behind is cut off, as geth does.
                change = changes.recv() => match change {
                    Ok(change) => session.publish(&change).await,
                    Err(_) => false,
                },
                control = controls.recv() => match control {
                    Ok(Control::Frame(text)) => session.send(text).await,
                    Ok(Control::Heads(blocks)) => session.publish_all(blocks).await,
                    Err(_) => false,
                },
            };
            if !alive {
                return;
            }
        }
    }

    async fn answer(&mut self, body: &[u8]) -> bool {
        if self.state.faults().unresponsive {
            return true;
        }
        if is_muted(&self.state, body) {
            count_calls(&self.state, body);
            return true;
        }
        pause(&self.state).await;
        let limit = self.state.faults().refuse_one();
        let state = Arc::clone(&self.state);
        let text = answer(body, |method, params| {
            state.count(method);
            match (limit, method) {
                (Some(limit), _) => Err(RpcError::rate_limited(limit)),
                (None, "eth_subscribe") => self.subscribe(params),
                (None, "eth_unsubscribe") => Ok(self.unsubscribe(&params[0])),
                (None, _) => rpc::call(&state, method, params),
            }
        });
        self.send(text).await
    }

    fn subscribe(&mut self, params: &Value) -> Result<Answer, RpcError> {
        let topic = match params[0].as_str() {
            Some("newHeads") => Topic::Heads,
            Some("logs") => Topic::Logs(
                LogFilter::read(&params[1])
                    .map_err(|error| RpcError::new(-32602, format!("{error:#}")))?,
            ),
            _ => {
                return Err(RpcError::new(
                    -32601,
                    format!("no {} subscription in eth namespace", params[0]),
                ));
            }
        };
        if matches!(topic, Topic::Heads) {
            self.state.calls().head_subscriptions += 1;
        }
        self.next_subscription += 1;
        let id = format!("{:#x}", self.next_subscription);
        let answer = Answer::Text(format!("\"{id}\""));
        self.subscriptions.push(Subscription { id, topic });
        Ok(answer)
    }

    fn unsubscribe(&mut self, id: &Value) -> Answer {
        let place =
            self.subscriptions.iter().position(|known| Some(known.id.as_str()) == id.as_str());
        if let Some(place) = place {
            let gone = self.subscriptions.remove(place);
            self.forget(&gone);
        }
        Answer::Text(place.is_some().to_string())
    }

    fn forget(&self, subscription: &Subscription) {
        if matches!(subscription.topic, Topic::Heads) {
            self.state.calls().head_subscriptions -= 1;
        }
    }

    async fn publish_all(&mut self, blocks: Vec<Arc<NodeBlock>>) -> bool {
        for block in blocks {
            if !self.publish(&Change::Added(block)).await {
                return false;
            }
        }
        true
    }

    async fn publish(&mut self, change: &Change) -> bool {
        let (block, removed) = match change {
            Change::Added(block) => (block, false),
            Change::Removed(block) => (block, true),
        };
        if self.state.faults().silent || !self.state.is_visible(block) {
            return true;
        }
        let headless = self.state.faults().headless;
        let mut frames = Vec::new();
        for subscription in &self.subscriptions {
            match &subscription.topic {
                Topic::Heads if !removed && !headless => {
                    frames.push(notification(&subscription.id, block.header_json()));
                }
                Topic::Heads => {}
                Topic::Logs(filter) if removed => frames.extend(
                    filter.texts(block).map(|log| notification(&subscription.id, &as_removed(log))),
                ),
                Topic::Logs(filter) => frames
                    .extend(filter.texts(block).map(|log| notification(&subscription.id, log))),
            }
        }
        for frame in frames {
            if !self.send(frame).await {
                return false;
            }
        }
        true
    }

    async fn send(&mut self, text: String) -> bool {
        self.sink.send(Message::text(text)).await.is_ok()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for subscription in &self.subscriptions {
            self.forget(subscription);
        }
        self.state.calls().sockets_open -= 1;
    }
}

fn notification(subscription: &str, result: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{subscription}","result":{result}}}}}"#
    )
}
