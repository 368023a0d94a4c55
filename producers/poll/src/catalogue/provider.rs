//! A provider and its endpoints, checked and ready to be polled.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use crypto_intel_schemas::Kind;
use crypto_intel_service::Secret;
use reqwest::{Url, header::HeaderName};

use super::{
    file::Format, history_file::Order, range_variables::with_range, request::RequestTemplate,
    secret_text::base64,
};
use crate::{
    mapping::filter::{Filter, Variables},
    past::span::Span,
    quota::{limits::Limits, signals::SignalHeaders},
};

/// Most events that an answer of a live endpoint may yield: they are one atomic batch.
pub(crate) const MAX_EVENTS: usize = 1_000;

/// A provider, checked and ready.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    /// Where a key goes; absent where the provider takes none.
    pub(crate) key_place: Option<KeyPlace>,
    /// In the order of the configuration.
    pub(crate) keys: Vec<Secret>,
    /// The provider whose quota is used: itself, or one that counts our requests to both together.
    pub(crate) quota_of: String,
    /// Of each key.
    pub(crate) limits: Limits,
    /// Where it says what is used.
    pub(crate) signals: SignalHeaders,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// The pasts of its endpoints, as far as they can be asked for.
    pub(crate) histories: Vec<Arc<History>>,
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
#[derive(Debug, Clone)]
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
    /// Most events of one answer.
    pub(crate) max_events: usize,
    /// What should come back, by [`Event::key`](crypto_intel_schemas::Event::key).
    pub(crate) expected: Vec<String>,
}

/// A series of points, such as the candles of one market.
#[derive(Debug)]
pub(crate) struct History {
    /// How it is asked, but for the range; named like the endpoint that polls the same now.
    pub(super) endpoint: Endpoint,
    /// Name of the endpoint in the file, without its entry of `each`.
    pub(crate) of: String,
    /// From one point to the next, seconds.
    pub(crate) step_s: i64,
    /// Most points of one answer.
    pub(crate) max_points: u32,
    /// How far back it goes, days; absent: without an end.
    pub(crate) max_days: Option<u32>,
    /// How long after its time a point may still change, seconds.
    pub(crate) settle_s: i64,
    pub(crate) order: Order,
}

impl History {
    /// Name within the provider.
    pub(crate) fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// `<provider>.<name>`.
    pub(crate) fn label(&self) -> String {
        self.endpoint.label()
    }

    /// Whether the name is its own, or that of all entries of its endpoint.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        [self.name(), self.of.as_str()].contains(&name)
    }

    /// Whether it is asked for, if its provider is.
    pub(crate) const fn enabled(&self) -> bool {
        self.endpoint.enabled
    }

    pub(crate) const fn weight(&self) -> u32 {
        self.endpoint.weight.get()
    }

    /// The endpoint that gives this range.
    pub(crate) fn asked_for(&self, span: Span) -> Endpoint {
        let variables = with_range(&self.endpoint.variables, span, self.step_s);
        Endpoint { variables, ..self.endpoint.clone() }
    }
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
    /// The pasts of one endpoint, or of all.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn histories_of(&self, endpoint: Option<&str>) -> anyhow::Result<Vec<&History>> {
        let named = |history: &&History| endpoint.is_none_or(|name| history.is_named(name));
        let found: Vec<&History> = self.histories.iter().map(Arc::as_ref).filter(named).collect();
        if found.is_empty() {
            let mut known: Vec<&str> =
                self.histories.iter().map(|history| history.of.as_str()).collect();
            known.dedup();
            let which = endpoint.map(|name| format!(" of {name:?}")).unwrap_or_default();
            anyhow::bail!(
                "provider {} gives no past{which}; it gives that of: {}",
                self.name,
                if known.is_empty() { "nothing".to_owned() } else { known.join(", ") }
            );
        }
        Ok(found)
    }

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
