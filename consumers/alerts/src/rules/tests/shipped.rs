//! The rules that come with the program.

use crypto_intel_schemas::{
    Address, Approval, Erc20Transfer, Kind, NativeTransfer, Transaction, TransactionStatus, samples,
};

use super::*;

#[test]
fn the_rules_that_come_with_the_program_are_right() {
    let rules = RuleSet::parse(DEFAULT_RULES, Some(&["ops".to_owned()])).unwrap();
    assert!(rules.ids().len() >= 5, "{:?}", rules.ids());
    let slugs: Vec<&str> = rules.streams().into_iter().map(RuleStream::slug).collect();
    assert_eq!(slugs, ["evm", "market", "signals", "status"]);
}

/// What the rule of this id that comes with the program says of an event; `None` where it does not match.
fn told_by_default(id: &str, event: &Event) -> Option<String> {
    let rules = RuleSet::parse(DEFAULT_RULES, None).unwrap_or_else(|found| panic!("{found:#?}"));
    let rule = rules.rules.iter().find(|rule| rule.id == id).unwrap();
    (verdict(&rules, rule, event) == Verdict::Match).then(|| title(&rules, rule, event))
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
