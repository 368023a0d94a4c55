//! Rules: those in force as alerts keeps them, and texts that are checked and tried.

use crypto_intel_nats::{Batch, OutMessage};
use crypto_intel_schemas::{Alert, ApiRole, Decimal, Event, Kind, Price, samples, subjects};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{RunningRole, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Api, Servers, answered},
    seed::write,
};

const RULE: &str = "[[rule]]\nid = \"dear\"\ndescription = \"Bitcoin is dear\"\non = \"market.price.bitcoin\"\n\
    when = \"price > 100.0\"\nseverity = \"warning\"\ntitle = \"bitcoin at {{ price|num }}\"\n";

async fn post(api: &Api, path: &str, body: &Value) -> Answer {
    answered(api.request("POST", path).json(body)).await
}

fn price(number: i64, price: u32) -> Event {
    let Event::Price(sample) = samples::sample(Kind::Price) else { panic!() };
    let at_us = now_us() - (60 - number) * 1_000_000;
    Event::from(Price {
        id: format!("p{number}"),
        event_at_us: at_us,
        observed_at_us: at_us,
        asset: "bitcoin".into(),
        quote: "usd".into(),
        price: Decimal::parse(&price.to_string()).unwrap(),
        ..sample
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_in_force_are_told_with_what_is_wrong_in_their_files() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let nothing = api.get("/api/v1/rules").await;
    assert_eq!((nothing.status, &nothing.body["items"]), (200, &json!([])), "before alerts ran");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    std::fs::write(&file, RULE).unwrap();
    let config = crypto_intel_alerts::Config {
        rules: vec![file.clone()],
        reload_ms: 50,
        ..crypto_intel_alerts::Config::default()
    };
    let nats = servers.nats.clone();
    let role =
        RunningRole::start("alerts", |context| crypto_intel_alerts::run(config, nats, context));
    let until = async |wanted: &dyn Fn(&Value) -> bool| {
        eventually(async || {
            let rules = api.get("/api/v1/rules").await.body;
            wanted(&rules).then_some(rules)
        })
        .await
    };
    let Event::Alert(sample) = samples::sample(Kind::Alert) else { panic!() };
    let alert = Alert { rule: "dear".into(), n: 1, observed_at_us: now_us() - 5_000_000, ..sample };
    write(&servers.store, "ALERT", &[Event::from(alert.clone())], 0).await;
    let rules = until(&|rules| rules["items"][0]["fired_in_24h"] == 1).await;
    let rule = &rules["items"][0];
    assert_eq!(
        (&rule["id"], &rule["severity"], &rule["trigger"]),
        (&json!("dear"), &json!("warning"), &json!("event"))
    );
    assert_eq!((&rule["text"], &rule["file"]), (&json!(RULE), &json!("own.toml")));
    assert_eq!(
        (&rule["last_fired_at_us"], &rules["wrong"]),
        (&json!(alert.observed_at_us), &Value::Null)
    );
    assert_eq!(api.get("/api/v1/rules/dear").await.body, *rule);
    assert_eq!(api.get("/api/v1/rules/cheap").await.problem(), "not-found");

    std::fs::write(&file, RULE.replace("price >", "prize >")).unwrap();
    let rules = until(&|rules| !rules["wrong"].is_null()).await;
    let wrong = &rules["wrong"]["problems"][0];
    assert_eq!(
        (&wrong["line"], &wrong["column"], &wrong["file"]),
        (&json!(5), &json!(9), &json!("own.toml"))
    );
    assert_eq!(rules["items"][0]["text"], RULE, "the last good rules stay in force");
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_checked_and_tried_as_files_are() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let prices = [90, 110, 120, 95, 130].into_iter().zip(0..);
    let messages = prices
        .map(|(dollars, number)| price(number, dollars))
        .map(|event| OutMessage::new(subjects::of(&event), event.encode()))
        .collect();
    servers.nats.publish_batch(Batch { messages, fence: None }).await.unwrap();

    let sound = post(&api, "/api/v1/rules/check", &json!({ "toml": RULE })).await;
    assert_eq!((sound.status, &sound.body["sound"]), (200, &json!(true)), "{sound:?}");
    assert_eq!(sound.body["rules"], json!(["dear"]));
    let wrong =
        post(&api, "/api/v1/rules/check", &json!({ "toml": RULE.replace("price >", "prize >") }))
            .await;
    let problem = &wrong.body["problems"][0];
    assert_eq!(
        (&problem["line"], &problem["column"], &problem["file"]),
        (&json!(5), &json!(9), &Value::Null)
    );
    assert!(problem["message"].as_str().unwrap().contains("prize"), "{problem}");

    let tried = post(&api, "/api/v1/rules/test", &json!({ "toml": RULE, "since": "-10m" })).await;
    assert_eq!((tried.status, &tried.body["complete"]), (200, &json!(true)), "{tried:?}");
    let found = &tried.body["rules"][0];
    assert_eq!((&found["evaluated"], &found["fired"]), (&json!(5), &json!(3)));
    let titles: Vec<&Value> =
        found["samples"].as_array().unwrap().iter().map(|it| &it["title"]).collect();
    assert_eq!(titles, ["bitcoin at 110", "bitcoin at 120", "bitcoin at 130"]);
    let by_hour: i64 =
        found["hours"].as_array().unwrap().iter().map(|it| it["fired"].as_i64().unwrap()).sum();
    assert_eq!((by_hour, &tried.body["streams"][0]["messages"]), (3, &json!(5)));
    for (body, reason) in [
        (json!({ "toml": RULE.replace("price >", "prize >") }), "not sound"),
        (json!({ "toml": RULE, "since": "-25h" }), "since: "),
        (json!({ "toml": RULE, "since": "-1h", "until": "-2h" }), "since: "),
        (json!({ "toml": RULE, "until": "soon" }), "until: "),
    ] {
        let refused = post(&api, "/api/v1/rules/test", &body).await;
        assert_eq!((refused.status, refused.problem()), (422, "unprocessable"), "{body}");
        assert!(refused.body["detail"].as_str().unwrap().contains(reason), "{refused:?}");
    }

    let filter =
        json!({ "kind": ["erc20"], "chain": ["base"], "min_usd": "100000", "verified": true });
    let made = post(&api, "/api/v1/rules/from-filter", &filter).await;
    assert_eq!((made.status, &made.body["problems"]), (200, &json!([])), "{made:?}");
    let again = post(&api, "/api/v1/rules/check", &json!({ "toml": made.body["toml"] })).await;
    assert_eq!(again.body["sound"], true, "{again:?}");
    let one = servers.key(&api, ApiRole::Admin, Some(&["base"])).await;
    let other_chains = api.request("POST", "/api/v1/rules/test").bearer_auth(one);
    assert_eq!(answered(other_chains.json(&json!({ "toml": RULE }))).await.problem(), "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_text_costs_no_more_than_another() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let with = |when: &str| {
        format!(
            "[[rule]]\nid = 'a'\non = 'evm.*.transfer.erc20'\nwhen = '''{when}'''\ntitle = 'x'\n"
        )
    };
    let list = "[1,1,1,1,1,1,1,1,1,1]";
    let lists =
        (0..9).fold("true".to_owned(), |inner, level| format!("{list}.all(x{level}, {inner})"));
    let deep = |open: &str, close: &str| open.repeat(20_000) + "1" + &close.repeat(20_000);
    for text in [
        with(&lists),
        with(&(deep("(", ")") + " > 0")),
        with(&deep("[", "]")),
        with(&("!".repeat(50_000) + "true")),
        deep("[", "]"),
        format!("x = {}", deep("[", "]")),
        format!("[[rule]]\nid = 'a'\non = 'evm.*.block'\ntitle = '{{{{ {} }}}}'\n", deep("(", ")")),
        format!(
            "{}\n[[rule.example]]\nfires = false\nevents = [{{}}, {{ at = '9000d' }}]\n",
            with("usd > 5.0")
        ),
    ] {
        let short: String = text.chars().take(200).collect();
        let checked = post(&api, "/api/v1/rules/check", &json!({ "toml": text })).await;
        assert_eq!((checked.status, &checked.body["sound"]), (200, &json!(false)), "{short}");
    }
    let two_lists = "[1, 2].all(x, [3, 4].exists(y, x < y))";
    let fine = post(&api, "/api/v1/rules/check", &json!({ "toml": with(two_lists) })).await;
    assert_eq!(fine.body["sound"], true, "{fine:?}");
}
