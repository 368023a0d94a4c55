//! Arbitrary events: every field anything that its type allows.

use crypto_intel_schemas::{
    Address, Alert, AlertState, Approval, B256, Block, BlockRef, Bytes, CallType, ContractCreation,
    ContractEvent, Decimal, Delivery, DeliveryState, DexProtocol, Erc20Transfer, Erc721Transfer,
    Erc1155Transfer, Event, EventFields, EventValue, Finalized, FixedBytes, I256, Index, Int256,
    InternalTransfer, Jump, Link, Liquidity, LiquidityAction, Log, NativeTransfer, NodeStatus,
    Notification, Price, Reorg, Severity, Swap, Tick, TokenStandard, TransactionStatus, U256,
    Uint256,
};
use proptest::{collection, option, prelude::*};

/// One arbitrary event of every kind, in their order.
pub(crate) fn one_of_every_kind() -> impl Strategy<Value = Vec<Event>> {
    vec![
        block().prop_map(Event::from).boxed(),
        reorg().prop_map(Event::from).boxed(),
        finalized().prop_map(Event::from).boxed(),
        jump().prop_map(Event::from).boxed(),
        native_transfer().prop_map(Event::from).boxed(),
        internal_transfer().prop_map(Event::from).boxed(),
        erc20_transfer().prop_map(Event::from).boxed(),
        erc721_transfer().prop_map(Event::from).boxed(),
        erc1155_transfer().prop_map(Event::from).boxed(),
        approval().prop_map(Event::from).boxed(),
        swap().prop_map(Event::from).boxed(),
        liquidity().prop_map(Event::from).boxed(),
        contract_event().prop_map(Event::from).boxed(),
        contract_creation().prop_map(Event::from).boxed(),
        log().prop_map(Event::from).boxed(),
        price().prop_map(Event::from).boxed(),
        index().prop_map(Event::from).boxed(),
        node_status().prop_map(Event::from).boxed(),
        tick().prop_map(Event::from).boxed(),
        alert().prop_map(Event::from).boxed(),
        notification().prop_map(Event::from).boxed(),
        delivery().prop_map(Event::from).boxed(),
    ]
}

/// A number of any size: small ones as likely as huge ones.
pub(crate) fn limbs() -> impl Strategy<Value = [u64; 4]> {
    prop_oneof![
        any::<u64>().prop_map(|limb| [limb, 0, 0, 0]),
        any::<[u64; 4]>(),
        Just([u64::MAX; 4]),
        Just([0; 4]),
    ]
}

/// An empty body with one field after another made arbitrary.
macro_rules! varied {
    ($name:ident: base { $($own:tt)* }) => {
        varied!(@fields Just($name::empty()).boxed(),
            id: text(), source: text(), event_at_us: any::<i64>(), observed_at_us: any::<i64>(),
            $($own)*)
    };
    ($name:ident: chain { $($own:tt)* }) => {
        varied!($name: base {
            chain: text(), chain_id: any::<u64>(), block_number: any::<u64>(), block_hash: hash(),
            block_time_us: any::<i64>(), removed: any::<bool>(), incarnation: any::<u32>(),
            watched: texts(), $($own)*
        })
    };
    ($name:ident: tx { $($own:tt)* }) => {
        varied!($name: chain {
            tx_hash: hash(), tx_index: any::<u32>(), tx_from: option::of(address()),
            tx_to: option::of(address()), method: option::of(selector()), $($own)*
        })
    };
    ($name:ident: log { $($own:tt)* }) => {
        varied!($name: tx {
            log_index: any::<u32>(), address: address(), sub_index: option::of(any::<u32>()),
            $($own)*
        })
    };
    (@fields $start:expr, $($field:ident: $strategy:expr,)*) => {{
        let strategy = $start;
        $(
            let strategy = (strategy, $strategy)
                .prop_map(|(mut body, value)| {
                    body.$field = value;
                    body
                })
                .boxed();
        )*
        strategy
    }};
}

fn block() -> BoxedStrategy<Block> {
    varied!(Block: chain {
        parent_hash: hash(), safe_number: option::of(any::<u64>()), finalized_number: any::<u64>(),
        rows: any::<u32>(), messages: any::<u32>(), partial: any::<bool>(),
        transactions: any::<u32>(), gas_used: any::<u64>(), gas_limit: any::<u64>(),
        base_fee_per_gas: option::of(uint256()), miner: option::of(address()), unverified: texts(),
    })
}

fn reorg() -> BoxedStrategy<Reorg> {
    varied!(Reorg: chain {
        depth: any::<u32>(), ancestor: block_ref(), dropped: collection::vec(block_ref(), 0..20),
    })
}

fn finalized() -> BoxedStrategy<Finalized> {
    varied!(Finalized: chain {
        finalized_number: any::<u64>(), finalized_hash: option::of(hash()),
        safe_number: option::of(any::<u64>()),
    })
}

fn jump() -> BoxedStrategy<Jump> {
    varied!(Jump: chain { from_number: any::<u64>(), to_number: any::<u64>(), })
}

fn native_transfer() -> BoxedStrategy<NativeTransfer> {
    varied!(NativeTransfer: tx {
        from: address(), to: address(), value: uint256(), symbol: option::of(text()),
        amount: option::of(amount()), usd: option::of(amount()), status: status(),
    })
}

fn internal_transfer() -> BoxedStrategy<InternalTransfer> {
    varied!(InternalTransfer: tx {
        sub_index: any::<u32>(), from: address(), to: address(), value: uint256(),
        call_type: prop::sample::select(vec![
            CallType::Call, CallType::Create, CallType::SelfDestruct,
        ]),
        trace_address: collection::vec(any::<u32>(), 0..20), symbol: option::of(text()),
        amount: option::of(amount()), usd: option::of(amount()),
    })
}

fn swap() -> BoxedStrategy<Swap> {
    varied!(Swap: log {
        protocol: protocol(), pool_id: option::of(hash()), sender: address(),
        recipient: option::of(address()), amount0: int256(), amount1: int256(),
        sqrt_price_x96: option::of(uint256()), liquidity: option::of(uint256()),
        tick: option::of(any::<i32>()), fee: option::of(any::<u32>()),
        protocol_fee0: option::of(uint256()), protocol_fee1: option::of(uint256()),
    })
}

fn liquidity() -> BoxedStrategy<Liquidity> {
    varied!(Liquidity: log {
        protocol: protocol(),
        action: prop::sample::select(vec![
            LiquidityAction::PoolCreated, LiquidityAction::Initialize, LiquidityAction::Mint,
            LiquidityAction::Burn, LiquidityAction::Collect, LiquidityAction::Sync,
            LiquidityAction::Modify,
        ]),
        pool: option::of(address()), pool_id: option::of(hash()), token0: option::of(address()),
        token1: option::of(address()), sender: option::of(address()),
        owner: option::of(address()), recipient: option::of(address()),
        amount0: option::of(uint256()), amount1: option::of(uint256()),
        liquidity_delta: option::of(int256()), reserve0: option::of(uint256()),
        reserve1: option::of(uint256()), fee: option::of(any::<u32>()),
        tick_spacing: option::of(any::<i32>()), tick_lower: option::of(any::<i32>()),
        tick_upper: option::of(any::<i32>()), tick: option::of(any::<i32>()),
        sqrt_price_x96: option::of(uint256()), hooks: option::of(address()),
    })
}

fn contract_event() -> BoxedStrategy<ContractEvent> {
    varied!(ContractEvent: log {
        abi: text(), name: text(), signature: text(),
        fields: collection::btree_map(text(), event_value(), 0..5).prop_map(EventFields),
    })
}

fn event_value() -> impl Strategy<Value = EventValue> {
    let leaf =
        prop_oneof![any::<bool>().prop_map(EventValue::Bool), text().prop_map(EventValue::Text),];
    leaf.prop_recursive(4, 20, 5, |inner| collection::vec(inner, 0..5).prop_map(EventValue::List))
}

fn protocol() -> impl Strategy<Value = DexProtocol> {
    prop::sample::select(vec![
        DexProtocol::UniswapV2,
        DexProtocol::UniswapV3,
        DexProtocol::PancakeV3,
        DexProtocol::UniswapV4,
    ])
}

fn int256() -> impl Strategy<Value = Int256> {
    limbs().prop_map(|limbs| Int256(I256::from_raw(U256::from_limbs(limbs))))
}

fn erc20_transfer() -> BoxedStrategy<Erc20Transfer> {
    varied!(Erc20Transfer: log {
        from: address(), to: address(), value: uint256(), symbol: option::of(text()),
        decimals: option::of(any::<u8>()), amount: option::of(amount()),
        usd: option::of(amount()), token_verified: any::<bool>(),
    })
}

fn erc721_transfer() -> BoxedStrategy<Erc721Transfer> {
    varied!(Erc721Transfer: log { from: address(), to: address(), token_id: uint256(), })
}

fn erc1155_transfer() -> BoxedStrategy<Erc1155Transfer> {
    varied!(Erc1155Transfer: log {
        operator: address(), from: address(), to: address(), token_id: uint256(),
        value: uint256(),
    })
}

fn approval() -> BoxedStrategy<Approval> {
    varied!(Approval: log {
        standard: prop::sample::select(vec![
            TokenStandard::Erc20, TokenStandard::Erc721, TokenStandard::Erc1155,
            TokenStandard::Unknown,
        ]),
        owner: address(), spender: address(), value: option::of(uint256()),
        token_id: option::of(uint256()), approved: option::of(any::<bool>()),
    })
}

fn contract_creation() -> BoxedStrategy<ContractCreation> {
    varied!(ContractCreation: tx {
        contract: address(), creator: address(), code_length: any::<u32>(), status: status(),
    })
}

fn log() -> BoxedStrategy<Log> {
    varied!(Log: log {
        topics: collection::vec(hash(), 0..=4),
        data: collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from),
        reason: option::of(text()), truncated: any::<bool>(),
        data_length: option::of(any::<u64>()), data_keccak: option::of(hash()),
    })
}

fn price() -> BoxedStrategy<Price> {
    varied!(Price: base {
        asset: text(), quote: text(), price: amount(), volume_24h: option::of(amount()),
        market_cap: option::of(amount()), change_24h_percent: option::of(amount()),
    })
}

fn index() -> BoxedStrategy<Index> {
    varied!(Index: base { index: text(), value: amount(), classification: option::of(text()), })
}

fn node_status() -> BoxedStrategy<NodeStatus> {
    varied!(NodeStatus: base {
        chain: text(), endpoint: text(), role: text(), instance: text(),
        connected: any::<bool>(), serving: any::<bool>(), reason: text(),
        head: option::of(any::<u64>()), lag_blocks: option::of(any::<u64>()),
        error_percent: any::<u32>(), latency_ms: option::of(any::<u64>()), breaker: text(),
        error: option::of(text()),
    })
}

fn tick() -> BoxedStrategy<Tick> {
    varied!(Tick: base { stream: text(), })
}

fn alert() -> BoxedStrategy<Alert> {
    varied!(Alert: base {
        alert: text(), code: text(), rule: text(), severity: severity(),
        state: prop::sample::select(vec![
            AlertState::Fired, AlertState::Corrected, AlertState::Resolved,
        ]),
        n: any::<u32>(), title: text(), lines: texts(),
        links: collection::vec((text(), text()).prop_map(|(label, url)| Link { label, url }), 0..3),
        routes: texts(), event_id: text(), chain: option::of(text()),
        block_number: option::of(any::<u64>()), block_hash: option::of(hash()),
        tx_hash: option::of(hash()), seen_at_us: any::<i64>(),
    })
}

fn notification() -> BoxedStrategy<Notification> {
    varied!(Notification: base { destination: text(), alert: alert(), })
}

fn delivery() -> BoxedStrategy<Delivery> {
    varied!(Delivery: base {
        delivery: text(), destination: text(), channel: text(), alert: text(), rule: text(),
        severity: severity(),
        state: prop::sample::select(vec![
            DeliveryState::Sent, DeliveryState::Repeated, DeliveryState::Uncertain,
            DeliveryState::Dead, DeliveryState::Expired,
        ]),
        attempts: any::<u32>(), message_id: option::of(text()), error: option::of(text()),
        seen_at_us: any::<i64>(), done_at_us: any::<i64>(),
    })
}

/// Text of any characters, also long enough for every length form of MessagePack's strings.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        1 => (0..300_usize).prop_map(|length| "x".repeat(length)),
    ]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![4 => collection::vec(text(), 0..3), 1 => collection::vec(Just("y".into()), 0..40)]
}

fn hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

fn selector() -> impl Strategy<Value = FixedBytes<4>> {
    any::<[u8; 4]>().prop_map(FixedBytes::from)
}

fn uint256() -> impl Strategy<Value = Uint256> {
    limbs().prop_map(|limbs| Uint256(U256::from_limbs(limbs)))
}

fn block_ref() -> impl Strategy<Value = BlockRef> {
    (any::<u64>(), hash()).prop_map(|(number, hash)| BlockRef { number, hash })
}

fn amount() -> impl Strategy<Value = Decimal> {
    (limbs(), any::<u8>(), any::<bool>()).prop_map(|(limbs, decimals, negative)| {
        let amount = Decimal::from_units(U256::from_limbs(limbs), decimals);
        let sign = if negative { "-" } else { "" };
        Decimal::parse(&format!("{sign}{amount}")).expect("an amount with a sign is an amount")
    })
}

fn status() -> impl Strategy<Value = TransactionStatus> {
    prop::sample::select(vec![
        TransactionStatus::Success,
        TransactionStatus::Failed,
        TransactionStatus::Unknown,
    ])
}

fn severity() -> impl Strategy<Value = Severity> {
    prop::sample::select(vec![Severity::Info, Severity::Warning, Severity::Critical])
}
