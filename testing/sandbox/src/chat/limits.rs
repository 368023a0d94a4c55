//! How fast a destination accepts messages.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Which limits a [`ChatServer`](super::ChatServer) applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChatLimits {
    /// Those of the real services: Telegram 1 per second and chat (burst 3), 20 per minute and group, 30 per second
    /// in all; Discord 5 per 2 s and webhook, 30 per minute and channel, 50 per second in all.
    #[default]
    Strict,
    /// A hundred times as fast.
    Relaxed,
}

/// At most `count` in any window of this length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) count: usize,
    pub(super) length: Duration,
}

impl ChatLimits {
    /// For a Telegram chat; group ids are negative.
    pub(super) fn telegram_chat(self, chat_id: i64) -> Vec<Window> {
        // A burst of 3 at 1 per second is never more than 3 in 1 s, 4 in 2 s and so on; two windows approximate it.
        let mut windows = vec![self.window(3, 1), self.window(7, 5)];
        if chat_id < 0 {
            windows.push(self.window(20, 60));
        }
        windows
    }

    pub(super) fn telegram_total(self) -> Vec<Window> {
        vec![self.window(30, 1)]
    }

    pub(super) fn discord_webhook(self) -> Vec<Window> {
        vec![self.window(5, 2)]
    }

    /// Over all webhooks of a channel; not reported in any header.
    pub(super) fn discord_channel(self) -> Vec<Window> {
        vec![self.window(30, 60)]
    }

    /// For everything from one address.
    pub(super) fn discord_address(self) -> Vec<Window> {
        vec![self.window(50, 1)]
    }

    /// For a webhook or channel of Slack.
    pub(super) fn slack_channel(self) -> Vec<Window> {
        vec![self.window(1, 1)]
    }

    /// For everything from one address to ntfy: 60 at once, and one more every five seconds.
    pub(super) fn ntfy_visitor(self) -> Vec<Window> {
        vec![self.window(60, 5), self.window(72, 60), self.window(120, 300)]
    }

    /// For an integration of PagerDuty.
    pub(super) fn pagerduty_key(self) -> Vec<Window> {
        vec![self.window(120, 60)]
    }

    /// For a receiver of signed requests.
    pub(super) fn webhook(self) -> Vec<Window> {
        vec![self.window(20, 1)]
    }

    /// How long a destination that refuses everything must be left alone.
    pub(super) fn pause_after_refusal(self) -> Duration {
        match self {
            Self::Strict => Duration::from_secs(50),
            Self::Relaxed => Duration::from_millis(500),
        }
    }

    fn window(self, count: usize, seconds: u64) -> Window {
        let factor = match self {
            Self::Strict => 1,
            Self::Relaxed => 100,
        };
        Window { count: count * factor, length: Duration::from_secs(seconds) }
    }
}

/// When each destination was used, and until when it is closed.
#[derive(Debug, Default)]
pub(super) struct Pace {
    used: HashMap<String, VecDeque<Instant>>,
    closed_until: HashMap<String, Instant>,
}

impl Pace {
    /// How long the destination is still closed by an earlier 429.
    pub(super) fn closed_for(&self, key: &str, now: Instant) -> Option<Duration> {
        self.closed_until
            .get(key)
            .map(|until| until.duration_since(now))
            .filter(|rest| !rest.is_zero())
    }

    /// How many keys with this prefix are closed by a 429.
    pub(super) fn closed_count(&self, prefix: &str, now: Instant) -> usize {
        let closed = self.closed_until.iter();
        closed.filter(|(key, until)| key.starts_with(prefix) && **until > now).count()
    }

    pub(super) fn close(&mut self, key: &str, until: Instant) {
        self.closed_until.insert(key.to_owned(), until);
    }

    /// How long to wait until one more fits into all windows; none if it fits now.
    pub(super) fn wait_for(&self, key: &str, windows: &[Window], now: Instant) -> Option<Duration> {
        let used = self.used.get(key)?;
        windows
            .iter()
            .filter_map(|window| {
                let place = used.len().checked_sub(window.count)?;
                let free_at = used[place] + window.length;
                free_at.checked_duration_since(now).filter(|rest| !rest.is_zero())
            })
            .max()
    }

    pub(super) fn use_now(&mut self, key: &str, windows: &[Window], now: Instant) {
        let kept = windows.iter().map(|window| window.count).max().unwrap_or(0);
        let used = self.used.entry(key.to_owned()).or_default();
        used.push_back(now);
        while used.len() > kept {
            used.pop_front();
        }
    }

    /// How many more fit into a window now.
    pub(super) fn remaining(&self, key: &str, window: Window, now: Instant) -> usize {
        let used = self.used.get(key).map_or(0, |used| {
            used.iter().filter(|at| now.duration_since(**at) < window.length).count()
        });
        window.count.saturating_sub(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_takes_twenty_in_any_minute() {
        let (mut pace, windows) = (Pace::default(), ChatLimits::Strict.telegram_chat(-5));
        let start = Instant::now();
        let mut now = start;
        for _ in 0..20 {
            while let Some(wait) = pace.wait_for("group", &windows, now) {
                now += wait;
            }
            pace.use_now("group", &windows, now);
        }
        assert!(now < start + Duration::from_secs(20));
        let wait = pace.wait_for("group", &windows, now).unwrap();
        assert_eq!(now + wait, start + Duration::from_secs(60));
    }
}
