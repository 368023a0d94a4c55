//! The time of one fsync: what every acknowledgement and every commit waits for.

use std::{fs::OpenOptions, io::Write as _, time::Instant};

use anyhow::Context as _;

use crate::{
    options::Options,
    report::{Line, Report},
    stats::percentile,
};

const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Appends 4 KiB and syncs, over and over, where the servers keep their data.
pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("make a folder for the fsync test")?;
    let path = folder.path().join("fsync");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("make {}", path.display()))?;
    let rounds = if options.quick { 100 } else { 1_000 };
    let mut milliseconds = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        file.write_all(&BLOCK).context("append to the fsync test's file")?;
        file.sync_all().context("sync the fsync test's file")?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    let [p50, p99] = [0.5, 0.99].map(|share| percentile(milliseconds.iter().copied(), share));
    report.put("fsync_p50_ms", p50);
    report.put("fsync_p99_ms", p99);
    let line = Line::new("append 4 KiB and fsync").number(p50).number(p99);
    report.table(&["disk", "p50 ms", "p99 ms"], &[line]);
    Ok(())
}
