//! Any receiver: the notification as JSON, signed as Standard Webhooks has it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto_intel_service::{OutboundGuard, Secret, error_chain};
use futures::future::{BoxFuture, FutureExt as _, ready};
use hmac::{Hmac, Mac as _};
use reqwest::{Client, StatusCode, Url, header::USER_AGENT};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{
    Capabilities, Channel, Clients, DEFAULT_WAIT, MessageContent, Outcome, Reply, Request, Scope,
    Settings, Sharing,
    http::{Answer, attempt, is_https, is_web, post_json},
};
use crate::{
    config::{Limit, Policy},
    render::webhook as render,
};

const AGENT: &str = concat!("crypto-intel/", env!("CARGO_PKG_VERSION"));
/// How long a secret is, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const SECRET_PREFIX: &str = "whsec_";

/// A receiver of signed requests, by the rules of Standard Webhooks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Address that each notification is posted to.
    pub url: Secret,
    /// What requests are signed with, as `whsec_…` (base64 of 24 to 64 bytes). Several, separated by spaces or line
    /// breaks, sign each request: so a secret is replaced without a gap.
    pub secret: Secret,
    /// Whether the receiver may have a private address; otherwise only the internet is called.
    #[serde(default)]
    pub allow_private: bool,
    /// Pacing, age and what to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

impl WebhookConfig {
    /// The secrets as bytes, or what is wrong with one.
    fn keys(&self) -> Result<Vec<Vec<u8>>, &'static str> {
        let mut keys = Vec::new();
        for text in self.secret.expose().split_whitespace() {
            let encoded = text.strip_prefix(SECRET_PREFIX).ok_or("does not begin with whsec_")?;
            let key = STANDARD.decode(encoded).map_err(|_| "is not base64 after whsec_")?;
            if !SECRET_BYTES.contains(&key.len()) {
                return Err("has not 24 to 64 bytes");
            }
            keys.push(key);
        }
        if keys.is_empty() { Err("is missing") } else { Ok(keys) }
    }

    /// What a request is signed with, by each secret, or what is wrong with one: nothing is sent unsigned.
    fn signatures(&self, request: &Request, seconds: u64) -> Result<String, &'static str> {
        let keys = self.keys()?;
        let all = keys.iter().map(|key| signature(key, &request.delivery, seconds, &request.body));
        Ok(all.collect::<Result<Vec<_>, _>>()?.join(" "))
    }

    fn guard(&self) -> OutboundGuard {
        let url = Url::parse(self.url.expose()).ok();
        let host = url.as_ref().and_then(Url::host_str).filter(|_| self.allow_private);
        OutboundGuard::new(host.map(str::to_owned))
    }
}

impl Settings for WebhookConfig {
    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn known_limits(&self) -> Vec<Limit> {
        vec![Limit::new(10, 1_000, 2)]
    }

    fn address(&self) -> String {
        self.url.expose().to_owned()
    }

    fn sharing(&self) -> Sharing {
        Sharing::default()
    }

    fn needs_tls(&self) -> bool {
        is_https(self.url.expose())
    }

    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.url.problem().is_none() && !is_web(self.url.expose()) {
            found.push("url is no http or https address".to_owned());
        }
        if self.secret.problem().is_none()
            && let Err(why) = self.keys()
        {
            found.push(format!(
                "secret {why}: make one with `echo whsec_$(openssl rand -base64 32)`"
            ));
        }
        found
    }

    fn open(&self, clients: &Clients) -> Box<dyn Channel> {
        let guard = self.guard();
        let client = clients.guarded(&guard).map_err(|error| error_chain(&error));
        Box::new(Webhook { config: self.clone(), client, guard })
    }
}

/// One receiver. Without a client that keeps to the guard, and without a key, nothing is sent.
#[derive(Debug)]
struct Webhook {
    config: WebhookConfig,
    client: Result<Client, String>,
    guard: OutboundGuard,
}

impl Channel for Webhook {
    fn capabilities(&self) -> Capabilities {
        Capabilities { digest_alerts: 1, is_idempotent: true, ..Capabilities::default() }
    }

    fn request(&self, content: &MessageContent<'_>) -> Request {
        Request::new(content, render::json(content.own))
    }

    fn send(&self, request: Request) -> BoxFuture<'_, Reply> {
        async move { self.post(request).await.into() }.boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<String, String>> {
        let result = self.host().map(|host| format!("receiver at {host}, not called"));
        ready(result).boxed()
    }
}

impl Webhook {
    fn host(&self) -> Result<String, String> {
        let url = Url::parse(self.config.url.expose()).map_err(|_| "url is no address")?;
        let host = url.host_str().unwrap_or_default().to_owned();
        self.guard.check_host(&host).map_err(|refused| refused.to_string())?;
        Ok(host)
    }

    async fn post(&self, request: Request) -> Outcome {
        if let Err(why) = self.host() {
            return private(why);
        }
        let client = match &self.client {
            Ok(client) => client,
            Err(why) => {
                let why = format!("no HTTP client: {why}");
                return Outcome::closed(why, "install ca-certificates, then restart notify");
            }
        };
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let signatures = match self.config.signatures(&request, seconds) {
            Ok(signatures) => signatures,
            Err(why) => {
                return Outcome::closed(format!("secret {why}"), "correct secret");
            }
        };
        let call =
            post_json(client.post(self.config.url.expose()), &self.config.policy, request.body)
                .header(USER_AGENT, AGENT)
                .header("webhook-id", &request.delivery)
                .header("webhook-timestamp", seconds)
                .header("webhook-signature", signatures);
        match attempt(call, |answer| outcome(answer, request.delivery)).await {
            Outcome::NotSent { why } if why.contains(NOT_OF_THE_INTERNET) => private(why),
            // The id makes a repetition harmless.
            outcome => outcome,
        }
    }
}

/// What the guard's refusal says.
const NOT_OF_THE_INTERNET: &str = "not an address of the internet";

fn private(why: String) -> Outcome {
    Outcome::closed(why, "correct url, or set allow_private for a receiver inside")
}

/// `v1,…` over id, time of the attempt and body.
fn signature(key: &[u8], id: &str, seconds: u64, body: &[u8]) -> Result<String, &'static str> {
    let hmac = Hmac::<Sha256>::new_from_slice(key);
    let mut hmac = hmac.map_err(|_| "has not 24 to 64 bytes")?;
    hmac.update(format!("{id}.{seconds}.").as_bytes());
    hmac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes())))
}

fn outcome(answer: &Answer, delivery: String) -> Outcome {
    let status = answer.status;
    let why = format!("the receiver answers {status}");
    if status.is_success() {
        return Outcome::Sent { message_id: delivery };
    }
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let after = answer.wait_or(DEFAULT_WAIT).min(MAX_WAIT);
            Outcome::wait(after, Scope::Destination, why)
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::CONFLICT => {
            Outcome::NotSent { why }
        }
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused { why },
        status if status.is_redirection() => {
            Outcome::closed(why, "set url to where the receiver is: redirects are not followed")
        }
        status if status.is_client_error() => {
            Outcome::closed(why, "let the receiver take POST requests at url, or correct url")
        }
        _ => Outcome::NotSent { why },
    }
}

/// A receiver's own wish is believed for this long.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn requests_are_signed_as_the_reference_does() {
        let key = STANDARD.decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            signature(&key, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).unwrap(),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn secrets_are_checked_and_never_shown() {
        let config = |secret: &str| -> WebhookConfig {
            toml::from_str(&format!("url = \"https://a/b\"\nsecret = \"{secret}\"")).unwrap()
        };
        let good = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        assert!(config(&format!("{good} {good}")).problems().is_empty());
        assert_eq!(config(&format!("{good} {good}")).keys().unwrap().len(), 2);
        for bad in ["", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_C2FV", "whsec_%%%"] {
            let problems = config(bad).problems();
            assert_eq!(problems.len(), 1, "{bad}");
            assert!(problems[0].contains("openssl") && !problems[0].contains("C2FV"));
        }
    }

    #[tokio::test]
    async fn without_a_valid_secret_nothing_is_sent() {
        let text = "url = \"http://127.0.0.1:9/x\"\nsecret = \"whsec_C2FV\"\nallow_private = true";
        let config: WebhookConfig = toml::from_str(text).unwrap();
        let channel = config.open(&crate::channel::clients(false).unwrap());
        let (delivery, edits) = ("d".to_owned(), None);
        let request = Request {
            body: b"{}".to_vec(),
            delivery,
            edits,
            content_type: None,
            has_picture: false,
        };
        // Nothing listens there: an attempt would say so.
        let outcome = channel.send(request).await.outcome;
        assert!(
            matches!(&outcome, Outcome::Closed { why, .. } if why.contains("bytes")),
            "{outcome:?}"
        );
        assert!(!format!("{channel:?}").contains("C2FV"));
    }

    #[test]
    fn every_answer_has_its_meaning() {
        for (status, label) in [
            (200, "sent"),
            (204, "sent"),
            (301, "closed"),
            (400, "refused"),
            (401, "closed"),
            (408, "not_sent"),
            (410, "closed"),
            (429, "wait"),
            (500, "not_sent"),
            (503, "wait"),
        ] {
            let answer = Answer::of(status, "").after(3);
            assert_eq!(outcome(&answer, "d".to_owned()).label(), label, "{status}");
        }
    }
}
