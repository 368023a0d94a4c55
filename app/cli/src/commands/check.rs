//! `crypto-intel check [--print]`: validates the configuration, then connects to all it names.

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_evm::ChainConfig;
use crypto_intel_nats::Difference;
use crypto_intel_poll::DryRun;
use crypto_intel_schemas::Kind;
use crypto_intel_service::error_chain;
use crypto_intel_store::Table;
use serde::Serialize;

use super::{backfill, connect_nats, connect_store, exit_code, prepare, rules};
use crate::{
    args::{Arguments, CheckArguments},
    config::AppConfig,
    output::{Output, line, thousands},
    roles::Role,
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
    if options.print {
        // As `run` uses it, not as a command at a terminal does.
        print(&AppConfig::load(arguments)?, output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = prepare(arguments)?;
    let mut findings = vec![Finding::new("configuration", Ok("valid".to_owned()))];
    for (key, problem) in &config.unreadable {
        findings.push(Finding::new(
            format!("secret {key}"),
            Err(anyhow::anyhow!("{problem}: no role that needs it starts here")),
        ));
    }
    let report = rules::report(&config);
    let rules = if report.problems.is_empty() {
        Ok(report.summary())
    } else {
        Err(anyhow::anyhow!(report.problems.join("\n")))
    };
    findings.push(Finding::new("rules", rules));
    findings.push(Finding::new("NATS", nats(&config).await));
    findings.extend(providers(&config).await);
    if config.enables(Role::Evm) {
        let problems = config.problems_of(Role::Evm);
        findings.push(Finding::new("assets", sound(problems, "readable")));
    }
    if config.database.url.is_empty() {
        let detail = "none is configured (database.url): nothing is stored, everything else works";
        findings.push(Finding::new("database", Ok(detail.to_owned())));
    } else {
        findings.push(Finding::new("database", database(&config).await));
    }
    for (name, chain) in &config.evm.chains {
        let mut answers = false;
        for endpoint in &chain.endpoints {
            let outcome = crypto_intel_evm::check_endpoint(name, chain, endpoint)
                .await
                .map(|report| format!("{}: head {}", report.endpoint, report.head))
                .map_err(anyhow::Error::from);
            answers |= outcome.is_ok();
            findings.push(Finding::new(format!("chain {name}"), outcome));
        }
        findings.push(Finding::new(format!("chain {name}"), traces(name, chain).await));
        if answers {
            let volume = volume(&config, name, chain).await;
            // Not to know it keeps nothing from running.
            let told = volume.unwrap_or_else(|error| format!("volume unknown: {error:#}"));
            findings.push(Finding::new(format!("chain {name}"), Ok(told)));
        }
    }
    if let Some(file) = &config.notify.routes {
        let problems = crypto_intel_notify::check_routes(&config.notify).err().unwrap_or_default();
        let problems = problems.iter().map(ToString::to_string).collect();
        let good = format!("{} is in order", file.display());
        findings.push(Finding::new("routes", sound(problems, &good)));
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

fn sound(problems: Vec<String>, good: &str) -> anyhow::Result<String> {
    if problems.is_empty() { Ok(good.to_owned()) } else { anyhow::bail!(problems.join("\n")) }
}

/// Requests one endpoint of each polled provider, and publishes nothing.
async fn providers(config: &AppConfig) -> Vec<Finding> {
    if !config.poll.enabled {
        return Vec::new();
    }
    match crypto_intel_poll::dry_run_polled(&config.poll).await {
        Ok(runs) => runs.iter().map(tried).collect(),
        Err(error) => vec![Finding::new("providers", Err(error))],
    }
}

fn tried(run: &DryRun) -> Finding {
    let endpoint = &run.endpoint;
    let outcome = match &run.outcome {
        Err(error) => Err(anyhow::anyhow!("{endpoint}: {}", error_chain(error))),
        Ok(answer) if answer.events.is_empty() && !answer.problems.is_empty() => {
            Err(anyhow::anyhow!("{endpoint}: {}", answer.problems.join("; ")))
        }
        Ok(answer) => {
            let mut text = format!(
                "{endpoint}: {} events in {} ms",
                answer.events.len(),
                run.elapsed.as_millis()
            );
            if !answer.missing.is_empty() {
                text.push_str(&format!("; not in the answer: {}", answer.missing.join(", ")));
            }
            Ok(text)
        }
    };
    Finding::new(format!("provider {}", run.provider), outcome)
}

/// Whether payments inside contracts are seen.
async fn traces(name: &str, chain: &ChainConfig) -> anyhow::Result<String> {
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

/// Blocks of the last day by which a chain's volume is estimated.
const SAMPLED_BLOCKS: u64 = 12;

/// How many events a day the chain's scope has, and how much disk they take.
async fn volume(config: &AppConfig, name: &str, chain: &ChainConfig) -> anyhow::Result<String> {
    let mut reader = backfill::reader(config, name, chain).await?;
    if chain.scope.watched_only {
        // Without a server the list is empty.
        let nats = connect_nats(config, "check").await.context("read the watch-list")?;
        reader.read_watchlist(&nats).await;
    }
    let daily = reader.daily_events(SAMPLED_BLOCKS).await.context("estimate the volume")?;
    let bytes_of = |kind: Kind| Table::of_kind(kind).map_or(0, Table::usual_row_bytes);
    let rows: f64 =
        daily.in_scope.iter().map(|(kind, events)| events * f64::from(bytes_of(*kind))).sum();
    let kinds: Vec<String> = daily
        .in_scope
        .iter()
        .map(|(kind, events)| format!("{} {kind}", rounded(*events)))
        .collect();
    let share = match chain.scope.is_everything() {
        true => String::new(),
        false => format!(" of {}", rounded(daily.all)),
    };
    Ok(format!(
        "about {} events a day{share}: {} in tables, {} in the stream EVM; by {} blocks of the last day{}{}",
        rounded(daily.chosen()),
        gigabytes(rows),
        gigabytes(daily.stream_bytes),
        daily.blocks,
        if kinds.is_empty() { "" } else { ": " },
        kinds.join(", ")
    ))
}

/// Two digits are as much as a sample tells.
fn rounded(events: f64) -> String {
    let magnitude = 10_f64.powf(events.max(1.0).log10().floor() - 1.0).max(1.0);
    thousands(((events / magnitude).round() * magnitude) as u64)
}

fn gigabytes(bytes: f64) -> String {
    if bytes < 1e9 { format!("{:.0} MB", bytes / 1e6) } else { format!("{:.1} GB", bytes / 1e9) }
}

async fn nats(config: &AppConfig) -> anyhow::Result<String> {
    let nats = connect_nats(config, "check").await?;
    let topology = config.topology()?;
    let differences = topology.diff(&nats).await?;
    let missing = Difference::missing(&differences);
    if !missing.is_empty() {
        // A user that may not ask for it learns it from `streams apply`.
        let overlaps = topology.overlaps(&nats, &differences).await.unwrap_or_default();
        if !overlaps.is_empty() {
            let texts: Vec<String> = overlaps.iter().map(ToString::to_string).collect();
            anyhow::bail!("{}", texts.join("; "));
        }
        if topology.stream_names().iter().all(|name| missing.contains(name)) {
            anyhow::bail!("nothing is there yet: run `crypto-intel streams apply`");
        }
        anyhow::bail!("{} is missing: run `crypto-intel streams apply`", missing.join(", "));
    }
    if !differences.is_empty() {
        anyhow::bail!(
            "{} settings of the streams differ from this version: `crypto-intel streams diff` shows them",
            differences.len()
        );
    }
    nats.check_writes(&check_key(config)).await?;
    let largest = nats.client().max_payload();
    Ok(format!(
        "nats-server {}, every stream as defined, a key was written and deleted{}",
        nats.server_version(),
        cut_events(largest)
    ))
}

/// A key that this user may write: each role's leases begin with its name.
fn check_key(config: &AppConfig) -> String {
    let user = config.nats.user.as_str();
    match Role::ALL.iter().find(|role| role.name() == user) {
        Some(role) => format!("{}.check", role.name()),
        None => "check".to_owned(),
    }
}

/// What happens to large events of a server that takes smaller messages than one event may be.
fn cut_events(max_payload: usize) -> String {
    let largest = crypto_intel_evm::LARGEST_EVENT_BYTES;
    if max_payload >= largest {
        return String::new();
    }
    format!(
        "; it takes messages of {} kB and one event may have {} kB: larger ones are published raw and cut, unless \
         max_payload in server.conf is raised",
        max_payload / 1024,
        largest / 1024
    )
}

async fn database(config: &AppConfig) -> anyhow::Result<String> {
    let store = connect_store(config).await?;
    let report = store.migrate(true).await?;
    if report.pending() > 0 {
        anyhow::bail!("{} migrations are pending: run `crypto-intel migrate`", report.pending());
    }
    let policies = crypto_intel_store::policies::apply(&store, &config.storage, true).await?;
    if !policies.is_empty() {
        anyhow::bail!(
            "{} policies differ from [storage]: `crypto-intel migrate --dry-run` shows them",
            policies.len()
        );
    }
    let obstacles = store.write_obstacles().await?;
    if !obstacles.is_empty() {
        anyhow::bail!("rows cannot be written: {}", obstacles.join("; "));
    }
    Ok(format!("{} at {}, rows can be written", store.edition().await?, store.place()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_has_two_digits() {
        for (events, text) in
            [(0.0, "0"), (7.4, "7"), (1_234.0, "1,200"), (9_960_000.0, "10,000,000")]
        {
            assert_eq!(rounded(events), text);
        }
        assert_eq!((gigabytes(4.2e6), gigabytes(1.44e9)), ("4 MB".to_owned(), "1.4 GB".to_owned()));
    }

    #[test]
    fn a_server_that_takes_less_than_one_event_is_named() {
        assert_eq!(cut_events(1 << 20), "");
        let told = cut_events(64 << 10);
        assert!(told.contains("64 kB") && told.contains("max_payload"), "{told}");
    }
}
