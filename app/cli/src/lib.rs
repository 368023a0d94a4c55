//! The `crypto-intel` command line: arguments, configuration, and one module per command.

mod args;
mod changes;
mod commands;
mod config;
mod demo;
mod observe;
mod output;
mod progress;
mod roles;
mod times;

use std::process::ExitCode;

pub use args::{Arguments, Command, DemoArguments, ReplayArguments, ReplayTo, RunArguments};
pub use config::{AdminConfig, AppConfig, DEFAULT_FILE};
pub use crypto_intel_service::ConfigError;
pub use roles::Role;

use output::Output;

/// Exit code of a command that was refused for its configuration (as in `sysexits.h`, `EX_USAGE`).
pub const BAD_CONFIGURATION: u8 = 64;

/// Runs one command to its end. Exit codes: 0 done, 1 failed, 2 usage, 64 bad configuration.
///
/// # Errors
/// What stopped it; a [`ConfigError`] in the chain means bad configuration.
pub async fn execute(arguments: Arguments) -> anyhow::Result<ExitCode> {
    // Both sides of TLS use ring; a second installation in the same process changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let output = Output::new(arguments.json);
    match &arguments.command {
        Command::Demo(options) => demo::run(&arguments, options.clone()).await,
        Command::Run(options) => commands::run::run(&arguments, options).await,
        Command::Init(options) => commands::init::run(options),
        Command::Check(options) => commands::check::run(&arguments, options, output).await,
        Command::Status => commands::status::run(&arguments, output).await,
        Command::Streams(options) => {
            commands::streams::run(&arguments, &options.action, output).await
        }
        Command::Migrate(options) => commands::migrate::run(&arguments, options, output).await,
        Command::Tail(options) => commands::tail::run(&arguments, options).await,
        Command::Replay(options) => commands::replay::run(&arguments, options, output).await,
        Command::Backfill(options) => commands::backfill::run(&arguments, options, output).await,
        Command::Audit(options) => commands::audit::run(&arguments, options, output).await,
        Command::Providers(options) => {
            commands::providers::run(&arguments, &options.action, output).await
        }
        Command::Rules(options) => commands::rules::run(&arguments, &options.action, output).await,
        Command::Facts(options) => commands::facts::run(&arguments, options, output).await,
        Command::Dlq(options) => commands::dlq::run(&arguments, &options.action, output).await,
        Command::Notify(options) => {
            commands::notify::run(&arguments, &options.action, output).await
        }
        Command::Alerts(options) => {
            commands::alerts::run(&arguments, &options.action, output).await
        }
        Command::Silence(options) => {
            commands::silence::run(&arguments, &options.action, output).await
        }
        Command::Route(options) => commands::route::run(&arguments, &options.action, output).await,
        Command::Watch(options) => commands::watch::run(&arguments, &options.action, output).await,
        Command::Labels(options) => {
            commands::labels::run(&arguments, &options.action, output).await
        }
        Command::Keys(options) => commands::keys::run(&arguments, &options.action, output).await,
        Command::Balances(options) => commands::balances::run(&arguments, options, output).await,
        Command::Portfolio(options) => commands::portfolio::run(&arguments, options, output).await,
        Command::Backup(options) => commands::backup::run(&arguments, options, output).await,
        Command::Restore(options) => commands::restore::run(&arguments, options, output).await,
    }
}
