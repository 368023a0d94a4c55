//! How messages are written, and to whom.

use std::sync::Arc;

use serde::Serialize;
use tokio_tungstenite::tungstenite::Message;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    MessagePack,
}

impl Format {
    /// A small message of the server.
    pub(crate) fn write(self, message: &impl Serialize) -> Message {
        match self {
            Self::Json => Message::Text(serde_json::to_string(message).unwrap_or_default().into()),
            Self::MessagePack => {
                Message::Binary(rmp_serde::to_vec_named(message).unwrap_or_default().into())
            }
        }
    }
}

/// How a client gets its messages, and under which id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// A websocket's subscription.
    Socket {
        /// The id that the client gave it.
        id: Arc<str>,
    },
    /// A stream of server-sent events.
    Stream,
}
