use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `backup`
#[derive(Debug, Clone, Args)]
pub struct BackupArguments {
    /// Where backups are kept, each in a folder of its own that is named by its time.
    #[arg(default_value = "crypto-intel-data/backups")]
    pub folder: PathBuf,
    /// Once the new backup is whole, remove the oldest beyond this number [default: keep all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// Leave the streams out: only the database and the key-value buckets.
    #[arg(long)]
    pub without_streams: bool,
    /// Another `pg_dump` than that in PATH; the `pg_restore` beside it checks what it wrote.
    #[arg(long, value_name = "PROGRAM")]
    pub pg_dump: Option<PathBuf>,
}

/// `restore`
#[derive(Debug, Clone, Args)]
pub struct RestoreArguments {
    /// The backup: a folder that `backup` made, such as `backups/20261126T003015Z`.
    #[arg(value_name = "FOLDER/TIME")]
    pub backup: PathBuf,
    /// Restore a part of it.
    #[arg(long, value_enum)]
    pub only: Option<RestorePart>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Another `pg_restore` than that in PATH.
    #[arg(long, value_name = "PROGRAM")]
    pub pg_restore: Option<PathBuf>,
}

/// A part of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RestorePart {
    /// The tables.
    Database,
    /// The streams and the key-value buckets.
    Streams,
}
