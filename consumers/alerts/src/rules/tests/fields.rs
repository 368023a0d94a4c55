//! What conditions and messages see of events.

use crypto_intel_schemas::{
    Balance, Decimal, Erc20Transfer, Kind, NativeTransfer, Transaction, TransactionStatus, samples,
    subjects,
};

use super::*;

#[test]
fn links_lead_to_the_explorers_that_are_configured() {
    let text = rule("title = '{{ explorer(chain_id) }}'\n");
    let rules = parse(&text);
    let own = [(4_242, "https://mine.example".to_owned())];
    let rules = rules.with_explorers(Explorers::new(own));
    let event =
        |chain_id| Event::Erc20Transfer(Erc20Transfer { chain_id, ..Erc20Transfer::empty() });
    let [only] = &rules.rules[..] else { unreachable!("one rule") };
    for (chain_id, expected) in
        [(4_242, "https://mine.example"), (130, "https://uniscan.xyz"), (7, "")]
    {
        assert_eq!(title(&rules, only, &event(chain_id)), expected);
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
    let rules = parse(&text);
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
        let candidates = index.candidates(&rules, &subject).of(&event);
        let is_match = verdict(&rules, only, &event) == Verdict::Match;
        assert_eq!(!candidates.is_empty() && is_match, is_told, "{status:?}");
    }
    let said = title(&rules, only, &with(Some(TransactionStatus::Failed)));
    let fee = whole.fee_amount.unwrap();
    assert_eq!(said, format!("treasury: 0xa9059cbb failed, fee {fee} ETH"));
}

#[test]
fn a_rule_tells_of_a_wallet_that_runs_low() {
    let text = rule(
        "on = 'balance.*.*.native'\n\
         when = '\"treasury\" in watched && amount < 5'\n\
         title = '{{ watched|join(\", \") }} has {{ amount }} {{ symbol }} left'\n",
    );
    let rules = parse(&text);
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
        let is_candidate = !index.candidates(&rules, &subjects::of(&event)).of(&event).is_empty();
        let is_match = verdict(&rules, only, &event) == Verdict::Match;
        assert_eq!(is_candidate && is_match, is_told, "{asset} {is_told}");
        if is_told {
            assert_eq!(title(&rules, only, &event), "treasury has 4.75 USDC left");
        }
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
    let rules = parse(&text);
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
        assert_eq!(verdict(&rules, &rules.rules[0], &event), expected, "{event:?}");
    }
}

#[test]
fn a_rule_chooses_what_it_does_without_a_price() {
    let verdict = |when: &str, unpriced: &str, event: &Event| {
        let rules = parse(&rule(&format!("when = '{when}'\n{unpriced}")));
        let only = &rules.rules[0];
        let said =
            with_variables(&rules, event, |context, variables| only.verdict(context, variables));
        (said, only.marks_unpriced(event))
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
