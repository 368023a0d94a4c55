use crypto_intel_chain::{header::Header as Link, heads::Finality};
use crypto_intel_schemas::{B256, BlockRef};
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

impl Fetcher {
    /// Asks for the `finalized` and `safe` blocks; tags that the endpoint does not know are absent. If a second
    /// endpoint keeps up, the lower answer is used: a block that is called final too early could never be retracted.
    /// `None` if the two call different blocks of one height final.
    ///
    /// # Errors
    /// When no endpoint answers at all.
    pub(crate) async fn finality(&self) -> Result<Option<Finality>, FetchError> {
        let ranked = self.pool().ranked(Class::Blocks);
        let endpoint = ranked.first().ok_or(FetchError::NoEndpoint)?;
        let (finalized, safe, elsewhere) = tokio::join!(
            ask_tag(endpoint, ("finalized", false)),
            ask_tag(endpoint, ("safe", false)),
            self.finalized_elsewhere()
        );
        let finalized = match (finalized?, elsewhere) {
            (Some(known), Some(other)) => {
                let Some(agreed) = agreed(&known.link(), &other.link()) else {
                    tracing::debug!(
                        endpoint = endpoint.label(),
                        block = known.number,
                        final_hash = %known.hash,
                        other_hash = %other.hash,
                        "two endpoints call different blocks final"
                    );
                    return Ok(None);
                };
                Some(agreed)
            }
            (known, _) => known.map(|header| header.link().block()),
        };
        Ok(Some(Finality { finalized, safe: safe?.map(|header| header.number) }))
    }

    /// The `finalized` block of another endpoint that keeps up.
    async fn finalized_elsewhere(&self) -> Option<Header> {
        let witness = self.pool().witnesses().into_iter().next()?;
        ask_tag(&witness, ("finalized", false)).await.ok()?
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
        // Refusals of an unknown tag have many texts.
        Err(EndpointError::Refused { .. } | EndpointError::Unsupported { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The newest block that both call final: the lower one, or their parent where they are two blocks of one height.
fn agreed(one: &Link, other: &Link) -> Option<BlockRef> {
    if one.number != other.number || one.hash == other.hash {
        return Some(if one.number <= other.number { one.block() } else { other.block() });
    }
    (one.parent == other.parent).then_some(one.parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u64, hash: u8, parent: u8) -> Link {
        let parent = BlockRef { number: number - 1, hash: B256::repeat_byte(parent) };
        Link { number, hash: B256::repeat_byte(hash), parent }
    }

    #[test]
    fn of_two_final_blocks_of_one_height_neither_counts() {
        let final_block = header(9, 9, 8);
        for (other, expected) in [
            (header(9, 9, 8), Some(final_block.block())),
            (header(12, 12, 11), Some(final_block.block())),
            (header(7, 7, 6), Some(header(7, 7, 6).block())),
            (header(9, 1, 8), Some(final_block.parent)),
            (header(9, 10, 8), Some(final_block.parent)),
            (header(9, 1, 2), None),
        ] {
            assert_eq!(agreed(&final_block, &other), expected, "{other:?}");
            assert_eq!(agreed(&other, &final_block), expected, "{other:?}");
        }
    }
}
