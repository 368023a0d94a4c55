//! Running Python, as a reader of our contract in another language.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, bail};
use crypto_intel_sandbox::tools;

use crate::needs::{Need, available};

/// A Python 3 with the modules that were asked for.
#[derive(Debug, Clone)]
pub struct Python {
    program: PathBuf,
}

/// Finds a Python that can import all `modules` (such as `msgpack`, `nats`).
///
/// # Panics
/// As [`available`].
#[track_caller]
pub fn python(modules: &[&str]) -> Option<Python> {
    available(Need::Python, Python::find(modules))
}

impl Python {
    fn find(modules: &[&str]) -> anyhow::Result<Self> {
        let python = Self { program: tools::python()? };
        if !modules.is_empty() {
            python
                .run_code(&format!("import {}", modules.join(",")), &[] as &[&str])
                .context("import modules: run `make tools`")?;
        }
        Ok(python)
    }

    /// The interpreter.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs a script to its end and returns its standard output. Blocks the thread.
    ///
    /// # Errors
    /// Fails when the script does; the error shows its standard error.
    pub fn run(&self, script: &Path, arguments: &[impl AsRef<OsStr>]) -> anyhow::Result<String> {
        let output = std::process::Command::new(&self.program)
            .arg(script)
            .args(arguments)
            .output()
            .context("start python")?;
        read(output)
    }

    /// As [`run`](Self::run), for code given as text.
    ///
    /// # Errors
    /// As there.
    pub fn run_code(&self, code: &str, arguments: &[impl AsRef<OsStr>]) -> anyhow::Result<String> {
        let output = std::process::Command::new(&self.program)
            .args(["-c", code])
            .args(arguments)
            .output()
            .context("start python")?;
        read(output)
    }

    /// As [`run`](Self::run), without blocking the runtime; the script is killed when the future is dropped.
    ///
    /// # Errors
    /// As there.
    pub async fn run_async(
        &self,
        script: &Path,
        arguments: &[impl AsRef<OsStr>],
    ) -> anyhow::Result<String> {
        let output = tokio::process::Command::new(&self.program)
            .arg(script)
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .context("start python")?;
        read(output)
    }
}

fn read(output: Output) -> anyhow::Result<String> {
    if !output.status.success() {
        bail!("python failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("read python's output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_output_and_fails_with_the_traceback() {
        let Some(python) = python(&["json"]) else { return };
        let code = "import sys; print(sys.argv[1] + '!')";
        assert_eq!(python.run_code(code, &["hi"]).unwrap(), "hi!\n");
        let error = python.run_code("raise ValueError('no')", &[] as &[&str]).unwrap_err();
        assert!(error.to_string().contains("ValueError: no"), "{error}");
    }

    #[test]
    fn a_missing_module_is_missing_python() {
        assert!(Python::find(&["surely_not_there"]).is_err());
    }
}
