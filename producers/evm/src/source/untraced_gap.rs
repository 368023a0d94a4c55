use parking_lot::Mutex;

/// Blocks at most this far apart share a gap: those between them are published again as well.
const NEAR: u64 = 16;
/// Maximum number of blocks in a gap.
const WIDEST: u64 = 256;

/// The newest gap of blocks that were published without their traces.
#[derive(Debug, Default)]
pub(crate) struct UntracedGap(Mutex<Option<(u64, u64)>>);

impl UntracedGap {
    /// First block of the gap that a block belongs to: the newest gap if it is near, else one of its own.
    pub(crate) fn begin(&self, number: u64) -> u64 {
        let mut newest = self.0.lock();
        let from = match *newest {
            Some((from, to)) if (from..=to + NEAR).contains(&number) && number < from + WIDEST => {
                from
            }
            _ => number,
        };
        let to = newest.map_or(number, |(_, to)| to.max(number));
        *newest = Some((from, if from == number { number } else { to }));
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_blocks_share_a_gap_and_no_gap_grows_without_end() {
        let untraced = UntracedGap::default();
        assert_eq!(untraced.begin(100), 100);
        assert_eq!(untraced.begin(101), 100);
        assert_eq!(untraced.begin(110), 100);
        assert_eq!(untraced.begin(127), 127, "too far");
        assert_eq!(untraced.begin(90), 90, "of the history lane");
        let begins: std::collections::BTreeSet<u64> =
            (1_000..1_600).map(|number| untraced.begin(number)).collect();
        assert_eq!(begins.into_iter().collect::<Vec<_>>(), [1_000, 1_256, 1_512]);
    }
}
