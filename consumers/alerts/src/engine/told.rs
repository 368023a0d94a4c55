//! What people were told, where it is on its chain now, and what they must be told about that.

use std::collections::BTreeMap;

use crypto_intel_schemas::{Alert, AlertState, BlockRef, Severity};
use serde::{Deserialize, Serialize};

use crate::engine::{
    keys::{SightingKey, short_hash},
    state::ChainState,
    totals::{Text, Totals},
};

/// Alerts that can still be corrected, per chain.
pub(crate) const MOST_TOLD: usize = 1_000;

/// Blocks of a chain for which it is remembered that some of their alerts cannot be corrected.
const MOST_CROWDED: usize = 512;

/// Something that a rule matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sighting {
    /// Key of the alert that told it; absent while a cooldown holds it back.
    pub(crate) alert: Option<String>,
    /// The canonical block it is in now; absent while it is in none.
    pub(crate) home: Option<BlockRef>,
    /// Stream time when it left its last block, microseconds.
    pub(crate) homeless_since_us: i64,
    /// Whether the rule's condition held when it was last seen.
    pub(crate) holds: bool,
    /// Of the message without what only says where it is: the same message, the same number.
    pub(crate) gist: u64,
    /// What it says, where that differs from what its own alert told.
    pub(crate) text: Option<Text>,
}

/// An alert that a reorg can still make untrue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What people were told last.
    pub(crate) alert: Alert,
    pub(crate) belief: Belief,
    /// What it is about: one sighting, or all that a cooldown held back.
    pub(crate) members: Vec<SightingKey>,
    pub(crate) summary: Option<Summary>,
    /// Whether something has changed since people were told.
    pub(crate) unsettled: bool,
}

/// What somebody believes who read all messages of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Belief {
    pub(crate) gone: bool,
    pub(crate) holds: bool,
    pub(crate) gist: u64,
    pub(crate) number: Option<u64>,
}

/// What is particular to an alert about several events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Those that were too many to be remembered one by one.
    pub(crate) folded: Totals,
    /// Title of the alert whose cooldown held them back.
    pub(crate) after: String,
    /// How long that was, and the alert's code.
    pub(crate) within: String,
}

/// Alerts of a block that can no longer be corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crowded {
    pub(crate) number: u64,
    /// Whether the block has left the chain.
    pub(crate) replaced: bool,
    /// Rule → how many.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// The words of a message.
pub(crate) struct Words {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
}

impl Summary {
    pub(crate) fn words(&self, totals: &Totals) -> Words {
        let mut lines = Vec::new();
        if let Some(first) = &totals.first {
            let name = if totals.are_comparable() && totals.count > 1 { "largest: " } else { "" };
            lines.push(format!("{name}{}", first.title));
        }
        lines.push(self.within.clone());
        Words { title: format!("{} · after {}", totals.shown(), self.after), lines }
    }
}

impl Told {
    /// What people must be told, if anything. With `gone_is_gone`, what is in no block does not come
    /// back any more; without, an alert about such waits.
    fn settle(
        &mut self,
        sightings: &BTreeMap<SightingKey, Sighting>,
        gone_is_gone: bool,
        now_us: i64,
    ) -> Option<Alert> {
        let members = || self.members.iter().filter_map(|key| sightings.get(key));
        if !gone_is_gone && members().any(|member| member.home.is_none()) {
            return None;
        }
        self.unsettled = false;
        let (now, words) = match (&self.summary, members().next()) {
            (Some(summary), _) => {
                let mut totals = summary.folded.clone();
                for member in members().filter(|member| member.home.is_some() && member.holds) {
                    totals.add(member.text.as_ref()?);
                }
                let words = summary.words(&totals);
                let gist = short_hash(&words.title);
                if let Some(first) = &totals.first {
                    self.alert.links.clone_from(&first.links);
                }
                (Belief { gone: totals.count == 0, holds: true, gist, number: None }, Some(words))
            }
            (None, Some(member)) => {
                let number = member.home.map(|home| home.number);
                let words = member
                    .text
                    .as_ref()
                    .map(|text| Words { title: text.title.clone(), lines: text.lines.clone() });
                if let Some(home) = member.home {
                    self.alert.block_hash = Some(home.hash);
                }
                let (holds, gist) = (member.holds, member.gist);
                (Belief { gone: member.home.is_none(), holds, gist, number }, words)
            }
            (None, None) => return None,
        };
        let unchanged = now == self.belief || now.gone && self.belief.gone;
        (!unchanged).then(|| self.correct(now, words, now_us))
    }

    fn correct(&mut self, now: Belief, words: Option<Words>, now_us: i64) -> Alert {
        let before = self.belief;
        let alert = &mut self.alert;
        let mut lines = vec![first_line(before, now, self.summary.is_some())];
        if now.gone {
            // What people were told stays what they were told.
            self.belief.gone = true;
        } else {
            if let Some(words) = words.filter(|_| now.gist != before.gist) {
                if words.title != alert.title {
                    lines.push(format!("It was: {}", alert.title));
                }
                alert.title = crate::template::title(&words.title);
                lines.extend(words.lines);
            }
            match (now.holds, before.holds) {
                (false, _) => lines.insert(1, "It no longer meets the rule.".to_owned()),
                (true, false) => lines.insert(1, "It meets the rule again.".to_owned()),
                (true, true) => {}
            }
            alert.block_number = now.number;
            self.belief = now;
        }
        alert.lines = lines.iter().map(|line| crate::template::line(line)).collect();
        alert.state = AlertState::Corrected;
        alert.n += 1;
        alert.id = super::alert_id(alert);
        alert.observed_at_us = now_us;
        alert.clone()
    }
}

fn first_line(before: Belief, now: Belief, several: bool) -> String {
    let number = now.number.unwrap_or_default();
    match (now.gone, before.gone) {
        (true, _) if several => "No longer on chain: the blocks were replaced.".to_owned(),
        (true, _) => {
            let told = before.number.unwrap_or_default();
            format!("No longer on chain: block {told} was replaced.")
        }
        (false, true) if several => "Back on chain.".to_owned(),
        (false, true) => format!("Back on chain, in block {number}."),
        (false, false) if several => "Changed by a reorganisation.".to_owned(),
        (false, false) if now.number == before.number => {
            format!("Changed by a reorganisation, in block {number}.")
        }
        (false, false) => {
            let told = before.number.unwrap_or_default();
            format!("Moved to block {number} after a reorganisation, was in block {told}.")
        }
    }
}

impl ChainState {
    /// What is clear now about the alerts that something happened to.
    pub(super) fn settle(&mut self, gone_is_gone: bool, now_us: i64) -> Vec<Alert> {
        if !self.unsettled {
            return Vec::new();
        }
        let Self { told, sightings, .. } = self;
        let corrections = told
            .values_mut()
            .filter(|told| told.unsettled)
            .filter_map(|told| told.settle(sightings, gone_is_gone, now_us))
            .collect();
        self.unsettled = self.told.values().any(|told| told.unsettled);
        corrections
    }

    /// Whether an alert for this sighting keeps others quiet: it is on the chain and meets its rule.
    /// What is not remembered any more is final.
    pub(super) fn counts(&self, key: &SightingKey) -> bool {
        self.sightings.get(key).is_none_or(|sighting| sighting.home.is_some() && sighting.holds)
    }

    /// Whether people know that the alert for this sighting is void.
    pub(super) fn is_void(&self, key: &SightingKey) -> bool {
        let alert = self.sightings.get(key).and_then(|sighting| sighting.alert.as_ref());
        let told = alert.and_then(|alert| self.told.get(alert));
        told.is_some_and(|told| told.belief.gone || !told.belief.holds)
    }

    /// Keeps an alert for corrections; says whether an older one had to go for it.
    #[must_use]
    pub(super) fn keep(&mut self, told: Told) -> bool {
        self.told.insert(told.alert.alert.clone(), told);
        let is_full = self.told.len() > MOST_TOLD;
        if is_full {
            self.crowd_out_oldest();
        }
        is_full
    }

    /// Forgets the alert that is least likely to need a correction: one that was taken back, else
    /// the one that is nearest to being final.
    pub(super) fn crowd_out_oldest(&mut self) {
        let number_of = |told: &Told| {
            let home = || told.members.first().and_then(|key| self.sightings.get(key)?.home);
            told.alert.block_number.or_else(|| home().map(|home| home.number))
        };
        let rank = |told: &Told| {
            (!told.belief.gone, told.unsettled, number_of(told), told.alert.event_at_us)
        };
        let oldest = self.told.iter().min_by_key(|(_, told)| rank(told));
        let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
        let Some(told) = self.told.remove(&key) else { return };
        let (rule, number) = (&told.alert.rule, told.alert.block_number);
        if let (Some(number), Some(hash), false) = (number, told.alert.block_hash, told.belief.gone)
        {
            let replaced = told.unsettled;
            self.crowd(BlockRef { number, hash }, rule, replaced);
        }
        for member in &told.members {
            if let Some(sighting) = self.sightings.remove(member)
                && let (Some(home), true) = (sighting.home, told.summary.is_some())
            {
                self.crowd(home, rule, false);
            }
        }
    }

    /// An alert about this block can no longer be corrected.
    pub(super) fn crowd(&mut self, block: BlockRef, rule: &str, replaced: bool) {
        let entry = self.crowded.entry(block.hash).or_insert_with(|| Crowded {
            number: block.number,
            replaced,
            counts: BTreeMap::new(),
        });
        entry.replaced |= replaced;
        *entry.counts.entry(rule.to_owned()).or_default() += 1;
        if self.crowded.len() > MOST_CROWDED {
            let oldest = self.crowded.iter().min_by_key(|(_, crowded)| crowded.number);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                self.crowded.remove(&hash);
            }
        }
    }
}

/// A block left the chain, and some alerts about it can no longer be corrected.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) rule: String,
    pub(super) block: BlockRef,
    pub(super) count: u64,
}

impl Notice {
    /// The alert that says so; severity and routes are the rule's.
    pub(super) fn alert(&self, chain: &str, severity: Severity, routes: &[String]) -> Alert {
        let Self { rule, block: BlockRef { number, hash }, count } = self;
        let key = super::keys::crowded_key(rule, chain, hash);
        Alert {
            code: crypto_intel_schemas::short_code(&key),
            alert: key,
            rule: rule.clone(),
            severity,
            title: format!("Some alerts of block {number} on {chain} can no longer be corrected"),
            lines: vec![format!(
                "The block was replaced. {count} of this rule's alerts about it may be untrue: only the newest {MOST_TOLD} of a chain are remembered."
            )],
            routes: routes.to_vec(),
            event_id: crypto_intel_schemas::chain_event_id(
                chain,
                hash,
                crypto_intel_schemas::Kind::Block,
            ),
            chain: Some(chain.to_owned()),
            block_number: Some(*number),
            block_hash: Some(*hash),
            ..Alert::empty()
        }
    }
}
