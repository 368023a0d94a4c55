//! The websocket of a client. What it sends is read as usual; what all clients of a filter are sent is written without a copy for each.
//!
//! The usual writer copies a message into a buffer of the connection, which stays as large as its largest message was: with ten
//! thousand clients most of what the process holds. A message of the server has no mask, so its bytes are the same for all.

use std::io;

use bytes::{Buf as _, Bytes};
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::session::MAX_MESSAGE_BYTES;

/// Allocated at once for each connection: small, for clients send little.
const READ_BUFFER_BYTES: usize = 1 << 10;
/// What is a little too large is read, so that the client can be told; more is not.
const MAX_READ_BYTES: usize = 4 * MAX_MESSAGE_BYTES;
/// A whole message of text, and of bytes (RFC 6455, section 5.2).
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
/// Marks of lengths that follow in two and in eight bytes.
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;

/// A websocket, on the server's side.
pub(super) struct Wire {
    socket: WebSocketStream<TokioIo<Upgraded>>,
}

impl Wire {
    /// A connection that was just upgraded.
    pub(super) async fn new(upgraded: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_READ_BYTES))
            .max_frame_size(Some(MAX_READ_BYTES));
        let socket = TokioIo::new(upgraded);
        Self { socket: WebSocketStream::from_raw_socket(socket, Role::Server, Some(config)).await }
    }

    /// The next message of the client; `None` when it is gone. Pings are answered below.
    pub(super) async fn receive(&mut self) -> Option<Result<Message, Error>> {
        self.socket.next().await
    }

    /// Sends a message. After a failure, and when this is given up half-way, the connection is of no more use.
    ///
    /// # Errors
    /// When the connection is closed or broken.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), Error> {
        let (kind, payload) = match message {
            Message::Text(text) => (TEXT, Bytes::from(text)),
            Message::Binary(bytes) => (BINARY, bytes),
            other => return self.socket.send(other).await,
        };
        // What answers pings and is not sent yet goes before, whole.
        self.socket.flush().await?;
        self.write(kind, payload).await.map_err(Error::Io)
    }

    async fn write(&mut self, kind: u8, payload: Bytes) -> io::Result<()> {
        let (head, length) = head_of(kind, payload.len());
        let mut frame = (&head[..length]).chain(payload);
        let stream = self.socket.get_mut();
        stream.write_all_buf(&mut frame).await?;
        stream.flush().await
    }
}

/// What stands before a payload of so many bytes, and how long that is.
fn head_of(kind: u8, payload: usize) -> ([u8; 10], usize) {
    let mut head = [0; 10];
    head[0] = kind;
    if payload < usize::from(LENGTH_IN_2) {
        head[1] = payload as u8;
        (head, 2)
    } else if let Ok(length) = u16::try_from(payload) {
        head[1] = LENGTH_IN_2;
        head[2..4].copy_from_slice(&length.to_be_bytes());
        (head, 4)
    } else {
        head[1] = LENGTH_IN_8;
        head[2..10].copy_from_slice(&(payload as u64).to_be_bytes());
        (head, 10)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };

    use super::*;

    #[test]
    fn the_head_of_a_frame_is_that_of_the_library() {
        for payload in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
            for (kind, data) in [(TEXT, Data::Text), (BINARY, Data::Binary)] {
                let bytes = Bytes::from(vec![b'x'; payload]);
                let mut whole = Vec::new();
                Frame::message(bytes.clone(), OpCode::Data(data), true).format(&mut whole).unwrap();
                let (head, length) = head_of(kind, payload);
                assert_eq!([&head[..length], &bytes].concat(), whole, "{payload} bytes");
            }
        }
    }
}
