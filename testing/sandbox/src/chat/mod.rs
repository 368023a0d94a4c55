//! A stand-in for the services that people are told by. It refuses what they refuse, over real HTTP.
//!
//! Telegram is at `/bot<token>/<method>`, Discord at `/webhooks/<id>/<token>` (also under `/api` and `/api/v10`), Slack at
//! `/services/<team>/<hook>/<secret>` and `/api/<method>`, ntfy at `/`, PagerDuty at `/v2/enqueue`, and a receiver of signed
//! requests at `/hooks/<name>`.

mod delivery;
mod discord;
mod discord_form;
mod discord_markdown;
mod limits;
mod multipart;
mod ntfy;
mod pagerduty;
mod slack;
mod slack_form;
mod state;
mod telegram;
mod telegram_buttons;
mod telegram_html;
mod telegram_photo;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use parking_lot::{Mutex, MutexGuard};

pub use self::limits::ChatLimits;
pub use self::state::{ChatFault, ChatMessage, ChatService, ChatViolation};
use self::state::{ChatState, DeadDestination};
pub use self::webhook::WEBHOOK_SECRET;
use crate::local_server::{Connection, LocalServer};

/// How to start a [`ChatServer`].
#[derive(Debug, Clone, Default)]
pub struct ChatOptions {
    /// How fast it accepts messages.
    pub limits: ChatLimits,
    /// The only bot token that is accepted; `None`: any.
    pub telegram_token: Option<String>,
}

/// A chat stand-in on 127.0.0.1; gone when dropped.
#[derive(Debug)]
pub struct ChatServer {
    server: LocalServer,
    state: Arc<Mutex<ChatState>>,
}

/// Outcome of a request.
enum Outcome {
    Answer(Response),
    /// The connection is cut without an answer.
    Cut,
}

impl ChatServer {
    /// Starts the stand-in.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(options: ChatOptions) -> anyhow::Result<Self> {
        let state = ChatState {
            limits: options.limits,
            telegram_token: options.telegram_token,
            ..ChatState::default()
        };
        let state = Arc::new(Mutex::new(state));
        let router = Router::new().fallback(any(handle)).with_state(Arc::clone(&state));
        Ok(Self { server: LocalServer::start(router).await?, state })
    }

    /// `http://127.0.0.1:PORT`: to be used instead of `https://api.telegram.org` and `https://discord.com`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// The URL of a webhook; any id and token will do.
    #[must_use]
    pub fn discord_webhook_url(&self, id: &str, token: &str) -> String {
        format!("{}/api/webhooks/{id}/{token}", self.url())
    }

    /// The URL of an incoming webhook of Slack.
    #[must_use]
    pub fn slack_webhook_url(&self, hook: &str) -> String {
        format!("{}/services/T1/{hook}/secret", self.url())
    }

    /// The URL of a receiver that checks signatures by [`WEBHOOK_SECRET`].
    #[must_use]
    pub fn receiver_url(&self, name: &str) -> String {
        format!("{}/hooks/{name}", self.url())
    }

    /// All accepted messages in order, in their newest form.
    #[must_use]
    pub fn messages(&self) -> Vec<ChatMessage> {
        self.state().messages.clone()
    }

    /// How many messages were accepted.
    #[must_use]
    pub fn message_count(&self) -> usize {
        self.state().messages.len()
    }

    /// All rules that the client broke.
    #[must_use]
    pub fn violations(&self) -> Vec<ChatViolation> {
        self.state().violations.clone()
    }

    /// Requests of any kind so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// The next `count` messages to one service, or to any, that would have been accepted meet this fault.
    pub fn inject(&self, service: Option<ChatService>, fault: ChatFault, count: usize) {
        let mut state = self.state();
        state.faults.extend(std::iter::repeat_n((service, fault), count));
    }

    /// The next `count` messages are refused with 429.
    pub fn reply_429(&self, count: usize, retry_after: u32) {
        self.inject(None, ChatFault::TooManyRequests { retry_after }, count);
    }

    /// The next `count` messages are accepted, and their connections cut without an answer.
    pub fn reset_after_accept(&self, count: usize) {
        self.inject(None, ChatFault::ResetAfterAccept, count);
    }

    /// The next `count` messages are not accepted and answered 502.
    pub fn fail_5xx(&self, count: usize) {
        self.inject(None, ChatFault::ServerError, count);
    }

    /// Requests are read and never answered; what they carry is not accepted.
    pub fn black_hole(&self, on: bool) {
        self.state().black_hole = on;
    }

    /// Cuts all connections.
    pub fn cut_connections(&self) {
        self.server.cut_connections();
    }

    /// From now on a destination answers only this: Telegram 403 `Forbidden: bot was blocked by the user`, say, or
    /// Discord 404 `Unknown Webhook`. Asking again within 50 s (relaxed: 0.5 s) is a violation.
    pub fn close_destination(
        &self,
        service: ChatService,
        id: &str,
        status: u16,
        description: &str,
    ) {
        let dead =
            DeadDestination { status, description: description.to_owned(), answered_at: None };
        self.state().dead.insert((service, id.to_owned()), dead);
    }

    /// From now on this is the only bot token that is accepted.
    pub fn refuse_other_tokens(&self, token: &str) {
        self.state().telegram_token = Some(token.to_owned());
    }

    /// The destination accepts messages again.
    pub fn reopen_destination(&self, service: ChatService, id: &str) {
        self.state().dead.remove(&(service, id.to_owned()));
    }

    /// A person presses the button with this data below a message of a Telegram chat.
    pub fn press(&self, chat_id: i64, message_id: &str, user: i64, name: &str, data: &str) {
        telegram_buttons::press(&mut self.state(), chat_id, message_id, &(user, name, data));
    }

    /// A group of Telegram becomes a supergroup: its old number is answered with the new one, once.
    pub fn upgrade_group(&self, old: i64, new: i64) {
        self.state().upgraded.insert(old, new);
    }

    /// A chat of Telegram in which the bot may not send photos.
    pub fn refuse_photos(&self, chat_id: i64) {
        self.state().refuses_photos.insert(chat_id);
    }

    /// What was answered to presses, in order.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        self.state().answers.iter().map(|(_, text)| text.clone()).collect()
    }

    /// A person deletes a message.
    pub fn delete_message(&self, service: ChatService, destination: &str, message_id: &str) {
        self.state().messages.retain(|message| {
            message.service != service
                || message.destination != destination
                || message.message_id != message_id
        });
    }

    /// These Discord webhooks write to one channel and share its limit; otherwise each has its own.
    pub fn share_channel(&self, webhooks: &[&str], channel: &str) {
        let mut state = self.state();
        let shared = webhooks.iter().map(|webhook| ((*webhook).to_owned(), channel.to_owned()));
        state.channels.extend(shared);
    }

    fn state(&self) -> MutexGuard<'_, ChatState> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<ChatState>) -> MutexGuard<'_, ChatState> {
    state.lock()
}

async fn handle(
    State(state): State<Arc<Mutex<ChatState>>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if lock(&state).black_hole {
        connection.closed().await;
    }
    if uri.path().to_ascii_lowercase().ends_with("/getupdates") {
        return get_updates(&state, &body).await;
    }
    let outcome = {
        let mut state = lock(&state);
        state.requests += 1;
        route(&mut state, &method, &uri, &headers, &body)
    };
    match outcome {
        Outcome::Answer(response) => response,
        Outcome::Cut => connection.cut().await,
    }
}

/// A request for updates that waits; also over when its connection is cut.
struct Poller<'a>(&'a Mutex<ChatState>);

impl Drop for Poller<'_> {
    fn drop(&mut self) {
        lock(self.0).pollers -= 1;
    }
}

/// A request for updates is answered after this many steps at the latest: sooner than the client asks for, so that tests end.
const POLL_STEPS: usize = 40;
const POLL_STEP: Duration = Duration::from_millis(25);

/// Answers as soon as a button was pressed, or that none was.
async fn get_updates(state: &Mutex<ChatState>, body: &[u8]) -> Response {
    {
        let mut state = lock(state);
        if state.pollers > 0 {
            state.violation(ChatService::Telegram, "poller", "two ask for updates at once");
            let text = "Conflict: terminated by other getUpdates request";
            return telegram::error(409, text);
        }
        state.pollers += 1;
        state.requests += 1;
    }
    let _one = Poller(state);
    let mut answer = None;
    for _ in 0..POLL_STEPS {
        answer = telegram_buttons::updates(&mut lock(state), body);
        if answer.is_some() {
            break;
        }
        tokio::time::sleep(POLL_STEP).await;
    }
    telegram::ok(&answer.unwrap_or_else(|| serde_json::json!([])))
}

fn route(
    state: &mut ChatState,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Outcome {
    let segments: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    if let [bot, telegram_method] = segments[..]
        && let Some(token) = bot.strip_prefix("bot")
    {
        return telegram::handle(state, token, telegram_method, headers, body);
    }
    let webhooks = segments.iter().position(|part| *part == "webhooks");
    if let Some(place) = webhooks.filter(|place| *place <= 2) {
        let request = discord::Request {
            method,
            path: &segments[place + 1..],
            query: uri.query().unwrap_or_default(),
            headers,
            body,
        };
        return discord::handle(state, &request);
    }
    match (method, &segments[..]) {
        (&Method::POST, ["services", _, hook, _]) => slack::webhook(state, hook, body),
        (&Method::POST, ["api", name]) => slack::method(state, name, headers, body),
        (&Method::POST, []) => ntfy::publish(state, body),
        (&Method::GET, ["v1", "health"]) => ntfy::health(),
        (&Method::POST, ["v2", "enqueue"]) => pagerduty::enqueue(state, body),
        (&Method::POST, ["hooks", name]) => webhook::receive(state, name, headers, body),
        _ => Outcome::Answer(StatusCode::NOT_FOUND.into_response()),
    }
}

fn server_error() -> Response {
    let page =
        "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>";
    (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "text/html")], page).into_response()
}
