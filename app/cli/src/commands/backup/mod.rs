//! `crypto-intel backup`: database, buckets and streams into a folder that is named when it is whole.

pub(crate) mod folder;
pub(crate) mod manifest;
mod report;

use std::{path::Path, process::ExitCode, time::Instant};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats, NatsError};
use crypto_intel_schemas::Stream;
use crypto_intel_service::{now_us, wait_for_signal};
use crypto_intel_store::backup::{PgProgram, dump};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use folder::{Folder, Unfinished};
use manifest::{DATABASE_FILE, Manifest, sum_all};
use report::Report;
pub(crate) use report::contents;

use super::{connect_nats, connect_store, prepare};
use crate::{
    args::{Arguments, BackupArguments},
    config::AppConfig,
    observe::record_backup,
    output::Output,
    progress,
};

pub(crate) async fn run(
    arguments: &Arguments,
    options: &BackupArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let stop = CancellationToken::new();
    tokio::spawn(wait_for_signal(stop.clone()));
    let nats = connect_nats(&config, "backup").await?;
    let report = tokio::select! {
        report = back_up(&config, options, &nats, output) => report,
        () = stop.cancelled() => Err(anyhow::anyhow!("stopped, nothing of it is kept")),
    };
    record(&nats, report.as_ref().err()).await;
    let report = report?;
    output.show(&report, report::describe)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes down how it ended, for the metric that tells of backups that fail or stay away.
async fn record(nats: &Nats, error: Option<&anyhow::Error>) {
    let now = Some(now_us());
    let recorded = record_backup(nats, |record| match error {
        None => record.finished_at_us = now,
        Some(error) => {
            record.failed_at_us = now;
            record.error = Some(format!("{error:#}"));
        }
    });
    if let Err(error) = recorded.await {
        tracing::warn!(error = %format!("{error:#}"), "how the backup ended could not be written down");
    }
}

async fn back_up(
    config: &AppConfig,
    options: &BackupArguments,
    nats: &Nats,
    output: Output,
) -> anyhow::Result<Report> {
    let began = Instant::now();
    let folder = Folder::open(&options.folder)?;
    let now = Timestamp::now();
    let mut manifest = Manifest::new(text(now), nats.server_version());
    let unfinished = folder.begin(now)?;
    // In this order nothing is ahead of what it counts on: no position and no cursor of its stream.
    dump_database(config, options, unfinished.path(), &mut manifest, output).await?;
    let (buckets, streams) = names(config)?;
    let wanted = buckets.iter().chain(streams.iter().filter(|_| !options.without_streams));
    for stream in wanted {
        snapshot(nats, stream, unfinished.path(), &mut manifest, output).await?;
    }
    manifest.notes.extend(notes(&manifest));
    let path = finish(unfinished, &mut manifest, output).await?;
    let removed = match options.keep {
        Some(keep) => folder.keep(keep as usize)?,
        None => Vec::new(),
    };
    Ok(Report { folder: path, seconds: began.elapsed().as_secs_f64(), removed, manifest })
}

/// Names of the streams behind buckets, without the leases (who leads now says nothing later), and of the others.
fn names(config: &AppConfig) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let topology = config.topology()?;
    let names = topology.stream_names().into_iter().map(ToOwned::to_owned);
    let mut names: Vec<String> = names.filter(|name| *name != Bucket::Leases.stream()).collect();
    names.sort_by_key(|name| rank(name));
    Ok(names.into_iter().partition(|name| Bucket::is_stream(name)))
}

/// What is made of others comes after them: an alert whose event is in the backup should be there, too, and not be told
/// a second time.
fn rank(stream: &str) -> u8 {
    match Stream::named(stream) {
        Some(Stream::Alert) => 1,
        Some(Stream::Outbox | Stream::Notify | Stream::Audit) => 2,
        Some(Stream::Dlq) => 3,
        _ => 0,
    }
}

async fn dump_database(
    config: &AppConfig,
    options: &BackupArguments,
    folder: &Path,
    manifest: &mut Manifest,
    output: Output,
) -> anyhow::Result<()> {
    if config.database.url.is_empty() {
        manifest.notes.push("no database is configured: none is in this backup".to_owned());
        return Ok(());
    }
    let store = connect_store(config).await?;
    let bar = progress::transfer(output, "database");
    let program = PgProgram::dump(options.pg_dump.as_deref());
    let file = folder.join(DATABASE_FILE);
    let progress = |bytes: u64| bar.set_position(bytes);
    let (facts, version) = dump(&store, &config.database, &program, &file, &progress)
        .await
        .context("dump the database")?;
    bar.finish_and_clear();
    manifest.database = Some(facts);
    manifest.pg_dump = Some(version);
    Ok(())
}

async fn snapshot(
    nats: &Nats,
    stream: &str,
    folder: &Path,
    manifest: &mut Manifest,
    output: Output,
) -> anyhow::Result<()> {
    match nats.stream_state(stream).await {
        Ok(_) => {}
        Err(NatsError::NoStream { .. }) => {
            manifest.notes.push(format!("stream {stream} is not on the server"));
            return Ok(());
        }
        Err(error) => return Err(error).with_context(|| format!("ask for stream {stream}")),
    }
    let bar = progress::transfer(output, stream);
    let snapshot = nats
        .snapshot(stream, &folder.join(stream), &|bytes| bar.set_position(bytes))
        .await
        .with_context(|| format!("take stream {stream}"))?;
    bar.finish_and_clear();
    manifest.streams.push(snapshot);
    Ok(())
}

/// What positions and streams say together.
fn notes(manifest: &Manifest) -> Vec<String> {
    let mut notes = Vec::new();
    for position in manifest.database.iter().flat_map(|database| &database.positions) {
        let Some(stream) = manifest.streams.iter().find(|stream| stream.stream == position.stream)
        else {
            continue;
        };
        let (name, sequence) = (&position.stream, position.sequence);
        if sequence > stream.last_sequence {
            notes.push(format!(
                "the position in {name} is {sequence}, its stream ends at {}: it was made anew since persist last ran",
                stream.last_sequence
            ));
        } else if sequence + 1 < stream.first_sequence {
            notes.push(format!(
                "messages {} to {} of {name} are neither in the tables nor in the stream: persist was too far behind",
                sequence + 1,
                stream.first_sequence - 1
            ));
        }
    }
    notes
}

/// Reads back all that was written, writes the manifest and gives the backup its name.
async fn finish(
    unfinished: Unfinished,
    manifest: &mut Manifest,
    output: Output,
) -> anyhow::Result<std::path::PathBuf> {
    let bar = progress::transfer(output, "checksums");
    let folder = unfinished.path().to_owned();
    let reading = bar.clone();
    manifest.files =
        tokio::task::spawn_blocking(move || sum_all(&folder, &mut |bytes| reading.inc(bytes)))
            .await
            .context("read what was written")??;
    bar.finish_and_clear();
    manifest.finished_at = text(Timestamp::now());
    manifest.write(unfinished.path())?;
    unfinished.finish()
}

/// To the second.
fn text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
