//! The servers and roles of one line, and what they are asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::{growth::newest, shape::Shape};
use crate::{
    child::Child,
    connection::Connection,
    heights::Heights,
    setup::{self, Broker, Database},
    worker::{
        BlockAt, Lane, NodesPlayed, NodesReady, NodesTask, Play, STALL_TIMEOUT, StandingState,
        StandingTask, Task, chain_slug,
    },
};

/// How often the tables are polled: a row is seen up to this much late. Polling many chains takes time from the server.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How often a role is asked how far it is.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// A database, and a connection to it.
#[derive(Debug)]
pub(super) struct Tables {
    // Dropped before its server.
    pub(super) connection: Connection,
    pub(super) database: Database,
}

impl Tables {
    /// On a server of their own, all empty.
    pub(super) async fn fresh() -> anyhow::Result<Self> {
        let database = setup::database().await?;
        let connection = Connection::open(&database.url).await?;
        Ok(Self { connection, database })
    }
}

/// Blocks that became visible in the tables.
#[derive(Debug)]
pub(super) struct Watch {
    seen: Arc<Mutex<Vec<BlockAt>>>,
    task: AbortOnDropHandle<anyhow::Result<()>>,
    /// The server's process that answers the polls.
    pub(super) backend: u32,
}

impl Watch {
    async fn start(tables: &Tables, shape: &Shape) -> anyhow::Result<Self> {
        let chains = (0..shape.chains).map(chain_slug).collect();
        let floor = shape.first_number - 1;
        let url = &tables.database.url;
        let mut heights = Heights::open(url, chains, floor, POLL_INTERVAL).await?;
        let backend = heights.backend().await?;
        let seen: Arc<Mutex<Vec<BlockAt>>> = Arc::default();
        let own = Arc::clone(&seen);
        let watching = async move { heights.watch(u64::MAX, |news| own.lock().extend(news)).await };
        let task = AbortOnDropHandle::new(tokio::spawn(watching));
        Ok(Self { seen, task, backend })
    }

    /// All blocks that were seen, in the order in which they were.
    pub(super) fn seen(&self) -> anyhow::Result<Vec<BlockAt>> {
        if self.task.is_finished() {
            bail!("polling the tables failed");
        }
        Ok(self.seen.lock().clone())
    }

    /// Waits until every chain has this block; false if that takes longer.
    pub(super) async fn wait_for(
        &self,
        newest_of_all: &[u64],
        timeout: Duration,
    ) -> anyhow::Result<bool> {
        let started = Instant::now();
        loop {
            let seen = newest(&self.seen()?, newest_of_all.len());
            if seen.iter().zip(newest_of_all).all(|(seen, wanted)| seen >= wanted) {
                return Ok(true);
            }
            if started.elapsed() > timeout {
                return Ok(false);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Everything that runs for one line. persist starts later where it is to be behind.
#[derive(Debug)]
pub(super) struct Servers<'a> {
    pub(super) watch: Watch,
    pub(super) persist: Option<Child>,
    pub(super) producer: Child,
    pub(super) nodes: Child,
    pub(super) broker: Broker,
    pub(super) tables: &'a Tables,
}

impl<'a> Servers<'a> {
    /// Starts all but persist, and waits until the stream holds the blocks that the nodes begin with.
    pub(super) async fn start(tables: &'a Tables, shape: &Shape) -> anyhow::Result<Self> {
        let broker = setup::broker().await?;
        let task = NodesTask {
            chains: shape.chains,
            first_number: shape.first_number,
            node: shape.node.clone(),
        };
        let mut nodes = Child::start(&Task::Nodes(task))?;
        let ready: NodesReady = nodes.answer().await.context("start the nodes")?;
        let producer = Child::start(&Task::Standing(StandingTask::Producer {
            nats_url: broker.server.url(),
            node_urls: ready.urls,
            first_number: shape.first_number,
        }))?;
        let watch = Watch::start(tables, shape).await?;
        let mut servers = Self { watch, persist: None, producer, nodes, broker, tables };
        let blocks = shape.node.blocks * shape.chains as u64;
        servers.until_acknowledged(blocks).await.context("fill the stream")?;
        Ok(servers)
    }

    async fn until_acknowledged(&mut self, blocks: u64) -> anyhow::Result<()> {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let state = ask(&mut self.producer).await?;
            if state.blocks >= blocks {
                return Ok(());
            }
            if state.blocks > last {
                (last, since) = (state.blocks, Instant::now());
            }
            let still = since.elapsed();
            ensure!(
                still < STALL_TIMEOUT,
                "the producer stands still at {last} of {blocks} blocks"
            );
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }

    pub(super) fn start_persist(&mut self) -> anyhow::Result<()> {
        self.persist = Some(Child::start(&Task::Standing(StandingTask::Persist {
            nats_url: self.broker.server.url(),
            database_url: self.tables.database.url.clone(),
        }))?);
        Ok(())
    }

    /// Lets every chain grow for this long.
    pub(super) async fn play(
        &mut self,
        per_second: f64,
        seconds: u64,
    ) -> anyhow::Result<Vec<BlockAt>> {
        let blocks = (seconds as f64 * per_second) as u64;
        self.nodes.tell(&Play { blocks, per_second }).await?;
        let played: NodesPlayed = self.nodes.answer().await?;
        Ok(played.pushed)
    }

    pub(super) async fn produced(&mut self) -> anyhow::Result<StandingState> {
        ask(&mut self.producer).await
    }

    /// Events in the stream, markers included.
    pub(super) async fn acknowledged(&self) -> anyhow::Result<f64> {
        Ok(self.broker.nats.stream_state(Lane::Live.stream()).await?.last_sequence as f64)
    }

    /// Nothing before persist is started.
    pub(super) async fn stored(&mut self) -> anyhow::Result<StandingState> {
        match &mut self.persist {
            Some(persist) => ask(persist).await,
            None => Ok(StandingState::default()),
        }
    }

    /// Ends the roles before what they use.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        drop(self.watch);
        if let Some(persist) = self.persist {
            persist.end().await?;
        }
        self.producer.end().await?;
        self.nodes.end().await
    }
}

async fn ask(role: &mut Child) -> anyhow::Result<StandingState> {
    role.tell(&"state").await?;
    role.answer().await
}
