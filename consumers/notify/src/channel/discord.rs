//! Discord's webhooks, with `wait=true`, without which a lost message is no error.

use std::time::Duration;

use reqwest::{
    Client,
    header::{CONTENT_TYPE, USER_AGENT},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Body, MessageContent, Outcome, Reply, Scope,
    http::{Answer, DEFAULT_WAIT, describe, exchange, wait_seconds},
    layout,
};
use crate::{config::DiscordConfig, render::discord as render};

/// Lines of one digest that fit 2,000 units with titles of [`DIGEST_TITLE_UNITS`], all escaped.
pub(crate) const MAX_DIGEST_ALERTS: usize = 12;
pub(crate) const DIGEST_TITLE_UNITS: usize = 40;
/// Discord rejects clients that do not identify themselves in this form.
const AGENT: &str = concat!("DiscordBot (crypto-intel, ", env!("CARGO_PKG_VERSION"), ")");
const SUPPRESS_EMBEDS: u32 = 1 << 2;
const SUPPRESS_NOTIFICATIONS: u32 = 1 << 12;

/// One webhook.
#[derive(Debug)]
pub(crate) struct Discord {
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

impl Discord {
    pub(crate) fn new(config: DiscordConfig, client: Client) -> Self {
        Self { config, client }
    }

    pub(crate) fn body(&self, content: &MessageContent<'_>) -> Body {
        let layout = layout(content, DIGEST_TITLE_UNITS);
        let silent = if layout.silent { SUPPRESS_NOTIFICATIONS } else { 0 };
        let body = json!({
            "content": render::markdown(&layout, !content.plain),
            "allowed_mentions": { "parse": [] },
            "flags": SUPPRESS_EMBEDS | silent,
        });
        Body(body.to_string().into_bytes())
    }

    pub(crate) async fn send(&self, body: Body) -> Reply {
        let mut request = self
            .client
            .post(self.config.webhook_url.expose())
            .query(&[("wait", "true")])
            .timeout(self.config.policy.timeout())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json")
            .body(body.0);
        if let Some(thread) = self.config.thread_id {
            request = request.query(&[("thread_id", thread)]);
        }
        match exchange(request).await {
            Ok(answer) => Reply { outcome: outcome(&answer), pause: answer.pause },
            Err(outcome) => outcome.into(),
        }
    }

    /// The number of the channel that the webhook writes to: all its webhooks share a limit.
    pub(crate) async fn channel_id(&self) -> Option<String> {
        let request = self
            .client
            .get(self.config.webhook_url.expose())
            .timeout(self.config.policy.timeout())
            .header(USER_AGENT, AGENT);
        let answer = exchange(request).await.ok().filter(|answer| answer.status.is_success())?;
        Some(answer.json::<Value>()?.get("channel_id")?.as_str()?.to_owned())
    }

    /// The webhook's name, or what is wrong.
    pub(crate) async fn check(&self) -> Result<String, String> {
        let request = self
            .client
            .get(self.config.webhook_url.expose())
            .timeout(self.config.policy.timeout())
            .header(USER_AGENT, AGENT);
        let response = request.send().await.map_err(describe)?;
        let status = response.status();
        let answer: Value = response
            .json()
            .await
            .map_err(|_| format!("answer {status} is not of a Discord webhook"))?;
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

fn outcome(answer: &Answer) -> Outcome {
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
        Some(refusal) => refused(answer, refusal),
        None => answer.foreign(),
    }
}

fn refused(answer: &Answer, refusal: Refusal) -> Outcome {
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
            Outcome::Wait { after, scope, why }
        }
        (_, 200_000 | 200_001) => Outcome::PlainText { why },
        (_, 50_083) => closed(why, "open the thread again, or correct thread_id"),
        (_, 10_003) => closed(why, "correct thread_id, or make a new webhook and set webhook_url"),
        (_, 50_001 | 50_013) | (403, _) => {
            closed(why, "let the webhook write to its channel again")
        }
        (401 | 404, _) | (_, 10_015 | 50_027) => {
            closed(why, "make a new webhook and set webhook_url")
        }
        // An error of the service in its own format: it did not accept the message.
        (500.., _) => Outcome::NotSent { why },
        _ => Outcome::Refused { why },
    }
}

const fn closed(why: String, hint: &'static str) -> Outcome {
    Outcome::Closed { why, hint, whole_bot: false }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn meant(status: u16, body: &str) -> Outcome {
        outcome(&Answer {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            retry_after: Some(Duration::from_secs(65)),
            pause: None,
            is_global: false,
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn waits_as_exactly_as_the_body_says() {
        let Outcome::Wait { after, .. } = meant(
            429,
            r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#,
        ) else {
            panic!("must wait")
        };
        assert!((after.as_secs_f64() - 64.82).abs() < 0.001, "{after:?}");
        let Outcome::Wait { after, .. } = meant(429, "error code: 1015") else {
            panic!("must wait")
        };
        assert_eq!(after, Duration::from_secs(65), "a proxy says it in the header only");
    }

    #[test]
    fn every_known_refusal_has_its_meaning() {
        for (status, code, label) in [
            (404, 10_015, "closed"),
            (401, 50_027, "closed"),
            (403, 50_013, "closed"),
            (400, 50_035, "refused"),
            (400, 50_006, "refused"),
            (400, 200_000, "plain_text"),
            (503, 130_000, "wait"),
            (500, 0, "not_sent"),
        ] {
            let body = json!({ "message": "no", "code": code }).to_string();
            assert_eq!(meant(status, &body).label(), label, "{status} {code}");
        }
        assert_eq!(meant(502, "<html>").label(), "uncertain");
        assert_eq!(meant(200, r#"{"id":"9"}"#), Outcome::Sent { message_id: "9".to_owned() });
        assert_eq!(meant(204, "").label(), "uncertain");
    }
}
