//! What is in a backup, and whether it still is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use crypto_intel_nats::StreamSnapshot;
use crypto_intel_store::backup::{DatabaseFacts, PgVersion};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The file in a backup's folder; a folder without it is no backup.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";
/// The manifest's own checksum, as `sha256sum --check` reads it.
const MANIFEST_SUM_FILE: &str = "manifest.json.sha256";
/// What this version writes.
const FORMAT: u32 = 1;
/// The dump of the database.
pub(crate) const DATABASE_FILE: &str = "database.dump";
const READ_AT_ONCE: usize = 1 << 20;

/// What a backup holds and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Changes when older versions cannot read it any more.
    pub(crate) format: u32,
    /// When it was begun: what came later need not be in it.
    pub(crate) made_at: String,
    /// When all of it was on disk.
    pub(crate) finished_at: String,
    /// Version of this program.
    pub(crate) crypto_intel: String,
    /// What dumped the database.
    pub(crate) pg_dump: Option<PgVersion>,
    /// The database: its server, migrations, positions, tables; none where none is configured.
    pub(crate) database: Option<DatabaseFacts>,
    /// Version of the NATS server.
    pub(crate) nats_server: String,
    /// Buckets (`KV_…`) and streams with their first and last sequences, in the order in which they were taken.
    pub(crate) streams: Vec<StreamSnapshot>,
    /// What a reader of this backup should know.
    pub(crate) notes: Vec<String>,
    /// Every other file.
    pub(crate) files: Vec<FileSum>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileSum {
    /// Its name within the backup.
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Manifest {
    pub(crate) fn new(made_at: String, nats_server: String) -> Self {
        Self {
            format: FORMAT,
            made_at,
            finished_at: String::new(),
            crypto_intel: env!("CARGO_PKG_VERSION").to_owned(),
            pg_dump: None,
            database: None,
            nats_server,
            streams: Vec::new(),
            notes: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Size of all files, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Size of the files below a name, bytes.
    pub(crate) fn bytes_of(&self, name: &Path) -> u64 {
        let below = self.files.iter().filter(|file| file.path.starts_with(name));
        below.map(|file| file.bytes).sum()
    }

    /// Writes it with its checksum; both are on disk when this returns.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("write the manifest")?;
        let sum = hex(&Sha256::digest(&text));
        write_file(&folder.join(MANIFEST_FILE), &text)?;
        write_file(&folder.join(MANIFEST_SUM_FILE), &format!("{sum}  {MANIFEST_FILE}\n"))
    }

    /// Reads it and compares it with its checksum.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST_FILE);
        let text = std::fs::read(&path).with_context(|| {
            format!("{} is no backup: it has no {MANIFEST_FILE} to read", folder.display())
        })?;
        let sum = std::fs::read_to_string(folder.join(MANIFEST_SUM_FILE))
            .with_context(|| format!("read {MANIFEST_SUM_FILE}"))?;
        ensure!(
            sum.split_whitespace().next() == Some(&hex(&Sha256::digest(&text))),
            "{} was changed: its checksum is another than {MANIFEST_SUM_FILE} has",
            path.display()
        );
        let manifest: Self =
            serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
        ensure!(
            manifest.format == FORMAT,
            "{} has format {}, this version reads {FORMAT}: use the version that made it ({})",
            path.display(),
            manifest.format,
            manifest.crypto_intel
        );
        Ok(manifest)
    }

    /// Compares every file with its checksum. `progress` is told how many bytes were read.
    pub(crate) fn verify(&self, folder: &Path, progress: &dyn Fn(u64)) -> anyhow::Result<()> {
        let mut read = 0;
        for file in &self.files {
            let path = folder.join(&file.path);
            let found = sum(folder, &file.path, &mut |bytes| {
                read += bytes;
                progress(read);
            })?;
            if found.bytes != file.bytes {
                bail!(
                    "{} has {} bytes, the manifest says {}",
                    path.display(),
                    found.bytes,
                    file.bytes
                );
            }
            ensure!(
                found.sha256 == file.sha256,
                "{} was changed: its SHA-256 is not that of the manifest",
                path.display()
            );
        }
        Ok(())
    }
}

/// Reads every file below a folder. `progress` is told how many bytes more were read.
pub(crate) fn sum_all(
    folder: &Path,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<Vec<FileSum>> {
    let mut paths = Vec::new();
    collect(folder, Path::new(""), &mut paths)?;
    paths.sort();
    paths.iter().map(|path| sum(folder, path, progress)).collect()
}

fn collect(folder: &Path, within: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let place = folder.join(within);
    let reading = || format!("read {}", place.display());
    for entry in std::fs::read_dir(&place).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let path = within.join(entry.file_name());
        if entry.file_type().with_context(reading)?.is_dir() {
            collect(folder, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn sum(folder: &Path, path: &Path, progress: &mut dyn FnMut(u64)) -> anyhow::Result<FileSum> {
    let place = folder.join(path);
    let reading = || format!("read {}", place.display());
    let mut file = File::open(&place).with_context(reading)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ_AT_ONCE];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer).with_context(reading)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
        progress(count as u64);
    }
    Ok(FileSum { path: path.to_owned(), bytes, sha256: hex(&hash.finalize()) })
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let writing = || format!("write {}", path.display());
    std::fs::write(path, text).with_context(writing)?;
    File::open(path).and_then(|file| file.sync_all()).with_context(writing)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
