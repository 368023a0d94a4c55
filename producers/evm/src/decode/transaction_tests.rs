#![allow(clippy::unwrap_used, clippy::panic)]

use crypto_intel_schemas::{TransactionStatus, U256, WatchChain};
use crypto_intel_service::prometheus::Registry;

use super::{
    tests::{block, decoder},
    *,
};
use crate::{
    details::{Details, Lists, Paid},
    enrich::{
        prices::PriceCache,
        watch::{WatchView, WatchlistCache},
    },
    metrics::Metrics,
};

const SENDER: Address = Address::repeat_byte(0xa);
const RECIPIENT: Address = Address::repeat_byte(0xb);

/// A block with one transaction of type 2, which paid 10 gwei for each of 21,000 gas.
fn paid() -> BlockData {
    let mut block = block();
    block.header.base_fee_per_gas = Some(U256::from(9_000_000_000_u64));
    block.transactions[0].details = Details {
        is_whole: true,
        kind: Some(2),
        nonce: Some(7),
        gas_limit: Some(30_000),
        max_fee: Some(20_000_000_000),
        max_tip: Some(1_000_000_000),
        paid: Paid { gas_used: Some(21_000), ..Paid::default() },
        ..Details::default()
    };
    block
}

fn view(watched: &[Address]) -> WatchView {
    let list = WatchlistCache::new(Metrics::new(&Registry::new()).unwrap());
    if !watched.is_empty() {
        list.set(WatchChain::All, watched.iter().copied());
    }
    list.view("ethereum")
}

fn transactions(
    config: &str,
    block: &BlockData,
    watched: &[Address],
) -> Vec<crypto_intel_schemas::Transaction> {
    let prices = PriceCache::new(300);
    prices.set_for_test("ethereum", "2000", block.header.time_us());
    let context = BlockContext { watched: view(watched), ..BlockContext::new(9, prices.now()) };
    let mut found = Vec::new();
    decoder(&toml::from_str(config).unwrap()).decode(block, &context, &mut |event| {
        if let Event::Transaction(body) = event {
            found.push(body);
        }
    });
    found
}

fn the_only(config: &str, block: &BlockData) -> crypto_intel_schemas::Transaction {
    let mut found = transactions(config, block, &[SENDER]);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

const ALL: &str = "transactions = \"all\"";

#[test]
fn a_transaction_says_what_it_cost() {
    let body = the_only(ALL, &paid());
    assert_eq!(body.id, format!("ethereum:0x{}:transaction:t0", "05".repeat(32)));
    assert_eq!((body.tx_from, body.tx_to), (Some(SENDER), Some(RECIPIENT)));
    assert_eq!((body.nonce, body.tx_type, body.gas_limit), (Some(7), Some(2), Some(30_000)));
    assert_eq!(body.effective_gas_price.unwrap().to_string(), "10000000000");
    assert_eq!(body.fee.unwrap().to_string(), "210000000000000");
    assert_eq!(body.fee_amount.unwrap().as_str(), "0.00021");
    assert_eq!(body.fee_usd.unwrap().as_str(), "0.42");
    assert_eq!(body.status, Some(TransactionStatus::Success));
}

#[test]
fn failed_ones_are_there_and_marked() {
    let mut block = paid();
    block.transactions[0].status = TransactionStatus::Failed;
    block.transactions[0].value = U256::from(5);
    let body = the_only(ALL, &block);
    assert_eq!(body.status, Some(TransactionStatus::Failed));
    assert!(body.fee.is_some() && body.value.to_string() == "5");
}

#[test]
fn without_a_receipt_nothing_is_guessed() {
    let mut block = paid();
    block.transactions[0].has_receipt = false;
    block.transactions[0].details.paid = Paid::default();
    let body = the_only(ALL, &block);
    assert_eq!((body.status, body.gas_used, body.fee), (None, None, None));
    assert_eq!((body.effective_gas_price, body.fee_usd), (None, None));
    assert_eq!(body.nonce, Some(7), "the transaction itself is known");
}

#[test]
fn watched_are_those_of_a_watched_party_contract_or_delegate() {
    let (other, contract, delegate) =
        (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
    let mut block = paid();
    block.transactions[0].contract = Some(contract);
    block.transactions[0].details.lists = Some(Box::new(Lists {
        authorizations: Some(1),
        delegated_to: vec![delegate],
        ..Lists::default()
    }));
    for (watched, count) in [
        (vec![], 0),
        (vec![other], 0),
        (vec![SENDER], 1),
        (vec![RECIPIENT, other], 1),
        (vec![contract], 1),
        (vec![delegate], 1),
    ] {
        assert_eq!(transactions("", &block, &watched).len(), count, "{watched:?}");
        assert_eq!(transactions(ALL, &block, &watched).len(), 1);
        assert!(transactions("transactions = \"none\"", &block, &watched).is_empty());
        let of_logs = "[scope]\nkinds = [\"swap\"]";
        assert!(transactions(of_logs, &block, &watched).is_empty());
    }
    let body = the_only("", &block);
    assert_eq!((body.authorizations, body.contract), (Some(1), Some(contract)));
    assert_eq!(body.delegated_to, [format!("{delegate:#x}")]);
}

#[test]
fn what_is_known_by_its_hash_alone_is_no_event() {
    let mut block = paid();
    block.transactions[0].details = Details::default();
    assert!(transactions(ALL, &block, &[SENDER]).is_empty());
}

#[test]
fn an_l1_fee_counts_as_the_chain_is_configured() {
    let fee = |mode: &str, l1_fee: Option<u64>, begins_with_deposit: bool| {
        let mut block = paid();
        block.transactions[0].details.paid.l1_fee = l1_fee.map(U256::from);
        if begins_with_deposit {
            let mut deposit = block.transactions[0].clone();
            (deposit.details.kind, deposit.from) = (Some(0x7e), None);
            block.transactions.insert(0, deposit);
        }
        let config = format!("l1_fee = \"{mode}\"");
        let mut found = transactions(&config, &block, &[SENDER, RECIPIENT]);
        found.pop().unwrap().fee.map(|fee| fee.to_string())
    };
    let (gas, both) = (Some("210000000000000".to_owned()), Some("210000000000005".to_owned()));
    assert_eq!(fee("added", None, false), gas);
    assert_eq!(fee("added", Some(5), false), both);
    assert_eq!(fee("added", None, true), None, "a chain of the OP stack");
    assert_eq!(fee("added", Some(5), true), both);
    assert_eq!(fee("required", None, false), None);
    assert_eq!(fee("required", Some(0), false), gas);
    assert_eq!(fee("unclear", Some(5), false), None);
    assert_eq!(fee("unclear", None, false), gas);
}
