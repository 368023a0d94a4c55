//! Searches the factories' logs for contracts created before the chain was followed, while the live lane continues.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_chain::{
    backfill::queue::{GapReason, Gaps},
    header::Span,
    source::LiveLane,
};
use crypto_intel_nats::{Bucket, Entry, Kv, Nats};
use crypto_intel_schemas::B256;
use crypto_intel_service::Backoff;
use serde::{Deserialize, Serialize};
use tokio::sync::SetOnce;

use super::contracts::{ContractStore, search_key};
use crate::{
    abis::{Factory, Made},
    decode::Decoder,
    fetch::Fetcher,
    hex::{self, Hex},
    log_query::LogQuery,
};

/// Blocks searched between two writes of the progress.
const SPAN_WIDTH: u64 = 10_000;

/// How long the history lane waits for the searches.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(600);

/// How often to check whether the live lane has resumed.
const RESUME_INTERVAL: Duration = Duration::from_millis(50);

/// Progress of the search of one factory, in the bucket `cursors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Search {
    /// Where it began.
    from: u64,
    /// First block that is not searched yet.
    next: u64,
    /// Last block to search: the live lane has seen the later ones.
    to: u64,
    /// First block that was published before the search was complete.
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
}

/// Searches for the contracts that the factories of one chain created.
#[derive(Debug)]
pub(crate) struct FactorySearch {
    chain: String,
    nats: Nats,
    fetcher: Fetcher,
    decoder: Arc<Decoder>,
    contracts: Arc<ContractStore>,
    /// Set once all searches are complete.
    known: SetOnce<()>,
}

impl FactorySearch {
    pub(crate) fn new(
        chain: String,
        nats: Nats,
        fetcher: Fetcher,
        decoder: Arc<Decoder>,
        contracts: Arc<ContractStore>,
    ) -> Self {
        Self { chain, nats, fetcher, decoder, contracts, known: SetOnce::new() }
    }

    /// Runs the search of every factory, while this instance leads. The history lane begins afterwards, so that it
    /// knows every contract.
    pub(crate) async fn search_all<L: LiveLane>(&self, lane: &L) -> Infallible {
        // Once the live lane has resumed, the saved contracts are loaded, and the searches of unreadable ones are
        // reset.
        while self.decoder.abis().has_factories() && lane.first_number().is_none() {
            tokio::time::sleep(RESUME_INTERVAL).await;
        }
        let searches = self.decoder.abis().factories().iter();
        futures::future::join_all(searches.map(|factory| self.search_until_known(factory, lane)))
            .await;
        // It fails if it was set in an earlier term.
        let _ = self.known.set(());
        if self.decoder.abis().has_factories()
            && let Ok(bucket) = self.nats.kv(Bucket::Cursors).await
            && matches!(self.early(&bucket).await, Ok(Some(_)))
        {
            // If the key stays, a later search only publishes more blocks again than needed.
            let _ = bucket.delete(&self.early_key()).await;
        }
        std::future::pending().await
    }

    /// Retries the search of one factory; a failing one does not delay the others.
    async fn search_until_known<L: LiveLane>(&self, factory: &Factory, lane: &L) {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        let mut delays = backoff.delays();
        while let Err(error) = self.search(factory, lane).await {
            let delay = delays.next().unwrap_or(backoff.longest);
            tracing::warn!(chain = self.chain, abi = factory.abi, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "search for a factory's contracts interrupted, resuming from its progress");
            tokio::time::sleep(delay).await;
        }
    }

    /// Waits until all searches are complete, up to a limit.
    pub(crate) async fn until_known(&self) {
        let known = self.known.wait();
        if tokio::time::timeout(SEARCH_TIMEOUT, known).await.is_err() {
            tracing::warn!(
                chain = self.chain,
                minutes = SEARCH_TIMEOUT.as_secs() / 60,
                "searches for contracts of factories are not complete: history continues, and its blocks are published again afterwards"
            );
        }
    }

    /// Records that the history lane publishes blocks from this one on before all searches are complete.
    pub(crate) async fn note_early(&self, from: u64) -> anyhow::Result<()> {
        if self.known.get().is_some() {
            return Ok(());
        }
        let bucket = self.nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
        if self.early(&bucket).await?.is_none_or(|early| from < early) {
            let value = from.to_string();
            bucket.put(&self.early_key(), value).await.context("write key factory_early")?;
        }
        Ok(())
    }

    /// The first block that the history lane published before all searches were complete.
    async fn early(&self, bucket: &Kv) -> anyhow::Result<Option<u64>> {
        let entry = bucket.get(&self.early_key()).await.context("read key factory_early")?;
        // An unreadable value counts as block 0.
        let number = |entry: Entry| {
            std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Ok(entry.map(number))
    }

    fn early_key(&self) -> String {
        format!("factory_early.{}", self.chain)
    }

    async fn search<L: LiveLane>(&self, factory: &Factory, lane: &L) -> anyhow::Result<()> {
        let bucket = self.nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
        let key = search_key(&self.chain, factory);
        let mut search = match read_search(&bucket, &key).await? {
            Some(search) if search.from <= factory.since => search,
            _ => self.begin_search(factory, lane).await?,
        };
        if search.next > search.to {
            return Ok(());
        }
        tracing::info!(
            chain = self.chain,
            abi = factory.abi,
            from = search.next,
            to = search.to,
            "searching for the factory's contracts"
        );
        while search.next <= search.to {
            let to = search.to.min(search.next.saturating_add(SPAN_WIDTH - 1));
            let made = self.made_in(factory, Span { from: search.next, to }).await?;
            if !made.is_empty() {
                let kept = self.contracts.keep_found(&factory.abi, search.next, &made).await;
                kept.context("keep contracts")?;
                search.found += made.len() as u64;
                self.decoder.abis().restore(made.into_iter());
            }
            search.next = to + 1;
            if search.next > search.to {
                self.publish_again(&bucket, &search, lane).await?;
            }
            let value = serde_json::to_vec(&search).context("encode search")?;
            bucket.put(&key, value).await.context("write search")?;
        }
        tracing::info!(
            chain = self.chain,
            abi = factory.abi,
            found = search.found,
            "search for the factory's contracts is complete"
        );
        Ok(())
    }

    async fn begin_search<L: LiveLane>(
        &self,
        factory: &Factory,
        lane: &L,
    ) -> anyhow::Result<Search> {
        let finalized = lane.final_number().await?;
        let live_from = loop {
            match lane.first_number() {
                Some(first) => break first,
                None => tokio::time::sleep(RESUME_INTERVAL).await,
            }
        };
        let head = self.fetcher.pool().agreed_head().unwrap_or(finalized);
        // Up to the blocks that the live lane sees; where both overlap, they find the same.
        let to = head.max(live_from.saturating_sub(1));
        Ok(Search { from: factory.since, next: factory.since, to, live_from, found: 0 })
    }

    async fn made_in(&self, factory: &Factory, span: Span) -> anyhow::Result<Vec<Made>> {
        let query = LogQuery::of_contract(factory.contract, factory.topic);
        let read = |since: u64, log: &str| {
            let log: FactoryLog<'_> = serde_json::from_str(log)?;
            let topics: Vec<B256> = log.topics.iter().map(|topic| topic.0).collect();
            let mut data = Vec::new();
            let address =
                hex::append(log.data, &mut data).and_then(|_| factory.made(&topics, &data));
            Ok(address.map(|address| Made { abi: factory.abi.clone(), address, since }))
        };
        let logs = self.fetcher.logs(span, &[query], &read).await;
        let logs = logs.context("ask for the factory's logs")?;
        let mut made: Vec<Made> = logs.into_iter().flatten().collect();
        made.sort_by_key(|made| (made.address, made.since));
        made.dedup_by_key(|made| made.address);
        Ok(made)
    }

    /// Blocks published meanwhile lack the events of contracts that were not known yet: queues them, so that the
    /// history lane publishes them again once they are final.
    async fn publish_again<L: LiveLane>(
        &self,
        bucket: &Kv,
        search: &Search,
        lane: &L,
    ) -> anyhow::Result<()> {
        let last = lane.decided_number();
        let from = match self.early(bucket).await? {
            Some(early) => early.max(search.from).min(search.live_from),
            None => search.live_from,
        };
        if search.found == 0 || last < from {
            return Ok(());
        }
        let gaps = Gaps::open(&self.nats, &self.chain).await.context("open bucket gaps")?;
        gaps.queue(from, last, GapReason::Factory).await?;
        Ok(())
    }
}

/// Reads the progress of a search; with unreadable progress it starts again.
async fn read_search(bucket: &Kv, key: &str) -> anyhow::Result<Option<Search>> {
    let Some(entry) = bucket.get(key).await.context("read search")? else { return Ok(None) };
    match serde_json::from_slice(&entry.value) {
        Ok(search) => Ok(Some(search)),
        Err(error) => {
            tracing::warn!(key, %error, "progress of a factory's search cannot be read, starting it again");
            Ok(None)
        }
    }
}
