//! Slack: an incoming webhook, or a bot with `chat.postMessage` and `chat.update`.

mod answers;

use crypto_intel_schemas::Alert;
use crypto_intel_service::{Address, Secret};
use futures::future::{BoxFuture, FutureExt as _};
use reqwest::Client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::answers::{TOKEN, bot_outcome, webhook_outcome};
use super::{
    Capabilities, Channel, Clients, HiddenName, MessageContent, Place, Reply, Request, Settings,
    SharedService, Sharing,
    http::{Answer, ask, attempt, is_https, is_web, post_json},
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
                key: HiddenName::new(format!("slack {}", token.expose())),
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
            let call = post_json(call, &self.config.policy, request.body);
            let meaning = |answer: &Answer| match &self.way {
                Way::Webhook(_) => webhook_outcome(answer, request.delivery),
                Way::Bot { .. } => bot_outcome(answer, is_edit),
            };
            attempt(call, meaning).await.into()
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
        let answer = ask(call, &self.config.policy).await?;
        let reply: ApiReply =
            answer.json().ok_or_else(|| format!("answer {} is not of Slack", answer.status))?;
        if !reply.ok {
            return Err(format!("{}: {TOKEN}", reply.error));
        }
        let (user, team) = (reply.user.unwrap_or_default(), reply.team.unwrap_or_default());
        Ok(format!("bot {user} of {team}, channel {channel_id}"))
    }
}
