//! Generated blocks of token transfers.

use alloy_primitives::{Address, B256, address, keccak256};
use serde_json::json;

use super::block_plan::{BlockPlan, Party, Transfer, bloom_bits, set_bits};
use super::header::Header;
use super::position::{Place, Position};
use super::receipts_root::receipts_root;
use super::synthetic_text;
use crate::node::block::{Identity, NodeBlock};

const UNITS_PER_TOKEN: u128 = 1_000_000;
const WEI_PER_CENTIETHER: u128 = 10_000_000_000_000_000;

/// What [`Synthetic`] generates.
#[derive(Debug, Clone)]
pub struct SyntheticOptions {
    /// The same seed gives the same blocks.
    pub seed: u64,
    /// Chain id inside the transactions.
    pub chain_id: u64,
    /// Number of the first block.
    pub first_number: u64,
    /// Time of the first block, seconds since 1970.
    pub first_timestamp: u64,
    /// Time from block to block.
    pub seconds_per_block: u64,
    /// ERC-20 transfers in each block, each in its own transaction.
    pub transfers_per_block: usize,
    /// Native transfers in each block.
    pub native_per_block: usize,
    /// How many accounts send to each other; at least 2.
    pub accounts: usize,
    /// The tokens, six decimals each; at least one.
    pub tokens: Vec<Address>,
    /// Every n-th token transfer moves 1 to 30 million tokens, the others 1 to 50,000; 0: never.
    pub whale_every: u64,
}

impl Default for SyntheticOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            chain_id: 1,
            first_number: 1,
            first_timestamp: 1_700_000_000,
            seconds_per_block: 12,
            transfers_per_block: 200,
            native_per_block: 0,
            accounts: 64,
            tokens: vec![address!("0x5fbdb2315678afecb367f032d93f642f64180aa3")],
            whale_every: 50,
        }
    }
}

/// Generates a chain, the same for the same options.
///
/// Block hashes are the true hashes of the headers, blooms and receipts roots fit the logs, and log indexes have no gaps;
/// the roots of state and transactions are made up.
#[derive(Debug)]
pub struct Synthetic {
    options: SyntheticOptions,
    accounts: Vec<Party>,
    tokens: Vec<Party>,
    topic: B256,
    topic_bits: [usize; 3],
    header: Header,
    position: Position,
}

impl Synthetic {
    /// Prepares a chain; nothing is generated yet.
    #[must_use]
    pub fn new(options: SyntheticOptions) -> Self {
        let mut random = SplitMix(options.seed ^ 0xacc0_0057);
        let accounts = (0..options.accounts.max(2))
            .map(|_| {
                let mut bytes = [0; 20];
                bytes.copy_from_slice(&random.next_hash()[..20]);
                Party::new(Address::from(bytes))
            })
            .collect();
        let tokens = options.tokens.iter().map(|token| Party::new(*token)).collect();
        let position = Position::new(
            options.first_number,
            B256::ZERO,
            options.first_timestamp,
            options.seconds_per_block,
        );
        let topic: B256 = keccak256("Transfer(address,address,uint256)");
        let topic_bits = bloom_bits(topic.as_slice());
        Self { options, accounts, tokens, topic, topic_bits, header: empty_header(), position }
    }

    /// The next block.
    pub fn next_block(&mut self) -> NodeBlock {
        let place = self.position.next(None);
        self.build(place)
    }

    /// The next block, at this time (but not before its parent's).
    pub fn next_block_at(&mut self, timestamp: u64) -> NodeBlock {
        let place = self.position.next(Some(timestamp));
        self.build(place)
    }

    /// Goes back `depth` blocks and builds `new_blocks` of another branch, with other transactions.
    pub fn fork(&mut self, depth: usize, new_blocks: usize) -> Vec<NodeBlock> {
        self.position.fork(depth, false);
        (0..new_blocks).map(|_| self.next_block()).collect()
    }

    /// As [`fork`](Self::fork), but each block holds the transactions of the old branch at its height.
    pub fn fork_with_same_transactions(
        &mut self,
        depth: usize,
        new_blocks: usize,
    ) -> Vec<NodeBlock> {
        self.position.fork(depth, true);
        (0..new_blocks).map(|_| self.next_block()).collect()
    }

    fn build(&mut self, place: Place) -> NodeBlock {
        let transfers = self.transfers(place.number);
        let mut bloom = [0; 256];
        let mut gas_used = 0;
        for transfer in &transfers {
            bloom.iter_mut().zip(&transfer.bloom).for_each(|(all, one)| *all |= one);
            gas_used += transfer.gas();
        }
        let mut header = self.header.clone();
        header.set_place(place.parent_hash, place.number, place.timestamp);
        let receipts_root = receipts_root(&transfers, self.topic);
        header.set_content(receipts_root, &bloom, gas_used);
        header.set_extra_data(&self.position.branch.to_be_bytes());
        let identity = Identity {
            number: place.number,
            hash: header.hash(),
            parent_hash: place.parent_hash,
            timestamp: place.timestamp,
        };
        let plan = BlockPlan {
            identity,
            chain_id: self.options.chain_id,
            branch: self.position.branch,
            gas_used,
            receipts_root,
            bloom,
            transfers,
        };
        let texts = synthetic_text::write(&plan);
        drop(plan);
        self.position.push(identity.hash, place.timestamp);
        NodeBlock::from_texts(identity, texts)
    }

    fn transfers(&self, number: u64) -> Vec<Transfer<'_>> {
        let mut random = SplitMix(self.options.seed);
        random.0 ^= number.wrapping_mul(0x9e6c_63d0_676a_9a99);
        random.0 ^= self.position.transaction_branch.wrapping_mul(0xd6e8_feb8_6659_fd93);
        // Neighbouring numbers must not give neighbouring streams.
        random.0 = random.next();
        let native_from = self.options.transfers_per_block;
        let total = native_from + self.options.native_per_block;
        let mut transfers = Vec::with_capacity(total);
        for index in 0..total {
            let hash = random.next_hash();
            let from = random.below(self.accounts.len());
            let to = (from + 1 + random.below(self.accounts.len() - 1)) % self.accounts.len();
            let (from, to) = (&self.accounts[from], &self.accounts[to]);
            let token = (index < native_from && !self.tokens.is_empty())
                .then(|| &self.tokens[random.below(self.tokens.len().max(1))]);
            let mut bloom = [0; 256];
            let amount = match token {
                Some(token) => {
                    set_bits(&mut bloom, token.as_address_bits);
                    set_bits(&mut bloom, self.topic_bits);
                    set_bits(&mut bloom, from.as_topic_bits);
                    set_bits(&mut bloom, to.as_topic_bits);
                    self.token_amount(number, index, &mut random)
                }
                None => (1 + random.below(10_000) as u128) * WEI_PER_CENTIETHER,
            };
            transfers.push(Transfer { hash, from, to, token, amount, bloom });
        }
        transfers
    }

    fn token_amount(&self, number: u64, index: usize, random: &mut SplitMix) -> u128 {
        let serial =
            number.wrapping_mul(self.options.transfers_per_block as u64).wrapping_add(index as u64);
        let every = self.options.whale_every;
        let tokens = if every > 0 && serial.is_multiple_of(every) {
            1_000_000 + random.below(29_000_000)
        } else {
            1 + random.below(50_000)
        };
        tokens as u128 * UNITS_PER_TOKEN + random.below(1_000_000) as u128
    }
}

// The fixed fields must be those that `synthetic_text` writes.
fn empty_header() -> Header {
    let zero_bloom = format!("0x{}", "0".repeat(512));
    let fields = json!({
        "parentHash": B256::ZERO, "sha3Uncles": synthetic_text::NO_UNCLES,
        "miner": synthetic_text::MINER, "stateRoot": B256::ZERO, "transactionsRoot": B256::ZERO,
        "receiptsRoot": B256::ZERO, "logsBloom": zero_bloom, "difficulty": "0x0", "number": "0x0",
        "gasLimit": synthetic_text::GAS_LIMIT, "gasUsed": "0x0", "timestamp": "0x0",
        "extraData": "0x", "mixHash": B256::ZERO, "nonce": "0x0000000000000000",
        "baseFeePerGas": synthetic_text::BASE_FEE,
    });
    // All fields are there and hexadecimal.
    #[allow(clippy::expect_used)]
    Header::read(&fields).expect("a complete header")
}

/// Splitmix64: fast, and its stream for a seed never changes.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn next_hash(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes());
        }
        bytes
    }

    fn below(&mut self, end: usize) -> usize {
        // Of a few thousand at most, so the bias of the remainder is negligible.
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }
}
