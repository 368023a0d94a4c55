use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy::{
    pubsub::{PubSubFrontend, RawSubscription},
    rpc::json_rpc::{Id, Request, ResponsePayload, RpcError},
    transports::TransportErrorKind,
};
use crypto_intel_schemas::Address;
use serde::Serialize;
use serde_json::{json, value::RawValue};
use tokio::time::Instant;

use super::{answer::Answer, error::EndpointError, frames::Oddities, http::HttpClient};

/// An open connection.
#[derive(Debug)]
pub(crate) enum Client {
    WebSocket(WebSocketClient),
    Http(HttpClient),
}

#[derive(Debug)]
pub(crate) struct WebSocketClient {
    frontend: PubSubFrontend,
    oddities: Arc<Oddities>,
    next_id: AtomicU64,
}

impl Client {
    /// One request with a deadline.
    pub(crate) async fn call(
        &self,
        label: &str,
        timeout: Duration,
        method: &'static str,
        params: impl Serialize + Send,
    ) -> Result<Answer, EndpointError> {
        let begun = Instant::now();
        let answer = async {
            match self {
                Self::WebSocket(client) => client.call(label, method, params).await,
                Self::Http(client) => client.call(label, method, params).await,
            }
        };
        tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| {
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let stray = match self {
                Self::WebSocket(client) => client.oddities.stray_since(begun),
                Self::Http(_) => None,
            };
            let endpoint = label.to_owned();
            Err(match stray {
                Some(stray) => {
                    let reason = format!("nothing within {timeout_ms} ms, but {stray}");
                    EndpointError::Answer { endpoint, method, reason }
                }
                None => EndpointError::Timeout { endpoint, method, timeout_ms },
            })
        })
    }

    /// Why it is not connected any more.
    pub(crate) fn lost(&self, label: &str) -> EndpointError {
        match self {
            Self::WebSocket(client) => client.lost(label),
            Self::Http(_) => EndpointError::Disconnected { endpoint: label.to_owned() },
        }
    }
}

impl WebSocketClient {
    pub(crate) fn new(frontend: PubSubFrontend, oddities: Arc<Oddities>) -> Self {
        // Heads are hints: of a longer backlog only the newest matters.
        frontend.set_channel_size(64);
        // alloy numbers its own `eth_unsubscribe` with 1.
        Self { frontend, oddities, next_id: AtomicU64::new(2) }
    }

    fn lost(&self, label: &str) -> EndpointError {
        let endpoint = label.to_owned();
        match self.oddities.end() {
            Some(reason) => EndpointError::Lost { endpoint, reason },
            None => EndpointError::Disconnected { endpoint },
        }
    }

    pub(crate) async fn call(
        &self,
        label: &str,
        method: &'static str,
        params: impl Serialize + Send,
    ) -> Result<Answer, EndpointError> {
        let invalid =
            |reason: String| EndpointError::Answer { endpoint: label.to_owned(), method, reason };
        let id = Id::Number(self.next_id.fetch_add(1, Ordering::Relaxed));
        let params =
            serde_json::value::to_raw_value(&params).map_err(|error| invalid(error.to_string()))?;
        let request = Request::new(method, id, params)
            .serialize()
            .map_err(|error| invalid(error.to_string()))?;
        let response = self.frontend.send(request).await.map_err(|error| match error {
            RpcError::Transport(TransportErrorKind::BackendGone) => self.lost(label),
            _ if self.oddities.end().is_some() => self.lost(label),
            other => invalid(other.to_string()),
        })?;
        match response.payload {
            ResponsePayload::Success(value) => Ok(Answer::new(value)),
            ResponsePayload::Failure(error) => {
                let data = error.data.as_deref().map(RawValue::get);
                Err(EndpointError::from_rpc(label, method, (error.code, &error.message, data)))
            }
        }
    }

    /// Subscribes to new heads.
    pub(crate) async fn subscribe_heads(
        &self,
        label: &str,
    ) -> Result<RawSubscription, EndpointError> {
        self.subscribe(label, ["newHeads"]).await
    }

    /// Subscribes to the logs of some contracts, including those of blocks that leave the chain.
    pub(crate) async fn subscribe_logs(
        &self,
        label: &str,
        contracts: &[Address],
    ) -> Result<RawSubscription, EndpointError> {
        self.subscribe(label, ("logs", json!({ "address": contracts }))).await
    }

    async fn subscribe(
        &self,
        label: &str,
        params: impl Serialize + Send,
    ) -> Result<RawSubscription, EndpointError> {
        let method = "eth_subscribe";
        let invalid =
            |reason: String| EndpointError::Answer { endpoint: label.to_owned(), method, reason };
        let answer = self.call(label, method, params).await?;
        let local_id =
            serde_json::from_str(answer.text()).map_err(|error| invalid(error.to_string()))?;
        self.frontend.get_subscription(local_id).await.map_err(|error| invalid(error.to_string()))
    }
}
