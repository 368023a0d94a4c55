use alloy_primitives::{Address, B256};

use crate::{
    event::{addresses::Addresses, body::event, event_kind::EventKind},
    sample_values::{DROPPED_HASH, POOL, ROUTER, WALLET, in_log, sqrt_price},
    types::{chain_types::DexProtocol, int256::Int256, uint256::Uint256},
};

event! {
    /// A trade in a DEX pool. `address` is the pool (V4: the contract of all pools, see `pool_id`).
    /// Anyone can emit one: identify your pools by their address.
    pub struct Swap: log between (sender, recipient) {
        /// Which form the event has.
        pub protocol: DexProtocol,
        /// Which pool, where one contract holds many (V4).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::HashText>")]
        pub pool_id: Option<B256>,
        /// Caller of the pool, usually a router.
        #[schemars(with = "crate::types::json_hex::AddressText")]
        pub sender: Address,
        /// Recipient of the output; not in V4.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::AddressText>")]
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

impl EventKind for Swap {
    const NAME: &'static str = "swap";
    const SCHEMA: &'static str = "evm.swap/1";
    const SUBJECT: &'static str = "evm.<chain>.swap";

    fn add_addresses(&self, addresses: &mut Addresses) {
        addresses.add(self.sender);
        addresses.add_known(self.recipient);
    }

    fn sample() -> Self {
        in_log!(Swap {
            address: POOL,
            protocol: DexProtocol::UniswapV3,
            pool_id: Some(DROPPED_HASH),
            sender: ROUTER,
            recipient: Some(WALLET),
            amount0: Int256::from(12_500_000_250),
            amount1: Int256::from(-4_747_000_000_000_000_000),
            sqrt_price_x96: Some(sqrt_price()),
            liquidity: Some(Uint256::from(4_012_345_678_901_234_567)),
            tick: Some(-197_466),
            fee: Some(500),
            protocol_fee0: Some(Uint256::from(1_062_500)),
            protocol_fee1: Some(Uint256::from(7)),
        })
    }
}
