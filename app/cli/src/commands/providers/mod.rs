//! `crypto-intel providers list|try|history|test`

mod attempt;
mod examples;
mod history;
mod list;

use std::process::ExitCode;

use crate::{
    args::{Arguments, ProvidersAction},
    output::Output,
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &ProvidersAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = super::prepare(arguments)?;
    match action {
        ProvidersAction::List { all } => list::run(&config, *all, output).await,
        ProvidersAction::Test => examples::run(&config, output),
        ProvidersAction::Try { name, answer, from, to } => {
            let past =
                from.as_deref().map(|from| history::span(from, to.as_deref())).transpose()?;
            attempt::run(&config, name, answer.as_deref(), past, output).await
        }
        ProvidersAction::History { name, from, to } => {
            let span = history::span(from, to.as_deref())?;
            history::run(&config, name, span, output).await
        }
    }
}

/// A provider, and perhaps one endpoint of it.
fn parts_of(name: &str) -> (&str, Option<&str>) {
    match name.split_once('/') {
        Some((provider, endpoint)) => (provider, Some(endpoint)),
        None => (name, None),
    }
}
