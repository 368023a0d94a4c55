//! Events of DEX pools, of configured ABIs, and payments inside contracts.

use crate::{
    Address, B256, CallType, Decimal, DexProtocol, EventFields, Int256, LiquidityAction, Uint256,
    chain::empty, event::event,
};

event! {
    /// Native value moved inside contracts, where an endpoint offers traces: value above 0, not in
    /// a call that was reverted. The transaction's own payment is `transfer.native`.
    pub struct InternalTransfer: tx {
        /// Which of the transaction's internal payments, in the order of its calls, from 0.
        pub sub_index: u32,
        /// Payer.
        #[schemars(with = "crate::text::AddressText")]
        pub from: Address,
        /// Payee.
        #[schemars(with = "crate::text::AddressText")]
        pub to: Address,
        /// Amount in the chain's smallest unit (wei).
        pub value: Uint256,
        /// How it moved.
        pub call_type: CallType,
        /// Place of the call in the transaction's tree of calls: of each level the number of the call.
        pub trace_address: Vec<u32>,
        /// Symbol of the native token, such as `ETH`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub symbol: Option<String>,
        /// Amount in whole tokens, exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<Decimal>,
        /// Value in US dollars at the time it was seen, where a fresh price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub usd: Option<Decimal>,
    }
}

empty! { InternalTransfer: tx {
    sub_index: 0,
    from: Address::ZERO,
    to: Address::ZERO,
    value: Uint256::default(),
    call_type: CallType::Call,
    trace_address: Vec::new(),
    symbol: None,
    amount: None,
    usd: None,
} }

event! {
    /// A trade in a DEX pool. `address` is the pool (V4: the contract of all pools, see `pool_id`).
    /// Anyone may emit one: know your pools.
    pub struct Swap: log {
        /// Which form the event has.
        pub protocol: DexProtocol,
        /// Which pool, where one contract holds many (V4).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::HashText>")]
        pub pool_id: Option<B256>,
        /// Who called the pool, mostly a router.
        #[schemars(with = "crate::text::AddressText")]
        pub sender: Address,
        /// Who got the output; V4 does not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub recipient: Option<Address>,
        /// Change of the pool's first token, smallest unit: above 0 paid in, below 0 paid out.
        pub amount0: Int256,
        /// Change of the pool's second token, smallest unit: above 0 paid in, below 0 paid out.
        pub amount1: Int256,
        /// Square root of the price after the swap (second token per first), times 2^96; not in V2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sqrt_price_x96: Option<Uint256>,
        /// Liquidity in range after the swap; not in V2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub liquidity: Option<Uint256>,
        /// Tick after the swap; not in V2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick: Option<i32>,
        /// Fee of this swap in millionths; V4 only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fee: Option<u32>,
        /// Fee that the protocol took in the first token; Pancake V3 only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub protocol_fee0: Option<Uint256>,
        /// Fee that the protocol took in the second token; Pancake V3 only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub protocol_fee1: Option<Uint256>,
    }
}

empty! { Swap: log {
    protocol: DexProtocol::UniswapV2,
    pool_id: None,
    sender: Address::ZERO,
    recipient: None,
    amount0: Int256::default(),
    amount1: Int256::default(),
    sqrt_price_x96: None,
    liquidity: None,
    tick: None,
    fee: None,
    protocol_fee0: None,
    protocol_fee1: None,
} }

event! {
    /// A DEX pool was made, or its liquidity changed. `address` is the pool; of `pool_created` the
    /// factory; in V4 the contract of all pools (see `pool_id`).
    pub struct Liquidity: log {
        /// Which form the event has.
        pub protocol: DexProtocol,
        /// What happened.
        pub action: LiquidityAction,
        /// The new pool (`pool_created`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub pool: Option<Address>,
        /// Which pool, where one contract holds many (V4).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::HashText>")]
        pub pool_id: Option<B256>,
        /// The pool's first token, where the event says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub token0: Option<Address>,
        /// The pool's second token, where the event says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub token1: Option<Address>,
        /// Who called the pool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub sender: Option<Address>,
        /// Whose position it is (V3).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub owner: Option<Address>,
        /// Who got the tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub recipient: Option<Address>,
        /// Amount of the first token, smallest unit (mint, burn, collect).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount0: Option<Uint256>,
        /// Amount of the second token, smallest unit (mint, burn, collect).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount1: Option<Uint256>,
        /// Change of the liquidity (V3 mint and burn, V4 modify): below 0 taken away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub liquidity_delta: Option<Int256>,
        /// Reserve of the first token (sync).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reserve0: Option<Uint256>,
        /// Reserve of the second token (sync).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reserve1: Option<Uint256>,
        /// The pool's fee in millionths.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fee: Option<u32>,
        /// The pool's distance between ticks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick_spacing: Option<i32>,
        /// Lower end of the position.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick_lower: Option<i32>,
        /// Upper end of the position.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick_upper: Option<i32>,
        /// First tick (initialize).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick: Option<i32>,
        /// Square root of the first price, times 2^96 (initialize).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sqrt_price_x96: Option<Uint256>,
        /// The pool's hooks (V4 initialize).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::AddressText>")]
        pub hooks: Option<Address>,
    }
}

empty! { Liquidity: log {
    protocol: DexProtocol::UniswapV2,
    action: LiquidityAction::PoolCreated,
    pool: None,
    pool_id: None,
    token0: None,
    token1: None,
    sender: None,
    owner: None,
    recipient: None,
    amount0: None,
    amount1: None,
    liquidity_delta: None,
    reserve0: None,
    reserve1: None,
    fee: None,
    tick_spacing: None,
    tick_lower: None,
    tick_upper: None,
    tick: None,
    sqrt_price_x96: None,
    hooks: None,
} }

event! {
    /// An event of a built-in ABI (`weth`, `chainlink`) or of a configured one, decoded.
    pub struct ContractEvent: log {
        /// Name of the ABI: built-in or as configured.
        pub abi: String,
        /// Name of the event, such as `AnswerUpdated`; in the subject in snake case.
        pub name: String,
        /// Its signature, such as `AnswerUpdated(int256,uint256,uint256)`.
        pub signature: String,
        /// Its parameters by name; one without name by its place, from 0.
        pub fields: EventFields,
    }
}

empty! { ContractEvent: log {
    abi: String::new(),
    name: String::new(),
    signature: String::new(),
    fields: EventFields::default(),
} }
