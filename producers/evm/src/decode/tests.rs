#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crypto_intel_schemas::{
    B256, Decimal, Erc20Transfer, Kind, TokenStandard, TransactionStatus, U256, Uint256,
};
use crypto_intel_service::prometheus::Registry;
use proptest::prelude::*;

use super::*;
use crate::{
    block::Header,
    enrich::{assets::AssetList, prices::PriceCache},
    metrics::Metrics,
};

pub(super) fn decoder(config: &ChainConfig) -> Decoder {
    let metrics = Metrics::new(&Registry::new()).unwrap().of_chain("ethereum");
    let assets = AssetList::load(None).unwrap().of_chain("ethereum");
    Decoder::new("ethereum", config, assets, metrics)
}

pub(super) fn block() -> BlockData {
    BlockData {
        header: Header {
            number: 5,
            hash: B256::repeat_byte(5),
            parent_hash: B256::repeat_byte(4),
            timestamp: 1_700_000_000,
            gas_used: 0,
            gas_limit: 0,
            base_fee_per_gas: None,
            miner: None,
            has_bloom: true,
            hash_holds: true,
        },
        transactions: vec![Transaction {
            hash: B256::repeat_byte(0x10),
            from: Some(Address::repeat_byte(0xa)),
            to: Some(Address::repeat_byte(0xb)),
            value: U256::ZERO,
            method: None,
            input_length: 0,
            status: TransactionStatus::Success,
            contract: None,
            has_receipt: true,
            details: crate::details::Details::default(),
        }],
        logs: Vec::new(),
        data: Vec::new(),
        payments: Vec::new(),
        unverified: Vec::new(),
    }
}

pub(super) fn with_log(topics: &[B256], data: &[u8]) -> BlockData {
    let mut block = block();
    let mut places = [B256::ZERO; 4];
    places[..topics.len()].copy_from_slice(topics);
    block.logs.push(LogRecord {
        address: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48".parse().unwrap(),
        topics: places,
        topic_count: topics.len(),
        data: 0..data.len(),
        tx_hash: B256::repeat_byte(0x10),
        tx_index: 0,
        log_index: 0,
    });
    block.data = data.to_vec();
    block
}

pub(super) fn decode(config: &ChainConfig, block: &BlockData) -> Vec<Event> {
    let prices = PriceCache::new(300);
    prices.set_for_test("usd-coin", "0.999", block.header.time_us());
    prices.set_for_test("ethereum", "2000", block.header.time_us());
    let context = BlockContext {
        observed_at_us: 9,
        incarnation: 1,
        prices: prices.now(),
        tokens: crate::enrich::tokens::Tokens::default(),
        watched: crate::enrich::watch::WatchView::default(),
        labels: crate::enrich::labels::LabelView::default(),
        dust: None,
        marks: Vec::new(),
    };
    let mut events = Vec::new();
    decoder(config).decode(block, &context, &mut |event| events.push(event));
    events
}

fn word(value: u64) -> [u8; 32] {
    U256::from(value).to_be_bytes()
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| word(*value)).collect()
}

pub(super) fn person(byte: u8) -> B256 {
    Address::repeat_byte(byte).into_word()
}

pub(super) fn only(events: Vec<Event>) -> Event {
    assert_eq!(events.len(), 1, "{events:?}");
    events.into_iter().next().unwrap()
}

pub(super) fn reason(topics: &[B256], data: &[u8]) -> String {
    match only(decode(&ChainConfig::default(), &with_log(topics, data))) {
        Event::Log(log) => log.reason.expect("a reason"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_erc20_transfer_carries_symbol_amount_and_usd() {
    let block = with_log(&[known::TRANSFER, person(1), person(2)], &word(1_500_000));
    let Event::Erc20Transfer(transfer) = only(decode(&ChainConfig::default(), &block)) else {
        panic!("no transfer");
    };
    let expected = Erc20Transfer {
        id: format!("ethereum:0x{}:transfer.erc20:0", "05".repeat(32)),
        event_at_us: 1_700_000_000_000_000,
        observed_at_us: 9,
        chain: "ethereum".into(),
        chain_id: 0,
        block_number: 5,
        block_hash: B256::repeat_byte(5),
        block_time_us: 1_700_000_000_000_000,
        tx_hash: B256::repeat_byte(0x10),
        tx_from: Some(Address::repeat_byte(0xa)),
        tx_to: Some(Address::repeat_byte(0xb)),
        address: transfer.address,
        from: Address::repeat_byte(1),
        to: Address::repeat_byte(2),
        value: Uint256::from(1_500_000),
        symbol: Some("USDC".into()),
        decimals: Some(6),
        amount: Some(Decimal::parse("1.5").unwrap()),
        usd: Some(Decimal::parse("1.49").unwrap()),
        token_verified: true,
        ..Erc20Transfer::empty()
    };
    assert_eq!(transfer, expected);
}

#[test]
fn the_standards_are_told_apart_by_topics_and_data() {
    let token_id = B256::from(U256::from(77));
    let cases: [(&[B256], Vec<u8>, Kind); 6] = [
        (&[known::TRANSFER, person(1), person(2)], words(&[5]), Kind::Erc20Transfer),
        (&[known::TRANSFER, person(1), person(2), token_id], vec![], Kind::Erc721Transfer),
        (
            &[known::TRANSFER_SINGLE, person(9), person(1), person(2)],
            words(&[7, 8]),
            Kind::Erc1155Transfer,
        ),
        (&[known::APPROVAL, person(1), person(2)], words(&[5]), Kind::Approval),
        (&[known::APPROVAL, person(1), person(2), token_id], vec![], Kind::Approval),
        (&[known::APPROVAL_FOR_ALL, person(1), person(2)], words(&[1]), Kind::Approval),
    ];
    for (topics, data, kind) in cases {
        let event = only(decode(&ChainConfig::default(), &with_log(topics, &data)));
        assert_eq!(event.kind(), kind);
        if let Event::Approval(approval) = &event {
            let filled = [
                approval.value.is_some(),
                approval.token_id.is_some(),
                approval.approved.is_some(),
            ];
            assert_eq!(filled.iter().filter(|is| **is).count(), 1);
            let by_standard = match approval.standard {
                TokenStandard::Erc20 => filled[0],
                TokenStandard::Erc721 => filled[1],
                _ => filled[2],
            };
            assert!(by_standard);
        }
    }
}

#[test]
fn a_batch_is_one_event_per_item() {
    let topics = [known::TRANSFER_BATCH, person(9), person(1), person(2)];
    let data = words(&[64, 160, 2, 10, 11, 2, 20, 21]);
    let events = decode(&ChainConfig::default(), &with_log(&topics, &data));
    let items: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Erc1155Transfer(item) => (item.sub_index, item.token_id, item.value),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        items,
        [
            (Some(0), Uint256::from(10), Uint256::from(20)),
            (Some(1), Uint256::from(11), Uint256::from(21)),
        ]
    );
    assert!(events[1].id().ends_with(":transfer.erc1155:0.1"), "{}", events[1].id());
}

#[test]
fn unknown_forms_of_known_events_are_raw_logs_with_a_reason() {
    let all = [known::TRANSFER, person(1), person(2), person(3)];
    assert_eq!(reason(&all[..1], &words(&[1, 2, 3])), "transfer without indexed addresses");
    assert!(reason(&all[..3], &words(&[1, 2])).contains("another length than 32"));
    assert!(reason(&all[..3], &[]).contains("another length than 32"));
    assert!(reason(&all, &words(&[1])).contains("four topics and data"));
    assert!(reason(&all[..2], &words(&[1, 2])).contains("another number of topics"));
    let batch = [known::TRANSFER_BATCH, person(9), person(1), person(2)];
    assert!(reason(&batch, &words(&[64, 128, 1, 10, 9])).contains("beyond its data"));
    assert!(reason(&batch, &words(&[64, 128, 1, 10, 0])).contains("different lengths"));
    let forall = [known::APPROVAL_FOR_ALL, person(1), person(2)];
    assert!(reason(&forall, &words(&[2])).contains("neither true nor false"));
}

#[test]
fn a_hostile_batch_is_bounded() {
    // Both arrays are the same words: a small log would become many events.
    let count = abi::MAX_ARRAY_ITEMS as u64 + 1;
    let mut data = words(&[64, 64, count]);
    data.resize(data.len() + 32 * count as usize, 0);
    let topics = [known::TRANSFER_BATCH, person(9), person(1), person(2)];
    assert!(reason(&topics, &data).contains("too many items"));
    let shared = words(&[64, 64, 3, 10, 11, 12]);
    assert!(reason(&topics, &shared).contains("overlap"));
    let shifted = words(&[64, 96, 1, 1, 10]);
    assert!(reason(&topics, &shifted).contains("overlap"));
}

#[test]
fn raw_logs_come_when_asked_for_and_long_data_is_cut() {
    let other = [B256::repeat_byte(0xcc)];
    let quiet = ChainConfig::default();
    assert!(decode(&quiet, &with_log(&other, &[1; 100])).is_empty());
    let contract = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48".to_owned();
    let of_contract = ChainConfig { contracts: vec![contract], ..ChainConfig::default() };
    assert_eq!(only(decode(&of_contract, &with_log(&other, &[1; 100]))).kind(), Kind::Log);
    let every =
        ChainConfig { logs: LogsMode::All, max_log_data_bytes: 64, ..ChainConfig::default() };
    let Event::Log(log) = only(decode(&every, &with_log(&other, &[1; 100]))) else {
        panic!("no log");
    };
    assert!(log.truncated);
    assert_eq!(log.data.len(), 64);
    assert_eq!(log.data_length, Some(100));
    assert_eq!(log.data_keccak, Some(alloy_primitives::keccak256([1; 100])));
    let both = decode(&every, &with_log(&[known::TRANSFER, person(1), person(2)], &word(1)));
    assert_eq!(both.len(), 2, "decoded, and raw as well");
}

#[test]
fn native_value_moves_only_where_a_transaction_took_effect() {
    let with = |change: &dyn Fn(&mut Transaction)| {
        let mut block = block();
        change(&mut block.transactions[0]);
        decode(&ChainConfig::default(), &block)
    };
    let value = U256::from(3_000_000_000_000_000_000_u64);
    let Event::NativeTransfer(transfer) = only(with(&|tx| tx.value = value)) else {
        panic!("no transfer");
    };
    assert_eq!(transfer.amount, Some(Decimal::parse("3").unwrap()));
    assert_eq!(transfer.usd, Some(Decimal::parse("6000").unwrap()));
    assert_eq!(transfer.symbol.as_deref(), Some("ETH"));
    assert!(with(&|_| {}).is_empty(), "no value");
    let failed = |tx: &mut Transaction| {
        tx.value = value;
        tx.status = TransactionStatus::Failed;
    };
    assert!(with(&failed).is_empty());
    let old = |tx: &mut Transaction| {
        tx.value = value;
        tx.status = TransactionStatus::Unknown;
    };
    assert_eq!(with(&old).len(), 1, "before Byzantium the status is unknown");
    let contract = Address::repeat_byte(0xcc);
    let creation = with(&|tx| {
        tx.to = None;
        tx.value = value;
        tx.contract = Some(contract);
    });
    let [Event::NativeTransfer(paid), Event::ContractCreation(made)] = &creation[..] else {
        panic!("{creation:?}");
    };
    assert_eq!((made.contract, paid.to), (contract, contract), "it got what was sent along");
    let without_receipt = |tx: &mut Transaction| {
        tx.value = value;
        tx.status = TransactionStatus::Unknown;
        tx.has_receipt = false;
    };
    assert!(with(&without_receipt).is_empty(), "it may have failed");
}

#[test]
fn a_log_whose_decoder_panics_is_published_raw_and_blocks_nothing() {
    let mut block = with_log(&[known::TRANSFER, person(1), person(2)], &word(1));
    let mut second = block.logs[0].clone();
    second.log_index = 1;
    block.logs.push(second);
    let context = BlockContext::new(9, PriceCache::new(300).now());
    let mut events = Vec::new();
    let mut is_first = true;
    decoder(&ChainConfig::default()).decode(&block, &context, &mut |event| {
        assert!(!std::mem::take(&mut is_first), "a fault in a decoder");
        events.push(event);
    });
    let [Event::Log(raw), Event::Erc20Transfer(_)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(raw.reason.as_deref(), Some("decoder failed"));
}

#[test]
fn a_contract_is_what_the_receipt_names() {
    let with = |change: &dyn Fn(&mut Transaction)| {
        let mut block = block();
        change(&mut block.transactions[0]);
        decode(&ChainConfig::default(), &block)
    };
    // A transaction with several calls has no receiver, and creates nothing.
    assert!(with(&|tx| tx.to = None).is_empty());
    // A call to a system contract that creates others.
    let made = Address::repeat_byte(0xcc);
    let created = |event: &Event| match event {
        Event::ContractCreation(creation) => Some(creation.contract),
        _ => None,
    };
    let by_call = with(&|tx| tx.contract = Some(made));
    assert_eq!(by_call.iter().filter_map(created).collect::<Vec<_>>(), [made]);
    let paid = with(&|tx| {
        tx.contract = Some(made);
        tx.value = U256::from(1);
    });
    assert_eq!(paid.len(), 2, "the payment and the contract");
}

proptest! {
    #[test]
    fn hostile_logs_never_panic_and_are_never_lost(
        topic in 0_usize..=known::ALL.len(),
        count in 0_usize..=4,
        data in proptest::collection::vec(prop_oneof![4 => Just(0_u8), 1 => Just(32_u8), 1 => Just(64_u8), 1 => any::<u8>()], 0..400),
        words in 0_usize..10,
    ) {
        let unknown = B256::repeat_byte(1);
        let topics = [*known::ALL.get(topic).unwrap_or(&unknown), person(1), person(2), person(3)];
        // Data of whole words is closest to the known forms.
        let mut data = data;
        if words < 9 {
            data.resize(32 * words, 0);
        }
        let events = decode(&ChainConfig::default(), &with_log(&topics[..count], &data));
        let is_known = count > 0 && topic < known::ALL.len();
        let is_empty_batch = topics[0] == known::TRANSFER_BATCH && count == 4;
        prop_assert!(!is_known || is_empty_batch || !events.is_empty());
        for event in events {
            prop_assert_eq!(Event::decode(&event.encode()).unwrap(), event);
        }
    }
}
