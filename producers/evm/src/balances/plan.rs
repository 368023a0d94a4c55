//! What one turn reads: what was touched first, and beside it what the schedule wants.

use std::collections::{BTreeMap, VecDeque};

use crypto_intel_schemas::{Address, BalanceReason};

use super::{
    fold::Fold,
    holding::{Asset, Holding},
    holdings::Holdings,
};

/// Wallets that wait for their reading on schedule, or for their first one.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    wallets: VecDeque<(Address, BalanceReason)>,
    /// The holdings of the wallet that is being read.
    rest: VecDeque<(Holding, BalanceReason)>,
    /// When the round began that is under way, microseconds UTC.
    began_at_us: Option<i64>,
}

impl Schedule {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.wallets.is_empty() && self.rest.is_empty()
    }

    /// How many wallets wait.
    pub(super) fn waiting(&self) -> usize {
        self.wallets.len()
    }

    /// Whether a round is under way.
    pub(super) fn is_in_round(&self) -> bool {
        self.began_at_us.is_some()
    }

    /// Begins a round over these wallets.
    pub(super) fn begin(&mut self, wallets: impl IntoIterator<Item = Address>, now_us: i64) {
        self.began_at_us = Some(now_us);
        let wallets = wallets.into_iter();
        self.wallets.extend(wallets.map(|wallet| (wallet, BalanceReason::Scheduled)));
    }

    /// A wallet is new on the list: it comes first.
    pub(super) fn add(&mut self, wallet: Address) {
        self.wallets.push_front((wallet, BalanceReason::Added));
    }

    /// When the round began that has ended now; only once.
    pub(super) fn ended(&mut self) -> Option<i64> {
        self.is_empty().then(|| self.began_at_us.take()).flatten()
    }

    /// Reads these again: the turn that wanted them failed.
    pub(super) fn put_back(&mut self, wanted: &BTreeMap<Holding, BalanceReason>) {
        let planned = wanted.iter().filter(|(_, reason)| **reason != BalanceReason::Changed);
        self.rest.extend(planned.map(|(holding, reason)| (*holding, *reason)));
    }

    fn next(
        &mut self,
        holdings: &Holdings,
        listed: &[Address],
    ) -> Option<(Holding, BalanceReason)> {
        while self.rest.is_empty() {
            let (wallet, reason) = self.wallets.pop_front()?;
            self.rest.extend(holdings.of(wallet).map(|holding| (holding, reason)));
            if reason == BalanceReason::Added {
                let tokens = listed.iter().map(|token| Asset::Token(*token));
                let asked = tokens.map(|asset| (Holding { wallet, asset }, reason));
                self.rest.extend(asked);
            }
        }
        self.rest.pop_front()
    }
}

/// At most `most` holdings, each once. While both wait, each gets at least half.
pub(super) fn next_turn(
    fold: &Fold,
    schedule: &mut Schedule,
    (holdings, listed): (&Holdings, &[Address]),
    most: usize,
) -> BTreeMap<Holding, BalanceReason> {
    let touched = match schedule.is_empty() {
        true => most,
        false => most.div_ceil(2),
    };
    let changed = |holding| (holding, BalanceReason::Changed);
    let mut wanted: BTreeMap<_, _> = fold.pending().take(touched).map(changed).collect();
    while wanted.len() < most
        && let Some((holding, reason)) = schedule.next(holdings, listed)
    {
        wanted.entry(holding).or_insert(reason);
    }
    let rest = most - wanted.len();
    wanted.extend(fold.pending().skip(touched).take(rest).map(changed));
    wanted
}
