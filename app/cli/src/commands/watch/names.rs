//! Names of the Ethereum Name Service, by the endpoints of the chain `ethereum`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use crypto_intel_evm::{ChainReader, EnsName, ResolvedName};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::{AccountAddress, Watched};

use crate::{commands::backfill::chain_config, config::AppConfig};

/// The chain whose contracts know the names.
const CHAIN: &str = "ethereum";
/// How long a person waits for an endpoint.
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(15);
/// Names that are looked up at once: each takes up to four calls.
const MOST: usize = 500;

/// The address that a name means.
pub(super) async fn resolve(
    config: &AppConfig,
    nats: &Nats,
    name: &EnsName,
) -> anyhow::Result<ResolvedName> {
    let resolved = reader(config).await?.resolve_name(nats, name).await;
    let resolved = resolved.with_context(|| format!("look {name} up"))?;
    let resolved = resolved.with_context(|| {
        format!("{name} means no address by its resolver on {CHAIN}; names that are answered off the chain are not looked up: give the address")
    })?;
    if resolved.own_name.as_deref() != Some(name.as_str()) {
        tracing::warn!(
            %name,
            address = %resolved.address,
            calls_itself = resolved.own_name.as_deref().unwrap_or("nothing"),
            "the address does not call itself so: make sure that it is the one you mean"
        );
    }
    Ok(resolved)
}

/// What the addresses of a list call themselves.
pub(super) async fn of_list(
    config: &AppConfig,
    nats: &Nats,
    watched: &[Watched],
) -> anyhow::Result<BTreeMap<AccountAddress, String>> {
    let reader = reader(config).await?;
    let mut names = BTreeMap::new();
    for address in watched.iter().take(MOST).map(|one| one.address) {
        let Some(evm) = address.evm() else { continue };
        let name = reader.name_of(nats, &evm).await;
        if let Some(name) = name.with_context(|| format!("look {address} up"))? {
            names.insert(address, name);
        }
    }
    if watched.len() > MOST {
        tracing::warn!(most = MOST, "only the first addresses are looked up: give --group");
    }
    Ok(names)
}

async fn reader(config: &AppConfig) -> anyhow::Result<ChainReader> {
    let chain = chain_config(config, CHAIN)
        .with_context(|| format!("names are known by contracts of {CHAIN}"))?;
    let assets = config.evm.assets.as_deref();
    ChainReader::connect(CHAIN, chain, assets, ENDPOINT_TIMEOUT)
        .await
        .context("connect to the chain")
}
