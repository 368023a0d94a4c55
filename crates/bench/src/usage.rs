//! What a process used, from `/proc`.

use std::fs;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Linux counts in hundredths of a second wherever Rust runs (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time and memory of a process so far; zeros where there is no `/proc`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu_seconds: f64,
    /// Largest resident size (`VmHWM`).
    pub(crate) peak_memory_bytes: u64,
}

impl Usage {
    /// Of this process.
    pub(crate) fn own() -> Self {
        Self::of(std::process::id())
    }

    /// Of another process.
    pub(crate) fn of(pid: u32) -> Self {
        Self { cpu_seconds: cpu_seconds(pid).unwrap_or(0.0), peak_memory_bytes: peak(pid) }
    }
}

/// How many cores there are to work on.
pub(crate) fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

/// CPU time of a process with one thread, to the microsecond (`schedstat`).
pub(crate) fn run_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/schedstat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let nanoseconds = text.split_whitespace().next().and_then(|field| field.parse::<f64>().ok());
    Ok(nanoseconds.with_context(|| format!("read {path}"))? / 1e9)
}

/// CPU time of a process and its children, those that ended included.
pub(crate) fn cpu_seconds_with_children(pid: u32) -> f64 {
    let children = fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = children
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|child| fields(*child).and_then(|fields| fields.get(1)?.parse().ok()) == Some(pid))
        .filter_map(cpu_seconds)
        .sum::<f64>();
    // Fields 14 to 17 of stat(5): own time, and that of children that were waited for.
    let own: f64 = fields(pid).map_or(0.0, |fields| {
        fields[11..15].iter().filter_map(|field| field.parse::<f64>().ok()).sum()
    });
    own / TICKS_PER_SECOND + children
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    let fields = fields(pid)?;
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// The fields of `/proc/<pid>/stat` from the third on; the second may hold spaces.
fn fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    (fields.len() > 15).then_some(fields)
}

fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
