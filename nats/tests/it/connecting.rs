use crypto_intel_nats::{ConnectError, NatsConfig, connect};
use crypto_intel_sandbox::{NatsOptions, NatsServer, free_port};
use crypto_intel_testkit::{Broker, nats_config, within};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn gives_up_with_the_address_when_no_server_is_there() {
    let url = format!("nats://127.0.0.1:{}", free_port().unwrap());
    let config =
        NatsConfig { url: url.as_str().into(), start_timeout_seconds: 1, ..NatsConfig::default() };
    let error = connect(&config, "test", &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn stops_waiting_for_a_server_at_shutdown() {
    let url = format!("nats://127.0.0.1:{}", free_port().unwrap());
    let config =
        NatsConfig { url: url.into(), start_timeout_seconds: 3_600, ..NatsConfig::default() };
    let shutdown = CancellationToken::new();
    let mut connecting = Box::pin(connect(&config, "test", &shutdown));
    assert!(futures::poll!(&mut connecting).is_pending());
    shutdown.cancel();
    let error = within(connecting).await.unwrap_err();
    assert!(matches!(error, ConnectError::Stopped), "{error}");
}

#[tokio::test]
async fn says_that_jetstream_is_missing() {
    let options =
        NatsOptions { extra_conf: vec!["jetstream: false".to_owned()], ..NatsOptions::default() };
    let server = NatsServer::start(options).await.unwrap();
    let error =
        connect(&nats_config(server.url()), "test", &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoJetStream { .. }), "{error}");
}

#[tokio::test]
async fn counts_every_reconnect() {
    let mut broker = Broker::start().await;
    let mut epoch = broker.nats.connected();
    let before = *epoch.borrow_and_update();
    broker.server.kill().unwrap();
    broker.server.start_again().await.unwrap();
    within(epoch.wait_for(|epoch| *epoch > before)).await.unwrap();
    assert!(broker.nats.is_connected());
}

#[tokio::test]
async fn credentials_in_the_address_are_used_and_never_shown() {
    let users = r#"authorization { users: [{ user: alice, password: "hunter2#" }] }"#;
    let options = NatsOptions { extra_conf: vec![users.to_owned()], ..NatsOptions::default() };
    let server = NatsServer::start(options).await.unwrap();
    let at = |user_info: &str| NatsConfig {
        url: server.url().replace("nats://", &format!("nats://{user_info}@")).into(),
        ..NatsConfig::default()
    };
    let stop = CancellationToken::new();
    connect(&at("alice:hunter2%23"), "test", &stop).await.unwrap();
    let error = connect(&at("alice:hunter3"), "test", &stop).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter3"), "{error:?}");
}
