//! `crypto-intel migrate [--dry-run]`

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_store::{MigrationReport, policies};

use super::{COMMAND_TIMEOUT_SECONDS, connect_nats, connect_store, prepare};
use crate::{
    args::{Arguments, MigrateArguments},
    changes::Change,
    config::AppConfig,
    output::Output,
};

pub(crate) async fn run(
    arguments: &Arguments,
    options: &MigrateArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let store = connect_store(&config).await?;
    let mut report = store.migrate(options.dry_run).await.context("migrate the database")?;
    report.policies = policies::apply(&store, &config.storage, options.dry_run)
        .await
        .context("apply the policies of [storage]")?;
    output.show(&report, ToString::to_string)?;
    let is_changed = !report.applied.is_empty() || !report.policies.is_empty();
    if is_changed
        && !options.dry_run
        && let Err(error) = tell(config, &report).await
    {
        // It needs the database only.
        eprintln!("crypto-intel: {error:#}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn tell(mut config: AppConfig, report: &MigrationReport) -> anyhow::Result<()> {
    let timeout = &mut config.nats.start_timeout_seconds;
    *timeout = COMMAND_TIMEOUT_SECONDS.min(*timeout);
    let nats = connect_nats(&config, "migrate")
        .await
        .context("the database was migrated, and that is not in the audit")?;
    let applied = (&report.applied, &report.policies);
    Change::new("migrate").to(&applied).tell(&nats).await
}
