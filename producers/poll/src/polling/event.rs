use crypto_intel_schemas::{Decimal, Event, Kind, ProviderStatus, polled_event_id};

use super::view::View;

/// Source of the events that the role publishes of its own.
const SOURCE: &str = "poll";

impl View {
    /// What is published of a provider.
    pub(crate) fn event(&self, provider: &str, now_us: i64) -> Event {
        let (used, limit, window) = match self.quota {
            Some((window, used, limit)) => (Some(used), Some(limit.into()), Some(window)),
            None => (None, None, None),
        };
        Event::ProviderStatus(ProviderStatus {
            id: polled_event_id(SOURCE, Kind::ProviderStatus, provider, now_us),
            provider: provider.to_owned(),
            endpoint: self.endpoint.clone(),
            state: self.state,
            detail: self.detail.clone(),
            latency_ms: self.latency.and_then(|latency| u64::try_from(latency.as_millis()).ok()),
            quota_used: used,
            quota_limit: limit,
            quota_window: window,
            stale_seconds: self.stale.map(|stale| stale.as_secs()),
            on_time_percent: self.on_time_percent(),
            ..ProviderStatus::at(SOURCE, now_us, now_us)
        })
    }

    /// To two digits.
    fn on_time_percent(&self) -> Option<Decimal> {
        let (on_time, all) = self.on_time;
        let hundredths = (on_time * 10_000).checked_div(all)?;
        Decimal::parse(&format!("{}.{:02}", hundredths / 100, hundredths % 100)).ok()
    }
}
