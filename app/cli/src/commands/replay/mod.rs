//! `crypto-intel replay`: a stream again, into the tables, onto subjects or as JSON lines.

mod copy;
mod persist;
mod schema;
mod stdout;
mod subject;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Nats, RangeRequest, StreamRange};
use crypto_intel_schemas::patterns::is_pattern;
use crypto_intel_service::{now_us, wait_for_signal};
use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;

use super::{connect_nats, prepare};
use crate::{
    args::{Arguments, ReplayArguments, ReplayTo},
    config::AppConfig,
    output::{Output, thousands},
    progress,
    times::{parse_beginning, parse_moment},
};

const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What every target needs.
pub(crate) struct Session<'a> {
    pub(crate) config: &'a AppConfig,
    pub(crate) nats: Nats,
    pub(crate) options: &'a ReplayArguments,
    pub(crate) output: Output,
    pub(crate) shutdown: CancellationToken,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &ReplayArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let target = match (options.into_schema.is_some(), options.target()) {
        (true, _) => None,
        (false, Ok(target)) => Some(target),
        (false, Err(problem)) => {
            return Ok(super::misunderstood(problem));
        }
    };
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "replay").await?;
    let shutdown = CancellationToken::new();
    tokio::spawn(wait_for_signal(shutdown.clone()));
    let session = Session { config: &config, nats, options, output, shutdown };
    let Some(target) = target else {
        return schema::run(&session, options.into_schema.as_deref().unwrap_or_default()).await;
    };
    let stream = options.stream.as_deref().unwrap_or_default();
    session.check(stream).await?;
    match target {
        ReplayTo::Persist => persist::run(&session, stream).await,
        ReplayTo::Stdout => stdout::run(&session, stream).await,
        ReplayTo::Subject(prefix) => subject::run(&session, stream, prefix).await,
    }
}

impl Session<'_> {
    /// Whether there is such a stream, and whether it has such subjects.
    async fn check(&self, stream: &str) -> anyhow::Result<()> {
        let streams = self.nats.streams_with(">").await.context("ask NATS for its streams")?;
        if !streams.iter().any(|name| name == stream) {
            bail!("no stream {stream}: there are {}", streams.join(", "));
        }
        for filter in &self.options.subjects {
            if !is_pattern(filter) {
                bail!(
                    "--subject {filter:?} is no pattern of subjects: write such as evm.ethereum.transfer.>"
                );
            }
            let holding =
                self.nats.streams_with(filter).await.context("ask NATS for its streams")?;
            if !holding.iter().any(|name| name == stream) {
                let hint = match holding.as_slice() {
                    [] => "no stream has".to_owned(),
                    names => format!("{} has", names.join(", ")),
                };
                bail!("--subject {filter}: stream {stream} has no such subject, {hint}");
            }
        }
        Ok(())
    }

    /// The range as it was asked for.
    fn request(&self) -> anyhow::Result<RangeRequest> {
        let now = now_us();
        let until = self.options.until.as_deref();
        Ok(RangeRequest {
            since_us: parse_beginning("--since", self.options.since.as_deref(), now)?,
            until_us: until.map(|until| parse_moment("--until", until, now)).transpose()?,
            from_sequence: self.options.from_sequence,
            to_sequence: self.options.to_sequence,
        })
    }

    /// Says beside the output what people should know.
    fn note(&self, text: &str) {
        if self.output == Output::Human {
            eprintln!("{text}");
        }
    }

    /// A bar over the sequences of a range, of which an earlier run did what is up to `done`.
    fn bar(&self, stream: &str, range: StreamRange, done: u64) -> ProgressBar {
        let bar = progress::counted(self.output, range.to + 1 - range.from, stream, "messages");
        bar.set_position((done + 1).saturating_sub(range.from));
        // What was there before is no rate of this run.
        bar.reset_eta();
        bar
    }
}

/// What is missing from a range, and how to get it.
fn cut_note(stream: &str, range: StreamRange) -> Option<String> {
    range.is_cut.then(|| {
        format!(
            "stream {stream} begins with sequence {}: what was asked for before that has left it",
            thousands(range.from)
        )
    })
}

/// 0 when everything is done, else 1.
fn ended(is_complete: bool) -> ExitCode {
    super::exit_code(is_complete)
}
