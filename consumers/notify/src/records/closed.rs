//! A closed destination: it rejects everything until its configuration or its chat is corrected.

use std::time::Duration;

use alloy_primitives::{hex, keccak256};
use serde::{Deserialize, Serialize};

/// Why nothing can be sent, since when, and when the oldest message is tried again. Kept in the bucket
/// `deliveries`, so that a restart changes neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// Text of the service.
    pub(crate) why: String,
    /// What a person must do.
    #[serde(rename = "mend")]
    pub(crate) hint: String,
    /// Time of the first refusal, microseconds.
    pub(crate) since_us: i64,
    /// Refusals in a row.
    pub(crate) tries: u32,
    /// When the oldest message is tried again, microseconds.
    pub(crate) next_us: i64,
    /// Whether the bot is rejected, with all its chats.
    pub(crate) whole_bot: bool,
    /// Fingerprint of the address and its secret: another address is not closed.
    pub(crate) address: String,
    /// The fallback has got the waiting messages up to this stream sequence.
    #[serde(default)]
    pub(crate) copied: u64,
    /// The same for critical messages, which have a queue of their own.
    #[serde(default)]
    pub(crate) copied_critical: u64,
}

/// A permanent refusal by a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal<'a> {
    pub(crate) why: &'a str,
    pub(crate) hint: &'a str,
    pub(crate) whole_bot: bool,
}

impl Closed {
    /// The state after another refusal. `schedule` = seconds until the next attempt after each; the
    /// last one repeats.
    pub(crate) fn after(
        earlier: Option<&Self>,
        refusal: Refusal<'_>,
        address: &str,
        schedule: &[u64],
        now_us: i64,
    ) -> Self {
        let tries = earlier.map_or(0, |earlier| earlier.tries).saturating_add(1);
        let place = (tries as usize - 1).min(schedule.len().saturating_sub(1));
        let seconds = schedule.get(place).copied().unwrap_or(3_600);
        let delay_us = i64::try_from(Duration::from_secs(seconds).as_micros()).unwrap_or(i64::MAX);
        Self {
            why: refusal.why.to_owned(),
            hint: refusal.hint.to_owned(),
            since_us: earlier.map_or(now_us, |earlier| earlier.since_us),
            tries,
            next_us: now_us.saturating_add(delay_us),
            whole_bot: refusal.whole_bot,
            address: address.to_owned(),
            copied: 0,
            copied_critical: 0,
        }
    }
}

/// Distinguishes addresses with their secrets without showing them.
pub(crate) fn fingerprint(address: &str) -> String {
    hex::encode(&keccak256(address)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_at_1_2_5_15_30_minutes_and_then_every_hour() {
        let schedule = crate::config::Policy::default().probe_after_seconds;
        let refusal = Refusal { why: "chat not found", hint: "invite the bot", whole_bot: false };
        let mut closed: Option<Closed> = None;
        let mut now_us = 0;
        let mut minutes = Vec::new();
        for _ in 0..8 {
            let after = Closed::after(closed.as_ref(), refusal, "a", &schedule, now_us);
            minutes.push((after.next_us - now_us) / 60_000_000);
            now_us = after.next_us;
            closed = Some(after);
        }
        assert_eq!(minutes, [1, 2, 5, 15, 30, 60, 60, 60]);
        assert_eq!(closed.map(|closed| (closed.since_us, closed.tries)), Some((0, 8)));
    }
}
