//! The chat services: one request per attempt, and the meaning of its outcome.

pub(crate) mod discord;
mod http;
pub(crate) mod telegram;

use std::time::Duration;

use crypto_intel_schemas::Alert;

pub(crate) use http::{client, needs_tls};

use crate::{config::Destination, render};

/// Outcome of one attempt. The variants differ in what may follow without a second copy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The service accepted it.
    Sent { message_id: String },
    /// The service did not accept the message and asked to wait.
    Wait { after: Duration, scope: Scope, why: String },
    /// It certainly did not arrive, and may later: refused connection, unknown host, the service's
    /// own error.
    NotSent { why: String },
    /// Unknown whether it arrived: the connection broke after the request had started.
    Uncertain { why: String },
    /// The markup or a link was rejected: repeat as plain text.
    PlainText { why: String },
    /// The topic accepts no messages: repeat without it.
    NoTopic { why: String },
    /// The chat has another number now.
    Moved { chat_id: i64 },
    /// This message can never be sent.
    Refused { why: String },
    /// Nothing can be sent there until a person corrects it. With `whole_bot`, nor to any other chat of
    /// that bot.
    Closed { why: String, hint: &'static str, whole_bot: bool },
    /// The address was corrected: repeat at once.
    Again { why: String },
}

/// What a request to wait concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This chat or channel.
    Destination,
    /// All requests to this service.
    Service,
}

/// An outcome, and what else the service says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) outcome: Outcome,
    /// The next message to this address would be rejected before this has passed.
    pub(crate) pause: Option<Duration>,
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, pause: None }
    }
}

impl Outcome {
    /// The label of metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Wait { .. } => "wait",
            Self::NotSent { .. } => "not_sent",
            Self::Uncertain { .. } => "uncertain",
            Self::PlainText { .. } => "plain_text",
            Self::NoTopic { .. } => "no_topic",
            Self::Moved { .. } => "moved",
            Self::Refused { .. } => "refused",
            Self::Closed { .. } => "closed",
            Self::Again { .. } => "again",
        }
    }
}

/// What a message says, and in which form.
#[derive(Debug, Clone)]
pub(crate) struct MessageContent<'a> {
    /// One alert, or several for a digest.
    pub(crate) alerts: &'a [Alert],
    /// An earlier attempt may have arrived.
    pub(crate) repeat: bool,
    /// Without markup.
    pub(crate) plain: bool,
}

/// A request's body, made before its attempt is recorded.
#[derive(Debug, Clone)]
pub(crate) struct Body(pub(crate) Vec<u8>);

/// The service of a destination.
#[derive(Debug)]
pub(crate) enum Channel {
    Telegram(telegram::Telegram),
    Discord(discord::Discord),
}

impl Channel {
    pub(crate) fn new(destination: &Destination, client: reqwest::Client) -> Self {
        match destination {
            Destination::Telegram(config) => {
                Self::Telegram(telegram::Telegram::new(config.clone(), client))
            }
            Destination::Discord(config) => {
                Self::Discord(discord::Discord::new(config.clone(), client))
            }
        }
    }

    pub(crate) fn body(&self, content: &MessageContent<'_>) -> Body {
        match self {
            Self::Telegram(telegram) => telegram.body(content),
            Self::Discord(discord) => discord.body(content),
        }
    }

    /// One attempt. Never tries twice.
    pub(crate) async fn send(&self, body: Body) -> Reply {
        match self {
            Self::Telegram(telegram) => telegram.send(body).await.into(),
            Self::Discord(discord) => discord.send(body).await,
        }
    }

    /// Asks the service whether the address and its secret are valid, without sending a message.
    pub(crate) async fn check(&self) -> Result<String, String> {
        match self {
            Self::Telegram(telegram) => telegram.check().await,
            Self::Discord(discord) => discord.check().await,
        }
    }

    /// Maximum number of alerts in one digest.
    pub(crate) const fn max_digest_alerts(&self) -> usize {
        match self {
            Self::Telegram(_) => telegram::MAX_DIGEST_ALERTS,
            Self::Discord(_) => discord::MAX_DIGEST_ALERTS,
        }
    }

    /// Whether a digest of these alerts shows each of them, also as a repeat.
    pub(crate) fn takes_digest(&self, alerts: &[Alert]) -> bool {
        match self {
            Self::Telegram(_) => {
                render::telegram::fits(&digest(alerts, telegram::DIGEST_TITLE_UNITS))
            }
            Self::Discord(_) => render::discord::fits(&digest(alerts, discord::DIGEST_TITLE_UNITS)),
        }
    }
}

fn digest(alerts: &[Alert], title_units: usize) -> render::Layout {
    render::digest_layout(alerts, title_units, true)
}

fn layout(content: &MessageContent<'_>, title_units: usize) -> render::Layout {
    match content.alerts {
        [alert] => render::alert_layout(alert, content.repeat),
        alerts => render::digest_layout(alerts, title_units, content.repeat),
    }
}
