//! The role `api` without a database, and the bare loop beside it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use crypto_intel_api::{Config, LISTENS_ON, LiveConfig, PORT_PROBE, reader};
use crypto_intel_schemas::ApiRole;
use crypto_intel_service::{Context, Secret};
use crypto_intel_store::StoreConfig;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_util::task::AbortOnDropHandle;

use super::{answer, connect, stop};

/// Nothing listens there: live events need no database.
const NO_DATABASE: &str = "postgres://nobody@127.0.0.1:1/none";
const MAX_CLIENTS: usize = 100_000;
/// Frames that wait for a client of the bare loop.
const WAITING_FRAMES: usize = 256;

/// Which server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "server", rename_all = "snake_case")]
pub(crate) enum LiveServerTask {
    /// The role.
    Role {
        /// Where the streams are.
        nats_url: String,
        /// Where the tables are; live events need none.
        database_url: Option<String>,
    },
    /// A loop that writes a frame of this size to every client whenever it is told a block.
    Bare {
        /// Size of a frame.
        frame_bytes: usize,
    },
}

/// It listens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct LiveServerReady {
    /// Where.
    pub(crate) address: SocketAddr,
}

pub(super) async fn run(task: LiveServerTask) -> anyhow::Result<()> {
    match task {
        LiveServerTask::Role { nats_url, database_url } => {
            run_role(&nats_url, database_url.as_deref()).await
        }
        LiveServerTask::Bare { frame_bytes } => run_bare(frame_bytes).await,
    }
}

async fn run_role(nats_url: &str, database_url: Option<&str>) -> anyhow::Result<()> {
    let live = LiveConfig {
        max_connections: MAX_CLIENTS,
        max_connections_per_address: MAX_CLIENTS,
        ..LiveConfig::default()
    };
    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        anonymous_role: Some(ApiRole::Viewer),
        live,
        // What is measured is the way, not the limit.
        anonymous_cost_per_minute: u32::MAX,
        max_requests_at_once: MAX_CLIENTS,
        ..Config::default()
    };
    let database = StoreConfig {
        url: Secret::new(database_url.unwrap_or(NO_DATABASE)),
        ..StoreConfig::default()
    };
    let store = reader(&config, &database)?;
    let nats = connect(nats_url).await?;
    let context = Context::new("bench-live");
    let role = crypto_intel_api::run(config, nats, store, context.clone());
    let mut role = AbortOnDropHandle::new(tokio::spawn(role));
    let address = loop {
        let report = context.health.report();
        let port = report.probes.iter().find(|probe| probe.name == PORT_PROBE);
        let address = port.and_then(|probe| probe.detail.strip_prefix(LISTENS_ON)?.parse().ok());
        if let Some(address) = address {
            break address;
        }
        if role.is_finished() {
            (&mut role).await.context("run the role")?.context("run the role")?;
            bail!("the role ended by itself");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    answer(&LiveServerReady { address })?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while orders.next_line().await.context("read an order")?.is_some() {}
    stop(&context, role).await
}

async fn run_bare(frame_bytes: usize) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("bind")?;
    answer(&LiveServerReady { address: listener.local_addr().context("read the address")? })?;
    let (sender, _) = broadcast::channel::<Bytes>(WAITING_FRAMES);
    let frames = Arc::new(sender);
    let accepting = Arc::clone(&frames);
    let _accepting = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve_bare(client, accepting.subscribe()));
        }
    }));
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(number) = orders.next_line().await.context("read an order")? {
        // Without clients nothing is written.
        let _ = frames.send(frame(&number, frame_bytes));
    }
    Ok(())
}

/// A text frame that names a block, as the role's do.
fn frame(number: &str, bytes: usize) -> Bytes {
    let mut text = format!(
        "{{\"blocks\":[{{\"chain\":\"bench\",\"number\":{number}}}],\"more\":false,\"rest\":\""
    );
    text.extend(std::iter::repeat_n('x', bytes.saturating_sub(text.len() + 2)));
    text.push_str("\"}");
    let length = text.len();
    let mut frame = vec![0x81];
    match u16::try_from(length) {
        Ok(small) if small < 126 => frame.push(small as u8),
        Ok(medium) => {
            frame.push(126);
            frame.extend(medium.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(text.into_bytes());
    frame.into()
}

async fn serve_bare(
    mut client: TcpStream,
    mut frames: broadcast::Receiver<Bytes>,
) -> anyhow::Result<()> {
    let mut request = [0; 1_024];
    let mut length = 0;
    while !request[..length].ends_with(b"\r\n\r\n") {
        length += client.read(&mut request[length..]).await?;
    }
    client.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await?;
    loop {
        match frames.recv().await {
            Ok(frame) => client.write_all(&frame).await?,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}
