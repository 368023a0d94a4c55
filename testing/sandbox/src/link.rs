//! A TCP proxy in front of a server, which can be cut or slowed down.

use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Bytes forwarded at once; a slow link waits after each chunk.
const CHUNK_BYTES: usize = 16 * 1024;

/// Listens on a port of its own and forwards everything to another one while it is open.
#[derive(Debug)]
pub struct Link {
    port: u16,
    open: watch::Sender<bool>,
    bytes_per_second: watch::Sender<Option<u32>>,
    _task: AbortOnDropHandle<()>,
}

impl Link {
    /// A link to a port of 127.0.0.1, open and without a rate limit.
    ///
    /// # Errors
    /// Fails when no port can be listened on.
    pub async fn to(target: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen for a link")?;
        let port = listener.local_addr().context("port of a link")?.port();
        let (open, is_open) = watch::channel(true);
        let (bytes_per_second, rate) = watch::channel(None);
        let task = tokio::spawn(accept(listener, target, is_open, rate));
        Ok(Self { port, open, bytes_per_second, _task: AbortOnDropHandle::new(task) })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closing it cuts its connections and refuses new ones.
    pub fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// Rate of each direction of each connection; `None`: unlimited.
    pub fn set_bytes_per_second(&self, rate: Option<u32>) {
        self.bytes_per_second.send_replace(rate);
    }
}

async fn accept(
    listener: TcpListener,
    target: u16,
    is_open: watch::Receiver<bool>,
    rate: watch::Receiver<Option<u32>>,
) {
    loop {
        let Ok((incoming, _)) = listener.accept().await else { continue };
        let (mut is_open, rate) = (is_open.clone(), rate.clone());
        if !*is_open.borrow_and_update() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(outgoing) = TcpStream::connect(("127.0.0.1", target)).await else { return };
            let (from_client, to_client) = incoming.into_split();
            let (from_server, to_server) = outgoing.into_split();
            let both = async {
                tokio::try_join!(
                    forward(from_client, to_server, rate.clone()),
                    forward(from_server, to_client, rate.clone())
                )
            };
            tokio::select! {
                _ = both => {}
                // Also ends when the link is dropped.
                _ = is_open.wait_for(|open| !*open) => {}
            }
        });
    }
}

/// Forwards one direction until its sender closes it.
async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    rate: watch::Receiver<Option<u32>>,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..length]).await?;
        let rate = *rate.borrow();
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs_f64(length as f64 / f64::from(rate))).await;
        }
    }
}
