//! What stands between a destination and its service: pacing, and the knowledge that nothing can
//! be sent there. Destinations that share a chat or a bot share it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    config::{Config, Destination, Limit},
    limiter::{Limiter, Slot},
};

/// The way to one destination.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    /// Chat or webhook first, then the bot.
    doors: Vec<Arc<Door>>,
}

#[derive(Debug)]
struct Door {
    limiter: Arc<Limiter>,
    closed: Mutex<Option<Closed>>,
}

#[derive(Debug, Clone)]
struct Closed {
    why: String,
    until: Instant,
}

impl Gate {
    /// A gate for every destination.
    pub(crate) fn all(config: &Config) -> BTreeMap<String, Self> {
        let mut doors = BTreeMap::<String, Arc<Door>>::new();
        let mut gates = BTreeMap::new();
        for (name, destination) in &config.destinations {
            let wanted = match destination {
                Destination::Telegram(telegram) => {
                    let bot = telegram.token.expose();
                    let rate = Limit {
                        messages: telegram.bot_messages_per_second,
                        per_ms: 1_000,
                        reserved_for_critical: 0,
                    };
                    vec![
                        (format!("chat {bot} {}", telegram.chat_id), destination.limits()),
                        (format!("bot {bot}"), vec![rate]),
                    ]
                }
                Destination::Discord(discord) => {
                    vec![(format!("hook {}", discord.webhook_url.expose()), destination.limits())]
                }
            };
            let wanted = wanted.into_iter().map(|(key, limits)| {
                Arc::clone(doors.entry(key).or_insert_with(|| Arc::new(Door::new(limits))))
            });
            gates.insert(name.clone(), Self { doors: wanted.collect() });
        }
        gates
    }

    /// Waits for a place at every door. Cancel-safe.
    pub(crate) async fn pass(&self, critical: bool) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(self.doors.len());
        for door in &self.doors {
            slots.push(door.limiter.acquire(critical).await);
        }
        slots
    }

    /// The service asked to be left alone.
    pub(crate) fn freeze(&self, duration: Duration) {
        if let Some(door) = self.doors.first() {
            door.limiter.freeze(duration);
        }
    }

    /// Nothing can be sent there; after `again_after` one message may ask again.
    pub(crate) fn close(&self, why: &str, again_after: Duration, whole_bot: bool) {
        let count = if whole_bot { self.doors.len() } else { 1 };
        for door in self.doors.iter().take(count) {
            let closed = Closed { why: why.to_owned(), until: Instant::now() + again_after };
            *door.lock() = Some(closed);
        }
    }

    /// It took a message: whatever closed it is mended.
    pub(crate) fn open(&self) {
        for door in &self.doors {
            *door.lock() = None;
        }
    }

    /// Why nothing can be sent, while that holds.
    pub(crate) fn closed(&self) -> Option<String> {
        let now = Instant::now();
        self.doors.iter().find_map(|door| {
            let closed = door.lock();
            closed.as_ref().filter(|closed| closed.until > now).map(|closed| closed.why.clone())
        })
    }

    /// How long so many messages take on the long run.
    pub(crate) fn time_for(&self, messages: u64) -> Duration {
        let slowest = self.doors.iter().map(|door| door.limiter.per_message()).max();
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        slowest.unwrap_or_default().saturating_mul(messages)
    }
}

impl Door {
    fn new(limits: Vec<Limit>) -> Self {
        Self { limiter: Arc::new(Limiter::new(limits)), closed: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Closed>> {
        // A panic while holding the lock leaves plain data behind: it stays usable.
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn gates() -> BTreeMap<String, Gate> {
        let config: Config = toml::from_str(
            r#"
            destinations.a = { channel = "telegram", token = "1:x", chat_id = 5 }
            destinations.b = { channel = "telegram", token = "1:x", chat_id = 6 }
            destinations.c = { channel = "discord", webhook_url = "https://d/webhooks/1/x" }
            "#,
        )
        .unwrap();
        Gate::all(&config)
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_chat_closes_itself_only_and_a_dead_bot_all_its_chats() {
        let gates = gates();
        gates["a"].close("blocked", Duration::from_secs(60), false);
        assert_eq!(gates["a"].closed().as_deref(), Some("blocked"));
        assert_eq!(gates["b"].closed(), None);
        gates["b"].close("token refused", Duration::from_secs(60), true);
        assert!(gates["a"].closed().is_some() && gates["c"].closed().is_none());
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(gates["b"].closed(), None, "one message asks again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_chat_holds_up_no_other() {
        let gates = gates();
        gates["a"].freeze(Duration::from_secs(300));
        let start = Instant::now();
        drop(gates["b"].pass(false).await);
        drop(gates["c"].pass(false).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(gates["a"].pass(true).await);
        assert!(start.elapsed() >= Duration::from_secs(300));
    }

    #[test]
    fn time_is_that_of_the_slowest_limit() {
        let gates = gates();
        assert_eq!(gates["a"].time_for(20), Duration::from_secs(21));
        assert_eq!(gates["c"].time_for(25), Duration::from_secs(60));
    }
}
