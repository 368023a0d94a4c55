use crate::{
    event::{body::event, event_kind::EventKind, ids::polled_event_id},
    kinds::Kind,
    sample_values::{OBSERVED_AT_US, decimal},
    streams::Stream,
    subjects::forms as subjects,
    types::{
        decimal::Decimal,
        provider_types::{ProviderState, QuotaWindow},
    },
};

event! {
    /// How a polled provider, or one of its endpoints, does.
    pub struct ProviderStatus: base {
        /// Name of the provider.
        pub provider: String,
        /// Name of the endpoint; absent where all of the provider is meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub endpoint: Option<String>,
        /// Its state.
        pub state: ProviderState,
        /// Why it is in that state.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub detail: Option<String>,
        /// How long the last answer took, milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub latency_ms: Option<u64>,
        /// Units that are used of the quota that is the nearest to its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub quota_used: Option<u64>,
        /// Units that this quota has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub quota_limit: Option<u64>,
        /// The time that this quota is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub quota_window: Option<QuotaWindow>,
        /// Seconds since its last good answer; absent before the first one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub stale_seconds: Option<u64>,
        /// How many of its scheduled polls of the last day were done on time, percent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub on_time_percent: Option<Decimal>,
    }
}

impl EventKind for ProviderStatus {
    const NAME: &'static str = "provider_status";
    const SCHEMA: &'static str = "status.provider/1";
    const SUBJECT: &'static str = "status.provider.<provider>";
    const STREAMS: &'static [(Stream, &'static str)] =
        &[(Stream::Status, subjects::PROVIDER_STATUS_ALL)];
    const SOURCE: &'static str = "poll";

    fn subject(&self) -> String {
        subjects::provider_status(&self.provider)
    }

    fn key(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("{}/{endpoint}", self.provider),
            None => self.provider.clone(),
        }
    }

    fn sample() -> Self {
        ProviderStatus {
            id: polled_event_id("poll", Kind::ProviderStatus, "okx/tickers", OBSERVED_AT_US),
            provider: "okx".to_owned(),
            endpoint: Some("tickers".to_owned()),
            state: ProviderState::QuotaSpent,
            detail: Some("the day's quota is used up, next at midnight UTC".to_owned()),
            latency_ms: Some(182),
            quota_used: Some(10_000),
            quota_limit: Some(10_000),
            quota_window: Some(QuotaWindow::Day),
            stale_seconds: Some(312),
            on_time_percent: Some(decimal("98.75")),
            ..ProviderStatus::at("poll", OBSERVED_AT_US, OBSERVED_AT_US)
        }
    }
}
