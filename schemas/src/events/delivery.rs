use crate::{
    event::{body::event, event_kind::EventKind},
    events::notification::Notification,
    sample_values::{BLOCK_TIME_US, OBSERVED_AT_US},
    streams::Stream,
    subjects::forms as subjects,
    types::alert_types::{DeliveryState, Severity},
};

event! {
    /// Outcome of a message to one destination.
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
        /// What kept it back: the id of a silence, or the code of an alert that inhibits it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cause: Option<String>,
        /// When the pipeline first saw the event behind the alert, microseconds.
        pub seen_at_us: i64,
        /// When the service answered, microseconds.
        pub done_at_us: i64,
    }
}

impl EventKind for Delivery {
    const NAME: &'static str = "delivery";
    const SCHEMA: &'static str = "notify.delivery/1";
    const SUBJECT: &'static str = "notify.done.<destination>";
    const STREAMS: &'static [(Stream, &'static str)] =
        &[(Stream::Notify, subjects::NOTIFY_DONE_ALL)];
    const SOURCE: &'static str = "notify";
    const IN_RULES: bool = false;

    fn subject(&self) -> String {
        subjects::notify_done(&self.destination)
    }

    fn sample() -> Self {
        let notification = Notification::sample();
        Delivery {
            id: format!("{}:sent", notification.id),
            delivery: notification.id,
            destination: notification.destination,
            channel: "telegram".to_owned(),
            alert: notification.alert.alert,
            rule: notification.alert.rule,
            severity: notification.alert.severity,
            state: DeliveryState::Sent,
            attempts: 2,
            message_id: Some("4217".to_owned()),
            error: Some("429 too many requests".to_owned()),
            cause: Some("K7Q2M".to_owned()),
            seen_at_us: OBSERVED_AT_US,
            done_at_us: OBSERVED_AT_US + 420_000,
            ..Delivery::at("notify", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}
