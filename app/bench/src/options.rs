//! What is measured, how long, how often.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Rates and latencies of the pipeline beside the raw limits, into target/bench/summary.json.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Blocks that the producer is behind at start on the live lane, 200 transfers each.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) blocks: u64,
    /// Real blocks on the live lane; readers, storage and watched addresses are measured on them, too.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) real_blocks: u64,
    /// Real blocks that the producer is behind at start on the history lane.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(50..))]
    pub(crate) history_blocks: u64,
    /// The same for its memory.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(50..))]
    pub(crate) far_blocks: u64,
    /// Addresses on the watch-list.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) addresses: u64,
    /// Alerts that come at once.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=100_000))]
    pub(crate) alerts: u64,
    /// How long latency is measured, seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) seconds: u64,
    /// Events that persist is behind at start under `--only scale`.
    #[arg(long, default_value_t = 600_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    pub(crate) backlog: u64,
    /// How long the chains of each line grow under `--only scale`, seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) scale_seconds: u64,
    /// Rows in the tables: of those that `--only queries` and `--only api` ask, and of the fullest ones under `--only scale`.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    pub(crate) rows: u64,
    /// Over how many days they are spread; a block every 12 seconds where this is not given.
    #[arg(long)]
    pub(crate) days: Option<u32>,
    /// How often each side of a comparison runs, in turns; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) repeat: u64,
    /// Measure only this.
    #[arg(long)]
    pub(crate) only: Option<Part>,
    /// Small numbers, each once: shows that it works, measures little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Folder with recorded blocks; without it generated ones take the place of real bodies.
    #[arg(long, env = "CRYPTO_INTEL_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Where the servers keep their data, for instance a folder in memory; every user must be able to enter it.
    /// Default: the system's folder for temporary files.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The task of a worker process, as JSON.
    #[arg(long, hide = true)]
    pub(crate) worker: Option<String>,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// From a node to acknowledged batches, in chain order.
    Publish,
    /// The same on the history lane, thousands of blocks behind.
    History,
    /// The same to committed rows, producer and persist together.
    HistoryToRows,
    /// With and without watched addresses.
    Watched,
    /// From a stream to messages and events.
    Consume,
    /// From a stream to committed rows.
    Persist,
    /// What each index costs.
    Indexes,
    /// From a head to acknowledgement, row and chat message, everything running.
    Latency,
    /// From a burst of alerts to messages; only when asked for.
    Burst,
    /// Questions to many rows, on the server of `DATABASE_URL` if that is set; only when asked for.
    Queries,
    /// The lists of the API over a million rows, on PostgreSQL and on TimescaleDB: how long, and that no table is read from begin to
    /// end; only when asked for.
    Lists,
    /// Live events to many clients, and questions over HTTP to many rows; only when asked for.
    Api,
    /// More chains, a longer backlog, fuller tables: how cost grows; only when asked for.
    Scale,
}

impl Options {
    /// Small numbers instead, with `--quick`.
    pub(crate) fn reduced(mut self) -> Self {
        if self.quick {
            self.make_quick();
        }
        self
    }

    fn make_quick(&mut self) {
        self.blocks = self.blocks.min(60);
        self.real_blocks = self.real_blocks.min(60);
        self.history_blocks = self.history_blocks.min(120);
        self.far_blocks = self.far_blocks.min(240);
        self.addresses = self.addresses.min(10_000);
        self.alerts = self.alerts.min(200);
        self.seconds = self.seconds.min(5);
        self.backlog = self.backlog.min(6_000);
        self.scale_seconds = self.scale_seconds.min(2);
        self.rows = self.rows.min(100_000);
        self.repeat = 1;
    }

    /// Whether a part is to be measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        // These take minutes, so they run only on request.
        self.only.map_or(
            ![Part::Burst, Part::Queries, Part::Lists, Part::Api, Part::Scale].contains(&part),
            |only| only == part,
        )
    }
}
