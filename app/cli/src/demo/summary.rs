//! What the demo has seen so far.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use crypto_intel_schemas::{Stream, subjects};
use crypto_intel_service::prometheus::Registry;
use crypto_intel_store::{Percentiles, Store};
use serde::Serialize;

use super::servers::Servers;
use crate::output::thousands;

/// Chat messages kept in a summary.
const LAST_MESSAGES: usize = 3;

/// Looks at the pipeline from outside: streams, tables and chats.
#[derive(Debug)]
pub(super) struct Observer {
    pub(super) nats: Nats,
    pub(super) store: Store,
    pub(super) registry: Registry,
}

/// One look.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    /// Since the roles started.
    pub(super) seconds: f64,
    /// `anvil`, `scripted node`, or the live chain and its endpoints.
    pub(super) node: String,
    /// New heads that the node announced.
    pub(super) heads: u64,
    /// Chain events on JetStream, markers included.
    pub(super) published: u64,
    /// Events from the provider stand-in on JetStream.
    pub(super) polled: u64,
    /// Rows in the tables.
    pub(super) persisted: u64,
    /// Alerts on JetStream.
    pub(super) alerts: u64,
    /// Messages that the chat stand-in accepted.
    pub(super) messages: u64,
    /// Messages that no consumer could handle.
    pub(super) dead_letters: u64,
    /// Requests that the real chat services would have refused.
    pub(super) refused_by_chat: u64,
    /// From the head at the producer to the committed row.
    pub(super) head_to_row_ms: Option<Percentiles>,
    /// From the head at the producer to the accepted chat message.
    pub(super) head_to_chat_ms: Option<Percentiles>,
    /// As people would see them, newest last.
    pub(super) last_messages: Vec<String>,
}

impl Observer {
    pub(super) async fn observe(
        &self,
        servers: &Servers,
        elapsed: Duration,
    ) -> anyhow::Result<Summary> {
        let counts = self.store.table_counts().await.context("count rows")?;
        let messages = servers.chat.messages();
        let last = messages.len().saturating_sub(LAST_MESSAGES);
        Ok(Summary {
            seconds: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
            node: servers.chain.name(),
            heads: self.counter("crypto_intel_evm_heads_received_total"),
            published: self.messages(Stream::Evm, subjects::EVM_ALL).await?,
            polled: self.messages(Stream::Market, subjects::MARKET_ALL).await?
                + self.messages(Stream::Signals, subjects::SENTIMENT_ALL).await?,
            persisted: counts.iter().map(|(_, rows)| rows).sum(),
            alerts: self.messages(Stream::Alert, subjects::ALERT_ALL).await?,
            messages: messages.len() as u64,
            dead_letters: self.messages(Stream::Dlq, subjects::DEAD_LETTER_ALL).await?,
            refused_by_chat: servers.chat.violations().len() as u64,
            head_to_row_ms: self.store.head_to_row_ms().await.context("measure head to row")?,
            head_to_chat_ms: self.store.head_to_chat_ms().await.context("measure head to chat")?,
            last_messages: messages[last..].iter().map(|message| message.text.clone()).collect(),
        })
    }

    /// Sum of a counter over its labels.
    fn counter(&self, name: &str) -> u64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name);
        let total: f64 = metrics
            .flat_map(|family| family.get_metric())
            .map(|metric| metric.get_counter().get_value())
            .sum();
        total as u64
    }

    /// Messages on subjects that match a filter.
    async fn messages(&self, stream: Stream, filter: &str) -> anyhow::Result<u64> {
        self.nats.count(stream.name(), filter).await.context("count messages")
    }
}

impl Summary {
    /// Stages that saw nothing at all.
    pub(super) fn idle_stages(&self) -> Vec<&'static str> {
        let stages = [
            ("heads", self.heads),
            ("published", self.published),
            ("polled", self.polled),
            ("persisted", self.persisted),
            ("alerts", self.alerts),
            ("messages", self.messages),
        ];
        stages.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }

    /// One JSON object, or lines for people.
    pub(super) fn text(&self, json: bool) -> anyhow::Result<String> {
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        let rate = self.published as f64 / self.seconds.max(0.1);
        let mut lines = vec![
            format!("  heads      {:>12}   {}", thousands(self.heads), self.node),
            format!("  published  {:>12}   {rate:.0} events/s", thousands(self.published)),
            format!("  polled     {:>12}   from the provider stand-in", thousands(self.polled)),
            format!(
                "  rows       {:>12}   {}",
                thousands(self.persisted),
                latency("head to row", self.head_to_row_ms)
            ),
            format!("  alerts     {:>12}", thousands(self.alerts)),
            format!(
                "  messages   {:>12}   {}",
                thousands(self.messages),
                latency("head to chat", self.head_to_chat_ms)
            ),
        ];
        if self.dead_letters > 0 {
            lines.push(format!(
                "  DEAD LETTERS {:>10}   `crypto-intel dlq list`",
                thousands(self.dead_letters)
            ));
        }
        if self.refused_by_chat > 0 {
            lines.push(format!("  REFUSED BY CHAT {:>7}", thousands(self.refused_by_chat)));
        }
        Ok(lines.join("\n"))
    }
}

fn latency(what: &str, percentiles: Option<Percentiles>) -> String {
    match percentiles {
        Some(Percentiles { p50, p99, .. }) => format!("{what} p50 {p50:.0} ms, p99 {p99:.0} ms"),
        None => String::new(),
    }
}
