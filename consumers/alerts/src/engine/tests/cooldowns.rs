//! What cooldowns hold back, and how it is told.

use super::*;

#[test]
fn a_cooldown_is_counted_per_group_and_what_it_holds_back_is_told_at_its_end() {
    let rules = RULE.to_owned() + "cooldown = '1m'\ngroup_by = ['from']\n";
    let mut play = Play::new(&rules);
    play.block(1, 1, 1, &[(1, 0xa, 100), (2, 0xa, 150), (3, 0xb, 100)]);
    let told = play.take();
    assert_eq!(told.len(), 2, "one per payer");
    play.now_us += 59 * SECOND;
    play.block(2, 2, 1, &[(4, 0xa, 1000)]);
    play.tick();
    assert_eq!(play.take().len(), 0);
    play.now_us += SECOND;
    play.tick();
    let summary = play.take();
    let [summary] = summary.as_slice() else { panic!("{summary:?}") };
    assert_eq!(summary.title, "2 more, largest 1,000, sum 1,150 · after 100 of a token");
    let within = format!("within 1 min after #{}", told[0].code);
    assert_eq!(summary.lines, ["largest: 1,000 of a token".to_owned(), within]);
    assert_eq!((summary.state, summary.tx_hash), (AlertState::Fired, None));
    assert_eq!(summary.routes, ["ops"]);
    play.block(3, 3, 1, &[(5, 0xa, 100)]);
    assert_eq!(play.take().len(), 1, "a new cooldown begins");
    assert_eq!(play.engine.metrics[0].suppressed_cooldown.get(), 2);
    play.now_us += 60 * SECOND;
    play.tick();
    assert_eq!(play.take().len(), 0, "nothing was held back");
}

#[test]
fn what_a_cooldown_holds_back_is_told_before_the_next_alert() {
    let mut play = Play::new(&(RULE.to_owned() + "cooldown = '1m'\n"));
    play.block(1, 1, 1, &[(1, 0xa, 100), (2, 0xa, 150)]);
    play.now_us += 61 * SECOND;
    play.block(2, 2, 1, &[(3, 0xa, 200)]);
    let titles: Vec<String> = play.take().into_iter().map(|alert| alert.title).collect();
    assert_eq!(titles, ["100 of a token", "1 more, 150 · after 100 of a token", "200 of a token"]);
}

#[test]
fn a_much_larger_event_passes_a_cooldown_where_the_rule_says_so() {
    let mut play = Play::new(&(RULE.to_owned() + "cooldown = '1m'\nlarger_passes = 10\n"));
    play.block(1, 1, 1, &[(1, 0xa, 100), (2, 0xa, 999), (3, 0xa, 1000), (4, 0xa, 9999)]);
    let titles: Vec<String> = play.take().into_iter().map(|alert| alert.title).collect();
    assert_eq!(titles, ["100 of a token", "1,000 of a token"]);
    play.now_us += 60 * SECOND;
    play.tick();
    let summary = &play.take()[0].title;
    assert_eq!(summary, "2 more, largest 9,999, sum 10,998 · after 1,000 of a token");
}

#[test]
fn prices_within_a_cooldown_are_counted() {
    let mut play = Play::new(
        "[[rule]]\nid = 'p'\non = 'market.price.*'\nwhen = 'price > 100.0'\ncooldown = '1m'\ntitle = '{{ price|usd }}'",
    );
    for (number, price) in ["101", "103", "102"].into_iter().enumerate() {
        play.feed(Price {
            id: format!("t:price:btc:{number}"),
            asset: "btc".into(),
            price: Decimal::parse(price).unwrap(),
            ..Price::at("t", START, START)
        });
    }
    play.now_us += 60 * SECOND;
    play.feed(Tick { stream: "market".into(), ..Tick::at("alerts", play.now_us, play.now_us) });
    let titles: Vec<String> = play.take().into_iter().map(|alert| alert.title).collect();
    assert_eq!(titles, ["$101", "2 more · after $101"]);
    assert!(play.engine.state().chains[state::NO_CHAIN].matches.is_empty());
}
