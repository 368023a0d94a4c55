//! Whether the newest hour of something departs from the hours before it: a robust z, by median and median absolute deviation. A few
//! wild hours move neither, as they would mean and variance.

/// Hours before the newest one, without which nothing can be said.
pub(crate) const MIN_HOURS: usize = 12;
/// Makes the median absolute deviation comparable with a standard deviation, as of normal numbers.
const MAD_SCALE: f64 = 1.482_6;
/// The same for the mean absolute deviation.
const MEAN_SCALE: f64 = 1.253_3;

/// The hours of something: when each began, microseconds UTC, and its number; oldest first.
pub(crate) type Hours = Vec<(i64, f64)>;

/// What departures are looked for in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Manner {
    /// The least that counts as ordinary variation, as a share of the median: what never varied would depart with its first move.
    pub(crate) least_variation: f64,
    /// Whether an hour may have none: then most hours must have some, or nothing is usual.
    pub(crate) may_be_none: bool,
}

/// The newest hour against those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Departure {
    /// Begin of the newest hour, microseconds UTC.
    pub(crate) hour_us: i64,
    /// Its number.
    pub(crate) value: f64,
    /// The median of the hours before.
    pub(crate) expected: f64,
    /// Within these bounds it would be usual.
    pub(crate) band: (f64, f64),
    /// How many deviations it is off; below 0 where it is less.
    pub(crate) z: f64,
    /// Begin of the first hour of those up to the newest that are all off to the same side, microseconds UTC.
    pub(crate) since_us: i64,
}

/// The departure of the newest hour; `None` where it is usual, or nothing can be said.
pub(crate) fn departure(
    hours: &[(i64, f64)],
    sensitivity: f64,
    manner: Manner,
) -> Option<Departure> {
    let ((hour_us, value), before) = hours.split_last()?;
    if before.len() < MIN_HOURS {
        return None;
    }
    let numbers: Vec<f64> = before.iter().map(|(_, number)| *number).collect();
    let some = numbers.iter().filter(|number| **number > 0.0).count();
    if manner.may_be_none && some * 2 <= numbers.len() {
        return None;
    }
    let expected = median(numbers.clone());
    let off: Vec<f64> = numbers.iter().map(|number| (number - expected).abs()).collect();
    let mean = off.iter().sum::<f64>() / off.len() as f64;
    let spread = match median(off) * MAD_SCALE {
        // More than half of the hours are equal.
        spread if spread <= 0.0 => mean * MEAN_SCALE,
        spread => spread,
    };
    let spread = spread.max(expected.abs() * manner.least_variation);
    if !spread.is_normal() {
        return None;
    }
    let z_of = |number: f64| (number - expected) / spread;
    let z = z_of(*value);
    if z.abs() < sensitivity {
        return None;
    }
    let is_off = |number: f64| z_of(number).abs() >= sensitivity && z_of(number) * z > 0.0;
    let run = hours.iter().rev().take_while(|(_, number)| is_off(*number));
    let least = expected - sensitivity * spread;
    Some(Departure {
        hour_us: *hour_us,
        value: *value,
        expected,
        // Neither a price nor a volume is below 0.
        band: (least.max(0.0), expected + sensitivity * spread),
        z,
        since_us: run.last().map_or(*hour_us, |(hour_us, _)| *hour_us),
    })
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.get(middle) {
        None => 0.0,
        Some(upper) if numbers.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(numbers[middle - 1], *upper),
    }
}

/// A number as decimal text with as many digits as it deserves.
pub(crate) fn decimal_text(number: f64) -> String {
    let digits = match number.abs() {
        size if size >= 1_000.0 => 2,
        size if size >= 1.0 => 6,
        _ => 12,
    };
    let text = format!("{number:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Manner = Manner { least_variation: 0.001, may_be_none: false };
    const VOLUME: Manner = Manner { least_variation: 0.05, may_be_none: true };
    const HOUR_US: i64 = 3_600_000_000;

    fn hours(numbers: &[f64]) -> Hours {
        numbers.iter().enumerate().map(|(hour, number)| (hour as i64 * HOUR_US, *number)).collect()
    }

    /// 90 to 110, in turn.
    fn usual() -> Vec<f64> {
        (0..24).map(|hour| 90.0 + f64::from(hour % 5) * 5.0).collect()
    }

    fn with(more: &[f64]) -> Option<Departure> {
        departure(&hours(&[usual(), more.to_vec()].concat()), 5.0, VOLUME)
    }

    #[test]
    fn what_is_far_from_the_median_departs_and_says_since_when() {
        assert_eq!(with(&[110.0]), None);
        let burst = with(&[400.0, 900.0, 300.0]).unwrap();
        assert_eq!(burst.since_us, 24 * HOUR_US, "three hours ago");
        assert_eq!((burst.hour_us, burst.value), (26 * HOUR_US, 300.0));
        assert!((95.0..=105.0).contains(&burst.expected) && burst.z > 5.0, "{burst:?}");
        assert!(burst.band.0 < 90.0 && burst.band.1 > 110.0 && burst.band.1 < 300.0, "{burst:?}");
        let fall = with(&[400.0, 1.0]).unwrap();
        assert!(fall.z < -5.0 && fall.since_us == 25 * HOUR_US, "the other side is another one");
    }

    #[test]
    fn a_few_wild_hours_hide_no_departure() {
        let mut wild = usual();
        (wild[3], wild[9]) = (90_000.0, 70_000.0);
        wild.push(900.0);
        assert!(departure(&hours(&wild), 5.0, VOLUME).is_some());
    }

    #[test]
    fn nothing_is_said_of_what_is_young_or_mostly_quiet() {
        assert_eq!(departure(&hours(&[5.0; MIN_HOURS]), 5.0, VOLUME), None);
        let mut quiet = vec![0.0; 24];
        (quiet[2], quiet[23]) = (100.0, 100.0);
        assert_eq!(departure(&hours(&quiet), 5.0, VOLUME), None);
        assert_eq!(departure(&[], 5.0, VOLUME), None);
    }

    #[test]
    fn what_never_varied_departs_by_more_than_a_trifle() {
        let steady =
            |last: f64| departure(&hours(&[vec![1.0; 24], vec![last]].concat()), 5.0, PRICE);
        assert_eq!(steady(1.002), None);
        assert!(steady(0.97).unwrap().z < 0.0, "a coin that lost its peg");
    }

    #[test]
    fn numbers_are_decimal_text() {
        for (number, text) in [
            (1.0, "1"),
            (0.0, "0"),
            (0.000_25, "0.00025"),
            (1_234.5, "1234.5"),
            (1e20, "100000000000000000000"),
        ] {
            assert_eq!(decimal_text(number), text);
        }
    }
}
