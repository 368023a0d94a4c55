use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

/// First pause of what is refused; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(600);
const MAX_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// Which endpoints are refused with which keys. One refused endpoint rests alone, for perhaps our plan excludes its path;
/// when a second is refused and none answered between, the key itself is.
#[derive(Debug)]
pub(crate) struct Refusals {
    endpoints: BTreeMap<(String, usize), Rest>,
    keys: Vec<KeyRefusals>,
}

#[derive(Debug, Clone, Default)]
struct KeyRefusals {
    /// Refused since one was answered.
    in_a_row: BTreeSet<String>,
    rest: Option<Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    pause: Duration,
}

impl Rest {
    fn again(before: Option<&Self>, now: Instant) -> Self {
        let pause = before.map_or(FIRST_PAUSE, |rest| (rest.pause * 2).min(MAX_PAUSE));
        Self { until: now + pause, pause }
    }
}

impl Refusals {
    pub(crate) fn new(keys: usize) -> Self {
        Self { endpoints: BTreeMap::new(), keys: vec![KeyRefusals::default(); keys] }
    }

    /// An endpoint was refused with the key at this place. The pause of the key, when it rests from now on.
    pub(crate) fn refused(&mut self, endpoint: &str, key: usize, now: Instant) -> Option<Duration> {
        let place = (endpoint.to_owned(), key);
        let rest = Rest::again(self.endpoints.get(&place), now);
        self.endpoints.insert(place, rest);
        let of_key = self.keys.get_mut(key)?;
        of_key.in_a_row.insert(endpoint.to_owned());
        if of_key.in_a_row.len() < 2 {
            return None;
        }
        let rest = Rest::again(of_key.rest.as_ref(), now);
        of_key.rest = Some(rest);
        Some(rest.pause)
    }

    /// An endpoint was answered with the key at this place.
    pub(crate) fn answered(&mut self, endpoint: &str, key: usize) {
        self.endpoints.remove(&(endpoint.to_owned(), key));
        if let Some(of_key) = self.keys.get_mut(key) {
            *of_key = KeyRefusals::default();
        }
    }

    /// Until when an endpoint is not asked with the key at this place.
    pub(crate) fn until(&self, endpoint: &str, key: usize) -> Option<Instant> {
        let own = self.endpoints.get(&(endpoint.to_owned(), key)).map(|rest| rest.until);
        own.max(self.key_until(key))
    }

    /// Until when nothing is asked with the key at this place.
    pub(crate) fn key_until(&self, key: usize) -> Option<Instant> {
        Some(self.keys.get(key)?.rest?.until)
    }

    /// How many entries are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.endpoints.len() + self.keys.iter().map(|key| key.in_a_row.len()).sum::<usize>()
    }

    /// Whether an endpoint rests with every key.
    pub(crate) fn rests(&self, endpoint: &str, now: Instant) -> bool {
        (0..self.keys.len()).all(|key| self.until(endpoint, key).is_some_and(|until| until > now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_refused_endpoint_rests_alone_with_growing_pauses() {
        let mut refusals = Refusals::new(1);
        for minutes in [10, 20, 40, 80, 160, 320, 360, 360] {
            let now = Instant::now();
            assert_eq!(refusals.refused("paid", 0, now), None, "one endpoint counts once");
            assert_eq!(refusals.until("paid", 0), Some(now + MINUTE * minutes));
            assert_eq!((refusals.until("free", 0), refusals.key_until(0)), (None, None));
            tokio::time::advance(MINUTE * minutes).await;
        }
        refusals.answered("paid", 0);
        assert_eq!(refusals.until("paid", 0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_rests_when_a_second_endpoint_is_refused_and_none_answered() {
        let (mut refusals, now) = (Refusals::new(2), Instant::now());
        assert_eq!(refusals.refused("paid", 0, now), None);
        refusals.answered("free", 0);
        assert_eq!(refusals.refused("news", 0, now), None, "the account is fine");
        assert_eq!(refusals.refused("paid", 0, now), Some(MINUTE * 10));
        assert_eq!(refusals.until("free", 0), Some(now + MINUTE * 10));
        assert_eq!(refusals.until("free", 1), None, "the other key is not asked yet");
        assert!(!refusals.rests("paid", now));
        assert_eq!(refusals.refused("free", 0, now), Some(MINUTE * 20));
        refusals.answered("free", 0);
        assert_eq!(refusals.key_until(0), None);
    }
}
