//! A role that runs until its input ends, and says how far it is whenever a line comes in.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, bail};
use crypto_intel_evm::{Config as EvmConfig, Start};
use crypto_intel_notify::{Config as NotifyConfig, Destination, Policy, TelegramConfig};
use crypto_intel_persist::Config as PersistConfig;
use crypto_intel_service::{Context, Secret, prometheus::Registry};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio_util::task::AbortOnDropHandle;

use super::{CHAIN_ID, answer, chain_slug, connect, counters, evm, persist, stop};

/// Which role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub(crate) enum StandingTask {
    /// The EVM producer.
    Producer {
        /// The server.
        nats_url: String,
        /// Websockets of the nodes, one for each chain.
        node_urls: Vec<String>,
        /// Number of the first block of each chain.
        first_number: u64,
    },
    /// notify, with the destination `ops`, a Telegram group.
    Notify {
        /// The server.
        nats_url: String,
        /// Address of the stand-in for Telegram's Bot API.
        chat_url: String,
        /// The file of routes.
        routes: Option<PathBuf>,
    },
    /// persist, with all streams that it stores by default.
    Persist {
        /// The server.
        nats_url: String,
        /// The database, with its tables.
        database_url: String,
    },
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct StandingState {
    /// Events committed since its start, markers included; persist alone counts them.
    pub(crate) events: u64,
    /// Blocks acknowledged; the producer alone counts them.
    pub(crate) blocks: u64,
    /// Batches acknowledged, or transactions.
    pub(crate) batches: u64,
    /// Tasks in its runtime.
    pub(crate) tasks: u64,
}

pub(super) async fn run(task: StandingTask) -> anyhow::Result<()> {
    let context = Context::new("bench-standing");
    let role: BoxFuture<'_, _> = match task {
        StandingTask::Producer { nats_url, node_urls, first_number } => {
            let config = chains(&node_urls, first_number);
            let nats = connect(&nats_url).await?;
            Box::pin(crypto_intel_evm::run(config, nats, context.clone()))
        }
        StandingTask::Notify { nats_url, chat_url, routes } => {
            let nats = connect(&nats_url).await?;
            let config = notify(&chat_url, routes);
            Box::pin(crypto_intel_notify::run(config, nats, context.clone()))
        }
        StandingTask::Persist { nats_url, database_url } => {
            // A stream that was filled a while ago is far behind.
            let config = PersistConfig { max_lag_seconds: 86_400, ..PersistConfig::default() };
            let (nats, store) = (connect(&nats_url).await?, persist::store(&database_url).await?);
            Box::pin(crypto_intel_persist::run(config, nats, store, context.clone()))
        }
    };
    let mut role = AbortOnDropHandle::new(tokio::spawn(role));
    let mut questions = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            ended = &mut role => {
                ended.context("run the role")?.context("run the role")?;
                bail!("the role ended by itself");
            }
            question = questions.next_line() => match question.context("read a question")? {
                Some(_) => answer(&state(&context.registry))?,
                None => return stop(&context, role).await,
            },
        }
    }
}

/// A chain for each node; none of them jumps, so that how far it is behind shows in its newest block.
fn chains(node_urls: &[String], first_number: u64) -> EvmConfig {
    let chains = node_urls.iter().enumerate().map(|(place, url)| {
        let mut chain = evm::chain(url, Start::Number(first_number));
        chain.chain_id = CHAIN_ID + place as u64;
        chain.catch_up_blocks = 0;
        (chain_slug(place), chain)
    });
    EvmConfig { chains: chains.collect(), ..EvmConfig::default() }
}

/// By the limits of the service.
fn notify(chat_url: &str, routes: Option<PathBuf>) -> NotifyConfig {
    let telegram = TelegramConfig {
        token: Secret::new("100:bench"),
        chat_id: -1_001,
        message_thread_id: None,
        kind: None,
        api_url: chat_url.into(),
        bot_messages_per_second: 30,
        allowed_users: Vec::new(),
        policy: Policy::default(),
    };
    let destinations = BTreeMap::from([("ops".to_owned(), Destination::Telegram(telegram))]);
    NotifyConfig { destinations, routes, ..NotifyConfig::default() }
}

fn state(registry: &Registry) -> StandingState {
    let batches = ["crypto_intel_evm_batches_acked_total", "crypto_intel_persist_batches_total"];
    StandingState {
        events: counters(registry, &["crypto_intel_persist_applied_total"]),
        blocks: counters(registry, &["crypto_intel_evm_blocks_acked_total"]),
        batches: counters(registry, &batches),
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64,
    }
}
