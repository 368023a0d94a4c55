//! The disk: where the servers keep their data, and the time of one fsync there, which every acknowledgement and every
//! commit waits for.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, bail};

use crate::{
    options::Options,
    report::{Line, Report},
    stats::percentile,
};

const BLOCK: [u8; 4096] = [0x5a; 4096];

/// From now on, all data is kept below this folder.
pub(crate) fn choose(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("find {}", folder.display()))?;
    // All servers and this test keep their data in temporary folders.
    if let Err(other) = tempfile::env::override_temp_dir(&folder) {
        bail!("data is already kept in {}", other.display());
    }
    Ok(())
}

/// The folder where data is kept and the kind of its file system, such as `/dev/shm (tmpfs)`.
pub(crate) fn place() -> String {
    let folder = tempfile::env::temp_dir();
    let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    format!("{} ({})", folder.display(), file_system(&mounts, &real))
}

/// Kind of the file system that holds a folder: that of the longest mount point above it, the last of equals.
fn file_system(mounts: &str, folder: &Path) -> String {
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (PathBuf::from(fields.next()?), fields.next()?);
        folder.starts_with(&point).then(|| (point.components().count(), kind))
    });
    let longest = above.max_by_key(|(length, _)| *length);
    longest.map_or("unknown", |(_, kind)| kind).to_owned()
}

/// Repeatedly appends 4 KiB and syncs, where the servers keep their data.
pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let rounds = if options.quick { 100 } else { 1_000 };
    let milliseconds = fsyncs(rounds)?;
    let [p50, p99] = [0.5, 0.99].map(|share| percentile(milliseconds.iter().copied(), share));
    report.put("fsync_p50_ms", p50);
    report.put("fsync_p99_ms", p99);
    report.put_text("data_dir", place());
    let line = Line::new("append 4 KiB and fsync").number(p50).number(p99);
    report.table(&[&format!("disk: {}", place()), "p50 ms", "p99 ms"], &[line]);
    Ok(())
}

/// Duration of each of this many fsyncs, milliseconds.
pub(crate) fn fsyncs(rounds: usize) -> anyhow::Result<Vec<f64>> {
    let folder = tempfile::tempdir().context("make a folder for the fsync test")?;
    let path = folder.path().join("fsync");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("make {}", path.display()))?;
    let mut milliseconds = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        file.write_all(&BLOCK).context("append to the fsync test's file")?;
        file.sync_all().context("sync the fsync test's file")?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_above_a_folder_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /dev tmpfs rw 0 0\nshm /dev/shm shmfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/dev/shm/bench")), "shmfs");
        assert_eq!(file_system(mounts, Path::new("/dev/shmall")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/tmp")), "ext4");
        assert_eq!(file_system("", Path::new("/tmp")), "unknown");
    }
}
