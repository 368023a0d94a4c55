#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crypto_intel_schemas::{
    B256, ContractEvent, DexProtocol, EventValue, I256, Int256, Kind, Liquidity, LiquidityAction,
    Swap, U256, Uint256,
};

use super::{
    tests::{decode, decoder, only, person, reason, with_log},
    *,
};
use crate::abis::config::AbiConfig;

fn signed(values: &[i128]) -> Vec<u8> {
    let word = |value: &i128| I256::try_from(*value).unwrap().to_be_bytes::<32>();
    values.iter().flat_map(word).collect()
}

fn topic(value: i128) -> B256 {
    B256::from_slice(&signed(&[value]))
}

fn decoded(topics: &[B256], data: &[i128]) -> Event {
    only(decode(&ChainConfig::default(), &with_log(topics, &signed(data))))
}

fn swap(topics: &[B256], data: &[i128]) -> Swap {
    match decoded(topics, data) {
        Event::Swap(swap) => swap,
        other => panic!("{other:?}"),
    }
}

fn liquidity(topics: &[B256], data: &[i128]) -> Liquidity {
    match decoded(topics, data) {
        Event::Liquidity(body) => body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn amounts_of_swaps_are_from_the_pools_side() {
    let v2 = swap(&[known::SWAP_V2, person(1), person(2)], &[100, 0, 0, 7]);
    assert_eq!(
        (v2.protocol, v2.recipient),
        (DexProtocol::UniswapV2, Some(Address::repeat_byte(2)))
    );
    assert_eq!((v2.amount0, v2.amount1), (Int256::from(100), Int256::from(-7)));

    let v3 = swap(&[known::SWAP_V3, person(1), person(2)], &[-5, 9, 1 << 96, 77, -887_272]);
    assert_eq!((v3.amount0, v3.amount1), (Int256::from(-5), Int256::from(9)));
    assert_eq!((v3.liquidity, v3.tick), (Some(Uint256::from(77)), Some(-887_272)));
    assert_eq!((v3.sqrt_price_x96, v3.fee), (Some(Uint256(U256::from(1) << 96)), None));

    let pancake = [known::SWAP_PANCAKE_V3, person(1), person(2)];
    let pancake = swap(&pancake, &[-5, 9, 1 << 96, 77, 3, 11, 12]);
    assert_eq!(pancake.protocol, DexProtocol::PancakeV3);
    assert_eq!(pancake.protocol_fee1, Some(Uint256::from(12)));

    // In V4 the event has the swapper's side of the amounts.
    let v4 = swap(&[known::SWAP_V4, B256::repeat_byte(9), person(1)], &[-5, 9, 1, 77, 3, 3_000]);
    assert_eq!((v4.amount0, v4.amount1), (Int256::from(5), Int256::from(-9)));
    assert_eq!((v4.pool_id, v4.fee), (Some(B256::repeat_byte(9)), Some(3_000)));
    assert_eq!(v4.recipient, None);
}

#[test]
fn liquidity_events_have_the_fields_of_their_form() {
    let pair = liquidity(&[known::PAIR_CREATED, person(1), person(2)], &[0xcc, 5]);
    assert_eq!(pair.pool, Some(Address::with_last_byte(0xcc)));
    assert_eq!(
        (pair.token0, pair.token1),
        (Some(Address::repeat_byte(1)), Some(Address::repeat_byte(2)))
    );
    let pool = liquidity(&[known::POOL_CREATED, person(1), person(2), topic(500)], &[10, 0xcc]);
    assert_eq!((pool.fee, pool.tick_spacing), (Some(500), Some(10)));
    assert_eq!(pool.pool, Some(Address::with_last_byte(0xcc)));
    let sync = liquidity(&[known::SYNC], &[8, 9]);
    assert_eq!((sync.reserve0, sync.reserve1), (Some(Uint256::from(8)), Some(Uint256::from(9))));
    let mint = liquidity(&[known::MINT_V3, person(1), topic(-60), topic(60)], &[0xaa, 50, 1, 2]);
    assert_eq!(mint.liquidity_delta, Some(Int256::from(50)));
    assert_eq!((mint.tick_lower, mint.tick_upper), (Some(-60), Some(60)));
    assert_eq!(mint.sender, Some(Address::with_last_byte(0xaa)));
    let burn = liquidity(&[known::BURN_V3, person(1), topic(-60), topic(60)], &[50, 1, 2]);
    assert_eq!(burn.liquidity_delta, Some(Int256::from(-50)));
    assert_eq!((burn.amount0, burn.amount1), (Some(Uint256::from(1)), Some(Uint256::from(2))));
    let collect = [known::COLLECT_V3, person(1), topic(-60), topic(60)];
    assert_eq!(liquidity(&collect, &[0xbb, 1, 2]).action, LiquidityAction::Collect);
    let modify = [known::MODIFY_V4, B256::repeat_byte(9), person(1)];
    assert_eq!(liquidity(&modify, &[-60, 60, -5, 0]).liquidity_delta, Some(Int256::from(-5)));
    let initialize = [known::INITIALIZE_V4, B256::repeat_byte(9), person(1), person(2)];
    let initialize = liquidity(&initialize, &[3_000, 60, 0, 1 << 96, -1]);
    assert_eq!((initialize.tick, initialize.hooks), (Some(-1), Some(Address::ZERO)));
}

#[test]
fn wrapped_tokens_and_feeds_are_events_of_built_in_abis() {
    let Event::ContractEvent(deposit) = decoded(&[known::DEPOSIT, person(1)], &[5]) else {
        panic!("no event");
    };
    assert_eq!((deposit.abi.as_str(), deposit.name.as_str()), ("weth", "Deposit"));
    assert_eq!(deposit.fields.get("wad"), Some(&EventValue::from("5")));
    let answer = decoded(&[known::ANSWER_UPDATED, topic(-3), topic(8)], &[1_700_000_000]);
    let Event::ContractEvent(answer) = answer else { panic!("no event") };
    assert_eq!(answer.fields.get("current"), Some(&EventValue::from("-3")));
    assert_eq!(answer.signature, "AnswerUpdated(int256,uint256,uint256)");
}

#[test]
fn other_forms_and_numbers_beyond_their_type_are_raw_logs() {
    assert!(reason(&[known::DEPOSIT], &signed(&[1, 2])).contains("deposit"));
    assert!(reason(&[known::SYNC], &signed(&[1])).contains("sync"));
    assert!(reason(&[known::SYNC], &signed(&[-1, 0])).contains("beyond its type"));
    let v3 = [known::SWAP_V3, person(1), person(2)];
    assert!(reason(&v3, &signed(&[1, 1, 1, 1, 8_388_608])).contains("beyond its type"));
    assert!(reason(&v3, &signed(&[1, 1, 1, 1])).contains("other topics or data"));
    let v2 = [known::SWAP_V2, person(1), person(2)];
    assert!(reason(&v2, &[0xff; 128]).contains("beyond its type"));
}

fn configured(events: &[&str]) -> ChainConfig {
    let events = events.iter().map(ToString::to_string).collect();
    let abis = vec![AbiConfig { name: "mine".into(), events, ..AbiConfig::default() }];
    ChainConfig { abis, ..ChainConfig::default() }
}

#[test]
fn configured_abis_add_events_with_their_own_ids() {
    let config = configured(&["event Deposit(address indexed dst, uint256 wad)"]);
    let events = decode(&config, &with_log(&[known::DEPOSIT, person(1)], &signed(&[5])));
    let abis: Vec<&str> = events
        .iter()
        .map(|event| match event {
            Event::ContractEvent(ContractEvent { abi, .. }) => abi.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(abis, ["weth", "mine"]);
    assert!(events[0].id().ends_with(":event:0") && events[1].id().ends_with(":event:0.1"));
    // A form that only the configured ABI knows is not odd.
    let config = configured(&["event Deposit(address dst, uint256 wad)"]);
    let events = decode(&config, &with_log(&[known::DEPOSIT], &signed(&[1, 5])));
    assert_eq!(only(events).kind(), Kind::ContractEvent);
}

#[test]
fn an_event_larger_than_a_message_is_published_raw_and_cut() {
    let payload = 64 * 1024;
    let note = alloy_primitives::keccak256("Note(string)");
    let config =
        ChainConfig { max_log_data_bytes: payload, ..configured(&["event Note(string text)"]) };
    let of = |characters: usize| {
        let mut data = signed(&[32, characters as i128]);
        data.extend(std::iter::repeat_n(b'x', characters.next_multiple_of(32)));
        let decoder = decoder(&config).with_max_fields(payload);
        let block = with_log(&[note], &data);
        let context = BlockContext::new(1, crate::enrich::prices::Prices::default());
        let mut events = Vec::new();
        decoder.decode(&block, &context, &mut |event| events.push(event));
        only(events)
    };
    assert_eq!(of(60_000).kind(), Kind::ContractEvent);
    let Event::Log(raw) = of(100_000) else { panic!("no raw log") };
    assert!(raw.reason.unwrap().contains("larger than a message may be"));
    assert!(raw.truncated && raw.data.len() == payload);
    assert_eq!(raw.data_length, Some(64 + 100_000));
}

#[test]
fn a_log_that_does_not_match_its_configured_abi_is_a_raw_log() {
    let config = configured(&["event Paid(address indexed who, uint256 amount)"]);
    let paid = alloy_primitives::keccak256("Paid(address,uint256)");
    let good = decode(&config, &with_log(&[paid, person(1)], &signed(&[5])));
    assert_eq!(only(good).kind(), Kind::ContractEvent);
    for (topics, data) in [(&[paid, person(1)][..], vec![]), (&[paid], signed(&[1, 5]))] {
        let Event::Log(log) = only(decode(&config, &with_log(topics, &data))) else {
            panic!("no raw log");
        };
        assert!(log.reason.unwrap().contains("configured ABI"));
    }
}
