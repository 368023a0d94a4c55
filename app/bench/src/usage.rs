//! What a process used, from `/proc`.

use std::{
    collections::HashSet,
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Linux counts in hundredths of a second on all platforms that Rust supports (`USER_HZ`).
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

/// Number of available cores.
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

/// Open TCP connections of a process (over IPv4, as all here are).
pub(crate) fn connections(pid: u32) -> u64 {
    /// TCP_ESTABLISHED
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let open: HashSet<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<&str>>())
        .filter(|fields| fields.get(3) == Some(&ESTABLISHED))
        .filter_map(|fields| Some(format!("socket:[{}]", fields.get(9)?)))
        .collect();
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    targets.filter(|target| target.to_str().is_some_and(|target| open.contains(target))).count()
        as u64
}

/// CPU time of a process and all its descendants, including those that ended.
pub(crate) fn cpu_seconds_of_tree(pid: u32) -> f64 {
    let processes: Vec<(u32, Vec<String>)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|process| Some((process, fields(process)?)))
        .collect();
    let mut tree = vec![pid];
    let mut seconds = 0.0;
    while let Some(next) = tree.pop() {
        let parent = next.to_string();
        tree.extend(processes.iter().filter(|(_, of)| of[1] == parent).map(|(child, _)| *child));
        let own = processes.iter().find(|(process, _)| *process == next);
        seconds += own.map_or(0.0, |(_, fields)| with_ended_children(fields));
    }
    seconds
}

/// Fields 14 to 17 of stat(5): own time, and that of children that were waited for.
fn with_ended_children(fields: &[String]) -> f64 {
    let ticks = fields[11..15].iter().filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// CPU milliseconds of our processes that were not waited for: the system adds them to no parent.
static ORPHANED_MS: AtomicU64 = AtomicU64::new(0);

/// To be called before a process is killed together with its children.
pub(crate) fn note_orphans(pid: u32) {
    let kept = fields(pid).map_or(0.0, |fields| with_ended_children(&fields));
    let orphaned = (cpu_seconds_of_tree(pid) - kept).max(0.0);
    ORPHANED_MS.fetch_add((orphaned * 1_000.0) as u64, Ordering::Relaxed);
}

/// CPU time of other processes since this was created.
#[derive(Debug)]
pub(crate) struct Others {
    since: Instant,
    before: f64,
}

impl Others {
    /// Counts from now on.
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), before: Self::cpu_seconds() }
    }

    /// Share of all cores' time that went to processes that are not ours.
    pub(crate) fn share(&self) -> f64 {
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        ((Self::cpu_seconds() - self.before) / (seconds * cores())).max(0.0)
    }

    fn cpu_seconds() -> f64 {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<f64> =
            line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // All except idle and I/O wait; guest time is already in user time.
        let busy = ticks.iter().take(8).sum::<f64>() - ticks.iter().skip(3).take(2).sum::<f64>();
        let orphaned = ORPHANED_MS.load(Ordering::Relaxed) as f64 / 1_000.0;
        busy / TICKS_PER_SECOND - cpu_seconds_of_tree(std::process::id()) - orphaned
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn open_connections_are_counted_on_both_ends() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let before = connections(std::process::id());
        let ends = (
            std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
            listener.accept().unwrap(),
        );
        assert_eq!(connections(std::process::id()), before + 2);
        drop(ends);
        assert_eq!(connections(std::process::id()), before);
    }

    #[test]
    fn cpu_time_of_children_is_counted() {
        let before = cpu_seconds_of_tree(std::process::id());
        let mut busy = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done"])
            .spawn()
            .unwrap();
        busy.wait().unwrap();
        assert!(cpu_seconds_of_tree(std::process::id()) > before);
        assert!(Others::new().share().is_finite());
    }
}
