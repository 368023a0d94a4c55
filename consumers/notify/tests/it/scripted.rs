//! A Bot API with prepared answers, for those that the stand-in does not give.

use std::sync::{Arc, Mutex};

use crypto_intel_notify::{Config, Destination};
use crypto_intel_sandbox::ChatLimits;
use crypto_intel_schemas::{Alert, DeliveryState};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Servers, alert};

/// Gives its answers in order and then repeats the last one; keeps the bodies of all requests.
struct Scripted {
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Scripted {
    async fn start(answers: Vec<(u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = read_body(&mut stream).await;
                let number = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(body);
                    kept.len() - 1
                };
                let (status, answer) = &answers[number.min(answers.len() - 1)];
                let answer = answer.to_string();
                let text = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
                    answer.len()
                );
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }

    /// A configuration with `ops` only, which sends to this server.
    fn config(&self, servers: &Servers, topic: Option<i64>) -> Config {
        let mut config = servers.config("", "");
        config.destinations.remove("desk");
        if let Some(Destination::Telegram(telegram)) = config.destinations.get_mut("ops") {
            telegram.api_url = format!("http://127.0.0.1:{}", self.port).into();
            telegram.message_thread_id = topic;
        }
        config
    }
}

async fn read_body(stream: &mut TcpStream) -> Value {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0_u8; 4_096];
        let count = stream.read(&mut part).await.unwrap_or(0);
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        match serde_json::from_str(body) {
            Ok(body) => return body,
            Err(_) if count == 0 => return Value::Null,
            Err(_) => {}
        }
    }
}

fn sent() -> (u16, Value) {
    (200, json!({ "ok": true, "result": { "message_id": 12 } }))
}

fn refused(description: &str) -> (u16, Value) {
    (400, json!({ "ok": false, "error_code": 400, "description": description }))
}

#[tokio::test]
async fn an_upgraded_group_is_followed_also_after_a_restart() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let mut moved = refused("Bad Request: group chat was upgraded to a supergroup chat");
    moved.1["parameters"] = json!({ "migrate_to_chat_id": -100_777 });
    let api = Scripted::start(vec![moved, sent()]).await;
    let first = servers.notify(api.config(&servers, None)).await;
    servers.publish(alert(1)).await;
    servers.ended(1).await;
    first.stop().await;
    let _second = servers.notify(api.config(&servers, None)).await;
    servers.publish(alert(2)).await;
    let ended = servers.ended(2).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    let chats: Vec<i64> =
        api.requests().iter().map(|request| request["chat_id"].as_i64().unwrap()).collect();
    assert_eq!(chats, [-1_001, -100_777, -100_777]);
}

#[tokio::test]
async fn refused_markup_is_sent_once_more_as_plain_text() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let api = Scripted::start(vec![refused("Bad Request: can't parse entities: x"), sent()]).await;
    let _role = servers.notify(api.config(&servers, None)).await;
    servers.publish(alert(1)).await;
    assert_eq!(servers.ended(1).await[0].state, DeliveryState::Sent);
    let requests = api.requests();
    assert_eq!(requests[0]["parse_mode"], "HTML");
    assert!(requests[1].get("parse_mode").is_none());
    assert!(requests[1]["text"].as_str().unwrap().contains("<moved> & @everyone"));
}

#[tokio::test]
async fn a_missing_topic_is_left_out() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let api = Scripted::start(vec![refused("Bad Request: message thread not found"), sent()]).await;
    let _role = servers.notify(api.config(&servers, Some(9))).await;
    servers.publish(alert(1)).await;
    servers.publish(alert(2)).await;
    servers.ended(2).await;
    let topics: Vec<Value> =
        api.requests().iter().map(|request| request["message_thread_id"].clone()).collect();
    assert_eq!(topics, [json!(9), Value::Null, Value::Null]);
}

#[tokio::test]
async fn a_closed_general_topic_keeps_its_messages() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let api = Scripted::start(vec![refused("Bad Request: TOPIC_CLOSED"), sent()]).await;
    let mut config = api.config(&servers, None);
    if let Some(Destination::Telegram(telegram)) = config.destinations.get_mut("ops") {
        telegram.policy.probe_after_seconds = vec![1];
    }
    let _role = servers.notify(config).await;
    servers.publish(alert(1)).await;
    let ended = servers.ended(1).await;
    assert_eq!((ended[0].state, ended[0].attempts), (DeliveryState::Sent, 2));
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_dead_and_the_next_one_is_sent() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let api = Scripted::start(vec![refused("Bad Request: message is too long"), sent()]).await;
    let role = servers.notify(api.config(&servers, None)).await;
    servers.publish(alert(1)).await;
    servers.publish(Alert { seen_at_us: 0, ..alert(2) }).await;
    let ended = servers.ended(2).await;
    assert_eq!(ended[0].state, DeliveryState::Dead);
    assert_eq!(ended[1].state, DeliveryState::Sent);
    assert!(role.is_healthy("notify.ops"));
}
