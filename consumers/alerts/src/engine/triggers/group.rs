//! What is remembered of one group of a rule: a base of all that is final, and the parts of blocks that can still leave
//! the chain. Values are made of both, so that a block's part is taken back by dropping it.

use std::collections::{BTreeSet, VecDeque};

use crypto_intel_schemas::{Alert, B256};
use serde::{Deserialize, Serialize};

use crate::engine::triggers::{
    condition::Phase,
    sequence::{Hits, Starts},
    window::WindowPart,
};

/// Ids of events without a block that are remembered: a copy comes soon after the first.
const MAX_IDS: usize = 8;

/// Parts of blocks in a group: more than are open on any chain that becomes final.
const MAX_PARTS: usize = 2_048;

/// State of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TriggerGroup {
    #[serde(rename = "b", default, skip_serializing_if = "Part::is_none")]
    pub(super) base: Part,
    /// In the order of the stream.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<BlockPart>,
    /// Hashes of the newest events without a block.
    #[serde(rename = "i", default, skip_serializing_if = "VecDeque::is_empty")]
    ids: VecDeque<u64>,
    #[serde(rename = "c", default, skip_serializing_if = "Phase::is_idle")]
    pub(super) phase: Phase,
    /// Chains that took something back and are not settled yet.
    #[serde(rename = "u", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) unsettled: BTreeSet<String>,
}

/// What a block contributes to a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BlockPart {
    #[serde(rename = "c")]
    pub(super) chain: String,
    #[serde(rename = "n")]
    pub(super) number: u64,
    #[serde(rename = "h")]
    pub(super) hash: B256,
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    is_final: bool,
    #[serde(rename = "p")]
    pub(super) part: Part,
}

/// What some events contribute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Part {
    #[default]
    #[serde(rename = "0")]
    None,
    #[serde(rename = "w")]
    Window(WindowPart),
    /// Newest event time.
    #[serde(rename = "t")]
    Seen(i64),
    #[serde(rename = "l")]
    Level(Level),
    #[serde(rename = "h")]
    Hits(Hits),
    /// Of a sequence, what hits amount to.
    #[serde(rename = "s")]
    Starts(Starts),
}

/// What an event says about a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Signal {
    /// It is true.
    #[serde(rename = "t")]
    True,
    /// It is not true, and does not end either.
    #[serde(rename = "n")]
    Neutral,
    /// It ends.
    #[serde(rename = "e")]
    Ends,
}

/// The newest event of a condition over single events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Level {
    /// The newest that decides; neutral where none does.
    #[serde(rename = "s")]
    pub(super) signal: Signal,
    /// Whether one that does not decide came after it.
    #[serde(rename = "n", default, skip_serializing_if = "std::ops::Not::not")]
    is_past: bool,
    /// What would be said of it now.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) alert: Option<Box<Alert>>,
}

impl Level {
    pub(super) fn new(signal: Signal, alert: Option<Alert>) -> Self {
        Self { signal, is_past: signal == Signal::Neutral, alert: alert.map(Box::new) }
    }

    fn merge(&mut self, later: &Self) {
        if later.signal == Signal::Neutral {
            self.is_past = true;
        } else {
            self.clone_from(later);
        }
    }

    /// What it says now. What was never true has ended.
    pub(super) fn now(&self) -> Signal {
        match self.signal {
            Signal::True if self.is_past => Signal::Neutral,
            Signal::True => Signal::True,
            Signal::Neutral | Signal::Ends => Signal::Ends,
        }
    }
}

/// Where a contribution belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) chain: &'p str,
    /// Number and hash; absent for what cannot leave a chain.
    pub(super) block: Option<(u64, B256)>,
}

impl Part {
    fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether parts can be merged in any order.
    fn is_unordered(&self) -> bool {
        matches!(self, Self::Window(_) | Self::Seen(_))
    }

    /// Adds what came later.
    fn merge(&mut self, later: Self, within_us: i64) {
        match (&mut *self, later) {
            (Self::Window(own), Self::Window(later)) => own.merge(later),
            (Self::Seen(own), Self::Seen(later)) => *own = (*own).max(later),
            (Self::Hits(own), Self::Hits(later)) => own.extend(later),
            (Self::Level(own), Self::Level(later)) => own.merge(&later),
            (Self::Starts(own), Self::Hits(later)) => {
                later.apply_to(own, within_us);
            }
            (_, later) => *self = later,
        }
    }
}

impl TriggerGroup {
    /// A group that is expected from now on.
    pub(super) fn expected(now_us: i64) -> Self {
        Self { base: Part::Seen(now_us), ..Self::default() }
    }

    /// Whether an event without a block is a copy of one that was there. Call once per event.
    pub(super) fn is_copy(&mut self, id: u64) -> bool {
        if self.ids.contains(&id) {
            return true;
        }
        self.ids.push_back(id);
        if self.ids.len() > MAX_IDS {
            self.ids.pop_front();
        }
        false
    }

    /// The part of this block, where its events follow each other on its chain: of another chain some may be between
    /// them.
    fn part_of(&mut self, place: Place<'_>) -> Option<&mut BlockPart> {
        let (_, hash) = place.block?;
        self.parts.last_mut().filter(|last| last.chain == place.chain && last.hash == hash)
    }

    /// Whether the newest part is of this block.
    pub(super) fn is_in(&mut self, place: Place<'_>) -> bool {
        self.part_of(place).is_some()
    }

    /// Adds what an event contributes. Returns whether a part had to be taken as final for lack of room.
    #[must_use]
    pub(super) fn add(&mut self, place: Place<'_>, part: Part, within_us: i64) -> bool {
        let Some((number, hash)) = place.block else {
            if self.parts.is_empty() || part.is_unordered() {
                self.fold_in(part, within_us);
            } else {
                let chain = place.chain.to_owned();
                self.parts.push(BlockPart {
                    chain,
                    number: 0,
                    hash: B256::ZERO,
                    is_final: true,
                    part,
                });
            }
            return false;
        };
        match self.part_of(place) {
            Some(own) => own.part.merge(part, within_us),
            None => {
                let chain = place.chain.to_owned();
                self.parts.push(BlockPart { chain, number, hash, is_final: false, part });
            }
        }
        let is_full = self.parts.len() > MAX_PARTS;
        if is_full && let Some(oldest) = self.parts.first_mut() {
            oldest.is_final = true;
            self.fold(within_us);
        }
        is_full
    }

    /// Drops what a block contributed.
    pub(super) fn undo(&mut self, chain: &str, hash: &B256) {
        self.parts.retain(|part| part.is_final || part.chain != chain || part.hash != *hash);
        self.unsettled.insert(chain.to_owned());
    }

    /// Whether blocks of some part cannot leave their chain any more. `finalized`: the highest such block of a chain.
    pub(super) fn has_final(&self, finalized: impl Fn(&str) -> Option<u64>) -> bool {
        self.parts.iter().any(|part| finalized(&part.chain).is_some_and(|it| part.number <= it))
    }

    /// Merges into the base what cannot leave its chain any more.
    pub(super) fn finalize(&mut self, finalized: impl Fn(&str) -> Option<u64>, within_us: i64) {
        let mut has_new = false;
        for part in self.parts.iter_mut().filter(|part| !part.is_final) {
            part.is_final = finalized(&part.chain).is_some_and(|it| part.number <= it);
            has_new |= part.is_final;
        }
        // The first one waits where all before it left the chain.
        if has_new || self.parts.first().is_some_and(|part| part.is_final) {
            self.fold(within_us);
        }
    }

    /// Merges into the base what is final; where order matters, as far as all before it is.
    fn fold(&mut self, within_us: i64) {
        let mut kept = Vec::with_capacity(self.parts.len());
        for part in std::mem::take(&mut self.parts) {
            let may_fold = part.is_final && (kept.is_empty() || part.part.is_unordered());
            if may_fold {
                self.fold_in(part.part, within_us);
            } else {
                kept.push(part);
            }
        }
        self.parts = kept;
    }

    fn fold_in(&mut self, part: Part, within_us: i64) {
        if let (Part::None, Part::Hits(_)) = (&self.base, &part) {
            self.base = Part::Starts(Starts::default());
        }
        self.base.merge(part, within_us);
    }

    /// Base and parts, in the order of the stream.
    fn all(&self) -> impl Iterator<Item = &Part> + Clone {
        [&self.base].into_iter().chain(self.parts.iter().map(|part| &part.part))
    }

    pub(super) fn windows(&self) -> impl Iterator<Item = &WindowPart> + Clone {
        self.all().filter_map(|part| match part {
            Part::Window(window) => Some(window),
            _ => None,
        })
    }

    pub(super) fn base_window(&mut self) -> Option<&mut WindowPart> {
        match &mut self.base {
            Part::Window(window) => Some(window),
            _ => None,
        }
    }

    /// Newest event time.
    pub(super) fn last_seen_us(&self) -> Option<i64> {
        let times = self.all().filter_map(|part| match part {
            Part::Seen(at_us) => Some(*at_us),
            _ => None,
        });
        times.max()
    }

    pub(super) fn level(&self) -> Option<Level> {
        let mut level: Option<Level> = None;
        for part in self.all() {
            if let Part::Level(part) = part {
                match &mut level {
                    Some(level) => level.merge(part),
                    None => level = Some(part.clone()),
                }
            }
        }
        level
    }

    pub(super) fn starts(&self, within_us: i64) -> Starts {
        let mut starts = Starts::default();
        for part in self.all() {
            match part {
                Part::Starts(base) => starts = base.clone(),
                Part::Hits(hits) => hits.apply_to(&mut starts, within_us),
                _ => {}
            }
        }
        starts
    }

    /// Chain, number and hash of the blocks that can still be taken back.
    pub(in crate::engine) fn blocks(&self) -> impl Iterator<Item = (&str, u64, B256)> {
        let open = self.parts.iter().filter(|part| !part.is_final);
        open.map(|part| (part.chain.as_str(), part.number, part.hash))
    }
}
