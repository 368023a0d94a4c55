//! `crypto-intel restore`: a backup onto an empty database and a NATS server without its streams.

mod after;
mod plan;

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, bail};
use crypto_intel_nats::{ArchiveForm, Nats, StreamSnapshot, StreamState};
use crypto_intel_schemas::Bucket;
use crypto_intel_service::wait_for_signal;
use crypto_intel_store::{
    Store,
    backup::{self as database_backup, DatabaseRestored, PgProgram, RestorePlan},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::backup::{
    folder,
    manifest::{DATABASE_FILE, Manifest},
};
use super::{backup, connect_nats, connect_store, prepare};
use crate::{
    args::{Arguments, RestoreArguments, RestorePart},
    changes::Change,
    config::AppConfig,
    output::{Output, line},
    progress,
};
use plan::Plan;

/// What a restore came to.
#[derive(Debug, Serialize)]
struct Report {
    /// When the backup was begun.
    made_at: String,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<DatabaseRestored>,
    /// What streams and buckets hold now.
    streams: Vec<(String, StreamState)>,
    /// What is otherwise than it was.
    warnings: Vec<String>,
    /// What the roles do once they run, and what to do first.
    next: Vec<String>,
}

/// Where a backup goes.
struct Targets {
    store: Option<Store>,
    nats: Option<Nats>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &RestoreArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let manifest = verified(&options.backup, output).await?;
    let targets = connect(&config, options, &manifest).await?;
    let plan = plan::make(&targets, options, &manifest).await?;
    if !plan.obstacles.is_empty() {
        bail!("nothing was written:\n- {}", plan.obstacles.join("\n- "));
    }
    if !options.yes && !is_confirmed(&config, &targets, &manifest, &plan)? {
        bail!("nothing was written");
    }
    let stop = CancellationToken::new();
    tokio::spawn(wait_for_signal(stop.clone()));
    let report = tokio::select! {
        report = restore(&config, options, &targets, &manifest, &plan, output) => report?,
        () = stop.cancelled() => {
            bail!("stopped: what was restored so far is in the way of the next attempt, which says how to remove it")
        }
    };
    output.show(&report, describe)?;
    if let Some(nats) = &targets.nats {
        let backup = options.backup.display().to_string();
        // Who restores a database alone may have no streams yet.
        if let Err(error) = Change::new("restore").of(backup).to(&report).tell(nats).await {
            eprintln!("crypto-intel: {error:#}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The manifest, once every file is what it says.
async fn verified(backup: &Path, output: Output) -> anyhow::Result<Manifest> {
    if let Some(newest) = folder::whole(backup).ok().and_then(|mut names| names.pop()) {
        bail!("{} holds backups: name one of them, such as {newest}", backup.display());
    }
    let manifest = Manifest::read(backup)?;
    let bar = progress::bytes(output, manifest.bytes(), "checksums");
    let (reading, folder) = (bar.clone(), backup.to_owned());
    let manifest = tokio::task::spawn_blocking(move || {
        manifest.verify(&folder, &|bytes| reading.set_position(bytes))?;
        anyhow::Ok(manifest)
    })
    .await
    .context("read the backup")??;
    bar.finish_and_clear();
    Ok(manifest)
}

async fn connect(
    config: &AppConfig,
    options: &RestoreArguments,
    manifest: &Manifest,
) -> anyhow::Result<Targets> {
    let wants_database = options.only != Some(RestorePart::Streams) && manifest.database.is_some();
    if wants_database && config.database.url.is_empty() {
        bail!("database.url is not configured: set it, or restore the rest with --only streams");
    }
    let store = if wants_database { Some(connect_store(config).await?) } else { None };
    let nats = match connect_nats(config, "restore").await {
        Ok(nats) => Some(nats),
        // Then the effect on its readers is unknown; the tables do not need it.
        Err(_) if options.only == Some(RestorePart::Database) => None,
        Err(error) => return Err(error),
    };
    Ok(Targets { store, nats })
}

fn is_confirmed(
    config: &AppConfig,
    targets: &Targets,
    manifest: &Manifest,
    plan: &Plan,
) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("cannot ask without a terminal: add --yes{}", plan.warnings_text());
    }
    line(&format!(
        "backup of {}\n{}{}",
        manifest.made_at,
        backup::contents(manifest),
        plan.warnings_text()
    ))?;
    let database = targets
        .store
        .as_ref()
        .map(|store| format!("database {} at {}", store.database(), store.place()));
    let nats = plan.takes_streams.then(|| config.nats.url.to_string());
    let places: Vec<String> = database.into_iter().chain(nats).collect();
    let mut out = std::io::stdout().lock();
    write!(out, "restore it onto {}? [y/N] ", places.join(" and "))
        .and_then(|()| out.flush())
        .context("ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn restore(
    config: &AppConfig,
    options: &RestoreArguments,
    targets: &Targets,
    manifest: &Manifest,
    plan: &Plan,
    output: Output,
) -> anyhow::Result<Report> {
    let began = Instant::now();
    let mut report = Report {
        made_at: manifest.made_at.clone(),
        seconds: 0.0,
        database: None,
        streams: Vec::new(),
        warnings: plan.warnings.clone(),
        next: Vec::new(),
    };
    if let Some(store) = &targets.store {
        report.database =
            Some(restore_database(config, options, store, manifest, &plan.database, output).await?);
    }
    if let Some(nats) = &targets.nats {
        // Buckets last: what they count on is there then.
        let (buckets, streams): (Vec<_>, Vec<_>) =
            plan.streams(manifest).partition(|stream| Bucket::is_stream(&stream.stream));
        for stream in streams.into_iter().chain(buckets) {
            let state = restore_stream(nats, options, stream, manifest, output).await?;
            report.streams.push((stream.stream.clone(), state));
        }
    }
    report.next = after::next(config, options, targets, manifest).await;
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

async fn restore_database(
    config: &AppConfig,
    options: &RestoreArguments,
    store: &Store,
    manifest: &Manifest,
    plan: &RestorePlan,
    output: Output,
) -> anyhow::Result<DatabaseRestored> {
    let Some(facts) = &manifest.database else { bail!("the backup has no database") };
    let file = options.backup.join(DATABASE_FILE);
    let bar = progress::steps(output, "database");
    let program = PgProgram::restore(options.pg_restore.as_deref());
    let step = |step: &str| bar.set_message(step.to_owned());
    let restored = database_backup::restore(store, &config.database, &program, &file, (facts, plan), &step)
        .await
        .context("restore the database (what is there of it is of no use: the next attempt says how to remove it)")?;
    bar.finish_and_clear();
    Ok(restored)
}

async fn restore_stream(
    nats: &Nats,
    options: &RestoreArguments,
    stream: &StreamSnapshot,
    manifest: &Manifest,
    output: Output,
) -> anyhow::Result<StreamState> {
    let name = &stream.stream;
    let total = match stream.form {
        ArchiveForm::Messages => stream.bytes,
        ArchiveForm::Files => manifest.bytes_of(Path::new(name)),
    };
    let bar = progress::bytes(output, total, name);
    let state = nats
        .restore_snapshot(&options.backup.join(name), &|bytes| bar.set_position(bytes))
        .await
        .with_context(|| format!("restore stream {name}"))?;
    bar.finish_and_clear();
    Ok(state)
}

fn describe(report: &Report) -> String {
    let mut lines = Vec::new();
    if let Some(database) = &report.database {
        lines.push(format!("restored the database, {} grants", database.grants));
    }
    if !report.streams.is_empty() {
        let messages = report.streams.iter().map(|(_, state)| state.messages).sum();
        lines.push(format!(
            "restored {} streams and buckets, {} messages",
            report.streams.len(),
            crate::output::thousands(messages)
        ));
    }
    lines.extend(report.warnings.iter().map(|warning| format!("note: {warning}")));
    lines.push(format!("backup of {}, restored in {:.1} s; next:", report.made_at, report.seconds));
    lines.extend(report.next.iter().map(|next| format!("- {next}")));
    lines.join("\n")
}
