use crypto_intel_notify::{Config, Destination, check_destination};
use crypto_intel_sandbox::{ChatLimits, ChatOptions, ChatServer, free_port};
use crypto_intel_schemas::DeliveryState;
use crypto_intel_testkit::eventually;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::harness::{Servers, alert};

fn telegram(api_url: &str) -> Destination {
    let text = format!(
        r#"channel = "telegram"
        token = "123:very-secret"
        chat_id = 5
        api_url = "{api_url}"
        policy = {{ timeout_ms = 500 }}"#
    );
    toml::from_str(&text).unwrap()
}

#[tokio::test]
async fn check_names_the_bot_and_never_shows_the_token() {
    let options =
        ChatOptions { limits: ChatLimits::Strict, telegram_token: Some("123:very-secret".into()) };
    let chat = ChatServer::start(options).await.unwrap();
    let name = check_destination("ops", &telegram(&chat.url())).await.unwrap();
    assert!(name.contains("bot @"), "{name}");
    let closed_port = format!("http://127.0.0.1:{}", free_port().unwrap());
    let error = check_destination("ops", &telegram(&closed_port)).await.unwrap_err();
    let text = format!("{error:#} {error:?}");
    assert!(text.contains("refused") && !text.contains("very-secret"), "{text}");
}

#[tokio::test]
async fn check_names_a_refused_token() {
    let options =
        ChatOptions { limits: ChatLimits::Strict, telegram_token: Some("123:another".into()) };
    let chat = ChatServer::start(options).await.unwrap();
    let error = check_destination("ops", &telegram(&chat.url())).await.unwrap_err();
    assert!(error.to_string().contains("BotFather"), "{error}");
}

/// Answers every request with these bytes, then closes.
async fn answers(port: u16, bytes: Vec<u8>) -> tokio::task::JoinHandle<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0_u8; 8_192];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&bytes).await;
        }
    })
}

fn sent() -> Vec<u8> {
    let body = r#"{"ok":true,"result":{"message_id":12}}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn only_ops(servers: &Servers, port: u16) -> Config {
    let mut config = servers.config("", "");
    config.destinations.remove("desk");
    if let Some(Destination::Telegram(telegram)) = config.destinations.get_mut("ops") {
        telegram.api_url = format!("http://127.0.0.1:{port}").into();
    }
    config
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_without_a_mark() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let port = free_port().unwrap();
    let role = servers.notify(only_ops(&servers, port)).await;
    servers.publish(alert(1)).await;
    eventually(async || {
        role.metric("crypto_intel_notify_attempts_total", &["ops", "not_sent"]) > 0.0
    })
    .await;
    let server = answers(port, sent()).await;
    let ended = servers.ended(1).await;
    assert_eq!(ended[0].state, DeliveryState::Sent);
    assert_eq!(ended[0].message_id.as_deref(), Some("12"));
    assert!(ended[0].attempts >= 2);
    server.abort();
}

#[tokio::test]
async fn half_an_answer_is_uncertain() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let port = free_port().unwrap();
    let half = answers(port, sent()[..120].to_vec()).await;
    let role = servers.notify(only_ops(&servers, port)).await;
    servers.publish(alert(1)).await;
    eventually(async || {
        role.metric("crypto_intel_notify_attempts_total", &["ops", "uncertain"]) > 0.0
    })
    .await;
    half.abort();
    assert!(half.await.unwrap_err().is_cancelled());
    let whole = answers(port, sent()).await;
    let ended = servers.ended(1).await;
    assert_eq!(ended[0].state, DeliveryState::Repeated);
    whole.abort();
}

#[tokio::test]
async fn silence_is_uncertain_after_the_timeout() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.black_hole(true);
    let role = servers.notify(servers.config("timeout_ms = 300", "")).await;
    servers.publish(alert(1)).await;
    eventually(async || {
        role.metric("crypto_intel_notify_attempts_total", &["ops", "uncertain"]) > 0.0
    })
    .await;
    servers.chat.black_hole(false);
    assert_eq!(servers.ended(1).await[0].state, DeliveryState::Repeated);
    assert_eq!(servers.texts("-1001").len(), 1, "only the last attempt was taken");
}
