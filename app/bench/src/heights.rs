//! When blocks become visible in the tables.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_service::now_us;
use tokio_postgres::Statement;

use crate::{connection::Connection, worker::BlockAt};

/// Polls the highest stored block of some chains.
#[derive(Debug)]
pub(crate) struct Heights {
    connection: Connection,
    highest: Statement,
    chains: Vec<String>,
    seen: Vec<u64>,
    interval: Duration,
}

impl Heights {
    /// Of these chains; only blocks above `floor` are looked for. A row is seen up to `interval` late.
    pub(crate) async fn open(
        url: &str,
        chains: Vec<String>,
        floor: u64,
        interval: Duration,
    ) -> anyhow::Result<Self> {
        let connection = Connection::open(url).await?;
        let sql = "SELECT coalesce((SELECT max(block_number) FROM blocks \
                   WHERE blocks.chain = wanted.chain AND canonical), 0) \
                   FROM unnest($1::text[]) WITH ORDINALITY AS wanted (chain, place) ORDER BY place";
        let highest =
            connection.client.prepare(sql).await.context("prepare the query of the tables")?;
        let seen = vec![floor; chains.len()];
        Ok(Self { connection, highest, chains, seen, interval })
    }

    /// Process id of the server's process behind the connection: what polling costs.
    pub(crate) async fn backend(&self) -> anyhow::Result<u32> {
        self.connection.backend().await
    }

    /// The newest block that was seen in all chains.
    pub(crate) fn seen_in_all(&self) -> u64 {
        self.seen.iter().copied().min().unwrap_or(0)
    }

    /// The blocks that have become visible since it was called last.
    pub(crate) async fn look(&mut self) -> anyhow::Result<Vec<BlockAt>> {
        let rows = self.connection.client.query(&self.highest, &[&self.chains]).await;
        let rows = rows.context("query the tables")?;
        let at_us = now_us();
        let mut news = Vec::new();
        for (chain, (row, seen)) in rows.iter().zip(&mut self.seen).enumerate() {
            let highest = row.get::<_, i64>(0).unsigned_abs();
            news.extend((*seen + 1..=highest).map(|number| BlockAt { chain, number, at_us }));
            *seen = highest.max(*seen);
        }
        Ok(news)
    }

    /// Looks until this block is there in all chains, and says when each was seen.
    pub(crate) async fn watch(
        &mut self,
        number: u64,
        mut seen: impl FnMut(Vec<BlockAt>),
    ) -> anyhow::Result<()> {
        while self.seen_in_all() < number {
            seen(self.look().await?);
            tokio::time::sleep(self.interval).await;
        }
        Ok(())
    }
}
