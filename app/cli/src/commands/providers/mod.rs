//! `crypto-intel providers list|try|test`

mod attempt;
mod examples;
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
        ProvidersAction::Try { name, answer } => {
            attempt::run(&config, name, answer.as_deref(), output).await
        }
    }
}
