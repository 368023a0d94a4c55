//! An HTTP server on 127.0.0.1 whose connections can be cut without an answer.

use std::io;

use parking_lot::Mutex;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::port::free_port;

const BIND_ATTEMPTS: usize = 20;

/// A running server; when dropped it stops listening and cuts its connections.
#[derive(Debug)]
pub(crate) struct LocalServer {
    port: u16,
    stop: CancellationToken,
    generation: Arc<Mutex<CancellationToken>>,
}

/// The connection that a request came on, as an axum `ConnectInfo`.
#[derive(Debug, Clone)]
pub(crate) struct Connection(CancellationToken);

impl Connection {
    /// Cuts the connection; nothing that the handler returns reaches the client any more.
    pub(crate) async fn cut<Never>(&self) -> Never {
        self.0.cancel();
        // The server drops this future together with the connection.
        std::future::pending().await
    }

    /// Resolves when the connection is cut or the server stops.
    pub(crate) async fn closed(&self) {
        self.0.cancelled().await;
    }
}

impl LocalServer {
    pub(crate) async fn start(router: Router) -> anyhow::Result<Self> {
        let (listener, port) = bind().await?;
        let stop = CancellationToken::new();
        let generation = Arc::new(Mutex::new(stop.child_token()));
        let listener = CuttableListener { listener, generation: Arc::clone(&generation) };
        let service = router.into_make_service_with_connect_info::<Connection>();
        let server =
            axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::warn!(%error, "local server ended");
            }
        });
        Ok(Self { port, stop, generation })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections; new ones are accepted.
    pub(crate) fn cut_connections(&self) {
        let mut generation = self.generation.lock();
        generation.cancel();
        *generation = self.stop.child_token();
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn bind() -> anyhow::Result<(TcpListener, u16)> {
    let mut attempt = 1;
    loop {
        let port = free_port()?;
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return Ok((listener, port)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < BIND_ATTEMPTS => {
                attempt += 1;
            }
            Err(error) => return Err(error).context("listen on 127.0.0.1"),
        }
    }
}

struct CuttableListener {
    listener: TcpListener,
    generation: Arc<Mutex<CancellationToken>>,
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small answers must not wait for the client's acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let generation = self.generation.lock();
        let token = generation.child_token();
        (CuttableStream::new(stream, token), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

struct CuttableStream {
    stream: TcpStream,
    token: CancellationToken,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CuttableStream {
    fn new(stream: TcpStream, token: CancellationToken) -> Self {
        let cut = Box::pin(token.clone().cancelled_owned());
        Self { stream, token, cut }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        Self(stream.io().token.clone())
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Only a read polls `cut`, which keeps one waker: a write must not replace it.
        if self.token.is_cancelled() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
