//! Alerts that were sent, the current state of what they are about, and the corrections that follow.

use std::collections::BTreeMap;

use crypto_intel_schemas::{Alert, AlertState, BlockRef};
use serde::{Deserialize, Serialize};

use crate::{
    engine::{
        keys::{MatchKey, short_hash},
        totals::{Text, Totals},
    },
    labels::labels_of,
    rules::Rule,
};

/// Alerts that can still be corrected, per chain.
pub(crate) const MAX_SENT_ALERTS: usize = 1_000;

/// An event that a rule matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleMatch {
    /// Key of its alert; absent while a cooldown holds it back.
    pub(crate) alert: Option<String>,
    /// The canonical block that has it; absent while none has.
    #[serde(rename = "home")]
    pub(crate) canonical_block: Option<BlockRef>,
    /// Stream time when it left its last block, microseconds.
    #[serde(rename = "homeless_since_us")]
    pub(crate) orphaned_since_us: i64,
    /// Whether the rule's condition held when it was last seen.
    pub(crate) holds: bool,
    /// Hash of the message without its position on the chain.
    #[serde(rename = "gist")]
    pub(crate) content_hash: u64,
    /// Its message, where that differs from its alert's.
    pub(crate) text: Option<Text>,
}

/// An alert that a reorg can still invalidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SentAlert {
    /// The newest message.
    pub(crate) alert: Alert,
    #[serde(rename = "belief")]
    pub(crate) reported: ReportedState,
    /// What it is about: one match, or all that a cooldown held back.
    pub(crate) members: Vec<MatchKey>,
    pub(crate) summary: Option<Summary>,
    /// Whether the state of a member has changed since it was last sent.
    #[serde(rename = "unsettled")]
    pub(crate) is_dirty: bool,
}

/// The state that the messages of an alert have reported so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportedState {
    pub(crate) gone: bool,
    pub(crate) holds: bool,
    #[serde(rename = "gist")]
    pub(crate) content_hash: u64,
    pub(crate) number: Option<u64>,
}

/// What an alert about several events has in addition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Events beyond those that are remembered one by one.
    pub(crate) folded: Totals,
    /// Title of the alert whose cooldown held them back.
    pub(crate) after: String,
    /// Duration of the cooldown, and the alert's code.
    pub(crate) within: String,
}

/// Alerts of a block that can no longer be corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EvictedAlerts {
    pub(crate) number: u64,
    /// Whether the block has left the chain.
    pub(crate) replaced: bool,
    /// Rule → how many.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// Title and lines of a message.
pub(crate) struct MessageText {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
}

impl Summary {
    pub(crate) fn text(&self, totals: &Totals) -> MessageText {
        let mut lines = Vec::new();
        if let Some(first) = &totals.first {
            let name = if totals.are_comparable() && totals.count > 1 { "largest: " } else { "" };
            lines.push(format!("{name}{}", first.title));
        }
        lines.push(self.within.clone());
        MessageText { title: format!("{} · after {}", totals.shown(), self.after), lines }
    }
}

impl SentAlert {
    /// The correction that is due, if any. With `missing_is_gone`, members without a block are gone for
    /// good; without, an alert about such members waits.
    pub(super) fn reconcile(
        &mut self,
        matches: &BTreeMap<MatchKey, RuleMatch>,
        missing_is_gone: bool,
        now_us: i64,
    ) -> Option<Alert> {
        let members = || self.members.iter().filter_map(|key| matches.get(key));
        if !missing_is_gone && members().any(|member| member.canonical_block.is_none()) {
            return None;
        }
        self.is_dirty = false;
        let (now, text) = match (&self.summary, members().next()) {
            (Some(summary), _) => {
                let mut totals = summary.folded.clone();
                for member in
                    members().filter(|member| member.canonical_block.is_some() && member.holds)
                {
                    totals.add(member.text.as_ref()?);
                }
                let text = summary.text(&totals);
                let content_hash = short_hash(&text.title);
                if let Some(first) = &totals.first {
                    self.alert.links.clone_from(&first.links);
                }
                let gone = totals.count == 0;
                (ReportedState { gone, holds: true, content_hash, number: None }, Some(text))
            }
            (None, Some(member)) => {
                let number = member.canonical_block.map(|block| block.number);
                let text = member.text.as_ref().map(|text| MessageText {
                    title: text.title.clone(),
                    lines: text.lines.clone(),
                });
                if let Some(block) = member.canonical_block {
                    self.alert.block_hash = Some(block.hash);
                }
                let (holds, content_hash) = (member.holds, member.content_hash);
                let gone = member.canonical_block.is_none();
                (ReportedState { gone, holds, content_hash, number }, text)
            }
            (None, None) => return None,
        };
        let unchanged = now == self.reported || now.gone && self.reported.gone;
        (!unchanged).then(|| self.correct(now, text, now_us))
    }

    fn correct(&mut self, now: ReportedState, text: Option<MessageText>, now_us: i64) -> Alert {
        let before = self.reported;
        let alert = &mut self.alert;
        let mut lines = vec![first_line(before, now, self.summary.is_some())];
        if now.gone {
            // The last message stays valid as a record of what was reported.
            self.reported.gone = true;
        } else {
            if let Some(text) = text.filter(|_| now.content_hash != before.content_hash) {
                if text.title != alert.title {
                    lines.push(format!("It was: {}", alert.title));
                }
                alert.title = crate::template::title(&text.title);
                lines.extend(text.lines);
            }
            match (now.holds, before.holds) {
                (false, _) => lines.insert(1, "It no longer meets the rule.".to_owned()),
                (true, false) => lines.insert(1, "It meets the rule again.".to_owned()),
                (true, true) => {}
            }
            alert.block_number = now.number;
            self.reported = now;
        }
        alert.lines = lines.iter().map(|line| crate::template::line(line)).collect();
        alert.state = AlertState::Corrected;
        alert.n += 1;
        alert.id = super::alert_id(alert);
        alert.observed_at_us = now_us;
        alert.clone()
    }
}

fn first_line(before: ReportedState, now: ReportedState, several: bool) -> String {
    let number = now.number.unwrap_or_default();
    match (now.gone, before.gone) {
        (true, _) if several => "No longer on chain: the blocks were replaced.".to_owned(),
        (true, _) => {
            let number = before.number.unwrap_or_default();
            format!("No longer on chain: block {number} was replaced.")
        }
        (false, true) if several => "Back on chain.".to_owned(),
        (false, true) => format!("Back on chain, in block {number}."),
        (false, false) if several => "Changed by a reorganisation.".to_owned(),
        (false, false) if now.number == before.number => {
            format!("Changed by a reorganisation, in block {number}.")
        }
        (false, false) => {
            let earlier = before.number.unwrap_or_default();
            format!("Moved to block {number} after a reorganisation, was in block {earlier}.")
        }
    }
}

/// A block left the chain, and some alerts about it can no longer be corrected.
#[derive(Debug)]
pub(super) struct EvictionNotice {
    pub(super) rule: String,
    pub(super) block: BlockRef,
    pub(super) count: u64,
}

impl EvictionNotice {
    /// The alert that says so; severity, labels and routes are the rule's.
    pub(super) fn alert(&self, chain: &str, of: &Rule) -> Alert {
        let Self { rule, block: BlockRef { number, hash }, count } = self;
        let key = super::keys::eviction_key(rule, chain, hash);
        Alert {
            code: crypto_intel_schemas::short_code(&key),
            alert: key,
            rule: rule.clone(),
            severity: of.severity,
            labels: labels_of(of, Some(chain), ""),
            title: format!("Some alerts of block {number} on {chain} can no longer be corrected"),
            lines: vec![format!(
                "The block was replaced. {count} of this rule's alerts about it may be untrue: only the newest {MAX_SENT_ALERTS} of a chain are remembered."
            )],
            routes: of.routes.clone(),
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
