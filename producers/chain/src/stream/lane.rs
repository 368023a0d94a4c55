use crypto_intel_nats::Nats;

use crate::{metrics::ChainMetrics, source::family::Family, stream::subjects::Subjects};

/// What every part of a chain's live lane knows of it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) family: Family,
    pub(crate) chain: String,
    pub(crate) instance: String,
    pub(crate) nats: Nats,
    pub(crate) subjects: Subjects,
    pub(crate) metrics: ChainMetrics,
}
