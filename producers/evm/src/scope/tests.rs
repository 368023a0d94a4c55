#![allow(clippy::unwrap_used)]

use crypto_intel_schemas::{Address, Erc20Transfer, Event, NativeTransfer, Swap, Transaction};

use super::{
    Scope,
    config::ScopeConfig,
    plan::FetchPlan,
    record::{Range, ScopeRecord},
};
use crate::{
    abis::Abis, config::ChainConfig, decode::known, enrich::assets::AssetList, log_query::LogQuery,
};

const TOKEN: Address = Address::repeat_byte(1);
const OTHER: Address = Address::repeat_byte(2);

fn config(text: &str) -> ChainConfig {
    toml::from_str(text).unwrap()
}

fn scope(text: &str) -> Scope {
    let config = config(text);
    let assets = AssetList::load(None).unwrap().of_chain("ethereum");
    Scope::of(&config, &assets, &Abis::load(&config.abis).unwrap())
}

fn plan(text: &str) -> FetchPlan {
    let config = config(text);
    FetchPlan::of(&scope(text), &Abis::load(&config.abis).unwrap(), &config)
}

fn logs(queries: Vec<LogQuery>) -> FetchPlan {
    FetchPlan::Logs { queries: queries.into(), every_block: false }
}

fn transfer(token: Address) -> Event {
    Erc20Transfer { address: token, ..Erc20Transfer::empty() }.into()
}

#[test]
fn events_are_chosen_by_kind_and_contract() {
    let (payment, swap) = (Event::from(NativeTransfer::empty()), Event::from(Swap::empty()));
    let listed = format!("[scope]\ncontracts = [\"{TOKEN}\"]");
    let except = format!("[scope]\nexcept_contracts = [\"{TOKEN}\"]");
    for (text, wanted) in [
        ("", [true, true, true, true]),
        ("[scope]\nkinds = [\"transfer\"]", [true, true, true, false]),
        ("[scope]\nkinds = [\"transfer.erc20\"]", [true, true, false, false]),
        ("[scope]\nkinds = [\"swap\", \"transfer.native\"]", [false, false, true, true]),
        // With contracts, only what contracts emit, unless a kind is named.
        (&listed, [true, false, false, false]),
        (&format!("{listed}\nkinds = [\"transfer\"]"), [true, false, true, false]),
        (&except, [false, true, true, true]),
    ] {
        let scope = scope(text);
        let found = [transfer(TOKEN), transfer(OTHER), payment.clone(), swap.clone()]
            .map(|event| scope.wants(&event));
        assert_eq!(found, wanted, "{text}");
    }
}

#[test]
fn verified_tokens_are_those_of_the_list() {
    let scope = scope("[scope]\nverified_tokens = true");
    let usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48".parse().unwrap();
    assert!(scope.wants(&transfer(usdc)) && !scope.wants(&transfer(OTHER)));
}

#[test]
fn a_scope_of_logs_asks_for_nothing_else() {
    let one = format!("[scope]\ncontracts = [\"{TOKEN}\"]\nkinds = [\"transfer.erc20\"]");
    let query = LogQuery::of_any(vec![TOKEN], vec![known::TRANSFER]);
    assert_eq!(plan(&one), logs(vec![query.clone()]));
    let feed = Address::repeat_byte(7);
    let with_abi = format!(
        "{one}\n[[abis]]\nname = \"x\"\ncontracts = [\"{feed}\"]\nevents = [\"event Paid(uint256 amount)\"]"
    );
    assert_eq!(plan(&with_abi), logs(vec![query]), "no events are in scope");
    assert_eq!(scope(&with_abi).digest(), scope(&one).digest(), "so nothing is published again");
    let with_events = with_abi.replace("\"transfer.erc20\"", "\"transfer.erc20\", \"event\"");
    let FetchPlan::Logs { queries, .. } = plan(&with_events) else { panic!("whole blocks") };
    assert_eq!(queries.len(), 2, "{queries:?}");

    // Their events in another form are published raw.
    let with_raw = with_abi.replace("\"transfer.erc20\"", "\"log\"");
    let FetchPlan::Logs { queries, .. } = plan(&with_raw) else { panic!("whole blocks") };
    assert_eq!(queries.len(), 2, "{queries:?}");

    for needs_transactions in [
        "",
        "[scope]\nkinds = [\"transfer\"]",
        "[scope]\nkinds = [\"swap\"]\nwatched_only = true",
        "[scope]\nkinds = [\"swap\"]\ntransaction_fields = true",
        // Ids depend on log indexes, which are made of all logs there.
        "check_log_indexes = false\n[scope]\nkinds = [\"swap\"]",
        "logs = \"all\"\n[scope]\nkinds = [\"log\"]",
    ] {
        assert_eq!(plan(needs_transactions), FetchPlan::Whole, "{needs_transactions}");
    }
}

#[test]
fn transactions_are_in_scope_where_all_kinds_are_or_they_are_named() {
    let event = Event::from(Transaction::empty());
    let listed = format!("[scope]\ncontracts = [\"{TOKEN}\"]");
    for (text, is_wanted) in [
        ("", true),
        ("[scope]\nwatched_only = true", true),
        ("[scope]\nkinds = [\"transaction\"]", true),
        ("transactions = \"none\"\n[scope]\nwatched_only = true", false),
        ("[scope]\nkinds = [\"swap\"]", false),
        ("[scope]\nkinds = [\"transfer\"]", false),
        (&listed, false),
    ] {
        assert_eq!(scope(text).wants(&event), is_wanted, "{text}");
    }
    // The default asks for nothing that a scope of logs does not need; a name does.
    assert!(matches!(plan("[scope]\nkinds = [\"swap\"]"), FetchPlan::Logs { .. }));
    assert!(matches!(plan(&listed), FetchPlan::Logs { .. }));
    assert_eq!(plan("[scope]\nkinds = [\"swap\", \"transaction\"]"), FetchPlan::Whole);
}

#[test]
fn only_what_is_asked_for_by_name_makes_a_scope_wider() {
    // As earlier versions kept it: with the new kind in it, all of its past would be published again.
    let kept = r#"{"kinds":["approval","contract","event","liquidity","log","swap","transfer.erc1155","transfer.erc20","transfer.erc721","transfer.internal","transfer.native"],"contracts":null,"except":[],"watched_only":true,"configured_only":false,"transaction_fields":false,"abi_events":[],"abis":[],"raw_contracts":[],"every_log":false,"everything":false}"#;
    let now = scope("[scope]\nwatched_only = true");
    assert_eq!(serde_json::to_string(&now).unwrap(), kept);
    assert_eq!(serde_json::from_str::<Scope>(kept).unwrap().digest(), now.digest());
    let none = scope("transactions = \"none\"\n[scope]\nwatched_only = true");
    assert_eq!(none.digest(), now.digest());
    let except = format!("[scope]\nexcept_contracts = [\"{TOKEN}\"]");
    let all = format!("transactions = \"all\"\n{except}");
    for (wide, narrow) in [
        ("[scope]\nkinds = [\"swap\", \"transaction\"]", "[scope]\nkinds = [\"swap\"]"),
        (all.as_str(), except.as_str()),
        (
            "transactions = \"all\"\n[scope]\nkinds = [\"transaction\"]",
            "[scope]\nkinds = [\"transaction\"]",
        ),
    ] {
        let (wider, narrower) = (scope(wide), scope(narrow));
        assert!(wider.covers(&narrower) && !narrower.covers(&wider), "{wide:?} and {narrow:?}");
        assert_ne!(wider.digest(), narrower.digest());
    }
}

#[test]
fn scope_and_transactions_that_contradict_each_other_are_refused() {
    for (text, part) in [
        (
            "transactions = \"none\"\n[scope]\nkinds = [\"transaction\"]",
            "a.transactions: \"none\", but scope.kinds names",
        ),
        (
            "transactions = \"all\"\n[scope]\nkinds = [\"swap\"]",
            "add \"transaction\" to scope.kinds",
        ),
        ("transactions = \"all\"\n[scope]\nverified_tokens = true", "not in scope"),
    ] {
        let (config, mut problems) = (config(text), Vec::new());
        config.scope.validate_transactions(config.transactions, "evm.chains.a", &mut problems);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].contains(part), "{problems:?}");
    }
    for fine in
        ["", "transactions = \"all\"", "transactions = \"none\"\n[scope]\nkinds = [\"swap\"]"]
    {
        let (config, mut problems) = (config(fine), Vec::new());
        config.scope.validate_transactions(config.transactions, "evm.chains.a", &mut problems);
        assert!(problems.is_empty(), "{fine}: {problems:?}");
    }
}

#[test]
fn many_contracts_are_asked_for_by_topic() {
    let contracts: Vec<String> = (0..300)
        .map(|number| {
            format!("\"{}\"", Address::left_padding_from(&[1, number as u8, (number >> 8) as u8]))
        })
        .collect();
    let text =
        format!("[scope]\nkinds = [\"transfer.erc20\"]\ncontracts = [{}]", contracts.join(","));
    let by_topic = LogQuery::of_any(Vec::new(), vec![known::TRANSFER]);
    assert_eq!(plan(&text), logs(vec![by_topic]));
}

#[test]
fn a_wider_scope_covers_a_narrower_one_and_not_the_other_way_round() {
    let one = format!("[scope]\ncontracts = [\"{TOKEN}\"]");
    let two = format!("[scope]\ncontracts = [\"{TOKEN}\", \"{OTHER}\"]");
    for (wide, narrow) in [
        ("", "[scope]\nkinds = [\"swap\"]"),
        ("", one.as_str()),
        (&two, &one),
        ("[scope]\nkinds = [\"swap\", \"transfer\"]", "[scope]\nkinds = [\"swap\"]"),
        ("[scope]\nkinds = [\"swap\"]", "[scope]\nkinds = [\"swap\"]\nwatched_only = true"),
        ("[scope]\nkinds = [\"swap\"]\ntransaction_fields = true", "[scope]\nkinds = [\"swap\"]"),
        (
            "[scope]\nkinds = [\"event\"]\n[[abis]]\nname = \"x\"\nevents = [\"event Paid(uint256 amount)\"]",
            "[scope]\nkinds = [\"event\"]",
        ),
        (
            "[scope]\nkinds = [\"swap\"]",
            &format!("[scope]\nkinds = [\"swap\"]\nexcept_contracts = [\"{TOKEN}\"]"),
        ),
    ] {
        let (wider, narrower) = (scope(wide), scope(narrow));
        assert!(wider.covers(&narrower), "{wide:?} covers {narrow:?}");
        assert!(!narrower.covers(&wider), "{narrow:?} does not cover {wide:?}");
        assert_ne!(wider.digest(), narrower.digest());
        assert!(wider.covers(&wider) && narrower.covers(&narrower));
    }
    let swapped = format!("[scope]\ncontracts = [\"{OTHER}\", \"{TOKEN}\"]");
    assert_eq!(scope(&two).digest(), scope(&swapped).digest(), "the order says nothing");
}

fn range(from: u64, to: u64) -> Range {
    Range { from, to }
}

#[test]
fn what_a_wider_scope_lacks_is_queued_and_what_a_narrower_one_lacks_is_not() {
    let everything = scope("");
    let swaps = scope("[scope]\nkinds = [\"swap\"]");
    let more = scope("[scope]\nkinds = [\"swap\", \"liquidity\"]");
    let mut record = ScopeRecord::default();
    assert!(!record.put_in_force(&everything, 1), "nothing to remember");
    assert_eq!((record.version(), record.awaits_live()), (None, false));

    assert!(record.put_in_force(&swaps, 2));
    assert_eq!((record.version(), record.awaits_live()), (Some(1), true));
    assert!(!record.put_in_force(&swaps, 3), "the same again");
    assert_eq!(record.begin_live(100), [], "everything before is complete");
    assert!(record.add_past(range(10, 49)) && !record.add_past(range(20, 30)));

    assert!(record.put_in_force(&more, 4));
    assert_eq!(record.begin_live(150), [range(10, 49), range(100, 149)]);
    assert_eq!(record.version(), Some(2));

    assert!(record.put_in_force(&swaps, 5));
    assert_eq!(record.begin_live(200), [], "narrowing changes nothing old");

    assert!(record.put_in_force(&everything, 6));
    assert_eq!(record.version(), None);
    let all = [range(10, 49), range(100, 249)];
    assert_eq!(record.begin_live(250), all, "also what was queued for the second one");
    let kept = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<ScopeRecord>(&kept).unwrap(), record);
}

#[test]
fn versions_of_which_nothing_is_left_are_forgotten() {
    let scopes = [scope("[scope]\nkinds = [\"swap\"]"), scope("[scope]\nkinds = [\"log\"]")];
    let mut record = ScopeRecord::default();
    for change in 0..100_usize {
        assert!(record.put_in_force(&scopes[change % 2], 1));
    }
    assert_eq!(record.version(), Some(100));
    let kept = serde_json::to_string(&record).unwrap();
    assert!(kept.len() < 8 * 600, "{}", kept.len());

    // Those with blocks that lack something stay.
    let mut record = ScopeRecord::default();
    record.put_in_force(&scopes[0], 1);
    record.begin_live(10);
    for change in 1..50_usize {
        record.put_in_force(&scopes[change % 2], 1);
    }
    assert_eq!(record.begin_live(20), [range(10, 19)]);
}

#[test]
fn scopes_that_mean_nothing_are_refused_with_place_and_remedy() {
    let many = vec![TOKEN.to_string(); 2_001];
    for (scope, part) in [
        (
            ScopeConfig {
                kinds: vec!["swaps".into()],
                contracts: vec![TOKEN.to_string()],
                ..ScopeConfig::default()
            },
            "kinds[0]: \"swaps\"",
        ),
        (ScopeConfig { contracts: vec!["0x1".into()], ..ScopeConfig::default() }, "contracts[0]"),
        (ScopeConfig { contracts: many, ..ScopeConfig::default() }, "at most 2000"),
        (
            ScopeConfig {
                kinds: vec!["transfer.native".into()],
                verified_tokens: true,
                ..ScopeConfig::default()
            },
            "none of the kinds is made from logs",
        ),
    ] {
        let mut problems = Vec::new();
        scope.validate("evm.chains.a.scope", &mut problems);
        assert_eq!(problems.len(), 1, "one mistake, one problem: {problems:?}");
        assert!(problems[0].contains(part), "{part}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.starts_with("evm.chains.a.scope")));
    }
}

#[test]
fn a_block_without_a_possible_log_needs_no_question() {
    use alloy_primitives::{Bloom, BloomInput};
    let query = LogQuery::of_any(vec![TOKEN], vec![known::TRANSFER, known::APPROVAL]);
    let with = |parts: &[&[u8]]| {
        let mut bloom = Bloom::ZERO;
        parts.iter().for_each(|part| bloom.accrue(BloomInput::Raw(part)));
        bloom
    };
    let (token, other) = (TOKEN.as_slice(), OTHER.as_slice());
    let (transfer, swap) = (known::TRANSFER.as_slice(), known::SWAP_V3.as_slice());
    assert!(query.is_possible_in(&with(&[token, transfer])));
    assert!(!query.is_possible_in(&with(&[token, swap])));
    assert!(!query.is_possible_in(&with(&[other, transfer])));
    assert!(LogQuery::default().is_possible_in(&with(&[])), "it asks for whatever there is");
}
