use std::{collections::HashMap, sync::Arc};

use crypto_intel_schemas::{AccountAddress, WatchChain};

use crate::{category::SANCTIONED, label::Label, shipped::shipped, source::SourceInfo};

/// A chain as a book knows it: the scope of labels that hold on every chain.
const EVERY: u16 = u16::MAX;

/// A chain of which a book is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainScope(u16);

/// What is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// Its name by the first source that has one; empty where none has.
    pub name: &'a str,
    /// Its categories by all sources, each once: `sanctioned` first, then by precedence.
    pub tags: &'a [String],
}

/// All labels, made to be asked often and rebuilt rarely: one lookup in a hash table an address.
#[derive(Debug, Default)]
pub struct LabelBook {
    /// Where the answers for an address begin.
    index: HashMap<AccountAddress, u32>,
    answers: Vec<Answer>,
    names: String,
    tag_sets: Vec<Arc<[String]>>,
    chains: Vec<String>,
}

/// What is known of an address on one chain, or on every other one.
#[derive(Debug, Clone, Copy)]
struct Answer {
    name_at: u32,
    tags: u32,
    chain: u16,
    name_bytes: u8,
    is_last: bool,
}

impl LabelBook {
    /// How many addresses have labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing is labelled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The chain, to ask for its addresses.
    #[must_use]
    pub fn scope_of(&self, chain: &str) -> ChainScope {
        let at = self.chains.iter().position(|known| known == chain);
        ChainScope(at.and_then(|at| u16::try_from(at).ok()).unwrap_or(EVERY))
    }

    /// What is known of an address on a chain.
    #[must_use]
    pub fn find(&self, scope: ChainScope, address: &AccountAddress) -> Option<Known<'_>> {
        let mut at = *self.index.get(address)? as usize;
        loop {
            let answer = self.answers.get(at)?;
            if answer.chain == scope.0 || answer.chain == EVERY {
                let from = answer.name_at as usize;
                let name = self.names.get(from..from + usize::from(answer.name_bytes))?;
                let tags = self.tag_sets.get(answer.tags as usize)?;
                return Some(Known { name, tags });
            }
            if answer.is_last {
                return None;
            }
            at += 1;
        }
    }
}

/// One label, before what is said of the same address is put together.
#[derive(Debug, Clone, Copy)]
struct Fact {
    address: AccountAddress,
    chain: u16,
    /// Lower is believed first.
    rank: u16,
    category: u16,
    name_at: u32,
    name_bytes: u8,
}

/// Collects labels for a book.
///
/// The name of an address is that of the first in this order: own imports, then the sources that are shipped in theirs
/// (`ofac` first); among imports the surer label, then the later day, then the source's name.
#[derive(Debug, Default)]
pub struct BookBuilder {
    facts: Vec<Fact>,
    names: String,
    known_names: HashMap<Box<str>, u32>,
    categories: Vec<String>,
    chains: Vec<String>,
    ranks: Vec<RankKey>,
}

/// What decides who is believed: sorted, the first one is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RankKey {
    /// 0 for own imports, then those that are shipped.
    group: usize,
    doubt: u8,
    /// Later days first.
    date: std::cmp::Reverse<Option<String>>,
    source: String,
}

/// Bytes of a name: 64 characters of up to four bytes are cut to what one byte counts.
const MAX_NAME_BYTES: usize = 255;

impl BookBuilder {
    /// Adds a label of a source.
    pub fn add(&mut self, info: &SourceInfo, label: &Label) {
        let confidence = label.confidence.unwrap_or(info.confidence);
        let group = shipped_place(&info.name).map_or(0, |place| place + 1);
        let key = RankKey {
            group,
            doubt: 100_u8.saturating_sub(confidence),
            date: std::cmp::Reverse(info.date.clone()),
            source: info.name.clone(),
        };
        let rank = place_of(&mut self.ranks, key);
        let category = place_of(&mut self.categories, label.category.clone());
        let chain = match &label.chain {
            WatchChain::All => EVERY,
            WatchChain::One(slug) => place_of(&mut self.chains, slug.clone()),
        };
        let (name_at, name_bytes) = self.keep_name(&label.name);
        self.facts.push(Fact {
            address: label.address,
            chain,
            rank,
            category,
            name_at,
            name_bytes,
        });
    }

    /// Puts together what is said of each address.
    #[must_use]
    pub fn finish(mut self) -> LabelBook {
        // Ranks were numbered as they came.
        let mut order: Vec<usize> = (0..self.ranks.len()).collect();
        order.sort_by_key(|at| self.ranks.get(*at));
        let mut believed = vec![0_u16; order.len()];
        for (place, at) in order.into_iter().enumerate() {
            if let Some(rank) = believed.get_mut(at) {
                *rank = u16::try_from(place).unwrap_or(u16::MAX);
            }
        }
        for fact in &mut self.facts {
            fact.rank = believed.get(usize::from(fact.rank)).copied().unwrap_or(u16::MAX);
        }
        self.facts.sort_unstable_by_key(|fact| {
            (fact.address, fact.chain, fact.rank, fact.category, fact.name_at)
        });
        let sanctioned = self.categories.iter().position(|one| one == SANCTIONED);
        let mut book = Assembly {
            sanctioned: sanctioned.and_then(|at| u16::try_from(at).ok()),
            categories: &self.categories,
            book: LabelBook::default(),
            known_sets: HashMap::new(),
        };
        let addresses = self.facts.chunk_by(|one, two| one.address == two.address).count();
        book.book.index.reserve(addresses);
        for of_address in self.facts.chunk_by(|one, two| one.address == two.address) {
            book.add(of_address);
        }
        let mut book = book.book;
        self.names.shrink_to_fit();
        book.names = self.names;
        book.chains = self.chains;
        book.answers.shrink_to_fit();
        book
    }

    /// The same name is kept once: exchanges have thousands of addresses.
    fn keep_name(&mut self, name: &str) -> (u32, u8) {
        let mut length = name.len().min(MAX_NAME_BYTES);
        while !name.is_char_boundary(length) {
            length -= 1;
        }
        let name = &name[..length];
        if name.is_empty() {
            return (0, 0);
        }
        let at = match self.known_names.get(name) {
            Some(at) => *at,
            None => {
                // Four gibibytes of names do not come: values of the bucket are far smaller.
                let at = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                self.names.push_str(name);
                self.known_names.insert(name.into(), at);
                at
            }
        };
        (at, u8::try_from(length).unwrap_or(u8::MAX))
    }
}

struct Assembly<'a> {
    sanctioned: Option<u16>,
    categories: &'a [String],
    book: LabelBook,
    known_sets: HashMap<Vec<u16>, u32>,
}

impl Assembly<'_> {
    /// Facts of one address, by chain; those of every chain come last and count on each.
    fn add(&mut self, facts: &[Fact]) {
        let Some(first) = facts.first() else { return };
        let begin = u32::try_from(self.book.answers.len()).unwrap_or(u32::MAX);
        let every_from = facts.partition_point(|fact| fact.chain != EVERY);
        let (own, every) = facts.split_at(every_from);
        for of_chain in own.chunk_by(|one, two| one.chain == two.chain) {
            let mut together = [of_chain, every].concat();
            together.sort_by_key(|fact| fact.rank);
            self.answer(&together, of_chain.first().map_or(EVERY, |fact| fact.chain));
        }
        if !every.is_empty() {
            self.answer(every, EVERY);
        }
        if let Some(last) = self.book.answers.last_mut() {
            last.is_last = true;
        }
        self.book.index.insert(first.address, begin);
    }

    fn answer(&mut self, facts: &[Fact], chain: u16) {
        let named = facts.iter().find(|fact| fact.name_bytes > 0);
        let mut tags: Vec<u16> = Vec::new();
        let is_sanctioned = |fact: &&Fact| Some(fact.category) == self.sanctioned;
        for fact in facts.iter().filter(is_sanctioned).chain(facts) {
            if !tags.contains(&fact.category) {
                tags.push(fact.category);
            }
        }
        let tags = self.tag_set(tags);
        self.book.answers.push(Answer {
            name_at: named.map_or(0, |fact| fact.name_at),
            name_bytes: named.map_or(0, |fact| fact.name_bytes),
            tags,
            chain,
            is_last: false,
        });
    }

    fn tag_set(&mut self, tags: Vec<u16>) -> u32 {
        if let Some(known) = self.known_sets.get(&tags) {
            return *known;
        }
        let names: Vec<String> =
            tags.iter().filter_map(|tag| self.categories.get(usize::from(*tag)).cloned()).collect();
        let at = u32::try_from(self.book.tag_sets.len()).unwrap_or(u32::MAX);
        self.book.tag_sets.push(names.into());
        self.known_sets.insert(tags, at);
        at
    }
}

/// Where a source that is shipped stands; an import under its name takes its place.
fn shipped_place(name: &str) -> Option<usize> {
    static NAMES: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let names = NAMES.get_or_init(|| shipped().into_iter().map(|one| one.info.name).collect());
    names.iter().position(|known| known == name)
}

/// The place of a value in a list of few, where it is added if it is new.
fn place_of<T: PartialEq>(list: &mut Vec<T>, value: T) -> u16 {
    // What one looks for is mostly what came last.
    let at = list.iter().rposition(|known| *known == value).unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    });
    // The last number is that of every chain.
    u16::try_from(at).unwrap_or(EVERY - 1)
}

#[cfg(test)]
mod tests;
