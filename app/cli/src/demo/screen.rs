//! The live summary: redrawn in place on a terminal, a line now and then elsewhere.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crypto_intel_service::HealthReport;

use super::{servers::Servers, summary::Summary};
use crate::output::is_terminal;

/// Between lines where the output is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Longest line on the screen.
const WIDTH: usize = 110;

#[derive(Debug)]
pub(super) struct Screen {
    json: bool,
    terminal: bool,
    settings: PathBuf,
    admin: SocketAddr,
    /// Where the API is, once it has taken its port.
    api: Option<String>,
    drawn_lines: usize,
    last_line: Option<Instant>,
}

impl Screen {
    pub(super) fn new(json: bool, settings: &Path, admin: SocketAddr) -> Self {
        Self {
            json,
            terminal: is_terminal() && !json,
            settings: settings.to_owned(),
            admin,
            api: None,
            drawn_lines: 0,
            last_line: None,
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn started(&self, after: Duration, servers: &Servers) {
        eprintln!(
            "crypto-intel demo: up after {:.1} s with nats-server, PostgreSQL {} and {}",
            after.as_secs_f64(),
            servers.postgres.version(),
            servers.chain.name(),
        );
        eprintln!("  stand-ins      Telegram, Discord, CoinGecko, Binance, alternative.me, news");
        eprintln!("  data and log   {}", servers.folder.display());
        eprintln!("  metrics        http://{}/metrics   (/ready, /live)", self.admin);
        eprintln!(
            "  events         crypto-intel --config {} tail 'evm.>'",
            self.settings.display()
        );
        eprintln!("  Ctrl-C ends it\n");
    }

    pub(super) fn show(&mut self, summary: &Summary, health: &HealthReport) {
        if self.api.is_none()
            && let Some(address) = api_address(health)
        {
            eprintln!("  dashboard      http://{address}/");
            eprintln!("  API            http://{address}/docs/\n");
            self.api = Some(address);
        }
        if self.terminal {
            self.redraw(summary, health);
        } else if self.last_line.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) {
            self.last_line = Some(Instant::now());
            eprintln!(
                "{:>5.0} s  heads {}  published {}  polled {}  rows {}  alerts {}  messages {}  {}",
                summary.seconds,
                summary.heads,
                summary.published,
                summary.polled,
                summary.persisted,
                summary.alerts,
                summary.messages,
                readiness(health),
            );
        }
    }

    /// Leaves the terminal clean for the final summary.
    pub(super) fn last(&mut self, summary: &Summary) {
        if self.json {
            return;
        }
        self.erase();
        if !summary.last_messages.is_empty() {
            println!("last messages:\n{}\n", messages(summary).join("\n"));
        }
        println!("after {:.0} s:", summary.seconds);
    }

    fn redraw(&mut self, summary: &Summary, health: &HealthReport) {
        self.erase();
        let mut lines = vec![
            format!("crypto-intel demo  {:.0} s  {}", summary.seconds, readiness(health)),
            String::new(),
        ];
        lines.extend(summary.text(false).unwrap_or_default().lines().map(str::to_owned));
        lines.push(String::new());
        lines.extend(messages(summary));
        for line in &lines {
            println!("{}", line.chars().take(WIDTH).collect::<String>());
        }
        self.drawn_lines = lines.len();
        let _ = std::io::stdout().flush();
    }

    fn erase(&mut self) {
        if self.drawn_lines > 0 {
            // Cursor up, then clear to the end of the screen.
            print!("\x1b[{}A\x1b[J", self.drawn_lines);
            self.drawn_lines = 0;
        }
    }
}

/// What the role reports once it has taken its port.
fn api_address(health: &HealthReport) -> Option<String> {
    let probe = health.probes.iter().find(|probe| probe.name == crypto_intel_api::PORT_PROBE)?;
    Some(probe.detail.strip_prefix(crypto_intel_api::LISTENS_ON)?.to_owned())
}

fn messages(summary: &Summary) -> Vec<String> {
    summary
        .last_messages
        .iter()
        .flat_map(|message| {
            message.lines().map(|line| format!("  │ {line}")).chain([String::new()])
        })
        .collect()
}

fn readiness(health: &HealthReport) -> String {
    match health.probes.iter().find(|probe| !probe.healthy) {
        None => "ready".to_owned(),
        Some(probe) => format!("not ready: {} ({})", probe.name, probe.detail),
    }
}
