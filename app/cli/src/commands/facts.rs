//! `crypto-intel facts [KIND [KEY]]`

use std::process::ExitCode;

use crypto_intel_poll::{FactReport, fact_reports};
use crypto_intel_service::now_us;
use serde::Serialize;
use serde_json::Value;

use super::{connect_nats, exit_code};
use crate::{
    args::{Arguments, FactsArguments},
    output::{Output, ago, table},
};

pub(crate) async fn run(
    arguments: &Arguments,
    options: &FactsArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = super::prepare(arguments)?;
    let nats = connect_nats(&config, "facts").await?;
    let kind = options.kind.map(|kind| kind.as_str());
    let reports = fact_reports(&nats, kind, options.key.as_deref()).await?;
    output.show(&reports, |reports| text_of(reports))?;
    Ok(exit_code(!reports.is_empty()))
}

/// Each fact with the value that is used, and below it what each source says.
fn text_of(reports: &[FactReport]) -> String {
    if reports.is_empty() {
        return "no such fact is known: `poll` keeps what more than one provider gives, and what is used"
            .to_owned();
    }
    let now_us = now_us();
    let mut rows = Vec::new();
    for report in reports {
        let unit = report.unit.clone().unwrap_or_default();
        rows.push([
            report.fact.clone(),
            report.value.to_string(),
            unit,
            ago(now_us, report.at_us),
            word_of(report.how),
        ]);
        rows.extend(report.sources.iter().map(|said| {
            let unit = said.unit.clone().unwrap_or_default();
            let age = ago(now_us, said.at_us);
            let value = said.value.to_string();
            [format!("  {}", said.source), value, unit, age, word_of(Some(said.verdict))]
        }));
    }
    table(&["fact, sources", "value", "unit", "age", "why"], rows)
}

/// The word of the wire.
fn word_of(word: Option<impl Serialize>) -> String {
    match word.and_then(|word| serde_json::to_value(word).ok()) {
        Some(Value::String(text)) => text.replace('_', " "),
        _ => String::new(),
    }
}
