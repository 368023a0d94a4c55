//! What the event `transaction` says beyond what every block needs: by the transaction itself and by its receipt.

use crypto_intel_schemas::{Address, U256};

/// Contracts that are kept of those that the authorizations of one transaction delegate to.
pub(crate) const MAX_DELEGATES: usize = 8;
/// Gas of one blob (EIP-4844).
const GAS_PER_BLOB: u64 = 1 << 17;

/// Types of transactions.
pub(crate) mod kind {
    /// With one price of gas, as the next one.
    pub(crate) const LEGACY: u8 = 0;
    pub(crate) const ACCESS_LIST: u8 = 1;
    /// The first with a base fee and a tip.
    pub(crate) const DYNAMIC_FEE: u8 = 2;
    /// The newest type of Ethereum: it sets code.
    pub(crate) const SET_CODE: u8 = 4;
    /// ZKsync's own.
    pub(crate) const ZKSYNC: u8 = 0x71;
    /// Arbitrum's own, from deposits to the first of each block, and those before Nitro.
    pub(crate) const ARBITRUM: std::ops::RangeInclusive<u8> = 0x64..=0x6a;
    pub(crate) const ARBITRUM_CLASSIC: u8 = 0x78;
    /// Deposits from Ethereum on chains of the OP stack; their gas was bought there.
    pub(crate) const DEPOSIT: u8 = 0x7e;
}

/// By the transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Details {
    /// The endpoint gave the transaction whole, and it is no record that the chain counts as none.
    pub(crate) is_whole: bool,
    /// Types are one byte; absent where it is none.
    pub(crate) kind: Option<u8>,
    pub(crate) nonce: Option<u64>,
    pub(crate) gas_limit: Option<u64>,
    pub(crate) gas_price: Option<u128>,
    pub(crate) max_fee: Option<u128>,
    pub(crate) max_tip: Option<u128>,
    /// Few transactions have any of these.
    pub(crate) lists: Option<Box<Lists>>,
    pub(crate) paid: Paid,
}

/// What some types have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    pub(crate) blobs: Option<u32>,
    pub(crate) authorizations: Option<u32>,
    /// Each once, at most [`MAX_DELEGATES`].
    pub(crate) delegated_to: Vec<Address>,
}

/// By the receipt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Paid {
    pub(crate) gas_used: Option<u64>,
    pub(crate) gas_used_for_l1: Option<u64>,
    pub(crate) gas_price: Option<u128>,
    pub(crate) blob_gas_price: Option<u128>,
    pub(crate) l1_fee: Option<U256>,
    /// A part of the fee whose formula differs between versions of a chain.
    pub(crate) has_operator_fee: bool,
}

impl Details {
    /// Price of a unit of gas: what the receipt says, unless that is more than the sender allows; else what follows from
    /// transaction and base fee.
    pub(crate) fn effective_gas_price(&self, base_fee: Option<U256>) -> Option<u128> {
        let (limit, own) = match self.kind? {
            kind::LEGACY | kind::ACCESS_LIST => (self.gas_price, self.gas_price),
            kind::DYNAMIC_FEE..=kind::SET_CODE => (self.max_fee, self.dynamic_price(base_fee)),
            _ => (None, None),
        };
        match self.paid.gas_price {
            Some(said) if limit.is_none_or(|limit| said <= limit) => Some(said),
            _ => own,
        }
    }

    fn dynamic_price(&self, base_fee: Option<U256>) -> Option<u128> {
        let base_fee = u128::try_from(base_fee?).ok()?;
        Some(base_fee.checked_add(self.max_tip?)?.min(self.max_fee?))
    }

    /// Gas of its blobs.
    pub(crate) fn blob_gas(&self) -> Option<u64> {
        let blobs = self.lists.as_ref()?.blobs?;
        Some(u64::from(blobs) * GAS_PER_BLOB)
    }

    /// What the sender paid in all; `None` where a part of it is unknown. `needs_l1_fee`: on this chain every transaction has
    /// an L1 fee beside its gas.
    pub(crate) fn fee(&self, base_fee: Option<U256>, needs_l1_fee: bool) -> Option<U256> {
        let gas_used = self.paid.gas_used?;
        match self.kind? {
            // Its gas was bought on Ethereum.
            kind::DEPOSIT => return Some(U256::ZERO),
            ..=kind::SET_CODE | kind::ZKSYNC | kind::ARBITRUM_CLASSIC => {}
            other if kind::ARBITRUM.contains(&other) => {}
            // Some types pay in tokens.
            _ => return None,
        }
        if self.paid.has_operator_fee {
            return None;
        }
        let gas = U256::from(gas_used) * U256::from(self.effective_gas_price(base_fee)?);
        let blobs = match self.blob_gas() {
            Some(gas) => U256::from(gas) * U256::from(self.paid.blob_gas_price?),
            None => U256::ZERO,
        };
        let l1_fee = match self.paid.l1_fee {
            None if needs_l1_fee => return None,
            found => found.unwrap_or_default(),
        };
        gas.checked_add(blobs)?.checked_add(l1_fee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(kind: u8) -> Details {
        Details {
            is_whole: true,
            kind: Some(kind),
            gas_price: Some(50),
            max_fee: Some(40),
            max_tip: Some(3),
            paid: Paid { gas_used: Some(10), ..Paid::default() },
            ..Details::default()
        }
    }

    #[test]
    fn the_price_is_the_receipts_within_what_the_sender_allows() {
        let base = Some(U256::from(30));
        for (kind, said, price) in [
            (0, None, Some(50)),
            (1, Some(20), Some(20)),
            (1, Some(51), Some(50)),
            (2, None, Some(33)),
            (2, Some(34), Some(34)),
            (4, Some(41), Some(33)),
            (0x6a, Some(7), Some(7)),
            (0x6a, None, None),
        ] {
            let mut details = details(kind);
            details.paid.gas_price = said;
            assert_eq!(details.effective_gas_price(base), price, "{kind} {said:?}");
        }
        assert_eq!(details(2).effective_gas_price(Some(U256::from(39))), Some(40), "at most");
        assert_eq!(details(2).effective_gas_price(None), None, "no base fee is known");
    }

    #[test]
    fn a_fee_of_which_a_part_is_unknown_is_absent() {
        let base = Some(U256::from(30));
        let fee = |details: &Details, needs_l1_fee| details.fee(base, needs_l1_fee);
        assert_eq!(fee(&details(2), false), Some(U256::from(330)));
        assert_eq!(fee(&details(2), true), None, "no L1 fee");
        let with = |change: fn(&mut Details)| {
            let mut details = details(3);
            change(&mut details);
            fee(&details, false)
        };
        let blobs = |blobs| Some(Box::new(Lists { blobs: Some(blobs), ..Lists::default() }));
        assert_eq!(with(|one| one.paid.l1_fee = Some(U256::from(5))), Some(U256::from(335)));
        assert_eq!(with(|one| one.paid.gas_used = None), None, "no receipt");
        assert_eq!(with(|one| one.paid.has_operator_fee = true), None);
        assert_eq!(with(|one| one.kind = None), None);
        let mut carrier = details(3);
        carrier.lists = blobs(2);
        assert_eq!(fee(&carrier, false), None, "no price of blobs");
        carrier.paid.blob_gas_price = Some(2);
        assert_eq!(fee(&carrier, false), Some(U256::from(330 + 2 * 2 * 131_072)));
        assert_eq!(fee(&details(kind::DEPOSIT), true), Some(U256::ZERO));
        assert_eq!(fee(&details(0x7b), false), None, "paid in a token");
    }
}
