//! What the server sends beside events.

use std::collections::BTreeMap;

use crypto_intel_schemas::ApiRole;
use serde::Serialize;
use serde_json::Value;

use super::super::{filter::Filter, live_event::Token, service::Service};
use crate::problem::Problem;

/// Version of the protocol.
pub(crate) const PROTOCOL: &str = "crypto-intel.v1";

/// A message of the server.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Answer<'a> {
    /// The first message.
    Hello(Hello<'a>),
    /// The key counts.
    Authenticated {
        /// Whose it is.
        name: &'a str,
        /// What it may do.
        role: ApiRole,
    },
    /// A subscription begins.
    Subscribed(Subscribed<'a>),
    /// It ended.
    Unsubscribed {
        /// Its id.
        id: &'a str,
    },
    /// What the client subscribed to.
    Subscriptions {
        /// Each.
        subscriptions: Vec<Listed<'a>>,
    },
    /// Answers `ping`.
    Pong {
        /// As it came.
        data: &'a Value,
    },
    /// Says that the connection lives, and how current it is.
    Heartbeat(Heartbeat<'a>),
    /// Something that the client sent cannot be done.
    Error {
        /// The id of the subscription that it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// What.
        problem: &'a Problem,
    },
    /// The connection will be closed.
    Bye {
        /// Why.
        reason: &'a str,
        /// How long to wait before the next connection, milliseconds.
        retry_after_ms: u64,
    },
}

/// Every message of the server with its fields, for the description. Events, snapshots and gaps are written as bytes.
pub(crate) struct AnswerNames;

impl AnswerNames {
    pub(crate) const ALL: &[(&str, &[&str])] = &[
        ("hello", &["protocol", "server", "heartbeat_seconds", "role", "services", "limits"]),
        ("authenticated", &["name", "role"]),
        ("subscribed", &["id", "service", "filters", "resume", "oldest"]),
        ("unsubscribed", &["id"]),
        ("subscriptions", &["subscriptions"]),
        ("snapshot", &["id", "events", "blocks", "resume", "more"]),
        ("events", &["id", "events", "blocks", "resume", "more"]),
        ("gap", &["id", "stream", "from", "to", "reason", "get", "resume"]),
        ("heartbeat", &["counter", "time_us", "resume", "chains", "streams"]),
        ("pong", &["data"]),
        ("error", &["id", "problem"]),
        ("bye", &["reason", "retry_after_ms"]),
    ];
}

impl Answer<'_> {
    /// Its type.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Authenticated { .. } => "authenticated",
            Self::Subscribed(_) => "subscribed",
            Self::Unsubscribed { .. } => "unsubscribed",
            Self::Subscriptions { .. } => "subscriptions",
            Self::Pong { .. } => "pong",
            Self::Heartbeat(_) => "heartbeat",
            Self::Error { .. } => "error",
            Self::Bye { .. } => "bye",
        }
    }
}

/// `hello`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hello<'a> {
    /// Version of the protocol.
    pub(crate) protocol: &'a str,
    /// Version of the server.
    pub(crate) server: &'a str,
    /// Time between heartbeats.
    pub(crate) heartbeat_seconds: u64,
    /// The role of the client; absent while it has to say who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<ApiRole>,
    /// What can be subscribed to.
    pub(crate) services: Vec<&'a str>,
    /// Bounds.
    pub(crate) limits: LimitsTold,
}

/// Bounds of a connection.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LimitsTold {
    pub(crate) subscriptions: usize,
    pub(crate) addresses: usize,
    pub(crate) messages_per_second: u32,
    pub(crate) message_bytes: usize,
    pub(crate) frame_bytes: usize,
}

/// `subscribed`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subscribed<'a> {
    pub(crate) id: &'a str,
    pub(crate) service: Service,
    /// The filters, as they were understood.
    pub(crate) filters: FiltersTold,
    /// Everything after this is told.
    pub(crate) resume: String,
    /// The oldest sequence of each stream that is in memory: from there on a client can always resume; from older ones as long
    /// as the stream has them.
    pub(crate) oldest: BTreeMap<&'static str, u64>,
}

/// Filters as they were understood.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FiltersTold {
    kinds: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chains: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<String>,
    watched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_usd: Option<String>,
}

impl From<&Filter> for FiltersTold {
    fn from(filter: &Filter) -> Self {
        let chains = match &filter.visible_chains {
            Some(visible) if filter.chains.is_empty() => visible.clone(),
            Some(visible) => {
                filter.chains.iter().filter(|chain| visible.contains(chain)).cloned().collect()
            }
            None => filter.chains.clone(),
        };
        let token = |token: &Token| match token {
            Token::Native => "native".to_owned(),
            Token::Contract(address) => address.to_string(),
        };
        Self {
            kinds: filter.kinds.iter().map(|kind| kind.as_str()).collect(),
            chains,
            addresses: filter.addresses.iter().map(ToString::to_string).collect(),
            tokens: filter.tokens.iter().map(token).collect(),
            watched: filter.is_watched,
            min_usd: filter.least_micro_usd.map(dollars),
        }
    }
}

/// Millionths of a dollar as a decimal number.
fn dollars(micro: u128) -> String {
    let (whole, fraction) = (micro / 1_000_000, micro % 1_000_000);
    if fraction == 0 {
        return whole.to_string();
    }
    format!("{whole}.{fraction:06}").trim_end_matches('0').to_owned()
}

/// A subscription in a list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Listed<'a> {
    pub(crate) id: &'a str,
    pub(crate) service: Service,
    pub(crate) resume: String,
}

/// `heartbeat`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Heartbeat<'a> {
    /// 1, 2, 3, …: one that is missing was lost.
    pub(crate) counter: u64,
    /// The server's clock, microseconds UTC.
    pub(crate) time_us: i64,
    /// From where every subscription of this connection can be resumed.
    pub(crate) resume: &'a str,
    /// The newest block of each chain.
    pub(crate) chains: BTreeMap<&'a str, ChainTold>,
    /// Streams that the subscriptions are fed from.
    pub(crate) streams: BTreeMap<&'static str, StreamTold>,
}

/// A chain's newest block.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ChainTold {
    /// Its number.
    pub(crate) number: u64,
    /// Its age by the server's clock, milliseconds; never negative.
    pub(crate) age_ms: i64,
    /// The highest block that cannot leave the chain.
    pub(crate) finalized: u64,
}

/// How current a stream is.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct StreamTold {
    /// Sequence of the newest message that was read.
    pub(crate) sequence: u64,
    /// Messages that are still to be read.
    pub(crate) lag: u64,
    /// Whether it is followed; else it cannot be read at present.
    pub(crate) followed: bool,
}

impl Serialize for Service {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_they_are_read() {
        for (micro, text) in [(0, "0"), (5_000_000, "5"), (1_500_000, "1.5"), (1, "0.000001")] {
            assert_eq!(dollars(micro), text);
        }
    }
}
