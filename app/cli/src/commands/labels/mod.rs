//! `crypto-intel labels import|list|show|remove|renew-sanctions`

mod import;
mod sources;
mod store;

use std::process::ExitCode;

use anyhow::bail;
use crypto_intel_nats::Bucket;
use serde_json::json;

use self::{sources::Sources, store::LabelStore};
use super::{connect_nats, prepare};
use crate::{
    args::{Arguments, LabelsAction},
    changes::Change,
    output::Output,
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &LabelsAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "labels").await?;
    let store = LabelStore::new(nats.kv(Bucket::Labels).await?);
    match action {
        LabelsAction::Import(options) => import::run(&nats, &store, options, output).await?,
        LabelsAction::RenewSanctions { list, date } => {
            import::renew_sanctions(&nats, &store, list, date.as_deref(), output).await?;
        }
        LabelsAction::List => Sources::read(&store).await?.show(output)?,
        LabelsAction::Show { address } => {
            Sources::read(&store).await?.show_address(&store, address, output).await?;
        }
        LabelsAction::Remove { source } => {
            if !store.remove(source).await? {
                bail!(
                    "nothing was imported as {source:?}; `crypto-intel labels list` shows what was"
                );
            }
            Change::new("labels.remove").of(source).tell(&nats).await?;
            output.show(&json!({ "source": source, "removed": true }), |_| {
                format!("labels of {source} are forgotten from the next block on")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
