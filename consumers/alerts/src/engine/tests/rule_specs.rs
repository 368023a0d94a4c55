//! Rules as the model knows them: their text for the engine, and what is true of them by a plain look at the chain.

use std::collections::BTreeSet;

use super::{SECOND, world::World, *};
use crate::condition::fields::hex_text;

/// What a rule tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tells {
    /// A sum per payee.
    Sum,
    /// The same, where it lasts.
    Held,
    /// A median per payee.
    Median,
    /// Different payees.
    Spread,
    /// Many times as many transfers as usual.
    Unusual,
    /// A large amount, until a small one.
    Level,
    /// No transfer to a payee.
    Absence,
    /// Transfers with blocks on top.
    Deep,
    /// A transfer to a payee after none.
    First,
    /// A small transfer after a large one.
    Sequence,
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) id: &'static str,
    pub(super) tells: Tells,
    /// Seconds.
    pub(super) over: i64,
    /// What it needs.
    pub(super) least: u64,
}

/// A transfer that the chain holds.
struct Truth {
    transaction: B256,
    to: String,
    amount: u64,
    at_us: i64,
    /// Blocks on top of its own.
    depth: u64,
    /// Whether it came while the rule was in force.
    is_heard: bool,
}

pub(super) const fn spec(id: &'static str, tells: Tells, over: i64, least: u64) -> Spec {
    Spec { id, tells, over, least }
}

impl Spec {
    /// Whether a rule that this one replaces leaves its state to it.
    pub(super) fn takes_over(&self, other: &Self) -> bool {
        let is_window = matches!(
            self.tells,
            Tells::Sum | Tells::Held | Tells::Median | Tells::Spread | Tells::Unusual
        );
        // How long it must last is nothing that is remembered.
        let sums = |spec: &Self| matches!(spec.tells, Tells::Sum | Tells::Held);
        self.id == other.id
            && (self.tells == other.tells || sums(self) && sums(other))
            && (!is_window || self.over == other.over)
            && (self.tells != Tells::Sequence || self.least == other.least)
    }

    /// Whether it tells of a condition, by the last word of its title.
    pub(super) fn is_lasting(&self) -> bool {
        !matches!(self.tells, Tells::Deep | Tells::First | Tells::Sequence)
    }

    /// Seconds that its window moves at a time.
    fn step(&self) -> i64 {
        if self.over < 3_600 { 1 } else { 300 }
    }

    pub(super) fn text(&self) -> String {
        let Self { id, over, least, .. } = self;
        let window = |of: &str, having: String| {
            format!("[rule.window]\nover = '{over}s'\n{of}having = '{having}'\n")
        };
        let (trigger, group, title, rest) = match self.tells {
            Tells::Sum | Tells::Held => {
                let of = "every = '1s'\nof = 'value'\n";
                ("window", "to", "{{ sum }} to {{ to }}", window(of, format!("sum >= {least}.0")))
            }
            Tells::Median => {
                let of = "every = '1s'\nof = 'value'\n";
                ("window", "to", "{{ p50 }} to {{ to }}", window(of, format!("p50 >= {least}.0")))
            }
            Tells::Spread => {
                let of = format!("every = '{}s'\ndistinct = 'to'\n", self.step());
                let having = format!("distinct >= {least}");
                ("window", "chain", "{{ distinct }} on {{ chain }}", window(&of, having))
            }
            Tells::Unusual => {
                let of = format!("every = '{}s'\nbaseline = '24h mean'\n", self.step());
                let having = format!("ratio >= {least}.0");
                ("window", "chain", "{{ ratio }} on {{ chain }}", window(&of, having))
            }
            Tells::Level => ("event", "to", "{{ value }} to {{ to }}", String::new()),
            Tells::Absence => {
                let rest = format!("[rule.absence]\nfor = '{over}s'\n");
                ("absence", "to", "nothing to {{ to }}", rest)
            }
            Tells::Deep => ("event", "to", "{{ value }} to {{ to }}", String::new()),
            Tells::First => {
                let rest = format!("[rule.first]\nover = '{over}s'\n");
                ("first", "to", "{{ value }} to {{ to }}", rest)
            }
            Tells::Sequence => {
                let rest = format!(
                    "[rule.sequence]\nwithin = '{over}s'\n[[rule.sequence.step]]\nwhen = 'value >= u256(\"{least}\")'\n[[rule.sequence.step]]\nwhen = 'value < u256(\"{least}\")'\n"
                );
                ("sequence", "to", "{{ opening.value }} and {{ value }} to {{ to }}", rest)
            }
        };
        let more = match self.tells {
            Tells::Held => "for = '5s'\nkeep_firing_for = '3s'\n".to_owned(),
            Tells::Level => format!(
                "when = 'value >= u256(\"{least}\")'\nresolve_when = 'value < u256(\"4\")'\n"
            ),
            Tells::Deep => format!(
                "when = 'value >= u256(\"{least}\")'\nfinality = 'confirmed'\nconfirmations = 2\n"
            ),
            _ => String::new(),
        };
        format!(
            "[[rule]]\nid = '{id}'\non = 'evm.*.transfer.erc20'\ntrigger = '{trigger}'\ngroup_by = ['{group}']\ntitle = '{title}'\n{more}{rest}\n"
        )
    }

    /// The groups for which its condition is true now. It has been quiet for long enough that nothing is under way.
    pub(super) fn lasting(&self, world: &World, since: u64) -> BTreeSet<String> {
        let truth = truth(world, since);
        let heard: Vec<&Truth> = truth.iter().filter(|transfer| transfer.is_heard).collect();
        let now_us = world.play.now_us;
        if let Tells::Spread | Tells::Unusual = self.tells {
            let holds = match self.tells {
                Tells::Spread => {
                    let recent = recent(&heard, now_us, self.over, self.step() * SECOND);
                    let payees: BTreeSet<&String> = recent.map(|transfer| &transfer.to).collect();
                    payees.len() as u64 >= self.least
                }
                _ => self.is_unusual(&heard, now_us),
            };
            return holds.then(|| "base".to_owned()).into_iter().collect();
        }
        let payees: BTreeSet<&String> = heard.iter().map(|transfer| &transfer.to).collect();
        let is_true = |to: &&String| {
            let own: Vec<&Truth> = heard.iter().filter(|it| it.to == **to).copied().collect();
            self.is_true(&own, now_us)
        };
        payees.into_iter().filter(is_true).cloned().collect()
    }

    fn is_true(&self, own: &[&Truth], now_us: i64) -> bool {
        match self.tells {
            Tells::Sum | Tells::Held => {
                let kept = if self.tells == Tells::Held { 3 } else { 0 };
                let recent = recent(own, now_us, self.over + kept, SECOND);
                let amounts: Vec<u64> = recent.map(|transfer| transfer.amount).collect();
                !amounts.is_empty() && amounts.iter().sum::<u64>() >= self.least
            }
            Tells::Median => {
                let recent = recent(own, now_us, self.over, SECOND);
                let mut amounts: Vec<u64> = recent.map(|transfer| transfer.amount).collect();
                amounts.sort_unstable();
                let middle = amounts.len().div_ceil(2).max(1) - 1;
                amounts.get(middle).is_some_and(|median| *median >= self.least)
            }
            Tells::Level => {
                let decisive = |it: &&&Truth| it.amount >= self.least || it.amount < 4;
                own.iter().rfind(decisive).is_some_and(|transfer| transfer.amount >= self.least)
            }
            _ => {
                let last = own.iter().map(|it| it.at_us).max();
                last.is_some_and(|last| now_us - last >= self.over * SECOND)
            }
        }
    }

    /// Whether the window has so many times as many as the mean of the day before it.
    fn is_unusual(&self, heard: &[&Truth], now_us: i64) -> bool {
        let (hour, step) = (3_600 * SECOND, self.step() * SECOND);
        let now = recent(heard, now_us, self.over, step).count() as i64;
        let begin = (now_us.div_euclid(step) - self.over / self.step() + 1) * step;
        let end = begin.div_euclid(hour);
        let hours = heard.iter().map(|transfer| transfer.at_us.div_euclid(hour));
        let hours: Vec<i64> = hours.filter(|at| (end - 24..end).contains(at)).collect();
        let Some(oldest) = hours.iter().min() else { return false };
        let (known, before) = (end - oldest, hours.len() as i64);
        let share = self.over / 3_600;
        now > 0 && known >= 12 && now * known >= self.least as i64 * before * share
    }

    /// The transactions that a rule over events tells of: those that it must tell of, and those that it may have told of
    /// before it was changed.
    pub(super) fn events(&self, world: &World, since: u64) -> (BTreeSet<B256>, BTreeSet<B256>) {
        let truth = truth(world, since);
        let of = |place: usize| &truth[place];
        let (heard, earlier): (Vec<usize>, Vec<usize>) =
            (0..truth.len()).partition(|place| of(*place).is_heard);
        let tells = |place: &usize| {
            let transfer = of(*place);
            let mut before = heard.iter().filter(|other| *other < place).map(|other| of(*other));
            let passed = |other: &Truth| transfer.at_us - other.at_us;
            let over_us = self.over * SECOND;
            match self.tells {
                Tells::Deep => transfer.amount >= self.least && transfer.depth >= 2,
                Tells::First => {
                    before.all(|other| other.to != transfer.to || passed(other) >= over_us)
                }
                _ => {
                    transfer.amount < self.least
                        && before.any(|other| {
                            other.to == transfer.to
                                && other.amount >= self.least
                                && passed(other) <= over_us
                        })
                }
            }
        };
        let transactions = |places: Vec<usize>| places.into_iter().map(|it| of(it).transaction);
        let must = heard.iter().copied().filter(tells).collect();
        (transactions(must).collect(), transactions(earlier).collect())
    }
}

/// Transfers in a window that moves in steps.
fn recent<'t>(
    transfers: &'t [&'t Truth],
    now_us: i64,
    over: i64,
    step_us: i64,
) -> impl Iterator<Item = &'t Truth> {
    let first = now_us.div_euclid(step_us) - over * SECOND / step_us + 1;
    let is_in = move |it: &&&Truth| it.at_us.div_euclid(step_us) >= first;
    transfers.iter().filter(is_in).copied()
}

fn truth(world: &World, since: u64) -> Vec<Truth> {
    let blocks = world.chain.iter();
    let head = world.chain.last().map_or(0, |block| block.number);
    blocks
        .flat_map(|block| {
            block.transactions.iter().map(move |transaction| Truth {
                transaction: transaction.tx_hash(),
                to: hex_text(Address::repeat_byte(transaction.recipient).as_slice()),
                amount: transaction.amount_in(block.number),
                at_us: block.at_us,
                depth: head - block.number,
                is_heard: block.sequence > since,
            })
        })
        .collect()
}
