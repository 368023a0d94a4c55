use serde::{Deserialize, Serialize};

/// So many changes of the set are remembered: a reader that is further behind begins with the oldest of them.
const MAX_SWITCHES: usize = 20;

/// Which rule set is in force from which message of a stream on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Switches {
    switches: Vec<Switch>,
}

/// A tick asked for a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Switch {
    digest: String,
    /// Sequence of the tick, and the time it was stored.
    asked_at: u64,
    asked_us: i64,
    /// Sequence of the message after which it is in force: the end of a block. Absent until then.
    taken_at: Option<u64>,
}

impl Switches {
    /// A set that is in force after message `sequence`, whatever was before.
    pub(crate) fn starting_with(digest: &str, sequence: u64) -> Self {
        let (asked_at, taken_at) = (sequence, Some(sequence));
        Self {
            switches: vec![Switch { digest: digest.to_owned(), asked_at, asked_us: 0, taken_at }],
        }
    }

    /// The set in force after message `sequence`.
    pub(crate) fn in_force(&self, sequence: u64) -> Option<&str> {
        let is_taken = |switch: &&Switch| switch.taken_at.is_some_and(|taken| taken <= sequence);
        let newest = self.switches.iter().rev().find(is_taken);
        newest.or(self.switches.first()).map(|switch| switch.digest.as_str())
    }

    /// The set that was asked for up to message `sequence` and is not in force then, and when the tick was stored.
    pub(crate) fn waiting(&self, sequence: u64) -> Option<(&str, i64)> {
        let newest = self.switches.iter().rev().find(|switch| switch.asked_at <= sequence)?;
        let is_taken = newest.taken_at.is_some_and(|taken| taken <= sequence);
        (!is_taken).then_some((newest.digest.as_str(), newest.asked_us))
    }

    /// The newest set, in force or not.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.switches.last().map(|switch| switch.digest.as_str())
    }

    /// Every set that a reader may still need.
    pub(crate) fn digests(&self) -> impl Iterator<Item = &str> {
        self.switches.iter().map(|switch| switch.digest.as_str())
    }

    /// The tick at `sequence` asks for a set. What a reader that was further noted is noted again as it comes.
    pub(crate) fn ask(&mut self, digest: &str, sequence: u64, stored_at_us: i64) {
        self.switches.retain(|switch| switch.asked_at < sequence);
        let digest = digest.to_owned();
        let switch = Switch { digest, asked_at: sequence, asked_us: stored_at_us, taken_at: None };
        self.switches.push(switch);
        let excess = self.switches.len().saturating_sub(MAX_SWITCHES);
        self.switches.drain(..excess);
    }

    /// What was asked for last is in force after message `sequence`.
    pub(crate) fn take(&mut self, sequence: u64) {
        if let Some(newest) = self.switches.last_mut() {
            newest.taken_at = Some(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_goes_back_finds_the_set_of_each_message() {
        let mut switches = Switches::starting_with("a", 10);
        switches.ask("b", 20, 7);
        assert_eq!((switches.in_force(25), switches.waiting(25)), (Some("a"), Some(("b", 7))));
        switches.take(23);
        assert_eq!((switches.in_force(22), switches.waiting(22)), (Some("a"), Some(("b", 7))));
        assert_eq!((switches.in_force(19), switches.waiting(19)), (Some("a"), None));
        assert_eq!((switches.in_force(23), switches.waiting(23)), (Some("b"), None));
        assert_eq!(switches.in_force(3), Some("a"), "nothing older is known");
        // The same tick read again after a crash is the same switch.
        let once = switches.clone();
        switches.ask("b", 20, 7);
        switches.take(23);
        assert_eq!(switches, once);
    }

    #[test]
    fn old_switches_are_forgotten() {
        let mut switches = Switches::starting_with("a", 0);
        for sequence in 1..=50 {
            switches.ask(&format!("s{sequence}"), sequence, 0);
            switches.take(sequence);
        }
        assert_eq!(switches.digests().count(), MAX_SWITCHES);
        assert_eq!((switches.in_force(1), switches.newest()), (Some("s31"), Some("s50")));
    }
}
