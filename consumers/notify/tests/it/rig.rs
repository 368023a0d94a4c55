use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crypto_intel_nats::{
    Bucket, Kv, Nats, NatsConfig, OutMessage, ReaderOptions, Start, StreamOverride, StreamReader,
    Topology, TopologyConfig, connect,
};
use crypto_intel_notify::{Config, run};
use crypto_intel_sandbox::{ChatLimits, ChatOptions, ChatServer, NatsOptions, NatsServer};
use crypto_intel_schemas::{Alert, Delivery, Event, Severity, subjects};
use crypto_intel_service::{Context, Secret, now_us};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Servers, and the role as its own user.
pub(crate) struct Rig {
    pub(crate) server: NatsServer,
    pub(crate) chat: ChatServer,
    pub(crate) admin: Nats,
    instances: AtomicU64,
}

/// A running role; dropped, it is gone as after a crash.
pub(crate) struct Role {
    pub(crate) context: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Role {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Role {
    /// Ends as by SIGTERM.
    pub(crate) async fn stop(mut self) {
        self.context.shutdown.cancel();
        within("the role's end", &mut self.task).await.unwrap().unwrap();
    }

    /// Ends as by SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }

    pub(crate) fn is_healthy(&self, probe: &str) -> bool {
        let report = self.context.health.report();
        report.probes.iter().any(|found| found.name == probe && found.healthy)
    }

    /// What a probe says.
    pub(crate) fn detail(&self, probe: &str) -> String {
        let report = self.context.health.report();
        let found = report.probes.into_iter().find(|found| found.name == probe);
        found.map(|found| found.detail).unwrap_or_default()
    }

    /// A gauge's value; 0 if it is not there.
    pub(crate) fn gauge(&self, name: &str, labels: &[&str]) -> u64 {
        self.value(name, labels, |metric| metric.get_gauge().get_value())
    }

    /// A counter's value; 0 if it is not there.
    pub(crate) fn count(&self, name: &str, labels: &[&str]) -> u64 {
        self.value(name, labels, |metric| metric.get_counter().get_value())
    }

    fn value(
        &self,
        name: &str,
        labels: &[&str],
        of: impl Fn(&prometheus::proto::Metric) -> f64,
    ) -> u64 {
        let families = self.context.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let sum: f64 = family.map_or(0.0, |family| {
            let wanted = |metric: &&prometheus::proto::Metric| {
                labels
                    .iter()
                    .all(|label| metric.get_label().iter().any(|pair| pair.value() == *label))
            };
            family.get_metric().iter().filter(wanted).map(of).sum()
        });
        sum as u64
    }
}

impl Rig {
    pub(crate) async fn start(limits: ChatLimits) -> Self {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nats/server.conf");
        let options = NatsOptions::with_users_of(config).unwrap();
        let server = NatsServer::start(options).await.unwrap();
        let chat = ChatServer::start(ChatOptions { limits, ..ChatOptions::default() });
        let chat = chat.await.unwrap();
        let admin = user(&server, "admin").await;
        topology().apply(&admin, false).await.unwrap();
        Self { server, chat, admin, instances: AtomicU64::new(0) }
    }

    /// Destinations `ops` (a Telegram group) and `desk` (a Discord webhook), with these policies in
    /// TOML; by default as fast as the relaxed stand-in takes.
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

    /// The same with whole policies: `{}` is what ships.
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

    pub(crate) async fn run(&self, config: Config) -> Role {
        let number = self.instances.fetch_add(1, Ordering::Relaxed);
        let nats = user(&self.server, "notify").await;
        let context = Context::new(format!("instance-{number}"));
        let task = tokio::spawn(run(config, nats, context.clone()));
        Role { context, task }
    }

    pub(crate) async fn publish(&self, alert: Alert) {
        let event = Event::from(alert);
        let message =
            OutMessage::new(subjects::of(&event), event.encode()).schema(event.kind().schema());
        self.admin.publish(message).await.unwrap();
    }

    /// What became of messages so far.
    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let options =
            ReaderOptions::new("NOTIFY", "test", Start::First).filters([subjects::NOTIFY_DONE_ALL]);
        let mut reader = StreamReader::open(&self.admin, options).await.unwrap();
        let mut deliveries = Vec::new();
        while reader.pending() > 0 {
            for message in within("a delivery", reader.next(1_000)).await.unwrap().messages {
                let Event::Delivery(delivery) = Event::decode(&message.payload).unwrap() else {
                    panic!("not a delivery")
                };
                deliveries.push(delivery);
            }
        }
        deliveries
    }

    /// Waits for so many ended messages.
    pub(crate) async fn ended(&self, count: usize) -> Vec<Delivery> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let deliveries = self.deliveries().await;
            if deliveries.len() >= count {
                assert_eq!(deliveries.len(), count, "{deliveries:#?}");
                return deliveries;
            }
            let found = deliveries.len();
            assert!(Instant::now() < deadline, "{found} of {count}: {deliveries:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn records(&self) -> Kv {
        self.admin.kv(Bucket::Deliveries).await.unwrap()
    }

    /// The texts that a destination has: `-1001` or `42`.
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

async fn user(server: &NatsServer, name: &str) -> Nats {
    let config = NatsConfig {
        url: server.url().into(),
        user: name.to_owned(),
        password: Secret::new(format!("of-{name}")),
        request_timeout_ms: 3_000,
        ..NatsConfig::default()
    };
    connect(&config, name, &CancellationToken::new()).await.unwrap()
}

fn topology() -> Topology {
    let topology = Topology::embedded().unwrap();
    let names: Vec<String> = topology.stream_names().into_iter().map(ToOwned::to_owned).collect();
    let small = |name: String| {
        (name, StreamOverride { max_bytes: Some(64 << 20), ..StreamOverride::default() })
    };
    let streams: BTreeMap<_, _> = names.into_iter().map(small).collect();
    topology.with_config(&TopologyConfig { replicas: None, streams }).unwrap()
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("no {what} in time"))
}

/// Asks again until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
