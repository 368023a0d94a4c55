use alloy_primitives::{Address, B256, U256};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind},
    sample_values::{
        COLLECTION, DROPPED_HASH, EXCHANGE, POOL, ROUTER, USDC, WALLET, WETH, in_log, sqrt_price,
    },
    types::{
        chain_types::{DexProtocol, LiquidityAction},
        int256::Int256,
        uint256::Uint256,
    },
};

event! {
    /// A DEX pool was created, or its liquidity changed. `address` is the pool; for `pool_created` the
    /// factory; in V4 the contract of all pools (see `pool_id`).
    pub struct Liquidity: log {
        /// Which form the event has.
        pub protocol: DexProtocol,
        /// What happened.
        pub action: LiquidityAction,
        /// The new pool (`pool_created`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub pool: Option<Address>,
        /// Which pool, where one contract holds many (V4).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::HashText>")]
        pub pool_id: Option<B256>,
        /// The pool's first token, if the event names it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub token0: Option<Address>,
        /// The pool's second token, if the event names it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub token1: Option<Address>,
        /// Caller of the pool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub sender: Option<Address>,
        /// Owner of the position (V3).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub owner: Option<Address>,
        /// Recipient of the tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub recipient: Option<Address>,
        /// Amount of the first token, smallest unit (mint, burn, collect).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount0: Option<Uint256>,
        /// Amount of the second token, smallest unit (mint, burn, collect).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount1: Option<Uint256>,
        /// Change of the liquidity (V3 mint and burn, V4 modify): below 0 when removed.
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
        /// The pool's tick spacing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick_spacing: Option<i32>,
        /// Lower end of the position.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick_lower: Option<i32>,
        /// Upper end of the position.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick_upper: Option<i32>,
        /// Initial tick (initialize).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tick: Option<i32>,
        /// Square root of the initial price, times 2^96 (initialize).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sqrt_price_x96: Option<Uint256>,
        /// The pool's hooks (V4 initialize).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
        pub hooks: Option<Address>,
    }
}

impl EventKind for Liquidity {
    const NAME: &'static str = "liquidity";
    const SCHEMA: &'static str = "evm.liquidity/1";
    const SUBJECT: &'static str = "evm.<chain>.liquidity";

    fn add_addresses(&self, addresses: &mut Addresses) {
        let own = [self.pool, self.token0, self.token1, self.sender, self.owner];
        for address in own.into_iter().chain([self.recipient, self.hooks]) {
            addresses.add_known(address);
        }
    }

    fn sample() -> Self {
        in_log!(Liquidity {
            address: POOL,
            protocol: DexProtocol::UniswapV4,
            action: LiquidityAction::Modify,
            pool: Some(POOL),
            pool_id: Some(DROPPED_HASH),
            token0: Some(USDC),
            token1: Some(WETH),
            sender: Some(ROUTER),
            owner: Some(EXCHANGE),
            recipient: Some(WALLET),
            amount0: Some(Uint256::from(2_500_000_000)),
            amount1: Some(Uint256::from(949_400_000_000_000_000)),
            liquidity_delta: Some(Int256::from(-918_273_645_546)),
            reserve0: Some(Uint256::from(61_002_500_000_000)),
            reserve1: Some(Uint256(
                U256::from(23_168_000_000_u64) * U256::from(1_000_000_000_000_u64)
            )),
            fee: Some(3_000),
            tick_spacing: Some(60),
            tick_lower: Some(-201_000),
            tick_upper: Some(-193_980),
            tick: Some(-197_466),
            sqrt_price_x96: Some(sqrt_price()),
            hooks: Some(COLLECTION),
        })
    }
}
