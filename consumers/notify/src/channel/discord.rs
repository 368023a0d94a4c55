//! Discord's webhooks, with `wait=true`, without which a lost message is no error.

use std::time::Duration;

use crypto_intel_schemas::Alert;
use crypto_intel_service::Secret;
use futures::future::{BoxFuture, FutureExt as _};
use reqwest::{Client, header::USER_AGENT};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Capabilities, Channel, Clients, DEFAULT_WAIT, HiddenName, MessageContent, Outcome, Place,
    Reply, Request, Scope, Settings, SharedService, Sharing,
    http::{Answer, ask, exchange, is_https, is_web, post_request, wait_seconds},
    multipart::Form,
};
use crate::{
    config::{Limit, Policy},
    render::{Voice, discord as render},
};

/// Discord rejects clients that do not identify themselves in this form.
const AGENT: &str = concat!("DiscordBot (crypto-intel, ", env!("CARGO_PKG_VERSION"), ")");
/// Name of the picture in its message.
const PICTURE: &str = "chart.png";
const SUPPRESS_EMBEDS: u32 = 1 << 2;
const SUPPRESS_NOTIFICATIONS: u32 = 1 << 12;
/// All webhooks of a channel together; not documented.
const CHANNEL_LIMIT: Limit = Limit::new(25, 60_000, 2);
/// From one IP address Discord accepts 50 requests a second.
const ADDRESS_LIMIT: Limit = Limit::new(45, 1_000, 0);

/// A webhook of a Discord channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscordConfig {
    /// The webhook's address as Discord shows it: `https://discord.com/api/webhooks/<id>/<token>`.
    pub webhook_url: Secret,
    /// Thread or forum post to write to, if not the channel itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<u64>,
    /// Pacing, age and what to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

impl Settings for DiscordConfig {
    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn known_limits(&self) -> Vec<Limit> {
        vec![Limit::new(4, 2_000, 0), CHANNEL_LIMIT]
    }

    fn address(&self) -> String {
        format!("{} {:?}", self.webhook_url.expose(), self.thread_id)
    }

    fn sharing(&self) -> Sharing {
        // Our IP address, for all webhooks.
        let address = SharedService {
            key: HiddenName::new("discord".to_owned()),
            limits: vec![ADDRESS_LIMIT],
            freezes_together: false,
        };
        // All threads of a webhook share its limits.
        let own = Some(HiddenName::new(format!("hook {}", self.webhook_url.expose())));
        Sharing { own, service: Some(address), room_limits: vec![CHANNEL_LIMIT] }
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn needs_tls(&self) -> bool {
        is_https(self.webhook_url.expose())
    }

    fn problems(&self) -> Vec<String> {
        // The address holds the webhook's token: it is never shown.
        if self.webhook_url.problem().is_some() {
            return Vec::new();
        }
        let address = self.webhook_url.expose();
        let well_formed = reqwest::Url::parse(address).is_ok_and(|url| {
            let path: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
            let position = path.iter().position(|part| *part == "webhooks");
            is_web(address) && position.is_some_and(|position| path.len() == position + 3)
        });
        if well_formed {
            return Vec::new();
        }
        vec![
            "webhook_url is no webhook address: it has the form https://discord.com/api/webhooks/<id>/<token>"
                .to_owned(),
        ]
    }

    fn open(&self, clients: &Clients) -> Box<dyn Channel> {
        Box::new(Discord { config: self.clone(), client: clients.services.clone() })
    }
}

/// One webhook.
#[derive(Debug)]
struct Discord {
    config: DiscordConfig,
    client: Client,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    code: i64,
    #[serde(default)]
    retry_after: Option<f64>,
    #[serde(default)]
    global: bool,
    #[serde(default)]
    errors: Value,
}

impl Channel for Discord {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            digest_alerts: render::MAX_DIGEST_ALERTS,
            edits: true,
            has_rooms: true,
            ..Capabilities::default()
        }
    }

    fn request(&self, content: &MessageContent<'_>) -> Request {
        let layout = render::layout(content);
        let mut body = json!({ "allowed_mentions": { "parse": [] } });
        let mut flags = 0;
        if content.plain {
            body["content"] = render::markdown(&layout, false).into();
            body["embeds"] = json!([]);
            flags |= SUPPRESS_EMBEDS;
        } else {
            body["content"] = render::headline(&layout).into();
            let mut embed = render::embed(&layout, content);
            let keeps_picture = matches!(content.place, Place::Edit { has_picture: true, .. });
            if content.picture.is_some() || keeps_picture {
                embed["image"] = json!({ "url": format!("attachment://{PICTURE}") });
            }
            body["embeds"] = json!([embed]);
        }
        let is_edit = matches!(content.place, Place::Edit { .. });
        // An edit rings for no one. That it may have embeds has to be said: a first message may have said otherwise.
        if layout.silent && !is_edit {
            flags |= SUPPRESS_NOTIFICATIONS;
        }
        body["flags"] = flags.into();
        if let Some(picture) = content.picture {
            // A change that names no attachments keeps them.
            body["attachments"] = json!([{ "id": 0, "filename": PICTURE }]);
            let mut form = Form::default();
            form.json("payload_json", body.to_string().as_bytes());
            form.png("files[0]", PICTURE, picture);
            return Request::with_picture(content, form);
        }
        Request::new(content, body.to_string().into_bytes())
    }

    fn send(&self, request: Request) -> BoxFuture<'_, Reply> {
        async move {
            let base = match &request.edits {
                Some(message_id) => self.client.patch(self.message_address(message_id)),
                None => self.client.post(self.config.webhook_url.expose()),
            };
            let (is_edit, brings_picture) =
                (request.edits.is_some(), request.content_type.is_some());
            let mut call = post_request(base, &self.config.policy, request)
                .header(USER_AGENT, AGENT)
                .query(&[("wait", "true")]);
            if let Some(thread) = self.config.thread_id {
                call = call.query(&[("thread_id", thread)]);
            }
            match exchange(call).await {
                Ok(answer) => {
                    let outcome = match picture_refusal(&answer, brings_picture) {
                        Some(why) => Outcome::PlainText { why },
                        None => outcome(&answer, is_edit),
                    };
                    Reply { outcome, pause: answer.pause }
                }
                Err(outcome) => outcome.into(),
            }
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<String, String>> {
        self.name().boxed()
    }

    fn takes_digest(&self, alerts: &[Alert], voice: &Voice) -> bool {
        render::takes_digest(alerts, voice)
    }

    fn find_room(&self) -> BoxFuture<'_, Option<String>> {
        self.channel_id().boxed()
    }
}

impl Discord {
    /// What the webhook says of itself.
    async fn ask(&self) -> Result<Answer, String> {
        let request = self.client.get(self.config.webhook_url.expose()).header(USER_AGENT, AGENT);
        ask(request, &self.config.policy).await
    }

    fn message_address(&self, message_id: &str) -> String {
        let base = self.config.webhook_url.expose().trim_end_matches('/');
        format!("{base}/messages/{message_id}")
    }

    /// The number of the channel that the webhook writes to: all its webhooks share a limit.
    async fn channel_id(&self) -> Option<String> {
        let answer = self.ask().await.ok().filter(|answer| answer.status.is_success())?;
        Some(answer.json::<Value>()?.get("channel_id")?.as_str()?.to_owned())
    }

    /// The webhook's name, or what is wrong.
    async fn name(&self) -> Result<String, String> {
        let reply = self.ask().await?;
        let status = reply.status;
        let answer: Value =
            reply.json().ok_or_else(|| format!("answer {status} is not of a Discord webhook"))?;
        if !status.is_success() {
            return Err(match status.as_u16() {
                401 | 404 => "the webhook does not exist: make one and set webhook_url".to_owned(),
                _ => format!("{status}: {}", answer["message"].as_str().unwrap_or("no reason")),
            });
        }
        let name = answer["name"].as_str().unwrap_or("unnamed");
        let channel = answer["channel_id"].as_str().unwrap_or("unknown");
        Ok(format!("webhook {name:?} of channel {channel}"))
    }
}

/// Why a message is refused for its picture: too large, or the webhook may not attach files. Its text goes alone then.
fn picture_refusal(answer: &Answer, brings_picture: bool) -> Option<String> {
    let status = answer.status.as_u16();
    if !brings_picture || !(status == 413 || status == 400) {
        return None;
    }
    let refusal: Option<Refusal> = answer.json();
    let is_of_file = refusal.as_ref().is_some_and(|refusal| {
        refusal.code == 40_005 || refusal.errors.get("attachments").is_some()
    });
    (status == 413 || is_of_file).then(|| {
        let message = refusal.map_or_else(String::new, |refusal| refusal.message);
        format!("{status} {message}: the picture is refused")
    })
}

fn outcome(answer: &Answer, is_edit: bool) -> Outcome {
    if answer.status.is_success() {
        let message_id = answer
            .json::<Value>()
            .and_then(|message| message.get("id")?.as_str().map(ToOwned::to_owned));
        return match message_id {
            Some(message_id) => Outcome::Sent { message_id },
            None => Outcome::Uncertain { why: "answer without a message id".to_owned() },
        };
    }
    match answer.json::<Refusal>() {
        Some(refusal) => refused(answer, refusal, is_edit),
        None => answer.foreign(),
    }
}

fn refused(answer: &Answer, refusal: Refusal, is_edit: bool) -> Outcome {
    let status = answer.status.as_u16();
    let mut why = format!("{status} {} ({})", refusal.message, refusal.code);
    if !refusal.errors.is_null() {
        why.push_str(&format!(": {}", refusal.errors));
    }
    let after = refusal.retry_after.map(wait_seconds).or(answer.retry_after);
    match (status, refusal.code) {
        (429, _) | (_, 130_000 | 40_062 | 20_028 | 20_029 | 20_016) => {
            let after = after.unwrap_or(DEFAULT_WAIT) + Duration::from_millis(250);
            let is_global = refusal.global || answer.is_global;
            let scope = if is_global { Scope::Service } else { Scope::Destination };
            Outcome::wait(after, scope, why)
        }
        // Unknown message; too many edits of an old one.
        (_, 10_008 | 30_046) if is_edit => Outcome::LostAnchor { why },
        (_, 200_000 | 200_001) => Outcome::PlainText { why },
        (_, 50_083) => Outcome::closed(why, "open the thread again, or correct thread_id"),
        (_, 10_003) => {
            Outcome::closed(why, "correct thread_id, or make a new webhook and set webhook_url")
        }
        (_, 50_001 | 50_013) | (403, _) => {
            Outcome::closed(why, "let the webhook write to its channel again")
        }
        (401 | 404, _) | (_, 10_015 | 50_027) => {
            Outcome::closed(why, "make a new webhook and set webhook_url")
        }
        // An error of the service in its own format: it did not accept the message.
        (500.., _) => Outcome::NotSent { why },
        _ => Outcome::Refused { why },
    }
}

#[cfg(test)]
mod tests;
