//! `crypto-intel check [--print]`: validates the configuration, then connects to all it names.

use std::process::ExitCode;

use serde::Serialize;

use super::{connect_nats, connect_store, exit_code, prepare, rules, streams::topology};
use crate::{
    AppConfig, Arguments,
    args::CheckArguments,
    output::{Output, line},
};

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    ok: bool,
    detail: String,
}

impl Finding {
    fn new(what: impl Into<String>, outcome: anyhow::Result<String>) -> Self {
        let what = what.into();
        match outcome {
            Ok(detail) => Self { what, ok: true, detail },
            Err(error) => Self { what, ok: false, detail: format!("{error:#}") },
        }
    }
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &CheckArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    if options.print {
        print(&config, output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut findings = vec![Finding::new("configuration", Ok("valid".to_owned()))];
    let report = rules::report(&config);
    let rules = if report.problems.is_empty() {
        Ok(report.summary())
    } else {
        Err(anyhow::anyhow!(report.problems.join("\n")))
    };
    findings.push(Finding::new("rules", rules));
    findings.push(Finding::new("NATS", nats(&config).await));
    if !config.database.url.is_empty() {
        findings.push(Finding::new("database", database(&config).await));
    }
    for (name, chain) in &config.evm.chains {
        for endpoint in &chain.endpoints {
            let outcome = crypto_intel_evm::check_endpoint(name, chain, endpoint)
                .await
                .map(|report| format!("{}: head {}", report.endpoint, report.head))
                .map_err(anyhow::Error::from);
            findings.push(Finding::new(format!("chain {name}"), outcome));
        }
        findings.push(Finding::new(format!("chain {name}"), traces(name, chain).await));
    }
    for (name, destination) in &config.notify.destinations {
        let outcome = crypto_intel_notify::check_destination(name, destination).await;
        findings.push(Finding::new(format!("destination {name}"), outcome));
    }
    output.show(&findings, |all| {
        let lines: Vec<String> = all
            .iter()
            .map(|finding| {
                let mark = if finding.ok { "ok    " } else { "FAILED" };
                format!("{mark}  {:<22}  {}", finding.what, finding.detail)
            })
            .collect();
        lines.join("\n")
    })?;
    Ok(exit_code(findings.iter().all(|finding| finding.ok)))
}

fn print(config: &AppConfig, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => line(&serde_json::to_string_pretty(config)?),
        Output::Human => line(toml::to_string_pretty(config)?.trim_end()),
    }
}

/// What is seen of payments inside contracts.
async fn traces(name: &str, chain: &crypto_intel_evm::ChainConfig) -> anyhow::Result<String> {
    let Some(method) = chain.traces.method() else {
        return Ok(format!(
            "payments inside contracts are not seen: evm.chains.{name}.traces is \"off\""
        ));
    };
    let mut refusals = Vec::new();
    for endpoint in &chain.endpoints {
        match crypto_intel_evm::check_traces(name, chain, endpoint).await {
            Ok(()) => {
                let endpoint = endpoint.label();
                return Ok(format!("payments inside contracts by {method} of {endpoint}"));
            }
            Err(error) => refusals.push(error.to_string()),
        }
    }
    anyhow::bail!("payments inside contracts stay unseen: {}", refusals.join("; "))
}

async fn nats(config: &AppConfig) -> anyhow::Result<String> {
    let nats = connect_nats(config, "check").await?;
    let differences = topology(config)?.diff(&nats).await?;
    if !differences.is_empty() {
        anyhow::bail!(
            "{} settings of the streams differ from this version: `crypto-intel streams diff` shows them",
            differences.len()
        );
    }
    Ok(format!("nats-server {}, every stream as defined", nats.server_version()))
}

async fn database(config: &AppConfig) -> anyhow::Result<String> {
    let store = connect_store(config).await?;
    let report = store.migrate(true).await?;
    if report.pending() > 0 {
        anyhow::bail!("{} migrations are pending: run `crypto-intel migrate`", report.pending());
    }
    let policies = store.apply_policies(&config.storage, true).await?;
    if !policies.is_empty() {
        anyhow::bail!(
            "{} policies differ from [storage]: `crypto-intel migrate --dry-run` shows them",
            policies.len()
        );
    }
    Ok(format!("{} at {}", store.edition().await?, store.place()))
}
