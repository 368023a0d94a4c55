//! Which range of which series is asked for next. Pure.

use super::span::{Span, Spans};
use crate::{
    catalogue::{History, Order},
    config::HistorySettings,
};

const DAY_S: i64 = 86_400;
/// How much new past has to be there before it is asked for beside live polling: one request a day is enough.
const TAIL_S: i64 = DAY_S;

/// How many days of a series' past the configuration wants.
pub(crate) fn days(settings: &HistorySettings, provider: &str, history: &History) -> u32 {
    let of = |name: &String| match name.split_once('/') {
        None => name == provider,
        Some((of, endpoint)) => of == provider && history.is_named(endpoint),
    };
    match settings.only.is_empty() || settings.only.iter().any(of) {
        true => settings.days,
        false => 0,
    }
}

/// The past that is wanted of a series now.
pub(crate) fn wanted(history: &History, days: u32, queued: &[Span], now_us: i64) -> Vec<Span> {
    let now_s = now_us.div_euclid(1_000_000);
    let to_s = now_s - history.settle_s;
    let oldest_s = history.max_days.map_or(0, |days| now_s - i64::from(days) * DAY_S);
    let configured = Span { from_s: now_s - i64::from(days) * DAY_S, to_s };
    let all = queued.iter().copied().chain((days > 0).then_some(configured));
    let mut wanted = Spans::default();
    for span in all {
        let within = Span { from_s: span.from_s.max(oldest_s), to_s: span.to_s.min(to_s) };
        wanted.add(within);
    }
    // Each alone would lose the step between two that meet.
    let aligned = wanted.as_slice().iter().map(|span| span.aligned(history.step_s));
    aligned.filter(|span| span.seconds() > 0).collect()
}

/// The newest range that is wanted and not covered, no longer than one answer.
pub(crate) fn next_range(history: &History, wanted: &[Span], covered: &Spans) -> Option<Span> {
    let longest_s = history.step_s * i64::from(history.max_points);
    for span in wanted.iter().rev() {
        for missing in covered.missing_of(*span).iter().rev() {
            // What live polls now is no past yet.
            let is_tail = missing.to_s == span.to_s
                && covered.as_slice().iter().any(|known| known.to_s == missing.from_s);
            if is_tail && missing.seconds() < TAIL_S {
                continue;
            }
            return Some(Span { from_s: missing.from_s.max(missing.to_s - longest_s), ..*missing });
        }
    }
    None
}

/// How many points of time are wanted and not covered.
pub(crate) fn remaining(history: &History, wanted: &[Span], covered: &Spans) -> i64 {
    let missing = wanted.iter().flat_map(|span| covered.missing_of(*span));
    missing.map(|span| span.seconds() / history.step_s).sum()
}

/// What of a range an answer with points at these times covers. An answer may hold less than it was asked for: where it
/// ends, nothing is known of the rest, which is asked for again, and covered when there is nothing in it.
pub(crate) fn covered_by(history: &History, asked: Span, times_us: &[i64]) -> Span {
    let (Some(first_us), Some(last_us)) = (times_us.iter().min(), times_us.iter().max()) else {
        return asked;
    };
    let (first_s, last_s) = (first_us.div_euclid(1_000_000), last_us.div_euclid(1_000_000));
    let step_s = history.step_s;
    match history.order {
        Order::Newest => {
            let from_s = (first_s - step_s).max(asked.from_s);
            // Points do not lie a whole step apart to the second.
            let from_s = if from_s - asked.from_s < step_s { asked.from_s } else { from_s };
            Span { from_s, ..asked }
        }
        Order::Oldest => {
            let to_s = if asked.to_s - last_s < step_s { asked.to_s } else { last_s };
            Span { to_s, ..asked }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;
    use crate::{catalogue::read_provider, config::ProviderSettings};

    const HOUR_S: i64 = 3_600;
    /// Twenty past twelve.
    const NOW_S: i64 = 1_798_761_600 - 12 * HOUR_S + 1_200;

    /// Points of an hour, ten of an answer, three days back.
    fn history(order: &str) -> Arc<History> {
        let file = format!(
            r#"
name = "p"
title = "P"
category = "market"
facts = "this test"
base_url = "https://p.example"
quota = {{ per_minute = 10, burst = 1 }}
[[endpoints]]
name = "e"
kind = "index"
path = "/"
every_seconds = 60
jq.events = '{{index: "i", value: .}}'
jq.example = '1'
history.step_seconds = 3600
history.max_points = 10
history.max_days = 3
history.order = "{order}"
history.jq.events = '{{index: "i", value: ., at_s: 1700000000}}'
history.jq.example = '1'
"#
        );
        let provider = read_provider("p.toml", &file, &ProviderSettings::default()).unwrap();
        Arc::clone(&provider.histories[0])
    }

    /// Hours before noon.
    fn hours(from: i64, to: i64) -> Span {
        let noon_s = NOW_S - 1_200;
        Span { from_s: noon_s - from * HOUR_S, to_s: noon_s - to * HOUR_S }
    }

    fn wanted_of(days: u32, queued: &[Span]) -> Vec<Span> {
        wanted(&history("newest"), days, queued, NOW_S * 1_000_000)
    }

    #[test]
    fn what_is_wanted_ends_before_now_and_begins_where_the_provider_does() {
        assert_eq!(wanted_of(1, &[]), [hours(23, 0)]);
        assert_eq!(wanted_of(0, &[]), []);
        assert_eq!(wanted_of(30, &[]), [hours(71, 0)], "three days are all that there is");
        let queued = hours(50, 40);
        assert_eq!(wanted_of(1, &[queued]), [queued, hours(23, 0)]);
        assert_eq!(wanted_of(0, &[hours(10, -50)]), [hours(10, 0)]);
        let half_past = hours(15, 10).to_s + HOUR_S / 2;
        let meeting =
            [Span { to_s: half_past, ..hours(15, 10) }, Span { from_s: half_past, ..hours(10, 5) }];
        assert_eq!(wanted_of(0, &meeting), [hours(15, 5)]);
        assert_eq!(wanted_of(0, &[Span { from_s: half_past, to_s: half_past + 60 }]), []);
        let settings = |only: &[&str]| HistorySettings {
            days: 7,
            only: only.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (only, expected) in
            [(&[][..], 7), (&["p"], 7), (&["p/e"], 7), (&["q"], 0), (&["q/e", "p/f"], 0)]
        {
            assert_eq!(days(&settings(only), "p", &history("newest")), expected, "{only:?}");
        }
    }

    #[test]
    fn the_newest_is_asked_for_first_and_what_is_new_when_it_is_a_day_long() {
        let history = history("newest");
        let mut covered = Spans::default();
        let wanted = wanted_of(1, &[]);
        let mut asked = Vec::new();
        while let Some(range) = next_range(&history, &wanted, &covered) {
            asked.push(range);
            covered.add(range);
        }
        assert_eq!(asked, [hours(10, 0), hours(20, 10), hours(23, 20)]);
        assert_eq!(remaining(&history, &wanted, &covered), 0);
        let later =
            |hours: i64| super::wanted(&history, 1, &[], (NOW_S + hours * HOUR_S) * 1_000_000);
        assert_eq!(next_range(&history, &later(23), &covered), None);
        assert_eq!(next_range(&history, &later(24), &covered), Some(hours(-14, -24)));
        assert_eq!(remaining(&history, &later(5), &covered), 5);
    }

    #[test]
    fn an_answer_covers_as_far_as_it_reaches() {
        let at = |before: &[i64]| -> Vec<i64> {
            before.iter().map(|hour| hours(*hour, 0).from_s * 1_000_000).collect()
        };
        let newest = |times: &[i64]| covered_by(&history("newest"), hours(10, 0), &at(times));
        assert_eq!(newest(&[]), hours(10, 0), "there is nothing");
        assert_eq!(newest(&[0, 1, 2]), hours(3, 0));
        assert_eq!(newest(&[0, 9]), hours(10, 0), "a hole within is none of ours");
        let oldest = |times: &[i64]| covered_by(&history("oldest"), hours(10, 0), &at(times));
        assert_eq!(oldest(&[9, 8, 7]), hours(10, 7));
        assert_eq!(oldest(&[9, 0]), hours(10, 0));
        // A point of a little more than a step after the beginning.
        let late = vec![(hours(9, 0).from_s + 40) * 1_000_000];
        assert_eq!(covered_by(&history("newest"), hours(10, 5), &late), hours(10, 5));
    }
}
