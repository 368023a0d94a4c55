//! A private nats-server with JetStream.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::port::free_port;
use crate::process::ServerProcess;
use crate::tools;

const START_ATTEMPTS: usize = 5;

/// How to start a [`NatsServer`].
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// A configuration to build on (users, limits). Its ports, websocket listener and `jetstream` block are replaced.
    pub config: Option<PathBuf>,
    /// Variables for the server's environment, such as the passwords that `config` takes from `$NAMES`.
    pub env: Vec<(String, String)>,
    /// Where streams are kept; a temporary folder that goes with the server when `None`.
    pub store_dir: Option<PathBuf>,
    /// Limit of an atomic batch, in messages.
    pub batch_max_messages: u32,
    /// `sync_interval: always`, as in production. Without it an acknowledgement may be ahead of the disk.
    pub sync_always: bool,
    /// Further lines for the server's configuration; they come last and win.
    pub extra_conf: Vec<String>,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            config: None,
            env: Vec::new(),
            store_dir: None,
            batch_max_messages: 20_000,
            sync_always: true,
            extra_conf: Vec::new(),
        }
    }
}

impl NatsOptions {
    /// A server with the users of a deployment's `server.conf`, each with the password that
    /// [`nats_password`] gives.
    ///
    /// # Errors
    /// Fails when the file cannot be read.
    pub fn with_users_of(config: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let config = config.into();
        let text = std::fs::read_to_string(&config)
            .with_context(|| format!("read NATS configuration {}", config.display()))?;
        let variables = text.split('$').skip(1).filter_map(|rest| {
            let end = rest.find(|next: char| !next.is_ascii_alphanumeric() && next != '_');
            let name = rest.get(..end.unwrap_or(rest.len()))?;
            let user = name.strip_prefix("NATS_")?.strip_suffix("_PASSWORD")?;
            Some((name.to_owned(), nats_password(&user.to_ascii_lowercase())))
        });
        let env = variables.collect();
        Ok(Self { config: Some(config), env, ..Self::default() })
    }
}

/// The password of a user of [`NatsOptions::with_users_of`].
#[must_use]
pub fn nats_password(user: &str) -> String {
    // The server parses it as configuration: it must begin with a letter.
    format!("of-{user}")
}

/// A private nats-server on 127.0.0.1; killed when dropped.
#[derive(Debug)]
pub struct NatsServer {
    // Before the folders, so that the process is gone when they are removed.
    process: ServerProcess,
    program: PathBuf,
    options: NatsOptions,
    ports: Ports,
    store_dir: PathBuf,
    run_dir: TempDir,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    client: u16,
    monitoring: u16,
    websocket: u16,
}

impl NatsServer {
    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    /// Fails when there is no nats-server, when it refuses its configuration, or after 60 s; the error shows the log.
    pub async fn start(options: NatsOptions) -> anyhow::Result<Self> {
        let program = tools::nats_server()?;
        let run_dir =
            TempDir::with_prefix("crypto-intel-nats-").context("create folder for nats-server")?;
        let store_dir = match &options.store_dir {
            Some(folder) => folder.clone(),
            None => run_dir.path().join("store"),
        };
        std::fs::create_dir_all(&store_dir)
            .with_context(|| format!("create {}", store_dir.display()))?;
        let mut attempt = 1;
        loop {
            let ports =
                Ports { client: free_port()?, monitoring: free_port()?, websocket: free_port()? };
            write_config(&options, ports, &store_dir, run_dir.path())?;
            match launch(&program, &options, run_dir.path()).await {
                Ok(process) => {
                    return Ok(Self { process, program, options, ports, store_dir, run_dir });
                }
                // Another process took one of the ports first.
                Err(error)
                    if attempt < START_ATTEMPTS
                        && error.to_string().contains("address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `nats://127.0.0.1:PORT`, the same after every restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.ports.client)
    }

    /// Where clients connect, the same after every restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.client
    }

    /// `ws://127.0.0.1:PORT`, without TLS. Only there when the server has a `config`.
    #[must_use]
    pub fn websocket_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.ports.websocket)
    }

    /// `http://127.0.0.1:PORT`, with `/varz`, `/jsz` and the rest.
    #[must_use]
    pub fn monitoring_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.monitoring)
    }

    /// Process id of the running (or last) server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where the streams are.
    #[must_use]
    pub fn store_dir(&self) -> &Path {
        &self.store_dir
    }

    /// What the server logged since its last start.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// SIGKILL; returns when the process is gone.
    ///
    /// # Errors
    /// Fails when the system does not let us wait for the process.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// SIGTERM; returns when the process is gone.
    ///
    /// # Errors
    /// Fails when it had to be killed after 60 s.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.process.stop(Signal::TERM).await
    }

    /// Starts the server again after [`kill`](Self::kill) or [`stop`](Self::stop): same ports, same streams.
    /// A server that still runs is killed first.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        write_config(&self.options, self.ports, &self.store_dir, self.run_dir.path())?;
        self.process = launch(&self.program, &self.options, self.run_dir.path()).await?;
        Ok(())
    }

    /// Restarts the server with other `extra_conf`: same ports, same streams.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart_with(&mut self, extra_conf: Vec<String>) -> anyhow::Result<()> {
        self.options.extra_conf = extra_conf;
        self.start_again().await
    }

    /// SIGSTOP: connections stay open, nothing answers.
    ///
    /// # Errors
    /// Fails when the signal cannot be sent.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.process.pause()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// Fails when the signal cannot be sent.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::CONT)
    }
}

async fn launch(
    program: &Path,
    options: &NatsOptions,
    run_dir: &Path,
) -> anyhow::Result<ServerProcess> {
    let mut command = Command::new(program);
    command.arg("-c").arg(run_dir.join("server.conf"));
    command.envs(options.env.iter().map(|(name, value)| (name, value)));
    let log_path = run_dir.join("server.log");
    let mut process = ServerProcess::spawn("nats-server", &mut command, &log_path, Some(run_dir))?;
    process.wait_until_ready(async |process| process.log().contains("Server is ready")).await?;
    Ok(process)
}

// In a nats-server configuration the last value of a key wins, blocks as a whole: so the given file comes first.
fn write_config(
    options: &NatsOptions,
    ports: Ports,
    store_dir: &Path,
    run_dir: &Path,
) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    if let Some(config) = &options.config {
        lines.push(format!("include {:?}", relative_include(config, run_dir)?));
        lines.push(format!(
            r#"websocket {{ listen: "127.0.0.1:{}", no_tls: true }}"#,
            ports.websocket
        ));
    }
    let sync = if options.sync_always { r#"sync_interval: "always","# } else { "" };
    // Streams reserve their whole `max_bytes`; by default the server offers three quarters of the free disk, which
    // is not enough for ours where /tmp is in memory or the disk is small, and a private server never fills them.
    lines.extend([
        format!("port: {}", ports.client),
        format!(r#"listen: "127.0.0.1:{}""#, ports.client),
        format!(r#"http: "127.0.0.1:{}""#, ports.monitoring),
        format!(
            r#"jetstream {{ store_dir: {:?}, max_file_store: 1TB, {sync} limits: {{ batch: {{ max_msgs: {}, timeout: "10s" }} }} }}"#,
            store_dir.canonicalize().context("resolve store folder")?.display().to_string(),
            options.batch_max_messages,
        ),
    ]);
    lines.extend(options.extra_conf.iter().cloned());
    lines.push(String::new());
    std::fs::write(run_dir.join("server.conf"), lines.join("\n")).context("write server.conf")
}

// nats-server reads the path of an include as relative to the including file, also when it is absolute.
fn relative_include(config: &Path, run_dir: &Path) -> anyhow::Result<String> {
    let config = config
        .canonicalize()
        .with_context(|| format!("find NATS configuration {}", config.display()))?;
    let run_dir = run_dir.canonicalize().context("resolve run folder")?;
    let up = "../".repeat(run_dir.components().count() - 1);
    Ok(format!("{up}{}", config.display().to_string().trim_start_matches('/')))
}
