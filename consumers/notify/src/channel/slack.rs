//! Slack: an incoming webhook, or a bot with `chat.postMessage` and `chat.update`.

use std::time::Duration;

use crypto_intel_schemas::Alert;
use crypto_intel_service::{Address, Secret};
use futures::future::{BoxFuture, FutureExt as _};
use reqwest::{Client, StatusCode, header::CONTENT_TYPE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Capabilities, Channel, Clients, DEFAULT_WAIT, MessageContent, Outcome, Place, Reply, Request,
    Scope, Settings, SharedService, Sharing,
    http::{Answer, exchange, is_https, is_web},
};
use crate::{
    config::{Limit, Policy},
    render::{Voice, slack as render},
};

/// A channel of Slack: by an incoming webhook, or by a bot, which can also change its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackConfig {
    /// The incoming webhook's address, `https://hooks.slack.com/services/…`; or set `token` and `channel_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<Secret>,
    /// The bot's token, `xoxb-…`, with the scope `chat:write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Id of the channel that the bot writes to, such as `C0123456789`; not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Slack's Web API.
    #[serde(default = "default_api_url")]
    pub api_url: Address,
    /// Pacing, age and what to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

fn default_api_url() -> Address {
    Address::from("https://slack.com/api")
}

/// How the channel is reached.
#[derive(Debug, Clone)]
enum Way {
    Webhook(Secret),
    Bot { token: Secret, channel_id: String },
}

impl SlackConfig {
    fn way(&self) -> Option<Way> {
        match (&self.webhook_url, &self.token, &self.channel_id) {
            (Some(url), None, None) => Some(Way::Webhook(url.clone())),
            (None, Some(token), Some(channel_id)) => {
                Some(Way::Bot { token: token.clone(), channel_id: channel_id.clone() })
            }
            _ => None,
        }
    }
}

impl Settings for SlackConfig {
    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn known_limits(&self) -> Vec<Limit> {
        vec![Limit::new(1, 1_200, 0)]
    }

    fn address(&self) -> String {
        match self.way() {
            Some(Way::Webhook(url)) => url.expose().to_owned(),
            Some(Way::Bot { token, channel_id }) => {
                format!("{} {} {channel_id}", self.api_url, token.expose())
            }
            None => String::new(),
        }
    }

    fn sharing(&self) -> Sharing {
        let service = match self.way() {
            Some(Way::Bot { token, .. }) => Some(SharedService {
                key: format!("slack {}", token.expose()),
                limits: vec![Limit::new(20, 1_000, 2)],
                freezes_together: false,
            }),
            _ => None,
        };
        Sharing { service, ..Sharing::default() }
    }

    fn needs_tls(&self) -> bool {
        self.webhook_url
            .as_ref()
            .map_or_else(|| is_https(self.api_url.expose()), |url| is_https(url.expose()))
    }

    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        match self.way() {
            None => found
                .push("set either webhook_url, or token and channel_id, and not both".to_owned()),
            Some(Way::Webhook(url)) => {
                if url.problem().is_none() && !is_web(url.expose()) {
                    found.push(
                        "webhook_url is no address: it has the form https://hooks.slack.com/services/…"
                            .to_owned(),
                    );
                }
            }
            Some(Way::Bot { token, channel_id }) => {
                if token.problem().is_none() && !token.expose().starts_with("xoxb-") {
                    found.push("token is not a bot token, which begins with xoxb-".to_owned());
                }
                let is_id = channel_id.len() > 1
                    && channel_id.starts_with(['C', 'G', 'D'])
                    && channel_id
                        .bytes()
                        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                if !is_id {
                    found.push(format!(
                        "channel_id {channel_id:?} is no id such as C0123456789: see the end of the channel's details"
                    ));
                }
            }
        }
        if !is_web(self.api_url.expose()) {
            found.push(format!("api_url ({}) is no http or https address", self.api_url));
        }
        found
    }

    fn open(&self, clients: &Clients) -> Box<dyn Channel> {
        let way = self.way().unwrap_or_else(|| Way::Webhook(Secret::default()));
        Box::new(Slack { config: self.clone(), way, client: clients.services.clone() })
    }
}

/// One channel of Slack.
#[derive(Debug)]
struct Slack {
    config: SlackConfig,
    way: Way,
    client: Client,
}

#[derive(Deserialize)]
struct ApiReply {
    ok: bool,
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    team: Option<String>,
}

impl Channel for Slack {
    fn capabilities(&self) -> Capabilities {
        let is_bot = matches!(self.way, Way::Bot { .. });
        Capabilities {
            digest_alerts: render::MAX_DIGEST_ALERTS,
            // A webhook does not say which message it made.
            edits: is_bot,
            replies: is_bot,
            ..Capabilities::default()
        }
    }

    fn request(&self, content: &MessageContent<'_>) -> Request {
        let layout = render::layout(content);
        let mut body = json!({
            "text": render::fallback(&layout),
            "unfurl_links": false,
            "unfurl_media": false,
        });
        if content.plain {
            body["text"] = render::plain(&layout).into();
        } else {
            body["blocks"] = render::blocks(&layout);
        }
        if let Way::Bot { channel_id, .. } = &self.way {
            body["channel"] = channel_id.as_str().into();
            match content.place {
                Place::New => {}
                Place::Reply { to, .. } => body["thread_ts"] = to.into(),
                Place::Edit { message_id, .. } => body["ts"] = message_id.into(),
            }
        }
        Request::new(content, body.to_string().into_bytes())
    }

    fn send(&self, request: Request) -> BoxFuture<'_, Reply> {
        async move {
            let is_edit = request.edits.is_some();
            let call = match &self.way {
                Way::Webhook(url) => self.client.post(url.expose()),
                Way::Bot { token, .. } => {
                    let method = if is_edit { "chat.update" } else { "chat.postMessage" };
                    self.client.post(self.method(method)).bearer_auth(token.expose())
                }
            };
            let call = call
                .timeout(self.config.policy.timeout())
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .body(request.body);
            let outcome = match exchange(call).await {
                Ok(answer) => match &self.way {
                    Way::Webhook(_) => webhook_outcome(&answer, request.delivery),
                    Way::Bot { .. } => bot_outcome(&answer, is_edit),
                },
                Err(outcome) => outcome,
            };
            outcome.into()
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<String, String>> {
        self.name().boxed()
    }

    fn takes_digest(&self, alerts: &[Alert], voice: &Voice) -> bool {
        render::takes_digest(alerts, voice)
    }
}

impl Slack {
    fn method(&self, method: &str) -> String {
        format!("{}/{method}", self.config.api_url.expose().trim_end_matches('/'))
    }

    async fn name(&self) -> Result<String, String> {
        let Way::Bot { token, channel_id } = &self.way else {
            return Ok("incoming webhook, which can only be tried with a message".to_owned());
        };
        let call = self.client.post(self.method("auth.test")).bearer_auth(token.expose());
        let answer = exchange(call.timeout(self.config.policy.timeout())).await;
        let answer = answer.map_err(|outcome| format!("{outcome:?}"))?;
        let reply: ApiReply =
            answer.json().ok_or_else(|| format!("answer {} is not of Slack", answer.status))?;
        if !reply.ok {
            return Err(format!("{}: {TOKEN}", reply.error));
        }
        let (user, team) = (reply.user.unwrap_or_default(), reply.team.unwrap_or_default());
        Ok(format!("bot {user} of {team}, channel {channel_id}"))
    }
}

const TOKEN: &str = "take the bot's token from the app's OAuth page and set token";
const WEBHOOK: &str = "make a new incoming webhook and set webhook_url";
const CHANNEL: &str = "invite the bot to the channel, or correct channel_id";

fn wait(answer: &Answer, why: String) -> Outcome {
    let after = answer.retry_after.unwrap_or(DEFAULT_WAIT) + Duration::from_millis(250);
    Outcome::Wait { after, scope: Scope::Destination, why }
}

/// A webhook answers in plain text.
fn webhook_outcome(answer: &Answer, delivery: String) -> Outcome {
    let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
    let status = answer.status;
    let why = format!("{status} {}", text.chars().take(200).collect::<String>());
    if status == StatusCode::TOO_MANY_REQUESTS {
        return wait(answer, why);
    }
    if status.is_success() {
        // It names no message.
        return if text == "ok" {
            Outcome::Sent { message_id: delivery }
        } else {
            Outcome::Uncertain { why: "answer is not of Slack".to_owned() }
        };
    }
    match text.as_str() {
        "invalid_blocks" | "invalid_attachments" | "msg_blocks_too_long" | "invalid_payload" => {
            Outcome::PlainText { why }
        }
        "no_text" | "missing_text_or_fallback_or_attachments" | "too_many_attachments" => {
            Outcome::Refused { why }
        }
        "rollup_error" => Outcome::NotSent { why },
        "no_service"
        | "no_team"
        | "invalid_token"
        | "user_not_found"
        | "channel_not_found"
        | "channel_is_archived"
        | "action_prohibited"
        | "posting_to_general_channel_denied"
        | "no_service_id"
        | "team_disabled"
        | "no_active_hooks" => Outcome::closed(why, WEBHOOK),
        _ => match status.as_u16() {
            403 | 404 | 410 => Outcome::closed(why, WEBHOOK),
            _ => answer.foreign(),
        },
    }
}

fn bot_outcome(answer: &Answer, is_edit: bool) -> Outcome {
    let Some(reply) = answer.json::<ApiReply>() else { return answer.foreign() };
    let why = format!("{} {}", answer.status, reply.error);
    if reply.ok {
        return match reply.ts {
            Some(message_id) => Outcome::Sent { message_id },
            None => Outcome::Uncertain { why: "answer ok without ts".to_owned() },
        };
    }
    match reply.error.as_str() {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => wait(answer, why),
        "message_not_found"
        | "edit_window_closed"
        | "cant_update_message"
        | "thread_not_found"
        | "cannot_reply_to_message"
            if is_edit || reply.error != "cant_update_message" =>
        {
            Outcome::LostAnchor { why }
        }
        "invalid_blocks" | "invalid_blocks_format" | "msg_blocks_too_long" => {
            Outcome::PlainText { why }
        }
        "not_authed"
        | "invalid_auth"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "missing_scope"
        | "not_allowed_token_type"
        | "org_login_required" => Outcome::Closed { why, hint: TOKEN, whole_bot: true },
        "channel_not_found"
        | "not_in_channel"
        | "is_archived"
        | "no_permission"
        | "restricted_action"
        | "restricted_action_read_only_channel"
        | "access_denied"
        | "team_access_not_granted"
        | "ekm_access_denied" => Outcome::closed(why, CHANNEL),
        // By Slack's own words a part of it may have happened.
        "fatal_error" | "internal_error" | "request_timeout" => Outcome::Uncertain { why },
        "service_unavailable" | "team_added_to_org" => Outcome::NotSent { why },
        _ if answer.status == StatusCode::TOO_MANY_REQUESTS => wait(answer, why),
        _ => Outcome::Refused { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            retry_after: Some(Duration::from_secs(30)),
            pause: None,
            is_global: false,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn every_known_answer_of_a_webhook_has_its_meaning() {
        for (status, text, label) in [
            (200, "ok", "sent"),
            (200, "<html>", "uncertain"),
            (400, "invalid_payload", "plain_text"),
            (400, "no_text", "refused"),
            (403, "action_prohibited", "closed"),
            (404, "channel_not_found", "closed"),
            (404, "no_service", "closed"),
            (410, "channel_is_archived", "closed"),
            (429, r#"{"retry_after":1,"ok":false,"error":"rate_limited"}"#, "wait"),
            (500, "rollup_error", "not_sent"),
            (502, "<html>", "uncertain"),
        ] {
            let outcome = webhook_outcome(&answer(status, text), "d".to_owned());
            assert_eq!(outcome.label(), label, "{status} {text}");
        }
    }

    #[test]
    fn every_known_answer_to_a_bot_has_its_meaning() {
        for (error, label) in [
            ("ratelimited", "wait"),
            ("message_not_found", "lost_anchor"),
            ("edit_window_closed", "lost_anchor"),
            ("invalid_blocks", "plain_text"),
            ("invalid_auth", "closed"),
            ("not_in_channel", "closed"),
            ("msg_too_long", "refused"),
            ("fatal_error", "uncertain"),
            ("something_new", "refused"),
        ] {
            let body = json!({ "ok": false, "error": error }).to_string();
            assert_eq!(bot_outcome(&answer(200, &body), true).label(), label, "{error}");
        }
        let sent = bot_outcome(&answer(200, r#"{"ok":true,"ts":"1.2"}"#), false);
        assert_eq!(sent, Outcome::Sent { message_id: "1.2".to_owned() });
    }
}
