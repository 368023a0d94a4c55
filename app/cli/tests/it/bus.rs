//! A broker, a configuration without a database that names it, and the binary: for what needs no more.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use crypto_intel_sandbox::nats_password;
use crypto_intel_schemas::{
    Address, Alert, B256, Block, Decimal, Erc20Transfer, Event, Kind, U256, Uint256,
    chain_event_id, log_event_id,
};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{Broker, TestProcess, eventually};
use tempfile::TempDir;

use crate::servers::binary;

const CHAIN: &str = "local";

pub(crate) struct Bus {
    pub(crate) broker: Broker,
    folder: TempDir,
}

impl Bus {
    /// Starts a broker, and writes a configuration with these settings (TOML) added.
    pub(crate) async fn start(settings: &str) -> Self {
        Self::of(Broker::start().await, "", settings)
    }

    /// The same with the users that we ship; commands connect as this one.
    pub(crate) async fn start_as(user: &str, settings: &str) -> Self {
        let login = format!("user = \"{user}\"\npassword = \"{}\"\n", nats_password(user));
        Self::of(Broker::start_with_users().await, &login, settings)
    }

    fn of(broker: Broker, login: &str, settings: &str) -> Self {
        let bus = Self { broker, folder: tempfile::tempdir().unwrap() };
        let text = format!(
            "[nats]\nurl = \"{}\"\n{login}[admin]\nlisten = \"127.0.0.1:0\"\n[poll]\nenabled = false\n{settings}\n",
            bus.broker.server.url(),
        );
        bus.write("crypto-intel.toml", &text);
        bus
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file beside the configuration.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("crypto-intel.toml")
    }

    /// Runs a command to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        binary(&self.config()).args(arguments).output().unwrap()
    }

    /// Runs a command that must end with this code: its standard output.
    pub(crate) fn ends_with(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}\n{text}");
        text.into_owned()
    }

    /// The same of a command that writes JSON.
    pub(crate) fn json(&self, code: i32, arguments: &[&str]) -> serde_json::Value {
        let text = self.ends_with(code, &[&["--json"], arguments].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// Starts `crypto-intel run` with every role that is configured, and a log of its own.
    pub(crate) fn run(&self, log: &str) -> TestProcess {
        let log = std::fs::File::create(self.folder.path().join(log)).unwrap();
        let mut command = binary(&self.config());
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        TestProcess::of(command.spawn().unwrap())
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Waits until a process that must not end has logged something.
    pub(crate) async fn until_logged(&self, process: &mut TestProcess, name: &str, text: &str) {
        eventually(async || {
            assert!(!process.has_ended(), "the process ended:\n{}", self.log(name));
            self.log(name).contains(text)
        })
        .await;
    }

    /// Publishes a block of one transfer for each amount, which is also its dollars.
    pub(crate) async fn publish_block(&self, number: u64, amounts: &[u64]) {
        self.broker.publish(block(number, amounts)).await;
    }

    /// Alerts in the order of their stream.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        let messages = self.broker.messages("ALERT").await;
        let events = messages.iter().map(|message| Event::decode(&message.payload).unwrap());
        let alerts = events.filter_map(|event| match event {
            Event::Alert(alert) => Some(alert),
            // Ticks ask for changed rules there, too.
            _ => None,
        });
        alerts.collect()
    }

    /// Titles of the alerts, once there are so many.
    pub(crate) async fn titles_of(&self, count: usize) -> Vec<String> {
        eventually(async || {
            let alerts = self.alerts().await;
            let titles: Vec<String> = alerts.into_iter().map(|alert| alert.title).collect();
            (titles.len() >= count).then_some(titles)
        })
        .await
    }
}

fn block(number: u64, amounts: &[u64]) -> Vec<Event> {
    let now = now_us();
    let mut hash = B256::repeat_byte(0xb1);
    hash.0[24..].copy_from_slice(&number.to_be_bytes());
    let transfers = amounts.iter().zip(0_u32..).map(|(amount, log_index)| {
        let mut tx_hash = hash;
        tx_hash.0[..4].copy_from_slice(&log_index.to_be_bytes());
        Event::from(Erc20Transfer {
            id: log_event_id(CHAIN, &hash, Kind::Erc20Transfer, log_index, None),
            chain: CHAIN.into(),
            event_at_us: now,
            observed_at_us: now,
            block_time_us: now,
            block_number: number,
            block_hash: hash,
            incarnation: 1,
            tx_hash,
            tx_index: log_index,
            log_index,
            to: Address::repeat_byte(9),
            value: Uint256(U256::from(*amount)),
            decimals: Some(0),
            amount: Decimal::parse(&amount.to_string()).ok(),
            usd: Decimal::parse(&amount.to_string()).ok(),
            symbol: Some("USDC".into()),
            token_verified: true,
            ..Erc20Transfer::empty()
        })
    });
    let marker = Block {
        id: chain_event_id(CHAIN, &hash, Kind::Block),
        chain: CHAIN.into(),
        event_at_us: now,
        observed_at_us: now,
        block_time_us: now,
        block_number: number,
        block_hash: hash,
        incarnation: 1,
        ..Block::empty()
    };
    transfers.chain([Event::from(marker)]).collect()
}
