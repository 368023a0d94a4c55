use serde::{Deserialize, Serialize};

/// Ranges that are kept of one address: beyond, neighbours are joined, with what both have.
const MAX_RANGES: usize = 32;
/// Doubts that are kept of one address; further ones are counted.
const MAX_DOUBTS: usize = 8;
const OWN_LOGS: &str = "own_logs";
const EVERY_BLOCK: &str = "every_block";

/// What of an address's past on a chain is published: a value of the bucket `pasts`, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The chain's scope for which it holds, by its digest; absent = everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Ranges of blocks in their order, without overlap.
    #[serde(default)]
    pub ranges: Vec<PastRange>,
    /// What an explorer says and the chain's blocks do not, by block.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<PastDoubt>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_doubts: u64,
    /// When this was written, microseconds UTC.
    #[serde(default)]
    pub at_us: i64,
}

/// A range of blocks, and by what means all of a thing in it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRange {
    /// First block.
    pub from: u64,
    /// Last block.
    pub to: u64,
    /// What is complete.
    #[serde(flatten)]
    pub covers: Covers,
}

/// By what means all logs, transactions and payments of an address were found; nothing where they may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covers {
    /// Logs that name it, as emitter or as an indexed parameter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<Finder>,
    /// Transactions that it sent or was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transactions: Vec<Finder>,
    /// Payments in the chain's own currency, those inside contracts included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<Finder>,
}

/// Something that an explorer says and the chain's blocks do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastDoubt {
    /// The block.
    pub number: u64,
    /// Who says it.
    pub by: Finder,
    /// What.
    pub text: String,
}

/// What found the blocks in which an address was active.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Finder {
    /// Our own requests for logs.
    OwnLogs,
    /// Every block was looked into.
    EveryBlock,
    /// An explorer, by its name in the configuration.
    Explorer(String),
}

impl From<String> for Finder {
    fn from(text: String) -> Self {
        match text.as_str() {
            OWN_LOGS => Self::OwnLogs,
            EVERY_BLOCK => Self::EveryBlock,
            _ => Self::Explorer(text),
        }
    }
}

impl From<Finder> for String {
    fn from(finder: Finder) -> Self {
        match finder {
            Finder::OwnLogs => OWN_LOGS.to_owned(),
            Finder::EveryBlock => EVERY_BLOCK.to_owned(),
            Finder::Explorer(name) => name,
        }
    }
}

impl Covers {
    /// Each kind of thing with its name.
    #[must_use]
    pub fn each(&self) -> [(&'static str, &[Finder]); 3] {
        [("logs", &self.logs), ("transactions", &self.transactions), ("payments", &self.payments)]
    }

    fn each_mut(&mut self) -> [&mut Vec<Finder>; 3] {
        [&mut self.logs, &mut self.transactions, &mut self.payments]
    }

    /// The same without what an explorer found of everything, or of payments alone.
    pub fn distrust(&mut self, finder: &Finder, payments_only: bool) {
        self.payments.retain(|known| known != finder);
        if !payments_only {
            self.logs.retain(|known| known != finder);
            self.transactions.retain(|known| known != finder);
        }
    }

    /// Adds what another look has found.
    pub fn join(&mut self, other: &Self) {
        for (finders, (_, more)) in self.each_mut().into_iter().zip(other.each()) {
            finders.extend(more.iter().cloned());
            finders.sort_unstable();
            finders.dedup();
        }
    }

    /// Leaves what both have.
    fn keep_common(&mut self, other: &Self) {
        for (finders, (_, others)) in self.each_mut().into_iter().zip(other.each()) {
            finders.retain(|finder| others.contains(finder));
        }
    }

    fn is_empty(&self) -> bool {
        self.each().iter().all(|(_, finders)| finders.is_empty())
    }
}

impl Past {
    /// The key of an address on a chain, by its text in subjects.
    #[must_use]
    pub fn key(chain: &str, address: &str) -> String {
        format!("{chain}.{address}")
    }

    /// Adds a range that was looked into, for the chain's scope as it is. What was found for another scope is forgotten.
    /// What explorers were doubted for in the range is replaced, unless no explorer was asked this time.
    pub fn add(&mut self, scope: Option<&str>, range: PastRange, doubts: Vec<PastDoubt>) {
        if self.scope.as_deref() != scope {
            *self = Self { scope: scope.map(ToOwned::to_owned), ..Self::default() };
        }
        let is_explorer = |(_, finders): &(&str, &[Finder])| {
            finders.iter().any(|finder| matches!(finder, Finder::Explorer(_)))
        };
        let was_asked = !doubts.is_empty()
            || range.covers.each().iter().any(is_explorer)
            || range.covers.payments.contains(&Finder::EveryBlock);
        if was_asked {
            self.doubts.retain(|doubt| !(range.from..=range.to).contains(&doubt.number));
        }
        let room = MAX_DOUBTS.saturating_sub(self.doubts.len());
        self.more_doubts += doubts.len().saturating_sub(room) as u64;
        self.doubts.extend(doubts.into_iter().take(room));
        if !range.covers.is_empty() {
            self.insert(range);
        }
    }

    /// Blocks of which all logs, transactions or payments are there, by the name of [`Covers::each`]: joined ranges with all
    /// that found them.
    #[must_use]
    pub fn complete(&self, what: &str) -> Vec<(u64, u64, Vec<Finder>)> {
        let mut found: Vec<(u64, u64, Vec<Finder>)> = Vec::new();
        for range in &self.ranges {
            let each = range.covers.each();
            let finders = each.iter().find(|(name, _)| *name == what).map(|(_, finders)| *finders);
            let Some(finders) = finders.filter(|finders| !finders.is_empty()) else { continue };
            match found.last_mut() {
                Some((_, to, by)) if to.checked_add(1) == Some(range.from) => {
                    *to = range.to;
                    by.extend(finders.iter().cloned());
                    by.sort_unstable();
                    by.dedup();
                }
                _ => found.push((range.from, range.to, finders.to_vec())),
            }
        }
        found
    }

    fn insert(&mut self, new: PastRange) {
        let mut cut = Vec::with_capacity(self.ranges.len() + 3);
        // The first block of the new range that no earlier range has.
        let mut open = Some(new.from);
        for old in std::mem::take(&mut self.ranges) {
            if old.to < new.from || old.from > new.to {
                cut.push(old);
                continue;
            }
            let part = |from: u64, to: u64, covers: &Covers| PastRange {
                from,
                to,
                covers: covers.clone(),
            };
            if old.from < new.from {
                cut.push(part(old.from, new.from - 1, &old.covers));
            }
            let (first, last) = (old.from.max(new.from), old.to.min(new.to));
            if let Some(from) = open.filter(|from| *from < first) {
                cut.push(part(from, first - 1, &new.covers));
            }
            let mut both = part(first, last, &old.covers);
            both.covers.join(&new.covers);
            cut.push(both);
            open = last.checked_add(1).filter(|next| *next <= new.to);
            if old.to > new.to {
                cut.push(part(new.to + 1, old.to, &old.covers));
            }
        }
        if let Some(from) = open {
            cut.push(PastRange { from, ..new });
        }
        cut.sort_by_key(|range| range.from);
        for range in cut {
            match self.ranges.last_mut() {
                Some(last) if is_next(last, &range) && last.covers == range.covers => {
                    last.to = range.to;
                }
                _ => self.ranges.push(range),
            }
        }
        while self.ranges.len() > MAX_RANGES {
            self.shorten();
        }
    }

    /// One range less: neighbours become one with what both have, else the smallest goes. Nothing is claimed that was not
    /// found.
    fn shorten(&mut self) {
        let width = |range: &PastRange| range.to - range.from;
        let pairs = self.ranges.windows(2).enumerate();
        let next = pairs.filter(|(_, pair)| is_next(&pair[0], &pair[1]));
        let narrowest = next.min_by_key(|(_, pair)| width(&pair[0]).min(width(&pair[1])));
        let Some(place) = narrowest.map(|(place, _)| place) else {
            let smallest = self.ranges.iter().enumerate().min_by_key(|(_, range)| width(range));
            if let Some(place) = smallest.map(|(place, _)| place) {
                self.ranges.remove(place);
            }
            return;
        };
        let second = self.ranges.remove(place + 1);
        let first = &mut self.ranges[place];
        first.to = second.to;
        first.covers.keep_common(&second.covers);
        if first.covers.is_empty() {
            self.ranges.remove(place);
        }
    }
}

fn is_next(first: &PastRange, second: &PastRange) -> bool {
    first.to.checked_add(1) == Some(second.from)
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn logs() -> Covers {
        Covers { logs: vec![Finder::OwnLogs], ..Covers::default() }
    }

    fn explored() -> Covers {
        let named = vec![Finder::Explorer("etherscan".to_owned())];
        Covers { logs: vec![Finder::OwnLogs], transactions: named.clone(), payments: named }
    }

    fn range(from: u64, to: u64, covers: Covers) -> PastRange {
        PastRange { from, to, covers }
    }

    fn spans(past: &Past, what: &str) -> Vec<(u64, u64)> {
        past.complete(what).into_iter().map(|(from, to, _)| (from, to)).collect()
    }

    #[test]
    fn spans_that_follow_each_other_are_one_range() {
        let mut past = Past::default();
        for from in [0, 100, 200, 100] {
            past.add(None, range(from, from + 99, explored()), Vec::new());
        }
        assert_eq!(past.ranges, [range(0, 299, explored())]);
        past.add(None, range(500, 599, explored()), Vec::new());
        assert_eq!(spans(&past, "payments"), [(0, 299), (500, 599)]);
        past.add(None, range(0, u64::MAX, logs()), Vec::new());
        assert_eq!(spans(&past, "logs"), [(0, u64::MAX)]);
        assert_eq!(spans(&past, "payments"), [(0, 299), (500, 599)]);
    }

    #[test]
    fn what_is_doubted_is_not_claimed_until_it_is_looked_at_again() {
        let mut past = Past::default();
        let by = Finder::Explorer("etherscan".to_owned());
        let mut doubted = explored();
        doubted.distrust(&by, true);
        let doubt = PastDoubt { number: 150, by, text: "a payment that no trace has".to_owned() };
        past.add(None, range(0, 99, explored()), Vec::new());
        past.add(None, range(100, 199, doubted), vec![doubt.clone(); 10]);
        past.add(None, range(200, 299, explored()), Vec::new());
        assert_eq!(spans(&past, "payments"), [(0, 99), (200, 299)]);
        assert_eq!(spans(&past, "transactions"), [(0, 299)]);
        assert_eq!((past.doubts.len(), past.more_doubts), (MAX_DOUBTS, 2));
        past.add(None, range(0, 299, logs()), Vec::new());
        assert_eq!(past.doubts.len(), MAX_DOUBTS, "nobody looked at payments");
        let every = vec![Finder::EveryBlock];
        let all = Covers { logs: every.clone(), transactions: every.clone(), payments: every };
        past.add(None, range(0, 299, all), Vec::new());
        assert_eq!(past.doubts, []);
        assert_eq!(spans(&past, "payments"), [(0, 299)]);
    }

    #[test]
    fn however_many_ranges_there_are_none_claims_more_than_was_found() {
        let mut past = Past::default();
        let mut truth = vec![false; 5_000];
        for step in 0..200_u64 {
            let from = (step * 977) % 4_900;
            let covers = if step % 3 == 0 { logs() } else { explored() };
            if step % 3 != 0 {
                truth[from as usize..=from as usize + 20].fill(true);
            }
            past.add(None, range(from, from + 20, covers), Vec::new());
            assert!(past.ranges.len() <= MAX_RANGES);
            assert!(past.ranges.windows(2).all(|pair| pair[0].to < pair[1].from));
            for (from, to, _) in past.complete("payments") {
                assert!(truth[from as usize..=to as usize].iter().all(|found| *found));
            }
        }
    }

    #[test]
    fn another_scope_begins_anew_and_values_are_plain_json() {
        let mut past = Past::default();
        past.add(Some("a"), range(0, 9, logs()), Vec::new());
        past.add(Some("b"), range(5, 6, explored()), Vec::new());
        let text = serde_json::to_string(&past).unwrap();
        assert_eq!(
            text,
            r#"{"scope":"b","ranges":[{"from":5,"to":6,"logs":["own_logs"],"transactions":["etherscan"],"payments":["etherscan"]}],"at_us":0}"#
        );
        assert_eq!(serde_json::from_str::<Past>(&text).unwrap(), past);
    }
}
