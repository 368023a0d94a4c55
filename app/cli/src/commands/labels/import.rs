use std::{collections::BTreeSet, io::Read as _, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use crypto_intel_labels::{
    Label, SANCTIONED, SANCTIONS_SOURCE, SourceInfo,
    formats::{Common, Format, Read, Wrong, read},
    parse_chain, shipped, unpack,
};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::AccountAddress;
use serde::Serialize;

use super::store::LabelStore;
use crate::{
    args::ImportArguments,
    changes::Change,
    output::{Output, thousands},
};

/// Problems that are shown at once.
const SHOWN: usize = 10;
/// How long a list may take to come.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// A list of sanctions has some hundred kilobytes.
const MAX_LIST_BYTES: usize = 64 << 20;

/// What an import did.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    info: SourceInfo,
    /// Labels that the source did not have before, and that it has no longer.
    added: u64,
    removed: u64,
    /// Addresses of chains that are not followed.
    left_out: u64,
    wrong: Vec<Wrong>,
}

pub(super) async fn run(
    nats: &Nats,
    store: &LabelStore,
    options: &ImportArguments,
    output: Output,
) -> anyhow::Result<()> {
    let common = Common { category: options.category.clone(), chain: Some(options.chain.clone()) };
    parse_chain(&options.chain).map_err(anyhow::Error::msg).context("--chain")?;
    let name = options.file.display().to_string();
    let found = read(&load(&options.file)?, options.format.into(), &common)
        .with_context(|| name.clone())?;
    let info = SourceInfo {
        name: options.source.clone(),
        licence: options.licence.clone(),
        origin: options.origin.clone(),
        date: options.date.clone().or_else(|| found.date.clone()),
        confidence: options.confidence,
        ..SourceInfo::default()
    };
    info.validate()?;
    if !options.skip_wrong {
        refuse_wrong(&name, &found.wrong)?;
    }
    replace(nats, store, info, found, &name, output).await
}

/// The list of sanctions: addresses of families of chains that are not followed are left out.
pub(super) async fn renew_sanctions(
    nats: &Nats,
    store: &LabelStore,
    list: &str,
    date: Option<&str>,
    output: Output,
) -> anyhow::Result<()> {
    let is_address = list.starts_with("https://") || list.starts_with("http://");
    let bytes = if is_address { fetch(list).await? } else { load(Path::new(list))? };
    let common = Common { category: Some(SANCTIONED.to_owned()), chain: None };
    let mut found = read(&bytes, Format::Auto, &common).with_context(|| list.to_owned())?;
    // Lines of other families are no mistake of this list.
    found.foreign += found.wrong.len() as u64;
    found.wrong.clear();
    if let Some(other) = found.labels.iter().find(|label| label.category != SANCTIONED) {
        bail!(
            "{list} says that {} is {:?}: this is no list of sanctions; `crypto-intel labels import` takes others",
            other.address,
            other.category
        );
    }
    let date = date.map(ToOwned::to_owned).or_else(|| found.date.clone());
    let Some(date) = date else {
        bail!("{list} does not say of which day it is: give --date, such as 2026-08-20");
    };
    let info = SourceInfo {
        name: SANCTIONS_SOURCE.to_owned(),
        licence: "US government work, public domain".to_owned(),
        origin: list.to_owned(),
        date: Some(date),
        confidence: 100,
        ..SourceInfo::default()
    };
    info.validate()?;
    replace(nats, store, info, found, list, output).await
}

async fn replace(
    nats: &Nats,
    store: &LabelStore,
    info: SourceInfo,
    found: Read,
    name: &str,
    output: Output,
) -> anyhow::Result<()> {
    if found.labels.is_empty() {
        bail!(
            "{name} has no label, nothing is changed: a file has a line of column names with `address`, or lines ADDRESS,LABEL,CATEGORY"
        );
    }
    let known = known_before(store, &info.name).await?;
    let labels = unique(found.labels);
    let now: BTreeSet<_> = labels.iter().map(key).collect();
    let (added, removed) = (now.difference(&known).count(), known.difference(&now).count());
    let info = store.put(info, &labels).await?;
    let outcome = Outcome {
        info,
        added: added as u64,
        removed: removed as u64,
        left_out: found.foreign,
        wrong: found.wrong,
    };
    Change::new("labels.import").of(&outcome.info.name).to(&outcome.info).tell(nats).await?;
    output.show(&outcome, describe)
}

/// What identifies a label within its source.
fn key(label: &Label) -> (AccountAddress, String, String) {
    (label.address, label.chain.name().to_owned(), label.category.clone())
}

/// What a source said before: as it was imported, else as it is shipped.
async fn known_before(
    store: &LabelStore,
    source: &str,
) -> anyhow::Result<BTreeSet<(AccountAddress, String, String)>> {
    let mut labels = store.labels(source).await?;
    if labels.is_empty()
        && let Some(shipped) = shipped().iter().find(|shipped| shipped.info.name == source)
    {
        labels = unpack(shipped.packed)?;
    }
    Ok(labels.iter().map(key).collect())
}

/// By address; of what a file says twice the last counts.
fn unique(mut labels: Vec<Label>) -> Vec<Label> {
    labels.reverse();
    // Stable: the last one of the file is the first of its like.
    labels.sort_by_cached_key(key);
    labels.dedup_by(|later, first| key(later) == key(first));
    labels
}

fn describe(outcome: &Outcome) -> String {
    let Outcome { info, added, removed, left_out, wrong } = outcome;
    let mut lines = vec![format!(
        "{} has {} labels from the next block on: {} new, {} no longer there",
        info.name,
        thousands(info.labels),
        thousands(*added),
        thousands(*removed)
    )];
    if *left_out > 0 {
        lines.push(format!(
            "{} addresses of chains that are not followed are left out",
            thousands(*left_out)
        ));
    }
    if !wrong.is_empty() {
        lines.push(format!("{} lines are left out:", thousands(wrong.len() as u64)));
        lines.push(problems(wrong));
    }
    lines.join("\n")
}

fn refuse_wrong(name: &str, wrong: &[Wrong]) -> anyhow::Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "{name}: nothing is changed; correct these lines, or give --skip-wrong to import the others\n{}",
        problems(wrong)
    )
}

fn problems(wrong: &[Wrong]) -> String {
    let shown = wrong.iter().take(SHOWN);
    let mut lines: Vec<String> =
        shown.map(|wrong| format!("line {}: {}", wrong.line, wrong.problem)).collect();
    if wrong.len() > SHOWN {
        lines.push(format!("and {} more", wrong.len() - SHOWN));
    }
    lines.join("\n")
}

fn load(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).context("read standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    }
    Ok(bytes)
}

async fn fetch(address: &str) -> anyhow::Result<Vec<u8>> {
    if address.starts_with("http://") {
        bail!(
            "{address}: a list of sanctions is fetched by https only; fetch it yourself and give the file"
        );
    }
    let client = reqwest::Client::builder().timeout(FETCH_TIMEOUT).build()?;
    let answer = client.get(address).send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.with_context(|| format!("fetch {address}"))?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.with_context(|| format!("fetch {address}"))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_LIST_BYTES {
            bail!("{address} is larger than {MAX_LIST_BYTES} bytes: this is no list of sanctions");
        }
    }
    Ok(bytes)
}
