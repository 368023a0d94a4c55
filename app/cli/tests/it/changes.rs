//! What commands change is in the audit, as what is changed through the API.

use crypto_intel_evm::{GapReason, Gaps};
use crypto_intel_nats::{ReaderOptions, Start, StreamReader};
use crypto_intel_schemas::{Audit, Event};

use crate::bus::Bus;

const ADDRESS: &str = "0xd8da6bf26964af9d7eed9e03e53415d37aa96045";

async fn told(bus: &Bus) -> Vec<Audit> {
    let options = ReaderOptions::new("AUDIT", "test", Start::First);
    let mut reader = StreamReader::open(&bus.broker.nats, options).await.unwrap();
    let mut told = Vec::new();
    while let Some(batch) = reader.next_until_end(100).await.unwrap() {
        told.extend(batch.messages.iter().map(|message| {
            match Event::decode(&message.payload).unwrap() {
                Event::Audit(audit) => audit,
                other => panic!("{other:?}"),
            }
        }));
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn what_commands_change_is_told() {
    let bus = Bus::start("").await;
    bus.ends_with(0, &["watch", "add", ADDRESS, "--label", "desk"]);
    bus.ends_with(0, &["watch", "add", ADDRESS, "--label", "cold desk"]);
    bus.ends_with(0, &["watch", "list"]);
    bus.ends_with(0, &["watch", "remove", ADDRESS]);
    let silence = ["silence", "add", "rule=depeg", "--for", "2h", "--reason", "x", "--by", "ana"];
    let id = bus.json(0, &silence)["id"].as_str().unwrap().to_owned();
    bus.ends_with(0, &["silence", "end", &id, "--by", "ben"]);
    bus.ends_with(0, &["silence", "end", &id, "--by", "ben"]);
    let key = bus.json(0, &["keys", "add", "desk", "--role", "viewer"]);
    let (key, secret) = (key["key"].as_str().unwrap(), key["secret"].as_str().unwrap());
    let login = bus.ends_with(0, &["keys", "login", "desk", "--url", "https://api.example.org/"]);
    assert!(login.starts_with("https://api.example.org/#code=cl_"), "{login}");
    bus.ends_with(0, &["keys", "revoke", key]);
    bus.ends_with(1, &["keys", "login", "desk"]);

    let told = told(&bus).await;
    let lines: Vec<(&str, &str)> =
        told.iter().map(|one| (one.action.as_str(), one.target.as_deref().unwrap())).collect();
    let address = format!("all/{ADDRESS}");
    assert_eq!(
        lines,
        [
            ("watch.add", address.as_str()),
            ("watch.add", &address),
            ("watch.remove", &address),
            ("silence.add", &id),
            ("silence.end", &id),
            ("key.add", key),
            ("key.login", key),
            ("key.revoke", key),
        ],
        "what only reads, and what was over already, changes nothing"
    );
    assert!(told.iter().all(|one| one.via == "command" && !one.origin.is_empty()), "{told:?}");
    assert_eq!((told[0].before.as_deref(), told[3].actor.as_str()), (None, "ana"));
    assert!(told[1].before.as_deref().unwrap().contains("\"desk\""), "{:?}", told[1]);
    assert!(told[2].before.as_deref().unwrap().contains("cold desk"), "{:?}", told[2]);
    assert!(!format!("{told:?}").contains(&secret[12..]), "never a secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_though_the_audit_is_away() {
    let bus = Bus::start("").await;
    bus.broker.nats.jetstream().delete_stream("AUDIT").await.unwrap();
    let shown = bus.ends_with(1, &["keys", "add", "desk", "--role", "viewer"]);
    assert!(shown.starts_with("ci_"), "the key is made, and nothing shows it again: {shown:?}");
    let login = bus.ends_with(1, &["keys", "login", "desk"]);
    assert!(login.contains("/#code=cl_"), "{login:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_streams_is_told() {
    let bus = Bus::start("").await;
    // Buckets of tests are larger: what would drop messages is refused, each time.
    bus.ends_with(1, &["streams", "apply"]);
    bus.ends_with(1, &["streams", "apply"]);
    bus.ends_with(1, &["streams", "remove", "NOTIFY"]);
    bus.ends_with(0, &["streams", "remove", "NOTIFY", "--yes"]);
    bus.ends_with(1, &["streams", "apply"]);
    let told = told(&bus).await;
    let lines: Vec<(&str, Option<&str>)> =
        told.iter().map(|one| (one.action.as_str(), one.target.as_deref())).collect();
    assert_eq!(
        lines,
        [("streams.apply", None), ("streams.remove", Some("NOTIFY")), ("streams.apply", None)],
        "what was refused or only shown changed nothing"
    );
    let after = |place: usize| told[place].after.as_deref().unwrap();
    assert!(after(0).contains("KV_tokens") && !after(0).contains("KV_leases"), "{}", after(0));
    assert!(after(2).contains("NOTIFY") && !after(2).contains("KV_tokens"), "{}", after(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_was_asked_for_is_taken_back() {
    let bus = Bus::start("").await;
    let gaps = Gaps::open(&bus.broker.nats, "base").await.unwrap();
    gaps.queue(10, 19, GapReason::Backfill).await.unwrap();
    gaps.queue(30, 39, GapReason::CatchUp).await.unwrap();
    let taken = bus.json(0, &["backfill", "base", "--from", "10", "--take-back"]);
    assert_eq!(taken["not_published"], 10);
    bus.ends_with(1, &["backfill", "base", "--from", "10", "--take-back"]);
    bus.ends_with(1, &["backfill", "base", "--from", "30", "--take-back"]);
    let [left] = gaps.list().await.unwrap().try_into().unwrap();
    assert_eq!((left.from, left.reason), (30, GapReason::CatchUp), "what live left stays");
    assert_eq!(told(&bus).await[0].action, "backfill.take_back");
}
