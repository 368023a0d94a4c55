//! The dashboard in a real Chromium, on a demo: every page in both themes, languages and widths, and what a reader would miss.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{ChildStderr, Command, Stdio},
};

use anyhow::{Context as _, bail};
use crypto_intel_testkit::{Need, TestProcess, available};

/// What the demo prints before the address of the dashboard.
const LABEL: &str = "dashboard";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether Node, the driver and a Chromium are there.
fn browser() -> anyhow::Result<()> {
    let driver = repository().join(".tools/browser/node_modules/playwright-core");
    if !driver.is_dir() {
        bail!("playwright-core is missing: scripts/tools.sh browser");
    }
    let node = Command::new("node").arg("--version").output().context("run node")?;
    let version = String::from_utf8_lossy(&node.stdout).into_owned();
    let major: u32 = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .with_context(|| format!("read the version of node in {version:?}"))?;
    if major < 20 {
        bail!("node {major} is too old: 20 or newer");
    }
    let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
    let is_there = |name: &&str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
        found.is_ok_and(|output| output.status.success())
    };
    if std::env::var_os("CHROMIUM").is_none() && !names.iter().any(is_there) {
        bail!(
            "there is no Chromium: apt-get install chromium-headless-shell, or name one in CHROMIUM"
        );
    }
    Ok(())
}

/// The address that the demo prints; what it says afterwards is read and dropped.
fn address(output: ChildStderr) -> String {
    let mut lines = BufReader::new(output).lines();
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            Some(line.trim().strip_prefix(LABEL)?.trim().trim_end_matches('/').to_owned())
        })
        .expect("the demo ended without an address of the dashboard");
    std::thread::spawn(move || lines.for_each(drop));
    address
}

#[test]
fn every_page_of_the_dashboard_works_in_a_browser() {
    if available(Need::Browser, browser()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-intel"));
    // The 200 rows of a list must be of many blocks, also where blocks come late: whole ones are compared.
    command
        .args(["demo", "--scripted", "--rate", "30", "--for", "20m"])
        .args(["--admin", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("demo"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut demo = command.spawn().unwrap();
    let address = address(demo.stderr.take().unwrap());
    let mut demo = TestProcess::of(demo);
    let checked = Command::new("node")
        .arg("consumers/api/web-tests/check.js")
        .arg(&address)
        // A second API beside the demo's, which is killed while a page is open.
        .env("CRYPTO_INTEL_BINARY", env!("CARGO_BIN_EXE_crypto-intel"))
        .env("CRYPTO_INTEL_CONFIG", folder.path().join("demo/crypto-intel.toml"))
        .current_dir(repository())
        .output()
        .unwrap();
    demo.kill();
    let said = String::from_utf8_lossy(&checked.stdout);
    let wrong = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{wrong}");
}
