//! `crypto-intel providers list|try|history|pause|resume|test`

mod attempt;
mod examples;
mod history;
mod list;
mod pauses;

use std::process::ExitCode;

use crate::{
    args::{Arguments, ProvidersAction},
    changes::ANONYMOUS,
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
        ProvidersAction::Pause { name, duration, reason, by } => {
            let by = by.as_deref().unwrap_or(ANONYMOUS);
            pauses::begin(&config, name, *duration, reason, by, output).await
        }
        ProvidersAction::Resume { name, by } => {
            pauses::end(&config, name, by.as_deref().unwrap_or(ANONYMOUS), output).await
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
