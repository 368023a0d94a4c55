//! Decides when a destination may send: pacing, and whether it is closed. Destinations that share a
//! chat, a channel, a bot or an address share both.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    channel::{HiddenName, Scope},
    config::{Config, Destination, Limit},
    pacing::limiter::{Limiter, Slot, later},
    records::closed::{Closed, fingerprint},
};

/// This many chats of a bot that must wait at once are taken for a limit of the bot.
const FROZEN_CHATS_OF_FROZEN_BOT: usize = 3;

/// All targets by key.
type Targets = Arc<Mutex<BTreeMap<String, Arc<Target>>>>;

/// Admits the messages of one destination.
#[derive(Debug)]
pub(crate) struct SendGate {
    all: Targets,
    own: Arc<Target>,
    /// The room that it writes to, such as the channel of a Discord webhook, once it is known.
    room: Mutex<Option<Arc<Target>>>,
    /// What it shares with others: the bot of a Telegram chat; our IP address, for Discord.
    service: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Arc<Target>,
    /// Addresses that have to wait at the same time are taken for a limit of all.
    freezes_together: bool,
}

/// A chat, channel, webhook, bot or address with limits of its own.
#[derive(Debug)]
struct Target {
    key: String,
    limiter: Arc<Limiter>,
    closed: Mutex<Option<Closed>>,
    /// Chats of a bot that must wait, and until when.
    frozen: Mutex<BTreeMap<String, Instant>>,
}

impl SendGate {
    /// A gate for every destination.
    pub(crate) fn all(config: &Config) -> BTreeMap<String, Arc<Self>> {
        let targets = Targets::default();
        let mut gates = BTreeMap::new();
        for (name, destination) in &config.destinations {
            let sharing = destination.settings().sharing();
            let own = sharing.own.as_ref().map(HiddenName::expose).map(ToOwned::to_owned);
            let own = own.unwrap_or_else(|| destination.settings().address());
            let own = target(&targets, &own, destination.limits());
            let service = sharing.service.map(|service| {
                let target = target(&targets, service.key.expose(), service.limits);
                Shared { target, freezes_together: service.freezes_together }
            });
            let gate = Self { all: Arc::clone(&targets), own, room: Mutex::default(), service };
            gates.insert(name.clone(), Arc::new(gate));
        }
        gates
    }

    /// The room that it writes to: all addresses of a room share one limit.
    pub(crate) fn join_room(&self, room: &str, destination: &Destination) {
        let key = format!("room {} {room}", destination.channel());
        *self.room.lock() = Some(target(&self.all, &key, destination.room_limits()));
    }

    pub(crate) fn knows_room(&self) -> bool {
        self.room.lock().is_some()
    }

    fn targets(&self) -> Vec<Arc<Target>> {
        let room = self.room.lock().clone();
        let service = self.service.as_ref().map(|shared| Arc::clone(&shared.target));
        [Some(Arc::clone(&self.own)), room, service].into_iter().flatten().collect()
    }

    /// Waits for a slot of every target. Cancel-safe.
    pub(crate) async fn pass(&self, critical: bool) -> Vec<Slot> {
        let mut slots = Vec::new();
        for target in self.targets() {
            slots.push(target.limiter.acquire(critical).await);
        }
        slots
    }

    /// The service asked to wait.
    pub(crate) fn freeze(&self, duration: Duration, scope: Scope) {
        if scope == Scope::Service {
            let wide = self.service.as_ref().map_or(&self.own, |shared| &shared.target);
            wide.limiter.freeze(duration);
            return;
        }
        self.own.limiter.freeze(duration);
        if let Some(room) = &*self.room.lock() {
            room.limiter.freeze(duration);
        }
        if let Some(shared) = self.service.as_ref().filter(|shared| shared.freezes_together) {
            let now = Instant::now();
            let mut frozen = shared.target.frozen.lock();
            frozen.retain(|_, until| *until > now);
            frozen.insert(self.own.key.clone(), later(now, duration));
            if frozen.len() >= FROZEN_CHATS_OF_FROZEN_BOT {
                shared.target.limiter.freeze(duration);
            }
        }
    }

    /// The next message to this address would be rejected before this has passed.
    pub(crate) fn pause(&self, duration: Duration) {
        self.own.limiter.freeze(duration);
    }

    /// Nothing can be sent there.
    pub(crate) fn close(&self, closed: &Closed) {
        *self.own.closed.lock() = Some(closed.clone());
        if let Some(shared) = self.service.as_ref().filter(|_| closed.whole_bot) {
            *shared.target.closed.lock() = Some(closed.clone());
        }
    }

    /// It accepts messages again.
    pub(crate) fn open(&self) {
        for target in self.targets() {
            *target.closed.lock() = None;
        }
    }

    /// Why it is closed: of several reasons the one with the latest next attempt.
    pub(crate) fn closed(&self) -> Option<Closed> {
        let closed = self.targets().into_iter().filter_map(|target| target.closed.lock().clone());
        closed.max_by_key(|closed| closed.next_us)
    }

    /// Whether a message may be sent now. Where it is closed and due to be tried again, only the first
    /// caller may, until `hold` has passed.
    pub(crate) fn may_send(&self, now_us: i64, hold: Duration) -> bool {
        let hold_us = i64::try_from(hold.as_micros()).unwrap_or(0);
        let targets = self.targets();
        let mut all: Vec<_> = targets.iter().map(|target| target.closed.lock()).collect();
        if all.iter().any(|one| one.as_ref().is_some_and(|closed| closed.next_us > now_us)) {
            return false;
        }
        for closed in all.iter_mut().filter_map(|one| one.as_mut()) {
            closed.next_us = now_us.saturating_add(hold_us);
        }
        true
    }

    /// How long this many messages take on average.
    pub(crate) fn time_for(&self, messages: u64) -> Duration {
        let slowest = self.targets().iter().map(|target| target.limiter.per_message()).max();
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        slowest.unwrap_or_default().saturating_mul(messages)
    }
}

fn target(all: &Targets, key: &str, limits: Vec<Limit>) -> Arc<Target> {
    // Addresses hold tokens: only their fingerprint is kept.
    let key = fingerprint(key);
    let mut all = all.lock();
    let target = all.entry(key.clone()).or_insert_with(|| {
        Arc::new(Target {
            key,
            limiter: Arc::new(Limiter::new(limits)),
            closed: Mutex::default(),
            frozen: Mutex::default(),
        })
    });
    Arc::clone(target)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn gates() -> BTreeMap<String, Arc<SendGate>> {
        SendGate::all(&config())
    }

    fn config() -> Config {
        toml::from_str(
            r#"
            destinations.a = { channel = "telegram", token = "1:x", chat_id = 5 }
            destinations.b = { channel = "telegram", token = "1:x", chat_id = 6 }
            destinations.e = { channel = "telegram", token = "1:x", chat_id = 7 }
            destinations.f = { channel = "telegram", token = "1:x", chat_id = 8 }
            destinations.c = { channel = "discord", webhook_url = "https://d/webhooks/1/x" }
            destinations.d = { channel = "discord", webhook_url = "https://d/webhooks/2/x" }
            "#,
        )
        .unwrap()
    }

    fn closed(whole_bot: bool) -> Closed {
        let refusal = crate::records::closed::Refusal { why: "refused", hint: "hint", whole_bot };
        Closed::after(None, refusal, "", &[60], 0)
    }

    #[test]
    fn a_closed_chat_closes_itself_only_and_a_rejected_bot_all_its_chats() {
        let gates = gates();
        gates["a"].close(&closed(false));
        assert!(gates["a"].closed().is_some() && gates["b"].closed().is_none());
        gates["b"].close(&closed(true));
        assert!(gates["e"].closed().is_some() && gates["c"].closed().is_none());
        gates["e"].open();
        assert!(gates["f"].closed().is_none(), "its bot is open again");
        assert!(gates["a"].closed().is_some(), "its chat is still closed");
    }

    #[test]
    fn only_one_of_a_bots_chats_is_tried_again() {
        let gates = gates();
        gates["b"].close(&closed(true));
        let hold = Duration::from_secs(15);
        assert!(!gates["a"].may_send(59_999_999, hold));
        assert!(gates["a"].may_send(60_000_000, hold));
        assert!(!gates["e"].may_send(60_000_001, hold), "another one tries it");
        assert!(gates["c"].may_send(0, hold) && gates["c"].may_send(0, hold));
    }

    async fn passes_after(gate: &SendGate) -> Duration {
        let start = Instant::now();
        drop(gate.pass(true).await);
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_chat_delays_no_other_but_three_of_them_freeze_the_bot() {
        let gates = gates();
        let wait = Duration::from_secs(300);
        gates["a"].freeze(wait, Scope::Destination);
        gates["b"].freeze(wait, Scope::Destination);
        assert_eq!(passes_after(&gates["f"]).await, Duration::ZERO);
        assert_eq!(passes_after(&gates["c"]).await, Duration::ZERO);
        gates["e"].freeze(wait, Scope::Destination);
        assert_eq!(passes_after(&gates["c"]).await, Duration::ZERO);
        assert!(passes_after(&gates["f"]).await >= wait);
    }

    #[tokio::test(start_paused = true)]
    async fn webhooks_of_a_channel_share_its_limit_and_a_global_wait_stops_all() {
        let (gates, config) = (gates(), config());
        for name in ["c", "d"] {
            gates[name].join_room("77", &config.destinations[name]);
        }
        let start = Instant::now();
        for number in 0..50 {
            drop(gates[if number % 2 == 0 { "c" } else { "d" }].pass(true).await);
        }
        assert!(start.elapsed() >= Duration::from_secs(60), "{:?}", start.elapsed());
        tokio::time::sleep(Duration::from_secs(120)).await;
        gates["c"].freeze(Duration::from_secs(9), Scope::Service);
        assert!(passes_after(&gates["d"]).await >= Duration::from_secs(9));
        assert_eq!(passes_after(&gates["a"]).await, Duration::ZERO);
    }

    #[test]
    fn no_secret_is_in_what_is_shown_of_it() {
        let text = "destinations.a = { channel = \"telegram\", token = \"1:hidden\", chat_id = 5 }\n\
             destinations.b = { channel = \"discord\", webhook_url = \"https://d/webhooks/1/hidden\" }\n\
             destinations.c = { channel = \"slack\", token = \"xoxb-hidden\", channel_id = \"C1\" }";
        let config: Config = toml::from_str(text).unwrap();
        let shown = format!("{:?}", SendGate::all(&config));
        assert!(!shown.contains("hidden"), "{shown}");
        for destination in config.destinations.values() {
            let shown = format!("{:?}", destination.settings().sharing());
            assert!(!shown.contains("hidden"), "{shown}");
        }
    }

    #[test]
    fn time_is_that_of_the_slowest_limit() {
        let (gates, config) = (gates(), config());
        assert_eq!(gates["a"].time_for(20), Duration::from_secs(21));
        gates["c"].join_room("77", &config.destinations["c"]);
        assert_eq!(gates["c"].time_for(25), Duration::from_secs(60));
    }
}
