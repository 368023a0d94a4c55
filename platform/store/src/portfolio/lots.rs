//! Profit and loss of one asset: what went out against what it had cost when it came in.
//!
//! A flow without a known value is kept apart and never guessed: what came in without a price has an unknown cost, and
//! what goes out of it has an unknown profit. What goes out although it never came in says that history is incomplete.

use std::collections::VecDeque;

use num_bigint::BigInt;

use super::dollars::Dollars;

/// Which units go out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CostMethod {
    /// Those that came in first.
    Fifo,
    /// Some of each: every unit cost the mean of all that are held.
    AverageCost,
}

/// Which way an asset moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the wallet.
    In,
    /// From the wallet.
    Out,
}

/// One movement of the asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Which way.
    pub direction: Direction,
    /// How much, in the asset's smallest unit; not negative.
    pub quantity: BigInt,
    /// What all of it was worth then; `None` where no price is known.
    pub usd: Option<Dollars>,
}

/// What came of all flows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfitAndLoss {
    /// Proceeds minus cost, of what went out with both known.
    pub realised: Dollars,
    /// What `held` minus `held_unpriced` had cost.
    pub cost: Dollars,
    /// What is still there.
    pub held: BigInt,
    /// Of it, what came in without a known price.
    pub held_unpriced: BigInt,
    /// What went out with an unknown cost or without a known price.
    pub sold_unpriced: BigInt,
    /// What went out although it never came in: history before it is missing.
    pub uncovered: BigInt,
}

impl ProfitAndLoss {
    /// Of all flows of an asset, oldest first.
    #[must_use]
    pub fn of(flows: &[Flow], method: CostMethod) -> Self {
        let mut holdings = Holdings { lots: VecDeque::new(), method };
        let mut result = Self::default();
        for flow in flows {
            match flow.direction {
                Direction::In => holdings.add(flow),
                Direction::Out => result.sell(flow, &mut holdings),
            }
        }
        for lot in holdings.lots {
            result.held += &lot.quantity;
            match lot.cost {
                Some(cost) => result.cost += &cost,
                None => result.held_unpriced += &lot.quantity,
            }
        }
        result
    }

    /// Whether every unit has a known cost and a known end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        [&self.held_unpriced, &self.sold_unpriced, &self.uncovered]
            .into_iter()
            .all(|quantity| quantity == &BigInt::ZERO)
    }

    fn sell(&mut self, flow: &Flow, holdings: &mut Holdings) {
        let mut left = flow.quantity.clone();
        let mut proceeds_left = flow.usd.clone();
        for part in holdings.take(&flow.quantity) {
            let proceeds = proceeds_left.as_mut().map(|all| {
                let share = all.share(&part.quantity, &left);
                *all -= &share;
                share
            });
            left -= &part.quantity;
            match (proceeds, part.cost) {
                (Some(proceeds), Some(cost)) => self.realised += &(proceeds - cost),
                _ => self.sold_unpriced += part.quantity,
            }
        }
        self.uncovered += left;
    }
}

/// Units of one origin: their cost is known, or unknown, for all of them.
#[derive(Debug)]
struct Lot {
    quantity: BigInt,
    cost: Option<Dollars>,
}

impl Lot {
    /// Takes some of it out, with its share of the cost.
    fn split(&mut self, quantity: BigInt) -> Self {
        let cost = self.cost.as_mut().map(|all| {
            let share = all.share(&quantity, &self.quantity);
            *all -= &share;
            share
        });
        self.quantity -= &quantity;
        Self { quantity, cost }
    }
}

/// What is held: by [`CostMethod::AverageCost`] at most one lot of known and one of unknown cost.
#[derive(Debug)]
struct Holdings {
    lots: VecDeque<Lot>,
    method: CostMethod,
}

impl Holdings {
    fn add(&mut self, flow: &Flow) {
        if flow.quantity == BigInt::ZERO {
            return;
        }
        let mut alike = self.lots.iter_mut().find(|lot| lot.cost.is_some() == flow.usd.is_some());
        match (self.method, &mut alike) {
            (CostMethod::AverageCost, Some(lot)) => {
                lot.quantity += &flow.quantity;
                if let (Some(cost), Some(usd)) = (&mut lot.cost, &flow.usd) {
                    *cost += usd;
                }
            }
            _ => {
                let (quantity, cost) = (flow.quantity.clone(), flow.usd.clone());
                self.lots.push_back(Lot { quantity, cost });
            }
        }
    }

    /// Takes out at most so many units.
    fn take(&mut self, wanted: &BigInt) -> Vec<Lot> {
        match self.method {
            CostMethod::Fifo => self.take_oldest(wanted),
            CostMethod::AverageCost => self.take_of_each(wanted),
        }
    }

    fn take_oldest(&mut self, wanted: &BigInt) -> Vec<Lot> {
        let mut left = wanted.clone();
        let mut taken = Vec::new();
        while left > BigInt::ZERO
            && let Some(mut oldest) = self.lots.pop_front()
        {
            if oldest.quantity <= left {
                left -= &oldest.quantity;
                taken.push(oldest);
            } else {
                taken.push(oldest.split(std::mem::take(&mut left)));
                self.lots.push_front(oldest);
            }
        }
        taken
    }

    fn take_of_each(&mut self, wanted: &BigInt) -> Vec<Lot> {
        let mut held: BigInt = self.lots.iter().map(|lot| &lot.quantity).sum();
        let mut left = wanted.min(&held).clone();
        let mut taken = Vec::new();
        for lot in &mut self.lots {
            if left == BigInt::ZERO {
                break;
            }
            // Of the last lot all that is left: shares are cut, and nothing may be lost by it.
            let quantity = &left * &lot.quantity / &held;
            let quantity = if lot.quantity == held {
                left.clone()
            } else {
                quantity.min(lot.quantity.clone())
            };
            held -= &lot.quantity;
            left -= &quantity;
            taken.push(lot.split(quantity));
        }
        self.lots.retain(|lot| lot.quantity > BigInt::ZERO);
        taken
    }
}

#[cfg(test)]
mod tests;
