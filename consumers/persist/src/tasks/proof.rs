//! Compares balances with what was stored between them, now and then.

use std::time::Duration;

use crypto_intel_nats::Leadership;
use crypto_intel_service::now_us;
use crypto_intel_store::{BalanceDifference, Store};

use super::LeaderTask;
use crate::{hint::with_hint, metrics::Metrics};

const INTERVAL: Duration = Duration::from_secs(600);
/// What is this old is whole: the blocks that a balance names are stored before it.
const SETTLED_US: i64 = 60_000_000;
/// Width of the time that one question compares.
const SLICE_US: i64 = 60_000_000;
/// Balances that one question compares at most.
const MOST: u32 = 5_000;
/// Differences that are told one by one; the others are counted.
const TOLD: usize = 10;

/// Proves balances for as long as the process runs.
#[derive(Debug)]
pub(crate) struct ProofTask {
    pub(crate) leadership: Leadership,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
}

impl LeaderTask for ProofTask {
    fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    fn purpose(&self) -> String {
        "compare balances with transfers".to_owned()
    }

    async fn run_term(&self) -> anyhow::Result<()> {
        // What another leader left is compared from one interval back on; all of the past at any time by the function
        // `balance_differences`.
        let mut since = now_us() - INTERVAL.as_micros() as i64;
        loop {
            let until = now_us() - SETTLED_US;
            self.compare(since, until).await?;
            since = until.max(since);
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl ProofTask {
    async fn compare(&self, since_us: i64, until_us: i64) -> anyhow::Result<()> {
        let (mut from, mut readings, mut found) = (since_us, 0, Vec::new());
        while from < until_us {
            let to = until_us.min(from + SLICE_US);
            let proof = self.store.prove_balances(from, to, MOST).await.map_err(with_hint)?;
            if proof.readings > u64::from(MOST) {
                tracing::info!(
                    readings = proof.readings,
                    compared = MOST,
                    "too many balances in a minute: not all were compared with transfers"
                );
            }
            readings += proof.readings;
            found.extend(proof.differences);
            from = to;
        }
        self.tell(&found);
        let count = found.len();
        self.leadership
            .probe()
            .healthy(format!("of {readings} balances {count} were not what transfers make"));
        Ok(())
    }

    fn tell(&self, found: &[BalanceDifference]) {
        for difference in found {
            let labels = [difference.chain.as_str(), difference.reason.as_str()];
            self.metrics.balance_differences.with_label_values(&labels).inc();
        }
        for difference in found.iter().take(TOLD) {
            let BalanceDifference { chain, address, asset, from_block, to_block, .. } = difference;
            tracing::info!(
                chain,
                %address,
                asset,
                from_block,
                to_block,
                difference = difference.difference,
                reason = difference.reason,
                "a balance is not what the transfers before it make"
            );
        }
        if found.len() > TOLD {
            tracing::info!(
                others = found.len() - TOLD,
                hint = "SELECT * FROM balance_differences(now() - interval '20 minutes')",
                "more balances are not what the transfers before them make"
            );
        }
    }
}
