//! Runs the requested parts in order.

use anyhow::Context as _;

use crate::{
    disk,
    options::{Options, Part},
    parts::{
        burst, consume, history, history_to_rows, latency, lists, live, persist, publish, queries,
        rest, scale, watched,
    },
    report::Report,
    setup, worker,
};

/// Where `summary.json` goes.
const FOLDER: &str = "target/bench";

/// Measures, or runs as a worker of a process that measures.
pub(crate) fn start(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<()> {
    if let Some(task) = &options.worker {
        let task = serde_json::from_str(task).context("read the worker's task")?;
        return worker::run(task).await;
    }
    let options = options.reduced();
    disk::choose(options.data_dir.as_deref())?;
    let mut report = Report::new();
    setup::describe(&mut report)?;
    disk::measure(&options, &mut report)?;
    measure(&options, &mut report).await?;
    let load = setup::load();
    report.say(&format!("load at the end: {load}"));
    report.put_text("load_at_end", load);
    report.finish(FOLDER.as_ref())
}

async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    // The last stream that the producer filled feeds the readers.
    if let Some(source) = publish::measure(options, report).await? {
        if options.wants(Part::Consume) {
            consume::measure(options, &source, report).await?;
        }
        if options.wants(Part::Persist) || options.wants(Part::Indexes) {
            persist::measure(options, &source, report).await?;
        }
    }
    if options.wants(Part::History) {
        history::measure(options, report).await?;
    }
    if options.wants(Part::HistoryToRows) {
        history_to_rows::measure(options, report).await?;
    }
    if options.wants(Part::Watched) {
        watched::measure(options, report).await?;
    }
    if options.wants(Part::Latency) {
        latency::measure(options, report).await?;
    }
    if options.wants(Part::Burst) {
        burst::measure(options, report).await?;
    }
    if options.wants(Part::Queries) {
        queries::measure(options, report).await?;
    }
    if options.wants(Part::Lists) {
        lists::measure(options, report).await?;
    }
    if options.wants(Part::Api) {
        live::measure(options, report).await?;
        rest::measure(options, report).await?;
    }
    if options.wants(Part::Scale) {
        scale::measure(options, report).await?;
    }
    Ok(())
}
