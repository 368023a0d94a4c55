//! `crypto-intel migrate [--dry-run]`

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_store::policies;

use super::{connect_store, prepare};
use crate::{
    args::{Arguments, MigrateArguments},
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
    Ok(ExitCode::SUCCESS)
}
