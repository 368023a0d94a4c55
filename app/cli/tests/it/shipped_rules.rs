//! The shipped rules over every recorded block of Ethereum.

use std::sync::Arc;

use crypto_intel_alerts::{DEFAULT_RULES, RuleFindings, RuleSet, RuleStream, Trial};
use crypto_intel_evm::{LogProof, measure::Pipeline};
use crypto_intel_nats::StreamMessage;
use crypto_intel_sandbox::node::{load_recorded, recorded_numbers};
use crypto_intel_schemas::{Address, Block, Event, U256, subjects};
use crypto_intel_testkit::recorded_data;

const CHAIN: &str = "ethereum";
const SECOND_US: i64 = 1_000_000;

/// What the chain itself would publish, stored a second after its block.
fn messages(blocks: Vec<Vec<Event>>) -> Vec<StreamMessage> {
    let mut messages = Vec::new();
    for mut events in blocks {
        let Some(block) = events.first().and_then(Event::block_fields) else { continue };
        let marker = Block {
            id: format!("{CHAIN}:{:#x}:block", block.block_hash),
            chain: block.chain.to_owned(),
            chain_id: block.chain_id,
            event_at_us: block.block_time_us,
            block_number: block.block_number,
            block_hash: block.block_hash,
            block_time_us: block.block_time_us,
            incarnation: block.incarnation,
            ..Block::empty()
        };
        events.push(Event::from(marker));
        for event in events {
            messages.push(StreamMessage {
                subject: subjects::of(&event),
                schema: None,
                headers: None,
                payload: event.encode().into(),
                sequence: messages.len() as u64 + 1,
                stored_at_us: event.event_at_us() + SECOND_US,
                remaining: 0,
            });
        }
    }
    messages
}

#[test]
fn they_read_every_recorded_block_and_match_what_a_plain_look_finds() {
    let Some(data) = recorded_data() else { return };
    let numbers = recorded_numbers(&data, CHAIN).unwrap();
    let pipeline = Pipeline::new(CHAIN).unwrap();
    let blocks: Vec<Vec<Event>> = load_recorded(&data, CHAIN, &numbers)
        .unwrap()
        .into_iter()
        .map(|block| {
            let read = pipeline.read(block.full_json(), block.receipts_json(), LogProof::Off);
            pipeline.events(&read.unwrap())
        })
        .collect();
    let all: Vec<Event> = blocks.iter().flatten().cloned().collect();
    let count =
        |holds: &dyn Fn(&Event) -> bool| all.iter().filter(|event| holds(event)).count() as u64;
    let everything = U256::from(1) << 96;
    let unlimited = count(&|event| match event {
        Event::Approval(approval) => {
            approval.value.is_some_and(|value| value.0 >= everything - U256::from(1))
                || approval.approved == Some(true)
        }
        _ => false,
    });
    let made = count(&|event| match event {
        Event::Erc20Transfer(transfer) => {
            let symbol = transfer.symbol.as_deref().unwrap_or_default();
            let is_stable =
                ["USDC", "USDT", "DAI", "USDS", "FDUSD", "PYUSD", "USDe"].contains(&symbol);
            let amount =
                transfer.amount.as_ref().map_or(0.0, crypto_intel_schemas::Decimal::to_f64);
            transfer.token_verified
                && is_stable
                && (transfer.from == Address::ZERO || transfer.to == Address::ZERO)
                && amount >= 10_000_000.0
        }
        _ => false,
    });

    let rules = Arc::new(RuleSet::parse(DEFAULT_RULES, None).unwrap());
    let mut trial = Trial::new(rules, RuleStream::Evm).unwrap();
    for message in messages(blocks) {
        trial.apply(&message);
    }
    assert_eq!(trial.undecodable(), 0);
    let findings = trial.findings();
    let of = |rule: &str| -> &RuleFindings {
        findings.iter().find(|found| found.rule == rule).unwrap_or_else(|| panic!("no rule {rule}"))
    };
    for found in &findings {
        assert_eq!(found.errors, 0, "{found:?}");
    }
    assert!(unlimited > 10, "{unlimited} unlimited approvals in the recording");
    assert_eq!(of("unlimited-approval").matched, unlimited);
    assert_eq!(of("stablecoin-minted-or-burned").matched, made);
    let told = of("unlimited-approval");
    assert!(told.fired > 0 && told.collected > 0 && told.collected < unlimited, "{told:?}");
    // Nothing is known of prices here, and no wallet is watched.
    assert!(of("large-token-transfer").unpriced > 100, "{:?}", of("large-token-transfer"));
    assert_eq!(of("watched-wallet-moved").matched, 0);
}
