use crypto_intel_schemas::B256;
use serde::Serialize;

use super::{
    Fetcher,
    error::{BlockId, FetchError},
    fetch_header,
};
use crate::{
    block::Header,
    endpoint::{Class, Endpoint, EndpointError},
    verify::read_header,
};

/// How far a chain says that it is safe and final.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    pub(crate) finalized: Option<(u64, B256)>,
    pub(crate) safe: Option<u64>,
}

impl Fetcher {
    /// Asks for the `finalized` and `safe` blocks; what the endpoint does not know is absent. Of two endpoints that
    /// keep up the lower word counts: what one of them calls final too early could never be retracted.
    ///
    /// # Errors
    /// When no endpoint answers at all.
    pub(crate) async fn tags(&self) -> Result<Tags, FetchError> {
        let ranked = self.pool().ranked(Class::Blocks);
        let endpoint = ranked.first().ok_or(FetchError::NoEndpoint)?;
        let (finalized, safe, elsewhere) = tokio::join!(
            ask_tag(endpoint, ("finalized", false)),
            ask_tag(endpoint, ("safe", false)),
            self.finalized_elsewhere()
        );
        let finalized = finalized?.map(|header| (header.number, header.hash));
        let lower = |known: (u64, B256)| elsewhere.map_or(known, |other| known.min(other));
        Ok(Tags { finalized: finalized.map(lower), safe: safe?.map(|header| header.number) })
    }

    /// The `finalized` block of another endpoint that keeps up.
    async fn finalized_elsewhere(&self) -> Option<(u64, B256)> {
        let witness = self.pool().witnesses().into_iter().next()?;
        let header = ask_tag(&witness, ("finalized", false)).await.ok()??;
        Some((header.number, header.hash))
    }

    /// Whether another endpoint than the one that serves knows a block; `None` when there is no
    /// other that works and keeps up.
    pub(crate) async fn confirmed_elsewhere(&self, hash: B256) -> Option<bool> {
        let others = self.pool().witnesses();
        for endpoint in &others {
            if fetch_header(endpoint, BlockId::Hash(hash)).await.is_ok() {
                return Some(true);
            }
        }
        (!others.is_empty()).then_some(false)
    }
}

async fn ask_tag(
    endpoint: &Endpoint,
    params: impl Serialize + Send,
) -> Result<Option<Header>, EndpointError> {
    match endpoint.call("eth_getBlockByNumber", params).await {
        Ok(answer) => Ok(read_header(answer.text()).unwrap_or_default()),
        // An unknown tag is refused in many words.
        Err(EndpointError::Refused { .. } | EndpointError::Unsupported { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
