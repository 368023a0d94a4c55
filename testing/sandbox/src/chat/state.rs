//! What a chat server remembers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Instant, SystemTime};

use super::limits::{ChatLimits, Pace};

/// The service that a message was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChatService {
    /// Telegram's Bot API.
    Telegram,
    /// A Discord webhook.
    Discord,
    /// A webhook of Slack, or a channel that a bot posts to.
    Slack,
    /// A topic of ntfy.
    Ntfy,
    /// A service of PagerDuty.
    Pagerduty,
    /// A receiver of signed requests.
    Webhook,
}

/// A message as people would see it.
#[derive(Debug, Clone)]
pub struct ChatMessage {
    /// Counts accepted messages, from 1, over all destinations.
    pub order: u64,
    /// Where it was sent to.
    pub service: ChatService,
    /// Telegram's chat id, the id of Discord's webhook, Slack's channel or hook, ntfy's topic, PagerDuty's key, or the
    /// name of a receiver.
    pub destination: String,
    /// As people see it, without markup; for Discord the content, then all texts of the embeds, a line each.
    pub text: String,
    /// As it was sent: Telegram's text with markup, Discord's whole body.
    pub source: String,
    /// The id that was returned to the sender.
    pub message_id: String,
    /// When it was accepted (not changed by edits).
    pub accepted_at: SystemTime,
    /// How often it was edited.
    pub edits: u32,
    /// When it was sent or changed last, counted over all messages.
    pub changed: u64,
    /// The message that it answers (Telegram, Slack).
    pub reply_to: Option<String>,
    /// The topic that it is in (Telegram).
    pub topic: Option<i64>,
    /// Its picture (Telegram, Discord).
    pub picture: Option<Vec<u8>>,
    /// The texts of its buttons and what each says when it is pressed (Telegram).
    pub buttons: Vec<(String, String)>,
}

/// Something that a well-behaved client does not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatViolation {
    /// Where it happened.
    pub service: ChatService,
    /// Which rule: `rate`, `early_retry`, `html`, `length`, `form`, `wait`, `user_agent`, `allowed_mentions`, `chat_id`,
    /// `dead_destination`, `upgraded`, `bad_token`, `method`, `body`, `poller`.
    pub rule: &'static str,
    /// What happened, for people.
    pub detail: String,
}

/// What happens to a message that would have been accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ChatFault {
    /// Refused with 429 and this many seconds; retrying earlier is a violation.
    TooManyRequests {
        /// Seconds to wait.
        retry_after: u32,
    },
    /// Refused with 429 for everything that this address sends to the service (Discord's `global`).
    GlobalTooManyRequests {
        /// Seconds to wait.
        retry_after: u32,
    },
    /// Accepted, but the connection is cut without an answer.
    ResetAfterAccept,
    /// Not accepted, and the connection is cut without an answer.
    ResetBeforeAccept,
    /// Not accepted, answered 502 with an HTML page.
    ServerError,
    /// Accepted, but answered 502 with an HTML page.
    ServerErrorAfterAccept,
}

/// A closed destination: it only gives this answer.
#[derive(Debug, Clone)]
pub(super) struct DeadDestination {
    pub(super) status: u16,
    pub(super) description: String,
    /// When the client last got the answer.
    pub(super) answered_at: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct ChatState {
    pub(super) limits: ChatLimits,
    pub(super) pace: Pace,
    pub(super) messages: Vec<ChatMessage>,
    pub(super) violations: Vec<ChatViolation>,
    pub(super) faults: VecDeque<(Option<ChatService>, ChatFault)>,
    pub(super) black_hole: bool,
    pub(super) telegram_token: Option<String>,
    pub(super) refused_tokens: HashSet<String>,
    pub(super) dead: HashMap<(ChatService, String), DeadDestination>,
    pub(super) requests: u64,
    /// Channels of Discord webhooks that share one.
    pub(super) channels: HashMap<String, String>,
    /// Groups of Telegram that were upgraded, and what they are now.
    pub(super) upgraded: HashMap<i64, i64>,
    /// Those whose new number was told.
    pub(super) told_upgraded: HashSet<i64>,
    /// Chats of Telegram in which the bot may not send photos.
    pub(super) refuses_photos: HashSet<i64>,
    /// Presses of buttons that were not confirmed yet, by their number.
    pub(super) updates: Vec<(i64, serde_json::Value)>,
    /// Number of the newest press.
    pub(super) last_update: i64,
    /// Answers to presses: the press and the text.
    pub(super) answers: Vec<(String, String)>,
    /// Requests for updates that wait now: there may be one.
    pub(super) pollers: usize,
    /// Messages sent and changed so far.
    pub(super) changes: u64,
    /// Bodies of signed requests by their id: a repetition is the same.
    pub(super) bodies: HashMap<String, String>,
    /// Answers 401, 403 and 429 so far: too many of them ban an address.
    pub(super) invalid_requests: u32,
}

/// Maximum in one test: at this rate, far too many in ten minutes (Discord: 10,000).
const MAX_INVALID_REQUESTS: u32 = 100;

/// A message that passed all checks.
pub(super) struct Accepted {
    pub(super) service: ChatService,
    pub(super) destination: String,
    pub(super) text: String,
    pub(super) source: String,
    pub(super) reply_to: Option<String>,
}

impl ChatState {
    pub(super) fn violation(
        &mut self,
        service: ChatService,
        rule: &'static str,
        detail: impl Into<String>,
    ) {
        let detail = detail.into();
        tracing::debug!(?service, rule, detail, "chat client broke a rule");
        self.violations.push(ChatViolation { service, rule, detail });
    }

    /// The answer of a closed destination; a client that asks again too soon breaks a rule.
    pub(super) fn dead(&mut self, service: ChatService, id: &str) -> Option<(u16, String)> {
        let key = (service, id.to_owned());
        let dead = self.dead.get_mut(&key)?;
        let answer = (dead.status, dead.description.clone());
        let answered_at = dead.answered_at.replace(Instant::now());
        let pause = self.limits.pause_after_refusal();
        if answered_at.is_some_and(|at| at.elapsed() < pause) {
            self.violation(
                service,
                "dead_destination",
                format!("a request to {id} within {pause:?} after its refusal"),
            );
        }
        if matches!(answer.0, 401 | 403) {
            self.count_invalid(service);
        }
        Some(answer)
    }

    pub(super) fn count_invalid(&mut self, service: ChatService) {
        self.invalid_requests += 1;
        if self.invalid_requests == MAX_INVALID_REQUESTS {
            let detail = format!("{MAX_INVALID_REQUESTS} answers 401, 403 and 429");
            self.violation(service, "invalid_requests", detail);
        }
    }

    /// The channel that a Discord webhook writes to.
    pub(super) fn channel_of(&self, webhook: &str) -> String {
        self.channels.get(webhook).cloned().unwrap_or_else(|| format!("12{webhook}"))
    }

    /// The next fault for this service.
    pub(super) fn take_fault(&mut self, service: ChatService) -> Option<ChatFault> {
        let place =
            self.faults.iter().position(|(only, _)| only.is_none_or(|only| only == service))?;
        self.faults.remove(place).map(|(_, fault)| fault)
    }

    pub(super) fn accept(&mut self, accepted: Accepted) -> ChatMessage {
        let order = self.next_order();
        let message_id = match accepted.service {
            ChatService::Telegram => order.to_string(),
            // Discord's ids are large numbers in a string.
            ChatService::Discord => (1_300_000_000_000_000_000 + order).to_string(),
            ChatService::Slack => format!("1764400000.{order:06}"),
            ChatService::Ntfy | ChatService::Pagerduty | ChatService::Webhook => {
                format!("m{order}")
            }
        };
        self.accept_as(&message_id, accepted)
    }

    /// Also behind messages that were deleted since.
    fn next_order(&self) -> u64 {
        self.messages.last().map_or(0, |message| message.order) + 1
    }

    /// The same for services that take the sender's own ids.
    pub(super) fn accept_as(&mut self, message_id: &str, accepted: Accepted) -> ChatMessage {
        let order = self.next_order();
        let message = ChatMessage {
            order,
            service: accepted.service,
            destination: accepted.destination,
            text: accepted.text,
            source: accepted.source,
            message_id: message_id.to_owned(),
            accepted_at: SystemTime::now(),
            edits: 0,
            changed: self.next_change(),
            reply_to: accepted.reply_to,
            topic: None,
            picture: None,
            buttons: Vec::new(),
        };
        self.messages.push(message.clone());
        message
    }

    fn next_change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// Gives a message another text, if there is one of this id.
    pub(super) fn change(
        &mut self,
        service: ChatService,
        destination: &str,
        message_id: &str,
        text: String,
        source: String,
    ) -> Option<ChatMessage> {
        let changed = self.next_change();
        let message = self.message(service, destination, message_id)?;
        (message.text, message.source, message.changed) = (text, source, changed);
        message.edits += 1;
        Some(message.clone())
    }

    pub(super) fn message(
        &mut self,
        service: ChatService,
        destination: &str,
        message_id: &str,
    ) -> Option<&mut ChatMessage> {
        self.messages.iter_mut().find(|message| {
            message.service == service
                && message.destination == destination
                && message.message_id == message_id
        })
    }

    /// Whether the destination is closed by an earlier 429, and for how many seconds; retrying too early is a violation.
    pub(super) fn still_closed(&mut self, service: ChatService, key: &str) -> Option<f64> {
        let rest = self.pace.closed_for(key, Instant::now())?;
        self.violation(
            service,
            "early_retry",
            format!("{key}: {:.1} s too early", rest.as_secs_f64()),
        );
        Some(rest.as_secs_f64())
    }
}
