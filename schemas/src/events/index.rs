use crate::{
    event::{body::event, event_kind::EventKind, ids::polled_event_id, polled_values::check_name},
    kinds::Kind,
    sample_values::{BLOCK_TIME_US, OBSERVED_AT_US, decimal},
    streams::Stream,
    subjects::forms as subjects,
    types::decimal::Decimal,
};

event! {
    /// A named index, such as alternative.me's fear and greed.
    pub struct Index: base {
        /// Name of the index, lower case, such as `fear-greed`.
        pub index: String,
        /// Its value, in the index's own scale.
        pub value: Decimal,
        /// The provider's word for the value, such as `Extreme Fear`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub classification: Option<String>,
    }
}

impl EventKind for Index {
    const NAME: &'static str = "index";
    const SCHEMA: &'static str = "sentiment.index/1";
    const SUBJECT: &'static str = "sentiment.<index>";
    const STREAMS: &'static [(Stream, &'static str)] =
        &[(Stream::Signals, subjects::SENTIMENT_ALL)];
    const SOURCE: &'static str = "";
    const POLLED: bool = true;

    fn subject(&self) -> String {
        subjects::index(&self.index)
    }

    fn key(&self) -> String {
        self.index.clone()
    }

    fn check(&self) -> Result<(), String> {
        check_name("index", &self.index)
    }

    fn sample() -> Self {
        Index {
            id: polled_event_id("alternative-me", Kind::Index, "fear-greed", BLOCK_TIME_US),
            index: "fear-greed".to_owned(),
            value: decimal("23"),
            classification: Some("Extreme Fear".to_owned()),
            ..Index::at("alternative-me", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}
