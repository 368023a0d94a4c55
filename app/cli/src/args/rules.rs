use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `rules`
#[derive(Debug, Clone, Args)]
pub struct RulesArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: RulesAction,
}

/// What `rules` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum RulesAction {
    /// Compile every rule, render every template against a sample event, and run the examples.
    Check,
    /// Past events through the rules: what would have been said. Ends with 1 where examples fail or `--diff` finds a
    /// difference.
    Test(RulesTestArguments),
}

/// `rules test`
#[derive(Debug, Clone, Args)]
pub struct RulesTestArguments {
    /// Rule files or folders [default: those of the configuration].
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "diff")]
    pub rules: Vec<PathBuf>,
    /// How far back: a time ago, or `start` for all that a stream holds [default: 1h].
    #[arg(long, value_name = "TIME", conflicts_with = "from")]
    pub since: Option<String>,
    /// Beginning of the range, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", requires = "to")]
    pub from: Option<String>,
    /// End of the range.
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<String>,
    /// Only this stream [default: all that the rules read].
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<String>,
    /// Compare two rule files or folders over the same events.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub diff: Vec<PathBuf>,
}
