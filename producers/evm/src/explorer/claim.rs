//! What an explorer says of an address in a block, and whether the block itself says so.

use std::collections::HashMap;

use crypto_intel_schemas::{Address, B256, U256};

use crate::{block::BlockData, fetch::traces::UNTRACED};

/// Something that touched an address, as an explorer tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Its block.
    pub(crate) number: u64,
    /// The block's hash, where the explorer tells it.
    pub(crate) block_hash: Option<B256>,
    pub(crate) what: Claimed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// A transaction.
    Transaction { hash: B256 },
    /// Value above 0 that moved inside a transaction.
    Payment { hash: Option<B256>, from: Address, to: Address, value: U256 },
    /// A log of a token.
    Token { hash: B256, contract: Address },
    /// Something else: its block is looked into, and nothing is compared.
    Other,
}

/// What a block does not have of what an explorer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// Only the payments of the explorer are in doubt.
    pub(crate) payments_only: bool,
    pub(crate) text: String,
}

/// What of the claims a whole, verified block does not have.
pub(crate) fn contradictions(
    block: &BlockData,
    claims: &[Claim],
    is_traced: bool,
) -> Vec<Contradiction> {
    let mut found = Vec::new();
    // Each payment of the block answers one claim.
    let mut used = vec![false; block.payments.len()];
    let places: HashMap<B256, usize> =
        block.transactions.iter().enumerate().map(|(place, one)| (one.hash, place)).collect();
    let is_traced = is_traced && !block.unverified.iter().any(|missing| missing == UNTRACED);
    for claim in claims {
        if let Some(hash) = claim.block_hash.filter(|hash| *hash != block.header.hash) {
            let text =
                format!("its block has the hash {hash:#x}, the chain's {:#x}", block.header.hash);
            found.push(Contradiction { payments_only: false, text });
            continue;
        }
        let missing = match &claim.what {
            Claimed::Other => None,
            Claimed::Transaction { hash } => (!places.contains_key(hash))
                .then(|| format!("transaction {hash:#x} is not in the block")),
            Claimed::Token { hash, contract } => {
                let is_it = |log: &&crate::block::LogRecord| {
                    log.tx_hash == *hash && log.address == *contract
                };
                let is_there = block.logs.iter().any(|log| is_it(&log));
                (!is_there)
                    .then(|| format!("token {contract:#x} has no log in transaction {hash:#x}"))
            }
            Claimed::Payment { hash, .. }
                if hash.is_some_and(|hash| !places.contains_key(&hash)) =>
            {
                hash.map(|hash| format!("transaction {hash:#x} is not in the block"))
            }
            Claimed::Payment { .. } => {
                if let Some(text) = missing_payment(block, claim, &places, &mut used) {
                    let why = if is_traced { "no trace has it" } else { "there are no traces" };
                    let text = format!("{text}: {why}");
                    found.push(Contradiction { payments_only: true, text });
                }
                None
            }
        };
        found.extend(missing.map(|text| Contradiction { payments_only: false, text }));
    }
    found
}

fn missing_payment(
    block: &BlockData,
    claim: &Claim,
    places: &HashMap<B256, usize>,
    used: &mut [bool],
) -> Option<String> {
    let Claimed::Payment { hash, from, to, value } = &claim.what else { return None };
    let place = hash.and_then(|hash| places.get(&hash));
    let fits = |index: &usize| {
        let payment = &block.payments[*index];
        !used[*index]
            && payment.from == *from
            && payment.to == *to
            && payment.value == *value
            && place.is_none_or(|place| payment.tx_index as usize == *place)
    };
    match (0..block.payments.len()).find(fits) {
        Some(index) => {
            used[index] = true;
            None
        }
        None => Some(format!("payment of {value} from {from:#x} to {to:#x}")),
    }
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::CallType;

    use super::*;
    use crate::block::{Header, InternalPayment, Transaction};

    fn block() -> BlockData {
        let header = Header {
            number: 7,
            hash: B256::repeat_byte(7),
            parent_hash: B256::repeat_byte(6),
            timestamp: 0,
            gas_used: 0,
            gas_limit: 0,
            base_fee_per_gas: None,
            miner: None,
            has_bloom: false,
            hash_holds: true,
        };
        let transactions = [1, 2].map(|byte| Transaction::of_hash(B256::repeat_byte(byte)));
        let payment = |sub_index: u32| InternalPayment {
            tx_index: 1,
            sub_index,
            from: Address::repeat_byte(3),
            to: Address::repeat_byte(4),
            value: U256::from(5),
            call_type: CallType::Call,
            trace_address: vec![sub_index],
        };
        BlockData {
            header,
            transactions: transactions.into(),
            logs: Vec::new(),
            data: Vec::new(),
            payments: vec![payment(0), payment(1)],
            unverified: Vec::new(),
        }
    }

    fn claim(what: Claimed) -> Claim {
        Claim { number: 7, block_hash: None, what }
    }

    fn payment(hash: Option<u8>, value: u64) -> Claim {
        claim(Claimed::Payment {
            hash: hash.map(B256::repeat_byte),
            from: Address::repeat_byte(3),
            to: Address::repeat_byte(4),
            value: U256::from(value),
        })
    }

    fn told(claims: &[Claim]) -> Vec<(bool, String)> {
        let found = contradictions(&block(), claims, true).into_iter();
        found.map(|one| (one.payments_only, one.text)).collect()
    }

    #[test]
    fn what_the_block_has_is_not_doubted() {
        let transaction = claim(Claimed::Transaction { hash: B256::repeat_byte(1) });
        let hashed = Claim { block_hash: Some(B256::repeat_byte(7)), ..transaction.clone() };
        let claims =
            [transaction, hashed, payment(Some(2), 5), payment(None, 5), claim(Claimed::Other)];
        assert_eq!(told(&claims), []);
    }

    #[test]
    fn what_it_does_not_have_is() {
        let unknown = B256::repeat_byte(9);
        let elsewhere = Claim { block_hash: Some(unknown), ..claim(Claimed::Other) };
        assert!(told(&[elsewhere])[0].1.contains("its block has the hash"));
        assert!(!told(&[claim(Claimed::Transaction { hash: unknown })])[0].0);
        let token = claim(Claimed::Token { hash: B256::repeat_byte(1), contract: Address::ZERO });
        assert!(told(&[token])[0].1.contains("has no log"));
        assert!(told(&[payment(Some(1), 5)])[0].0, "another transaction's");
        assert_eq!(told(&[payment(None, 5), payment(None, 5), payment(None, 5)]).len(), 1);
        let untraced = contradictions(&block(), &[payment(None, 6)], false);
        assert!(untraced[0].payments_only && untraced[0].text.ends_with("there are no traces"));
    }
}
