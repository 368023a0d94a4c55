use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use crypto_intel_labels::{formats::Format, parse_category, parse_source_name};
use crypto_intel_schemas::AccountAddress;

/// `labels`
#[derive(Debug, Clone, Args)]
pub struct LabelsArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: LabelsAction,
}

/// What `labels` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum LabelsAction {
    /// Labels of a file as a source of their own, in place of what that source had. Counts from the next block on.
    Import(ImportArguments),
    /// The sources: how many labels, of which day, under which licence.
    List,
    /// What each source says of an address.
    Show {
        /// 0x and 40 hex digits.
        address: AccountAddress,
    },
    /// Forget an imported source; one that is shipped under its name counts again.
    Remove {
        /// Its name.
        #[arg(long, value_name = "NAME", value_parser = parse_source_name)]
        source: String,
    },
    /// Replace the list of sanctions by a newer one.
    RenewSanctions {
        /// A file, `-` for standard input, or an https address: data/sanctioned-addresses.json of
        /// github.com/thomasgregg/crypto-sanctions-list, or a table with the category `sanctioned`.
        list: String,
        /// The day of the list, such as 2026-08-20 [default: what the list itself says].
        #[arg(long, value_name = "DAY")]
        date: Option<String>,
    },
}

/// `labels import`
#[derive(Debug, Clone, Args)]
pub struct ImportArguments {
    /// A table with a line of column names (address, label, category, chain, detail, confidence), lines
    /// `ADDRESS,LABEL,CATEGORY`, or JSON of a public list; gzipped or not. `-` is standard input.
    pub file: PathBuf,
    /// Who says so: a-z, 0-9 and -.
    #[arg(long, value_name = "NAME", value_parser = parse_source_name)]
    pub source: String,
    /// Under which terms the labels may be used, such as MIT or "our own".
    #[arg(long, value_name = "LICENCE")]
    pub licence: String,
    /// How sure the labels are that do not say it themselves, percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 80, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub confidence: u8,
    /// The day that the labels are of, such as 2026-08-20.
    #[arg(long, value_name = "DAY")]
    pub date: Option<String>,
    /// Where the file is from, for people.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub origin: String,
    /// Category of the lines that have none, such as phishing.
    #[arg(long, value_name = "CATEGORY", value_parser = parse_category)]
    pub category: Option<String>,
    /// Chain of the lines that have none: a slug, or `evm` for all.
    #[arg(long, value_name = "CHAIN", default_value = "evm")]
    pub chain: String,
    /// The form of the file.
    #[arg(long, value_enum, default_value_t = FileFormat::Auto)]
    pub format: FileFormat,
    /// Import the other lines where some are wrong, and name these.
    #[arg(long)]
    pub skip_wrong: bool,
}

/// The form of a file of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// What it looks like.
    Auto,
    /// Values between commas.
    Csv,
    /// Values between tabs.
    Tsv,
    /// JSON.
    Json,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Auto => Self::Auto,
            FileFormat::Csv => Self::Csv,
            FileFormat::Tsv => Self::Tsv,
            FileFormat::Json => Self::Json,
        }
    }
}
