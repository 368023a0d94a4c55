//! Alerts and what became of their messages.

use serde::{Deserialize, Serialize};

use crate::{B256, Kind, event::event};

/// How urgent an alert is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Look at it today.
    Warning,
    /// Wakes somebody up.
    Critical,
}

impl Severity {
    /// The text on the wire and in subjects.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What an alert says about itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition became true.
    #[default]
    Fired,
    /// The event it was about left the canonical chain, or moved to another block.
    Corrected,
    /// The condition is no longer true.
    Resolved,
}

impl AlertState {
    /// The text on the wire and in subjects.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Corrected => "corrected",
            Self::Resolved => "resolved",
        }
    }
}

/// A link that a message offers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Link {
    /// What people see, such as `tx`.
    pub label: String,
    /// `https` address.
    pub url: String,
}

event! {
    /// A rule fired, or its alert was corrected or resolved. Text carries no markup: each channel
    /// escapes and lays it out.
    pub struct Alert: base {
        /// Key of the alert: the same for fired, corrected and resolved, and over replays. For a
        /// chain event it is a hash over rule, transaction, kind, index in the transaction and block.
        pub alert: String,
        /// Five characters people can read out, of the key.
        pub code: String,
        /// Id of the rule.
        pub rule: String,
        /// Urgency.
        pub severity: Severity,
        /// Fired, corrected or resolved.
        pub state: AlertState,
        /// 1 for the first message of this alert, then one more each.
        pub n: u32,
        /// First line: what a lock screen shows.
        pub title: String,
        /// Further lines.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub lines: Vec<String>,
        /// Links, such as the transaction in an explorer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub links: Vec<Link>,
        /// Destinations by their configured names.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub routes: Vec<String>,
        /// Id of the event that it is about.
        pub event_id: String,
        /// Chain of that event, for chain events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chain: Option<String>,
        /// Block of that event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub block_number: Option<u64>,
        /// Hash of that block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::HashText>")]
        pub block_hash: Option<B256>,
        /// Transaction of that event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::text::HashText>")]
        pub tx_hash: Option<B256>,
        /// When the pipeline first saw that event, microseconds: the start of its latency.
        pub seen_at_us: i64,
    }
}

impl Alert {
    /// All fields at zero, for struct update syntax.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            kind: Kind::Alert,
            version: Kind::Alert.version(),
            id: String::new(),
            source: "alerts".to_owned(),
            event_at_us: 0,
            observed_at_us: 0,
            alert: String::new(),
            code: String::new(),
            rule: String::new(),
            severity: Severity::Info,
            state: AlertState::Fired,
            n: 1,
            title: String::new(),
            lines: Vec::new(),
            links: Vec::new(),
            routes: Vec::new(),
            event_id: String::new(),
            chain: None,
            block_number: None,
            block_hash: None,
            tx_hash: None,
            seen_at_us: 0,
        }
    }
}

event! {
    /// A message that is to be sent to one destination. Its id is the delivery's id.
    pub struct Notification: base {
        /// Destination by its configured name.
        pub destination: String,
        /// What is to be said.
        pub alert: Alert,
    }
}

impl Notification {
    /// All fields at zero, for struct update syntax.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            kind: Kind::Notification,
            version: Kind::Notification.version(),
            id: String::new(),
            source: "notify".to_owned(),
            event_at_us: 0,
            observed_at_us: 0,
            destination: String::new(),
            alert: Alert::empty(),
        }
    }
}

/// The one state that every message ends in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// The service took it.
    #[default]
    Sent,
    /// The service took it; an earlier attempt was cut in the middle, so it may be a repeat, and
    /// the message says so.
    Repeated,
    /// An attempt was cut in the middle, and by policy it was not repeated.
    Uncertain,
    /// It can never be sent.
    Dead,
    /// It was too old to be worth sending.
    Expired,
}

impl DeliveryState {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Repeated => "repeated",
            Self::Uncertain => "uncertain",
            Self::Dead => "dead",
            Self::Expired => "expired",
        }
    }
}

event! {
    /// What became of a message to one destination.
    pub struct Delivery: base {
        /// Id of the delivery: alert, its state and number, destination.
        pub delivery: String,
        /// Destination by its configured name.
        pub destination: String,
        /// `telegram`, `discord` or `webhook`.
        pub channel: String,
        /// Key of the alert.
        pub alert: String,
        /// Id of the rule.
        pub rule: String,
        /// Urgency.
        pub severity: Severity,
        /// How it ended.
        pub state: DeliveryState,
        /// Number of attempts.
        pub attempts: u32,
        /// The service's id of the message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub message_id: Option<String>,
        /// Why it was not sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<String>,
        /// When the pipeline first saw the event behind the alert, microseconds.
        pub seen_at_us: i64,
        /// When the service answered, microseconds.
        pub done_at_us: i64,
    }
}

impl Delivery {
    /// All fields at zero, for struct update syntax.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            kind: Kind::Delivery,
            version: Kind::Delivery.version(),
            id: String::new(),
            source: "notify".to_owned(),
            event_at_us: 0,
            observed_at_us: 0,
            delivery: String::new(),
            destination: String::new(),
            channel: String::new(),
            alert: String::new(),
            rule: String::new(),
            severity: Severity::Info,
            state: DeliveryState::Sent,
            attempts: 0,
            message_id: None,
            error: None,
            seen_at_us: 0,
            done_at_us: 0,
        }
    }
}
