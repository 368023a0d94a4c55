//! A websocket client that knows the protocol.

use crypto_intel_testkit::within;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue, Request},
    },
};

use crate::chain::Identity;

/// A connection.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What was received, in order.
    pub(crate) received: Vec<Identity>,
    /// Gaps that were told.
    pub(crate) gaps: Vec<Value>,
    /// Where it stands.
    pub(crate) resume: Option<String>,
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) bye: Option<Value>,
    pub(crate) code: Option<u16>,
}

impl Client {
    /// Connects, and reads `hello`.
    pub(crate) async fn open(url: &str) -> Self {
        let mut client = Self::try_open(url, &[]).await.unwrap();
        assert_eq!(client.next().await["type"], "hello");
        client
    }

    /// Connects with headers; the status when it is refused.
    pub(crate) async fn try_open(url: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request: Request<()> = url.into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        match within(connect_async(request)).await {
            Ok((socket, _)) => {
                Ok(Self { socket, received: Vec::new(), gaps: Vec::new(), resume: None })
            }
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_text(message.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: String) {
        // The server may have closed already: the test looks at how.
        let _ = self.socket.send(Message::text(text)).await;
    }

    /// The next message; pings are answered below.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no message: {other:?}"),
            }
        }
    }

    /// The next message of a type; those before it are taken.
    pub(crate) async fn until(&mut self, message_type: &str) -> Value {
        loop {
            let message = self.next().await;
            self.take(&message);
            if message["type"] == message_type {
                return message;
            }
        }
    }

    /// Subscribes, and returns the answer.
    pub(crate) async fn subscribe(&mut self, mut subscription: Value) -> Value {
        subscription["action"] = json!("subscribe");
        self.send(subscription).await;
        loop {
            let message = self.next().await;
            self.take(&message);
            if message["type"] == "subscribed" || message["type"] == "error" {
                return message;
            }
        }
    }

    /// Takes events and gaps.
    pub(crate) fn take(&mut self, message: &Value) {
        match message["type"].as_str() {
            Some("events" | "snapshot") => {
                self.received.extend(identities(message));
                self.resume = message["resume"].as_str().map(ToOwned::to_owned);
            }
            Some("gap") => {
                self.gaps.push(message.clone());
                self.resume = message["resume"].as_str().map(ToOwned::to_owned);
            }
            Some("subscribed") => {
                self.resume = message["resume"].as_str().map(ToOwned::to_owned);
            }
            _ => {}
        }
    }

    /// Reads until it has as many events.
    pub(crate) async fn until_received(&mut self, events: usize) {
        while self.received.len() < events {
            let message = self.next().await;
            self.take(&message);
        }
    }

    /// Reads until it has an event.
    pub(crate) async fn until_has(&mut self, last: &Identity) {
        let mut known = 0;
        while !self.received[known..].contains(last) {
            known = self.received.len();
            let message = self.next().await;
            self.take(&message);
        }
    }

    /// Reads to the end.
    pub(crate) async fn until_closed(&mut self) -> Ended {
        let mut ended = Ended { bye: None, code: None };
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] == "bye" {
                        ended.bye = Some(message);
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    ended.code = frame.map(|frame| frame.code.into());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return ended,
            }
        }
    }
}

/// The events of a message.
pub(crate) fn identities(message: &Value) -> Vec<Identity> {
    let events = message["events"].as_array().unwrap();
    let identity = |event: &Value| {
        (event["id"].as_str().unwrap().to_owned(), event["incarnation"].as_u64().unwrap_or(0))
    };
    events.iter().map(identity).collect()
}
