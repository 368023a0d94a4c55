//! One example event of every kind, for golden vectors, and for whoever checks a rule, a template
//! or a table against what an event can carry.

use alloy_primitives::{address, b256, bytes, fixed_bytes};

use crate::{
    Address, Alert, AlertState, Approval, B256, Block, BlockRef, ContractCreation, Decimal,
    Delivery, DeliveryState, Erc20Transfer, Erc721Transfer, Erc1155Transfer, Event, Finalized,
    Index, Jump, Kind, Link, Log, NativeTransfer, NodeStatus, Notification, Price, Reorg, Severity,
    Tick, TokenStandard, TransactionStatus, U256, Uint256, chain_event_id, log_event_id,
    polled_event_id, short_code, transaction_event_id,
};

const CHAIN: &str = "ethereum";
const BLOCK_NUMBER: u64 = 21_000_000;
const BLOCK_HASH: B256 =
    b256!("0xf5a1d2b3c4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f");
const PARENT_HASH: B256 =
    b256!("0x1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f00f");
const DROPPED_HASH: B256 =
    b256!("0x0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de");
const TX_HASH: B256 = b256!("0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060");
const BLOCK_TIME_US: i64 = 1_729_290_479_000_000;
const OBSERVED_AT_US: i64 = 1_729_290_480_250_000;

const USDC: Address = address!("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48");
const EXCHANGE: Address = address!("0x28c6c06298d514db089934071355e5743bf21d60");
const WALLET: Address = address!("0xd8da6bf26964af9d7eed9e03e53415d37aa96045");
const ROUTER: Address = address!("0x66a9893cc07d91d95644aedd05d03f95e1dba8af");
const COLLECTION: Address = address!("0xbc4ca0eda7647a8ab7c2061c2e118a18a936f13d");

const TX_INDEX: u32 = 17;
const LOG_INDEX: u32 = 42;

/// An event of `kind` with every optional field set, always the same one. Where fields exclude
/// each other in life (the forms of an approval), the sample still has them all.
#[must_use]
pub fn sample(kind: Kind) -> Event {
    match kind {
        Kind::Block => block().into(),
        Kind::Reorg => reorg().into(),
        Kind::Finalized => finalized().into(),
        Kind::Jump => jump().into(),
        Kind::NativeTransfer => native_transfer().into(),
        Kind::InternalTransfer => internal_transfer().into(),
        Kind::Erc20Transfer => erc20_transfer().into(),
        Kind::Erc721Transfer => erc721_transfer().into(),
        Kind::Erc1155Transfer => erc1155_transfer().into(),
        Kind::Approval => approval().into(),
        Kind::Swap => swap().into(),
        Kind::Liquidity => liquidity().into(),
        Kind::ContractEvent => contract_event().into(),
        Kind::ContractCreation => contract_creation().into(),
        Kind::Log => log().into(),
        Kind::Price => price().into(),
        Kind::Index => index().into(),
        Kind::NodeStatus => node_status().into(),
        Kind::Tick => tick().into(),
        Kind::Alert => alert().into(),
        Kind::Notification => notification().into(),
        Kind::Delivery => delivery().into(),
    }
}

/// Puts the named fields back to their absent form.
macro_rules! without {
    ($body:ident: $($field:ident),* $(,)?) => {{
        let mut body = $body;
        $( body.$field = Default::default(); )*
        body.into()
    }};
}

/// The same event as [`sample`] with no optional field set.
#[must_use]
pub fn sample_minimal(kind: Kind) -> Event {
    match sample(kind) {
        Event::Block(body) => without!(
            body: watched, safe_number, partial, base_fee_per_gas, miner, unverified
        ),
        Event::Reorg(body) => without!(body: watched),
        Event::Finalized(body) => without!(body: watched, finalized_hash, safe_number),
        Event::Jump(body) => without!(body: watched),
        Event::NativeTransfer(body) => {
            without!(body: watched, tx_from, tx_to, method, symbol, amount, usd)
        }
        Event::InternalTransfer(body) => {
            without!(body: watched, tx_from, tx_to, method, symbol, amount, usd)
        }
        Event::Erc20Transfer(body) => without!(
            body: watched, tx_from, tx_to, method, sub_index, symbol, decimals, amount, usd
        ),
        Event::Erc721Transfer(body) => without!(body: watched, tx_from, tx_to, method, sub_index),
        Event::Erc1155Transfer(body) => without!(body: watched, tx_from, tx_to, method, sub_index),
        Event::Approval(body) => without!(
            body: watched, tx_from, tx_to, method, sub_index, value, token_id, approved
        ),
        Event::Swap(body) => without!(
            body: watched, tx_from, tx_to, method, sub_index, pool_id, recipient, sqrt_price_x96,
            liquidity, tick, fee, protocol_fee0, protocol_fee1
        ),
        Event::Liquidity(body) => without!(
            body: watched, tx_from, tx_to, method, sub_index, pool, pool_id, token0, token1, sender,
            owner, recipient, amount0, amount1, liquidity_delta, reserve0, reserve1, fee,
            tick_spacing, tick_lower, tick_upper, tick, sqrt_price_x96, hooks
        ),
        Event::ContractEvent(body) => without!(body: watched, tx_from, tx_to, method, sub_index),
        Event::ContractCreation(body) => without!(body: watched, tx_from, tx_to, method),
        Event::Log(body) => without!(
            body: watched, tx_from, tx_to, method, sub_index, reason, truncated, data_length,
            data_keccak
        ),
        Event::Price(body) => without!(body: volume_24h, market_cap, change_24h_percent),
        Event::Index(body) => without!(body: classification),
        Event::NodeStatus(body) => without!(body: head, lag_blocks, latency_ms, error),
        Event::Tick(body) => body.into(),
        Event::Alert(body) => bare_alert(body).into(),
        Event::Notification(mut body) => {
            body.alert = bare_alert(body.alert);
            body.into()
        }
        Event::Delivery(body) => without!(body: message_id, error),
    }
}

fn bare_alert(body: Alert) -> Alert {
    without!(body: lines, links, routes, chain, block_number, block_hash, tx_hash)
}

/// A chain body: its own fields, then those of its block.
macro_rules! in_block {
    ($name:ident { id: $id:expr, $($field:ident: $value:expr,)* }) => {
        $name {
            id: $id,
            event_at_us: BLOCK_TIME_US,
            observed_at_us: OBSERVED_AT_US,
            chain: CHAIN.to_owned(),
            chain_id: 1,
            block_number: BLOCK_NUMBER,
            block_hash: BLOCK_HASH,
            block_time_us: BLOCK_TIME_US,
            watched: vec!["treasury".to_owned()],
            $($field: $value,)*
            ..$name::empty()
        }
    };
}

/// A body of a transaction.
macro_rules! in_transaction {
    ($name:ident { id: $id:expr, $($field:ident: $value:expr,)* }) => {
        in_block!($name {
            id: $id,
            tx_hash: TX_HASH,
            tx_index: TX_INDEX,
            tx_from: Some(EXCHANGE),
            tx_to: Some(ROUTER),
            method: Some(fixed_bytes!("0xa9059cbb")),
            $($field: $value,)*
        })
    };
}

/// A body of a log.
macro_rules! in_log {
    ($name:ident { address: $address:expr, $($field:ident: $value:expr,)* }) => {
        in_transaction!($name {
            id: log_event_id(CHAIN, &BLOCK_HASH, Kind::$name, LOG_INDEX, Some(1)),
            log_index: LOG_INDEX,
            address: $address,
            sub_index: Some(1),
            $($field: $value,)*
        })
    };
}

mod dex;

use dex::{contract_event, internal_transfer, liquidity, swap};

fn block() -> Block {
    in_block!(Block {
        id: chain_event_id(CHAIN, &BLOCK_HASH, Kind::Block),
        parent_hash: PARENT_HASH,
        safe_number: Some(BLOCK_NUMBER - 32),
        finalized_number: BLOCK_NUMBER - 64,
        rows: 311,
        messages: 312,
        partial: true,
        transactions: 169,
        gas_used: 14_852_631,
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(Uint256::from(11_307_526_041)),
        miner: Some(address!("0x95222290dd7278aa3ddd389cc1e1d165cc4bafe5")),
        unverified: vec!["receipts_root".to_owned()],
    })
}

fn reorg() -> Reorg {
    in_block!(Reorg {
        id: chain_event_id(CHAIN, &BLOCK_HASH, Kind::Reorg),
        depth: 1,
        ancestor: BlockRef { number: BLOCK_NUMBER - 1, hash: PARENT_HASH },
        dropped: vec![BlockRef { number: BLOCK_NUMBER, hash: DROPPED_HASH }],
    })
}

fn finalized() -> Finalized {
    in_block!(Finalized {
        id: chain_event_id(CHAIN, &BLOCK_HASH, Kind::Finalized),
        finalized_number: BLOCK_NUMBER - 64,
        finalized_hash: Some(DROPPED_HASH),
        safe_number: Some(BLOCK_NUMBER - 32),
    })
}

fn jump() -> Jump {
    in_block!(Jump {
        id: chain_event_id(CHAIN, &BLOCK_HASH, Kind::Jump),
        from_number: BLOCK_NUMBER - 7_200,
        to_number: BLOCK_NUMBER - 1,
    })
}

fn native_transfer() -> NativeTransfer {
    let value = U256::from(1_500_000_000_000_000_000_u64);
    in_transaction!(NativeTransfer {
        id: transaction_event_id(CHAIN, &BLOCK_HASH, Kind::NativeTransfer, TX_INDEX, None),
        from: EXCHANGE,
        to: WALLET,
        value: Uint256(value),
        symbol: Some("ETH".to_owned()),
        amount: Some(Decimal::from_units(value, 18)),
        usd: Some(decimal("3948.75")),
        status: TransactionStatus::Success,
    })
}

fn erc20_transfer() -> Erc20Transfer {
    let value = U256::from(12_500_000_250_000_u64);
    in_log!(Erc20Transfer {
        address: USDC,
        from: EXCHANGE,
        to: WALLET,
        value: Uint256(value),
        symbol: Some("USDC".to_owned()),
        decimals: Some(6),
        amount: Some(Decimal::from_units(value, 6)),
        usd: Some(decimal("12498750.25")),
        token_verified: true,
    })
}

fn erc721_transfer() -> Erc721Transfer {
    in_log!(Erc721Transfer {
        address: COLLECTION,
        from: EXCHANGE,
        to: WALLET,
        token_id: Uint256::from(8_817),
    })
}

fn erc1155_transfer() -> Erc1155Transfer {
    in_log!(Erc1155Transfer {
        address: COLLECTION,
        operator: ROUTER,
        from: EXCHANGE,
        to: WALLET,
        token_id: Uint256(U256::from(1) << 255),
        value: Uint256::from(3),
    })
}

fn approval() -> Approval {
    in_log!(Approval {
        address: USDC,
        standard: TokenStandard::Erc20,
        owner: WALLET,
        spender: ROUTER,
        value: Some(Uint256(U256::MAX)),
        token_id: Some(Uint256::from(8_817)),
        approved: Some(true),
    })
}

fn contract_creation() -> ContractCreation {
    in_transaction!(ContractCreation {
        id: transaction_event_id(CHAIN, &BLOCK_HASH, Kind::ContractCreation, TX_INDEX, None),
        contract: COLLECTION,
        creator: WALLET,
        code_length: 24_576,
        status: TransactionStatus::Success,
    })
}

fn log() -> Log {
    in_log!(Log {
        address: USDC,
        topics: vec![
            b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
            TX_HASH,
        ],
        data: bytes!("0x00010203fdfeff"),
        reason: Some("transfer without indexed addresses".to_owned()),
        truncated: true,
        data_length: Some(1_048_577),
        data_keccak: Some(DROPPED_HASH),
    })
}

fn price() -> Price {
    Price {
        id: polled_event_id("coingecko", Kind::Price, "bitcoin", BLOCK_TIME_US),
        asset: "bitcoin".to_owned(),
        quote: "usd".to_owned(),
        price: decimal("68412.5"),
        volume_24h: Some(decimal("28114906371.42")),
        market_cap: Some(decimal("1352400000000")),
        change_24h_percent: Some(decimal("-1.25")),
        ..Price::at("coingecko", BLOCK_TIME_US, OBSERVED_AT_US)
    }
}

fn index() -> Index {
    Index {
        id: polled_event_id("alternative-me", Kind::Index, "fear-greed", BLOCK_TIME_US),
        index: "fear-greed".to_owned(),
        value: decimal("23"),
        classification: Some("Extreme Fear".to_owned()),
        ..Index::at("alternative-me", BLOCK_TIME_US, OBSERVED_AT_US)
    }
}

fn node_status() -> NodeStatus {
    NodeStatus {
        id: polled_event_id("evm-1", Kind::NodeStatus, "ethereum:node-a", OBSERVED_AT_US),
        chain: CHAIN.to_owned(),
        endpoint: "node-a".to_owned(),
        role: "primary".to_owned(),
        instance: "evm-1".to_owned(),
        connected: true,
        serving: false,
        reason: "behind".to_owned(),
        head: Some(BLOCK_NUMBER),
        lag_blocks: Some(4),
        error_percent: 12,
        latency_ms: Some(85),
        breaker: "closed".to_owned(),
        error: Some("endpoint node-a is not connected".to_owned()),
        ..NodeStatus::at("evm", OBSERVED_AT_US, OBSERVED_AT_US)
    }
}

fn tick() -> Tick {
    Tick {
        id: polled_event_id("alerts", Kind::Tick, "evm", BLOCK_TIME_US),
        stream: "evm".to_owned(),
        ..Tick::at("alerts", BLOCK_TIME_US, OBSERVED_AT_US)
    }
}

fn alert() -> Alert {
    let key = "9f2c41d07be83a65".to_owned();
    Alert {
        id: format!("{key}:fired:1"),
        code: short_code(&key),
        alert: key,
        rule: "large-erc20-transfer".to_owned(),
        severity: Severity::Critical,
        state: AlertState::Fired,
        n: 1,
        title: "12.5M USDC from an exchange to vitalik.eth".to_owned(),
        lines: vec!["value $12,498,750.25".to_owned(), "from 0x28c6…1d60".to_owned()],
        links: vec![Link {
            label: "tx".to_owned(),
            url: format!("https://etherscan.io/tx/{TX_HASH:#x}"),
        }],
        routes: vec!["ops".to_owned(), "trading".to_owned()],
        event_id: erc20_transfer().id,
        chain: Some(CHAIN.to_owned()),
        block_number: Some(BLOCK_NUMBER),
        block_hash: Some(BLOCK_HASH),
        tx_hash: Some(TX_HASH),
        seen_at_us: OBSERVED_AT_US,
        ..Alert::at("alerts", BLOCK_TIME_US, OBSERVED_AT_US)
    }
}

fn notification() -> Notification {
    let alert = alert();
    Notification {
        id: format!("{}:ops", alert.id),
        destination: "ops".to_owned(),
        alert,
        ..Notification::at("alerts", BLOCK_TIME_US, OBSERVED_AT_US)
    }
}

fn delivery() -> Delivery {
    let notification = notification();
    Delivery {
        id: format!("{}:sent", notification.id),
        delivery: notification.id,
        destination: notification.destination,
        channel: "telegram".to_owned(),
        alert: notification.alert.alert,
        rule: notification.alert.rule,
        severity: notification.alert.severity,
        state: DeliveryState::Sent,
        attempts: 2,
        message_id: Some("4217".to_owned()),
        error: Some("429 too many requests".to_owned()),
        seen_at_us: OBSERVED_AT_US,
        done_at_us: OBSERVED_AT_US + 420_000,
        ..Delivery::at("notify", BLOCK_TIME_US, OBSERVED_AT_US)
    }
}

/// A number written out in this file: 0 never shows, which the tests check.
fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap_or_else(|_| Decimal::zero())
}
