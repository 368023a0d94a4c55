//! The services that people are told by: one request per attempt, and the meaning of its outcome.
//!
//! A service is two files: `channel/X.rs` has its options ([`Settings`]) and its requests ([`Channel`]), `render/X.rs`
//! its texts. One line in [`list`] makes it a choice of the configuration.

pub(crate) mod discord;
pub(crate) mod email;
mod http;
mod list;
mod multipart;
pub(crate) mod ntfy;
mod outcome;
pub(crate) mod pagerduty;
pub(crate) mod slack;
pub(crate) mod telegram;
pub(crate) mod webhook;

use std::{fmt, time::Duration};

use alloy_primitives::{hex, keccak256};
use crypto_intel_schemas::{Alert, Notification};
use futures::future::{BoxFuture, FutureExt as _, ready};
use serde_json::Value;

pub(crate) use http::{Clients, clients, is_web, needs_tls};
pub use list::Destination;
pub(crate) use outcome::{Outcome, Reply, Scope};

use crate::{
    config::{Limit, Policy},
    render::Voice,
};

/// What the configuration of a destination says of its service.
pub(crate) trait Settings: fmt::Debug + Send + Sync {
    /// How it is treated.
    fn policy(&self) -> &Policy;

    /// Its limits, as far as they are known; those of the configuration replace them.
    fn known_limits(&self) -> Vec<Limit>;

    /// The address with its secrets, which is never shown: what has the same one is the same.
    fn address(&self) -> String;

    /// What it shares with other destinations.
    fn sharing(&self) -> Sharing;

    /// Whether it is reached by TLS.
    fn needs_tls(&self) -> bool;

    /// What is wrong with it, each with the correction.
    fn problems(&self) -> Vec<String>;

    /// The channel that sends to it.
    fn open(&self, clients: &Clients) -> Box<dyn Channel>;

    /// Whether an alert is an incident there, which an acknowledgement concerns, too.
    fn has_incidents(&self) -> bool {
        false
    }

    /// Whether its messages can have a picture.
    fn takes_pictures(&self) -> bool {
        false
    }

    /// Its bot, if messages have buttons that people may press.
    fn buttons(&self, _clients: &Clients) -> Option<Box<dyn Buttons>> {
        None
    }
}

/// A service with one address. It answers to `&self` alone: two lanes send to it at once.
pub(crate) trait Channel: fmt::Debug + Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The request of one attempt, made before the attempt is recorded.
    fn request(&self, content: &MessageContent<'_>) -> Request;

    /// One attempt. Never tries twice.
    fn send(&self, request: Request) -> BoxFuture<'_, Reply>;

    /// Asks the service whether the address and its secret are valid, without sending a message.
    fn check(&self) -> BoxFuture<'_, Result<String, String>>;

    /// Whether a digest of these alerts shows each of them, also as a repeat.
    fn takes_digest(&self, _alerts: &[Alert], _voice: &Voice) -> bool {
        false
    }

    /// What it has learnt of its address that a restart must know: where a chat has moved to.
    fn learnt(&self) -> Option<Value> {
        None
    }

    /// Applies what an earlier instance learnt; `false` when it is of another address.
    fn recall(&self, _learnt: &Value) -> bool {
        false
    }

    /// Asks for the room that several addresses write to, with limits of its own.
    fn find_room(&self) -> BoxFuture<'_, Option<String>> {
        ready(None).boxed()
    }
}

/// A bot that says which buttons people press below messages of one destination.
pub(crate) trait Buttons: fmt::Debug + Send + Sync {
    /// Names the bot, with its secret: of all destinations of one, a single one asks.
    fn bot(&self) -> String;

    /// How near a press is to where this destination's messages are; `None` for another room.
    fn nearness(&self, press: &Press) -> Option<Nearness>;

    /// Applies what its channel has learnt of the address: where the room has moved to.
    fn recall(&self, learnt: &Value);

    /// Whether this person's presses count.
    fn allows(&self, user: i64) -> bool;

    /// Waits for presses from a number on, for a while.
    fn presses(&self, after: i64) -> BoxFuture<'_, Result<Presses, Outcome>>;

    /// Tells the person who pressed what came of it.
    fn answer<'a>(&'a self, press: &'a Press, text: &'a str) -> BoxFuture<'a, Result<(), Outcome>>;

    /// Makes the pressed button say something, for everyone.
    fn show<'a>(&'a self, press: &'a Press, text: &'a str) -> BoxFuture<'a, Result<(), Outcome>>;
}

/// Where a press is, seen from a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// In its room, but not in its part of it: a closed topic's messages go to the room itself.
    Room,
    /// Where its messages are.
    Same,
}

/// What was pressed, and the number that confirms it.
#[derive(Debug)]
pub(crate) struct Presses {
    pub(crate) next: i64,
    pub(crate) all: Vec<Press>,
}

/// A person pressed a button.
#[derive(Debug, Clone)]
pub(crate) struct Press {
    pub(crate) id: String,
    pub(crate) user: i64,
    /// Their name.
    pub(crate) who: String,
    pub(crate) room: String,
    /// Part of the room.
    pub(crate) topic: Option<i64>,
    pub(crate) message_id: String,
    /// The message's buttons, in the service's form.
    pub(crate) keyboard: Value,
    /// The button's own text for the service.
    pub(crate) data: String,
    pub(crate) action: Action,
    /// Key of the alert.
    pub(crate) alert: String,
}

/// What a button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The person takes care of the alert.
    Acknowledge,
    /// It is not told for an hour.
    Silence,
}

/// What a service can do. What it cannot is left out or done another way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capabilities {
    /// Alerts in one digest, each with a line; 1 = there are none.
    pub(crate) digest_alerts: usize,
    /// A message can be changed: corrections and ends go there.
    pub(crate) edits: bool,
    /// A message can name the one that it follows.
    pub(crate) replies: bool,
    /// Its messages have buttons.
    pub(crate) buttons: bool,
    /// It knows a repetition by the id of the delivery, so that none needs a mark.
    pub(crate) is_idempotent: bool,
    /// Its addresses write to rooms with limits of their own.
    pub(crate) has_rooms: bool,
    /// An alert is an incident there, which its end closes.
    pub(crate) has_incidents: bool,
}

impl Capabilities {
    /// Whether what was told about an alert has to be remembered.
    pub(crate) const fn follows_up(self) -> bool {
        self.edits || self.replies || self.has_incidents
    }
}

/// A name with a secret in it, which is compared and never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HiddenName(String);

impl HiddenName {
    pub(crate) const fn new(name: String) -> Self {
        Self(name)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HiddenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What destinations have in common beside their own address.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Names what it has limits with; `None`: its address.
    pub(crate) own: Option<HiddenName>,
    /// A bot or a service with limits for all its addresses.
    pub(crate) service: Option<SharedService>,
    /// Limits of a room that several addresses write to.
    pub(crate) room_limits: Vec<Limit>,
}

/// What several addresses share.
#[derive(Debug)]
pub(crate) struct SharedService {
    /// Names it, with its secret.
    pub(crate) key: HiddenName,
    /// Its limits.
    pub(crate) limits: Vec<Limit>,
    /// Addresses that have to wait at the same time are taken for a limit of all.
    pub(crate) freezes_together: bool,
}

/// What a message says, and in which form.
#[derive(Debug, Clone)]
pub(crate) struct MessageContent<'a> {
    /// The message itself; of a digest the first.
    pub(crate) own: &'a Notification,
    /// One alert, or several for a digest.
    pub(crate) alerts: &'a [Alert],
    /// Why several are one message.
    pub(crate) together: Together,
    /// An earlier attempt may have arrived.
    pub(crate) repeat: bool,
    /// Without markup.
    pub(crate) plain: bool,
    /// What it tells of is not on the chain any more.
    pub(crate) is_gone: bool,
    /// It says only that someone takes care of the alert.
    pub(crate) is_acknowledgement: bool,
    /// Who takes care of it, where that is known.
    pub(crate) acknowledged_by: Option<&'a str>,
    /// A picture as PNG: of a first message, where the channel takes one.
    pub(crate) picture: Option<&'a [u8]>,
    /// Its place among the messages about the alert.
    pub(crate) place: Place<'a>,
    /// Language and time zone.
    pub(crate) voice: &'a Voice,
}

impl<'a> MessageContent<'a> {
    /// A first message as it is meant.
    pub(crate) fn new(own: &'a Notification, alerts: &'a [Alert], voice: &'a Voice) -> Self {
        Self {
            own,
            alerts,
            together: Together::Flood,
            repeat: false,
            plain: false,
            is_gone: false,
            is_acknowledgement: false,
            acknowledged_by: None,
            picture: None,
            place: Place::New,
            voice,
        }
    }
}

/// Why several alerts are one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Together {
    /// More came than may be sent one by one.
    #[default]
    Flood,
    /// Their route collects them.
    Group,
    /// They came in quiet hours.
    Quiet,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place<'a> {
    /// For itself.
    New,
    /// After an earlier one, which says what it is about. `is_edited`: that one has been changed already, so this one
    /// says only what is new.
    Reply { to: &'a str, is_edited: bool },
    /// In the place of an earlier one, whose further lines stay, and its picture.
    Edit { message_id: &'a str, earlier: &'a [String], has_picture: bool },
}

/// One request, complete but for what belongs to the attempt.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) body: Vec<u8>,
    /// Id of the delivery.
    pub(crate) delivery: String,
    /// The message to change; `None`: a new one is made.
    pub(crate) edits: Option<String>,
    /// What the body is, where it is not JSON.
    pub(crate) content_type: Option<String>,
    /// Whether the message has a picture: the new one, or the one that is changed.
    pub(crate) has_picture: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold a key.
        let Self { body, delivery, edits, has_picture, .. } = self;
        let body = body.len();
        f.debug_struct("Request")
            .field("body_bytes", &body)
            .field("delivery", delivery)
            .field("edits", edits)
            .field("has_picture", has_picture)
            .finish()
    }
}

impl Request {
    pub(crate) fn new(content: &MessageContent<'_>, body: Vec<u8>) -> Self {
        let edits = match content.place {
            Place::Edit { message_id, .. } => Some(message_id.to_owned()),
            Place::New | Place::Reply { .. } => None,
        };
        let has_picture = matches!(content.place, Place::Edit { has_picture: true, .. });
        let delivery = content.own.id.clone();
        Self { body, delivery, edits, content_type: None, has_picture }
    }

    /// Proof of what is sent, without its text.
    pub(crate) fn body_hash(&self) -> String {
        hex::encode(&keccak256(&self.body)[..8])
    }

    /// One with the message's picture beside its text.
    pub(crate) fn with_picture(content: &MessageContent<'_>, form: multipart::Form) -> Self {
        let (content_type, body) = form.finish();
        Self { content_type: Some(content_type), has_picture: true, ..Self::new(content, body) }
    }
}

/// Wait when a service is busy and does not say for how long.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(5);
