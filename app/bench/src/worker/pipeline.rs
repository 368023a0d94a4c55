//! All roles in one process, as `crypto-intel run` starts them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use crypto_intel_evm::{EndpointConfig, Start};
use crypto_intel_nats::Nats;
use crypto_intel_notify::{
    Config as NotifyConfig, Destination, DiscordConfig, Limit, Policy, TelegramConfig,
};
use crypto_intel_service::{Context, Restart, Secret, Supervisor, now_us};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::Context as LayerContext, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::{GRACE, answer, connect, evm, persist};
use crate::usage::Usage;

/// Log target of the producer's line for each acknowledged batch, which names its blocks.
const ACK_TARGET: &str = "crypto_intel_chain::stream::publish";
/// Names of the destinations in the rule that is evaluated.
pub(crate) const DESTINATIONS: [&str; 2] = ["telegram", "discord"];

/// What to run on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PipelineTask {
    /// The server, with its streams.
    pub(crate) nats_url: String,
    /// The database, with its tables.
    pub(crate) database_url: String,
    /// The node's websocket.
    pub(crate) node_url: String,
    /// That of a second endpoint of another operator.
    pub(crate) second_url: Option<String>,
    /// Address of the stand-in for Telegram's Bot API.
    pub(crate) chat_url: String,
    /// Address of the stand-in for a Discord webhook.
    pub(crate) webhook_url: String,
    /// The rules.
    pub(crate) rules: PathBuf,
}

/// What was measured inside the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PipelineOutcome {
    /// Number of each block and when its acknowledgement arrived, microseconds since 1970.
    pub(crate) acknowledged: Vec<(u64, i64)>,
    /// Usage of the pipeline's process.
    pub(crate) usage: Usage,
}

pub(super) async fn run(task: PipelineTask) -> anyhow::Result<()> {
    let acknowledged = Acknowledged::default();
    let to_terminal = fmt::layer().with_target(false).with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(to_terminal.with_filter(tracing_subscriber::filter::LevelFilter::WARN))
        .with(
            acknowledged.clone().with_filter(Targets::new().with_target(ACK_TARGET, Level::DEBUG)),
        )
        .try_init()
        .context("install the logger")?;
    let nats = connect(&task.nats_url).await?;
    let context = Context::new("bench");
    let mut supervisor = Supervisor::new(context.clone());
    spawn(&mut supervisor, &task, &nats).await?;
    let end_of_input = async {
        let mut rest = Vec::new();
        tokio::io::stdin().read_to_end(&mut rest).await
    };
    end_of_input.await.context("wait for the end")?;
    answer(&PipelineOutcome { acknowledged: acknowledged.take(), usage: Usage::own() })?;
    context.shutdown.cancel();
    supervisor.wait(GRACE).await
}

async fn spawn(
    supervisor: &mut Supervisor,
    task: &PipelineTask,
    nats: &Nats,
) -> anyhow::Result<()> {
    let store = persist::store(&task.database_url).await?;
    let mut chain = evm::chain(&task.node_url, Start::Latest);
    chain.endpoints.extend(task.second_url.as_ref().map(|url| EndpointConfig {
        operator: Some("second".to_owned()),
        ..EndpointConfig::at(url)
    }));
    let evm = evm::config(chain);
    let (own, config) = (nats.clone(), evm);
    supervisor.spawn("evm", Restart::Never, move |context| {
        crypto_intel_evm::run(config.clone(), own.clone(), context)
    });
    let own = nats.clone();
    supervisor.spawn("persist", Restart::Never, move |context| {
        let config = crypto_intel_persist::Config::default();
        crypto_intel_persist::run(config, own.clone(), store.clone(), context)
    });
    let (own, rules) = (nats.clone(), task.rules.clone());
    supervisor.spawn("alerts", Restart::Never, move |context| {
        let config = crypto_intel_alerts::Config {
            rules: vec![rules.clone()],
            destinations: Some(DESTINATIONS.map(str::to_owned).to_vec()),
            ..crypto_intel_alerts::Config::default()
        };
        crypto_intel_alerts::run(config, own.clone(), context)
    });
    let (own, config) = (nats.clone(), notify(task));
    supervisor.spawn("notify", Restart::Never, move |context| {
        crypto_intel_notify::run(config.clone(), own.clone(), context)
    });
    Ok(())
}

/// Each alert is a message of its own, at once.
fn unlimited() -> Policy {
    Policy {
        limits: vec![Limit { messages: 1_000, per_ms: 1_000, reserved_for_critical: 0 }],
        digest_above: 0,
        ..Policy::default()
    }
}

/// Both chats with limits that the rule does not reach: the pipeline is measured, not the pace of the services.
fn notify(task: &PipelineTask) -> NotifyConfig {
    let policy = unlimited();
    let telegram = TelegramConfig {
        token: Secret::new("100:bench"),
        chat_id: 1_001,
        message_thread_id: None,
        kind: None,
        api_url: task.chat_url.as_str().into(),
        bot_messages_per_second: 1_000,
        allowed_users: Vec::new(),
        policy: policy.clone(),
    };
    let discord = DiscordConfig {
        webhook_url: Secret::new(task.webhook_url.clone()),
        thread_id: None,
        policy,
    };
    let [first, second] = DESTINATIONS.map(str::to_owned);
    NotifyConfig {
        destinations: BTreeMap::from([
            (first, Destination::Telegram(telegram)),
            (second, Destination::Discord(discord)),
        ]),
        ..NotifyConfig::default()
    }
}

/// Learns from the producer's own log which blocks were acknowledged and when: nothing else shows it that early.
#[derive(Debug, Clone, Default)]
struct Acknowledged(Arc<Mutex<Vec<(u64, i64)>>>);

impl Acknowledged {
    fn take(&self) -> Vec<(u64, i64)> {
        std::mem::take(&mut self.0.lock())
    }
}

impl<S: Subscriber> Layer<S> for Acknowledged {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let at_us = now_us();
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let (Some(top), Some(blocks)) = (fields.block, fields.blocks) {
            let numbers = top.saturating_sub(blocks) + 1..=top;
            let mut all = self.0.lock();
            all.extend(numbers.map(|number| (number, at_us)));
        }
    }
}

#[derive(Debug, Default)]
struct Fields {
    block: Option<u64>,
    blocks: Option<u64>,
}

impl tracing::field::Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "block" => self.block = Some(value),
            "blocks" => self.blocks = Some(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
