//! Days and months of UTC.

use jiff::{Timestamp, ToSpan as _, Unit, tz::TimeZone};

use super::limits::Window;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// Beginning of the day or month of this moment, microseconds.
pub(crate) fn begin_us(window: Window, time_us: i64) -> i64 {
    match window {
        Window::Second => time_us.div_euclid(SECOND_US) * SECOND_US,
        Window::Minute => time_us.div_euclid(60 * SECOND_US) * 60 * SECOND_US,
        Window::Day => time_us.div_euclid(DAY_US) * DAY_US,
        Window::Month => month(time_us, 0),
    }
}

/// End of the day or month of this moment, which is the beginning of the next one, microseconds.
pub(crate) fn end_us(window: Window, time_us: i64) -> i64 {
    match window {
        Window::Month => month(time_us, 1),
        Window::Day => begin_us(window, time_us).saturating_add(DAY_US),
        Window::Second | Window::Minute => {
            let length = i64::try_from(window.length().as_micros()).unwrap_or(SECOND_US);
            begin_us(window, time_us).saturating_add(length)
        }
    }
}

/// Beginning of the month that is this many after that of a moment. A moment out of range stays as it is.
fn month(time_us: i64, later: i64) -> i64 {
    let begin = || {
        let time = Timestamp::from_microsecond(time_us).ok()?.to_zoned(TimeZone::UTC);
        let first = time.first_of_month().ok()?.start_of_day().ok()?;
        Some(first.checked_add(later.months()).ok()?.timestamp())
    };
    begin().map_or(time_us, Timestamp::as_microsecond)
}

/// The time of day in a text, to the second.
pub(crate) fn shown(time_us: i64) -> String {
    let time = Timestamp::from_microsecond(time_us).and_then(|time| time.round(Unit::Second));
    time.map_or_else(|_| time_us.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn days_and_months_are_those_of_utc() {
        let moment = at("2028-02-29T23:59:59.999999Z");
        assert_eq!(begin_us(Window::Day, moment), at("2028-02-29T00:00:00Z"));
        assert_eq!(end_us(Window::Day, moment), at("2028-03-01T00:00:00Z"));
        assert_eq!(begin_us(Window::Month, moment), at("2028-02-01T00:00:00Z"));
        assert_eq!(end_us(Window::Month, moment), at("2028-03-01T00:00:00Z"));
        assert_eq!(end_us(Window::Month, at("2026-12-31T12:00:00Z")), at("2027-01-01T00:00:00Z"));
        assert_eq!(end_us(Window::Month, at("2026-11-01T00:00:00Z")), at("2026-12-01T00:00:00Z"));
        assert_eq!(shown(moment - 999_999), "2028-02-29T23:59:59Z");
    }
}
