//! What is in the way of a restore: asked before anything is written.

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats, NatsError, StreamSnapshot};
use crypto_intel_schemas::leases;
use crypto_intel_store::backup::{PgProgram, RestorePlan, plan_restore};

use super::Targets;
use crate::args::{RestoreArguments, RestorePart};
use crate::commands::backup::manifest::{DATABASE_FILE, Manifest};
use crate::output::thousands;

/// What will be restored, and what that meets.
pub(super) struct Plan {
    /// Why it is impossible, each with a remedy.
    pub(super) obstacles: Vec<String>,
    /// What will be otherwise than it was.
    pub(super) warnings: Vec<String>,
    pub(super) database: RestorePlan,
    /// Whether streams and buckets are restored.
    pub(super) takes_streams: bool,
}

impl Plan {
    pub(super) fn streams<'a>(
        &self,
        manifest: &'a Manifest,
    ) -> impl Iterator<Item = &'a StreamSnapshot> + use<'a> {
        let takes_streams = self.takes_streams;
        manifest.streams.iter().filter(move |_| takes_streams)
    }

    pub(super) fn warnings_text(&self) -> String {
        self.warnings.iter().map(|warning| format!("\nnote: {warning}")).collect()
    }
}

pub(super) async fn make(
    targets: &Targets,
    options: &RestoreArguments,
    manifest: &Manifest,
) -> anyhow::Result<Plan> {
    let mut plan = Plan {
        obstacles: Vec::new(),
        warnings: manifest.notes.clone(),
        database: RestorePlan::default(),
        takes_streams: options.only != Some(RestorePart::Database),
    };
    if options.only == Some(RestorePart::Database) && manifest.database.is_none() {
        plan.obstacles.push("the backup has no database".to_owned());
    }
    if let (Some(store), Some(facts)) = (&targets.store, &manifest.database) {
        let program = PgProgram::restore(options.pg_restore.as_deref());
        let file = options.backup.join(DATABASE_FILE);
        let dumped_by = manifest.pg_dump.as_ref().map_or(0, |version| version.major);
        plan.database = plan_restore(store, &program, &file, facts, dumped_by)
            .await
            .context("compare the dump with the database")?;
        plan.obstacles.append(&mut plan.database.obstacles.clone());
        plan.warnings.append(&mut plan.database.warnings.clone());
    }
    if let Some(nats) = &targets.nats {
        let running = leases(nats, targets.store.is_some() && !plan.takes_streams).await?;
        if !running.is_empty() {
            plan.obstacles.push(format!(
                "roles are running ({}): stop them first, they would work on half a restore",
                running.join(", ")
            ));
        }
        let streams: Vec<_> = plan.streams(manifest).collect();
        compare_streams(nats, &streams, &mut plan.obstacles).await?;
    }
    Ok(plan)
}

/// Who is the active instance of something; of persist only where no stream is touched.
async fn leases(nats: &Nats, only_persist: bool) -> anyhow::Result<Vec<String>> {
    let bucket = match nats.kv(Bucket::Leases).await {
        Ok(bucket) => bucket,
        Err(NatsError::NoStream { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error).context("open bucket leases"),
    };
    let prefix = if only_persist { leases::PERSIST } else { "" };
    bucket.keys(prefix).await.context("read who is running")
}

async fn compare_streams(
    nats: &Nats,
    streams: &[&StreamSnapshot],
    obstacles: &mut Vec<String>,
) -> anyhow::Result<()> {
    let server = nats.server_version();
    if streams.iter().any(|stream| !stream.form.is_taken_by(&server)) {
        obstacles.push(format!(
            "the streams were taken from nats-server 2.15 or newer, this one is {server}: \
             older ones cannot read them, use 2.15 or newer"
        ));
    }
    let mut there = Vec::new();
    for stream in streams {
        match nats.stream_state(&stream.stream).await {
            Ok(state) => there.push((&stream.stream, state.messages)),
            Err(NatsError::NoStream { .. }) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("ask for stream {}", stream.stream));
            }
        }
    }
    if there.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = there.iter().map(|(name, _)| name.as_str()).collect();
    let messages = there.iter().map(|(_, messages)| messages).sum();
    obstacles.push(format!(
        "the NATS server has {} of the streams already, with {} messages; if they may go: \
         crypto-intel streams remove {} --yes",
        there.len(),
        thousands(messages),
        names.join(" ")
    ));
    Ok(())
}
