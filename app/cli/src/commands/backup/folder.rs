//! The folder of backups: one is made beside the others and gets its name when it is whole.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::manifest::MANIFEST_FILE;

/// What a backup's folder ends with until it is whole.
const UNFINISHED: &str = ".unfinished";
/// Held while a backup is made.
const LOCK_FILE: &str = ".lock";

/// A folder of backups, for one process at a time.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The lock goes with it.
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, and removes what earlier runs left unfinished.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        make(path)?;
        let lock_path = path.join(LOCK_FILE);
        let lock =
            File::create(&lock_path).with_context(|| format!("write into {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another backup into {} is running: wait for it", path.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", lock_path.display()));
            }
        }
        for leftover in names(path)?.iter().filter(|name| name.ends_with(UNFINISHED)) {
            let leftover = path.join(leftover);
            std::fs::remove_dir_all(&leftover)
                .with_context(|| format!("remove the unfinished {}", leftover.display()))?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// A place for a new backup, named by a time that no other has.
    pub(crate) fn begin(&self, now: Timestamp) -> anyhow::Result<Unfinished> {
        let mut time = now;
        let name = loop {
            let name = time.strftime("%Y%m%dT%H%M%SZ").to_string();
            if !self.path.join(&name).exists() {
                break name;
            }
            time += jiff::SignedDuration::from_secs(1);
        };
        let path = self.path.join(format!("{name}{UNFINISHED}"));
        make(&path)?;
        Ok(Unfinished { path, whole: self.path.join(name), is_done: false })
    }

    /// Removes the oldest whole backups beyond a number; returns their names.
    pub(crate) fn keep(&self, newest: usize) -> anyhow::Result<Vec<String>> {
        let mut names = whole(&self.path)?;
        names.truncate(names.len().saturating_sub(newest));
        for name in &names {
            // Renamed first: what is removed in part does not look whole.
            let path = self.path.join(format!("{name}{UNFINISHED}"));
            std::fs::rename(self.path.join(name), &path)
                .and_then(|()| std::fs::remove_dir_all(&path))
                .with_context(|| format!("remove the old backup {name}"))?;
        }
        Ok(names)
    }
}

/// Names of the whole backups in a folder, oldest first.
pub(crate) fn whole(path: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = names(path)?;
    names.retain(|name| is_time(name) && path.join(name).join(MANIFEST_FILE).is_file());
    Ok(names)
}

fn names(path: &Path) -> anyhow::Result<Vec<String>> {
    let reading = || format!("read {}", path.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).with_context(reading)? {
        names.push(entry.with_context(reading)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A backup that is being made; what was not finished is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Unfinished {
    path: PathBuf,
    whole: PathBuf,
    is_done: bool,
}

impl Unfinished {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, once everything in it is on disk; returns where it is.
    pub(crate) fn finish(mut self) -> anyhow::Result<PathBuf> {
        sync_folders(&self.path)?;
        std::fs::rename(&self.path, &self.whole)
            .with_context(|| format!("name the backup {}", self.whole.display()))?;
        self.is_done = true;
        let parent = self.whole.parent().unwrap_or(Path::new("."));
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .with_context(|| format!("sync {}", parent.display()))?;
        Ok(self.whole.clone())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_done
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "cannot remove the unfinished backup, the next run will");
        }
    }
}

/// For its owner alone: a backup holds all that the database does.
fn make(path: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("make {}", path.display()))
}

/// File names are on disk once their folders are.
fn sync_folders(path: &Path) -> anyhow::Result<()> {
    let syncing = || format!("sync {}", path.display());
    for entry in std::fs::read_dir(path).with_context(syncing)? {
        let entry = entry.with_context(syncing)?;
        if entry.file_type().with_context(syncing)?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(path).and_then(|folder| folder.sync_all()).with_context(syncing)
}

/// `20261126T003015Z`
fn is_time(name: &str) -> bool {
    let fits = |(index, byte): (usize, u8)| match index {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    name.len() == 16 && name.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn now() -> Timestamp {
        "2026-11-26T00:30:15.7Z".parse().unwrap()
    }

    fn finish(folder: &Folder) -> String {
        let unfinished = folder.begin(now()).unwrap();
        std::fs::write(unfinished.path().join(MANIFEST_FILE), "{}").unwrap();
        let path = unfinished.finish().unwrap();
        path.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn a_backup_has_its_name_only_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let unfinished = folder.begin(now()).unwrap();
        assert!(unfinished.path().ends_with("20261126T003015Z.unfinished"));
        drop(unfinished);
        assert_eq!(names(place.path()).unwrap(), [LOCK_FILE]);
        assert_eq!(finish(&folder), "20261126T003015Z");
        assert_eq!(finish(&folder), "20261126T003016Z");
    }

    #[test]
    fn leftovers_go_and_other_files_stay() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("20261125T003015Z.unfinished/KV_x")).unwrap();
        std::fs::create_dir(place.path().join("20261124T003015Z")).unwrap();
        std::fs::write(place.path().join("notes.txt"), "").unwrap();
        let folder = Folder::open(place.path()).unwrap();
        assert_eq!(names(place.path()).unwrap(), [LOCK_FILE, "20261124T003015Z", "notes.txt"]);
        // Without a manifest it is not one of our backups: not counted, not removed.
        assert_eq!(folder.keep(1).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_oldest_beyond_the_number_go() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let names: Vec<String> = (0..4).map(|_| finish(&folder)).collect();
        assert_eq!(folder.keep(2).unwrap(), names[..2]);
        assert_eq!(folder.keep(2).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::open(place.path()).unwrap();
        let error = Folder::open(place.path()).unwrap_err();
        assert!(error.to_string().contains("is running"), "{error}");
        drop(first);
        Folder::open(place.path()).unwrap();
    }
}
