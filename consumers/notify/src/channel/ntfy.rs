//! ntfy: a message published to a topic, at ntfy.sh or a server of one's own.

use std::time::Duration;

use crypto_intel_schemas::{Alert, Severity};
use crypto_intel_service::{Address, Secret};
use futures::future::{BoxFuture, FutureExt as _};
use reqwest::{Client, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Capabilities, Channel, Clients, HiddenName, MessageContent, Outcome, Reply, Request, Scope,
    Settings, SharedService, Sharing,
    http::{Answer, ask, attempt, is_https, is_web, post_json},
};
use crate::{
    config::{Limit, Policy},
    render::{Voice, ntfy as render},
};

/// A server refills its visitors' requests one every five seconds.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);
/// A visitor of ntfy.sh has 60 requests, refilled one every five seconds.
const VISITOR_LIMIT: Limit = Limit::new(55, 300_000, 10);
const MAX_TOPIC: usize = 64;

/// A topic of ntfy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NtfyConfig {
    /// The topic. Without access control its name is all that protects it: choose one that cannot be guessed.
    pub topic: Secret,
    /// The server.
    #[serde(default = "default_server")]
    pub server: Address,
    /// Access token, `tk_…`, for a topic that not everybody may write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Pacing, age and what to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

fn default_server() -> Address {
    Address::from("https://ntfy.sh")
}

impl Settings for NtfyConfig {
    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn known_limits(&self) -> Vec<Limit> {
        vec![VISITOR_LIMIT]
    }

    fn address(&self) -> String {
        let token = self.token.as_ref().map_or("", Secret::expose);
        format!("{} {} {token}", self.server, self.topic.expose())
    }

    fn sharing(&self) -> Sharing {
        let configured = &self.policy.limits;
        let limits = if configured.is_empty() { self.known_limits() } else { configured.clone() };
        // A visitor is an address or an account, whatever the topic.
        let visitor = SharedService {
            key: HiddenName::new(format!("ntfy {}", self.server)),
            limits,
            freezes_together: false,
        };
        Sharing { service: Some(visitor), ..Sharing::default() }
    }

    fn needs_tls(&self) -> bool {
        is_https(self.server.expose())
    }

    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let topic = self.topic.expose();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_topic = !topic.is_empty() && topic.len() <= MAX_TOPIC && topic.bytes().all(plain);
        if self.topic.problem().is_none() && !is_topic {
            found.push("topic may have 1 to 64 letters, digits, - and _".to_owned());
        }
        if !is_web(self.server.expose()) {
            found.push(format!("server ({}) is no http or https address", self.server));
        }
        found
    }

    fn open(&self, clients: &Clients) -> Box<dyn Channel> {
        Box::new(Ntfy { config: self.clone(), client: clients.services.clone() })
    }
}

/// One topic.
#[derive(Debug)]
struct Ntfy {
    config: NtfyConfig,
    client: Client,
}

#[derive(Deserialize)]
struct Refusal {
    code: u64,
    error: String,
}

impl Channel for Ntfy {
    fn capabilities(&self) -> Capabilities {
        Capabilities { digest_alerts: render::MAX_DIGEST_ALERTS, ..Capabilities::default() }
    }

    fn request(&self, content: &MessageContent<'_>) -> Request {
        let layout = render::layout(content);
        let severity = content.alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
        let priority = match severity {
            _ if layout.silent => 2,
            Severity::Info => 3,
            Severity::Warning => 4,
            Severity::Critical => 5,
        };
        let mut body = json!({
            "topic": self.config.topic.expose(),
            "title": render::title(&layout),
            "message": render::message(&layout),
            "priority": priority,
        });
        if let Some(url) = render::click(&layout) {
            body["click"] = url.into();
        }
        Request::new(content, body.to_string().into_bytes())
    }

    fn send(&self, request: Request) -> BoxFuture<'_, Reply> {
        async move {
            let call = self.client.post(self.config.server.expose());
            let mut call = post_json(call, &self.config.policy, request.body);
            if let Some(token) = &self.config.token {
                call = call.bearer_auth(token.expose());
            }
            attempt(call, outcome).await.into()
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<String, String>> {
        self.health().boxed()
    }

    fn takes_digest(&self, alerts: &[Alert], voice: &Voice) -> bool {
        render::takes_digest(alerts, voice)
    }
}

impl Ntfy {
    async fn health(&self) -> Result<String, String> {
        let server = &self.config.server;
        let url = format!("{}/v1/health", server.expose().trim_end_matches('/'));
        let answer = ask(self.client.get(url), &self.config.policy).await?;
        match answer.json::<Value>().and_then(|health| health.get("healthy")?.as_bool()) {
            Some(true) => Ok(format!("a topic at {server}, which is healthy")),
            Some(false) => Err(format!("{server} says that it is not healthy")),
            None => Err(format!("answer {} of {server} is not of ntfy", answer.status)),
        }
    }
}

fn outcome(answer: &Answer) -> Outcome {
    if answer.status.is_success() {
        let id =
            answer.json::<Value>().and_then(|reply| reply.get("id")?.as_str().map(str::to_owned));
        return match id {
            Some(message_id) => Outcome::Sent { message_id },
            None => Outcome::Uncertain { why: "answer without a message id".to_owned() },
        };
    }
    let Some(refusal) = answer.json::<Refusal>() else { return answer.foreign() };
    let why = format!("{} {} ({})", answer.status, refusal.error, refusal.code);
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => {
            // It counts the address, whatever the topic.
            Outcome::wait(answer.wait_or(DEFAULT_WAIT), Scope::Service, why)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Outcome::closed(why, "set a token that may write to the topic")
        }
        StatusCode::NOT_FOUND => Outcome::closed(why, "correct server and topic"),
        status if status.is_server_error() => Outcome::NotSent { why },
        _ => Outcome::Refused { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_answer_has_its_meaning() {
        for (status, body, label) in [
            (200, r#"{"id":"x1","event":"message"}"#, "sent"),
            (200, "<html>", "uncertain"),
            (
                400,
                r#"{"code":40009,"http":400,"error":"invalid request: topic invalid"}"#,
                "refused",
            ),
            (401, r#"{"code":40101,"http":401,"error":"unauthorized"}"#, "closed"),
            (403, r#"{"code":40301,"http":403,"error":"forbidden"}"#, "closed"),
            (
                429,
                r#"{"code":42901,"http":429,"error":"limit reached: too many requests"}"#,
                "wait",
            ),
            (507, r#"{"code":50701,"http":507,"error":"cannot publish"}"#, "not_sent"),
            (502, "<html>", "uncertain"),
        ] {
            assert_eq!(outcome(&Answer::of(status, body)).label(), label, "{status} {body}");
        }
    }
}
