//! Times of day in a named zone: hours in which a destination is left alone, and when it gets a sign of life.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};
use serde::Deserialize;

/// A sign of life that was missed by more than this is left out: the next one tells the same.
const MAX_LATE_US: i64 = 3_600 * 1_000_000;

/// Hours of the day in which only critical alerts are told.
#[derive(Debug, Clone)]
pub(crate) struct QuietHours {
    zone: TimeZone,
    from: Time,
    to: Time,
    /// Days on which they start; empty = every day.
    days: Vec<Weekday>,
    /// Whether what comes in them is never told.
    pub(crate) drop: bool,
}

/// `{ from = "22:00", to = "07:00", zone = "Europe/Madrid" }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuietFile {
    from: String,
    to: String,
    zone: String,
    #[serde(default)]
    days: Vec<String>,
    #[serde(default)]
    then: Then,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    #[default]
    Tell,
    Drop,
}

/// When a destination gets a sign of life.
#[derive(Debug, Clone)]
pub(crate) enum Heartbeat {
    /// So often, counted from the Unix epoch.
    Every { us: i64 },
    /// Once a day.
    Daily { zone: TimeZone, at: Time },
}

/// `{ at = "09:00", zone = "Europe/Madrid" }` or `{ every = "6h" }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeartbeatFile {
    #[serde(default)]
    every: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    zone: Option<String>,
}

impl QuietHours {
    pub(crate) fn read(file: &QuietFile) -> Result<Self, String> {
        let (from, to) = (time_of_day(&file.from)?, time_of_day(&file.to)?);
        if from == to {
            return Err("from and to are the same: there would be no hour left".to_owned());
        }
        let days = file.days.iter().map(|day| weekday(day)).collect::<Result<_, _>>()?;
        Ok(Self { zone: zone(&file.zone)?, from, to, days, drop: file.then == Then::Drop })
    }

    /// When they end, if they are in force at a time; microseconds UTC.
    pub(crate) fn until(&self, at_us: i64) -> Option<i64> {
        let at = Timestamp::from_microsecond(at_us).ok()?;
        let today = at.to_zoned(self.zone.clone()).date();
        let yesterday = today.checked_sub(1.day()).ok()?;
        [yesterday, today].into_iter().find_map(|day| {
            let (start, end) = self.of_day(day)?;
            (start <= at && at < end).then(|| end.as_microsecond())
        })
    }

    /// Those that start on a day. Of a time that comes twice they start with the first and end with the second; one that
    /// is left out is as much later as the clocks go forward.
    fn of_day(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.is_empty() && !self.days.contains(&day.weekday()) {
            return None;
        }
        let last = if self.to > self.from { day } else { day.checked_add(1.day()).ok()? };
        let start = moment(&self.zone, day.to_datetime(self.from), false)?;
        Some((start, moment(&self.zone, last.to_datetime(self.to), true)?))
    }
}

pub(super) fn moment(zone: &TimeZone, time: DateTime, second: bool) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_zoned(time);
    let zoned = if second { ambiguous.later() } else { ambiguous.compatible() };
    zoned.ok().map(|zoned| zoned.timestamp())
}

impl Heartbeat {
    pub(crate) fn read(file: &HeartbeatFile) -> Result<Self, String> {
        match (&file.every, &file.at, &file.zone) {
            (Some(every), None, None) => {
                let us = duration_us(every)?;
                if us < 60_000_000 {
                    return Err(format!("every = {every:?} is less than a minute"));
                }
                Ok(Self::Every { us })
            }
            (None, Some(at), Some(name)) => {
                Ok(Self::Daily { zone: zone(name)?, at: time_of_day(at)? })
            }
            _ => Err("write { every = \"6h\" } or { at = \"09:00\", zone = \"Europe/Madrid\" }"
                .to_owned()),
        }
    }

    /// The last time that one was due, microseconds UTC.
    pub(crate) fn last_due(&self, at_us: i64) -> Option<i64> {
        match self {
            Self::Every { us } => Some(at_us - at_us.rem_euclid(*us)),
            Self::Daily { zone, at } => {
                let now = Timestamp::from_microsecond(at_us).ok()?;
                let today = now.to_zoned(zone.clone()).date();
                [today, today.checked_sub(1.day()).ok()?].into_iter().find_map(|day| {
                    let due = moment(zone, day.to_datetime(*at), false)?.as_microsecond();
                    (due <= at_us).then_some(due)
                })
            }
        }
    }

    /// Whether one is due that was not sent yet. Of a destination that never had one the first comes at the next time.
    pub(crate) fn is_due(&self, last_us: i64, at_us: i64) -> Option<i64> {
        self.last_due(at_us).filter(|due| *due > last_us && at_us - due <= MAX_LATE_US)
    }
}

pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("{name:?} is no time zone of the IANA database, such as Europe/Madrid or UTC")
    })
}

pub(super) fn time_of_day(text: &str) -> Result<Time, String> {
    let refuse = || format!("{text:?} is no time of day such as 22:00");
    let (hour, minute) = text.split_once(':').ok_or_else(refuse)?;
    let number = |text: &str| text.parse::<i8>().map_err(|_| refuse());
    Time::new(number(hour)?, number(minute)?, 0, 0).map_err(|_| refuse())
}

pub(super) fn weekday(text: &str) -> Result<Weekday, String> {
    match text.to_ascii_lowercase().as_str() {
        "mon" => Ok(Weekday::Monday),
        "tue" => Ok(Weekday::Tuesday),
        "wed" => Ok(Weekday::Wednesday),
        "thu" => Ok(Weekday::Thursday),
        "fri" => Ok(Weekday::Friday),
        "sat" => Ok(Weekday::Saturday),
        "sun" => Ok(Weekday::Sunday),
        _ => Err(format!("{text:?} is no day: mon, tue, wed, thu, fri, sat, sun")),
    }
}

/// Microseconds of `5s`, `15m`, `4h` or `1d`.
pub(crate) fn duration_us(text: &str) -> Result<i64, String> {
    let refuse = || format!("{text:?} is no time such as 5s, 15m, 4h or 1d");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(refuse()),
    };
    let number: i64 = number.parse().map_err(|_| refuse())?;
    number
        .checked_mul(seconds * 1_000_000)
        .filter(|us| *us <= 366 * 86_400_000_000)
        .ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn quiet(from: &str, to: &str, zone: &str) -> QuietHours {
        let text = format!("from = {from:?}\nto = {to:?}\nzone = {zone:?}");
        QuietHours::read(&toml::from_str(&text).unwrap()).unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn until(hours: &QuietHours, time: &str) -> Option<String> {
        hours.until(at(time)).map(|end| Timestamp::from_microsecond(end).unwrap().to_string())
    }

    #[test]
    fn they_last_over_midnight_and_their_end_is_outside() {
        let hours = quiet("22:00", "07:00", "Europe/Madrid");
        assert_eq!(until(&hours, "2026-06-01T19:59:59Z"), None);
        let morning = Some("2026-06-02T05:00:00Z".to_owned());
        assert_eq!(until(&hours, "2026-06-01T20:00:00Z"), morning);
        assert_eq!(until(&hours, "2026-06-02T04:59:59Z"), morning);
        assert_eq!(until(&hours, "2026-06-02T05:00:00Z"), None);
    }

    #[test]
    fn a_time_that_the_clocks_leave_out_is_as_much_later() {
        // 2026-03-29, 02:00 becomes 03:00 in Madrid; 2026-03-08 in New York.
        for (zone, day, gap_end) in [
            ("Europe/Madrid", "2026-03-29", "2026-03-29T01:30:00Z"),
            ("America/New_York", "2026-03-08", "2026-03-08T07:30:00Z"),
        ] {
            let ends = quiet("00:00", "02:30", zone);
            let during = format!("{day}T00:00[{zone}]").parse::<jiff::Zoned>().unwrap();
            let end = ends.until(during.timestamp().as_microsecond()).unwrap();
            assert_eq!(Timestamp::from_microsecond(end).unwrap().to_string(), gap_end, "{zone}");
            let starts = quiet("02:30", "06:00", zone);
            assert_eq!(starts.until(at(gap_end) - 1), None);
            assert!(starts.until(at(gap_end)).is_some());
        }
    }

    #[test]
    fn of_a_time_that_comes_twice_they_start_at_the_first_and_end_at_the_second() {
        // 2026-10-25, 03:00 becomes 02:00 in Madrid; 2026-11-01, 02:00 becomes 01:00 in New York.
        for (zone, time, first, second) in [
            ("Europe/Madrid", "02:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
            ("America/New_York", "01:30", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"),
        ] {
            let starts = quiet(time, "06:00", zone);
            assert_eq!(starts.until(at(first) - 1), None, "{zone}");
            assert!(starts.until(at(first)).is_some());
            let ends = quiet("00:10", time, zone);
            assert_eq!(ends.until(at(first)), Some(at(second)), "{zone}");
            assert_eq!(ends.until(at(second)), None);
        }
    }

    #[test]
    fn days_are_those_on_which_they_start() {
        let text = "from = \"22:00\"\nto = \"07:00\"\nzone = \"UTC\"\ndays = [\"fri\"]";
        let hours = QuietHours::read(&toml::from_str(text).unwrap()).unwrap();
        assert!(hours.until(at("2026-06-05T23:00:00Z")).is_some(), "a Friday");
        assert!(hours.until(at("2026-06-06T06:00:00Z")).is_some(), "still that night");
        assert_eq!(hours.until(at("2026-06-06T23:00:00Z")), None);
    }

    #[test]
    fn a_sign_of_life_comes_once_at_its_time() {
        let text = "at = \"09:00\"\nzone = \"Europe/Madrid\"";
        let beat = Heartbeat::read(&toml::from_str(text).unwrap()).unwrap();
        let due = at("2026-06-01T07:00:00Z");
        assert_eq!(beat.is_due(0, due - 1), None, "yesterday's is too late");
        assert_eq!(beat.is_due(0, due), Some(due));
        assert_eq!(beat.is_due(due, due + 1_000_000), None);
        let every = Heartbeat::read(&toml::from_str("every = \"6h\"").unwrap()).unwrap();
        assert_eq!(every.last_due(at("2026-06-01T13:00:00Z")), Some(at("2026-06-01T12:00:00Z")));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_form() {
        let read = |text: &str| QuietHours::read(&toml::from_str(text).unwrap()).unwrap_err();
        assert!(read("from = \"22\"\nto = \"7:00\"\nzone = \"UTC\"").contains("22:00"));
        assert!(
            read("from = \"22:00\"\nto = \"7:00\"\nzone = \"Madrid\"").contains("Europe/Madrid")
        );
        assert!(read("from = \"22:00\"\nto = \"22:00\"\nzone = \"UTC\"").contains("same"));
        assert!(duration_us("5x").unwrap_err().contains("15m"));
        assert_eq!(duration_us("4h"), Ok(14_400_000_000));
    }
}
