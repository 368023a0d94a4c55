//! Windows against what is usual.

use super::*;

#[test]
fn a_baseline_is_silent_until_it_knows_enough() {
    let rules = r#"
        [[rule]]
        id = "busy"
        on = "market.price.*"
        trigger = "window"
        title = "{{ count }} against {{ baseline }}: {{ ratio }}"
        [rule.window]
        over = "1h"
        every = "1m"
        baseline = "24h mean"
        having = "ratio >= 2.0"
    "#;
    let mut play = Play::new(rules);
    play.now_us = START - START % (3_600 * SECOND);
    let hour = |play: &mut Play, values: i64| {
        for _ in 0..values {
            price(play, "btc", "1");
            play.now_us += 3_600 / values * SECOND;
        }
        market_tick(play);
    };
    for _ in 0..10 {
        hour(&mut play, 2);
    }
    hour(&mut play, 20);
    assert_eq!(told(&mut play), [""; 0], "ten hours are too few");
    for _ in 0..14 {
        hour(&mut play, 2);
    }
    hour(&mut play, 12);
    let told = told(&mut play);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("fired 1 "), "{told:?}");
}

const HOUR: i64 = 3_600 * SECOND;

/// A rule that fires as soon as it can compare, or when there is twice as much as usual.
fn against(window: &str, having: &str) -> String {
    format!(
        r#"
        [[rule]]
        id = "busy"
        on = "market.price.*"
        trigger = "window"
        title = "{{{{ {{}} }}}} against {{{{ baseline }}}}: {{{{ ratio }}}}"
        [rule.window]
        {window}
        having = "{having}"
        "#
    )
}

/// At the full hour, and half an hour later: a price.
fn hours(play: &mut Play, count: i64, value: &str) {
    for _ in 0..2 * count {
        price(play, "btc", value);
        play.now_us += HOUR / 2;
        market_tick(play);
    }
}

#[test]
fn a_window_longer_than_a_day_is_compared_with_the_day_before_it() {
    let window = "over = '48h'\nevery = '1h'\nbaseline = '24h mean'";
    let mut play = Play::new(&against(window, "ratio > 0.0").replace("{}", "count"));
    play.now_us = START - START % HOUR;
    hours(&mut play, 58, "1");
    assert_eq!(told(&mut play), [""; 0], "less than twelve hours came before the window");
    hours(&mut play, 1, "1");
    assert_eq!(told(&mut play), ["fired 1 94 against 96: 0.979167"]);
}

#[test]
fn sums_and_means_are_compared_with_those_of_the_day() {
    for (measure, expected) in [
        ("sum", "fired 1 40 against 20: 2"),
        ("mean", "fired 1 20 against 10: 2"),
        ("count", "fired 1 4 against 2: 2"),
    ] {
        let window = format!(
            "over = '1h'\nevery = '5m'\nof = 'price'\nbaseline = '24h mean'\nmeasure = '{measure}'"
        );
        let mut play = Play::new(&against(&window, "ratio >= 2.0").replace("{}", measure));
        play.now_us = START - START % HOUR;
        hours(&mut play, 20, "10");
        if measure == "count" {
            (0..3).for_each(|asset| price(&mut play, &format!("a{asset}"), "10"));
        } else {
            price(&mut play, "btc", "30");
        }
        assert_eq!(told(&mut play), [expected]);
    }
}

#[test]
fn the_same_hour_of_seven_days_is_their_median() {
    let window = "over = '1h'\nevery = '1h'\nbaseline = 'same hour 7d'";
    let mut play = Play::new(&against(window, "ratio >= 2.0").replace("{}", "count"));
    let begin = START - START % HOUR;
    let mut day = |number: i64, values: i64| {
        play.now_us = begin + number * 24 * HOUR;
        for _ in 0..values {
            price(&mut play, "btc", "1");
            play.now_us += SECOND;
        }
        let said = told(&mut play);
        play.now_us += HOUR;
        market_tick(&mut play);
        told(&mut play);
        said
    };
    assert_eq!(day(0, 1), [""; 0]);
    assert_eq!(day(1, 9), [""; 0], "one day is too few");
    assert_eq!(day(2, 4), [""; 0], "two are, too");
    assert_eq!(day(3, 8), ["fired 1 8 against 4: 2"]);
    assert_eq!(day(4, 12), ["fired 1 12 against 6: 2"], "the middle of 1, 4, 8 and 9");
    assert_eq!(day(8, 17), ["fired 1 17 against 8.5: 2"], "the first day is forgotten");
}
