use std::sync::Arc;

use alloy::{
    pubsub::{ConnectionHandle, PubSubConnect},
    transports::{TransportErrorKind, TransportResult, ws::WebSocketConfig},
};
use crypto_intel_service::Secret;
use tokio_tungstenite::tungstenite::{
    client::IntoClientRequest as _,
    handshake::client::Request,
    http::{HeaderValue, header},
};

use super::{
    client::WebSocketClient,
    error::{EndpointError, tls_hint},
    frames::{self, Oddities},
    proxy,
};
use crate::endpoint::config::EndpointConfig;

/// Receipts of one heavy block are tens of megabytes; the library's own limit is 16 for a frame.
const MAX_MESSAGE_BYTES: usize = 128 << 20;

/// A websocket that connects once: a lost connection stays lost, and our own loop opens a new one.
#[derive(Debug, Clone)]
struct ConnectOnce {
    request: Request,
    proxy: Secret,
    oddities: Arc<Oddities>,
}

impl PubSubConnect for ConnectOnce {
    fn is_local(&self) -> bool {
        false
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let request = self.request.clone();
        let connected = if self.proxy.is_empty() {
            tokio_tungstenite::connect_async_with_config(request, Some(config), false).await
        } else {
            let stream = proxy::connect(self.proxy.expose(), request.uri())
                .await
                .map_err(TransportErrorKind::custom)?;
            tokio_tungstenite::client_async_tls_with_config(request, stream, Some(config), None)
                .await
        };
        let (socket, _) = connected.map_err(TransportErrorKind::custom)?;
        let (handle, interface) = ConnectionHandle::new();
        let oddities = Arc::clone(&self.oddities);
        tokio::spawn(async move { frames::carry(socket, interface, &oddities).await });
        Ok(handle)
    }

    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        Err(TransportErrorKind::non_retryable_str("connection lost"))
    }
}

/// Opens a websocket.
pub(crate) async fn connect(
    label: &str,
    config: &EndpointConfig,
) -> Result<WebSocketClient, EndpointError> {
    let unusable = |reason: String| EndpointError::Connect { endpoint: label.to_owned(), reason };
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another task may have been quicker: either provider will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let url = config.full_url().map_err(unusable)?;
    let failed = |text: &str| {
        let hint = tls_hint(url.expose(), text);
        unusable(format!("{}{hint}", without_url(text, url.expose())))
    };
    let mut request =
        url.expose().into_client_request().map_err(|error| failed(&error.to_string()))?;
    if let Some(authorization) = proxy::basic_authorization(url.expose()) {
        let value = HeaderValue::try_from(authorization)
            .map_err(|_| unusable("user or password of the URL are malformed".to_owned()))?;
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    request.headers_mut().extend(config.full_headers().map_err(unusable)?);
    let oddities = Arc::new(Oddities::default());
    let connect =
        ConnectOnce { request, proxy: config.proxy.clone(), oddities: Arc::clone(&oddities) };
    let frontend = connect.into_service().await.map_err(|error| failed(&error.to_string()))?;
    Ok(WebSocketClient::new(frontend, oddities))
}

/// The text of an error, without the URL that it may repeat.
pub(crate) fn without_url(text: &str, url: &str) -> String {
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
