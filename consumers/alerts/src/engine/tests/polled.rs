//! A rule for each kind that pollers publish.

use crypto_intel_schemas::{Labels, Metric, ProviderState, ProviderStatus, samples};

use super::*;

/// The titles of a rule's alerts over the sample of a kind, that of an empty body, and the given ones.
fn titles(rule: &str, kind: Kind, events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let rule = format!("[[rule]]\nid = 'r'\nmax_event_age = '36500d'\n{rule}");
    let mut play = Play::new(&rule);
    play.feed(samples::sample(kind));
    play.feed(samples::sample_minimal(kind));
    for event in events {
        play.feed(event);
    }
    play.take().into_iter().map(|alert| alert.title).collect()
}

#[test]
fn a_metric_is_told_by_its_labels() {
    let other = Metric { labels: Labels::from([("interval_hours", "4")]), ..Metric::empty() };
    let other = Metric { name: "market.funding-rate".into(), key: "eth-usdt".into(), ..other };
    let rule = r#"
        on = "market.funding-rate.*"
        when = 'value < 0 && labels["interval_hours"] == "8"'
        group_by = ["key"]
        title = "{{ key }}: {{ value }} every {{ labels.interval_hours }} hours by {{ source }}{{ labels.of }}"
    "#;
    let found = titles(rule, Kind::Metric, [Event::from(other)]);
    assert_eq!(found, ["btc-usdt: -0.0000125 every 8 hours by okx?"]);
}

#[test]
fn an_article_is_told_by_its_assets_and_tags() {
    let rule = r#"
        on = "news.*"
        when = '"bitcoin" in assets && !("opinion" in tags)'
        title = "{{ title }}"
        lines = ["{{ publisher|default(source) }} on {{ assets|join(', ') }}"]
        links = [{ label = "read", url = "{{ link }}" }]
    "#;
    let found = titles(rule, Kind::Article, []);
    assert_eq!(found, ["Bitcoin ETFs take in 470 million dollars"]);
    let mut play = Play::new(&format!("[[rule]]\nid = 'r'\nmax_event_age = '36500d'\n{rule}"));
    play.feed(samples::sample(Kind::Article));
    let alert = play.take().remove(0);
    assert_eq!(alert.lines, ["The Example Ledger on bitcoin, ethereum"]);
    assert_eq!(alert.links[0].url, "https://news.example/2024/10/bitcoin-etf-inflows?id=7");
}

#[test]
fn a_whale_is_told_by_its_owners_and_summed_by_its_worth() {
    let rule = r#"
        on = "whale.*"
        when = 'amount_usd >= 50000000 && to_owner != from_owner && chain == "bitcoin"'
        title = "{{ amount|num }} {{ symbol }} ({{ amount_usd|usd }}) to {{ to_owner|default('unknown') }}"
    "#;
    let found = titles(rule, Kind::Whale, []);
    assert_eq!(found, ["1,250.5 BTC ($85.55M) to Example Exchange"]);
    let measure = totals::Measure::of(&samples::sample(Kind::Whale)).unwrap();
    assert!(measure.is_times(1.0, &measure), "it has one");
}

#[test]
fn the_state_of_a_provider_is_told_and_that_of_a_node_is_not() {
    let refused = ProviderStatus {
        provider: "messari".into(),
        state: ProviderState::Refused,
        detail: Some("401: the key is not valid".into()),
        ..ProviderStatus::empty()
    };
    let rule = r#"
        on = "status.>"
        when = 'state == "refused" || quota_used * 10 >= quota_limit * 8'
        group_by = ["provider", "endpoint"]
        title = "{{ provider }} is {{ state }}: {{ detail }}"
    "#;
    let node = samples::sample(Kind::NodeStatus);
    let found = titles(rule, Kind::ProviderStatus, [Event::from(refused), node]);
    assert_eq!(
        found,
        [
            "okx is quota_spent: the day's quota is used up, next at midnight UTC",
            "messari is refused: 401: the key is not valid",
        ]
    );
}

#[test]
fn an_event_of_a_contract_is_told_by_its_values() {
    let rule = r#"
        on = "evm.*.event.*"
        when = '"roundId" in fields'
        title = "{{ name }}: {{ fields.current|num }} in round {{ fields.roundId }}"
    "#;
    let rule = format!("[[rule]]\nid = 'r'\nmax_event_age = '36500d'\n{rule}");
    let mut play = Play::new(&rule);
    play.feed(samples::sample(Kind::ContractEvent));
    assert_eq!(play.take()[0].title, "AnswerUpdated: 263,312,000,000 in round 45312");
}
