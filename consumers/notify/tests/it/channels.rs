//! What is true of every channel, and what only one can do.

use crypto_intel_notify::{Config, Destination, acknowledge, check_destination, send_test};
use crypto_intel_sandbox::{
    ChatLimits,
    chat::{ChatFault, ChatService, WEBHOOK_SECRET},
};
use crypto_intel_schemas::{Alert, AlertState, Delivery, DeliveryState, Severity};
use crypto_intel_testkit::eventually;

use crate::{
    harness::{Servers, alert},
    mail::MailServer,
};

const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// One destination at the stand-in for each channel that has no tests of its own.
fn destinations(servers: &Servers) -> Vec<(&'static str, ChatService, String)> {
    let (chat, limits) = (servers.chat.url(), "limits = [{ messages = 100, per_ms = 1000 }]");
    let policy = format!("policy = {{ timeout_ms = 2000, {limits} }}");
    let hook = servers.chat.slack_webhook_url("B1");
    let receiver = servers.chat.receiver_url("desk");
    let of = |name, service, text: String| (name, service, format!("{text}\n{policy}"));
    vec![
        of("slack", ChatService::Slack, format!("channel = \"slack\"\nwebhook_url = \"{hook}\"")),
        of(
            "slackbot",
            ChatService::Slack,
            format!(
                "channel = \"slack\"\ntoken = \"xoxb-1\"\nchannel_id = \"C01\"\napi_url = \"{chat}/api\""
            ),
        ),
        of(
            "phone",
            ChatService::Ntfy,
            format!("channel = \"ntfy\"\ntopic = \"alerts-1\"\nserver = \"{chat}\""),
        ),
        of(
            "oncall",
            ChatService::Pagerduty,
            format!(
                "channel = \"pagerduty\"\nrouting_key = \"{ROUTING_KEY}\"\napi_url = \"{chat}\""
            ),
        ),
        of(
            "receiver",
            ChatService::Webhook,
            format!(
                "channel = \"webhook\"\nurl = \"{receiver}\"\nsecret = \"{WEBHOOK_SECRET}\"\nallow_private = true"
            ),
        ),
    ]
}

fn config(name: &str, destination: &str) -> Config {
    toml::from_str(&format!("[destinations.{name}]\n{destination}")).unwrap()
}

fn ended(deliveries: &[Delivery], code: usize) -> &Delivery {
    let key = format!("key-{code}:");
    deliveries.iter().find(|one| one.delivery.starts_with(&key)).unwrap()
}

#[tokio::test]
async fn every_channel_tells_waits_and_repeats_as_its_service_wants() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let mut config = Config::default();
    let mut names = Vec::new();
    for (name, _, text) in destinations(&servers) {
        config.destinations.insert(name.to_owned(), toml::from_str(&text).unwrap());
        names.push(name.to_owned());
    }
    assert_eq!(config.validate(), Ok(()));
    let _role = servers.notify(config).await;
    let to_all = |number| Alert { routes: names.clone(), ..alert(number) };
    servers.publish(to_all(1)).await;
    servers.ended(5).await;
    // PagerDuty does not say for how long, so it is left alone for half a minute.
    let hasty = |service: &ChatService| *service != ChatService::Pagerduty;
    for service in destinations(&servers).into_iter().map(|(_, service, _)| service).filter(hasty) {
        servers.chat.inject(Some(service), ChatFault::TooManyRequests { retry_after: 1 }, 1);
    }
    servers.publish(to_all(2)).await;
    servers.ended(10).await;
    for (_, service, _) in destinations(&servers) {
        servers.chat.inject(Some(service), ChatFault::ResetAfterAccept, 1);
    }
    servers.publish(to_all(3)).await;
    let all = servers.ended(15).await;
    for (name, ..) in destinations(&servers) {
        let own: Vec<Delivery> =
            all.iter().filter(|one| one.destination == name).cloned().collect();
        assert_eq!(ended(&own, 1).state, DeliveryState::Sent, "{own:#?}");
        assert!(ended(&own, 1).message_id.is_some());
        let idempotent = matches!(name, "oncall" | "receiver");
        if idempotent {
            assert_eq!(ended(&own, 3).state, DeliveryState::Sent, "{own:#?}");
        }
    }
    let marked = servers.chat.messages().iter().filter(|one| one.text.contains('↻')).count();
    let repeated = all.iter().filter(|one| one.state == DeliveryState::Repeated).count();
    // Two destinations share the faults of Slack, which may both meet the same one.
    assert_eq!(marked, 3, "{all:#?}");
    assert!((2..=3).contains(&repeated), "{all:#?}");
    let incidents = servers.chat.messages().into_iter();
    let incidents: std::collections::BTreeSet<String> = incidents
        .filter(|one| one.service == ChatService::Pagerduty)
        .map(|one| one.message_id)
        .collect();
    assert_eq!(incidents.len(), 3, "an incident for each alert, however often it was sent");
    servers.no_violations();
}

#[tokio::test]
async fn every_channel_takes_a_test_message_and_is_checked() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    for (name, service, text) in destinations(&servers) {
        let destination: Destination = toml::from_str(&text).unwrap();
        check_destination(name, &destination).await.unwrap();
        send_test(name, &destination).await.unwrap();
        let last = servers.chat.messages().pop().unwrap();
        assert!(last.service == service && last.text.contains("Test message"), "{last:?}");
    }
    servers.no_violations();
}

#[tokio::test]
async fn every_channel_keeps_what_a_refusal_holds_back() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let refusals = [
        ("slack", "B1", 404, "no_service"),
        ("slackbot", "C01", 200, "not_in_channel"),
        ("phone", "alerts-1", 403, "forbidden"),
        ("oncall", ROUTING_KEY, 400, "'routing_key' is not known"),
        ("receiver", "desk", 410, "gone"),
    ];
    for ((name, service, text), (_, id, status, why)) in
        destinations(&servers).into_iter().zip(refusals)
    {
        servers.chat.close_destination(service, id, status, why);
        let text =
            text.replace("timeout_ms = 2000", "timeout_ms = 2000, probe_after_seconds = [1]");
        let role = servers.notify(config(name, &text)).await;
        let number = 10 + status as usize;
        servers.publish(Alert { routes: vec![name.to_owned()], ..alert(number) }).await;
        let closed = || role.metric("crypto_intel_notify_closed", &[name]) == 1.0;
        eventually(async || closed()).await;
        servers.chat.reopen_destination(service, id);
        eventually(async || servers.deliveries().await.iter().any(|one| one.destination == name))
            .await;
        let last = servers.deliveries().await.pop().unwrap();
        assert_eq!(
            (last.destination.as_str(), last.state),
            (name, DeliveryState::Sent),
            "{last:?}"
        );
        role.stop().await;
    }
    servers.no_violations();
}

#[tokio::test]
async fn a_receiver_inside_is_called_only_where_the_configuration_says_so() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let (_, _, text) = destinations(&servers).pop().unwrap();
    let text = text.replace("allow_private = true", "allow_private = false");
    for url in [text.clone(), text.replace("127.0.0.1", "localhost")] {
        let destination: Destination = toml::from_str(&url).unwrap();
        let error = send_test("receiver", &destination).await.unwrap_err().to_string();
        assert!(error.contains("not an address of the internet"), "{error}");
        assert!(error.contains("allow_private"), "{error}");
    }
    assert_eq!(servers.chat.requests(), 0);
}

#[tokio::test]
async fn an_incident_is_resolved_with_its_alert() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let (name, _, text) = destinations(&servers).remove(3);
    let _role = servers.notify(config(name, &text)).await;
    let fired = Alert { routes: vec![name.to_owned()], ongoing: true, ..alert(1) };
    servers.publish(fired.clone()).await;
    servers.publish(Alert { state: AlertState::Resolved, n: 2, ..fired }).await;
    servers.ended(2).await;
    let texts: Vec<String> = servers.chat.messages().into_iter().map(|one| one.text).collect();
    assert!(texts[0].starts_with("trigger 🚨"), "{texts:?}");
    assert_eq!(texts[1], "resolve");
    servers.no_violations();
}

#[tokio::test]
async fn an_incident_is_acknowledged_once_with_its_alert() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let (name, _, text) = destinations(&servers).remove(3);
    let role = servers.notify(config(name, &text)).await;
    servers.publish(Alert { routes: vec![name.to_owned()], ..alert(1) }).await;
    servers.publish(Alert { routes: vec![name.to_owned()], ..alert(2) }).await;
    servers.ended(2).await;
    acknowledge(&servers.broker.nats, "key-2", "ana").await.unwrap();
    servers.ended(3).await;
    // Also a new instance knows that it was told.
    role.stop().await;
    let _role = servers.notify(config(name, &text)).await;
    servers.publish(Alert { routes: vec![name.to_owned()], ..alert(3) }).await;
    servers.ended(4).await;
    let messages = servers.chat.messages();
    let texts: Vec<&str> = messages.iter().map(|one| one.text.as_str()).collect();
    assert_eq!((texts[2], &messages[2].message_id), ("acknowledge", &messages[1].message_id));
    assert!(texts.len() == 4 && texts[3].starts_with("trigger"), "{texts:?}");
    servers.no_violations();
}

fn mail_config(server: &MailServer) -> Config {
    let text = format!(
        "channel = \"email\"\nserver = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n\
         from = \"Alerts <alerts@example.org>\"\nto = [\"ops@example.org\", \"desk@example.org\"]\n\
         policy = {{ timeout_ms = 2000, limits = [{{ messages = 100, per_ms = 1000 }}] }}",
        server.port()
    );
    config("mail", &text)
}

#[tokio::test]
async fn mail_that_was_cut_after_its_last_line_is_repeated_with_its_id_and_a_mark() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let server = MailServer::start().await;
    let _role = servers.notify(mail_config(&server)).await;
    let first = Alert { routes: vec!["mail".to_owned()], severity: Severity::Warning, ..alert(1) };
    server.answer_to_mail("451 try again later");
    server.cut_after_data();
    servers.publish(first).await;
    let ended = servers.ended(1).await;
    assert_eq!((ended[0].state, ended[0].attempts), (DeliveryState::Repeated, 3), "{ended:#?}");
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    let id = |mail: &str| {
        let line = mail.lines().find(|line| line.starts_with("Message-ID:"));
        line.map(str::to_owned)
    };
    assert!(id(&mails[0]).is_some() && id(&mails[0]) == id(&mails[1]), "{mails:#?}");
    assert!(mails[1].contains("possible repeat"), "{mails:#?}");
    assert!(server.recipients().contains(&"desk@example.org".to_owned()));
}

#[tokio::test]
async fn a_refused_recipient_closes_the_destination_and_names_the_correction() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let server = MailServer::start().await;
    let config = mail_config(&server);
    server.answer_to_recipient("550 no such user");
    let error = send_test("mail", &config.destinations["mail"]).await.unwrap_err().to_string();
    assert!(error.contains("no such user") && error.contains("correct to"), "{error}");
    send_test("mail", &config.destinations["mail"]).await.unwrap();
    assert!(server.mails()[0].contains("Subject:"));
    drop(servers);
}
