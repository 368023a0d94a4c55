//! A destination is told of an address or a rule that was asked for through the API: from the event to the chat.

use crypto_intel_api::Config;
use crypto_intel_evm::Watchlist;
use crypto_intel_nats::OutMessage;
use crypto_intel_notify::{Subscriptions, alert_of, explain};
use crypto_intel_sandbox::{ChatOptions, ChatServer};
use crypto_intel_schemas::{
    ApiRole, B256, Block, Decimal, Erc20Transfer, Event, Kind, chain_event_id, log_event_id,
    subjects,
};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{RunningRole, connect_as, eventually};
use serde_json::{Value, json};

use crate::{
    audit::told,
    harness::{Answer, Api, Servers, answered},
    seed::wallet,
};

const RULES: &str = r#"
[[rule]]
id = "moved"
on = "evm.*.transfer.erc20"
when = 'size(watched) > 0'
severity = "critical"
title = "{{ watched|join(', ') }} moved {{ amount }}"

[[rule]]
id = "large"
on = "evm.*.transfer.erc20"
when = 'usd >= 5000'
severity = "critical"
title = "large {{ amount }}"
"#;

fn destinations() -> Config {
    Config { destinations: Some(vec!["desk".into(), "ops".into()]), ..Config::default() }
}

async fn post(api: &Api, key: &str, path: &str, body: Value) -> Answer {
    answered(api.request("POST", path).bearer_auth(key).json(&body)).await
}

/// A block with one transfer from wallet 7.
async fn publish(servers: &Servers, number: u64, usd: &str) {
    let now = now_us();
    let hash = B256::repeat_byte(u8::try_from(number).unwrap());
    let transfer = Erc20Transfer {
        id: log_event_id("base", &hash, Kind::Erc20Transfer, 0, None),
        chain: "base".into(),
        block_number: number,
        block_hash: hash,
        event_at_us: now,
        observed_at_us: now,
        block_time_us: now,
        incarnation: 1,
        tx_hash: hash,
        from: wallet(7),
        to: wallet(8),
        amount: Some(Decimal::parse(usd).unwrap()),
        usd: Some(Decimal::parse(usd).unwrap()),
        watched: vec!["treasury".into()],
        ..Erc20Transfer::empty()
    };
    let marker = Block {
        id: chain_event_id("base", &hash, Kind::Block),
        chain: "base".into(),
        block_number: number,
        block_hash: hash,
        parent_hash: B256::repeat_byte(u8::try_from(number - 1).unwrap()),
        event_at_us: now,
        observed_at_us: now,
        block_time_us: now,
        incarnation: 1,
        ..Block::empty()
    };
    for event in [Event::from(transfer), Event::from(marker)] {
        let message = OutMessage::new(subjects::of(&event), event.encode())
            .schema(event.kind().schema())
            .message_id(event.id());
        servers.nats.publish(message).await.unwrap();
    }
}

/// The roles that tell: rules, and a chat for each destination.
struct Telling {
    chat: ChatServer,
    notify: crypto_intel_notify::Config,
    _roles: [RunningRole; 2],
    _rules: tempfile::TempDir,
}

impl Telling {
    async fn start(servers: &Servers) -> Self {
        let chat = ChatServer::start(ChatOptions::default()).await.unwrap();
        let (url, hook) = (chat.url(), chat.discord_webhook_url("42", "hook-token"));
        let ops = json!({ "channel": "telegram", "token": "123:bot-token", "chat_id": -1001, "api_url": url });
        let desk = json!({ "channel": "discord", "webhook_url": hook });
        let notify: crypto_intel_notify::Config = serde_json::from_value(
            json!({ "unrouted": "ops", "destinations": { "ops": ops, "desk": desk } }),
        )
        .unwrap();
        let rules = tempfile::tempdir().unwrap();
        std::fs::write(rules.path().join("test.toml"), RULES).unwrap();
        let alerts = crypto_intel_alerts::Config {
            rules: vec![rules.path().join("*.toml")],
            ..crypto_intel_alerts::Config::default()
        };
        let nats = connect_as(&servers.broker, "alerts").await;
        let alerts =
            RunningRole::start("alerts", |context| crypto_intel_alerts::run(alerts, nats, context));
        let (nats, config) = (connect_as(&servers.broker, "notify").await, notify.clone());
        let telling =
            RunningRole::start("notify", |context| crypto_intel_notify::run(config, nats, context));
        telling.until_healthy("notify.router").await;
        Self { chat, notify, _roles: [alerts, telling], _rules: rules }
    }

    fn texts(&self, destination: &str) -> Vec<String> {
        let messages = self.chat.messages().into_iter();
        let own = messages.filter(|message| message.destination == destination);
        own.map(|message| message.text).collect()
    }

    /// Waits until a destination was told of something.
    async fn told(&self, destination: &str, part: &str) {
        eventually(async || self.texts(destination).iter().any(|text| text.contains(part))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chat_hears_of_an_address_from_its_worth_on_until_it_is_ended() {
    let servers = Servers::start().await;
    let api = servers.api(destinations()).await;
    let telling = Telling::start(&servers).await;
    let key = servers.key(&api, ApiRole::Analyst, None).await;
    eventually(async || {
        let rules = api.get_as(&key, "/api/v1/rules").await;
        rules.body["items"].as_array().is_some_and(|rules| rules.len() == 2)
    })
    .await;
    let address = format!("{:#x}", wallet(7));
    let new =
        json!({ "target": address, "min_usd": "1000", "label": "treasury", "destination": "desk" });
    let made = post(&api, &key, "/subscribe", new).await;
    assert_eq!((made.status, &made.body["warnings"]), (201, &json!([])), "{made:?}");
    let watched = Watchlist::open(&servers.nats).await.unwrap().list().await.unwrap();
    assert_eq!(watched[0].entry.label.as_deref(), Some("treasury"));
    // `crypto-intel route test` says so, too.
    let id = made.body["id"].as_str().unwrap();
    let by = format!("subscription {id}");
    let values = ["rule=moved", "usd=1000", &format!("address={address}")].map(str::to_owned);
    let alert = alert_of(&values).unwrap();
    let explained = explain(Some(&servers.nats), &telling.notify, &alert).await.unwrap();
    let desk = explained.destinations.iter().find(|one| one.destination == "desk").unwrap();
    assert_eq!(desk.by, by);

    publish(&servers, 1, "999").await;
    publish(&servers, 2, "1000").await;
    telling.told("42", "moved 1000").await;
    telling.told("-1001", "moved 999").await;
    let ended = answered(api.request("DELETE", made.header("location")).bearer_auth(&key)).await;
    assert_eq!(ended.status, 204);
    // Another destination hears of the next one; by then this one would have, too.
    let new = json!({ "target": "moved", "destination": "ops", "chains": ["base"] });
    assert_eq!(post(&api, &key, "/api/v1/subscriptions", new).await.status, 201);
    publish(&servers, 3, "3000").await;
    telling.told("-1001", "moved 3000").await;
    assert_eq!(telling.texts("42").len(), 1, "{:?}", telling.texts("42"));
    let actions: Vec<String> = told(&servers).await.into_iter().map(|one| one.action).collect();
    assert_eq!(actions, ["subscription.add", "subscription.end", "subscription.add"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_see_and_end_their_own_and_admins_all() {
    let servers = Servers::start().await;
    let api = servers.api(Config { changes_per_minute: 1_000, ..destinations() }).await;
    let one = servers.key(&api, ApiRole::Analyst, None).await;
    let of_base = servers.key(&api, ApiRole::Analyst, Some(&["base"])).await;
    let admin = servers.key(&api, ApiRole::Admin, None).await;
    let path = "/api/v1/subscriptions";
    let body =
        |number: u8| json!({ "target": format!("{:#x}", wallet(number)), "destination": "ops" });
    let made = post(&api, &one, path, body(1)).await;
    assert_eq!(made.body["warnings"].as_array().unwrap().len(), 1, "no rule is about it: {made:?}");
    let own = post(&api, &of_base, path, body(1)).await;
    assert_eq!(own.body["chains"], json!(["base"]), "it hears of no other chain");
    let other = json!({ "target": format!("{:#x}", wallet(2)), "destination": "ops", "chains": ["ethereum"] });
    assert_eq!(post(&api, &of_base, path, other).await.problem(), "forbidden");
    let count =
        async |key: &str| api.get_as(key, path).await.body["items"].as_array().unwrap().len();
    assert_eq!((count(&one).await, count(&of_base).await, count(&admin).await), (1, 1, 2));
    let end = async |key: &str, place: &str| {
        answered(api.request("DELETE", place).bearer_auth(key)).await.status
    };
    assert_eq!(end(&of_base, made.header("location")).await, 404);
    assert_eq!(end(&admin, own.header("location")).await, 204);
    assert_eq!(count(&of_base).await, 0);

    for wrong in [
        json!({ "target": "0x12", "destination": "ops" }),
        json!({ "target": "no-rule", "destination": "ops" }),
        json!({ "target": format!("{:#x}", wallet(3)), "destination": "https://evil.example" }),
        json!({ "target": format!("{:#x}", wallet(3)), "destination": "ops", "chat_id": 1 }),
        json!({ "target": format!("{:#x}", wallet(3)), "destination": "ops", "min_usd": "-1" }),
        json!({ "target": format!("{:#x}", wallet(3)), "destination": "ops", "label": "a\u{202e}" }),
        body(1),
    ] {
        assert_eq!(
            post(&api, &one, path, wrong.clone()).await.problem(),
            "unprocessable",
            "{wrong}"
        );
    }
    for number in 2..=50 {
        assert_eq!(post(&api, &one, path, body(number)).await.status, 201, "{number}");
    }
    assert_eq!(post(&api, &one, path, body(51)).await.problem(), "unprocessable", "50 are enough");
    let kept = Subscriptions::open(&servers.nats).await.unwrap().list().await.unwrap();
    assert_eq!(kept.len(), 50);
    let names = api.get_as(&one, "/api/v1/destinations").await;
    assert_eq!(names.body["items"], json!([{ "name": "desk" }, { "name": "ops" }]));
}
