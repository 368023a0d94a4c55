//! Rules on each kind that pollers publish, over the streams that carry them.

use std::collections::BTreeMap;

use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{Event, Kind, samples, subjects};

use crate::harness::Servers;

const RULES: &str = r#"
[[rule]]
id = "metric"
on = "market.funding-rate.*"
when = 'value < 0 && labels["interval_hours"] == "8"'
max_event_age = "36500d"
title = "{{ key }} {{ value }} for {{ labels.interval_hours }} hours"

[[rule]]
id = "article"
on = "news.>"
when = '"bitcoin" in assets && "etf" in tags'
max_event_age = "36500d"
title = "{{ title }}"
links = [{ label = "read", url = "{{ link }}" }]

[[rule]]
id = "whale"
on = "whale.bitcoin"
when = 'amount_usd >= 50000000 && to_owner != "unknown"'
max_event_age = "36500d"
title = "{{ amount_usd|usd }} to {{ to_owner }}"

[[rule]]
id = "provider"
on = "status.provider.*"
when = 'state == "quota_spent" && quota_used >= quota_limit'
max_event_age = "36500d"
title = "{{ provider }} is {{ state }} for the {{ quota_window }}"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_the_pollers_fires_its_rule_once() {
    let servers = Servers::with_rules(RULES).await;
    let role = servers.alerts("one");
    let kinds = [Kind::Metric, Kind::Article, Kind::Whale, Kind::ProviderStatus, Kind::NodeStatus];
    for kind in kinds {
        let event: Event = samples::sample(kind);
        // The same twice, as after an acknowledgement that was lost.
        for _ in 0..2 {
            let message = OutMessage::new(subjects::of(&event), event.encode());
            servers.broker.nats.publish(message).await.unwrap();
        }
    }
    let alerts = servers.published_when(4).await;
    let titles: BTreeMap<&str, &str> =
        alerts.iter().map(|alert| (alert.rule.as_str(), alert.title.as_str())).collect();
    let expected = BTreeMap::from([
        ("article", "Bitcoin ETFs take in 470 million dollars"),
        ("metric", "btc-usdt -0.0000125 for 8 hours"),
        ("provider", "okx is quota_spent for the day"),
        ("whale", "$85.55M to Example Exchange"),
    ]);
    assert_eq!(titles, expected);
    role.stop().await;
    assert_eq!(servers.published().await.len(), 4, "{alerts:?}");
}
