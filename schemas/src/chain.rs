//! Events of EVM chains.

use crate::{
    Address, B256, BlockRef, Bytes, Decimal, TokenStandard, TransactionStatus, Uint256,
    event::event,
};

/// Gives a chain body its empty form, for `..Self::empty()`.
macro_rules! empty {
    ($name:ident: $level:ident { $($field:ident: $value:expr,)* }) => {
        impl $name {
            /// All fields at zero, for struct update syntax: `Body { address, ..Body::empty() }`.
            #[must_use]
            pub fn empty() -> Self {
                empty!(@$level $name { $($field: $value,)* })
            }
        }
    };
    (@log $name:ident { $($fields:tt)* }) => {
        empty!(@tx $name {
            log_index: 0, address: crate::Address::ZERO, sub_index: None, $($fields)*
        })
    };
    (@tx $name:ident { $($fields:tt)* }) => {
        empty!(@chain $name {
            tx_hash: crate::B256::ZERO, tx_index: 0, tx_from: None, tx_to: None, method: None, $($fields)*
        })
    };
    (@chain $name:ident { $($fields:tt)* }) => {
        $name {
            kind: crate::Kind::$name,
            version: crate::Kind::$name.version(),
            id: String::new(),
            source: "evm".to_owned(),
            event_at_us: 0,
            observed_at_us: 0,
            chain: String::new(),
            chain_id: 0,
            block_number: 0,
            block_hash: crate::B256::ZERO,
            block_time_us: 0,
            removed: false,
            incarnation: 1,
            watched: Vec::new(),
            $($fields)*
        }
    };
}

pub(crate) use empty;

event! {
    /// Marker: a block is canonical and all its events were before it; with `removed` it left the
    /// canonical chain. Markers are a stack: one pushes, a removed one pops.
    pub struct Block: chain {
        /// Hash of the parent.
        #[schemars(with = "crate::text::HashText")]
        pub parent_hash: B256,
        /// Highest block that the chain calls safe, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub safe_number: Option<u64>,
        /// Highest block that cannot leave the chain, by its tag or by the configured depth.
        pub finalized_number: u64,
        /// Number of this block's events that become rows.
        pub rows: u32,
        /// Number of all messages before this marker that belong to its block.
        pub messages: u32,
        /// Only some addresses' events of this block were published: it neither verifies nor
        /// replaces a block.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub partial: bool,
        /// Number of transactions.
        pub transactions: u32,
        /// Gas used.
        pub gas_used: u64,
        /// Gas limit.
        pub gas_limit: u64,
        /// Base fee per gas in wei, since London.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub base_fee_per_gas: Option<Uint256>,
        /// Who received the fees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub miner: Option<Address>,
        /// Checks of the answer that could not be made or failed alike on two endpoints.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub unverified: Vec<String>,
    }
}

empty! { Block: chain {
    parent_hash: B256::ZERO,
    safe_number: None,
    finalized_number: 0,
    rows: 0,
    messages: 0,
    partial: false,
    transactions: 0,
    gas_used: 0,
    gas_limit: 0,
    base_fee_per_gas: None,
    miner: None,
    unverified: Vec::new(),
} }

event! {
    /// The canonical chain changed; in the batch of the first new block, never retracted. Its own
    /// block fields are those of that block.
    pub struct Reorg: chain {
        /// Number of blocks that left.
        pub depth: u32,
        /// Last block that both branches share.
        pub ancestor: BlockRef,
        /// Blocks that left, newest first.
        pub dropped: Vec<BlockRef>,
    }
}

empty! { Reorg: chain {
    depth: 0,
    ancestor: BlockRef { number: 0, hash: B256::ZERO },
    dropped: Vec::new(),
} }

event! {
    /// The finalized block moved; in the next block's batch, never retracted.
    pub struct Finalized: chain {
        /// Highest finalized block.
        pub finalized_number: u64,
        /// Its hash, where the endpoint said it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::HashText>")]
        pub finalized_hash: Option<B256>,
        /// Highest safe block, where the chain says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub safe_number: Option<u64>,
    }
}

empty! { Finalized: chain { finalized_number: 0, finalized_hash: None, safe_number: None, } }

event! {
    /// The live lane left a range of final blocks to the history lane, for it was too far behind: their
    /// events come on `history.<chain>.>`, and rules do not see them. In the batch of the first block
    /// after the range, never retracted; its own block fields are those of that block.
    pub struct Jump: chain {
        /// First block that was left out.
        pub from_number: u64,
        /// Last block that was left out.
        pub to_number: u64,
    }
}

empty! { Jump: chain { from_number: 0, to_number: 0, } }

event! {
    /// Native value moved by a transaction itself: value above 0, a recipient, not failed.
    pub struct NativeTransfer: tx {
        /// Payer.
        #[schemars(with = "crate::text::AddressText")]
        pub from: Address,
        /// Payee.
        #[schemars(with = "crate::text::AddressText")]
        pub to: Address,
        /// Amount in the chain's smallest unit (wei).
        pub value: Uint256,
        /// Symbol of the native token, such as `ETH`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// Amount in whole tokens, exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// Value in US dollars at the time it was seen, where a fresh price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub usd: Option<Decimal>,
        /// Whether the transaction took effect; `unknown` before Byzantium.
        pub status: TransactionStatus,
    }
}

empty! { NativeTransfer: tx {
    from: Address::ZERO,
    to: Address::ZERO,
    value: Uint256::default(),
    symbol: None,
    amount: None,
    usd: None,
    status: TransactionStatus::Unknown,
} }

event! {
    /// ERC-20 `Transfer`: three topics and exactly 32 bytes of data. `address` is the token.
    /// Anyone may emit one from any address: `tx_from` and `token_verified` tell a forged one.
    pub struct Erc20Transfer: log {
        /// Sender as the contract says.
        #[schemars(with = "crate::text::AddressText")]
        pub from: Address,
        /// Recipient as the contract says.
        #[schemars(with = "crate::text::AddressText")]
        pub to: Address,
        /// Amount in the token's smallest unit.
        pub value: Uint256,
        /// Symbol, cleaned and bounded, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// Decimals of the token, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub decimals: Option<u8>,
        /// Amount in whole tokens, exact, where the decimals are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// Value in US dollars at the time it was seen, where a fresh price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub usd: Option<Decimal>,
        /// Whether the contract is on our asset list.
        pub token_verified: bool,
    }
}

empty! { Erc20Transfer: log {
    from: Address::ZERO,
    to: Address::ZERO,
    value: Uint256::default(),
    symbol: None,
    decimals: None,
    amount: None,
    usd: None,
    token_verified: false,
} }

event! {
    /// ERC-721 `Transfer`: four topics and no data. `address` is the collection.
    pub struct Erc721Transfer: log {
        /// Sender as the contract says.
        #[schemars(with = "crate::text::AddressText")]
        pub from: Address,
        /// Recipient as the contract says.
        #[schemars(with = "crate::text::AddressText")]
        pub to: Address,
        /// Which token.
        pub token_id: Uint256,
    }
}

empty! { Erc721Transfer: log {
    from: Address::ZERO,
    to: Address::ZERO,
    token_id: Uint256::default(),
} }

event! {
    /// One item of an ERC-1155 `TransferSingle`, or of a `TransferBatch` (then with `sub_index`).
    pub struct Erc1155Transfer: log {
        /// Who moved it.
        #[schemars(with = "crate::text::AddressText")]
        pub operator: Address,
        /// Sender as the contract says.
        #[schemars(with = "crate::text::AddressText")]
        pub from: Address,
        /// Recipient as the contract says.
        #[schemars(with = "crate::text::AddressText")]
        pub to: Address,
        /// Which token.
        pub token_id: Uint256,
        /// How many of it.
        pub value: Uint256,
    }
}

empty! { Erc1155Transfer: log {
    operator: Address::ZERO,
    from: Address::ZERO,
    to: Address::ZERO,
    token_id: Uint256::default(),
    value: Uint256::default(),
} }

event! {
    /// ERC-20 `Approval` (with `value`), ERC-721 `Approval` (with `token_id`) or `ApprovalForAll`
    /// (with `approved`). `address` is the token.
    pub struct Approval: log {
        /// Which form it is.
        pub standard: TokenStandard,
        /// Whose tokens.
        #[schemars(with = "crate::text::AddressText")]
        pub owner: Address,
        /// Who may move them.
        #[schemars(with = "crate::text::AddressText")]
        pub spender: Address,
        /// ERC-20: how many, in the smallest unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Uint256>,
        /// ERC-721: which token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub token_id: Option<Uint256>,
        /// `ApprovalForAll`: given or withdrawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub approved: Option<bool>,
    }
}

empty! { Approval: log {
    standard: TokenStandard::Erc20,
    owner: Address::ZERO,
    spender: Address::ZERO,
    value: None,
    token_id: None,
    approved: None,
} }

event! {
    /// A contract made by a transaction without recipient.
    pub struct ContractCreation: tx {
        /// Where the contract lives.
        #[schemars(with = "crate::text::AddressText")]
        pub contract: Address,
        /// Who made it.
        #[schemars(with = "crate::text::AddressText")]
        pub creator: Address,
        /// Length of the creation code, bytes.
        pub code_length: u32,
        /// Whether the transaction took effect; `unknown` before Byzantium.
        pub status: TransactionStatus,
    }
}

empty! { ContractCreation: tx {
    contract: Address::ZERO,
    creator: Address::ZERO,
    code_length: 0,
    status: TransactionStatus::Unknown,
} }

event! {
    /// A raw log: of a configured contract, or of a known topic in an unknown form.
    pub struct Log: log {
        /// 0 to 4 topics.
        #[schemars(with = "Vec<crate::text::HashText>")]
        pub topics: Vec<B256>,
        /// Data, cut where `truncated`.
        #[schemars(with = "crate::text::BytesText")]
        pub data: Bytes,
        /// Why a known topic was not decoded, such as `transfer without indexed addresses`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// Whether `data` was cut because the message would be too large.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub truncated: bool,
        /// Length of the whole data, where it was cut, bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub data_length: Option<u64>,
        /// Keccak-256 of the whole data, where it was cut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::HashText>")]
        pub data_keccak: Option<B256>,
    }
}

empty! { Log: log {
    topics: Vec::new(),
    data: Bytes::new(),
    reason: None,
    truncated: false,
    data_length: None,
    data_keccak: None,
} }
