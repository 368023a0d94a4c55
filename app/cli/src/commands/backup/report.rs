use std::path::{Path, PathBuf};

use crypto_intel_schemas::Bucket;
use serde::Serialize;

use super::manifest::{DATABASE_FILE, Manifest};
use crate::output::{bytes, table, thousands};

/// What a backup came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Where it is.
    pub(crate) folder: PathBuf,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Older ones that went for it.
    pub(crate) removed: Vec<String>,
    /// What is in it.
    pub(crate) manifest: Manifest,
}

/// For people.
pub(crate) fn describe(report: &Report) -> String {
    let manifest = &report.manifest;
    let mut parts = vec![contents(manifest)];
    parts.extend(manifest.notes.iter().map(|note| format!("note: {note}")));
    if !report.removed.is_empty() {
        parts.push(format!("removed {}", report.removed.join(", ")));
    }
    parts.push(format!(
        "{}: {} in {:.1} s, read back and checked",
        report.folder.display(),
        bytes(manifest.bytes()),
        report.seconds
    ));
    parts.join("\n")
}

/// What a backup holds, as a table.
pub(crate) fn contents(manifest: &Manifest) -> String {
    let mut rows = Vec::new();
    if let Some(database) = &manifest.database {
        let timescale = database.timescaledb.as_ref().map_or_else(String::new, |timescale| {
            format!(", TimescaleDB {} ({})", timescale.version, timescale.edition())
        });
        let version = database.postgresql.split(' ').next().unwrap_or_default();
        rows.push([
            format!("database {}", database.name),
            format!("PostgreSQL {version}{timescale}"),
            bytes(database.bytes),
            bytes(manifest.bytes_of(Path::new(DATABASE_FILE))),
        ]);
    }
    let row = |name: &str, of_kind: &dyn Fn(&str) -> bool| {
        let streams: Vec<_> =
            manifest.streams.iter().filter(|stream| of_kind(&stream.stream)).collect();
        let messages: u64 = streams.iter().map(|stream| stream.messages).sum();
        let files = streams.iter().map(|stream| manifest.bytes_of(Path::new(&stream.stream))).sum();
        [
            format!("{} {name}", streams.len()),
            format!("{} messages", thousands(messages)),
            bytes(streams.iter().map(|stream| stream.bytes).sum()),
            bytes(files),
        ]
    };
    rows.push(row("buckets", &Bucket::is_stream));
    rows.push(row("streams", &|stream| !Bucket::is_stream(stream)));
    table(&["what", "", "on the server", "here"], rows)
}
