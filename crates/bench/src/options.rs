//! What is measured, how long, how often.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::{consume, fsync, latency, persist, publish, report::Report, setup, worker};

/// Where `summary.json` goes.
const FOLDER: &str = "target/bench";

/// Rates and latencies of the pipeline beside the raw limits, into target/bench/summary.json.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Blocks that the producer is behind at start, 200 transfers each.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) blocks: u64,
    /// How long latency is measured, seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) seconds: u64,
    /// How often each side of a comparison runs, in turns; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) repeat: u64,
    /// Measure only this.
    #[arg(long)]
    pub(crate) only: Option<Part>,
    /// Small numbers, each once: shows that it works, measures little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Folder with recorded blocks; without it real bodies are not measured.
    #[arg(long, env = "CRYPTO_INTEL_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// A process of this program's own making; JSON.
    #[arg(long, hide = true)]
    worker: Option<String>,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// From a node to acknowledged batches.
    Publish,
    /// From a stream to messages and events.
    Consume,
    /// From a stream to committed rows.
    Persist,
    /// From a head to acknowledgement, row and chat message, everything running.
    Latency,
}

impl Options {
    /// Measures, or works for another process that does.
    pub(crate) async fn execute(mut self) -> anyhow::Result<()> {
        if let Some(task) = &self.worker {
            let task = serde_json::from_str(task).context("read the worker's task")?;
            return worker::run(task).await;
        }
        if self.quick {
            self.blocks = self.blocks.min(60);
            self.seconds = self.seconds.min(5);
            self.repeat = 1;
        }
        let mut report = Report::new();
        setup::describe(&mut report)?;
        fsync::measure(&self, &mut report)?;
        // The last stream that the producer filled feeds the readers.
        let source = publish::measure(&self, &mut report).await?;
        if let Some(source) = source {
            if self.wants(Part::Consume) {
                consume::measure(&self, &source, &mut report).await?;
            }
            if self.wants(Part::Persist) {
                persist::measure(&self, &source, &mut report).await?;
            }
        }
        if self.wants(Part::Latency) {
            latency::measure(&self, &mut report).await?;
        }
        let load = setup::load();
        report.say(&format!("load at the end: {load}"));
        report.put_text("load_at_end", load);
        report.finish(FOLDER.as_ref())
    }

    /// Whether a part is to be measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}
