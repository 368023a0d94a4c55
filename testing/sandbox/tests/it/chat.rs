use crypto_intel_sandbox::chat::{ChatFault, ChatService};
use crypto_intel_sandbox::{ChatLimits, ChatOptions, ChatServer};
use reqwest::{Client, Response};
use serde_json::{Value, json};

const AGENT: &str = "DiscordBot (https://example.org, 1)";

struct Sender {
    server: ChatServer,
    client: Client,
}

impl Sender {
    async fn start(limits: ChatLimits) -> Self {
        let options = ChatOptions { limits, telegram_token: Some("1:good".into()) };
        let server = ChatServer::start(options).await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { server, client }
    }

    async fn telegram(&self, method: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/bot1:good/{method}", self.server.url());
        read(self.client.post(url).json(&body).send().await.unwrap()).await
    }

    async fn html(&self, chat_id: i64, text: &str) -> (u16, Value) {
        let body = json!({"chat_id": chat_id, "text": text, "parse_mode": "HTML"});
        self.telegram("sendMessage", body).await
    }

    async fn discord_raw(&self, body: &Value, wait: &str, agent: &str) -> Response {
        let url = format!("{}{wait}", self.server.discord_webhook_url("9", "t"));
        self.client.post(url).header("user-agent", agent).json(body).send().await.unwrap()
    }

    async fn discord(&self, mut body: Value) -> (u16, Value) {
        body["allowed_mentions"] = json!({"parse": []});
        read(self.discord_raw(&body, "?wait=true", AGENT).await).await
    }

    fn rules(&self) -> Vec<&'static str> {
        self.server.violations().iter().map(|violation| violation.rule).collect()
    }

    fn texts(&self) -> Vec<String> {
        self.server.messages().into_iter().map(|message| message.text).collect()
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn telegram_takes_edits_and_answers_to_messages() {
    let sender = Sender::start(ChatLimits::Relaxed).await;
    assert_eq!(sender.telegram("getMe", json!({})).await.1["result"]["is_bot"], true);
    let (status, sent) = sender.html(5, "<b>1 &lt; 2</b> 🚨").await;
    assert_eq!((status, &sent["result"]["text"]), (200, &json!("1 < 2 🚨")));
    let id = &sent["result"]["message_id"];
    let edit = json!({"chat_id": 5, "message_id": id, "text": "corrected"});
    assert_eq!(sender.telegram("editMessageText", edit.clone()).await.0, 200);
    let (status, unchanged) = sender.telegram("editMessageText", edit).await;
    assert_eq!(status, 400);
    assert!(unchanged["description"].as_str().unwrap().contains("message is not modified"));
    let reply = json!({"chat_id": "5", "text": "more", "reply_parameters": {"message_id": id}});
    assert_eq!(sender.telegram("sendMessage", reply).await.0, 200);
    let lost = json!({"chat_id": 6, "text": "more", "reply_parameters": {"message_id": id}});
    assert_eq!(sender.telegram("sendMessage", lost).await.0, 400);
    assert_eq!(sender.texts(), ["corrected", "more"]);
    assert_eq!(sender.server.messages()[1].reply_to.as_deref(), Some("1"));
    assert!(sender.rules().is_empty());
}

#[tokio::test]
async fn telegram_refuses_bad_markup_long_texts_names_and_tokens() {
    let sender = Sender::start(ChatLimits::Relaxed).await;
    let (status, refused) = sender.html(5, "a < b").await;
    assert_eq!((status, refused["ok"].as_bool()), (400, Some(false)));
    let words = refused["description"].as_str().unwrap();
    assert!(
        words.starts_with("Bad Request: can't parse entities: Unsupported start tag"),
        "{words}"
    );
    assert_eq!(sender.html(5, &"x".repeat(4_097)).await.0, 400);
    assert_eq!(sender.html(5, &"🚨".repeat(2_049)).await.0, 400);
    assert_eq!(sender.html(5, &format!("<b>{}</b>", "x".repeat(4_096))).await.0, 200);
    assert_eq!(sender.html(5, "<b> </b>").await.0, 400);
    let name = json!({"chat_id": "@channel", "text": "x"});
    assert_eq!(sender.telegram("sendMessage", name).await.0, 400);
    let url = format!("{}/bot1:bad/getMe", sender.server.url());
    assert_eq!(sender.client.post(&url).send().await.unwrap().status(), 401);
    assert_eq!(sender.client.post(&url).send().await.unwrap().status(), 401);
    let expected = ["html", "length", "length", "length", "chat_id", "bad_token"];
    assert_eq!(sender.rules(), expected);
    assert_eq!(sender.server.message_count(), 1);
}

#[tokio::test]
async fn telegram_limits_each_chat_and_records_early_retries() {
    let sender = Sender::start(ChatLimits::Strict).await;
    for _ in 0..3 {
        assert_eq!(sender.html(5, "x").await.0, 200);
    }
    let (status, refused) = sender.html(5, "x").await;
    assert_eq!((status, &refused["error_code"]), (429, &json!(429)));
    assert!(refused["parameters"]["retry_after"].as_u64().unwrap() >= 1);
    assert_eq!(sender.html(5, "x").await.0, 429);
    assert_eq!(sender.html(6, "other chats go on").await.0, 200);
    assert_eq!(sender.rules(), ["rate", "early_retry"]);
}

#[tokio::test]
async fn discord_takes_messages_and_edits() {
    let sender = Sender::start(ChatLimits::Relaxed).await;
    let (status, sent) = sender.discord(json!({"content": "hi", "embeds": [{"title": "t"}]})).await;
    assert_eq!(status, 200);
    let id = sent["id"].as_str().unwrap();
    let url = format!("{}/messages/{id}", sender.server.discord_webhook_url("9", "t"));
    let patch =
        sender.client.patch(url).header("user-agent", AGENT).json(&json!({"content": "new"}));
    assert_eq!(patch.send().await.unwrap().status(), 200);
    assert_eq!((sender.texts(), sender.server.messages()[0].edits), (vec!["new".to_owned()], 1));
    assert!(sender.rules().is_empty());
}

#[tokio::test]
async fn discord_refuses_what_discord_refuses() {
    let sender = Sender::start(ChatLimits::Relaxed).await;
    let (status, long) = sender.discord(json!({"content": "x".repeat(2_001)})).await;
    assert_eq!((status, &long["code"]), (400, &json!(50_035)));
    assert!(long["errors"]["content"]["_errors"][0]["message"].is_string());
    let (status, empty) = sender.discord(json!({"content": " "})).await;
    assert_eq!((status, &empty["code"]), (400, &json!(50_006)));
    let good = json!({"content": "x", "allowed_mentions": {"parse": []}});
    assert_eq!(sender.discord_raw(&good, "?wait=true", "curl/8").await.status(), 403);
    assert_eq!(sender.discord_raw(&good, "", AGENT).await.status(), 204);
    let bare = json!({"content": "x"});
    assert_eq!(sender.discord_raw(&bare, "?wait=true", AGENT).await.status(), 200);
    sender.server.close_destination(ChatService::Discord, "9", 404, "Unknown Webhook");
    let (status, gone) = sender.discord(good.clone()).await;
    assert_eq!((status, &gone["code"]), (404, &json!(10_015)));
    sender.discord(good).await;
    let expected = ["form", "length", "user_agent", "wait", "allowed_mentions", "dead_destination"];
    assert_eq!(sender.rules(), expected);
}

#[tokio::test]
async fn discord_limits_each_webhook() {
    let sender = Sender::start(ChatLimits::Strict).await;
    for _ in 0..5 {
        assert_eq!(sender.discord(json!({"content": "x"})).await.0, 200);
    }
    let body = json!({"content": "x", "allowed_mentions": {}});
    let refused = sender.discord_raw(&body, "?wait=true", AGENT).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    let retry_after = read(refused).await.1["retry_after"].as_f64().unwrap();
    assert!(retry_after > 0.0 && retry_after <= 2.0, "{retry_after}");
    assert_eq!(sender.rules(), ["rate"]);
}

#[tokio::test]
async fn discord_limits_the_channel_over_all_its_webhooks_without_a_header() {
    let sender = Sender::start(ChatLimits::Strict).await;
    let webhooks = ["1", "2", "3", "4", "5", "6", "7"];
    sender.server.share_channel(&webhooks, "77");
    let mut answers = Vec::new();
    for webhook in webhooks.iter().cycle().take(31) {
        let url = format!("{}?wait=true", sender.server.discord_webhook_url(webhook, "t"));
        let body = json!({"content": "x", "allowed_mentions": {"parse": []}});
        let request = sender.client.post(url).header("user-agent", AGENT).json(&body);
        answers.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 30);
    assert_eq!(answers.last(), Some(&429));
    let url = sender.server.discord_webhook_url("2", "t");
    let (_, webhook) =
        read(sender.client.get(url).header("user-agent", AGENT).send().await.unwrap()).await;
    assert_eq!(webhook["channel_id"], "77");
}

#[tokio::test]
async fn a_global_429_is_for_every_webhook() {
    let sender = Sender::start(ChatLimits::Relaxed).await;
    let fault = ChatFault::GlobalTooManyRequests { retry_after: 30 };
    sender.server.inject(Some(ChatService::Discord), fault, 1);
    let (status, refused) = sender.discord(json!({"content": "x"})).await;
    assert_eq!((status, &refused["global"]), (429, &json!(true)));
    let url = format!("{}?wait=true", sender.server.discord_webhook_url("10", "t"));
    let body = json!({"content": "x", "allowed_mentions": {"parse": []}});
    let other = sender.client.post(url).header("user-agent", AGENT).json(&body);
    assert_eq!(other.send().await.unwrap().status(), 429);
    assert_eq!(sender.rules(), ["early_retry"]);
}

#[tokio::test]
async fn three_frozen_chats_freeze_the_whole_bot() {
    let sender = Sender::start(ChatLimits::Relaxed).await;
    sender.server.reply_429(3, 30);
    for chat in 1..=3 {
        assert_eq!(sender.html(chat, "x").await.0, 429);
    }
    assert_eq!(sender.html(4, "x").await.0, 429);
    assert_eq!(sender.rules(), ["early_retry"]);
}

#[tokio::test]
async fn faults_strike_in_order_and_keep_what_was_accepted() {
    let sender = Sender::start(ChatLimits::Relaxed).await;
    sender.server.reset_after_accept(1);
    sender.server.inject(Some(ChatService::Telegram), ChatFault::ResetBeforeAccept, 1);
    let send = |text: &str| {
        let url = format!("{}/bot1:good/sendMessage", sender.server.url());
        sender.client.post(url).json(&json!({"chat_id": 5, "text": text})).send()
    };
    assert!(send("accepted, unanswered").await.is_err());
    assert!(send("lost").await.is_err());
    assert_eq!(sender.texts(), ["accepted, unanswered"]);
    sender.server.fail_5xx(1);
    assert_eq!(send("lost").await.unwrap().status(), 502);
    sender.server.reply_429(1, 30);
    let (status, refused) = sender.html(5, "x").await;
    assert_eq!((status, &refused["parameters"]["retry_after"]), (429, &json!(30)));
    assert_eq!(send("early").await.unwrap().status(), 429);
    assert_eq!(sender.rules(), ["early_retry"]);
    assert_eq!(sender.html(6, "x").await.0, 200);
}

#[tokio::test]
async fn a_black_hole_answers_nothing_until_it_is_cut() {
    let sender = Sender::start(ChatLimits::Relaxed).await;
    sender.server.black_hole(true);
    let url = format!("{}/bot1:good/getMe", sender.server.url());
    let request = sender.client.post(url).send();
    tokio::pin!(request);
    let silent = tokio::time::timeout(std::time::Duration::from_millis(200), &mut request).await;
    assert!(silent.is_err());
    sender.server.cut_connections();
    sender.server.black_hole(false);
    let _ = request.await;
    assert_eq!(sender.html(5, "x").await.0, 200);
}
