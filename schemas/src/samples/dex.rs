//! Samples of DEX pools, of a decoded event, and of a payment inside contracts.

use alloy_primitives::address;

use super::{
    BLOCK_HASH, BLOCK_NUMBER, BLOCK_TIME_US, CHAIN, COLLECTION, DROPPED_HASH, EXCHANGE, LOG_INDEX,
    OBSERVED_AT_US, ROUTER, TX_HASH, TX_INDEX, USDC, WALLET, decimal, fixed_bytes,
};
use crate::{
    Address, CallType, ContractEvent, Decimal, DexProtocol, EventFields, EventValue, Int256,
    InternalTransfer, Kind, Liquidity, LiquidityAction, Swap, U256, Uint256, log_event_id,
    transaction_event_id,
};

const POOL: Address = address!("0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640");
const WETH: Address = address!("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2");
const FEED: Address = address!("0x7d4e742018fb52e48b08be73d041c18b21de6fb5");

pub(super) fn internal_transfer() -> InternalTransfer {
    let value = U256::from(250_000_000_000_000_000_u64);
    in_transaction!(InternalTransfer {
        id: transaction_event_id(CHAIN, &BLOCK_HASH, Kind::InternalTransfer, TX_INDEX, Some(1)),
        sub_index: 1,
        from: ROUTER,
        to: WALLET,
        value: Uint256(value),
        call_type: CallType::Call,
        trace_address: vec![2, 1],
        symbol: Some("ETH".to_owned()),
        amount: Some(Decimal::from_units(value, 18)),
        usd: Some(decimal("658.12")),
    })
}

pub(super) fn swap() -> Swap {
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

/// A price of USDC in WETH: about 2,633 dollars.
fn sqrt_price() -> Uint256 {
    Uint256(U256::from(1_543_999_u64) << 90)
}

pub(super) fn liquidity() -> Liquidity {
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
        reserve1: Some(Uint256(U256::from(23_168_000_000_u64) * U256::from(1_000_000_000_000_u64))),
        fee: Some(3_000),
        tick_spacing: Some(60),
        tick_lower: Some(-201_000),
        tick_upper: Some(-193_980),
        tick: Some(-197_466),
        sqrt_price_x96: Some(sqrt_price()),
        hooks: Some(COLLECTION),
    })
}

pub(super) fn contract_event() -> ContractEvent {
    in_log!(ContractEvent {
        address: FEED,
        abi: "chainlink".to_owned(),
        name: "AnswerUpdated".to_owned(),
        signature: "AnswerUpdated(int256,uint256,uint256)".to_owned(),
        fields: EventFields::from([
            ("current", EventValue::from("263312000000")),
            ("is_new", EventValue::Bool(true)),
            ("reporters", EventValue::List(vec![format!("{WALLET:#x}").as_str().into()])),
            ("roundId", "45312".into()),
            ("updatedAt", "1729290479".into()),
        ]),
    })
}
