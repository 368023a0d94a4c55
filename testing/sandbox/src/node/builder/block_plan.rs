//! What a generated block holds, before it is text.

use alloy_primitives::{Address, B256, keccak256};

use crate::node::block::Identity;

/// keccak of `Transfer(address,address,uint256)`.
pub(super) const TRANSFER_TOPIC: &str =
    "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
pub(super) const TOKEN_GAS: u64 = 51_000;
pub(super) const NATIVE_GAS: u64 = 21_000;

/// An address with values derived from it, computed once.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) address: Address,
    /// 40 digits.
    pub(super) digits: String,
    pub(super) as_address_bits: [usize; 3],
    pub(super) as_topic_bits: [usize; 3],
}

/// One transaction.
#[derive(Debug)]
pub(super) struct Transfer<'a> {
    /// 32 bytes.
    pub(super) hash: [u8; 32],
    pub(super) from: &'a Party,
    pub(super) to: &'a Party,
    /// None: native currency.
    pub(super) token: Option<&'a Party>,
    pub(super) amount: u128,
    pub(super) bloom: Bloom,
}

pub(super) type Bloom = [u8; 256];

/// Everything that the text of a block is generated from.
pub(super) struct BlockPlan<'a> {
    pub(super) identity: Identity,
    pub(super) chain_id: u64,
    pub(super) branch: u64,
    pub(super) gas_used: u64,
    pub(super) receipts_root: B256,
    pub(super) bloom: Bloom,
    pub(super) transfers: Vec<Transfer<'a>>,
}

impl Transfer<'_> {
    pub(super) fn gas(&self) -> u64 {
        if self.token.is_some() { TOKEN_GAS } else { NATIVE_GAS }
    }
}

impl Party {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            digits: format!("{address:x}").trim_start_matches("0x").to_owned(),
            as_address_bits: bloom_bits(address.as_slice()),
            as_topic_bits: bloom_bits(address.into_word().as_slice()),
        }
    }
}

/// The three bits of an item in a log bloom (yellow paper, 4.3.1).
pub(super) fn bloom_bits(item: &[u8]) -> [usize; 3] {
    let hash = keccak256(item);
    [0, 2, 4].map(|at| usize::from(u16::from_be_bytes([hash[at], hash[at + 1]])) & 2047)
}

pub(super) fn set_bits(bloom: &mut Bloom, bits: [usize; 3]) {
    for bit in bits {
        bloom[255 - bit / 8] |= 1 << (bit % 8);
    }
}
