//! Windows, sequences, absences, first events and conditions that last.

mod baselines;
mod changes;
mod conditions;
mod sequences;
mod windows;

use super::*;

/// State, number and title of what was said.
fn told(play: &mut Play) -> Vec<String> {
    let told = |alert: &Alert| format!("{} {} {}", alert.state.as_str(), alert.n, alert.title);
    play.take().iter().map(told).collect()
}

/// One block a second, each with one transfer of these amounts to payee 0xa.
fn pay(play: &mut Play, number: u64, amounts: &[u64]) {
    let moved: Vec<Moved> = amounts
        .iter()
        .enumerate()
        .map(|(index, amount)| ((number * 16) as u8 + index as u8, 0xa, *amount))
        .collect();
    play.block(number, number as u8, 1, &moved);
}

fn pass(play: &mut Play, seconds: i64) {
    for _ in 0..seconds {
        play.now_us += SECOND;
        play.tick();
    }
}

fn price(play: &mut Play, asset: &str, value: &str) {
    let now_us = play.now_us;
    play.feed(Price {
        id: format!("t:price:{asset}:{now_us}"),
        asset: asset.into(),
        price: Decimal::parse(value).unwrap(),
        ..Price::at("t", now_us, now_us)
    });
}

fn market_tick(play: &mut Play) {
    let now_us = play.now_us;
    play.feed(Tick { stream: "market".into(), ..Tick::at("alerts", now_us, now_us) });
}

const SUM: &str = r#"
[[rule]]
id = "sum"
on = "evm.*.transfer.erc20"
trigger = "window"
group_by = ["chain", "from"]
title = "{{ from|short }} moved {{ sum|num }} in {{ count }} transfers"
resolved_title = "{{ from|short }} is calm: {{ sum|num }}"
resolved_lines = ["{{ count }} transfers"]
routes = ["ops"]
[rule.window]
over = "1m"
every = "1s"
of = "value"
having = "sum >= 100.0"
"#;
