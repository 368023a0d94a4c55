//! Worker processes of this program: each measured side runs in one of its own, so that its CPU time and memory are its own.

use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{ChildStdin, ChildStdout, Command},
};

use crate::worker::Task;

/// A running worker; killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    pid: u32,
}

impl Child {
    /// Starts a worker.
    pub(crate) fn start(task: &Task) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut process = Command::new(program)
            .arg("--worker")
            .arg(serde_json::to_string(task)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start a worker")?;
        let output = process.stdout.take().context("read from a worker")?;
        let pid = process.id().context("find a worker")?;
        let input = process.stdin.take();
        Ok(Self { input, output: BufReader::new(output).lines(), pid, process })
    }

    /// Starts a worker and waits for its one answer and its end.
    pub(crate) async fn run<T: DeserializeOwned>(task: &Task) -> anyhow::Result<T> {
        let mut child = Self::start(task)?;
        let answer = child.answer().await?;
        child.end().await?;
        Ok(answer)
    }

    /// Its next answer.
    pub(crate) async fn answer<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        match self.output.next_line().await.context("read from a worker")? {
            Some(line) => serde_json::from_str(&line).context("read a worker's answer"),
            None => bail!("a worker ended without an answer; its output is above"),
        }
    }

    /// Sends it an order.
    pub(crate) async fn tell(&mut self, order: &impl Serialize) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("tell a worker that was told to end")?;
        let line = serde_json::to_string(order)? + "\n";
        input.write_all(line.as_bytes()).await.context("tell a worker")
    }

    /// Its process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it to finish; an answer may follow.
    pub(crate) fn finish(&mut self) {
        self.input = None;
    }

    /// Tells it to end, and waits for that.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.finish();
        let status = self.process.wait().await.context("wait for a worker")?;
        if !status.success() {
            bail!("a worker failed ({status}); its output is above");
        }
        Ok(())
    }
}
