//! Which of several values is used, of all that the sources of one thing say: a pure function of what they said, what was
//! used last, and the time.

use std::cmp::Reverse;

use crypto_intel_schemas::{Decimal, FactChoice, SourceVerdict};

/// Sources that are kept of one thing.
const MAX_SOURCES: usize = 24;
/// What sources said longer ago than this is forgotten, and twice as long as it is fresh, microseconds.
const FORGET_US: i64 = 86_400_000_000;

/// Which of several acceptable values is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choose {
    /// The first by preference, then the newest.
    Preference,
    /// The median; of an even number the lower of the two middle ones.
    Median,
    /// The highest that two of them confirm.
    Highest,
}

/// How the values of one thing are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) choose: Choose,
    /// Sources, the first one first.
    pub(super) preference: &'a [String],
    pub(super) fresh_seconds: u32,
    pub(super) outlier_percent: u32,
    /// 0: none.
    pub(super) jump_percent: u32,
    pub(super) jump_seconds: u32,
    /// Whether it never falls, as the head of a chain.
    pub(super) is_monotonic: bool,
    pub(super) now_us: i64,
}

/// What one source said.
pub(super) trait Said {
    fn source(&self) -> &str;
    fn at_us(&self) -> i64;
}

/// The value of a source, in the unit in which all are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Its place in the list of sources.
    pub(super) index: usize,
    pub(super) source: &'a str,
    /// For comparisons only: floating point is exact enough for percents.
    pub(super) value: f64,
    pub(super) at_us: i64,
}

/// What was used last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) value: f64,
    pub(super) at_us: i64,
}

/// A value far from the last one that waits for its confirmation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) source: String,
    pub(super) value: Decimal,
    pub(super) since_us: i64,
}

/// What a choice has come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// Places of sources with what became of them; of the others nothing is said.
    pub(super) verdicts: Vec<(usize, SourceVerdict)>,
    /// The place of the source whose value is used; `None`: the last one stays.
    pub(super) picked: Option<usize>,
    pub(super) how: FactChoice,
    pub(super) held: Option<Held>,
}

impl Rules<'_> {
    /// Bounds the list of sources; `keep` stays.
    pub(super) fn forget<T: Said>(&self, sources: &mut Vec<T>, keep: &str) {
        let forget_us = FORGET_US.max(self.fresh_us().saturating_mul(2));
        let age = |said: &T| self.now_us.saturating_sub(said.at_us());
        sources.retain(|said| said.source() == keep || age(said) <= forget_us);
        sources.sort_by(|one, two| {
            let key = |said: &T| {
                (said.source() != keep, !self.is_fresh(said.at_us()), self.rank(said.source()))
            };
            let newest_first = two.at_us().cmp(&one.at_us());
            key(one).cmp(&key(two)).then(newest_first).then(one.source().cmp(two.source()))
        });
        sources.truncate(MAX_SOURCES);
        sources.sort_by(|one, two| one.source().cmp(two.source()));
    }

    /// Chooses among the values. `exact` gives a source's value by its place.
    pub(super) fn choose(
        &self,
        all: &[Candidate<'_>],
        last: Option<Last>,
        held: Option<Held>,
        exact: impl Fn(usize) -> Decimal,
    ) -> Choice {
        let (pool, is_fresh) = self.pool(all);
        let (accepted, is_disputed) = self.without_outliers(&pool);
        let eligible = self.within_bound(&accepted, is_disputed, last);
        let mut verdicts = Vec::new();
        for (candidates, verdict) in [
            (&pool, SourceVerdict::Outlier),
            (&accepted, SourceVerdict::Jump),
            (&eligible, SourceVerdict::Accepted),
        ] {
            verdicts.extend(candidates.iter().map(|candidate| (candidate.index, verdict)));
        }
        let (picked, held) = match self.pick(&eligible) {
            Some(picked) => (Some(picked), None),
            None => self.confirmed(&accepted, held, exact),
        };
        // Without a fresh source time does not go back, and what never falls does not.
        let picked = picked.filter(|picked| {
            let Some(last) = last else { return true };
            let falls = self.is_monotonic && picked.value < last.value;
            (is_fresh || picked.at_us >= last.at_us) && !(falls && self.is_fresh(last.at_us))
        });
        verdicts.extend(picked.map(|picked| (picked.index, SourceVerdict::Used)));
        let how = match (picked, is_fresh, pool.len(), self.choose) {
            (None, ..) => FactChoice::Kept,
            (_, false, ..) => FactChoice::Newest,
            (_, true, 1, _) => FactChoice::Only,
            (_, true, _, Choose::Preference) => FactChoice::Preferred,
            (_, true, _, Choose::Median) => FactChoice::Median,
            (_, true, _, Choose::Highest) => FactChoice::Highest,
        };
        Choice { verdicts, picked: picked.map(|picked| picked.index), how, held }
    }

    /// What is compared: the fresh values, or the newest one where none is fresh; and whether they are fresh.
    fn pool<'a>(&self, all: &[Candidate<'a>]) -> (Vec<Candidate<'a>>, bool) {
        let fresh: Vec<Candidate<'a>> =
            all.iter().copied().filter(|candidate| self.is_fresh(candidate.at_us)).collect();
        if !fresh.is_empty() {
            return (fresh, true);
        }
        let newest = all.iter().copied().max_by_key(|said| (said.at_us, Reverse(said.source)));
        (newest.into_iter().collect(), false)
    }

    /// Those around which most are. Without such a majority nothing is an outlier, and the sources are in dispute.
    fn without_outliers<'a>(&self, pool: &[Candidate<'a>]) -> (Vec<Candidate<'a>>, bool) {
        let Some(median) = median_of(pool.iter().map(|said| said.value).collect()) else {
            return (Vec::new(), false);
        };
        let tolerance = self.tolerance() * median.abs();
        let is_near = |candidate: &Candidate<'_>| (candidate.value - median).abs() <= tolerance;
        let near: Vec<Candidate<'a>> = pool.iter().copied().filter(is_near).collect();
        match near.len() * 2 > pool.len() {
            true => (near, false),
            false => (pool.to_vec(), true),
        }
    }

    /// Those near the last value, and those that a second source confirms.
    fn within_bound<'a>(
        &self,
        accepted: &[Candidate<'a>],
        is_disputed: bool,
        last: Option<Last>,
    ) -> Vec<Candidate<'a>> {
        // Every change is one of infinite percent of zero.
        let last = last.map(|last| last.value).filter(|value| *value != 0.0);
        let Some(last) = last.filter(|_| self.jump_percent > 0) else {
            return accepted.to_vec();
        };
        let bound = f64::from(self.jump_percent) / 100.0 * last.abs();
        let is_near = |candidate: &Candidate<'_>| (candidate.value - last).abs() <= bound;
        let near: Vec<Candidate<'a>> = accepted.iter().copied().filter(is_near).collect();
        // In a dispute the last value decides.
        if is_disputed && !near.is_empty() {
            return near;
        }
        let is_confirmed = |candidate: &Candidate<'_>| {
            accepted.iter().any(|other| {
                other.source != candidate.source && self.agree(other.value, candidate.value)
            })
        };
        let is_eligible = |candidate: &Candidate<'_>| is_near(candidate) || is_confirmed(candidate);
        accepted.iter().copied().filter(is_eligible).collect()
    }

    fn pick<'a>(&self, eligible: &[Candidate<'a>]) -> Option<Candidate<'a>> {
        let sorted = || {
            let mut sorted = eligible.to_vec();
            sorted.sort_by(|one, two| {
                one.value.total_cmp(&two.value).then_with(|| one.source.cmp(two.source))
            });
            sorted
        };
        match self.choose {
            Choose::Preference => self.preferred(eligible),
            // Of an even number the lower one: a value that a source has said.
            Choose::Median => sorted().get(eligible.len().saturating_sub(1) / 2).copied(),
            // The highest confirms the one below it.
            Choose::Highest => sorted().get(eligible.len().saturating_sub(2)).copied(),
        }
    }

    fn preferred<'a>(&self, candidates: &[Candidate<'a>]) -> Option<Candidate<'a>> {
        candidates.iter().copied().min_by_key(|candidate| {
            (self.rank(candidate.source), Reverse(candidate.at_us), candidate.source)
        })
    }

    /// A jump that the same source has said for long enough; otherwise it is held.
    fn confirmed<'a>(
        &self,
        accepted: &[Candidate<'a>],
        held: Option<Held>,
        exact: impl Fn(usize) -> Decimal,
    ) -> (Option<Candidate<'a>>, Option<Held>) {
        let Some(candidate) = self.preferred(accepted) else { return (None, held) };
        let wait_us = i64::from(self.jump_seconds).saturating_mul(1_000_000);
        match held {
            Some(first)
                if first.source == candidate.source
                    && self.agree(first.value.to_f64(), candidate.value) =>
            {
                let is_over = candidate.at_us.saturating_sub(first.since_us) >= wait_us;
                if is_over { (Some(candidate), None) } else { (None, Some(first)) }
            }
            _ => {
                let held = Held {
                    source: candidate.source.to_owned(),
                    value: exact(candidate.index),
                    since_us: candidate.at_us,
                };
                (None, Some(held))
            }
        }
    }

    pub(super) fn is_fresh(&self, at_us: i64) -> bool {
        self.now_us.saturating_sub(at_us) <= self.fresh_us()
    }

    fn fresh_us(&self) -> i64 {
        i64::from(self.fresh_seconds).saturating_mul(1_000_000)
    }

    fn rank(&self, source: &str) -> usize {
        let place = self.preference.iter().position(|name| name == source);
        place.unwrap_or(usize::MAX)
    }

    fn tolerance(&self) -> f64 {
        f64::from(self.outlier_percent) / 100.0
    }

    fn agree(&self, one: f64, two: f64) -> bool {
        (one - two).abs() <= self.tolerance() * one.abs().min(two.abs())
    }
}

/// What a choice made of a source, as a label.
pub(super) const fn label_of(verdict: SourceVerdict) -> &'static str {
    match verdict {
        SourceVerdict::Used => "used",
        SourceVerdict::Accepted => "accepted",
        SourceVerdict::Stale => "stale",
        SourceVerdict::Outlier => "outlier",
        SourceVerdict::Jump => "jump",
        SourceVerdict::OffPeg => "off_peg",
        SourceVerdict::Unknown => "unchanged",
    }
}

/// The median of numbers; of an even number of them the middle between the two middle ones.
pub(super) fn median_of(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    match values.len() % 2 {
        0 => Some(f64::midpoint(*values.get(middle - 1)?, upper)),
        _ => Some(upper),
    }
}
