//! The traffic of a websocket, frame by frame. A frame that cannot be read, or fits no request, is kept for the error
//! that follows from it: otherwise a connection would be lost again and again for no visible reason.

use std::{collections::HashSet, time::Duration};

use alloy::{
    pubsub::ConnectionInterface,
    rpc::json_rpc::{ErrorPayload, Id, PubSubItem, Response, ResponsePayload},
};
use futures::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message, Utf8Bytes},
};

/// A ping is sent after this long without a request.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Maximum characters of a frame that are quoted.
const QUOTED_CHARS: usize = 200;

/// Why a connection ended, and the newest answer that fits no request.
#[derive(Debug, Default)]
pub(crate) struct Oddities {
    end: Mutex<Option<String>>,
    stray: Mutex<Option<(Instant, String)>>,
}

impl Oddities {
    /// Why the connection ended, once it did.
    pub(crate) fn end(&self) -> Option<String> {
        self.end.lock().clone()
    }

    /// The newest answer since then that fits no request.
    pub(crate) fn stray_since(&self, then: Instant) -> Option<String> {
        let stray = self.stray.lock();
        stray.as_ref().filter(|(at, _)| *at >= then).map(|(_, text)| text.clone())
    }

    fn ended(&self, reason: String) {
        *self.end.lock() = Some(reason);
    }

    fn strayed(&self, text: &str) {
        let told = format!("an answer came whose id fits no request: {}", quoted(text));
        tracing::debug!(told, "stray answer");
        *self.stray.lock() = Some((Instant::now(), told));
    }
}

/// Carries requests and answers until either side closes.
pub(crate) async fn carry(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    mut interface: ConnectionInterface,
    oddities: &Oddities,
) {
    let mut open = HashSet::new();
    let mut keepalive = Instant::now() + KEEPALIVE;
    let mut awaits_pong = false;
    let reason = loop {
        tokio::select! {
            request = interface.recv_from_frontend() => {
                // The frontend is gone: no request is waiting.
                let Some(request) = request else { return };
                open.extend(id_of_request(request.get()));
                keepalive = Instant::now() + KEEPALIVE;
                let text = String::from(Box::<str>::from(request));
                if let Err(error) = socket.send(Message::text(text)).await {
                    break error.to_string();
                }
            }
            () = sleep_until(keepalive) => {
                if awaits_pong {
                    break format!("no answer to a ping within {} s", KEEPALIVE.as_secs());
                }
                awaits_pong = true;
                keepalive = Instant::now() + KEEPALIVE;
                if let Err(error) = socket.send(Message::Ping(Default::default())).await {
                    break error.to_string();
                }
            }
            message = socket.next() => {
                let text = match text_of(message) {
                    Ok(Some(text)) => text,
                    Ok(None) => {
                        awaits_pong = false;
                        continue;
                    }
                    Err(reason) => break reason,
                };
                match read(&text, &mut open) {
                    Ok(Some(item)) => {
                        if interface.send_to_frontend(item).is_err() {
                            return;
                        }
                    }
                    Ok(None) => oddities.strayed(&text),
                    Err(error) => break format!("cannot read its frame {}: {error}", quoted(&text)),
                }
            }
        }
    };
    oddities.ended(reason);
    interface.close_with_error();
}

/// The text of a message; `None` for pings and pongs.
///
/// # Errors
/// Why the connection ends.
fn text_of(
    message: Option<Result<Message, tungstenite::Error>>,
) -> Result<Option<Utf8Bytes>, String> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Pong(_) | Message::Ping(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Binary(bytes))) => {
            Err(format!("a binary frame of {} bytes, where text is expected", bytes.len()))
        }
        Some(Ok(Message::Close(Some(frame)))) => {
            Err(format!("it closed the connection: {} {}", frame.code, quoted(&frame.reason)))
        }
        Some(Ok(Message::Close(None))) | None => Err("it closed the connection".to_owned()),
        Some(Err(error)) => Err(error.to_string()),
    }
}

/// The beginning of a text, on one line.
fn quoted(text: &str) -> String {
    let beginning: String = text.chars().take(QUOTED_CHARS).collect();
    let dots = if beginning.len() < text.len() { "…" } else { "" };
    format!("{beginning:?}{dots}")
}

#[derive(Deserialize)]
struct Sent {
    id: u64,
}

fn id_of_request(text: &str) -> Option<u64> {
    serde_json::from_str::<Sent>(text).ok().map(|sent| sent.id)
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<serde::de::IgnoredAny>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

/// Reads a frame; `None` when it answers no open request. As over HTTP, an error of `null` counts as absent, and a
/// missing result as `null`.
fn read(text: &str, open: &mut HashSet<u64>) -> Result<Option<PubSubItem>, serde_json::Error> {
    let frame: Frame<'_> = serde_json::from_str(text)?;
    if frame.method.is_some() {
        return serde_json::from_str(text).map(Some);
    }
    let has_answer = frame.id.is_some() || frame.result.is_some() || frame.error.is_some();
    if !has_answer {
        let nothing = "neither an answer nor a notification";
        return Err(serde::de::Error::custom(nothing));
    }
    // Some nodes return a numeric id as text.
    let number = frame.id.and_then(|id| id.get().trim_matches('"').parse().ok());
    let Some(number) = number.filter(|number| open.remove(number)) else { return Ok(None) };
    let payload = match frame.error {
        Some(Failure { code, message, data }) => {
            ResponsePayload::Failure(ErrorPayload { code, message: message.into(), data })
        }
        None => {
            let result = frame.result.map_or_else(
                || serde_json::value::to_raw_value(&()),
                |result| Ok(result.to_owned()),
            );
            ResponsePayload::Success(result?)
        }
    };
    Ok(Some(Response { id: Id::Number(number), payload }.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read_one(text: &str) -> Result<Option<PubSubItem>, String> {
        read(text, &mut HashSet::from([7])).map_err(|error| error.to_string())
    }

    #[test]
    fn answers_are_read_as_over_http() {
        let result = |text: &str| match read_one(text).unwrap().unwrap() {
            PubSubItem::Response(Response { id: Id::Number(7), payload }) => match payload {
                ResponsePayload::Success(value) => value.get().to_owned(),
                ResponsePayload::Failure(error) => format!("{} {}", error.code, error.message),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(result(r#"{"jsonrpc":"2.0","id":7,"result":"0x1","error":null}"#), "\"0x1\"");
        assert_eq!(result(r#"{"id":"7","result":{"a":[1]}}"#), r#"{"a":[1]}"#);
        assert_eq!(result(r#"{"id":7,"result":null}"#), "null");
        assert_eq!(result(r#"{"id":7,"error":{"code":-32000,"message":"no"}}"#), "-32000 no");
        assert_eq!(result(r#"{"id":7,"result":null,"error":{"message":"no"}}"#), "0 no");
    }

    #[test]
    fn stray_answers_are_ignored_and_unreadable_frames_are_errors() {
        for stray in
            [r#"{"id":8,"result":1}"#, r#"{"id":"a","result":1}"#, r#"{"id":null,"error":{}}"#]
        {
            assert!(read_one(stray).unwrap().is_none(), "{stray}");
        }
        for odd in ["<html>", "{}", "[]", "null", r#"{"method":"eth_subscription"}"#] {
            assert!(read_one(odd).is_err(), "{odd}");
        }
        assert!(read_one("{}").unwrap_err().contains("neither an answer"));
    }

    #[test]
    fn a_frame_is_quoted_on_one_line_and_cut() {
        let text = quoted(&format!("a\nb{}", "ü".repeat(300)));
        assert!(text.starts_with("\"a\\nbü") && text.ends_with("ü\"…"), "{text}");
        assert_eq!(text.chars().filter(|letter| *letter == 'ü').count(), 197);
    }
}
