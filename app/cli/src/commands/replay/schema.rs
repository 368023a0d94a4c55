//! `crypto-intel replay --into-schema NAME [--swap]`

use std::{convert::Infallible, process::ExitCode};

use anyhow::{Context as _, bail};
use crypto_intel_persist::{Progress, Rebuild, RebuildOptions, Stage, StreamReport, Swapped, swap};
use crypto_intel_service::ConfigError;
use crypto_intel_store::{
    SchemaName,
    rebuild::{schema_bytes, swap_obstacles},
};
use indicatif::ProgressBar;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::time::Instant;

use super::{LOOK_INTERVAL, Session, ended};
use crate::{
    commands::connect_store,
    output::{bytes, table, thousands},
    progress,
};

#[derive(Debug, Serialize)]
struct Report {
    schema: String,
    live_schema: String,
    /// Whether an earlier run did the beginning.
    resumed: bool,
    /// Whether everything that was asked for is done.
    complete: bool,
    streams: Vec<StreamReport>,
    /// What the exchange did; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    swap: Option<Swapped>,
    seconds: f64,
}

/// What is shown of the present stage.
struct Screen<'a> {
    session: &'a Session<'a>,
    now: Mutex<Option<Shown>>,
}

enum Shown {
    /// A stream's bar, how far its reading is, and where that began.
    Stream(ProgressBar, Progress, u64),
    Other(ProgressBar),
}

pub(super) async fn run(session: &Session<'_>, name: &str) -> anyhow::Result<ExitCode> {
    let schema: SchemaName = name
        .parse()
        .map_err(|error| ConfigError { problems: vec![format!("--into-schema: {error}")] })?;
    let live = connect_store(session.config).await?;
    let options = RebuildOptions {
        config: session.config.persist.clone(),
        database: session.config.database.clone(),
        storage: session.config.storage.clone(),
        schema: schema.clone(),
        rate: session.options.rate,
    };
    if session.options.swap {
        // Before anything is made.
        refuse(swap_obstacles(&live, &schema).await.context("look for what is in the way")?)?;
    }
    let rebuild = Rebuild::prepare(options, &session.nats, &live, &session.shutdown).await?;
    let (home, resumed) = (rebuild.location().schema.clone(), rebuild.is_resumed());
    if session.options.swap {
        // Now rather than after hours.
        refuse(rebuild.obstacles().await?)?;
    }
    let size = schema_bytes(&live, &home).await.context("measure the live tables")?;
    session.note(&format!(
        "{} tables in schema {schema}, beside {} of {home}: they need about as much room",
        if resumed { "going on with the" } else { "building" },
        bytes(size)
    ));
    let started = Instant::now();
    let screen = Screen { session, now: Mutex::default() };
    let watcher = |stage| screen.show(stage);
    let work = async {
        let (watcher, shutdown) = (&watcher, &session.shutdown);
        if !session.options.swap {
            let read = rebuild.catch_up(watcher, shutdown).await?;
            return Ok::<_, anyhow::Error>((read.is_some(), None));
        }
        let swapped = swap(&rebuild, session.options.patience, watcher, shutdown).await?;
        Ok((swapped.is_some(), swapped))
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        never = screen.keep_up() => match never {},
    };
    screen.replace(None);
    let (complete, swap) = outcome?;
    let report = Report {
        schema: schema.to_string(),
        live_schema: home,
        resumed,
        complete,
        streams: rebuild.report(),
        swap,
        seconds: started.elapsed().as_secs_f64(),
    };
    session.output.show(&report, describe)?;
    Ok(ended(complete))
}

fn refuse(obstacles: Vec<String>) -> anyhow::Result<()> {
    if !obstacles.is_empty() {
        bail!("the exchange would lose or break something:\n  {}", obstacles.join("\n  "));
    }
    Ok(())
}

impl Screen<'_> {
    fn show(&self, stage: Stage) {
        match stage {
            Stage::Reading { stream, from, to, progress } => {
                let bar =
                    progress::counted(self.session.output, to + 1 - from, &stream, "messages");
                self.replace(Some(Shown::Stream(bar, progress, from)));
            }
            Stage::Copying { what, blocks } => self.say(format!(
                "taking over from the live tables: {what}, {} blocks so far",
                thousands(blocks)
            )),
            Stage::Waiting { holders } => self.say(match holders.as_slice() {
                [] => "waiting for a moment in which nobody holds the tables".to_owned(),
                holders => format!("waiting for {}", holders.join("; ")),
            }),
        }
    }

    fn say(&self, text: String) {
        if let Some(Shown::Other(spinner)) = &*self.lock() {
            return spinner.set_message(text);
        }
        let spinner = progress::spinner(self.session.output).with_message(text);
        self.replace(Some(Shown::Other(spinner)));
    }

    fn replace(&self, shown: Option<Shown>) {
        match std::mem::replace(&mut *self.lock(), shown) {
            Some(Shown::Stream(bar, ..) | Shown::Other(bar)) => bar.finish_and_clear(),
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Shown>> {
        self.now.lock()
    }

    async fn keep_up(&self) -> Infallible {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            ticks.tick().await;
            if let Some(Shown::Stream(bar, progress, from)) = &*self.lock() {
                bar.set_position((progress.sequence() + 1).saturating_sub(*from));
                bar.set_message(progress.trouble().unwrap_or_default());
            }
        }
    }
}

fn describe(report: &Report) -> String {
    let streams = report.streams.iter().map(|stream| {
        let rows: u64 = stream.counts.rows.values().sum();
        [
            stream.stream.clone(),
            thousands(stream.position),
            thousands(stream.counts.messages),
            thousands(rows),
        ]
    });
    let mut lines = vec![table(&["stream", "applied up to", "messages now", "rows now"], streams)];
    for stream in &report.streams {
        lines.extend(super::persist::describe_losses(&stream.counts));
    }
    match &report.swap {
        Some(swap) => lines.push(describe_swap(report, swap)),
        None if report.complete => lines.push(describe_rebuilt(report)),
        None => lines.push("stopped; run the same command again: it goes on there".to_owned()),
    }
    lines.join("\n")
}

fn describe_rebuilt(report: &Report) -> String {
    let Report { schema, seconds, .. } = report;
    format!(
        "the tables in schema {schema} are at the streams' ends after {seconds:.1} s; nothing of the live ones has changed\n\
         look at them:      psql with  SET search_path = {schema}, {};\n\
         exchange them:     crypto-intel replay --into-schema {schema} --swap\n\
         or give them up:   DROP SCHEMA {schema} CASCADE;\n\
         What the streams no longer hold is taken over from the live tables by --swap.",
        report.live_schema
    )
}

fn describe_swap(report: &Report, swap: &Swapped) -> String {
    let mut lines = vec![
        format!(
            "exchanged after {:.1} s: the new tables are live in {}, the old ones are in {}",
            report.seconds, report.live_schema, swap.before
        ),
        format!(
            "taken over from the old ones: {} blocks and {} rows that no stream holds any more",
            thousands(swap.copied.blocks),
            thousands(swap.copied.rows)
        ),
    ];
    if !swap.unstreamed_tables.is_empty() {
        lines.push(format!("taken over whole: {}", swap.unstreamed_tables.join(", ")));
    }
    for right in &swap.grants_left_out {
        lines.push(format!("not given to the new tables: {right}"));
    }
    if !swap.aggregates.is_empty() {
        lines.push(format!(
            "continuous aggregates computed anew up to the present bucket: {}; their policies follow them, and what is newer than \
             their last refresh is answered from the rows",
            swap.aggregates.join(", ")
        ));
    }
    lines.push(format!(
        "writers waited {} ms, a reader at most about {} ms, in {} attempts",
        thousands(swap.paused.writers_ms),
        thousands(swap.paused.readers_ms),
        swap.attempts
    ));
    lines.push(format!(
        "when nobody needs the old ones any more: DROP SCHEMA {} CASCADE;",
        swap.before
    ));
    lines.join("\n")
}
