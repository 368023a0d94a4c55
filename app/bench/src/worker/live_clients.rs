//! Many clients of live events in one process: plain sockets that read frames and look which block they end.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Instant};

use anyhow::{Context as _, bail};
use crypto_intel_service::now_us;
use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::answer;

/// Connections made at once.
const CONNECTING: usize = 64;
const READ_BYTES: usize = 16 << 10;
/// What comes before the number of a block in a frame.
const BLOCK: &[u8] = b"\"blocks\":[{\"chain\":\"bench\",\"number\":";

/// Clients to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LiveClientsTask {
    /// The server.
    pub(crate) address: SocketAddr,
    /// The path of each client; with fewer paths than clients they are taken in turns.
    pub(crate) paths: Vec<String>,
    /// How many clients.
    pub(crate) clients: usize,
    /// Path of one more client, which never reads.
    pub(crate) stuck: Option<String>,
}

/// All are connected.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct LiveClientsReady {
    /// Connections made in a second.
    pub(crate) accepted_per_second: f64,
}

/// What they received, at the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LiveClientsOutcome {
    /// By number of block.
    pub(crate) blocks: BTreeMap<u64, BlockReceived>,
    /// Bytes of all frames.
    pub(crate) bytes: u64,
    /// Number of all frames.
    pub(crate) frames: u64,
}

/// A block's arrival.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct BlockReceived {
    /// Clients that have it.
    pub(crate) clients: u64,
    /// When the last of them had it, microseconds since the Unix epoch.
    pub(crate) last_us: i64,
}

pub(super) async fn run(task: LiveClientsTask) -> anyhow::Result<()> {
    let outcome = Arc::new(Mutex::new(LiveClientsOutcome::default()));
    let started = Instant::now();
    let connecting = stream::iter(0..task.clients).map(|place| {
        let path = task.paths[place % task.paths.len()].clone();
        let address = task.address;
        async move { open(address, &path).await }
    });
    let sockets: Vec<anyhow::Result<TcpStream>> =
        connecting.buffer_unordered(CONNECTING).collect().await;
    let seconds = started.elapsed().as_secs_f64();
    for socket in sockets {
        tokio::spawn(read(socket?, Arc::clone(&outcome)));
    }
    answer(&LiveClientsReady { accepted_per_second: task.clients as f64 / seconds.max(1e-9) })?;
    let stuck = match &task.stuck {
        Some(path) => Some(open(task.address, path).await?),
        None => None,
    };
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while orders.next_line().await.context("read an order")?.is_some() {}
    drop(stuck);
    let outcome = outcome.lock().clone();
    answer(&outcome)
}

async fn open(address: SocketAddr, path: &str) -> anyhow::Result<TcpStream> {
    let mut socket = TcpStream::connect(address).await.context("connect")?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.context("ask")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.context("read the answer")?);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        bail!("refused: {}", String::from_utf8_lossy(&head));
    }
    Ok(socket)
}

async fn read(
    mut socket: TcpStream,
    outcome: Arc<Mutex<LiveClientsOutcome>>,
) -> anyhow::Result<()> {
    // One buffer for the life of the client, as large as its largest frame.
    let mut buffer: Vec<u8> = Vec::new();
    let mut part = vec![0; READ_BYTES];
    loop {
        let count = socket.read(&mut part).await?;
        if count == 0 {
            bail!("the server closed");
        }
        buffer.extend_from_slice(&part[..count]);
        while let Some((header, payload)) = frame_in(&buffer) {
            let is_ping = buffer[0] & 0x0f == 9;
            take(&buffer[header..header + payload], &outcome);
            buffer.drain(..header + payload);
            if is_ping {
                socket.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await?;
            }
        }
    }
}

/// Lengths of header and payload of the first frame, if it is whole.
fn frame_in(buffer: &[u8]) -> Option<(usize, usize)> {
    let (header, payload) = match *buffer.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?) as usize),
        small => (2, usize::from(small)),
    };
    (buffer.len() >= header + payload).then_some((header, payload))
}

fn take(payload: &[u8], outcome: &Mutex<LiveClientsOutcome>) {
    // It is at the end of ours, and at the beginning of the bare loop's.
    let end = &payload[payload.len().saturating_sub(400)..];
    let number = number_in(end).or_else(|| number_in(&payload[..payload.len().min(400)]));
    let now = now_us();
    let mut outcome = outcome.lock();
    outcome.frames += 1;
    outcome.bytes += payload.len() as u64;
    if let Some(number) = number {
        let block = outcome.blocks.entry(number).or_default();
        block.clients += 1;
        block.last_us = block.last_us.max(now);
    }
}

fn number_in(text: &[u8]) -> Option<u64> {
    let place = text.windows(BLOCK.len()).position(|window| window == BLOCK)?;
    let digits = text[place + BLOCK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    std::str::from_utf8(&digits.copied().collect::<Vec<u8>>()).ok()?.parse().ok()
}
