#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::{config::FactoryConfig, *};

fn config(events: &[&str]) -> AbiConfig {
    AbiConfig {
        name: "test".into(),
        events: events.iter().map(ToString::to_string).collect(),
        ..AbiConfig::default()
    }
}

fn event(text: &str) -> AbiEvent {
    AbiEvent::of(&parse(text).unwrap(), "test", Contracts::none()).unwrap()
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| B256::left_padding_from(&value.to_be_bytes()).0).collect()
}

fn text(value: &str) -> EventValue {
    value.into()
}

#[test]
fn decodes_words_texts_arrays_and_tuples() {
    let event = event(
        "event Paid(address indexed who, string indexed tag, int24 tick, string note, uint256[] parts, (bool, bytes2)[2] pairs, uint8)",
    );
    let topics =
        [topic(&event.signature), Address::repeat_byte(0xab).into_word(), B256::repeat_byte(7)];
    let mut data = words(&[0, 8 * 32, 10 * 32, 1, 0, 0, 0, 9, 2]);
    data[..32].fill(0xff);
    data[4 * 32] = 0xca;
    data[4 * 32 + 1] = 0xfe;
    data[8 * 32..9 * 32].copy_from_slice(&words(&[3]));
    data.extend(b"a\0b");
    data.resize(10 * 32, 0);
    data.extend(words(&[2, 11, 12]));
    let fields = event.decode(&topics, &data).unwrap();
    let expected = EventFields::from([
        ("who", text(&format!("0x{}", "ab".repeat(20)))),
        ("tag", text(&format!("0x{}", "07".repeat(32)))),
        ("tick", text("-1")),
        ("note", text("a\u{fffd}b")),
        ("parts", EventValue::List(vec![text("11"), text("12")])),
        (
            "pairs",
            EventValue::List(vec![
                EventValue::List(vec![EventValue::Bool(true), text("0xcafe")]),
                EventValue::List(vec![EventValue::Bool(false), text("0x0000")]),
            ]),
        ),
        ("6", text("9")),
    ]);
    assert_eq!(fields, expected);
    for cut in [0, 31, 32 * 9, data.len() - 1] {
        assert_eq!(event.decode(&topics, &data[..cut]), Err(NotOfThisForm), "{cut} bytes");
    }
    assert_eq!(event.decode(&topics[..2], &data), Err(NotOfThisForm), "not indexed as it says");
}

#[test]
fn numbers_beyond_their_type_are_refused() {
    let event = event("event E(uint8 a, int8 b, bool c)");
    let topics = [topic(&event.signature)];
    assert!(event.decode(&topics, &words(&[255, 127, 1])).is_ok());
    for odd in [[256, 0, 0], [0, 128, 0], [0, 0, 2]] {
        assert_eq!(event.decode(&topics, &words(&odd)), Err(NotOfThisForm), "{odd:?}");
    }
}

#[test]
fn arrays_that_point_to_each_other_are_bounded() {
    // Every offset points to the same long array: a small log would become a million values.
    let event = event("event E(uint256[][] rows)");
    let topics = [topic(&event.signature)];
    let mut data = words(&[32, 1_000]);
    data.extend(words(&[1_000 * 32; 1_000]));
    data.extend(words(&[1_000; 1_001]));
    assert_eq!(event.decode(&topics, &data), Err(NotOfThisForm));
    // The same with texts.
    let strings = self::event("event E(string[] names)");
    let mut data = words(&[32, 1_000]);
    data.extend(words(&[1_000 * 32; 1_000]));
    data.extend(words(&[100_000]));
    data.resize(data.len() + 100_000, b'x');
    assert_eq!(strings.decode(&[topic(&strings.signature)], &data), Err(NotOfThisForm));
    let huge = words(&[32, u64::MAX]);
    assert_eq!(event.decode(&topics, &huge), Err(NotOfThisForm));
}

#[test]
fn contracts_are_listed_any_or_made_by_the_factory() {
    let listed = Address::repeat_byte(1);
    let made = Address::repeat_byte(2);
    let factory = Address::repeat_byte(0xfa);
    let signature = "Paid(uint256)";
    let paid = |abi: AbiConfig| Abis::load(&[abi]).unwrap();
    let knows = |abis: &Abis, contract| abis.of(&topic(signature), &contract, 7).count() == 1;

    let any = paid(config(&["event Paid(uint256 amount)"]));
    assert!(knows(&any, listed) && knows(&any, made));
    let one = paid(AbiConfig {
        contracts: vec![listed.to_string()],
        ..config(&["event Paid(uint256 amount)"])
    });
    assert!(knows(&one, listed) && !knows(&one, made));

    let of_factory = AbiConfig {
        factory: Some(FactoryConfig {
            contract: factory.to_string(),
            event: "event Made(address indexed by, address child)".into(),
            field: "child".into(),
            ..FactoryConfig::default()
        }),
        ..config(&["event Paid(uint256 amount)"])
    };
    let abis = paid(of_factory.clone());
    assert!(!knows(&abis, made) && abis.version() == 0);
    let topics = [topic("Made(address,address)"), listed.into_word()];
    let data = made.into_word();
    let log = |contract| std::iter::once((contract, &topics[..], &data[..]));
    assert_eq!(abis.discover(7, log(listed)), 0, "another contract's event");
    assert_eq!(abis.discover(7, log(factory)), 1);
    assert_eq!(abis.discover(7, log(factory)), 1, "known already");
    assert!(knows(&abis, made) && !knows(&abis, listed));
    assert_eq!(abis.of(&topic(signature), &made, 6).count(), 0, "before it was made");
    let unsaved = abis.take_unsaved();
    assert_eq!(unsaved, [Made { abi: "test".to_owned(), address: made, since: 7 }]);
    assert!(abis.take_unsaved().is_empty());

    let restarted = paid(of_factory);
    restarted.restore(unsaved.into_iter());
    assert!(knows(&restarted, made) && restarted.take_unsaved().is_empty());
}

#[test]
fn problems_name_their_key_and_remedy() {
    let of = |abi: AbiConfig| {
        let mut problems = Vec::new();
        config::validate(&[abi], "evm.chains.x", &mut problems);
        problems.join("\n")
    };
    assert_eq!(of(config(&["event Paid(uint256 amount)", "Other()"])), "");
    for (abi, part) in [
        (config(&[]), "abis[0]: no events"),
        (config(&["event Paid(uint256"]), "abis[0].events[0]: \"event Paid(uint256\" is no event"),
        (config(&["event E(uint7 a)"]), "abis[0].events[0]"),
        (config(&["event E() anonymous"]), "anonymous"),
        (
            config(&["event E(bool indexed, bool indexed, bool indexed, bool indexed)"]),
            "more than 3",
        ),
        (AbiConfig { name: String::new(), ..config(&["E()"]) }, "abis[0].name"),
        (AbiConfig { contracts: vec!["0x1".into()], ..config(&["E()"]) }, "abis[0].contracts[0]"),
        (
            AbiConfig { abi: Some("/nowhere.json".into()), ..config(&[]) },
            "/nowhere.json cannot be read",
        ),
        (
            AbiConfig {
                factory: Some(FactoryConfig {
                    contract: Address::ZERO.to_string(),
                    event: "event Made(address child)".into(),
                    field: "pool".into(),
                    ..FactoryConfig::default()
                }),
                ..config(&["E()"])
            },
            "no address \"pool\"",
        ),
    ] {
        let problems = of(abi);
        assert!(problems.contains(part), "{part} in {problems:?}");
    }
}

#[test]
fn json_abis_are_read_as_they_are_and_from_build_artifacts() {
    let folder = tempfile::tempdir().unwrap();
    let abi = r#"[{"type":"event","name":"Paid","anonymous":false,"inputs":[
        {"name":"who","type":"address","indexed":true},
        {"name":"order","type":"tuple","indexed":false,"components":[
            {"name":"id","type":"uint64"},{"name":"open","type":"bool"}]}]},
        {"type":"function","name":"pay","inputs":[],"outputs":[],"stateMutability":"payable"}]"#;
    for (name, text) in [("plain", abi.to_owned()), ("artifact", format!("{{\"abi\":{abi}}}"))] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let abis = Abis::load(&[AbiConfig { abi: Some(path), ..config(&[]) }]).unwrap();
        let known = topic("Paid(address,(uint64,bool))");
        let event = abis.of(&known, &Address::ZERO, 0).next().unwrap();
        let fields = event.decode(&[known, B256::ZERO], &words(&[7, 1])).unwrap();
        let order = EventValue::List(vec![text_of("7"), EventValue::Bool(true)]);
        assert_eq!(fields.get("order"), Some(&order));
    }
    let path = folder.path().join("none");
    std::fs::write(&path, "[]").unwrap();
    let problems = Abis::load(&[AbiConfig { abi: Some(path), ..config(&[]) }]).unwrap_err();
    assert!(problems[0].contains("has no events"), "{problems:?}");
}

fn text_of(value: &str) -> EventValue {
    text(value)
}

proptest! {
    #[test]
    fn hostile_logs_never_panic_and_stay_small(
        which in 0_usize..4,
        topic_count in 0_usize..=4,
        data in proptest::collection::vec(
            prop_oneof![4 => Just(0_u8), 1 => Just(32_u8), 1 => Just(1_u8), 1 => any::<u8>()], 0..700,
        ),
    ) {
        let event = event([
            "event E(uint256[][] a, string b)",
            "event E((bytes, (string, int8)[])[] a, bool[3][] b)",
            "event E(address indexed a, bytes32[2][2] b, bytes c)",
            "event E(string[] indexed a, uint8[] b)",
        ][which]);
        let topics = [topic(&event.signature), B256::ZERO, B256::ZERO, B256::ZERO];
        if let Ok(fields) = event.decode(&topics[..topic_count], &data) {
            prop_assert!(fields.to_json_text().len() < 2_000_000);
        }
    }
}
