use crate::{
    event::{body::event, event_kind::EventKind, ids::polled_event_id},
    kinds::Kind,
    sample_values::{BLOCK_TIME_US, OBSERVED_AT_US},
    streams::Stream,
    subjects::forms as subjects,
};

event! {
    /// A clock tick, published once a second into each stream that rules read; into that of alerts once a minute, while rules read it.
    pub struct Tick: base {
        /// Name of the stream it is published into, lower case, such as `evm`.
        pub stream: String,
        /// Digest of the rule set that readers take after the block in which this arrives; absent where the rules stay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub rules: Option<String>,
    }
}

impl EventKind for Tick {
    const NAME: &'static str = "tick";
    const SCHEMA: &'static str = "tick/1";
    const SUBJECT: &'static str = "tick.<stream>";
    const PATTERNS: &'static [&'static str] = &["tick.*", "tick.alert.*"];
    const STREAMS: &'static [(Stream, &'static str)] = &[
        (Stream::Evm, "tick.evm"),
        (Stream::Market, "tick.market"),
        (Stream::Signals, "tick.signals"),
        (Stream::Status, "tick.status"),
        (Stream::Alert, "tick.alert.>"),
    ];
    const SOURCE: &'static str = "";
    const IN_RULES: bool = false;

    fn subject(&self) -> String {
        let subject = subjects::tick(&self.stream);
        // A subject of the stream of alerts holds one message.
        if self.stream == Stream::Alert.slug() {
            return format!("{subject}.{}", self.event_at_us);
        }
        subject
    }

    fn sample() -> Self {
        Tick {
            id: polled_event_id("alerts", Kind::Tick, "evm", BLOCK_TIME_US),
            stream: "evm".to_owned(),
            rules: Some("3f9a1c07be52d684".to_owned()),
            ..Tick::at("alerts", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}
