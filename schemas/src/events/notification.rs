use crate::{
    event::{body::event, event_kind::EventKind},
    events::alert::Alert,
    sample_values::{BLOCK_TIME_US, OBSERVED_AT_US},
    streams::Stream,
    subjects::forms as subjects,
    types::alert_types::Severity,
};

event! {
    /// A message to send to one destination. Its id is the delivery's id.
    pub struct Notification: base {
        /// Destination by its configured name.
        pub destination: String,
        /// Messages of one destination that follow each other with the same text here are told as one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub group: Option<String>,
        /// The alert to send.
        pub alert: Alert,
    }
}

impl EventKind for Notification {
    const NAME: &'static str = "notification";
    const SCHEMA: &'static str = "notify.notification/1";
    const SUBJECT: &'static str = "notify.out.<destination>[.critical]";
    const PATTERNS: &'static [&'static str] = &["notify.out.*", "notify.out.*.critical"];
    const STREAMS: &'static [(Stream, &'static str)] =
        &[(Stream::Outbox, subjects::NOTIFY_OUT_ALL)];
    const SOURCE: &'static str = "notify";
    const IN_RULES: bool = false;

    fn subject(&self) -> String {
        match self.alert.severity {
            Severity::Critical => subjects::notify_out_critical(&self.destination),
            Severity::Info | Severity::Warning => subjects::notify_out(&self.destination),
        }
    }

    fn sample() -> Self {
        let alert = Alert::sample();
        Notification {
            id: format!("{}:ops", alert.id),
            destination: "ops".to_owned(),
            group: Some("rule=large-erc20-transfer:1770000000000000".to_owned()),
            alert,
            ..Notification::at("alerts", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}
