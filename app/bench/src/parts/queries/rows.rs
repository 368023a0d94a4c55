//! Generated rows: a fortnight of a chain with a block every 12 seconds, and prices beside it. Few wallets and tokens have
//! most of the rows, as on a real chain.

use std::collections::BTreeSet;

use anyhow::Context as _;
use bytes::Bytes;
use crypto_intel_schemas::{
    Address, B256, Block, Decimal, Erc20Transfer, Event, Int256, NativeTransfer, Price, Swap,
    TransactionStatus, U256, Uint256,
};
use crypto_intel_store::{RowSet, Table};

use crate::{
    random::{Random, address},
    worker::{CHAIN, CHAIN_ID},
};

/// Rows of each block, its own not counted.
pub(super) const ROWS_PER_BLOCK: u64 = 100;
const TOKEN_TRANSFERS: u32 = 70;
const NATIVE_TRANSFERS: u32 = 10;
const SWAPS: u32 = 10;
const PRICES: u64 = 10;
const BLOCK_US: i64 = 12_000_000;
const WALLETS: u64 = 300_000;
const TOKENS: u64 = 2_000;
/// Tokens with a known symbol and price.
const LISTED_TOKENS: u64 = 200;
const POOLS: u64 = 1_000;
const ASSETS: u64 = 200;
const WALLET_SEED: u64 = 11;
const TOKEN_SEED: u64 = 12;
const POOL_SEED: u64 = 13;

/// The tables that rows are generated for.
pub(super) const TABLES: [Table; 5] = [
    Table::TokenTransfers,
    Table::NativeTransfers,
    Table::Swaps,
    Table::MarketTicks,
    Table::Blocks,
];

/// One of the wallets; 0 has the most rows.
pub(in crate::parts) fn wallet(rank: u64) -> Address {
    address(WALLET_SEED, rank)
}

/// One of the tokens; 0 has the most rows.
pub(super) fn token(rank: u64) -> Address {
    address(TOKEN_SEED, rank)
}

/// One of the pools; 0 has the most rows.
pub(super) fn pool(rank: u64) -> Address {
    address(POOL_SEED, rank)
}

/// One of the assets that have prices.
pub(super) fn asset(number: u64) -> String {
    format!("asset-{number}")
}

/// Makes the rows, block by block.
#[derive(Debug)]
pub(super) struct Rows {
    random: Random,
    prices: Vec<f64>,
    parent: B256,
    number: u64,
    blocks: u64,
    span: Span,
}

/// The time that the blocks cover, microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    block_us: i64,
    end_us: i64,
}

impl Span {
    /// `blocks` blocks over this many days, up to `end_us` since 1970.
    pub(super) fn new(blocks: u64, days: Option<u32>, end_us: i64) -> Self {
        let block_us = match days {
            Some(days) => i64::from(days) * 86_400_000_000 / blocks.max(1).cast_signed(),
            None => BLOCK_US,
        };
        Self { block_us, end_us }
    }
}

/// What all rows of a block share.
struct InBlock {
    number: u64,
    hash: B256,
    time_us: i64,
}

/// A body with the fields that all bodies of a block share.
macro_rules! in_block {
    ($block:expr, $kind:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $kind {
            event_at_us: $block.time_us,
            observed_at_us: $block.time_us,
            chain: CHAIN.to_owned(),
            chain_id: CHAIN_ID,
            block_number: $block.number,
            block_hash: $block.hash,
            block_time_us: $block.time_us,
            $($field: $value,)*
            ..$kind::empty()
        }
    };
}

impl Rows {
    /// Rows of `blocks` blocks over a time.
    pub(super) fn new(blocks: u64, span: Span) -> Self {
        let mut random = Random::new(1);
        let prices = (0..ASSETS).map(|_| 0.01 * 10_f64.powf(6.0 * random.share())).collect();
        Self { random, prices, parent: B256::ZERO, number: 0, blocks, span }
    }

    /// COPY bodies of the next `blocks` blocks; none after the last one.
    pub(super) fn next_bodies(&mut self, blocks: u64) -> anyhow::Result<Vec<(Table, Bytes)>> {
        let mut rows = RowSet::default();
        for _ in 0..blocks.min(self.blocks - self.number) {
            self.number += 1;
            self.add_block(&mut rows).with_context(|| format!("make block {}", self.number))?;
        }
        rows.sort_and_reduce();
        let bodies = TABLES.into_iter().filter(|table| !rows.table(*table).is_empty());
        Ok(bodies.map(|table| (table, rows.table(table).copy_body(|_| true).0)).collect())
    }

    fn add_block(&mut self, rows: &mut RowSet) -> anyhow::Result<()> {
        let age = i64::try_from(self.blocks - self.number)?;
        let block = InBlock {
            number: self.number,
            hash: B256::from(self.random.bytes::<32>()),
            time_us: self.span.end_us - age * self.span.block_us,
        };
        for place in 0..TOKEN_TRANSFERS {
            rows.add(&self.token_transfer(&block, place)?.into(), 0, 0)?;
        }
        for place in 0..NATIVE_TRANSFERS {
            rows.add(&self.native_transfer(&block, place)?.into(), 0, 0)?;
        }
        for place in 0..SWAPS {
            rows.add(&self.swap(&block, place).into(), 0, 0)?;
        }
        let assets: BTreeSet<u64> =
            (0..PRICES).map(|place| (block.number * PRICES + place) % ASSETS).collect();
        for number in assets {
            rows.add(&self.price(&block, number)?, 0, 0)?;
        }
        rows.add_block(&self.marker(&block), i64::try_from(block.number)?, true, 0)?;
        self.parent = block.hash;
        Ok(())
    }

    /// From 1 to 10 million, small ones as often as large ones.
    fn units(&mut self) -> u64 {
        10_f64.powf(7.0 * self.random.share()) as u64
    }

    fn token_transfer(&mut self, block: &InBlock, place: u32) -> anyhow::Result<Erc20Transfer> {
        let rank = self.random.rank(TOKENS);
        let decimals = if rank.is_multiple_of(3) { 6 } else { 18 };
        let (from, to) = (self.random.rank(WALLETS), self.random.rank(WALLETS));
        let whole = self.units();
        let value = U256::from(whole) * U256::from(10).pow(U256::from(decimals));
        let is_listed = rank < LISTED_TOKENS;
        let usd = || Decimal::parse(&format!("{whole}.25")).context("write a value");
        Ok(in_block!(
            block,
            Erc20Transfer {
                tx_hash: B256::from(self.random.bytes::<32>()),
                tx_index: place,
                log_index: place,
                address: token(rank),
                tx_from: Some(wallet(from)),
                tx_to: Some(token(rank)),
                from: wallet(from),
                to: wallet(to),
                value: Uint256(value),
                symbol: is_listed.then(|| format!("T{rank}")),
                decimals: is_listed.then_some(decimals),
                amount: is_listed.then(|| Decimal::from_units(value, decimals)),
                usd: is_listed.then(usd).transpose()?,
                token_verified: is_listed,
            }
        ))
    }

    fn native_transfer(&mut self, block: &InBlock, place: u32) -> anyhow::Result<NativeTransfer> {
        let (from, to) = (self.random.rank(WALLETS), self.random.rank(WALLETS));
        let milli = self.units();
        let value = U256::from(milli) * U256::from(10).pow(U256::from(15));
        Ok(in_block!(
            block,
            NativeTransfer {
                tx_hash: B256::from(self.random.bytes::<32>()),
                tx_index: TOKEN_TRANSFERS + place,
                tx_from: Some(wallet(from)),
                tx_to: Some(wallet(to)),
                from: wallet(from),
                to: wallet(to),
                value: Uint256(value),
                symbol: Some("ETH".to_owned()),
                amount: Some(Decimal::from_units(value, 18)),
                usd: Some(Decimal::parse(&format!("{}.5", milli * 3))?),
                status: TransactionStatus::Success,
            }
        ))
    }

    fn swap(&mut self, block: &InBlock, place: u32) -> Swap {
        let (rank, from) = (self.random.rank(POOLS), self.random.rank(WALLETS));
        let (paid, got) = (self.units() as i64, self.units() as i64);
        in_block!(
            block,
            Swap {
                tx_hash: B256::from(self.random.bytes::<32>()),
                tx_index: TOKEN_TRANSFERS + NATIVE_TRANSFERS + place,
                log_index: TOKEN_TRANSFERS + place,
                address: pool(rank),
                tx_from: Some(wallet(from)),
                tx_to: Some(pool(rank)),
                sender: wallet(from),
                recipient: Some(wallet(from)),
                amount0: Int256::from(paid * 1_000_000),
                amount1: Int256::from(-got * 1_000_000),
            }
        )
    }

    fn price(&mut self, block: &InBlock, number: u64) -> anyhow::Result<Event> {
        let step = 1.0 + (self.random.share() - 0.5) / 100.0;
        let price = self.prices.get_mut(usize::try_from(number)?).context("find an asset")?;
        *price *= step;
        let text = format!("{price:.8}");
        let price = Price {
            source: "bench".to_owned(),
            event_at_us: block.time_us,
            observed_at_us: block.time_us,
            asset: asset(number),
            price: Decimal::parse(&text)?,
            volume_24h: Some(Decimal::parse(&self.units().to_string())?),
            ..Price::empty()
        };
        Ok(price.into())
    }

    fn marker(&mut self, block: &InBlock) -> Block {
        in_block!(
            block,
            Block {
                incarnation: 1,
                parent_hash: self.parent,
                finalized_number: block.number.saturating_sub(64),
                rows: TOKEN_TRANSFERS + NATIVE_TRANSFERS + SWAPS,
                transactions: TOKEN_TRANSFERS + NATIVE_TRANSFERS + SWAPS,
                gas_used: 15_000_000,
                gas_limit: 30_000_000,
                base_fee_per_gas: Some(Uint256(U256::from(self.units() * 1_000))),
            }
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rows_are_the_same_each_time_and_end_after_the_last_block() {
        let span = Span::new(3, None, 1_700_000_000_000_000);
        let mut rows = [Rows::new(3, span), Rows::new(3, span)];
        let [one, other] = rows.each_mut().map(|rows| rows.next_bodies(2).unwrap());
        assert_eq!(one, other);
        assert_eq!(one.iter().map(|(table, _)| *table).collect::<Vec<_>>(), TABLES);
        assert_eq!(rows[0].next_bodies(2).unwrap().len(), TABLES.len());
        assert!(rows[0].next_bodies(2).unwrap().is_empty());
    }
}
