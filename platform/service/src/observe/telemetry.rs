use std::{
    fs::File,
    io::IsTerminal,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    EnvFilter,
    fmt::{self, writer::BoxMakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Libraries that log what we handle and log ourselves; naming one in `log` wins.
const QUIET: &str = "alloy_pubsub=off,alloy_transport_ws=off,async_nats=warn";

/// How log lines look.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// What the process says about itself in its log (standard error).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Filter in `tracing` syntax, such as `info` or `info,crypto_intel_evm=debug`.
    pub log: String,
    /// `auto` (text on a terminal, JSON otherwise), `text` or `json`.
    pub format: LogFormat,
    /// File to append to, instead of standard error.
    pub file: Option<PathBuf>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".to_owned(), format: LogFormat::Auto, file: None }
    }
}

/// Sends log lines of this process to standard error, or to the configured file, from now on.
///
/// # Errors
/// When the filter does not parse, the file cannot be opened, or a logger is already installed.
pub fn init_telemetry(config: &TelemetryConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log))
        .with_context(|| format!("read telemetry.log {:?} (such as \"info\")", config.log))?;
    let writer = match &config.file {
        Some(path) => BoxMakeWriter::new(Mutex::new(open(path)?)),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let colour = config.file.is_none() && std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !colour,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let installed = if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(writer)).try_init()
    } else {
        let layer = fmt::layer().with_ansi(colour).with_target(false).with_writer(writer);
        registry.with(layer).try_init()
    };
    installed.context("install the logger")
}

fn open(path: &PathBuf) -> anyhow::Result<Arc<File>> {
    let file = File::options().create(true).append(true).open(path);
    file.map(Arc::new).with_context(|| format!("open telemetry.file {}", path.display()))
}
