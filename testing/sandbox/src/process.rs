//! A child process that does not outlive us.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to become ready or to stop: generous, for loaded machines.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running child with its log file and the watcher that kills it when we die.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    name: &'static str,
    child: Child,
    watcher: Child,
    log_path: PathBuf,
    log_start: u64,
}

impl ServerProcess {
    /// Starts `command` with its output appended to `log_path`, in a process group of its own (Ctrl-C in a
    /// terminal is for us to handle). `temporary` is removed by the watcher if this process is killed.
    pub(crate) fn spawn(
        name: &'static str,
        command: &mut Command,
        log_path: &Path,
        temporary: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log_path)
            .with_context(|| format!("open log {}", log_path.display()))?;
        let log_start = log.metadata().context("read log size")?.len();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share log file")?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        match spawn_watcher(child.id(), temporary) {
            Ok(watcher) => {
                Ok(Self { name, child, watcher, log_path: log_path.to_path_buf(), log_start })
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What was logged since this start.
    pub(crate) fn log(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.log_path)
            && file.seek(SeekFrom::Start(self.log_start)).is_ok()
        {
            let _ = file.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a signal; a process that is gone is not an error.
    pub(crate) fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        // A child that was not yet waited for keeps its pid, so the signal cannot reach another process.
        if self.is_running() {
            kill_process(pid_of(self.child.id())?, signal)
                .with_context(|| format!("signal {}", self.name))?;
        }
        Ok(())
    }

    /// SIGSTOP, and waits until every thread is stopped: the signal alone returns before that.
    pub(crate) fn pause(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        let pid = self.child.id();
        let started = Instant::now();
        // Polls with a deadline, in a function that need not be async.
        #[allow(clippy::disallowed_methods)]
        while self.is_running() && !is_stopped(pid) {
            if started.elapsed() > DEADLINE {
                bail!("{} did not stop running within {DEADLINE:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        let _ = self.child.kill();
        self.child.wait().with_context(|| format!("wait for {}", self.name))?;
        self.release_watcher();
        Ok(())
    }

    /// Sends `signal` and waits until the process is gone; SIGKILL and an error at the deadline.
    pub(crate) async fn stop(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.signal(signal)?;
        let started = Instant::now();
        while self.is_running() {
            if started.elapsed() > DEADLINE {
                self.kill()?;
                bail!("{} did not stop within {DEADLINE:?} and was killed", self.name);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.release_watcher();
        Ok(())
    }

    /// Polls `ready` until it holds. The error shows the last lines of the log.
    pub(crate) async fn wait_until_ready(
        &mut self,
        mut ready: impl AsyncFnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if ready(self).await {
                return Ok(());
            }
            if !self.is_running() {
                bail!("{} ended while starting; its log:\n{}", self.name, self.log_tail());
            }
            if started.elapsed() > DEADLINE {
                bail!("{} not ready after {DEADLINE:?}; its log:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The last lines of the log since this start.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    // The watcher must end before another process can get its server's pid.
    fn release_watcher(&mut self) {
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Direct children of a process, from /proc.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the state and the parent follow its last parenthesis.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Sends SIGKILL to a process that is not our child; it may be gone already.
pub(crate) fn kill_pid(pid: u32) {
    if let Ok(pid) = pid_of(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn pid_of(pid: u32) -> anyhow::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).with_context(|| format!("bad pid {pid}"))
}

// The pipe to the watcher's standard input closes when this process ends, for any reason.
fn spawn_watcher(pid: u32, temporary: Option<&Path>) -> anyhow::Result<Child> {
    Command::new("sh")
        .arg("-c")
        .arg(r#"read -r _; kill -KILL "$1"; [ -z "$2" ] || { sleep 0.5; rm -rf "$2"; }"#)
        .arg("watcher")
        .arg(pid.to_string())
        .arg(temporary.unwrap_or(Path::new("")))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("start watcher (sh)")
}

/// Whether a process has ended; a zombie has.
pub(crate) fn is_gone(pid: u32) -> bool {
    state_of(Path::new(&format!("/proc/{pid}"))).is_none_or(|state| state == 'Z')
}

/// Whether every thread of a process is stopped.
fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| state_of(&thread.path()).is_none_or(|state| state == 'T'))
}

/// The state letter of a process or thread by its folder in `/proc`; `None` when it is gone.
fn state_of(folder: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}
