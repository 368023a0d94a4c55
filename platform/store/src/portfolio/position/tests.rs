use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn dollars(text: &str) -> Dollars {
    Dollars::of(&decimal(text))
}

fn entry(kind: EntryKind, block_number: i64, quantity: u64, usd: Option<&str>) -> LedgerEntry {
    LedgerEntry {
        block_time_us: block_number * 12_000_000,
        block_number,
        chain: "ethereum".to_owned(),
        token: Some(Address::repeat_byte(7)),
        kind,
        counterparty: None,
        quantity: BigInt::from(quantity),
        usd: usd.map(decimal),
        decimals: Some(0),
        symbol: Some("TOKEN".to_owned()),
        is_verified: true,
    }
}

fn history(entries: Vec<LedgerEntry>, held: Option<(u64, i64)>) -> AssetHistory {
    let reading = held.map(|(quantity, block_number)| Reading {
        chain: "ethereum".to_owned(),
        token: Some(Address::repeat_byte(7)),
        quantity: BigInt::from(quantity),
        decimals: Some(0),
        symbol: None,
        is_verified: true,
        block_number,
        block_time_us: block_number * 12_000_000,
    });
    let token = Some(Address::repeat_byte(7));
    AssetHistory { chain: "ethereum".to_owned(), token, reading, entries }
}

fn now(price: &str) -> Option<PastPrice> {
    Some(PastPrice { price: decimal(price), at_us: 0 })
}

#[test]
fn a_complete_past_tells_what_was_gained() {
    let entries = vec![
        entry(EntryKind::In, 1, 10, Some("100")),
        entry(EntryKind::Out, 2, 4, Some("60")),
        entry(EntryKind::Fee, 2, 1, Some("15")),
    ];
    let position = history(entries, Some((5, 3))).position(CostMethod::Fifo, now("20"), |_| None);
    assert_eq!(position.missing(), []);
    assert_eq!(position.value, Some(dollars("100")));
    assert_eq!(position.profit.realised, dollars("25"), "75 for five that cost 50");
    assert_eq!((position.unrealised, position.fees), (Some(dollars("50")), dollars("15")));
}

#[test]
fn a_past_that_lacks_something_says_how_much() {
    let entries = vec![entry(EntryKind::In, 2, 10, Some("100"))];
    let more =
        history(entries.clone(), Some((25, 3))).position(CostMethod::Fifo, now("20"), |_| None);
    assert_eq!((more.unexplained_in.clone(), more.unexplained_out.clone()), (15.into(), 0.into()));
    assert_eq!(more.unrealised, Some(dollars("100")), "of the ten that cost 100");
    assert_eq!(more.value, Some(dollars("500")));
    let less = history(entries, Some((4, 3))).position(CostMethod::Fifo, now("20"), |_| None);
    assert_eq!((less.unexplained_in.clone(), less.unexplained_out.clone()), (0.into(), 6.into()));
    assert_eq!(less.quantity, BigInt::from(4));
    assert_eq!(more.missing()[0], (Missing::CameUnseen, 15.into()));
    assert_eq!(less.missing()[0], (Missing::LeftUnseen, 6.into()));
}

#[test]
fn dollars_of_then_are_by_the_price_of_then_and_what_came_after_the_reading_waits() {
    let entries = vec![entry(EntryKind::In, 1, 10, None), entry(EntryKind::In, 9, 5, Some("1"))];
    let then = |at_us| (at_us == 12_000_000).then(|| decimal("3"));
    let position =
        history(entries, Some((10, 5))).position(CostMethod::AverageCost, now("4"), then);
    assert_eq!(position.missing(), []);
    assert_eq!(
        (position.profit.cost.clone(), position.unrealised),
        (dollars("30"), Some(dollars("10")))
    );
}

#[test]
fn without_a_price_there_is_no_value_and_without_a_reading_the_ledger_counts() {
    let entries = vec![entry(EntryKind::In, 1, 10, Some("100")), entry(EntryKind::Out, 2, 3, None)];
    let position = history(entries, None).position(CostMethod::Fifo, None, |_| None);
    assert_eq!((position.quantity, position.value, position.unrealised), (7.into(), None, None));
    assert_eq!(position.profit.sold_unpriced, BigInt::from(3));
}

proptest! {
    /// Whatever is stored of the past, what is held is what the chain says, and nothing leaves that was not there.
    #[test]
    fn what_is_held_is_what_the_chain_says(
        moves in prop::collection::vec((0_u8..3, 0_u64..100), 0..30),
        held in 0_u64..200,
    ) {
        let entries = moves.iter().enumerate().map(|(place, (kind, quantity))| {
            let kind = [EntryKind::In, EntryKind::Out, EntryKind::Fee][usize::from(*kind)];
            entry(kind, i64::try_from(place).unwrap(), *quantity, Some("1"))
        });
        let history = history(entries.collect(), Some((held, 1_000)));
        for method in [CostMethod::Fifo, CostMethod::AverageCost] {
            let position = history.position(method, now("2"), |_| None);
            prop_assert_eq!(&position.quantity, &BigInt::from(held));
            prop_assert_eq!(&position.profit.uncovered, &BigInt::ZERO);
        }
    }
}
