use std::time::Duration;

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
    /// The message that was to be changed is gone, or too old: send a new one.
    LostAnchor { why: String },
    /// This message can never be sent.
    Refused { why: String },
    /// Nothing can be sent there until a person corrects it. With `whole_bot`, nor to any other chat of
    /// that bot.
    Closed { why: String, hint: &'static str, whole_bot: bool },
    /// The address was corrected, and a person should correct the configuration: repeat at once.
    Readdressed { why: String, hint: String },
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

/// A service's wish to wait is believed for this long.
const MAX_WAIT: Duration = Duration::from_secs(86_400);

impl Outcome {
    /// The service asks to wait.
    pub(crate) fn wait(after: Duration, scope: Scope, why: String) -> Self {
        Self::Wait { after: after.min(MAX_WAIT), scope, why }
    }

    /// A destination that takes nothing more.
    pub(crate) const fn closed(why: String, hint: &'static str) -> Self {
        Self::Closed { why, hint, whole_bot: false }
    }

    /// The label of metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Wait { .. } => "wait",
            Self::NotSent { .. } => "not_sent",
            Self::Uncertain { .. } => "uncertain",
            Self::PlainText { .. } => "plain_text",
            Self::LostAnchor { .. } => "lost_anchor",
            Self::Refused { .. } => "refused",
            Self::Closed { .. } => "closed",
            Self::Readdressed { .. } => "readdressed",
        }
    }
}
