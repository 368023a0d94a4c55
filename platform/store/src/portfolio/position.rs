//! One asset of one wallet: what it is worth, what it cost, and what of its past is missing.

use crypto_intel_schemas::{Address, Decimal};
use num_bigint::BigInt;

use super::{
    dollars::Dollars,
    ledger::{EntryKind, LedgerEntry, PastPrice, Reading},
    lots::{CostMethod, Direction, Flow, ProfitAndLoss},
};

/// One asset of a wallet before it is valued.
#[derive(Debug, Clone)]
pub struct AssetHistory {
    /// Chain slug.
    pub chain: String,
    /// Contract of the token; `None` for the chain's own currency.
    pub token: Option<Address>,
    /// What the chain said last; `None` where it was not asked.
    pub reading: Option<Reading>,
    /// What moved, oldest first.
    pub entries: Vec<LedgerEntry>,
}

/// What an asset of a wallet is worth, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// What is held, in the smallest unit.
    pub quantity: BigInt,
    /// What a whole unit is worth now, and since when.
    pub price: Option<PastPrice>,
    /// What all of it is worth now.
    pub value: Option<Dollars>,
    /// What came of every flow, by the chosen method.
    pub profit: ProfitAndLoss,
    /// What is held of known cost is worth so much more than it had cost; `None` without a price now.
    pub unrealised: Option<Dollars>,
    /// Fees paid in it, at the prices of then; part of what went out.
    pub fees: Dollars,
    /// Held before the first stored transfer, or received without one: its cost is unknown.
    pub unexplained_in: BigInt,
    /// Gone without a stored transfer.
    pub unexplained_out: BigInt,
}

/// What is not known of an asset's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It was there before the first stored transfer, or came without one.
    CameUnseen,
    /// It left without a stored transfer.
    LeftUnseen,
    /// It is held, and came when no price was known.
    UnknownCost,
    /// It left when no price was known, or its cost is unknown.
    UnknownProfit,
}

impl AssetHistory {
    /// Decimals, as the chain or a transfer said.
    #[must_use]
    pub fn decimals(&self) -> Option<u8> {
        let of_reading = self.reading.as_ref().and_then(|reading| reading.decimals);
        of_reading.or_else(|| self.entries.iter().rev().find_map(|entry| entry.decimals))
    }

    /// Symbol, as the chain or a transfer said.
    #[must_use]
    pub fn symbol(&self) -> Option<&str> {
        let of_reading = self.reading.as_ref().and_then(|reading| reading.symbol.as_deref());
        of_reading.or_else(|| self.entries.iter().rev().find_map(|entry| entry.symbol.as_deref()))
    }

    /// Whether it is the chain's own currency or on the list of known tokens.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.is_verified)
            || self.entries.iter().any(|entry| entry.is_verified)
    }

    /// Times of the entries that have no dollars of their own, microseconds since 1970.
    #[must_use]
    pub fn unpriced_times(&self) -> Vec<i64> {
        let unpriced = self.entries.iter().filter(|entry| entry.usd.is_none());
        let mut times: Vec<i64> = unpriced.map(|entry| entry.block_time_us).collect();
        times.dedup();
        times
    }

    /// Values it: `price` is that of now, `then` that of a time without dollars.
    #[must_use]
    pub fn position(
        &self,
        method: CostMethod,
        price: Option<PastPrice>,
        then: impl Fn(i64) -> Option<Decimal>,
    ) -> Position {
        let decimals = self.decimals();
        let worth = |quantity: &BigInt, price: &Decimal| {
            decimals.map(|decimals| Dollars::value_of(quantity, decimals, price))
        };
        // A reading answers for its block: what came later is in the next one.
        let last = self.reading.as_ref().map_or(i64::MAX, |reading| reading.block_number);
        let mut flows = Vec::with_capacity(self.entries.len() + 2);
        let mut fees = Dollars::default();
        for entry in self.entries.iter().filter(|entry| entry.block_number <= last) {
            let past =
                || then(entry.block_time_us).and_then(|price| worth(&entry.quantity, &price));
            let usd = entry.usd.as_ref().map(Dollars::of).or_else(past);
            if entry.kind == EntryKind::Fee
                && let Some(usd) = &usd
            {
                fees += usd;
            }
            let direction =
                if entry.kind == EntryKind::In { Direction::In } else { Direction::Out };
            flows.push(Flow { direction, quantity: entry.quantity.clone(), usd });
        }
        let (unexplained_in, unexplained_out) = self.reconcile(&mut flows);
        let profit = ProfitAndLoss::of(&flows, method);
        let value_of =
            |quantity: &BigInt| price.as_ref().and_then(|now| worth(quantity, &now.price));
        let value = value_of(&profit.held);
        let of_known_cost = value_of(&(&profit.held - &profit.held_unpriced));
        let unrealised = of_known_cost.map(|value| value - profit.cost.clone());
        let quantity = profit.held.clone();
        Position {
            quantity,
            price,
            value,
            profit,
            unrealised,
            fees,
            unexplained_in,
            unexplained_out,
        }
    }

    /// Adds what the flows lack: an opening of unknown cost, so that nothing leaves that was not there and the end is what the
    /// chain says, and at the end what is gone without a transfer. Returns both.
    fn reconcile(&self, flows: &mut Vec<Flow>) -> (BigInt, BigInt) {
        let (mut sum, mut lowest) = (BigInt::ZERO, BigInt::ZERO);
        for flow in flows.iter() {
            match flow.direction {
                Direction::In => sum += &flow.quantity,
                Direction::Out => sum -= &flow.quantity,
            }
            lowest = lowest.min(sum.clone());
        }
        let end = self
            .reading
            .as_ref()
            .map_or_else(|| &sum - &lowest, |reading| reading.quantity.clone());
        let opening = (-lowest).max(&end - &sum);
        let closing = sum + &opening - end;
        let unpriced = |direction, quantity: &BigInt| Flow {
            direction,
            quantity: quantity.clone(),
            usd: None,
        };
        if opening > BigInt::ZERO {
            flows.insert(0, unpriced(Direction::In, &opening));
        }
        if closing > BigInt::ZERO {
            flows.push(unpriced(Direction::Out, &closing));
        }
        (opening, closing)
    }
}

impl Position {
    /// Whether any of it is there now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.quantity > BigInt::ZERO
    }

    /// What of the past is not known, and how much of the asset it is of; empty where profit and loss are of all that ever
    /// moved.
    #[must_use]
    pub fn missing(&self) -> Vec<(Missing, BigInt)> {
        let found = [
            (Missing::CameUnseen, &self.unexplained_in),
            (Missing::LeftUnseen, &self.unexplained_out),
            (Missing::UnknownCost, &self.profit.held_unpriced),
            (Missing::UnknownProfit, &self.profit.sold_unpriced),
        ];
        let found = found.into_iter().filter(|(_, quantity)| **quantity > BigInt::ZERO);
        found.map(|(what, quantity)| (what, quantity.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
