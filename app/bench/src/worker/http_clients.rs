//! Clients of the API: requests over connections that stay open, each answer read to its end.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use super::answer;

const READ_BYTES: usize = 64 << 10;

/// What is asked, and how fast.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HttpClientsTask {
    /// The server.
    pub(crate) address: SocketAddr,
    /// Paths with their queries, asked in turns.
    pub(crate) paths: Vec<String>,
    /// Another header, such as `If-None-Match: "…"`.
    pub(crate) header: Option<String>,
    /// The only status that an answer may have.
    pub(crate) status: u16,
    /// Connections that ask side by side.
    pub(crate) connections: usize,
    /// How long.
    pub(crate) seconds: u64,
    /// How many requests a second by the clock, whether answers come or not; as many as are answered without it.
    pub(crate) per_second: Option<u64>,
}

/// What came back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct HttpClientsOutcome {
    /// How long each answer took, milliseconds; from the moment at which it was to be asked.
    pub(crate) took_ms: Vec<f64>,
    /// How long all of it took.
    pub(crate) seconds: f64,
    /// Bytes of all answers' bodies.
    pub(crate) bytes: u64,
}

impl HttpClientsOutcome {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.took_ms.len() as f64 / self.seconds.max(1e-9)
    }
}

pub(super) async fn run(task: HttpClientsTask) -> anyhow::Result<()> {
    let task = Arc::new(task);
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for _ in 0..task.connections {
        clients.spawn(ask(Arc::clone(&task), Arc::clone(&next), began));
    }
    let mut outcome = HttpClientsOutcome::default();
    while let Some(client) = clients.join_next().await {
        let client = client.context("run a client")??;
        outcome.took_ms.extend(client.took_ms);
        outcome.bytes += client.bytes;
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    answer(&outcome)
}

async fn ask(
    task: Arc<HttpClientsTask>,
    next: Arc<AtomicUsize>,
    began: Instant,
) -> anyhow::Result<HttpClientsOutcome> {
    let mut connection = HttpConnection::open(task.address).await?;
    let mut outcome = HttpClientsOutcome::default();
    let end = began + Duration::from_secs(task.seconds);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let due = match task.per_second {
            Some(rate) => began + Duration::from_secs_f64(number as f64 / rate as f64),
            None => Instant::now(),
        };
        if due >= end {
            return Ok(outcome);
        }
        tokio::time::sleep_until(due).await;
        let path = &task.paths[number % task.paths.len()];
        let answer = connection.get(path, task.header.as_deref()).await?;
        ensure!(answer.status == task.status, "{path}: status {}", answer.status);
        outcome.took_ms.push(due.elapsed().as_secs_f64() * 1e3);
        outcome.bytes += answer.body_bytes as u64;
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    /// Its status line and headers.
    head: String,
    pub(crate) body_bytes: usize,
}

impl HttpAnswer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// A connection that stays open.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    socket: TcpStream,
    address: SocketAddr,
    buffer: Vec<u8>,
}

impl HttpConnection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await.context("connect")?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, address, buffer: Vec::with_capacity(READ_BYTES) })
    }

    /// Asks, and reads the answer to its end.
    pub(crate) async fn get(
        &mut self,
        path: &str,
        header: Option<&str>,
    ) -> anyhow::Result<HttpAnswer> {
        let (address, header) = (self.address, header.map(|header| format!("{header}\r\n")));
        let header = header.unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n");
        self.socket.write_all(request.as_bytes()).await.context("ask")?;
        self.buffer.clear();
        let head_bytes = loop {
            if let Some(place) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break place + 4;
            }
            self.fill().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_bytes]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.context("read the status")?;
        let mut answer = HttpAnswer { status, head, body_bytes: 0 };
        if status != 304 {
            let length = answer.header("content-length").context("an answer without length")?;
            answer.body_bytes = length.parse().context("read the length")?;
        }
        while self.buffer.len() < head_bytes + answer.body_bytes {
            self.fill().await?;
        }
        Ok(answer)
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        self.buffer.reserve(READ_BYTES);
        if self.socket.read_buf(&mut self.buffer).await.context("read an answer")? == 0 {
            bail!("the server closed");
        }
        Ok(())
    }
}
