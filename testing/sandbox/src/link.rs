//! A TCP connection between two servers, which can be cut.

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Listens on a port of its own and hands everything on to another one, while it is open.
#[derive(Debug)]
pub(crate) struct Link {
    port: u16,
    open: watch::Sender<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Link {
    pub(crate) async fn to(target: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen for a link")?;
        let port = listener.local_addr().context("port of a link")?.port();
        let (open, is_open) = watch::channel(true);
        let task = AbortOnDropHandle::new(tokio::spawn(accept(listener, target, is_open)));
        Ok(Self { port, open, _task: task })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Cutting it ends what goes through it, and refuses what comes.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }
}

async fn accept(listener: TcpListener, target: u16, is_open: watch::Receiver<bool>) {
    loop {
        let Ok((mut incoming, _)) = listener.accept().await else { continue };
        let mut is_open = is_open.clone();
        if !*is_open.borrow_and_update() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(mut outgoing) = TcpStream::connect(("127.0.0.1", target)).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut incoming, &mut outgoing) => {}
                // Also when the link is gone.
                _ = is_open.wait_for(|open| !*open) => {}
            }
        });
    }
}
