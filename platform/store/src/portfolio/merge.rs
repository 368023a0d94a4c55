//! Several wallets as one: what moves between them neither comes nor goes.

use std::collections::{BTreeMap, BTreeSet};

use crypto_intel_schemas::Address;
use num_bigint::BigInt;

use super::{
    ledger::{EntryKind, LedgerEntry, Reading},
    position::AssetHistory,
};

/// One asset of the wallets: chain and contract, `None` for the chain's own currency.
type AssetId = (String, Option<Address>);

/// What was read and what moved, of one wallet.
#[derive(Debug, Default)]
pub(super) struct WalletPast {
    pub(super) readings: Vec<Reading>,
    /// Oldest first.
    pub(super) ledger: Vec<LedgerEntry>,
}

/// One asset of one wallet.
#[derive(Debug, Default)]
struct Part {
    reading: Option<Reading>,
    entries: Vec<LedgerEntry>,
}

/// The assets of wallets that belong together. A transfer from one to another is left out on both sides, so that it is neither sale
/// nor purchase; the fee that it cost stays.
pub(super) fn assets_of(wallets: BTreeMap<Address, WalletPast>) -> Vec<AssetHistory> {
    let own: BTreeSet<Address> = wallets.keys().copied().collect();
    let is_one = own.len() == 1;
    let mut assets: BTreeMap<AssetId, BTreeMap<Address, Part>> = BTreeMap::new();
    for (wallet, past) in wallets {
        for reading in past.readings {
            let asset = (reading.chain.clone(), reading.token);
            assets.entry(asset).or_default().entry(wallet).or_default().reading = Some(reading);
        }
        for entry in past.ledger {
            let asset = (entry.chain.clone(), entry.token);
            assets.entry(asset).or_default().entry(wallet).or_default().entries.push(entry);
        }
    }
    let merged = assets.into_iter().map(|((chain, token), parts)| {
        let reading = read_together(&parts);
        let is_outside =
            |entry: &LedgerEntry| !entry.counterparty.is_some_and(|other| own.contains(&other));
        let entries = parts.into_values().flat_map(|part| part.entries);
        let mut entries: Vec<LedgerEntry> = entries.filter(is_outside).collect();
        if !is_one {
            // Within a block what came is counted first: the order of two wallets is not known.
            let order = |entry: &LedgerEntry| {
                (entry.block_time_us, entry.block_number, entry.kind != EntryKind::In)
            };
            entries.sort_by_key(order);
        }
        AssetHistory { chain, token, reading, entries }
    });
    merged.collect()
}

/// What all of them hold at the newest block at which one of them was read; `None` where none was.
fn read_together(parts: &BTreeMap<Address, Part>) -> Option<Reading> {
    let readings = || parts.values().filter_map(|part| part.reading.as_ref());
    let newest = readings().max_by_key(|reading| reading.block_number)?;
    let until = newest.block_number;
    Some(Reading {
        quantity: parts.values().map(|part| part.quantity_at(until)).sum(),
        decimals: readings().find_map(|reading| reading.decimals),
        symbol: readings().find_map(|reading| reading.symbol.clone()),
        is_verified: readings().any(|reading| reading.is_verified),
        ..newest.clone()
    })
}

impl Part {
    /// What the chain said last and what moved since; of a wallet that was never read, the least that explains what moved.
    fn quantity_at(&self, until: i64) -> BigInt {
        let since = self.reading.as_ref().map_or(i64::MIN, |reading| reading.block_number);
        let (mut sum, mut lowest) = (BigInt::ZERO, BigInt::ZERO);
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.block_number > since && entry.block_number <= until)
        {
            match entry.kind {
                EntryKind::In => sum += &entry.quantity,
                EntryKind::Out | EntryKind::Fee => sum -= &entry.quantity,
            }
            lowest = lowest.min(sum.clone());
        }
        match &self.reading {
            Some(reading) => &reading.quantity + sum,
            None => sum - lowest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Address = Address::repeat_byte(1);
    const TWO: Address = Address::repeat_byte(2);
    const STRANGER: Address = Address::repeat_byte(9);

    fn entry(
        kind: EntryKind,
        block_number: i64,
        quantity: u64,
        other: Option<Address>,
    ) -> LedgerEntry {
        LedgerEntry {
            block_time_us: block_number,
            block_number,
            chain: "test".to_owned(),
            token: None,
            kind,
            counterparty: other,
            quantity: BigInt::from(quantity),
            usd: None,
            decimals: None,
            symbol: None,
            is_verified: true,
        }
    }

    fn past(quantity: u64, block_number: i64, ledger: Vec<LedgerEntry>) -> WalletPast {
        let reading = Reading {
            chain: "test".to_owned(),
            token: None,
            quantity: BigInt::from(quantity),
            decimals: None,
            symbol: None,
            is_verified: true,
            block_number,
            block_time_us: block_number,
        };
        WalletPast { readings: vec![reading], ledger }
    }

    #[test]
    fn what_moves_between_own_wallets_neither_comes_nor_goes() {
        use EntryKind::{Fee, In, Out};
        let one = vec![
            entry(In, 1, 10, Some(STRANGER)),
            entry(Out, 2, 6, Some(TWO)),
            entry(Fee, 2, 1, None),
        ];
        let two = vec![entry(In, 2, 6, Some(ONE)), entry(Out, 3, 4, Some(STRANGER))];
        let wallets = BTreeMap::from([(ONE, past(3, 3, one)), (TWO, past(2, 3, two))]);
        let [asset] = &assets_of(wallets)[..] else { panic!("one asset") };
        let kept: Vec<_> =
            asset.entries.iter().map(|entry| (entry.kind, entry.block_number)).collect();
        assert_eq!(kept, [(In, 1), (Fee, 2), (Out, 3)]);
        assert_eq!(asset.reading.as_ref().unwrap().quantity, BigInt::from(5));
    }

    #[test]
    fn wallets_that_were_read_at_different_blocks_are_counted_at_the_newest() {
        use EntryKind::{In, Out};
        // The first was read before it sent six to the second, which was read after.
        let one = past(10, 1, vec![entry(In, 1, 10, Some(STRANGER)), entry(Out, 2, 6, Some(TWO))]);
        let two = past(6, 3, vec![entry(In, 2, 6, Some(ONE))]);
        let [asset] = &assets_of(BTreeMap::from([(ONE, one), (TWO, two)]))[..] else {
            panic!("one asset")
        };
        let reading = asset.reading.as_ref().unwrap();
        assert_eq!((reading.quantity.clone(), reading.block_number), (BigInt::from(10), 3));
    }

    #[test]
    fn one_wallet_stays_as_it_was_read() {
        let ledger = vec![
            entry(EntryKind::In, 1, 10, Some(STRANGER)),
            entry(EntryKind::In, 9, 5, Some(STRANGER)),
        ];
        let [asset] = &assets_of(BTreeMap::from([(ONE, past(10, 3, ledger.clone()))]))[..] else {
            panic!("one asset")
        };
        assert_eq!(asset.reading.as_ref().unwrap().quantity, BigInt::from(10));
        assert_eq!(asset.entries, ledger);
    }
}
