//! Silences that come every week, or every day, at the same hours of a named zone.

use crypto_intel_schemas::Alert;
use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use serde::Deserialize;

use super::{
    file::RouteProblem,
    hours::{moment, time_of_day, weekday, zone},
    matcher::{Matcher, all_match},
    reload::tree_of,
};
use crate::config::Config;

/// What a window that ended longer ago kept back is not told any more: no instance has routed since.
const MAX_LATE_US: i64 = 86_400_000_000;
/// No window is longer.
const WEEK: i32 = 7;

/// Alerts that are told to no one in windows that come again.
#[derive(Debug, Clone)]
pub(crate) struct WeeklySilence {
    pub(crate) name: String,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) reason: String,
    times: Times,
}

/// A `[[silence]]` of the file of routes, with one of its windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecurringSilence {
    /// Its name.
    pub name: String,
    /// What it matches.
    pub matchers: Vec<String>,
    /// Why.
    pub reason: String,
    /// When the window begins that lasts, else the next one, microseconds UTC.
    pub starts_us: i64,
    /// When that window ends, microseconds UTC.
    pub ends_us: i64,
}

/// The silences of the file of routes, each with the window that lasts at a time, else the next one.
///
/// # Errors
/// Every problem in the file.
pub fn recurring_silences(
    config: &Config,
    at_us: i64,
) -> Result<Vec<RecurringSilence>, Vec<RouteProblem>> {
    let tree = tree_of(config)?;
    let described = tree.silences.iter().filter_map(|silence| {
        let window = silence.next(at_us)?;
        Some(RecurringSilence {
            name: silence.name.clone(),
            matchers: silence.matchers.iter().map(ToString::to_string).collect(),
            reason: silence.reason.clone(),
            starts_us: window.start_us,
            ends_us: window.end_us,
        })
    });
    Ok(described.collect())
}

/// One window, microseconds UTC; its end is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start_us: i64,
    pub(crate) end_us: i64,
}

/// `{ from = "sun 02:00", to = "sun 04:00", zone = "UTC" }`, or with `days` for the same hours on several days.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimesFile {
    from: String,
    to: String,
    zone: String,
    #[serde(default)]
    days: Vec<String>,
}

/// When the windows are.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    zone: TimeZone,
    from: Time,
    to: Time,
    /// Days on which they start.
    days: Vec<Weekday>,
    /// Days from the one on which a window starts to the one on which it ends.
    length: i32,
}

impl Times {
    pub(crate) fn read(file: &TimesFile) -> Result<Self, String> {
        let ((first, from), (last, to)) = (day_and_time(&file.from)?, day_and_time(&file.to)?);
        let zone = zone(&file.zone)?;
        let is_next = to <= from;
        let (days, length) = match (first, last) {
            (Some(first), Some(last)) if file.days.is_empty() => {
                let days = i32::from(first.until(last));
                (vec![first], if days == 0 && is_next { WEEK } else { days })
            }
            (None, None) if from == to => {
                return Err("from and to are the same: there would be no hour left".to_owned());
            }
            (None, None) if file.days.is_empty() => {
                (Weekday::Monday.cycle_forward().take(7).collect(), i32::from(is_next))
            }
            (None, None) => {
                let days = file.days.iter().map(|day| weekday(day)).collect::<Result<_, _>>()?;
                (days, i32::from(is_next))
            }
            _ => {
                return Err(
                    "write days in both, as in from = \"fri 22:00\" and to = \"sun 08:00\", or name them in days"
                        .to_owned(),
                );
            }
        };
        Ok(Self { zone, from, to, days, length })
    }

    /// That which starts on a day.
    fn of_day(&self, day: Date) -> Option<Window> {
        if !self.days.contains(&day.weekday()) {
            return None;
        }
        let last = day.checked_add(self.length.days()).ok()?;
        let start = moment(&self.zone, day.to_datetime(self.from), false)?;
        let end = moment(&self.zone, last.to_datetime(self.to), true)?;
        Some(Window { start_us: start.as_microsecond(), end_us: end.as_microsecond() })
    }

    /// Those that may matter at a time, the last one first.
    fn around(&self, at_us: i64) -> Vec<Window> {
        let Ok(at) = Timestamp::from_microsecond(at_us) else { return Vec::new() };
        let today = at.to_zoned(self.zone.clone()).date();
        let days = (0..=2 * WEEK).filter_map(|back| today.checked_sub(back.days()).ok());
        days.filter_map(|day| self.of_day(day)).collect()
    }
}

fn day_and_time(text: &str) -> Result<(Option<Weekday>, Time), String> {
    match text.trim().split_once(' ') {
        Some((day, time)) => Ok((Some(weekday(day)?), time_of_day(time.trim())?)),
        None => Ok((None, time_of_day(text.trim())?)),
    }
}

impl WeeklySilence {
    pub(crate) fn new(name: String, matchers: Vec<Matcher>, reason: String, times: Times) -> Self {
        Self { name, matchers, reason, times }
    }

    /// The window that keeps an alert back at a time.
    pub(crate) fn holds(&self, alert: &Alert, at_us: i64) -> Option<Window> {
        if !all_match(&self.matchers, alert) {
            return None;
        }
        let is_in = |window: &Window| window.start_us <= at_us && at_us < window.end_us;
        self.times.around(at_us).into_iter().find(is_in)
    }

    /// The last window that has ended, as long as that is news.
    pub(crate) fn last_ended(&self, at_us: i64) -> Option<Window> {
        let ended =
            |window: &Window| window.end_us <= at_us && at_us - window.end_us <= MAX_LATE_US;
        self.times.around(at_us).into_iter().find(ended)
    }

    /// The window that lasts at a time, else the next one.
    fn next(&self, at_us: i64) -> Option<Window> {
        let at = Timestamp::from_microsecond(at_us).ok()?;
        let today = at.to_zoned(self.times.zone.clone()).date();
        // One of a whole week began a week ago; a day that the clock skips has none.
        let days = (-WEEK..=2 * WEEK).filter_map(|ahead| today.checked_add(ahead.days()).ok());
        days.filter_map(|day| self.times.of_day(day)).find(|window| window.end_us > at_us)
    }

    /// What deliveries name as their cause: its name, and the day on which the window starts.
    pub(crate) fn cause(&self, window: Window) -> String {
        let day = Timestamp::from_microsecond(window.start_us).ok();
        let day = day.map(|start| start.to_zoned(self.times.zone.clone()).date());
        day.map_or_else(|| self.name.clone(), |day| format!("{} {day}", self.name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn weekly(times: &str) -> WeeklySilence {
        let times = Times::read(&toml::from_str(times).unwrap()).unwrap();
        let matchers = vec![Matcher::exact("rule", "gas")];
        WeeklySilence::new("upgrade".to_owned(), matchers, "of nodes".to_owned(), times)
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn cause_at(silence: &WeeklySilence, time: &str) -> Option<String> {
        let alert = Alert { rule: "gas".into(), ..Alert::empty() };
        silence.holds(&alert, at(time)).map(|window| silence.cause(window))
    }

    #[test]
    fn it_lasts_over_several_days_and_comes_again_in_a_week() {
        let silence = weekly("from = \"fri 22:00\"\nto = \"mon 07:00\"\nzone = \"Europe/Madrid\"");
        assert_eq!(cause_at(&silence, "2026-06-05T19:59:59Z"), None);
        let cause = Some("upgrade 2026-06-05".to_owned());
        assert_eq!(cause_at(&silence, "2026-06-05T20:00:00Z"), cause);
        assert_eq!(cause_at(&silence, "2026-06-08T04:59:59Z"), cause);
        assert_eq!(cause_at(&silence, "2026-06-08T05:00:00Z"), None);
        assert_eq!(cause_at(&silence, "2026-06-12T20:00:00Z"), Some("upgrade 2026-06-12".into()));
        let other = Alert { rule: "depeg".into(), ..Alert::empty() };
        assert_eq!(silence.holds(&other, at("2026-06-06T12:00:00Z")), None);
    }

    #[test]
    fn its_end_is_news_for_a_day() {
        let silence = weekly("from = \"02:00\"\nto = \"04:00\"\nzone = \"UTC\"\ndays = [\"sun\"]");
        let end = at("2026-06-07T04:00:00Z");
        assert_eq!(silence.last_ended(end - 1), None);
        assert_eq!(silence.last_ended(end).unwrap().end_us, end);
        assert_eq!(silence.last_ended(end + MAX_LATE_US).unwrap().end_us, end);
        assert_eq!(silence.last_ended(end + MAX_LATE_US + 1), None);
    }

    #[test]
    fn the_next_window_is_the_one_that_lasts_or_follows() {
        let weekend = weekly("from = \"fri 22:00\"\nto = \"mon 07:00\"\nzone = \"Europe/Madrid\"");
        let begin_of_next = |silence: &WeeklySilence, time: &str| {
            let window = silence.next(at(time)).unwrap();
            Timestamp::from_microsecond(window.start_us).unwrap().to_string()
        };
        for (time, begin) in [
            ("2026-06-04T12:00:00Z", "2026-06-05T20:00:00Z"),
            ("2026-06-08T04:59:59Z", "2026-06-05T20:00:00Z"),
            ("2026-06-08T05:00:00Z", "2026-06-12T20:00:00Z"),
            // The clock goes back in between: an hour later in UTC.
            ("2026-10-26T12:00:00Z", "2026-10-30T21:00:00Z"),
        ] {
            assert_eq!(begin_of_next(&weekend, time), begin, "{time}");
        }
        let week = weekly("from = \"mon 08:00\"\nto = \"mon 08:00\"\nzone = \"UTC\"");
        assert_eq!(begin_of_next(&week, "2026-06-08T07:59:59Z"), "2026-06-01T08:00:00Z");
    }

    #[test]
    fn every_day_and_around_midnight_and_a_whole_week() {
        let nights = weekly("from = \"23:00\"\nto = \"01:00\"\nzone = \"UTC\"");
        assert!(cause_at(&nights, "2026-06-03T00:30:00Z").is_some());
        assert!(cause_at(&nights, "2026-06-03T01:00:00Z").is_none());
        let all = weekly("from = \"mon 08:00\"\nto = \"mon 08:00\"\nzone = \"UTC\"");
        assert!(cause_at(&all, "2026-06-03T12:00:00Z").is_some());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_form() {
        let read = |text: &str| Times::read(&toml::from_str(text).unwrap()).unwrap_err();
        assert!(read("from = \"fri 22:00\"\nto = \"08:00\"\nzone = \"UTC\"").contains("both"));
        assert!(read("from = \"22:00\"\nto = \"22:00\"\nzone = \"UTC\"").contains("same"));
        assert!(read("from = \"fr 22:00\"\nto = \"fri 23:00\"\nzone = \"UTC\"").contains("mon"));
        let zone = read("from = \"1:00\"\nto = \"2:00\"\nzone = \"Madrid\"");
        assert!(zone.contains("Europe/Madrid"), "{zone}");
    }
}
