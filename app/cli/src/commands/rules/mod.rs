//! `crypto-intel rules`

mod history;
mod tables;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use crypto_intel_alerts::{RuleFiles, run_examples};
use serde::Serialize;

use super::exit_code;
use crate::{
    args::{Arguments, RulesAction},
    config::AppConfig,
    output::Output,
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &RulesAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    match action {
        RulesAction::Test(options) => history::run(arguments, options, output).await,
        RulesAction::Check => {
            let config = AppConfig::load(arguments)?;
            let report = report(&config);
            output.show(&report, |report| {
                if report.problems.is_empty() {
                    let lines = report.warnings.iter().map(|warning| format!("warning: {warning}"));
                    lines.chain([report.summary()]).collect::<Vec<_>>().join("\n\n")
                } else {
                    report.problems.join("\n\n")
                }
            })?;
            Ok(exit_code(report.problems.is_empty()))
        }
    }
}

/// What there is of rules, and what is wrong with them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RulesReport {
    pub(crate) problems: Vec<String>,
    /// What is allowed and probably not meant.
    warnings: Vec<String>,
    files: usize,
    rules: usize,
    /// Events inside rules for which they must fire, or must not.
    examples: usize,
    /// Rules without routes where nothing else places their alerts: they are in the stream only.
    #[serde(rename = "telling_nobody")]
    without_routes: Vec<String>,
}

impl RulesReport {
    /// One line for people, with the rules that have no routes.
    pub(crate) fn summary(&self) -> String {
        let count = |number: usize, one: &str| match number {
            1 => format!("1 {one}"),
            number => format!("{number} {one}s"),
        };
        if self.rules == 0 {
            return format!(
                "no rule is enabled, in {}: alerts has nothing to do",
                count(self.files, "file")
            );
        }
        let sound = if self.rules == 1 { "is" } else { "are" };
        let mut text =
            format!("{} in {} {sound} sound", count(self.rules, "rule"), count(self.files, "file"));
        if self.examples > 0 {
            text.push_str(&format!(", {} as expected", count(self.examples, "example")));
        }
        if !self.without_routes.is_empty() {
            let (number, names) = (self.without_routes.len(), self.without_routes.join(", "));
            let (tells, them) = if number == 1 { ("tells", "it") } else { ("tell", "them") };
            text.push_str(&format!("; {number} {tells} no one, give {them} routes: {names}"));
        }
        text
    }
}

/// Reads and checks the configured rules; an empty report where alerts are switched off.
pub(crate) fn report(config: &AppConfig) -> RulesReport {
    if !config.alerts.enabled {
        return RulesReport::default();
    }
    let rules = match config.check_rules() {
        Ok(rules) => rules,
        Err(problems) => return RulesReport { problems, ..RulesReport::default() },
    };
    let rules = Arc::new(rules);
    // A configuration that names no rules has the default pattern, which may match nothing.
    let is_placed = config.notify.routes.is_some() || config.notify.unrouted.is_some();
    let without_routes = if is_placed { Vec::new() } else { rules.without_routes() };
    let named = config.names_rules();
    let problems = if named { unmatched(rules.unmatched()) } else { Vec::new() }.into_iter();
    let failed = run_examples(&rules);
    RulesReport {
        problems: problems.chain(failed.iter().map(ToString::to_string)).collect(),
        warnings: rules.warnings().iter().map(ToString::to_string).collect(),
        examples: rules.examples(),
        files: rules.files(),
        rules: rules.ids().len(),
        without_routes: without_routes.into_iter().map(str::to_owned).collect(),
    }
}

/// Says at the start which configured paths name no rules: their role may not even run.
pub(crate) fn warn_of_unmatched(config: &AppConfig) {
    if !(config.alerts.enabled && config.names_rules()) {
        return;
    }
    for problem in unmatched(&RuleFiles::of(&config.alerts.rules).unmatched) {
        tracing::warn!(problem, "rules are not there");
    }
}

fn unmatched(paths: &[PathBuf]) -> Vec<String> {
    paths
        .iter()
        .map(|path| format!("{}: no file has such a name, correct alerts.rules", path.display()))
        .collect()
}
