//! Comparing actual with expected sets.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display, Formatter};

const MAX_NAMED: usize = 10;

/// How two collections differ as sets, and what the actual one holds more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetDifference<T> {
    /// Expected, but not there.
    missing: Vec<T>,
    /// There, but not expected.
    extra: Vec<T>,
    /// There more than once, with the count.
    repeated: Vec<(T, usize)>,
    /// How many different ones were expected.
    expected: usize,
    /// How many there are, including repetitions.
    actual: usize,
}

impl<T> SetDifference<T> {
    /// Nothing missing, nothing extra, nothing twice.
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.repeated.is_empty()
    }
}

impl<T: Debug> Display for SetDifference<T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "expected {}, got {}: {} missing, {} extra, {} more than once",
            self.expected,
            self.actual,
            self.missing.len(),
            self.extra.len(),
            self.repeated.len()
        )?;
        list(formatter, "missing", &self.missing)?;
        list(formatter, "extra", &self.extra)?;
        list(formatter, "repeated", &self.repeated)
    }
}

fn list(formatter: &mut Formatter<'_>, name: &str, items: &[impl Debug]) -> fmt::Result {
    for item in items.iter().take(MAX_NAMED) {
        write!(formatter, "\n  {name}: {item:?}")?;
    }
    if items.len() > MAX_NAMED {
        write!(formatter, "\n  {name}: and {} more", items.len() - MAX_NAMED)?;
    }
    Ok(())
}

/// Compares; the lists of the result are sorted.
pub(crate) fn compare_sets<T: Ord>(
    expected: impl IntoIterator<Item = T>,
    actual: impl IntoIterator<Item = T>,
) -> SetDifference<T> {
    // For each item: whether it is expected, and how often it is there.
    let mut seen: BTreeMap<T, (bool, usize)> = BTreeMap::new();
    for item in expected {
        seen.entry(item).or_default().0 = true;
    }
    let expected_count = seen.len();
    let mut actual_count = 0;
    for item in actual {
        actual_count += 1;
        seen.entry(item).or_default().1 += 1;
    }
    let mut difference = SetDifference {
        missing: Vec::new(),
        extra: Vec::new(),
        repeated: Vec::new(),
        expected: expected_count,
        actual: actual_count,
    };
    for (item, (is_expected, count)) in seen {
        match (is_expected, count) {
            (true, 0) => difference.missing.push(item),
            (false, 1..) => difference.extra.push(item),
            (_, 2..) => difference.repeated.push((item, count)),
            _ => {}
        }
    }
    difference
}

/// Asserts that both hold the same items, and `actual` none twice.
///
/// # Panics
/// When they differ: the message counts all and names the first ten of each kind.
#[track_caller]
pub fn assert_same_set<T: Ord + Debug>(
    expected: impl IntoIterator<Item = T>,
    actual: impl IntoIterator<Item = T>,
) {
    let difference = compare_sets(expected, actual);
    assert!(difference.is_empty(), "{difference}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_missing_extra_and_repeated() {
        let difference = compare_sets([1, 2, 3, 3], [2, 2, 4, 3]);
        assert_eq!(difference.missing, [1]);
        assert_eq!(difference.extra, [4]);
        assert_eq!(difference.repeated, [(2, 2)]);
        assert_eq!((difference.expected, difference.actual), (3, 4));
        assert!(difference.to_string().contains("missing: 1"));
    }

    #[test]
    fn order_does_not_matter() {
        assert_same_set(["a", "b"], ["b", "a"]);
    }

    #[test]
    #[should_panic(expected = "missing: and 5 more")]
    fn names_ten_of_many() {
        assert_same_set(0..15, []);
    }
}
