//! What happens by the clock: quiet hours, reminders, signs of life, the dead man's switch.

use crypto_intel_nats::Bucket;
use crypto_intel_notify::DeadMan;
use crypto_intel_schemas::{DeliveryState, Severity};
use crypto_intel_service::Secret;
use crypto_intel_testkit::{eventually, within};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::calm::{Calm, PLAIN, lasting, placed};

/// Quiet hours of `ops`: all but a minute that is half a day away.
pub(crate) fn always_quiet() -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let far = now.checked_add(jiff::Span::new().hours(12)).unwrap();
    let end = format!("{:02}:{:02}", far.hour(), far.minute());
    let after = far.checked_add(jiff::Span::new().minutes(1)).unwrap();
    let start = format!("{:02}:{:02}", after.hour(), after.minute());
    format!("[quiet.ops]\nfrom = \"{start}\"\nto = \"{end}\"\nzone = \"UTC\"\n")
}

#[tokio::test]
async fn quiet_hours_hold_what_can_wait_over_a_restart_and_tell_it_as_one() {
    let quiet = always_quiet();
    let calm = Calm::start(&format!("{PLAIN}{quiet}")).await;
    let role = calm.notify().await;
    for number in 0..3 {
        calm.servers.publish(placed(number, "whale", Severity::Warning)).await;
    }
    calm.servers.publish(placed(3, "whale", Severity::Critical)).await;
    calm.servers.ended(1).await;
    assert!(calm.servers.texts("-1001")[0].contains("C0003"));
    assert_eq!(role.metric("crypto_intel_notify_held_messages", &["ops"]), 3.0);
    role.kill().await;
    let role = calm.notify().await;
    eventually(async || role.metric("crypto_intel_notify_held_messages", &["ops"]) == 3.0).await;
    calm.write(PLAIN);
    calm.servers.ended(4).await;
    let texts = calm.servers.texts("-1001");
    assert_eq!(texts.len(), 2, "{texts:#?}");
    assert!((0..3).all(|number| texts[1].contains(&format!("C000{number}"))), "{texts:#?}");
    // What drops is muted, and counted.
    calm.write(&format!("{PLAIN}{quiet}then = \"drop\"\n"));
    let mut number = 4;
    eventually(async || {
        calm.servers.publish(placed(number, "whale", Severity::Warning)).await;
        let deliveries = calm.servers.ended(number + 1).await;
        number += 1;
        deliveries.iter().any(|one| one.state == DeliveryState::Muted)
    })
    .await;
}

#[tokio::test]
async fn a_reminder_comes_while_it_lasts_and_a_sign_of_life_at_its_time() {
    let calm = Calm::start(&format!("{PLAIN}remind = \"1m\"\n")).await;
    // As if it had been told some time ago.
    let told = lasting(1, "depeg", Severity::Critical);
    let role = calm.notify().await;
    calm.servers.publish(told.clone()).await;
    calm.servers.ended(1).await;
    calm.until_open(1).await;
    role.stop().await;
    let routing = calm.nats().kv(Bucket::Routing).await.unwrap();
    let key = routing.keys("open.").await.unwrap().remove(0);
    let entry = routing.get(&key).await.unwrap().unwrap();
    let mut record: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
    let due = record["reminders"][0]["due_us"].as_i64().unwrap();
    record["reminders"][0]["due_us"] = (due - 90_000_000).into();
    routing.put(&key, record.to_string()).await.unwrap();
    let beat = serde_json::json!({ "due_us": due - 7_200_000_000_i64 });
    routing.put("beat.desk", beat.to_string()).await.unwrap();
    calm.write(&format!("{PLAIN}remind = \"1m\"\n[heartbeat.desk]\nevery = \"1m\"\n"));
    let _role = calm.notify().await;
    calm.servers.ended(3).await;
    let texts = calm.servers.texts("-1001");
    assert!(texts[1].contains("C0001") && texts[1].contains("not acknowledged"), "{texts:#?}");
    assert!(calm.servers.texts("42")[0].contains("1 alert lasts"));
}

#[tokio::test]
async fn the_summary_of_a_silence_waits_for_the_end_of_quiet_hours_where_they_are() {
    let both = "[root]\ndestinations = [\"ops\", \"desk\"]\n";
    let calm = Calm::start(&format!("{both}{}", always_quiet())).await;
    let silence = calm.silence("rule=depeg").await;
    let _role = calm.notify().await;
    calm.servers.publish(lasting(1, "depeg", Severity::Warning)).await;
    let deliveries = calm.servers.ended(2).await;
    assert!(deliveries.iter().all(|one| one.state == DeliveryState::Silenced), "{deliveries:#?}");
    calm.silences().await.end(&silence.id, "ana").await.unwrap();
    // The hours of one are not those of the other.
    calm.servers.ended(3).await;
    let over = "1 message kept back, 1 alert still lasts";
    assert!(calm.servers.texts("42")[0].contains(over));
    // Later than its end was seen: an alert that is no longer silenced waits.
    calm.servers.publish(placed(2, "whale", Severity::Critical)).await;
    calm.servers.ended(5).await;
    assert_eq!(calm.servers.texts("-1001").len(), 1);
    calm.write(both);
    calm.servers.ended(6).await;
    assert!(calm.servers.texts("-1001")[1].contains(over));
    assert_eq!(calm.servers.texts("42").len(), 2, "it is told once");
}

#[tokio::test]
async fn the_dead_mans_switch_is_pinged_while_all_is_well() {
    let calm = Calm::start(PLAIN).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ping/secret-part", listener.local_addr().unwrap());
    let mut config = calm.config();
    config.dead_man = Some(DeadMan { url: Secret::new(url), every_seconds: 1 });
    let role = calm.servers.notify(config).await;
    let ping = async |status: &str| {
        let (mut stream, _) = within(listener.accept()).await.unwrap();
        let mut bytes = [0_u8; 2_048];
        let count = stream.read(&mut bytes).await.unwrap();
        let request = String::from_utf8_lossy(&bytes[..count]).into_owned();
        assert!(request.starts_with("GET /ping/secret-part "), "{request}");
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: /login\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    // Without a clock of the rules it is not known whether they are evaluated.
    eventually(async || role.detail("notify.dead_man").contains("it is not known")).await;
    calm.tick().await;
    ping("200 OK").await;
    eventually(async || role.detail("notify.dead_man") == "pinged").await;
    // Another page than the expected one is no ping.
    ping("302 Found").await;
    eventually(async || role.detail("notify.dead_man").contains("redirects")).await;
    assert!(!role.is_healthy("notify.dead_man"));
    ping("200 OK").await;
    eventually(async || role.is_healthy("notify.dead_man")).await;
    // Nothing answers: the probe says so, without the address.
    drop(listener);
    eventually(async || !role.is_healthy("notify.dead_man")).await;
    assert!(!role.detail("notify.dead_man").contains("secret-part"));
    role.stop().await;
}
