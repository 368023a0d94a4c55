#![allow(clippy::unwrap_used, clippy::expect_used)]

use crypto_intel_schemas::{
    Address, Approval, Decimal, Erc20Transfer, Kind, U256, Uint256, samples,
};

use super::{
    fields::{fields_of, fields_of_all},
    *,
};

fn compile(source: &str, kinds: &[Kind]) -> Result<Condition, Vec<ConditionProblem>> {
    Condition::compile(source, &fields_of_all(kinds), &Arc::new(functions::environment()))
}

fn verdict(source: &str, event: &Event) -> Verdict {
    let env = Arc::new(functions::environment());
    let condition = Condition::compile(source, &fields_of(event.kind()), &env)
        .unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
    let variables = Variables::new(event);
    let mut context = Context::with_env(env);
    context.set_variable_resolver(&variables);
    condition.evaluate(&context, &variables)
}

fn transfer() -> Erc20Transfer {
    Erc20Transfer {
        chain: "base".into(),
        from: Address::repeat_byte(0xab),
        to: Address::repeat_byte(0x02),
        value: Uint256(U256::MAX),
        symbol: Some("USDC".into()),
        amount: Some(Decimal::parse("1500.5").unwrap()),
        watched: vec!["treasury".into(), "cold".into()],
        ..Erc20Transfer::empty()
    }
}

#[test]
fn conditions_see_every_field_in_its_type() {
    let event = Event::from(transfer());
    for source in [
        "amount > 1500.0 && amount < 1501.0 && amount > 1500",
        "symbol == 'USDC' && symbol in ['DAI', 'USDC'] && symbol.startsWith('US')",
        "value > u256('1000') && value == u256(\"0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\")",
        "value >= u256(7) && double(value) > 1.0e70",
        "from != to && chain == 'base' && !token_verified",
        "'treasury' in watched && watched.exists(label, label.contains('old')) && size(watched) == 2",
        "watched.all(label, size(label) > 3) && watched.exists_one(label, label == 'cold')",
        "usd == null && amount != null && symbol.matches('^US')",
        "usd != null ? usd > 1.0 : value > u256('1')",
        "block_number + 1 == 1 && log_index == 0",
        "watched.filter(label, label != 'cold') == ['treasury']",
    ] {
        assert_eq!(verdict(source, &event), Verdict::Match, "{source}");
    }
}

#[test]
fn conditions_see_signed_amounts_and_the_fields_of_contract_events() {
    let swap = samples::sample(Kind::Swap);
    assert_eq!(
        verdict("protocol == 'uniswap-v3' && amount1 < -4.0e18 && amount0 > 0 && tick < 0", &swap),
        Verdict::Match
    );
    let transaction = samples::sample(Kind::Transaction);
    for source in [
        "status == 'success' && tx_type == 4 && authorizations == 1 && nonce > 9000",
        "fee > u256('1000') && fee_amount < 1.0 && fee_usd > 5.0 && gas_used < gas_limit",
        "'0x63c0c19a282a1b52b07dd5a65b58948a07dae32b' in delegated_to && contract != null",
    ] {
        assert_eq!(verdict(source, &transaction), Verdict::Match, "{source}");
    }
    let without_receipt = samples::sample_minimal(Kind::Transaction);
    assert_eq!(verdict("status == null && fee == null", &without_receipt), Verdict::Match);
    let event = samples::sample(Kind::ContractEvent);
    for source in [
        "name == 'AnswerUpdated' && double(fields['current']) > 2600e8",
        "u256(fields['roundId']) == u256('45312') && fields['is_new']",
        "'updatedAt' in fields && size(fields['reporters']) == 1",
    ] {
        assert_eq!(verdict(source, &event), Verdict::Match, "{source}");
    }
    for source in ["fields['nothing'] == '1'", "!(double(fields['nothing']) > 1.0)"] {
        assert_eq!(verdict(source, &event), Verdict::Absent, "{source}");
    }
    let guarded = "fields['nothing'] == '1' || name == 'AnswerUpdated'";
    assert_eq!(verdict(guarded, &event), Verdict::Match);
}

#[test]
fn conditions_see_what_providers_say() {
    for (kind, sources) in [
        (
            Kind::Metric,
            [
                "name == 'market.funding-rate' && key == 'btc-usdt' && value < 0 && unit == 'ratio'",
                "labels['interval_hours'] == '8' && double(labels['interval_hours']) >= 8",
                "'instrument' in labels && labels['instrument'].startsWith('BTC') && size(labels) == 2",
            ],
        ),
        (
            Kind::Article,
            [
                "'bitcoin' in assets && 'etf' in tags && size(assets) == 2",
                "title.matches('(?i)etf') && publisher == 'The Example Ledger' && author != null",
                "tags.exists(tag, tag in ['hack', 'markets']) && summary.contains('inflows')",
            ],
        ),
        (
            Kind::Whale,
            [
                "chain == 'bitcoin' && amount_usd >= 50000000 && amount > 1000.0",
                "asset == 'bitcoin' && symbol == 'BTC' && to_owner.contains('Exchange')",
                "from == '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa' && sub_index == 1 && size(hash) == 64",
            ],
        ),
        (
            Kind::ProviderStatus,
            [
                "provider == 'okx' && endpoint == 'tickers' && state in ['refused', 'quota_spent']",
                "on_time_percent < 99 && stale_seconds > 300 && latency_ms < 1000",
                "quota_window == 'day' && quota_used * 10 >= quota_limit * 8 && detail != null",
            ],
        ),
    ] {
        for source in sources {
            assert_eq!(verdict(source, &samples::sample(kind)), Verdict::Match, "{source}");
        }
    }
    let bare = samples::sample_minimal(Kind::Metric);
    assert_eq!(verdict("labels['interval_hours'] == '8'", &bare), Verdict::Absent);
    assert_eq!(verdict("!('interval_hours' in labels)", &bare), Verdict::Match);
    let bare = samples::sample_minimal(Kind::Article);
    assert_eq!(verdict("'bitcoin' in assets", &bare), Verdict::NoMatch);
    let said = |source: &str| compile(source, &[Kind::Metric]).expect_err(source)[0].hint.clone();
    assert!(said("labels.chain == 'x'").is_some_and(|hint| hint.contains("labels[\"chain\"]")));
    assert!(said("labels['hours'] > 4").is_some_and(|hint| hint.contains("double(labels[")));
}

#[test]
fn addresses_are_compared_without_regard_to_case() {
    let event = Event::from(transfer());
    let mixed = format!("0x{}", "aB".repeat(20));
    assert_eq!(verdict(&format!("from == '{mixed}'"), &event), Verdict::Match);
    assert_eq!(verdict(&format!("from in ['{mixed}']"), &event), Verdict::Match);
    assert_eq!(verdict(&format!("'{mixed}' != from"), &event), Verdict::NoMatch);
}

#[test]
fn what_depends_on_an_absent_field_does_not_match_and_is_no_error() {
    let event = Event::from(transfer());
    assert_eq!(verdict("usd > 1.0", &event), Verdict::Absent);
    assert_eq!(verdict("!(usd > 1.0)", &event), Verdict::Absent);
    assert_eq!(verdict("usd > 1.0 && chain == 'base'", &event), Verdict::Absent);
    assert_eq!(verdict("usd > 1.0 && chain == 'other'", &event), Verdict::NoMatch);
    assert_eq!(verdict("usd > 1.0 || chain == 'base'", &event), Verdict::Match);
    assert!(matches!(verdict("10 / log_index > 1", &event), Verdict::Failed(_)));
}

#[test]
fn a_field_that_only_some_kinds_have_is_absent_in_the_others() {
    let kinds = [Kind::Erc20Transfer, Kind::Approval];
    let env = Arc::new(functions::environment());
    let condition = Condition::compile("spender != null", &fields_of_all(&kinds), &env).unwrap();
    let evaluate = |event: &Event| {
        let variables = Variables::new(event);
        let mut context = Context::with_env(Arc::clone(&env));
        context.set_variable_resolver(&variables);
        condition.evaluate(&context, &variables)
    };
    assert_eq!(evaluate(&Event::from(Approval::empty())), Verdict::Match);
    assert_eq!(evaluate(&Event::from(transfer())), Verdict::NoMatch);
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    for (source, at, message, hint) in [
        ("amout > 1.0", 0..5, "unknown field `amout`", "did you mean `amount`?"),
        ("true || amout > 1.0", 8..13, "unknown field `amout`", "did you mean `amount`?"),
        ("symbol > 5", 7..8, "text has no order with an int", ""),
        ("value > 1000", 6..7, "a uint256 has no order with an int", "write u256(\"1000\")"),
        ("from == 'binance'", 8..17, "\"binance\" can never be equal: 0x and 40 hex digits", ""),
        ("tx_hash == from", 8..10, "a hash can never equal an address", ""),
        ("amount + 1 > 2.0", 7..8, "a double + an int has no meaning", "write 1.0"),
        ("u256('12x') < value", 5..10, "no number of at most 256 bits", "hex digits"),
        ("removed == false", 0..7, "unknown field `removed`", "subtracted by themselves"),
        ("labels.too == 'x'", 6..7, "unknown field `labels.too`", "known: "),
        ("token_verifed", 0..13, "unknown field", "did you mean `token_verified`?"),
        ("symbol", 0..6, "a condition is true or false, this is text", ""),
        ("symbol.startWith('a')", 16..17, "unknown function `startWith`", "`startsWith`"),
        ("symbol.matches('(')", 15..18, "not a regular expression", ""),
        ("chain && true", 0..5, "a truth value is needed here, this is text", ""),
        ("'a' in symbol", 4..6, "`in` needs a list, this is text", "contains"),
        ("usd > null", 4..5, "has no order with null", "== and !="),
        ("watched.exists(w, w == 5)", 20..22, "text can never equal an int", ""),
        ("has(chain.x)", 3..4, "fields of an event are flat", "write `FIELD != null`"),
        ("has(chain.usd)", 3..4, "fields of an event are flat", "write `usd != null`"),
        (
            "value > 1000000000000000000000",
            8..9,
            "invalid int literal",
            "u256(\"1000000000000000000000\")",
        ),
    ] {
        let problems = compile(source, &[Kind::Erc20Transfer]).expect_err(source);
        let problem = &problems[0];
        assert!(problem.message.contains(message), "{source}: {problem:?}");
        assert!(
            problem.hint.as_deref().unwrap_or_default().contains(hint),
            "{source}: {problem:?}"
        );
        let found = problem.offset..problem.offset + problem.length;
        assert_eq!(found, at, "{source}: {problem:?}");
    }
}

#[test]
fn values_of_contract_events_are_named_by_keys() {
    for (source, hint) in [
        ("fields.assets > 5", "write `fields[\"assets\"]`, and `double(fields[\"assets\"])`"),
        ("has(fields.assets)", "write `\"assets\" in fields`"),
        ("fields['assets'] > 5", "write `double(fields[\"assets\"])`"),
        ("1e24 <= fields['assets']", "write `double(fields[\"assets\"])`"),
    ] {
        let problems = compile(source, &[Kind::ContractEvent]).expect_err(source);
        let shown = problems[0].hint.as_deref().unwrap_or_default();
        assert!(shown.contains(hint), "{source}: {problems:?}");
        assert_eq!(problems.len(), 1, "{source}: {problems:?}");
    }
}

#[test]
fn a_slip_of_syntax_points_at_its_place() {
    let problem = &compile("amount > && 1", &[Kind::Erc20Transfer]).unwrap_err()[0];
    assert_eq!((problem.offset, problem.length), (9, 1), "{problem:?}");
    let second_line = &compile("amount > 1.0\n  && (", &[Kind::Erc20Transfer]).unwrap_err()[0];
    assert!(second_line.offset >= 15, "{second_line:?}");
    let has = &compile("has(usd)", &[Kind::Erc20Transfer]).unwrap_err()[0];
    assert!(has.hint.as_deref().unwrap_or_default().contains("usd != null"), "{has:?}");
}

#[test]
fn the_most_selective_requirement_is_found_and_none_is_made_up() {
    let required = |source: &str| {
        compile(source, &[Kind::Erc20Transfer]).unwrap().required().map(|required| {
            let values: Vec<&str> = required.values.iter().map(String::as_str).collect();
            format!("{}={}", required.field, values.join(","))
        })
    };
    assert_eq!(required("chain == 'base' && symbol in ['A', 'B']").as_deref(), Some("symbol=A,B"));
    assert_eq!(
        required("(chain == 'a' && symbol == 'X') || (symbol == 'Y' && usd > 1.0)").as_deref(),
        Some("symbol=X,Y")
    );
    assert_eq!(required("symbol == 'X' || usd > 1.0"), None);
    assert_eq!(required("!(symbol == 'X')"), None);
    let address = format!("0x{}", "AB".repeat(20));
    assert_eq!(
        required(&format!("symbol == 'X' && from == '{address}'")),
        Some(format!("from={}", address.to_lowercase())),
    );
}

#[test]
fn every_field_of_the_wire_is_there_under_its_name() {
    // Nested values and raw bytes are not for conditions; removal is the engine's business.
    let left_out = [
        "version",
        "removed",
        "incarnation",
        "partial",
        "unverified",
        "scope_version",
        "scope_digest",
        "covers_from",
        "announced",
        "ancestor",
        "dropped",
        "topics",
        "trace_address",
        "data",
        "data_keccak",
        "addresses",
        "routes",
        "links",
        "chart",
        "seen_at_us",
    ];
    for kind in Kind::ALL {
        let fields = fields_of(*kind);
        if fields.is_empty() {
            continue;
        }
        let event = samples::sample(*kind);
        let json = event.to_json();
        for (name, _) in json.as_object().unwrap() {
            let known = fields.iter().any(|field| field.name == name);
            assert!(known || left_out.contains(&name.as_str()), "{kind}: {name}");
        }
        for field in &fields {
            assert!(json.get(field.name).is_some(), "{kind}: {}", field.name);
            let value = field_of(&event, field.name).unwrap();
            assert_ne!(value, FieldValue::Absent, "{kind}: {}", field.name);
        }
    }
}

#[test]
fn helpers_write_amounts_addresses_and_tags_shortly() {
    let event = Event::from(Erc20Transfer {
        to: Address::ZERO,
        value: Uint256(U256::from(1_500_000_000_u64)),
        to_tags: vec!["mixer".into(), "exchange".into()],
        ..transfer()
    });
    for source in [
        "value == units('1500', 6) && value == gwei('1.5') && value < ether('0.000001')",
        "is_zero(to) && !is_zero(from) && !is_zero(value)",
        "short(from) == '0xabab…abab'",
        "has_tag(to_tags, 'exchange') && !has_tag(from_tags, 'exchange')",
        "any_of(to_tags, ['sanctioned', 'mixer']) && !any_of(from_tags, to_tags)",
        "abs(-1.5) == 1.5 && abs(log_index - 3) == 3",
    ] {
        assert_eq!(verdict(source, &event), Verdict::Match, "{source}");
    }
    for (source, message) in [
        ("value > ether('1.5x')", "no amount"),
        ("value > units('0.1234567', 6)", "at most 6 digits"),
        ("value > ether(2)", "`ether` does not take (an int)"),
        ("is_zero(symbol)", "`is_zero` does not take (text)"),
        ("has_tag(symbol, 'x')", "`has_tag` does not take"),
        ("any_of(to_tags, 'mixer')", "`any_of` does not take"),
        ("has_tags(to_tags, 'x')", "unknown function `has_tags`"),
    ] {
        let problems = compile(source, &[Kind::Erc20Transfer]).expect_err(source);
        assert!(problems[0].message.contains(message), "{source}: {problems:?}");
    }
}

#[test]
fn every_function_is_written_as_its_usage_says() {
    for function in functions::FUNCTIONS {
        let usage = function.usage.replace("list", "watched").replace("text.", "symbol.");
        for usage in usage.split(", u256") {
            let usage =
                if usage.starts_with("(\"0x") { format!("u256{usage}") } else { usage.into() };
            let fields: Vec<Field> = fields_of_all(&[Kind::Erc20Transfer])
                .into_iter()
                .chain(fields_of_all(&[Kind::ContractEvent, Kind::Price]))
                .collect();
            let source = format!("{usage} == {usage}");
            Condition::compile(&source, &fields, &Arc::new(functions::environment()))
                .unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
        }
        assert!(!function.about.is_empty());
    }
}
