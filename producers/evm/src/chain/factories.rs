//! What factories made before their chain was followed: found by their own logs, while live goes on.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, escape_key};
use crypto_intel_schemas::{Address, B256};
use crypto_intel_service::Backoff;
use serde::{Deserialize, Serialize};

use super::Worker;
use crate::{
    abis::{Factory, Made},
    gaps::{GapReason, Gaps},
    hex::{self, Hex},
    past::{LogQuery, list},
    ranges::Span,
};

/// Blocks that are searched before progress is written.
const SPAN: u64 = 10_000;

/// How often it is looked whether live resumed.
const RESUMING: Duration = Duration::from_millis(50);

/// How far the search of one factory is, in the bucket `cursors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Search {
    /// Where it began.
    from: u64,
    /// First block that is not searched.
    next: u64,
    /// Last block to be searched: what came later, live saw.
    to: u64,
    /// First block that was published while not everything was found.
    live_from: u64,
    /// How many contracts were found.
    found: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FactoryLog<'a> {
    topics: Vec<Hex<B256>>,
    #[serde(borrow)]
    data: &'a str,
    block_number: Hex<u64>,
}

impl Worker {
    /// Searches for what every factory made, for as long as this instance leads. The history lane begins after it, so
    /// that it knows every contract.
    pub(super) async fn search_factories(self: Arc<Self>) -> Infallible {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        for factory in self.decoder.abis().factories() {
            let mut delays = backoff.delays();
            while let Err(error) = self.search(factory).await {
                let delay = delays.next().unwrap_or(backoff.longest);
                tracing::warn!(chain = self.chain, abi = factory.abi, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "search for what a factory made is interrupted, going on where it was");
                tokio::time::sleep(delay).await;
            }
        }
        // Set by an earlier tenure, or now.
        let _ = self.factories_known.set(());
        std::future::pending().await
    }

    async fn search(&self, factory: &Factory) -> anyhow::Result<()> {
        let bucket = self.nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
        let key = format!(
            "factory_search.{}.{}.{:#x}",
            self.chain,
            escape_key(&factory.abi),
            factory.contract
        );
        let mut search = match read_search(&bucket, &key).await? {
            Some(search) if search.from <= factory.since => search,
            _ => self.begin_search(factory).await?,
        };
        if search.next > search.to {
            return Ok(());
        }
        tracing::info!(
            chain = self.chain,
            abi = factory.abi,
            from = search.next,
            to = search.to,
            "searching for what the factory made"
        );
        while search.next <= search.to {
            let to = search.to.min(search.next.saturating_add(SPAN - 1));
            let made = self.made_in(factory, Span { from: search.next, to }).await?;
            if !made.is_empty() {
                self.keep_found(&bucket, factory, search.next, &made).await?;
                search.found += made.len() as u64;
                self.decoder.abis().restore(made.into_iter());
            }
            search.next = to + 1;
            if search.next > search.to {
                self.publish_again(&search).await?;
            }
            let value = serde_json::to_vec(&search).context("encode search")?;
            bucket.put(&key, value).await.context("write search")?;
        }
        tracing::info!(
            chain = self.chain,
            abi = factory.abi,
            found = search.found,
            "what the factory made is known"
        );
        Ok(())
    }

    async fn begin_search(&self, factory: &Factory) -> anyhow::Result<Search> {
        let finalized = self.finalized_now().await.map_err(anyhow::Error::new)?;
        let live_from = loop {
            match self.status.first_number() {
                Some(first) => break first,
                None => tokio::time::sleep(RESUMING).await,
            }
        };
        let head = self.fetcher.pool().agreed_head().unwrap_or(finalized);
        // What live has not seen; where it has, both find the same.
        let to = head.max(live_from.saturating_sub(1));
        Ok(Search { from: factory.since, next: factory.since, to, live_from, found: 0 })
    }

    async fn made_in(&self, factory: &Factory, span: Span) -> anyhow::Result<Vec<Made>> {
        let query = LogQuery::of_contract(factory.contract, factory.topic);
        let mut made: Vec<Made> = Vec::new();
        let mut take = |answer: &str| {
            for log in list(answer)? {
                let log: FactoryLog<'_> = serde_json::from_str(log)?;
                let topics: Vec<B256> = log.topics.iter().map(|topic| topic.0).collect();
                let mut data = Vec::new();
                let address =
                    hex::append(log.data, &mut data).and_then(|_| factory.made(&topics, &data));
                if let Some(address) = address {
                    let since = log.block_number.0;
                    made.push(Made { abi: factory.abi.clone(), address, since });
                }
            }
            Ok(())
        };
        let read = self.fetcher.logs(span, &query, &mut take);
        read.await.context("ask for the factory's logs")?;
        made.sort_by_key(|made| (made.address, made.since));
        made.dedup_by_key(|made| made.address);
        Ok(made)
    }

    /// One key for each span: a factory may have made hundreds of thousands.
    async fn keep_found(
        &self,
        bucket: &Kv,
        factory: &Factory,
        from: u64,
        made: &[Made],
    ) -> anyhow::Result<()> {
        let pairs: Vec<(Address, u64)> =
            made.iter().map(|made| (made.address, made.since)).collect();
        let value = serde_json::to_vec(&pairs).context("encode contracts")?;
        let key = format!("{}{}.{from:020}", self.found_prefix(), escape_key(&factory.abi));
        bucket.put(&key, value).await.context("keep contracts")?;
        Ok(())
    }

    pub(super) fn found_prefix(&self) -> String {
        format!("factory_found.{}.", self.chain)
    }

    /// Blocks that live published meanwhile lack the events of contracts that were not known: they come again on the
    /// history lane, once they are final.
    async fn publish_again(&self, search: &Search) -> anyhow::Result<()> {
        let last = self.status.decided_number();
        if search.found == 0 || last < search.live_from {
            return Ok(());
        }
        let gaps = Gaps::open(&self.nats, &self.chain).await.context("open bucket gaps")?;
        gaps.queue(search.live_from, last, GapReason::Factory).await?;
        Ok(())
    }
}

async fn read_search(bucket: &Kv, key: &str) -> anyhow::Result<Option<Search>> {
    let entry = bucket.get(key).await.context("read search")?;
    entry.map(|entry| serde_json::from_slice(&entry.value).context("decode search")).transpose()
}
