//! A provider and its endpoints, checked and ready to be polled.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use crypto_intel_schemas::Kind;
use crypto_intel_service::Secret;
use reqwest::{Url, header::HeaderName};

use super::{file::Format, request::RequestTemplate, secret_text::base64};
use crate::{
    mapping::filter::{Filter, Variables},
    quota::{limits::Limits, signals::SignalHeaders},
};

/// A provider, checked and ready.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    /// Where a key goes; absent where the provider takes none.
    pub(crate) key_place: Option<KeyPlace>,
    /// In the order of the configuration.
    pub(crate) keys: Vec<Secret>,
    /// Of each key.
    pub(crate) limits: Limits,
    /// Where it says what is used.
    pub(crate) signals: SignalHeaders,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

/// Where a key is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    Header {
        name: HeaderName,
        /// Before the key, such as `Bearer `.
        prefix: String,
    },
    Query(String),
    /// In place of `{key}`.
    Path,
    /// As `user:password` of HTTP Basic.
    Basic,
}

/// One request that is made periodically.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) provider: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether it is polled, if its provider is.
    pub(crate) enabled: bool,
    pub(crate) base_url: Url,
    /// Everything but the address and the key. Shared by the endpoints of one `each`.
    pub(crate) request: Arc<RequestTemplate>,
    pub(crate) filters: Arc<Filters>,
    pub(crate) variables: Variables,
    pub(crate) format: Format,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_body_bytes: usize,
    pub(crate) weight: NonZeroU32,
    /// Without a valid answer for this long, the endpoint is unhealthy.
    pub(crate) stale_after: Duration,
    /// Answers whose newest event is older than this make it unhealthy as well.
    pub(crate) max_data_age: Option<Duration>,
    /// Whether an answer without events is valid.
    pub(crate) may_be_empty: bool,
    /// Most pages of one answer; 1 without pages.
    pub(crate) page_limit: u32,
    /// What should come back, by [`Event::key`](crypto_intel_schemas::Event::key).
    pub(crate) expected: Vec<String>,
}

/// The filters over an answer.
#[derive(Debug)]
pub(crate) struct Filters {
    pub(crate) events: Filter,
    /// Often that of the whole provider.
    pub(crate) fault: Option<Arc<Filter>>,
    /// Units that the answer has cost.
    pub(crate) cost: Option<Filter>,
    /// Query parameters of the next page.
    pub(crate) next_page: Option<Filter>,
}

impl Endpoint {
    /// `<provider>.<endpoint>`.
    pub(crate) fn label(&self) -> String {
        format!("{}.{}", self.provider, self.name)
    }
}

impl Provider {
    /// The key at this place; none where there are no keys.
    pub(crate) fn key(&self, place: usize) -> Option<&Secret> {
        self.keys.get(place)
    }

    /// Removes the keys, in every form that they are sent in, from a text of the provider.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for key in &self.keys {
            shown = shown.replace(key.expose(), "***");
            if self.key_place == Some(KeyPlace::Basic) {
                shown = shown.replace(&base64(key.expose().as_bytes()), "***");
                let parts = key.expose().split(':').filter(|part| part.len() > 3);
                shown = parts.fold(shown, |shown, part| shown.replace(part, "***"));
            }
        }
        shown
    }
}
