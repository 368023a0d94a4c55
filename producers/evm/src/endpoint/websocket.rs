use alloy::{
    pubsub::{ConnectionHandle, PubSubConnect},
    transports::{
        TransportErrorKind, TransportResult,
        ws::{WebSocketConfig, WsConnect},
    },
};

use super::{EndpointError, client::WebSocketClient};

/// Receipts of one heavy block are tens of megabytes; the library's own limit is 16 for a frame.
const MAX_MESSAGE_BYTES: usize = 128 << 20;

/// A websocket that connects once: a lost connection stays lost, and our own loop makes a new one.
#[derive(Debug, Clone)]
struct ConnectOnce(WsConnect);

impl PubSubConnect for ConnectOnce {
    fn is_local(&self) -> bool {
        self.0.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        self.0.connect().await
    }

    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        Err(TransportErrorKind::non_retryable_str("connection lost"))
    }
}

/// Opens a websocket.
pub(super) async fn connect(label: &str, url: &str) -> Result<WebSocketClient, EndpointError> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let connect = ConnectOnce(WsConnect::new(url).with_config(config));
    let frontend = connect.into_service().await.map_err(|error| EndpointError::Connect {
        endpoint: label.to_owned(),
        reason: without_url(&error.to_string(), url),
    })?;
    Ok(WebSocketClient::new(frontend))
}

/// The text of an error, without the URL that it may repeat.
pub(super) fn without_url(text: &str, url: &str) -> String {
    let mut shown = text.replace(url, "(url)");
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    if path.len() >= 8 {
        shown = shown.replace(path, "(path)");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_never_repeat_a_key() {
        let url = "wss://node.example/v2/0123456789abcdef";
        for text in
            ["bad url wss://node.example/v2/0123456789abcdef", "GET /v2/0123456789abcdef: 401"]
        {
            assert!(!without_url(text, url).contains("0123456789abcdef"));
        }
    }
}
