//! The index finds what a scan finds.

use std::collections::BTreeSet;

use crypto_intel_schemas::{Address, Erc20Transfer, Kind, U256, Uint256, subjects};
use proptest::prelude::*;

use super::*;

fn arbitrary_condition() -> impl Strategy<Value = String> {
    let symbol = prop::sample::select(vec!["A", "B", "C", "D"]);
    let chain = prop::sample::select(vec!["base", "ethereum"]);
    let leaf = prop_oneof![
        symbol.clone().prop_map(|symbol| format!("symbol == '{symbol}'")),
        (symbol.clone(), symbol).prop_map(|(a, b)| format!("symbol in ['{a}', '{b}']")),
        chain.prop_map(|chain| format!("'{chain}' == chain")),
        (0_u8..4).prop_map(|byte| format!("from == '0x{}'", hex_byte(byte).repeat(20))),
        Just("token_verified".to_owned()),
        Just("usd > 10.0".to_owned()),
        Just("symbol != 'A'".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn hex_byte(byte: u8) -> String {
    format!("{byte:02x}")
}

proptest! {
    #[test]
    fn the_index_finds_exactly_the_rules_that_a_scan_finds(
        conditions in prop::collection::vec(arbitrary_condition(), 1..12),
        symbol in prop::option::of(prop::sample::select(vec!["A", "B", "C", "D", "E"])),
        chain in prop::sample::select(vec!["base", "ethereum", "other"]),
        from in 0_u8..5,
        token_verified: bool,
    ) {
        let text: String = conditions.iter().enumerate().map(|(number, condition)| {
            rule(&format!("id = 'r{number}'\nwhen = \"{condition}\"\n"))
        }).collect();
        let rules = parse(&text);
        let event = Event::from(Erc20Transfer {
            chain: chain.to_owned(),
            symbol: symbol.map(str::to_owned),
            from: Address::repeat_byte(from),
            value: Uint256(U256::ONE),
            token_verified,
            ..Erc20Transfer::empty()
        });
        let subject = subjects::chain(subjects::Lane::Live, chain, Kind::Erc20Transfer);
        let is_match =
            |index: &usize| verdict(&rules, &rules.rules[*index], &event) == Verdict::Match;
        let mut index = SubjectIndex::new(RuleStream::Evm);
        let indexed: BTreeSet<usize> = index
            .candidates(&rules, &subject)
            .of(&event)
            .into_iter()
            .filter(|index| is_match(index))
            .collect();
        let scanned: BTreeSet<usize> = (0..rules.rules.len()).filter(is_match).collect();
        prop_assert_eq!(indexed, scanned);
    }
}
