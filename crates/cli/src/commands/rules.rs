//! `crypto-intel rules check`

use std::process::ExitCode;

use serde_json::json;

use super::exit_code;
use crate::{AppConfig, Arguments, args::RulesAction, output::Output};

pub(crate) fn run(
    arguments: &Arguments,
    action: RulesAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = AppConfig::load(arguments)?;
    match action {
        RulesAction::Check => {
            let problems = problems(&config);
            output.show(&json!({ "problems": problems }), |_| {
                if problems.is_empty() {
                    "every rule is sound".to_owned()
                } else {
                    problems.join("\n\n")
                }
            })?;
            Ok(exit_code(problems.is_empty()))
        }
    }
}

/// What is wrong with the configured rules; nothing where there are none.
pub(crate) fn problems(config: &AppConfig) -> Vec<String> {
    if config.alerts.enabled { config.check_rules().err().unwrap_or_default() } else { Vec::new() }
}
