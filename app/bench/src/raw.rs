//! The raw limit of publishing: prepared bytes on a plain socket. It speaks just enough of the NATS protocol to send
//! atomic batches and to read their acknowledgements, so that the server is all that is measured.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use serde::Deserialize;

use crate::{setup::Broker, usage::Usage};

/// An acknowledgement that takes longer counts as lost.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A message as the stream holds it, without what the batch added.
#[derive(Debug, Clone)]
pub(crate) struct RawMessage {
    pub(crate) subject: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Bytes,
}

/// Batches as they go over the wire to an empty stream.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    batches: Arc<Vec<Vec<u8>>>,
}

#[derive(Debug, Deserialize)]
struct Ack {
    error: Option<serde_json::Value>,
    #[serde(default)]
    seq: u64,
}

/// Result of publishing prepared bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawOutcome {
    /// From the first byte to the last acknowledgement.
    pub(crate) seconds: f64,
    /// CPU time of the server, seconds.
    pub(crate) broker_cpu: f64,
}

struct Connection {
    socket: TcpStream,
    input: BufReader<TcpStream>,
}

impl Prepared {
    /// Prepares everything beforehand: on an empty stream even the fence's sequences are known.
    pub(crate) fn new(batches: &[Vec<RawMessage>], fence: Option<&str>) -> Self {
        let mut last_sequence = 0;
        let batches = batches.iter().enumerate().map(|(number, messages)| {
            let mut wire = Vec::with_capacity(messages.len() * 1_024);
            for (index, message) in messages.iter().enumerate() {
                let mut own = Vec::new();
                if messages.len() > 1 {
                    own.push(("Nats-Batch-Id", format!("raw-{number}")));
                    own.push(("Nats-Batch-Sequence", (index + 1).to_string()));
                }
                if let (0, Some(fence)) = (index, fence) {
                    own.push(("Nats-Expected-Last-Subject-Sequence", last_sequence.to_string()));
                    own.push(("Nats-Expected-Last-Subject-Sequence-Subject", fence.to_owned()));
                }
                let is_last = index + 1 == messages.len();
                if is_last && messages.len() > 1 {
                    own.push(("Nats-Batch-Commit", "1".to_owned()));
                }
                write_message(&mut wire, message, &own, is_last);
            }
            last_sequence += messages.len() as u64;
            wire
        });
        Self { batches: Arc::new(batches.collect()) }
    }

    /// Publishes all batches to a server, up to `window` of them unacknowledged.
    pub(crate) async fn publish_on(
        &self,
        broker: &Broker,
        window: usize,
    ) -> anyhow::Result<RawOutcome> {
        let (own, url) = (self.clone(), broker.server.url());
        let before = Usage::of(broker.server.pid()).cpu_seconds;
        let seconds = tokio::task::spawn_blocking(move || own.publish(&url, window))
            .await
            .context("run the raw loop")?
            .context("run the raw loop")?;
        let broker_cpu = Usage::of(broker.server.pid()).cpu_seconds - before;
        Ok(RawOutcome { seconds, broker_cpu })
    }

    /// Publishes all batches, up to `window` of them unacknowledged; returns the seconds it took. Blocks.
    fn publish(&self, url: &str, window: usize) -> anyhow::Result<f64> {
        let mut connection = Connection::open(url)?;
        let started = Instant::now();
        let mut under_way = 0;
        for batch in self.batches.iter() {
            if under_way == window {
                connection.acknowledgement()?;
                under_way -= 1;
            }
            connection.socket.write_all(batch).context("send a batch")?;
            under_way += 1;
        }
        for _ in 0..under_way {
            connection.acknowledgement()?;
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// Publishes one batch after the other, one per `interval`; returns each one's milliseconds from its first byte to its
    /// acknowledgement. Blocks.
    pub(crate) fn pace(&self, url: &str, interval: Duration) -> anyhow::Result<Vec<f64>> {
        let mut connection = Connection::open(url)?;
        let mut elapsed = Vec::with_capacity(self.batches.len());
        for batch in self.batches.iter() {
            let started = Instant::now();
            connection.socket.write_all(batch).context("send a batch")?;
            connection.acknowledgement()?;
            elapsed.push(started.elapsed().as_secs_f64() * 1_000.0);
            // Keeps the pace; this does not wait for a condition.
            #[allow(clippy::disallowed_methods)]
            std::thread::sleep(interval.saturating_sub(started.elapsed()));
        }
        Ok(elapsed)
    }
}

fn write_message(wire: &mut Vec<u8>, message: &RawMessage, own: &[(&str, String)], reply: bool) {
    let mut headers = String::from("NATS/1.0\r\n");
    let kept = message.headers.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in kept.chain(own.iter().map(|(name, value)| (*name, value))) {
        headers.push_str(&format!("{name}: {value}\r\n"));
    }
    headers.push_str("\r\n");
    let reply = if reply { "ack.raw " } else { "" };
    let total = headers.len() + message.payload.len();
    let line = format!("HPUB {} {reply}{} {total}\r\n", message.subject, headers.len());
    wire.extend_from_slice(line.as_bytes());
    wire.extend_from_slice(headers.as_bytes());
    wire.extend_from_slice(&message.payload);
    wire.extend_from_slice(b"\r\n");
}

impl Connection {
    fn open(url: &str) -> anyhow::Result<Self> {
        let address = url.trim_start_matches("nats://");
        let socket =
            TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        socket.set_nodelay(true).context("set up the socket")?;
        socket.set_read_timeout(Some(READ_TIMEOUT)).context("set up the socket")?;
        let input = BufReader::new(socket.try_clone().context("set up the socket")?);
        let mut connection = Self { socket, input };
        let hello = concat!(
            r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"#,
            r#""protocol":1,"lang":"raw","version":"1"}"#,
            "\r\nSUB ack.> 1\r\nPING\r\n"
        );
        connection.socket.write_all(hello.as_bytes()).context("greet nats-server")?;
        while connection.line()? != "PONG" {}
        Ok(connection)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.input.read_line(&mut line).context("read from nats-server")?;
        ensure!(read > 0, "nats-server closed the connection");
        if line.starts_with("-ERR") {
            bail!("nats-server says {}", line.trim_end());
        }
        Ok(line.trim_end().to_owned())
    }

    fn acknowledgement(&mut self) -> anyhow::Result<()> {
        loop {
            let line = self.line()?;
            if line == "PING" {
                self.socket.write_all(b"PONG\r\n").context("answer nats-server")?;
            }
            if !line.starts_with("MSG ") {
                ensure!(!line.starts_with("HMSG "), "no stream takes these messages: {line}");
                continue;
            }
            let length = line.rsplit(' ').next().and_then(|length| length.parse::<usize>().ok());
            let mut body = vec![0; length.context("read an acknowledgement")? + 2];
            self.input.read_exact(&mut body).context("read an acknowledgement")?;
            let ack: Ack = serde_json::from_slice(&body).context("read an acknowledgement")?;
            ensure!(ack.error.is_none() && ack.seq > 0, "batch refused: {:?}", ack.error);
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_batch_is_numbered_fenced_once_and_committed_by_its_last_message() {
        let message = RawMessage {
            subject: "evm.a.block".to_owned(),
            headers: vec![("Schema".to_owned(), "evm.block/1".to_owned())],
            payload: Bytes::from_static(b"x"),
        };
        let batches = [vec![message.clone(), message.clone()], vec![message]];
        let prepared = Prepared::new(&batches, Some("evm.a.>"));
        let texts: Vec<String> =
            prepared.batches.iter().map(|wire| String::from_utf8(wire.clone()).unwrap()).collect();
        assert_eq!(texts[0].matches("Nats-Batch-Id: raw-0\r\n").count(), 2);
        assert_eq!(texts[0].matches("Last-Subject-Sequence: 0\r\n").count(), 1);
        assert_eq!(texts[0].matches("Nats-Batch-Commit: 1").count(), 1);
        assert_eq!(texts[0].matches("ack.raw").count(), 1);
        // A batch of one is a plain publish under the same fence.
        assert!(texts[1].contains("Last-Subject-Sequence: 2\r\n") && !texts[1].contains("Batch"));
        assert!(texts[1].starts_with("HPUB evm.a.block ack.raw "));
    }
}
