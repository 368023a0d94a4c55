#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use crypto_intel_schemas::{
    Address, Approval, Balance, Decimal, Erc20Transfer, Event, Kind, NativeTransfer, Transaction,
    TransactionStatus, U256, Uint256, samples, subjects,
};
use proptest::prelude::*;

use super::*;
use crate::condition::{Variables, Verdict};

fn problems_of(text: &str) -> Vec<RuleProblem> {
    let destinations = ["ops".to_owned(), "night".to_owned()];
    RuleSet::parse(&[("rules/test.toml", text)], Some(&destinations)).expect_err("must be refused")
}

fn rule(lines: &str) -> String {
    let mut text = String::from("[[rule]]\n");
    for (key, default) in
        [("id", "id = 'test'"), ("on", "on = 'evm.*.transfer.erc20'"), ("title", "title = 'x'")]
    {
        if !lines.lines().any(|line| line.starts_with(&format!("{key} ="))) {
            text.push_str(default);
            text.push('\n');
        }
    }
    text + lines
}

#[test]
fn the_rules_that_come_with_the_program_are_right() {
    let rules = RuleSet::parse(DEFAULT_RULES, Some(&["ops".to_owned()])).unwrap();
    assert!(rules.ids().len() >= 5, "{:?}", rules.ids());
    let slugs: Vec<&str> = rules.streams().into_iter().map(RuleStream::slug).collect();
    assert_eq!(slugs, ["evm", "market", "signals", "status"]);
}

#[test]
fn a_problem_names_file_rule_place_and_mend() {
    let text = rule("when = 'token_verified && amout > 1000.0'\n");
    let shown = problems_of(&text)[0].to_string();
    assert_eq!(
        shown,
        "rules/test.toml:5:27: rule test: unknown field `amout`\n\
         5 | when = 'token_verified && amout > 1000.0'\n\
         \x20 |                           ^^^^^\n\
         \x20 = did you mean `amount`?"
    );
}

#[test]
fn places_are_right_in_conditions_of_several_lines() {
    let text = rule("when = '''\ntoken_verified\n  && usdd > 1.0\n'''\n");
    let problem = &problems_of(&text)[0];
    assert_eq!((problem.line, problem.column), (Some(7), Some(6)), "{problem}");
    assert_eq!(problem.hint.as_deref(), Some("did you mean `usd`?"));
}

#[test]
fn each_mistake_is_refused_with_its_mend() {
    for (lines, message, hint) in [
        ("id = 'Has Spaces'\n", "is no rule id", ""),
        ("id = 'rule-fails'\n", "about rules that fail", "another id"),
        ("on = 'evm.*.transfer.erc2O'\n", "no kind of event is on", "`evm.*.transfer.erc20`"),
        ("on = 'watch.base.>'\n", "rules cannot read", "size(watched) > 0"),
        ("on = 'evn.*.block'\n", "rules cannot read", "did you mean `evm`?"),
        ("on = '>'\n", "rules cannot read", "one stream"),
        ("on = 'tick.evm'\n", "rules cannot read", "begin with one of"),
        ("on = 'evm..x'\n", "no subject pattern", "evm.*.transfer.erc20"),
        ("on = []\n", "names no subject", "a list such as"),
        ("on = ['evm.*.swap', 'evm.*.swop']\n", "no kind of event is on", "`evm.*.swap`"),
        ("on = ['evm.*.swap', 'market.>']\n", "\"market.>\" of MARKET", "one rule for each"),
        ("on = 5\n", "a subject pattern or a list of them", ""),
        ("cooldown = 'five minutes'\n", "no duration", "90s, 5m"),
        ("max_event_age = '10'\n", "no duration", "90s, 5m"),
        ("larger_passes = 10\n", "no meaning without a cooldown", ""),
        ("larger_passes = 0.5\ncooldown = '1m'\n", "a factor from 1 on", "ten times"),
        ("finality = 'final'\n", "not supported", "`confirmations = N`"),
        ("finality = 'confirmed'\n", "not supported", "`confirmations = N`"),
        ("confirmations = 3\n", "is for finality = \"confirmed\"", ""),
        ("trigger = 'windw'\n", "no trigger is named", "one of event, window"),
        ("trigger = 'window'\n", "needs [rule.window]", ""),
        ("resolved_title = 'x'\n", "tells of single events", "make a condition"),
        ("for = '1m'\ncooldown = '1m'\n", "a cooldown has no meaning", "keep_firing_for"),
        ("group_by = ['form']\n", "unknown field `form`", "did you mean `from`?"),
        ("routes = ['opss']\n", "unknown route `opss`", "did you mean `ops`?"),
        ("routes = ['telegram']\n", "unknown route", "configured destinations: ops, night"),
        ("routes = ['ops', 'ops']\n", "twice", ""),
        ("unpriced = 'maybe'\nwhen = 'usd > 1.0'\n", "unknown variant `maybe`", ""),
        ("unpriced = 'fire'\n", "names no amount in dollars", "leave `unpriced` out"),
        ("labels = { Team = 'a' }\n", "no name of a label", ""),
        ("labels = { chain = 'a' }\n", "set by itself", "another name"),
        ("labels = { from = 'a' }\ngroup_by = ['from']\n", "set by itself", ""),
        ("labels = { team = '' }\n", "1 to 120 characters", ""),
        ("severity = 'urgent'\n", "unknown variant `urgent`", ""),
        ("wen = 'true'\n", "unknown field `wen`", "did you mean `when`?"),
        ("title = '{{ amont }}'\n", "template names unknown field `amont`", "`amount`"),
        ("title = '{{ amount|nun }}'\n", "filter nun is unknown", ""),
        ("title = '{{ amount'\n", "template: ", ""),
        ("title = '{{ symbol|num }}'\n", "num needs a number", ""),
        ("lines = ['ok', '{{ tx }}']\n", "template names unknown field `tx`", "known: "),
        ("links = [{ label = 'x', url = '{{ nope }}' }]\n", "unknown field `nope`", ""),
        ("title = '{% for i in range(99999) %}{% endfor %}'\n", "fuel", ""),
    ] {
        let problems = problems_of(&rule(lines));
        let problem = &problems[0];
        assert!(problem.message.contains(message), "{lines}: {problem}");
        assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{lines}: {problem}");
        assert!(problem.line.is_some(), "{lines}: {problem}");
        assert_eq!(problems.len(), 1, "{lines}: {problems:#?}");
    }
}

#[test]
fn all_problems_of_all_files_are_told_at_once() {
    let one = rule("when = 'a > 1 && b > 2'\ncooldown = 'x'\n");
    let two = rule("routes = ['nobody']\n").replace("'test'", "'other'");
    let problems = RuleSet::parse(&[("1.toml", &one), ("2.toml", &two)], Some(&[])).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    let twice = RuleSet::parse(&[("1.toml", &rule("")), ("2.toml", &rule(""))], None).unwrap_err();
    assert!(twice[0].to_string().contains("another rule has this id, in 1.toml"), "{}", twice[0]);
}

#[test]
fn an_unknown_key_does_not_hide_the_other_mistakes() {
    let one = "wen = 'a'\nseverity = 'urgent'\ncooldown = 'x'\nwhen = 'amout > 1.0'\nlinks = [{ labl = 'x', label = 'x', url = '{{ nope }}' }]\n";
    let text = "rules = 1\n".to_owned() + &rule(one) + &rule("id = 'b'\nroutes = ['opss']\n");
    let shown: Vec<String> = problems_of(&text).iter().map(ToString::to_string).collect();
    let all = shown.join("\n");
    for message in [
        "unknown field `rules`",
        "did you mean `rule`?",
        "rule test: unknown field `wen`",
        "unknown variant `urgent`",
        "\"x\" is no duration",
        "unknown field `amout`",
        "unknown field `labl`",
        "unknown field `nope`",
        "unknown route `opss`",
    ] {
        assert!(all.contains(message), "{message}: {all}");
    }
    assert_eq!(shown.len(), 8, "{all}");
}

#[test]
fn patterns_without_files_and_rules_that_tell_nobody_are_known() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), rule("id = 'a'\nroutes = ['ops']\n")).unwrap();
    std::fs::write(folder.path().join("b.toml"), rule("id = 'b'\n")).unwrap();
    let paths = [folder.path().join("*.toml"), folder.path().join("ruls/*.toml")];
    let rules = load_rules(&paths, Some(&["ops".to_owned()])).unwrap();
    assert_eq!((rules.files(), rules.ids().len()), (2, 2));
    assert_eq!(rules.unmatched(), &paths[1..]);
    assert_eq!(rules.without_routes(), ["b"]);
}

#[test]
fn files_are_found_by_pattern_and_disabled_rules_are_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.toml"), rule("id = 'b'\n")).unwrap();
    std::fs::write(folder.path().join("a.toml"), rule("id = 'a'\n")).unwrap();
    std::fs::write(folder.path().join("c.toml"), rule("id = 'c'\nenabled = false\n")).unwrap();
    std::fs::write(folder.path().join("notes.md"), "not a rule").unwrap();
    let pattern = [folder.path().join("*.toml")];
    assert_eq!(load_rules(&pattern, Some(&[])).unwrap().ids(), ["a", "b"]);
    std::fs::write(folder.path().join("c.toml"), rule("enabled = false\nwhen = 'x'\n")).unwrap();
    assert_eq!(load_rules(&pattern, Some(&[])).unwrap_err().len(), 1);
    let missing = load_rules(&[folder.path().join("none.toml")], Some(&[])).unwrap_err();
    assert!(missing[0].to_string().contains("cannot be read"), "{}", missing[0]);
}

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
        let rules = RuleSet::parse(&[("p.toml", &text)], None)
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let event = Event::from(Erc20Transfer {
            chain: chain.to_owned(),
            symbol: symbol.map(str::to_owned),
            from: Address::repeat_byte(from),
            value: Uint256(U256::ONE),
            token_verified,
            ..Erc20Transfer::empty()
        });
        let subject = subjects::chain(subjects::Lane::Live, chain, Kind::Erc20Transfer);
        let variables = Variables::new(&event);
        let mut context = cel::Context::with_env(Arc::clone(&rules.conditions));
        context.set_variable_resolver(&variables);
        let is_match = |index: &usize| {
            rules.rules[*index].condition.evaluate(&context, &variables) == Verdict::Match
        };
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

#[test]
fn links_lead_to_the_explorers_that_are_configured() {
    let text = rule("title = '{{ explorer(chain_id) }}'\n");
    let rules = RuleSet::parse(&[("rules/test.toml", &text)], None).unwrap();
    let own = [(4_242, "https://mine.example".to_owned())];
    let rules = rules.with_explorers(Explorers::new(own));
    let event =
        |chain_id| Event::Erc20Transfer(Erc20Transfer { chain_id, ..Erc20Transfer::empty() });
    let [only] = &rules.rules[..] else { unreachable!("one rule") };
    for (chain_id, expected) in
        [(4_242, "https://mine.example"), (130, "https://uniscan.xyz"), (7, "")]
    {
        let values = template::values_of(&event(chain_id), &only.fields);
        let message = only.message.render(&rules.templates, &values).unwrap();
        assert_eq!(message.title, expected);
        let link = template::transaction_link(&rules.explorers, &event(chain_id));
        assert_eq!(link.is_some_and(|link| link.url.starts_with(expected)), !expected.is_empty());
    }
}

#[test]
fn a_rule_tells_of_failed_transactions_of_watched_wallets() {
    let text = rule(
        "on = 'evm.*.transaction'\n\
         when = 'status == \"failed\" && size(watched) > 0 && fee_usd > 1.0'\n\
         title = '{{ watched|join(\", \") }}: {{ method }} failed, fee {{ fee_amount }} {{ symbol }}'\n",
    );
    let rules = RuleSet::parse(&[("rules/test.toml", &text)], None)
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
    let [only] = &rules.rules[..] else { unreachable!("one rule") };
    let Event::Transaction(whole) = samples::sample(Kind::Transaction) else { unreachable!() };
    let with = |status| Event::from(Transaction { status, ..whole.clone() });
    let subject = subjects::chain(subjects::Lane::Live, "ethereum", Kind::Transaction);
    let mut index = SubjectIndex::new(RuleStream::Evm);
    for (status, is_told) in [
        (Some(TransactionStatus::Failed), true),
        (Some(TransactionStatus::Success), false),
        (Some(TransactionStatus::Unknown), false),
        (None, false),
    ] {
        let event = with(status);
        let variables = Variables::new(&event);
        let mut context = cel::Context::with_env(Arc::clone(&rules.conditions));
        context.set_variable_resolver(&variables);
        let candidates = index.candidates(&rules, &subject).of(&event);
        let is_match = only.condition.evaluate(&context, &variables) == Verdict::Match;
        assert_eq!(!candidates.is_empty() && is_match, is_told, "{status:?}");
    }
    let event = with(Some(TransactionStatus::Failed));
    let message =
        only.message.render(&rules.templates, &template::values_of(&event, &only.fields)).unwrap();
    let fee = whole.fee_amount.unwrap();
    assert_eq!(message.title, format!("treasury: 0xa9059cbb failed, fee {fee} ETH"));
}

/// What the rule of this id that comes with the program says of an event; `None` where it does not match.
fn told_by_default(id: &str, event: &Event) -> Option<String> {
    let rules = RuleSet::parse(DEFAULT_RULES, None).unwrap_or_else(|found| panic!("{found:#?}"));
    let rule = rules.rules.iter().find(|rule| rule.id == id).unwrap();
    let variables = Variables::new(event);
    let mut context = cel::Context::with_env(Arc::clone(&rules.conditions));
    context.set_variable_resolver(&variables);
    if rule.condition.evaluate(&context, &variables) != Verdict::Match {
        return None;
    }
    let values = template::values_of(event, &rule.fields);
    Some(rule.message.render(&rules.templates, &values).unwrap().title)
}

#[test]
fn one_rule_tells_of_everything_that_a_watched_wallet_does() {
    let id = "watched-wallet-moved";
    for (kind, title) in [
        (Kind::Erc20Transfer, "treasury: 12,500,000.25 USDC ($12.49M) moved on ethereum"),
        (Kind::Erc721Transfer, "treasury: NFT 8817 of 0xbc4c…f13d moved on ethereum"),
        (Kind::NativeTransfer, "treasury: 1.5 ETH ($3,948) moved on ethereum"),
        (Kind::InternalTransfer, "treasury: 0.25 ETH ($658.12) moved on ethereum"),
        (Kind::ContractCreation, "treasury: created 0xbc4c…f13d on ethereum"),
    ] {
        assert_eq!(told_by_default(id, &samples::sample(kind)).as_deref(), Some(title));
    }
    let Event::Approval(approval) = samples::sample(Kind::Approval) else { unreachable!() };
    let signed = Approval { tx_from: Some(approval.owner), ..approval.clone() };
    let title = told_by_default(id, &signed.into());
    assert!(title.is_some_and(|title| title.contains("may spend")));

    let Event::Transaction(whole) = samples::sample(Kind::Transaction) else { unreachable!() };
    assert_eq!(told_by_default(id, &whole.clone().into()), None, "its transfers tell of it");
    let failed = Transaction { status: Some(TransactionStatus::Failed), ..whole };
    let title = told_by_default(id, &failed.into());
    assert!(title.is_some_and(|title| title.contains("failed")));
}

#[test]
fn what_strangers_say_of_a_watched_wallet_is_not_told() {
    let id = "watched-wallet-moved";
    let Event::Erc20Transfer(sample) = samples::sample(Kind::Erc20Transfer) else { unreachable!() };
    let stranger = Some(Address::repeat_byte(0xee));
    let spam = Erc20Transfer { token_verified: false, tx_from: stranger, ..sample };
    assert_eq!(told_by_default(id, &spam.clone().into()), None, "anybody can emit it");
    let own = Erc20Transfer { tx_from: Some(spam.from), ..spam };
    assert!(told_by_default(id, &own.clone().into()).is_some(), "the sender signed it");
    let unwatched = Erc20Transfer { watched: Vec::new(), token_verified: true, ..own };
    assert_eq!(told_by_default(id, &unwatched.into()), None);

    let Event::Approval(approval) = samples::sample(Kind::Approval) else { unreachable!() };
    let forged = Approval { tx_from: stranger, ..approval };
    assert_eq!(told_by_default(id, &forged.into()), None);
}

#[test]
fn a_rule_tells_of_a_wallet_that_runs_low() {
    let text = rule(
        "on = 'balance.*.*.native'\n\
         when = '\"treasury\" in watched && amount < 5'\n\
         title = '{{ watched|join(\", \") }} has {{ amount }} {{ symbol }} left'\n",
    );
    let rules = RuleSet::parse(&[("rules/test.toml", &text)], None)
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
    let [only] = &rules.rules[..] else { unreachable!("one rule") };
    let Event::Balance(whole) = samples::sample(Kind::Balance) else { unreachable!() };
    let mut index = SubjectIndex::new(RuleStream::Evm);
    for (asset, amount, is_told) in [
        ("native", Some("4.75"), true),
        ("native", Some("5"), false),
        ("native", None, false),
        ("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", Some("1"), false),
    ] {
        let amount = amount.map(|amount| Decimal::parse(amount).unwrap());
        let event = Event::from(Balance { asset: asset.to_owned(), amount, ..whole.clone() });
        let variables = Variables::new(&event);
        let mut context = cel::Context::with_env(Arc::clone(&rules.conditions));
        context.set_variable_resolver(&variables);
        let is_candidate = !index.candidates(&rules, &subjects::of(&event)).of(&event).is_empty();
        let is_match = only.condition.evaluate(&context, &variables) == Verdict::Match;
        assert_eq!(is_candidate && is_match, is_told, "{asset} {is_told}");
        if is_told {
            let values = template::values_of(&event, &only.fields);
            let message = only.message.render(&rules.templates, &values).unwrap();
            assert_eq!(message.title, "treasury has 4.75 USDC left");
        }
    }
}

#[test]
fn a_watched_wallet_that_deals_with_a_suspect_is_told_in_both_directions() {
    let id = "watched-wallet-and-suspect";
    let Event::Erc20Transfer(sample) = samples::sample(Kind::Erc20Transfer) else { unreachable!() };
    let texts = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let with = |from: &[&str], to: &[&str]| {
        let (from_tags, to_tags) = (texts(from), texts(to));
        Event::from(Erc20Transfer { from_tags, to_tags, ..sample.clone() })
    };
    let sent = told_by_default(id, &with(&["watched"], &["mixer"])).unwrap();
    assert!(sent.starts_with("treasury sent to "), "{sent}");
    assert!(sent.ends_with(": mixer on ethereum"), "{sent}");
    let got = told_by_default(id, &with(&["sanctioned", "exchange"], &["watched"])).unwrap();
    assert!(got.contains("got something from") && got.contains("sanctioned"), "{got}");
    for (from, to) in [(&["watched"][..], &["exchange"][..]), (&["mixer"], &["mixer"]), (&[], &[])]
    {
        assert_eq!(told_by_default(id, &with(from, to)), None, "{from:?} {to:?}");
    }
}

#[test]
fn what_leaves_a_watched_wallet_and_what_comes_to_it_are_told_apart() {
    let Event::NativeTransfer(sample) = samples::sample(Kind::NativeTransfer) else {
        unreachable!()
    };
    for (from, to, word) in [(true, false, "out"), (false, true, "in"), (true, true, "moved")] {
        let tags =
            |is_watched: bool| is_watched.then(|| "watched".to_owned()).into_iter().collect();
        let event = NativeTransfer { from_tags: tags(from), to_tags: tags(to), ..sample.clone() };
        let title = told_by_default("watched-wallet-moved", &event.into()).unwrap();
        assert!(title.ends_with(&format!("{word} on ethereum")), "{title}");
    }
}

/// A kind without the field has nothing in its list: neither unknown, so that the rest of the condition decides.
#[test]
fn a_list_that_a_kind_lacks_is_empty() {
    let text = rule(
        "on = ['evm.*.transfer.native', 'evm.*.contract']\n\
         when = '!(\"sanctioned\" in to_tags) && (size(to_tags) == 0 || kind == \"transfer.native\")'\n\
         title = '{{ to_tags|join(\", \") }}'\n",
    );
    let rules = RuleSet::parse(&[("rules/test.toml", &text)], None)
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
    let Event::NativeTransfer(sample) = samples::sample(Kind::NativeTransfer) else {
        unreachable!()
    };
    let to = |tags: &[&str]| {
        let to_tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Event::from(NativeTransfer { to_tags, ..sample.clone() })
    };
    for (event, expected) in [
        (to(&["sanctioned"]), Verdict::NoMatch),
        (to(&["exchange"]), Verdict::Match),
        (to(&[]), Verdict::Match),
        (samples::sample(Kind::ContractCreation), Verdict::Match),
    ] {
        let variables = Variables::new(&event);
        let mut context = cel::Context::with_env(Arc::clone(&rules.conditions));
        context.set_variable_resolver(&variables);
        assert_eq!(rules.rules[0].condition.evaluate(&context, &variables), expected, "{event:?}");
    }
}

#[test]
fn mistakes_of_triggers_are_refused_at_their_place() {
    let window = |window: &str| {
        format!(
            "[[rule]]\nid = 'w'\non = 'evm.*.transfer.erc20'\ntrigger = 'window'\ngroup_by = ['to']\ntitle = '{{{{ to }}}} {{{{ sum }}}}'\n[rule.window]\n{window}"
        )
    };
    for (keys, message, hint) in [
        ("over = '1h'\nhaving = 'sum > 5.0'", "`sum` is not known", "add `of = \"FIELD\"`"),
        ("over = '1h'\nof = 'usd'\nhaving = 'ratio > 2.0'", "`ratio` is not known", "24h mean"),
        ("over = '1h'\nof = 'usd'\nhaving = 'summ > 5.0'", "unknown field `summ`", "`sum`"),
        ("over = '1h'\nof = 'symbol'\nhaving = 'count > 5'", "is no number", "by `distinct`"),
        ("over = '1h'\nof = 'usdd * 2.0'\nhaving = 'count > 5'", "unknown field `usdd`", "`usd`"),
        ("over = '1h'\nevery = '7m'\nhaving = 'count > 5'", "whole steps", "every = \"1m\""),
        ("over = '1h'\nkind = 'hopping'\nhaving = 'count > 5'", "no window is", "tumbling"),
        ("over = '1h'\nbaseline = 'week'\nhaving = 'ratio > 5.0'", "no baseline is", "24h mean"),
        ("over = '0s'\nhaving = 'count > 5'", "longer than nothing", ""),
        ("over = '1h'\nhaving = 'count'", "a condition is true or false", ""),
        ("over = '1h'\nhavin = 'count > 5'", "unknown field `havin`", "did you mean `having`"),
    ] {
        let text = window(keys);
        let problems = RuleSet::parse(&[("t.toml", text.as_str())], None).expect_err(keys);
        let problem = &problems[0];
        assert!(problem.message.contains(message), "{keys}: {problems:?}");
        assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{keys}: {problem:?}");
        assert!(problem.line.is_some_and(|line| line >= 8), "{keys}: {problem:?}");
    }
    let title =
        window("over = '1h'\nof = 'value'\nhaving = 'sum > 5.0'").replace("{ sum", "{ from");
    let problems = RuleSet::parse(&[("t.toml", title.as_str())], None).expect_err("from");
    assert!(problems[0].message.contains("unknown field `from`"), "a window knows its group only");
}

#[test]
fn every_example_of_the_documentation_is_a_rule() {
    let text = include_str!("../../README.md");
    let examples = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut found = BTreeSet::new();
    for example in examples.filter(|example| example.starts_with("[[rule]]")) {
        let destinations = ["ops".to_owned()];
        let rules = RuleSet::parse(&[("README.md", example)], Some(&destinations));
        let rules = rules.unwrap_or_else(|problems| panic!("{}", problems[0]));
        found.extend(rules.ids().into_iter().map(str::to_owned));
    }
    let triggers =
        ["exchange-inflow", "depeg", "passed-through", "chain-is-silent", "new-counterparty"];
    assert!(triggers.iter().all(|id| found.contains(*id)), "{found:?}");
}

#[test]
fn a_rule_chooses_what_it_does_without_a_price() {
    let verdict = |when: &str, unpriced: &str, event: &Event| {
        let text = rule(&format!("when = '{when}'\n{unpriced}"));
        let rules = RuleSet::parse(&[("p.toml", &text)], None)
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let variables = Variables::new(event);
        let mut context = cel::Context::with_env(Arc::clone(&rules.conditions));
        context.set_variable_resolver(&variables);
        (rules.rules[0].verdict(&context, &variables), rules.rules[0].marks_unpriced(event))
    };
    let unpriced = Event::from(Erc20Transfer { token_verified: true, ..Erc20Transfer::empty() });
    let priced = Event::from(Erc20Transfer {
        token_verified: true,
        usd: Some(Decimal::parse("5").unwrap()),
        ..Erc20Transfer::empty()
    });
    let large = "token_verified && usd >= 1000.0";
    assert_eq!(verdict(large, "", &unpriced), (Verdict::Unpriced, false));
    assert_eq!(verdict(large, "unpriced = 'skip'\n", &unpriced), (Verdict::Unpriced, false));
    assert_eq!(verdict(large, "unpriced = 'fire'\n", &unpriced), (Verdict::Match, false));
    assert_eq!(verdict(large, "unpriced = 'mark'\n", &unpriced), (Verdict::Match, true));
    assert_eq!(verdict(large, "unpriced = 'mark'\n", &priced), (Verdict::NoMatch, false));
    let small = "usd < 10.0";
    assert_eq!(verdict(small, "unpriced = 'fire'\n", &unpriced).0, Verdict::Match);
    // At no price is this true, and what is false anyway stays so.
    let amount = "amount > 5.0 && usd > 5.0";
    assert_eq!(verdict(amount, "unpriced = 'fire'\n", &unpriced).0, Verdict::Absent);
    let other = "!token_verified && usd > 5.0";
    assert_eq!(verdict(other, "unpriced = 'fire'\n", &unpriced).0, Verdict::NoMatch);
}

#[test]
fn a_condition_on_dollars_that_says_nothing_of_unknown_ones_is_warned_of() {
    let warned = |lines: &str| {
        let rules = RuleSet::parse(&[("p.toml", &rule(lines))], None).unwrap();
        rules.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let found = warned("when = 'token_verified && usd > 5.0'\n");
    assert!(found[0].contains("p.toml:5:27: rule test: `usd` is unknown without"), "{found:?}");
    assert!(found[0].contains("unpriced = \"skip\""), "{found:?}");
    for silent in [
        "when = 'usd > 5.0'\nunpriced = 'skip'\n",
        "when = 'usd == null || usd > 5.0'\n",
        "when = 'amount > 5.0'\n",
        "enabled = false\nwhen = 'usd > 5.0'\n",
    ] {
        assert_eq!(warned(silent), Vec::<String>::new(), "{silent}");
    }
}
