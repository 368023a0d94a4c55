//! One provider that gives an event of each further kind, from its answer to the streams.

use crypto_intel_nats::StreamMessage;
use crypto_intel_poll::{Config, ProviderSettings, providers};
use crypto_intel_schemas::{Decimal, Event, Labels};
use crypto_intel_testkit::{Broker, eventually};

use crate::{
    harness::{event_of, only, start},
    stand_in::{Reply, StandIn},
};

const ANSWER: &str = r#"{"gas": {"low": "12.50", "unit": "gwei", "block": 21000000},
    "stories": [{"t": "Exchange\n hacked", "u": "HTTPS://News.Example/a?utm_source=x&id=1#top", "by": "Ada",
                 "about": ["bitcoin", "solana"], "words": ["Hack", "Security"], "when": "2026-08-01T10:00:00Z"}],
    "moves": [{"tx": "0xABCDEF", "usd": 1.5e7, "coins": "4200.000", "whose": ["unknown", "Example Exchange"], "at": 1785578400}]}"#;

/// An endpoint of this kind over the answer.
fn endpoint(kind: &str, events: &str) -> String {
    format!(
        "[[endpoints]]\nname = '{kind}'\nkind = '{kind}'\npath = '/all'\nevery_seconds = 3600\n\
         jq.expects = '[]'\njq.events = '''{events}'''\njq.example = '''{ANSWER}'''\n"
    )
}

fn provider() -> String {
    let events = [
        (
            "metric",
            r#"{name: "gas.slow", key: "ethereum", value: .gas.low, unit: .gas.unit, labels: {block: .gas.block}}"#,
        ),
        (
            "article",
            ".stories[] | {title: .t, link: .u, author: .by, assets: .about, tags: .words, at: .when}",
        ),
        (
            "whale",
            r#".moves[] | {chain: "ethereum", hash: .tx, amount: .coins, amount_usd: .usd,
                from_owner: .whose[0], to_owner: .whose[1], at_s: .at}"#,
        ),
    ];
    let endpoints = events.map(|(kind, events)| endpoint(kind, events)).concat();
    format!(
        "name = 'all'\ntitle = 'All'\ndocumentation = 'https://all.example'\ncategory = 'market'\nfacts = 'made for this test, 2026-08'\n\
         base_url = 'https://all.example'\nquota = {{ per_minute = 600, burst = 10 }}\n{endpoints}"
    )
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

/// Whether the stream holds an event on this subject.
async fn messages_on(broker: &Broker, stream: &str, subject: &str) -> Vec<StreamMessage> {
    let mut messages = broker.messages(stream).await;
    messages.retain(|message| message.subject == subject);
    messages
}

#[tokio::test]
async fn metrics_articles_and_whales_come_as_their_provider_wrote_them() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::json(ANSWER)]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.toml"), provider()).unwrap();
    let catalogue = Some(folder.path().to_owned());
    let config = only(&[("all", &stand_in, ProviderSettings::default())]);
    let config = Config { catalogue, ..config };
    providers(&config).unwrap_or_else(|error| panic!("{error:#}"));
    let role = start(&broker, config, "a").await;
    eventually(async || broker.count("MARKET").await == 1 && broker.count("SIGNALS").await == 2)
        .await;

    let found = messages_on(&broker, "MARKET", "gas.slow.ethereum").await;
    let Event::Metric(metric) = event_of(&found[0]) else { panic!("{found:?}") };
    assert_eq!((metric.name.as_str(), metric.key.as_str()), ("gas.slow", "ethereum"));
    assert_eq!((metric.value, metric.unit.as_str()), (decimal("12.5"), "gwei"));
    assert_eq!(metric.labels, Labels::from([("block", "21000000")]));
    assert_eq!(found[0].schema.as_deref(), Some("metric/1"));

    let found = messages_on(&broker, "SIGNALS", "news.all").await;
    let Event::Article(article) = event_of(&found[0]) else { panic!("{found:?}") };
    assert_eq!(article.link, "https://news.example/a?id=1");
    assert_eq!(
        (article.title.as_str(), article.author.as_deref()),
        ("Exchange hacked", Some("Ada"))
    );
    assert_eq!((article.assets, article.tags.len()), (vec!["bitcoin".into(), "solana".into()], 2));
    assert_eq!(article.id, format!("all:article:{}:{}", article.link, article.event_at_us));

    let found = messages_on(&broker, "SIGNALS", "whale.ethereum").await;
    let Event::Whale(whale) = event_of(&found[0]) else { panic!("{found:?}") };
    assert_eq!((whale.hash.as_str(), whale.sub_index), ("0xabcdef", None));
    assert_eq!(
        (whale.amount, whale.amount_usd),
        (Some(decimal("4200")), Some(decimal("15000000")))
    );
    assert_eq!(whale.to_owner.as_deref(), Some("Example Exchange"));
    assert_eq!(whale.event_at_us, 1_785_578_400_000_000);
    role.stop().await;
}
