//! PagerDuty's Events API v2: an alert is an incident, found again by its `dedup_key`.

use std::time::Duration;

use crypto_intel_schemas::AlertState;
use crypto_intel_service::{Address, Secret};
use futures::future::{BoxFuture, FutureExt as _, ready};
use reqwest::{Client, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Capabilities, Channel, Clients, MessageContent, Outcome, Reply, Request, Scope, Settings,
    Sharing,
    http::{Answer, attempt, is_https, is_web, post_json},
};
use crate::{
    config::{Limit, Policy},
    render::pagerduty as render,
};

/// It does not say for how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
const ROUTING_KEY_LENGTH: usize = 32;

/// A service of PagerDuty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerdutyConfig {
    /// The integration key of the service's integration "Events API v2": 32 characters.
    pub routing_key: Secret,
    /// The Events API; `https://events.eu.pagerduty.com` for accounts in Europe.
    #[serde(default = "default_api_url")]
    pub api_url: Address,
    /// Pacing, age and what to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

fn default_api_url() -> Address {
    Address::from("https://events.pagerduty.com")
}

impl Settings for PagerdutyConfig {
    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn known_limits(&self) -> Vec<Limit> {
        vec![Limit::new(110, 60_000, 20)]
    }

    fn address(&self) -> String {
        format!("{} {}", self.api_url, self.routing_key.expose())
    }

    fn sharing(&self) -> Sharing {
        Sharing::default()
    }

    fn has_incidents(&self) -> bool {
        true
    }

    fn needs_tls(&self) -> bool {
        is_https(self.api_url.expose())
    }

    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let key = self.routing_key.expose();
        let is_key =
            key.len() == ROUTING_KEY_LENGTH && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if self.routing_key.problem().is_none() && !is_key {
            found.push(
                "routing_key is no integration key of 32 characters: add the integration Events API v2 to the service"
                    .to_owned(),
            );
        }
        if !is_web(self.api_url.expose()) {
            found.push(format!("api_url ({}) is no http or https address", self.api_url));
        }
        found
    }

    fn open(&self, clients: &Clients) -> Box<dyn Channel> {
        Box::new(Pagerduty { config: self.clone(), client: clients.services.clone() })
    }
}

/// One service.
#[derive(Debug)]
struct Pagerduty {
    config: PagerdutyConfig,
    client: Client,
}

#[derive(Deserialize)]
struct EventReply {
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    dedup_key: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
}

impl Channel for Pagerduty {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            digest_alerts: 1,
            is_idempotent: true,
            has_incidents: true,
            ..Capabilities::default()
        }
    }

    fn request(&self, content: &MessageContent<'_>) -> Request {
        let alert = &content.own.alert;
        let key = render::dedup_key(alert);
        // What is not true any more gets no person out of bed.
        let is_over = alert.state == AlertState::Resolved || content.is_gone;
        let action = match (content.is_acknowledgement, is_over) {
            (true, _) => "acknowledge",
            (false, true) => "resolve",
            (false, false) => "trigger",
        };
        let mut body = json!({
            "routing_key": self.config.routing_key.expose(),
            "event_action": action,
            "dedup_key": key,
        });
        if action == "trigger" {
            body["payload"] = render::payload(content);
            body["links"] = render::links(alert);
            body["client"] = "crypto-intel".into();
        }
        Request::new(content, body.to_string().into_bytes())
    }

    fn send(&self, request: Request) -> BoxFuture<'_, Reply> {
        async move {
            let url = format!("{}/v2/enqueue", self.config.api_url.expose().trim_end_matches('/'));
            let call = post_json(self.client.post(url), &self.config.policy, request.body);
            attempt(call, outcome).await.into()
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<String, String>> {
        ready(Ok("an integration key, which can only be tried with an incident".to_owned())).boxed()
    }
}

fn outcome(answer: &Answer) -> Outcome {
    let reply = answer.json::<EventReply>();
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        let why = format!("{} too many events", answer.status);
        return Outcome::wait(answer.wait_or(DEFAULT_WAIT), Scope::Destination, why);
    }
    let Some(reply) = reply else { return answer.foreign() };
    if answer.status.is_success() && reply.status == "success" {
        return match reply.dedup_key {
            Some(message_id) => Outcome::Sent { message_id },
            None => Outcome::Uncertain { why: "answer without dedup_key".to_owned() },
        };
    }
    let why = format!("{} {}: {}", answer.status, reply.message, reply.errors.join("; "));
    match answer.status.as_u16() {
        400 if reply.errors.iter().any(|error| error.contains("routing_key")) => {
            Outcome::closed(why, KEY)
        }
        401..=404 => Outcome::closed(why, KEY),
        500.. => Outcome::NotSent { why },
        _ => Outcome::Refused { why },
    }
}

const KEY: &str = "set routing_key to the integration key of the service";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_answer_has_its_meaning() {
        for (status, body, label) in [
            (202, r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#, "sent"),
            (202, "<html>", "uncertain"),
            (
                400,
                r#"{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is missing or blank"]}"#,
                "refused",
            ),
            (
                400,
                r#"{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}"#,
                "closed",
            ),
            (429, "", "wait"),
            (500, r#"{"status":"error","message":"internal"}"#, "not_sent"),
            (502, "<html>", "uncertain"),
        ] {
            assert_eq!(outcome(&Answer::of(status, body)).label(), label, "{status} {body}");
        }
    }
}
