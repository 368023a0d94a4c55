//! The private servers of the demo, below one folder.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use crypto_intel_sandbox::{
    ChatLimits, ChatOptions, ChatServer, NatsOptions, NatsServer, Postgres, PostgresOptions,
    ProviderOptions, ProviderServer,
};

use super::chain::LocalChain;
use crate::args::DemoArguments;

/// Says that a folder is ours to empty.
const MARKER: &str = ".crypto-intel-demo";

/// Everything the pipeline speaks to; all of it ends with this.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) chain: LocalChain,
    pub(super) nats: NatsServer,
    pub(super) postgres: Postgres,
    pub(super) database_url: String,
    pub(super) chat: ChatServer,
    pub(super) provider: ProviderServer,
    /// Absolute.
    pub(super) folder: PathBuf,
    _lock: File,
}

impl Servers {
    /// Starts all of them, side by side, on free ports of 127.0.0.1.
    pub(super) async fn start(options: &DemoArguments) -> anyhow::Result<Self> {
        let (folder, lock) = fresh_folder(&options.data)?;
        let nats = NatsOptions { store_dir: Some(folder.join("nats")), ..NatsOptions::default() };
        let postgres = PostgresOptions {
            data_dir: Some(folder.join("postgresql")),
            durable: true,
            ..PostgresOptions::default()
        };
        // The limits of the real services: the demo shows the pace that people will see.
        let chat = ChatOptions { limits: ChatLimits::Strict, ..ChatOptions::default() };
        let provider = ProviderOptions { generate: true };
        let (nats, postgres, chain, chat, provider) = tokio::try_join!(
            async { NatsServer::start(nats).await.context("start nats-server") },
            async { Postgres::start(postgres).await.context("start PostgreSQL") },
            LocalChain::start(options),
            async { ChatServer::start(chat).await.context("start the chat stand-in") },
            async { ProviderServer::start(provider).await.context("start the provider stand-in") },
        )?;
        let database_url = postgres.create_database("crypto_intel").await?;
        Ok(Self { chain, nats, postgres, database_url, chat, provider, folder, _lock: lock })
    }
}

/// An empty folder, locked against a second demo.
fn fresh_folder(folder: &Path) -> anyhow::Result<(PathBuf, File)> {
    let place = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("make {place}"))?;
    let folder = folder.canonicalize().with_context(|| format!("find {place}"))?;
    let marker = folder.join(MARKER);
    let is_empty = fs::read_dir(&folder).with_context(|| format!("read {place}"))?.next().is_none();
    if !is_empty && !marker.exists() {
        bail!(
            "{place} holds other files, and each demo starts empty: choose another folder with --data"
        );
    }
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&marker)
        .with_context(|| format!("open {}", marker.display()))?;
    if lock.try_lock().is_err() {
        bail!("another demo runs in {place}: stop it, or choose another folder with --data");
    }
    for entry in fs::read_dir(&folder)?.flatten() {
        let path = entry.path();
        if path == marker {
            continue;
        }
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("empty {}", path.display()))?;
    }
    Ok((folder, lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_empties_a_folder_that_is_not_a_demos() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        let error = fresh_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("--data"), "{error}");
        assert!(folder.path().join("thesis.txt").exists());
    }

    #[test]
    fn empties_its_own_folder_and_refuses_a_second_demo_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let held = fresh_folder(folder.path()).unwrap();
        fs::write(folder.path().join("old"), "").unwrap();
        let error = fresh_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("another demo"), "{error}");
        drop(held);
        fresh_folder(folder.path()).unwrap();
        assert!(!folder.path().join("old").exists());
    }
}
