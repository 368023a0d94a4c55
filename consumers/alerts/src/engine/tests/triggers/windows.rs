//! Windows: values, reorganisations, what comes late.

use super::{conditions::DEPEG, *};

#[test]
fn a_window_fires_once_and_ends_once() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[60]);
    assert_eq!(told(&mut play), [""; 0]);
    pass(&mut play, 10);
    pay(&mut play, 2, &[40, 5]);
    let fired = play.take();
    let [alert] = fired.as_slice() else { panic!("{fired:?}") };
    assert_eq!(alert.title, "0x0a0a…0a0a moved 100 in 2 transfers");
    assert!(alert.ongoing && alert.chain.as_deref() == Some("base") && alert.routes == ["ops"]);
    pass(&mut play, 49);
    assert_eq!(told(&mut play), [""; 0], "the first is still in the window");
    pass(&mut play, 1);
    let ended = play.take();
    assert_eq!((ended[0].title.as_str(), ended[0].n), ("0x0a0a…0a0a is calm: 45", 2));
    assert_eq!((&ended[0].alert, ended[0].state), (&alert.alert, AlertState::Resolved));
    assert_eq!(ended[0].lines, ["2 transfers"]);
    pass(&mut play, 60);
    assert_eq!(told(&mut play), [""; 0]);
    play.block(80, 80, 1, &[]);
    pass(&mut play, 60);
    assert!(play.engine.state().triggers.is_empty(), "nothing is remembered of an empty window");
}

#[test]
fn a_tumbling_window_begins_again_at_its_end() {
    let rules = SUM.replace("every = \"1s\"", "kind = \"tumbling\"");
    let mut play = Play::new(&rules);
    play.now_us = START - START % (60 * SECOND) + 50 * SECOND;
    pay(&mut play, 1, &[60]);
    pass(&mut play, 10);
    pay(&mut play, 2, &[60]);
    assert_eq!(told(&mut play), [""; 0], "they are in different minutes");
    pay(&mut play, 3, &[60]);
    assert_eq!(told(&mut play).len(), 1);
    pass(&mut play, 59);
    assert_eq!(told(&mut play), [""; 0]);
    pass(&mut play, 1);
    assert_eq!(told(&mut play), ["resolved 2 0x0a0a…0a0a is calm: ?"]);
}

#[test]
fn what_a_block_added_to_a_window_leaves_with_the_block() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[60]);
    pay(&mut play, 2, &[50]);
    assert_eq!(told(&mut play).len(), 1);
    play.block(2, 2, 2, &[]);
    assert_eq!(told(&mut play), [""; 0], "the new branch may have it, too");
    play.block(2, 0x20, 1, &[]);
    play.block(3, 0x30, 1, &[]);
    assert_eq!(told(&mut play), [""; 0]);
    play.block(4, 0x40, 1, &[]);
    let ended = play.take();
    assert_eq!(ended[0].title, "0x0a0a…0a0a is calm: 60");
    assert_eq!(ended[0].lines[1], "Blocks were replaced by a reorganisation.");
    play.block(5, 0x50, 1, &[(9, 0xa, 40)]);
    let again = play.take();
    assert_eq!((again[0].n, again.len()), (1, 1));
    assert_ne!(again[0].alert, ended[0].alert, "it is another alert");
}

#[test]
fn a_window_that_a_reorganisation_leaves_true_says_nothing() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[120]);
    assert_eq!(told(&mut play).len(), 1);
    play.block(1, 1, 2, &[]);
    pass(&mut play, 3);
    for number in 1..6 {
        let moved: &[Moved] = if number == 2 { &[(16, 0xa, 120)] } else { &[] };
        play.block(number, 0x60 + number as u8, 1, moved);
    }
    assert_eq!(told(&mut play), [""; 0]);
}

#[test]
fn values_of_a_window_are_exact_and_those_that_are_unknown_say_so() {
    let rules = r#"
        [[rule]]
        id = "w"
        on = "market.price.*"
        trigger = "window"
        group_by = ["asset"]
        title = "{{ count }} {{ sum }} {{ min }} {{ max }} {{ mean }} {{ p50 }} {{ distinct }} {{ change }} {{ change_percent }}"
        [rule.window]
        over = "1h"
        of = "price"
        distinct = "source"
        having = "count > 0 && p50 > 0.0 && distinct > 0"
        keep = 1
    "#;
    let problems = RuleSet::parse(&[("t.toml", rules)], None).expect_err("an unknown key");
    assert!(problems[0].to_string().contains("unknown field `keep`"), "{}", problems[0]);
    let rules = rules.replace("keep = 1", "").replace("count > 0", "count > 2");
    let mut play = Play::new(&rules);
    for value in ["0.1", "0.2", "0.6"] {
        play.now_us += SECOND;
        price(&mut play, "btc", value);
    }
    assert_eq!(told(&mut play), ["fired 1 3 0.9 0.1 0.6 0.3 0.2 1 0.5 500"]);
    let once = rules.replace("count > 2", "count > 0");
    let mut play = Play::new(&once);
    price(&mut play, "btc", "5");
    assert_eq!(told(&mut play), ["fired 1 1 5 5 5 5 5 1 ? ?"], "one value is no change");
}

#[test]
fn a_change_over_a_period_is_told_and_its_end() {
    let rules = r#"
        [[rule]]
        id = "move"
        on = "market.price.*"
        trigger = "window"
        group_by = ["asset"]
        title = "{{ asset }} {{ change_percent|num(1) }} %"
        resolve_when = "change_percent < 5.0 && change_percent > -5.0"
        [rule.window]
        over = "1h"
        every = "1m"
        of = "price"
        having = "change_percent >= 10.0 || change_percent <= -10.0"
    "#;
    let mut play = Play::new(rules);
    for value in ["100", "105", "111", "107", "104"] {
        price(&mut play, "btc", value);
        play.now_us += 60 * SECOND;
    }
    assert_eq!(told(&mut play), ["fired 1 btc 11 %", "resolved 2 Ended: btc 11 %"]);
}

#[test]
fn events_that_came_twice_or_too_late_are_not_counted_again() {
    let rules = DEPEG
        .replace(
            "for = \"60s\"\nkeep_firing_for = \"30s\"\nresolve_when = \"price >= 0.995\"\n",
            "",
        )
        .replace("when = 'asset == \"usdc\" && price < 0.99'", "trigger = \"window\"")
        .replace("{{ price }}", "{{ count }}")
        + "[rule.window]\nover = \"1m\"\nhaving = \"count >= 2\"\n";
    let mut play = Play::new(&rules);
    price(&mut play, "usdc", "1");
    price(&mut play, "usdc", "1");
    assert_eq!(told(&mut play), [""; 0]);
    let (late_us, now_us) = (play.now_us - 61 * SECOND, play.now_us);
    play.now_us = late_us;
    let id = "t:price:usdc:late";
    let late = Price { id: id.into(), asset: "usdc".into(), ..Price::at("t", late_us, late_us) };
    play.now_us = now_us;
    play.feed(late);
    assert_eq!((told(&mut play).len(), play.engine.metrics[0].late.get()), (0, 1));
}

#[test]
fn small_numbers_are_compared_as_they_are() {
    let rules = r#"
        [[rule]]
        id = "w"
        on = "market.price.*"
        trigger = "window"
        title = "{{ p50 }} {{ change_percent }}"
        [rule.window]
        over = "1h"
        of = "price"
        having = "p50 > 0.0 && p50 < 0.0000005 && change_percent > 0.0"
    "#;
    let mut play = Play::new(rules);
    price(&mut play, "shib", "0.000000400000");
    play.now_us += SECOND;
    price(&mut play, "shib", "0.0000004000000001");
    assert_eq!(told(&mut play), ["fired 1 0.0000004 0.000000025"]);
}

#[test]
fn what_is_not_exact_any_more_is_called_about() {
    let about = "Distinct counts and percentiles are about: too many values to be exact.";
    let fired = |having: &str, values: i64| {
        let rules = format!(
            r#"
            [[rule]]
            id = "w"
            on = "market.price.*"
            trigger = "window"
            title = "{{{{ count }}}}"
            [rule.window]
            over = "2m"
            every = "1m"
            of = "price"
            distinct = "asset"
            having = "count >= {values} && {having}"
            "#
        );
        let mut play = Play::new(&rules);
        play.now_us = START - START % (60 * SECOND);
        for number in 0..values {
            // In both steps of the window.
            play.now_us += i64::from(number == values / 2) * 60 * SECOND;
            price(&mut play, &format!("asset-{number}"), &number.to_string());
        }
        let alerts = play.take();
        let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
        alert.lines.contains(&about.to_owned())
    };
    assert!(!fired("p50 == 127.0", 256), "percentiles are exact up to 256 values in the window");
    assert!(fired("p50 > 126.0 && p50 < 130.0", 257));
    assert!(!fired("distinct == 1000", 1_000), "distinct counts are up to a thousand");
    assert!(fired("distinct > 950 && distinct < 1050", 1_001));
}

/// The points of an alert's chart, and whether it is of bars.
fn drawn(alert: &Alert) -> Option<(Vec<String>, bool)> {
    let chart = alert.chart.as_ref()?;
    let values = chart.points.iter().map(|point| point.value.to_string()).collect();
    Some((values, chart.shape == ChartShape::Bars))
}

#[test]
fn an_alert_of_a_window_carries_what_its_steps_had() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[30, 30]);
    pass(&mut play, 10);
    pay(&mut play, 2, &[40]);
    let fired = play.take();
    assert_eq!(drawn(&fired[0]), Some((vec!["60".to_owned(), "40".to_owned()], true)));
    let times: Vec<i64> =
        fired[0].chart.iter().flat_map(|chart| &chart.points).map(|point| point.at_us).collect();
    assert_eq!(times[1] - times[0], 10 * SECOND);
    pass(&mut play, 50);
    assert_eq!(drawn(&play.take()[0]), None, "an end shows nothing");

    let moved = r#"
        [[rule]]
        id = "moved"
        on = "market.price.*"
        trigger = "window"
        group_by = ["asset"]
        title = "{{ change_percent }}"
        [rule.window]
        over = "2h"
        every = "1m"
        of = "price"
        having = "change_percent >= 10.0"
    "#;
    let mut play = Play::new(moved);
    for minute in 0..100 {
        play.now_us += 60 * SECOND;
        price(&mut play, "btc", &(1_000 + minute).to_string());
    }
    play.now_us += SECOND;
    price(&mut play, "btc", "1200");
    let fired = play.take();
    let (prices, is_bars) = drawn(&fired[0]).unwrap();
    assert!(!is_bars && prices.len() <= 60, "{prices:?}");
    assert_eq!(prices.last().map(String::as_str), Some("1200"));
}
