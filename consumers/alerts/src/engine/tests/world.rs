//! A chain, the people who read its alerts, and the comparison of what the two hold.

use std::collections::BTreeMap;

use super::{rule_specs::Spec, *};
use crate::snapshot::in_memory::Memory;

/// Two rules over the same transfers: `flat` tells each, `cool` one per recipient and cooldown.
const RULES: &str = r#"
[[rule]]
id = "flat"
on = "evm.*.transfer.erc20"
when = 'value >= u256("5")'
title = "{{ value }} to {{ to }}"
lines = ["block {{ block_number }} at {{ block_time_us|time }}"]

[[rule]]
id = "cool"
on = "evm.*.transfer.erc20"
when = 'value >= u256("5")'
cooldown = "10s"
group_by = ["to"]
title = "{{ value }} to {{ to }}"
"#;

/// A transaction that moves an amount to a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transaction {
    pub(super) hash: u16,
    pub(super) amount: u64,
    pub(super) recipient: u8,
    /// Moves its amount in even blocks only, and 1 in odd ones.
    pub(super) fickle: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Mined {
    pub(super) number: u64,
    hash: B256,
    incarnation: u32,
    /// Its time; the same wherever it comes from.
    pub(super) at_us: i64,
    pub(super) transactions: Vec<Transaction>,
    /// Number of its newest marker.
    pub(super) sequence: u64,
}

/// What a reader of every message about one alert believes.
#[derive(Debug, Clone)]
pub(super) struct Belief {
    pub(super) rule: String,
    pub(super) transaction: Option<B256>,
    pub(super) number: Option<u64>,
    pub(super) title: String,
    pub(super) gone: bool,
    pub(super) meets_rule: bool,
    /// Whether it tells of a condition that lasts.
    pub(super) ongoing: bool,
    /// Number of the newest message.
    n: u32,
}

pub(super) struct World {
    pub(super) play: Play,
    finality: u64,
    finalized: u64,
    pub(super) chain: Vec<Mined>,
    pub(super) pool: Vec<Transaction>,
    blocks_made: u64,
    highest: u64,
    pub(super) beliefs: BTreeMap<String, Belief>,
    /// After how many messages the engine goes through a snapshot, and where that is stored.
    pub(super) restarts: Option<(u64, Memory)>,
    /// What rules may be changed to.
    pub(super) sets: Vec<Vec<Spec>>,
    /// The rules in force, and the message after which each began to hear.
    pub(super) in_force: Vec<(Spec, u64)>,
    /// Which sets were taken after which message.
    pub(super) reloads: Vec<(u64, usize)>,
    /// All alerts, to be compared with those of a replay.
    pub(super) alerts: Vec<Alert>,
    /// Everything that was said, for failures and for counting.
    pub(super) said: Vec<String>,
}

impl World {
    /// `finality`: how many blocks below the head are not final.
    pub(super) fn new(finality: u64) -> Self {
        Self::with_rules(RULES, finality)
    }

    pub(super) fn with_rules(rules: &str, finality: u64) -> Self {
        let mut world = Self {
            play: Play::new(rules),
            finality,
            finalized: 0,
            chain: Vec::new(),
            pool: Vec::new(),
            blocks_made: 0,
            highest: 0,
            beliefs: BTreeMap::new(),
            restarts: None,
            sets: Vec::new(),
            in_force: Vec::new(),
            reloads: Vec::new(),
            alerts: Vec::new(),
            said: Vec::new(),
        };
        world.mine();
        world
    }

    /// Rules that may be changed to others of these sets; the first is in force.
    pub(super) fn with_sets(sets: &[&[Spec]], finality: u64) -> Self {
        let mut world = Self::with_rules(&text_of(sets[0]), finality);
        world.in_force = sets[0].iter().map(|spec| (*spec, 0)).collect();
        world.sets = sets.iter().map(|set| set.to_vec()).collect();
        world
    }

    /// Puts another set in force, as a changed file does between two blocks.
    pub(super) fn reload(&mut self, number: usize) {
        if self.sets.is_empty() {
            return;
        }
        let number = number % self.sets.len();
        self.play.switch(&text_of(&self.sets[number]));
        let now = self.play.sequence;
        let before = std::mem::take(&mut self.in_force);
        let since = |spec: &Spec| {
            let taken = before.iter().find(|(other, _)| spec.takes_over(other));
            taken.map_or(now, |(_, since)| *since)
        };
        self.in_force = self.sets[number].iter().map(|spec| (*spec, since(spec))).collect();
        self.reloads.push((now, number));
        self.listen();
    }

    /// Runs a plan: `a=9@1` transaction a moves 9 to recipient 1 (with `!` in even blocks only), `a`
    /// the same again, `|3` mines three blocks, `<2` drops the newest two, `~5` waits five seconds, `^2` two hours,
    /// `%1` puts set 1 in force.
    pub(super) fn run(&mut self, plan: &str) {
        let mut named: BTreeMap<String, Transaction> = BTreeMap::new();
        for step in plan.split_whitespace() {
            let count = step.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(1_u64);
            match step.chars().next() {
                Some('|') => (0..count).for_each(|_| self.mine()),
                Some('<') => self.drop_newest(count as usize),
                Some('~') => self.wait(count as i64),
                Some('^') => self.pass_hours(count as i64),
                Some('%') => self.reload(count as usize),
                _ => {
                    let (name, rest) = step.split_once('=').unwrap_or((step, ""));
                    if let Some((amount, recipient)) = rest.split_once('@') {
                        let transaction = Transaction {
                            hash: named.len() as u16 + 1,
                            amount: amount.parse().unwrap(),
                            recipient: recipient.trim_end_matches('!').parse().unwrap(),
                            fickle: recipient.ends_with('!'),
                        };
                        named.insert(name.to_owned(), transaction);
                    }
                    self.pool.push(named[name]);
                }
            }
        }
    }

    /// Mines what is waiting.
    pub(super) fn mine(&mut self) {
        self.blocks_made += 1;
        let number = self.chain.last().map_or(1, |block| block.number + 1);
        let mut hash = B256::ZERO;
        hash.0[..8].copy_from_slice(&self.blocks_made.to_be_bytes());
        let on_chain: Vec<u16> = self
            .chain
            .iter()
            .flat_map(|block| block.transactions.iter().map(|transaction| transaction.hash))
            .collect();
        let mut transactions: Vec<Transaction> = Vec::new();
        for transaction in std::mem::take(&mut self.pool) {
            let twice = transactions.iter().any(|other| other.hash == transaction.hash);
            if !twice && !on_chain.contains(&transaction.hash) {
                transactions.push(transaction);
            }
        }
        let at_us = self.play.now_us;
        let mut block = Mined { number, hash, incarnation: 1, at_us, transactions, sequence: 0 };
        self.highest = self.highest.max(number);
        self.finalized = self.finalized.max(number.saturating_sub(self.finality));
        self.publish(&mut block);
        self.chain.push(block);
        self.wait(1);
    }

    /// Drops so many blocks, as far as they are not final; their transactions are forgotten.
    pub(super) fn drop_newest(&mut self, depth: usize) {
        for _ in 0..depth {
            if self.chain.last().is_none_or(|block| block.number <= self.finalized) {
                return;
            }
            let Some(mut block) = self.chain.pop() else { return };
            block.incarnation += 1;
            self.publish(&mut block);
        }
    }

    /// Drops the newest blocks and brings the very same ones back.
    pub(super) fn drop_and_restore(&mut self, depth: usize) {
        let before = self.chain.clone();
        self.drop_newest(depth);
        for mut block in before.into_iter().skip(self.chain.len()) {
            block.incarnation += 2;
            self.publish(&mut block);
            self.chain.push(block);
        }
    }

    /// Transactions of the newest blocks.
    pub(super) fn newest_transactions(&self, blocks: usize) -> Vec<Transaction> {
        let newest = self.chain.iter().rev().take(blocks);
        newest.flat_map(|block| block.transactions.clone()).collect()
    }

    /// Hours pass without a tick.
    pub(super) fn pass_hours(&mut self, hours: i64) {
        self.play.now_us += hours * 3_600 * SECOND;
        self.wait(1);
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.play.now_us += SECOND;
            self.play.tick();
            self.restart();
        }
        self.listen();
    }

    /// Waits until nothing is pending any more.
    pub(super) fn be_quiet(&mut self) {
        let enough = self.highest + 3;
        while self.chain.last().is_none_or(|block| block.number < enough) {
            self.mine();
        }
        self.wait(12);
    }

    fn publish(&mut self, block: &mut Mined) {
        let removed = block.incarnation.is_multiple_of(2);
        for (index, transaction) in block.transactions.iter().enumerate() {
            let log_index = index as u32;
            self.play.feed(Erc20Transfer {
                id: log_event_id("base", &block.hash, Kind::Erc20Transfer, log_index, None),
                chain: "base".into(),
                event_at_us: block.at_us,
                observed_at_us: self.play.now_us,
                block_time_us: block.at_us,
                block_number: block.number,
                block_hash: block.hash,
                removed,
                incarnation: block.incarnation,
                tx_hash: transaction.tx_hash(),
                tx_index: log_index,
                log_index,
                to: Address::repeat_byte(transaction.recipient),
                value: Uint256(U256::from(transaction.amount_in(block.number))),
                ..Erc20Transfer::empty()
            });
            self.restart();
        }
        self.play.feed(Block {
            id: chain_event_id("base", &block.hash, Kind::Block),
            chain: "base".into(),
            block_number: block.number,
            block_hash: block.hash,
            removed,
            incarnation: block.incarnation,
            event_at_us: block.at_us,
            finalized_number: self.finalized,
            ..Block::empty()
        });
        block.sequence = self.play.sequence;
        self.restart();
        self.listen();
    }

    /// Now and then the engine ends and begins again with what is stored of it, or reads its rules again.
    fn restart(&mut self) {
        let Some((stride, memory)) = &mut self.restarts else { return };
        let rules = Arc::clone(&self.play.engine.rules);
        let metrics = &self.play.metrics;
        if self.play.sequence.is_multiple_of(*stride) {
            let (state, _) = memory.restart(self.play.engine.state_mut());
            self.play.engine = Engine::with_state(rules, RuleStream::Evm, metrics, state);
        } else if self.play.sequence.is_multiple_of(*stride + 1) {
            // The same rules, read again.
            self.play.engine.switch(rules, metrics, &mut self.play.alerts);
        }
    }

    fn listen(&mut self) {
        for alert in self.play.take() {
            self.alerts.push(alert.clone());
            self.said.push(format!(
                "{} {} {} {} {:?}",
                alert.rule,
                alert.code,
                alert.state.as_str(),
                alert.title,
                alert.lines
            ));
            let before = self.beliefs.get(&alert.alert).map_or(0, |belief| belief.n);
            assert_eq!(alert.n, before + 1, "{:?}", self.said);
            assert_eq!(alert.state == AlertState::Fired, alert.n == 1, "{:?}", self.said);
            let belief = Belief {
                n: alert.n,
                gone: alert.state == AlertState::Resolved
                    || alert.lines.iter().any(|line| line.starts_with("No longer on chain")),
                meets_rule: alert.lines.iter().all(|line| !line.contains("no longer meets")),
                ongoing: alert.ongoing,
                rule: alert.rule,
                transaction: alert.tx_hash,
                number: alert.block_number,
                title: alert.title,
            };
            self.beliefs.insert(alert.alert, belief);
        }
    }
}

pub(super) fn text_of(set: &[Spec]) -> String {
    set.iter().map(Spec::text).collect()
}

impl Transaction {
    pub(super) fn tx_hash(&self) -> B256 {
        let mut hash = B256::repeat_byte(0xee);
        hash.0[..2].copy_from_slice(&self.hash.to_be_bytes());
        hash
    }

    pub(super) fn amount_in(&self, number: u64) -> u64 {
        if self.fickle && !number.is_multiple_of(2) { 1 } else { self.amount }
    }
}
