use std::{collections::BTreeMap, time::Duration};

use crypto_intel_schemas::ProviderState as State;

use super::{
    board::Note,
    throttle::{KeyState, KeyView},
};
use crate::{
    control::pause::Pause,
    quota::{
        calendar::shown,
        limits::{Limits, Window},
    },
};

/// Share of the remembered slots that have to be on time, percent.
const ENOUGH_ON_TIME_PERCENT: usize = 80;
/// How many slots are needed to judge.
const ENOUGH_SLOTS: usize = 20;

/// How a provider is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) state: State,
    /// The one endpoint that this is about; absent: all.
    pub(crate) endpoint: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) latency: Option<Duration>,
    /// Used units and limit of the window that is nearest to its end.
    pub(crate) quota: Option<(Window, u64, u32)>,
    /// Whether a day or month of a key is nearly spent.
    pub(crate) nearly_spent: bool,
    /// Since the newest valid answer.
    pub(crate) stale: Option<Duration>,
    /// Slots that were done on time, and all remembered ones.
    pub(crate) on_time: (usize, usize),
}

impl View {
    /// Whether anything is known yet: at the beginning nothing was asked.
    pub(crate) fn is_known(&self) -> bool {
        self.state != State::Ok || self.stale.is_some()
    }

    /// Whether it is another state, rather than other figures.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        (self.state, &self.endpoint, self.nearly_spent)
            != (other.state, &other.endpoint, other.nearly_spent)
    }
}

/// What a view is made of.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) endpoints: &'a BTreeMap<String, Note>,
    /// Those that people paused.
    pub(crate) paused: &'a BTreeMap<String, Pause>,
    /// Those that are refused with every key.
    pub(crate) refused: Vec<&'a str>,
    pub(crate) keys: &'a [KeyView],
    pub(crate) limits: &'a Limits,
    /// Whether all requests are held back.
    pub(crate) is_held: bool,
    pub(crate) now_us: i64,
}

impl Seen<'_> {
    pub(crate) fn view(&self) -> View {
        let (state, endpoint, detail) = self.state();
        let notes = || {
            self.endpoints
                .iter()
                .filter(|(name, _)| endpoint.is_none_or(|one| one == **name))
                .map(|(_, note)| note)
        };
        let slots = self.endpoints.values().map(|note| note.slots.on_time());
        let nearly_spent = self.nearly_spent();
        let warning =
            nearly_spent.map(|window| format!("the quota of the {window} is nearly spent"));
        View {
            state,
            endpoint: endpoint.map(str::to_owned),
            detail: detail.or(warning),
            latency: notes().filter_map(|note| note.latency).max(),
            quota: self.tightest(),
            nearly_spent: nearly_spent.is_some(),
            stale: notes().filter_map(|note| note.succeeded).map(|at| at.elapsed()).min(),
            on_time: slots.fold((0, 0), |sum, slots| (sum.0 + slots.0, sum.1 + slots.1)),
        }
    }

    /// The state, the only endpoint that it is about, and why.
    fn state(&self) -> (State, Option<&str>, Option<String>) {
        let is_paused = |name: &str, _: &Note| self.paused.contains_key(name);
        if !self.endpoints.is_empty() && self.paused.len() >= self.endpoints.len() {
            return (State::Off, None, self.paused.values().next().map(Pause::text));
        }
        let all = |state: KeyState| self.keys.iter().all(|key| key.state == state);
        if all(KeyState::Spent) {
            return (State::QuotaSpent, None, self.spent());
        }
        if all(KeyState::Refused) {
            return (State::Refused, None, self.failure(|_, _| true));
        }
        if self.is_held || self.keys.iter().all(|key| key.state != KeyState::Usable) {
            return (State::Held, None, self.failure(|_, _| true));
        }
        let asked = |name: &str| !self.paused.contains_key(name);
        let refused = |name: &str, _: &Note| asked(name) && self.refused.contains(&name);
        let failing =
            |name: &str, note: &Note| asked(name) && note.failure.is_some() && note.is_stale();
        let late = |name: &str, note: &Note| {
            asked(name) && (note.is_stale() || note.old_data.is_some() || is_late(note))
        };
        let found = self.worst(State::Refused, refused);
        let found = found.or_else(|| self.worst(State::Failing, failing));
        let found = found.or_else(|| self.worst(State::Late, late));
        let found = found.or_else(|| {
            let (state, endpoint, _) = self.worst(State::Off, is_paused)?;
            Some((state, endpoint, self.paused.values().next().map(Pause::text)))
        });
        found.unwrap_or((State::Ok, None, None))
    }

    fn worst(
        &self,
        state: State,
        is_so: impl Fn(&str, &Note) -> bool + Copy,
    ) -> Option<(State, Option<&str>, Option<String>)> {
        let mut those = self.endpoints.iter().filter(|(name, note)| is_so(name, note));
        let (first, _) = those.next()?;
        let others = those.count();
        let is_all = others + 1 == self.endpoints.len();
        let more = match others {
            0 => String::new(),
            others => format!(", and so are {others} other endpoints"),
        };
        let why = self.failure(is_so).unwrap_or_else(|| "after its time".to_owned());
        Some((state, (!is_all).then_some(first.as_str()), Some(format!("{why}{more}"))))
    }

    fn failure(&self, is_so: impl Fn(&str, &Note) -> bool) -> Option<String> {
        let those = self.endpoints.iter().filter(|(name, note)| is_so(name, note));
        those
            .filter_map(|(_, note)| note.failure.as_ref().or(note.old_data.as_ref()))
            .next()
            .cloned()
    }

    fn spent(&self) -> Option<String> {
        let spent =
            self.keys.iter().filter_map(|key| key.usage.as_ref()?.spent(self.limits, self.now_us));
        let first = spent.min_by_key(|blocked| blocked.until_us)?;
        Some(format!(
            "the quota of the {} is used up until {}",
            first.window,
            shown(first.until_us)
        ))
    }

    /// Of the key that is used next.
    fn tightest(&self) -> Option<(Window, u64, u32)> {
        let key = self.keys.iter().find(|key| key.state == KeyState::Usable);
        let usage = key.or(self.keys.first())?.usage.as_ref()?;
        let windows = self.limits.windows();
        let used = windows.map(|(window, limit)| (window, usage.used(window, self.now_us), limit));
        used.max_by_key(|(window, used, limit)| (used * 1_000 / u64::from(*limit).max(1), *window))
    }

    fn nearly_spent(&self) -> Option<Window> {
        let usages = self.keys.iter().filter_map(|key| key.usage.as_ref());
        usages.filter_map(|usage| usage.nearly_spent(self.limits, self.now_us)).max()
    }
}

fn is_late(note: &Note) -> bool {
    let (on_time, all) = note.slots.on_time();
    all >= ENOUGH_SLOTS && on_time * 100 < all * ENOUGH_ON_TIME_PERCENT
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_service::prometheus::Registry;

    use super::*;
    use crate::{
        clock::Clock,
        metrics::Metrics,
        polling::{board::Board, compliance::Compliance, schedule::Schedule},
        quota::usage::Usage,
    };

    const NOON_US: i64 = 1_798_761_600_000_000 - 43_200_000_000;
    const LIMITS: Limits =
        Limits { second: None, minute: Some(10), day: Some(10), month: None, burst: 10 };

    fn board() -> Board {
        let clock = Clock::paused_at(NOON_US);
        let board = Board::new("p", Metrics::new(&Registry::new()).unwrap(), clock);
        let minute = Duration::from_secs(60);
        for name in ["a", "b"] {
            let schedule = Schedule::new(minute, name);
            board.join(name, minute * 3, schedule, Compliance::default());
        }
        board
    }

    fn key(state: KeyState, used: u32) -> KeyView {
        let mut usage = Usage::default();
        usage.take(&LIMITS, used, NOON_US);
        KeyView { usage: Some(usage), state }
    }

    fn view(board: &Board, keys: &[KeyView], refused: Vec<&str>, is_held: bool) -> View {
        let (endpoints, paused) = (board.look(), BTreeMap::new());
        let (limits, now_us) = (&LIMITS, NOON_US);
        Seen { endpoints: &endpoints, paused: &paused, refused, keys, limits, is_held, now_us }
            .view()
    }

    #[tokio::test(start_paused = true)]
    async fn one_failing_endpoint_is_named_and_all_are_the_provider() {
        let (board, usable) = (board(), [key(KeyState::Usable, 2)]);
        let seen = view(&board, &usable, Vec::new(), false);
        assert_eq!((seen.state, seen.detail, seen.stale), (State::Ok, None, None));
        assert_eq!(seen.quota, Some((Window::Day, 2, 10)));
        board.note("a", |note| note.failure = Some("status 500".to_owned()));
        assert_eq!(view(&board, &usable, Vec::new(), false).state, State::Ok, "a single failure");
        tokio::time::advance(Duration::from_secs(181)).await;
        board.note("b", |note| note.succeeded = Some(tokio::time::Instant::now()));
        let seen = view(&board, &usable, Vec::new(), false);
        assert_eq!((seen.state, seen.endpoint.as_deref()), (State::Failing, Some("a")));
        assert_eq!(seen.detail.as_deref(), Some("status 500"));
        let seen = view(&board, &usable, vec!["a"], false);
        assert_eq!((seen.state, seen.endpoint.as_deref()), (State::Refused, Some("a")));
        let seen = view(&board, &usable, vec!["a", "b"], false);
        assert_eq!((seen.state, seen.endpoint.as_deref()), (State::Refused, None));
        assert_eq!(view(&board, &usable, Vec::new(), true).state, State::Held);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_is_spent_when_that_of_every_key_is() {
        let board = board();
        let keys = [key(KeyState::Spent, 10), key(KeyState::Usable, 8)];
        let seen = view(&board, &keys, Vec::new(), false);
        assert_eq!((seen.state, seen.nearly_spent), (State::Ok, true));
        assert_eq!(seen.detail.as_deref(), Some("the quota of the day is nearly spent"));
        assert_eq!(seen.quota, Some((Window::Day, 8, 10)), "of the key in use");
        let keys = [key(KeyState::Spent, 10), key(KeyState::Spent, 10)];
        let seen = view(&board, &keys, Vec::new(), false);
        assert_eq!(seen.state, State::QuotaSpent);
        let detail = seen.detail.unwrap();
        assert_eq!(detail, "the quota of the day is used up until 2027-01-01T00:00:00Z");
        let keys = [key(KeyState::Spent, 10), key(KeyState::Held, 1)];
        assert_eq!(view(&board, &keys, Vec::new(), false).state, State::Held);
    }

    #[tokio::test(start_paused = true)]
    async fn old_data_and_missed_slots_are_late() {
        let (board, usable) = (board(), [key(KeyState::Usable, 0)]);
        board.note("a", |note| note.old_data = Some("an hour old".to_owned()));
        let seen = view(&board, &usable, Vec::new(), false);
        assert_eq!((seen.state, seen.endpoint.as_deref()), (State::Late, Some("a")));
        board.note("a", |note| note.old_data = None);
        board.look();
        tokio::time::advance(Duration::from_secs(60 * 60)).await;
        for name in ["a", "b"] {
            board.note(name, |note| note.succeeded = Some(tokio::time::Instant::now()));
        }
        let seen = view(&board, &usable, Vec::new(), false);
        assert_eq!((seen.state, seen.endpoint), (State::Late, None));
        assert_eq!(seen.on_time.0, 0);
        assert!(seen.on_time.1 >= 40);
    }
}
