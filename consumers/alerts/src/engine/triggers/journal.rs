//! Which groups a block contributed to, what happens to them when it leaves the chain or cannot any more, and when
//! each group has to be looked at again. Kept in memory and made again from the groups at a start.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crypto_intel_schemas::{Alert, B256, Block};

use super::{group::TriggerGroup, window::HOUR_US};
use crate::{
    engine::{Engine, state::State},
    rules::{
        Rule, RuleSet,
        trigger::{Absence, Trigger},
    },
    streams::RuleStream,
};

/// A group: number of its rule, and its name.
type GroupName = (usize, String);

/// How long an empty group with open blocks is left alone, microseconds.
const RETRY_US: i64 = 60_000_000;

/// What came before is kept for later events so long at most, microseconds.
const MAX_GRACE_US: i64 = 24 * HOUR_US;

/// What is derived from the groups.
#[derive(Debug, Default)]
pub(in crate::engine) struct TriggerIndex {
    due: BTreeSet<(i64, GroupName)>,
    /// By rule and name.
    scheduled: HashMap<usize, HashMap<String, i64>>,
    /// Chain → block that can leave it → the groups that it contributed to.
    journal: BTreeMap<String, HashMap<B256, JournalBlock>>,
    unsettled: BTreeMap<String, BTreeSet<GroupName>>,
    /// Chain → highest block that cannot leave it.
    finalized: BTreeMap<String, u64>,
    /// Whether expected groups are there.
    is_armed: bool,
}

#[derive(Debug)]
struct JournalBlock {
    number: u64,
    groups: BTreeSet<GroupName>,
}

impl TriggerIndex {
    /// The index of stored groups, after those of rules that changed are taken out of the state.
    pub(in crate::engine) fn build(rules: &RuleSet, stream: RuleStream, state: &mut State) -> Self {
        retire(rules, stream, state);
        let mut index = Self::default();
        for (rule_id, name, group) in state.triggers.iter() {
            let Some(rule) = rules.index_of(rule_id) else { continue };
            let key = || (rule, name.to_owned());
            for (chain, number, hash) in group.blocks() {
                index.note(chain, number, hash, key());
            }
            for chain in &group.unsettled {
                index.unsettled.entry(chain.clone()).or_default().insert(key());
            }
            let due_us = due_us(&rules.rules[rule], group, state.stream_time_us);
            index.schedule(rule, name, due_us);
        }
        index
    }

    pub(super) fn note(&mut self, chain: &str, number: u64, hash: B256, group: GroupName) {
        if !self.journal.contains_key(chain) {
            self.journal.insert(chain.to_owned(), HashMap::new());
        }
        if let Some(blocks) = self.journal.get_mut(chain) {
            let block = blocks
                .entry(hash)
                .or_insert_with(|| JournalBlock { number, groups: BTreeSet::new() });
            block.groups.insert(group);
        }
    }

    pub(super) fn finalized(&self, chain: &str) -> Option<u64> {
        self.finalized.get(chain).copied()
    }

    /// An earlier time than the planned one replaces it; a later one is found when that comes.
    fn schedule(&mut self, rule: usize, name: &str, due_us: Option<i64>) {
        let Some(due_us) = due_us else { return };
        let scheduled = self.scheduled.entry(rule).or_default();
        match scheduled.get_mut(name) {
            Some(planned) if *planned <= due_us => return,
            Some(planned) => {
                let earlier = std::mem::replace(planned, due_us);
                self.due.remove(&(earlier, (rule, name.to_owned())));
            }
            None => drop(scheduled.insert(name.to_owned(), due_us)),
        }
        self.due.insert((due_us, (rule, name.to_owned())));
    }

    /// The groups to look at now, in a fixed order.
    fn take_due(&mut self, now_us: i64) -> BTreeSet<GroupName> {
        let mut taken = BTreeSet::new();
        while self.due.first().is_some_and(|(due_us, _)| *due_us <= now_us) {
            let Some((_, (rule, name))) = self.due.pop_first() else { break };
            if let Some(scheduled) = self.scheduled.get_mut(&rule) {
                scheduled.remove(&name);
            }
            taken.insert((rule, name));
        }
        taken
    }
}

/// Takes groups of rules that are gone or changed out of the state; what they told is ended at the next tick.
fn retire(rules: &RuleSet, stream: RuleStream, state: &mut State) {
    let of_stream = rules.rules.iter().filter(|rule| rule.stream == stream);
    let forms: BTreeMap<String, u64> = of_stream
        .map(|rule| (rule.id.clone(), rule.form()))
        .filter(|(_, form)| *form != 0)
        .collect();
    let retired: Vec<(String, String)> = state
        .triggers
        .iter()
        .filter(|(rule, ..)| {
            forms.get(*rule) != state.forms.get(*rule) || !forms.contains_key(*rule)
        })
        .map(|(rule, name, _)| (rule.to_owned(), name.to_owned()))
        .collect();
    for (rule, name) in retired {
        let group = state.triggers.remove(&rule, &name);
        state.ended.extend(group.and_then(TriggerGroup::into_alert));
    }
    state.forms = forms;
}

/// How long after its time an event can still be told, and needs what came before it: a block that returns is late.
fn grace_us(rule: &Rule) -> i64 {
    rule.max_event_age_us.min(MAX_GRACE_US)
}

impl State {
    /// The alerts of conditions that have not ended, which are forgotten.
    pub(in crate::engine) fn take_told(&mut self) -> Vec<Alert> {
        let mut told = std::mem::take(&mut self.ended);
        told.extend(self.take_failures());
        let groups = self.triggers.iter().map(|(.., group)| group.clone());
        told.extend(groups.filter_map(TriggerGroup::into_alert));
        told
    }
}

/// When a group has to be looked at again; `None` where only an event can change something.
fn due_us(rule: &Rule, group: &TriggerGroup, now_us: i64) -> Option<i64> {
    let phase = rule.lasting.as_ref().and_then(|lasting| group.phase.due_us(lasting));
    let open = || (!group.parts.is_empty()).then(|| now_us + RETRY_US);
    let own = match &rule.trigger {
        Trigger::Window(window) => {
            let is_in = group.windows().any(|part| part.is_in(window, now_us));
            let next = |step_us: i64| Some((now_us.div_euclid(step_us) + 1) * step_us);
            if is_in || !group.phase.is_idle() {
                next(window.step_us)
            } else {
                open().or_else(|| next(HOUR_US))
            }
        }
        Trigger::Absence(Absence { for_us, .. }) if group.phase.is_idle() => {
            group.last_seen_us().map(|last_us| last_us.saturating_add(*for_us)).or_else(open)
        }
        // The rule asks for a longer one than it did.
        Trigger::Absence(Absence { for_us, .. })
            if group.last_seen_us().is_some_and(|last_us| now_us - last_us < *for_us) =>
        {
            Some(now_us)
        }
        Trigger::First { over_us } => {
            let kept_us = over_us.saturating_add(grace_us(rule));
            group.last_seen_us().map(|last_us| last_us.saturating_add(kept_us)).or_else(open)
        }
        Trigger::Sequence(sequence) => {
            let starts = group.starts(sequence.within_us);
            let end_us = starts.end_us(sequence.within_us);
            end_us.map(|end_us| end_us.saturating_add(grace_us(rule)) + 1).or_else(open)
        }
        Trigger::Absence(_) | Trigger::Event => open(),
    };
    let due_us = own.into_iter().chain(phase).min()?;
    // What is due already was looked at just now: again at the next tick.
    Some(due_us.max(now_us + 1))
}

impl TriggerGroup {
    /// Whether nothing of it can matter any more.
    fn is_over(&self, rule: &Rule, now_us: i64) -> bool {
        let is_open = !self.parts.is_empty() || !self.unsettled.is_empty();
        if is_open || !self.phase.is_idle() {
            return false;
        }
        match &rule.trigger {
            Trigger::Window(_) => self.windows().all(super::window::WindowPart::is_empty),
            Trigger::First { over_us } => {
                let kept_us = over_us.saturating_add(grace_us(rule));
                self.last_seen_us().is_none_or(|last_us| now_us - last_us >= kept_us)
            }
            Trigger::Sequence(sequence) => {
                let end_us = self.starts(sequence.within_us).end_us(sequence.within_us);
                end_us.is_none_or(|end_us| end_us.saturating_add(grace_us(rule)) < now_us)
            }
            Trigger::Absence(_) => self.last_seen_us().is_none(),
            Trigger::Event => {
                self.level().is_none_or(|level| level.now() != super::group::Signal::True)
            }
        }
    }
}

impl Engine {
    /// Plans the next look at a group, or forgets it where nothing of it can matter any more.
    pub(super) fn reschedule(&mut self, index: usize, name: &str) {
        let rules = Arc::clone(&self.rules);
        let rule = &rules.rules[index];
        let now_us = self.state.stream_time_us;
        let Some(group) = self.state.triggers.get(&rule.id, name) else { return };
        let is_in_window = match &rule.trigger {
            Trigger::Window(window) => group.windows().any(|part| part.is_in(window, now_us)),
            _ => false,
        };
        if !is_in_window && group.phase.is_idle() {
            self.tidy(rule, name);
        }
        let Some(group) = self.state.triggers.get(&rule.id, name) else { return };
        if group.is_over(rule, now_us) {
            self.state.triggers.remove(&rule.id, name);
            return;
        }
        let due_us = due_us(rule, group, now_us);
        self.triggers.schedule(index, name, due_us);
    }

    /// Forgets what a group does not need any more.
    fn tidy(&mut self, rule: &Rule, name: &str) {
        let Self { state, triggers: index, .. } = self;
        let finalized = |chain: &str| index.finalized(chain);
        let is_window = matches!(rule.trigger, Trigger::Window(_));
        let known = state.triggers.get(&rule.id, name);
        if !known.is_some_and(|group| is_window || group.has_final(finalized)) {
            return;
        }
        let Some(group) = state.triggers.get_mut(&rule.id, name) else { return };
        group.finalize(finalized, rule.trigger.within_us());
        if let (Trigger::Window(window), Some(base)) = (&rule.trigger, group.base_window()) {
            base.forget(window, state.stream_time_us);
        }
    }

    /// A block left the chain: so do its contributions.
    pub(in crate::engine) fn undo_block(&mut self, chain: &str, hash: &B256) {
        self.forget_waiting(chain, hash);
        let blocks = self.triggers.journal.get_mut(chain);
        let Some(block) = blocks.and_then(|blocks| blocks.remove(hash)) else { return };
        for (index, name) in block.groups {
            let rule = &self.rules.rules[index];
            let Some(group) = self.state.triggers.get_mut(&rule.id, &name) else { continue };
            group.undo(chain, hash);
            self.triggers.unsettled.entry(chain.to_owned()).or_default().insert((index, name));
        }
    }

    /// A block is on the chain: no other is at its height or above, and those that are final stay.
    pub(in crate::engine) fn settle_block(&mut self, marker: &Block, alerts: &mut Vec<Alert>) {
        let chain = marker.chain.as_str();
        let known = self.triggers.journal.get(chain);
        let replaced: Vec<B256> = known
            .into_iter()
            .flatten()
            .filter(|(hash, block)| {
                block.number >= marker.block_number && **hash != marker.block_hash
            })
            .map(|(hash, _)| *hash)
            .collect();
        replaced.iter().for_each(|hash| self.undo_block(chain, hash));
        self.forget_replaced(marker);
        self.finalize(chain, marker.finalized_number);
        self.release_waiting(marker, alerts);
        self.settle(chain, alerts);
    }

    /// What is final stays. Groups take it into their base when they change anyway, or when they are over.
    fn finalize(&mut self, chain: &str, finalized: u64) {
        if let Some(blocks) = self.triggers.journal.get_mut(chain) {
            blocks.retain(|_, block| block.number > finalized);
        }
        if self.triggers.finalized(chain).is_none_or(|known| known < finalized) {
            self.triggers.finalized.insert(chain.to_owned(), finalized);
        }
    }

    /// Looks again at the groups that lost something, once the chain's new branch is there.
    fn settle(&mut self, chain: &str, alerts: &mut Vec<Alert>) {
        let is_pending = self.state.chains.get(chain).is_some_and(|chain| chain.reorg.is_some());
        if is_pending {
            return;
        }
        for (index, name) in self.triggers.unsettled.remove(chain).unwrap_or_default() {
            let rules = Arc::clone(&self.rules);
            let rule = &rules.rules[index];
            let Some(group) = self.state.triggers.get_mut(&rule.id, &name) else { continue };
            group.unsettled.remove(chain);
            self.evaluate_after_reorg(index, &name, alerts);
        }
    }

    /// Time passed: conditions become true or end by it.
    pub(in crate::engine) fn pass_time_of_triggers(&mut self, alerts: &mut Vec<Alert>) {
        let now_us = self.state.stream_time_us;
        for mut alert in std::mem::take(&mut self.state.ended) {
            Self::end(&mut alert, now_us);
            alert.title = crate::template::title(&format!("Ended: {}", alert.title));
            alert.lines =
                vec!["The rule was changed or removed, or its stream recreated.".to_owned()];
            alerts.push(alert);
        }
        self.arm();
        let chains: Vec<String> = self.triggers.unsettled.keys().cloned().collect();
        chains.iter().for_each(|chain| self.settle(chain, alerts));
        for (index, name) in self.triggers.take_due(now_us) {
            self.evaluate(index, &name, None, alerts);
        }
    }

    /// The groups that absences expect from the start on.
    fn arm(&mut self) {
        if std::mem::replace(&mut self.triggers.is_armed, true) {
            return;
        }
        let rules = Arc::clone(&self.rules);
        for (index, rule) in rules.rules.iter().enumerate() {
            let Trigger::Absence(absence) = &rule.trigger else { continue };
            let is_own = rule.stream == self.stream;
            for key in absence.keys.iter().filter(|_| is_own) {
                if self.state.triggers.get(&rule.id, key).is_none() {
                    let now_us = self.state.stream_time_us;
                    let expected = || TriggerGroup::expected(now_us);
                    self.state.triggers.get_or_insert_with(&rule.id, key, expected);
                }
                self.reschedule(index, key);
            }
        }
    }
}
