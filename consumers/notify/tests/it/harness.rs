use std::sync::atomic::{AtomicU64, Ordering};

use crypto_intel_nats::{Bucket, Kv};
use crypto_intel_notify::{Config, run};
use crypto_intel_sandbox::{ChatLimits, ChatOptions, ChatServer};
use crypto_intel_schemas::{Alert, Delivery, Event, Severity};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{Broker, RunningRole, eventually};

/// A broker with the users that we ship, and a chat.
pub(crate) struct Servers {
    pub(crate) broker: Broker,
    pub(crate) chat: ChatServer,
    instances: AtomicU64,
}

impl Servers {
    pub(crate) async fn start(limits: ChatLimits) -> Self {
        let broker = Broker::start_with_users().await;
        let chat = ChatServer::start(ChatOptions { limits, ..ChatOptions::default() });
        Self { broker, chat: chat.await.unwrap(), instances: AtomicU64::new(0) }
    }

    /// Destinations `ops` (a Telegram group) and `desk` (a Discord webhook), with these policies in TOML; the default is
    /// as fast as the relaxed stand-in accepts.
    pub(crate) fn config(&self, ops_policy: &str, desk_policy: &str) -> Config {
        let policy = |text: &str| {
            let mut parts = vec!["limits = [{ messages = 200, per_ms = 1000 }]"];
            if !text.contains("timeout_ms") {
                parts.push("timeout_ms = 2000");
            }
            parts.extend((!text.is_empty()).then_some(text));
            format!("{{ {} }}", parts.join(", "))
        };
        self.strict_config(&policy(ops_policy), &policy(desk_policy))
    }

    /// The same with complete policies: `{}` is the default one.
    pub(crate) fn strict_config(&self, ops_policy: &str, desk_policy: &str) -> Config {
        let chat = self.chat.url();
        let hook = self.chat.discord_webhook_url("42", "hook-token");
        let text = format!(
            r#"
            [destinations.ops]
            channel = "telegram"
            token = "123:bot-token"
            chat_id = -1001
            api_url = "{chat}"
            bot_messages_per_second = 200
            policy = {ops_policy}

            [destinations.desk]
            channel = "discord"
            webhook_url = "{hook}"
            policy = {desk_policy}
            "#
        );
        toml::from_str(&text).unwrap()
    }

    /// Starts the role as its own user.
    pub(crate) async fn notify(&self, config: Config) -> RunningRole {
        let number = self.instances.fetch_add(1, Ordering::Relaxed);
        let nats = self.broker.connect_as("notify").await;
        RunningRole::start(format!("instance-{number}"), |context| run(config, nats, context))
    }

    pub(crate) async fn publish(&self, alert: Alert) {
        self.broker.publish([Event::from(alert)]).await;
    }

    /// The outcomes so far.
    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let messages = self.broker.messages("NOTIFY").await;
        let decode = |payload: &[u8]| match Event::decode(payload).unwrap() {
            Event::Delivery(delivery) => delivery,
            other => panic!("not a delivery: {other:?}"),
        };
        messages.iter().map(|message| decode(&message.payload)).collect()
    }

    /// Waits until `count` messages have ended.
    pub(crate) async fn ended(&self, count: usize) -> Vec<Delivery> {
        eventually(async || self.broker.count("NOTIFY").await >= count as u64).await;
        let deliveries = self.deliveries().await;
        assert_eq!(deliveries.len(), count, "{deliveries:#?}");
        deliveries
    }

    pub(crate) async fn records(&self) -> Kv {
        self.broker.nats.kv(Bucket::Deliveries).await.unwrap()
    }

    /// The texts that a destination got: `-1001` or `42`.
    pub(crate) fn texts(&self, destination: &str) -> Vec<String> {
        let messages = self.chat.messages();
        let own = messages.into_iter().filter(|message| message.destination == destination);
        own.map(|message| message.text).collect()
    }

    pub(crate) fn no_violations(&self) {
        assert_eq!(self.chat.violations(), []);
    }
}

/// A fired alert, seen now, for `ops`.
pub(crate) fn alert(number: usize) -> Alert {
    Alert {
        id: format!("alert-{number}"),
        alert: format!("key-{number}"),
        code: format!("C{number:04}"),
        rule: "large-transfer".into(),
        severity: Severity::Critical,
        title: format!("{number} USDC <moved> & @everyone *bold*"),
        lines: vec!["from 0x28c6…1d60 to Binance_14".into()],
        routes: vec!["ops".into()],
        event_id: format!("event-{number}"),
        seen_at_us: now_us(),
        observed_at_us: now_us(),
        ..Alert::empty()
    }
}
