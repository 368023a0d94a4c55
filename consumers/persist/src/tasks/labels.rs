//! Follows the bucket `labels` into the tables `labels` and `label_sources`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use crypto_intel_labels::{Label, SourceInfo, shipped, unpack};
use crypto_intel_nats::{Bucket, Kv, Leadership};
use crypto_intel_store::{LabelRow, LabelSourceRow, Store};

use super::LeaderTask;
use crate::hint::with_hint;

/// Keeps the tables up to date for as long as the process runs.
#[derive(Debug)]
pub(crate) struct LabelTask {
    pub(crate) leadership: Leadership,
    pub(crate) store: Store,
}

/// A source that counts.
struct Source {
    info: SourceInfo,
    precedence: i32,
    version: String,
    /// The labels of one that is shipped; others are in the bucket.
    shipped: Option<&'static [u8]>,
}

impl LeaderTask for LabelTask {
    fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    fn purpose(&self) -> String {
        "keep the table of labels".to_owned()
    }

    async fn run_term(&self) -> anyhow::Result<()> {
        self.follow().await.map(|never| match never {})
    }
}

impl LabelTask {
    /// Makes the tables equal to what counts, again after each change. Cancel-safe: a source is replaced in one transaction.
    async fn follow(&self) -> anyhow::Result<std::convert::Infallible> {
        let bucket =
            self.leadership.nats().kv(Bucket::Labels).await.context("open bucket labels")?;
        // Keys of sources have one part, those of their parts have more.
        let mut watch = bucket.watch("*").await.context("watch bucket labels")?;
        watch.load().await;
        loop {
            let sources = sources(&bucket).await?;
            self.make_equal(&bucket, &sources).await?;
            let labels: u64 = sources.values().map(|source| source.info.labels).sum();
            let told = format!("{labels} labels of {} sources are in the table", sources.len());
            self.leadership.probe().healthy(told);
            let changes = watch.next_ready(usize::MAX).await;
            anyhow::ensure!(!changes.is_empty(), "the NATS client was closed");
        }
    }

    async fn make_equal(
        &self,
        bucket: &Kv,
        sources: &BTreeMap<String, Source>,
    ) -> anyhow::Result<()> {
        let stored = self.store.label_sources().await.map_err(with_hint)?;
        for gone in stored.keys().filter(|name| !sources.contains_key(*name)) {
            self.store.remove_labels(gone).await.map_err(with_hint)?;
        }
        let changed =
            sources.iter().filter(|(name, source)| stored.get(*name) != Some(&source.version));
        for (name, source) in changed {
            self.leadership.probe().healthy(format!("labels of {name} wait to be stored"));
            let packed = match source.shipped {
                Some(packed) => packed.into(),
                None => match bucket.get_large(name).await.context("read bucket labels")? {
                    Some((_, packed)) => packed,
                    // Removed meanwhile: the next change tells.
                    None => continue,
                },
            };
            match unpack(&packed) {
                Ok(labels) => self.keep(source, &labels).await?,
                Err(error) => tracing::warn!(
                    source = name,
                    error = %error,
                    hint = "import the source again",
                    "labels of a source are unreadable, the table keeps what it has"
                ),
            }
        }
        Ok(())
    }

    async fn keep(&self, source: &Source, labels: &[Label]) -> anyhow::Result<()> {
        let info = &source.info;
        let row = LabelSourceRow {
            source: &info.name,
            version: &source.version,
            precedence: source.precedence,
            confidence: i16::from(info.confidence),
            licence: &info.licence,
            origin: &info.origin,
            listed_on: info.date.as_deref(),
            imported_at_us: source.shipped.is_none().then_some(info.imported_at_us),
        };
        let rows: Vec<LabelRow<'_>> = labels.iter().map(row_of).collect();
        self.store.keep_labels(row, &rows).await.map_err(with_hint)
    }
}

fn row_of(label: &Label) -> LabelRow<'_> {
    LabelRow {
        address: &label.address,
        chain: label.chain.name(),
        category: &label.category,
        name: &label.name,
        detail: &label.detail,
        confidence: label.confidence.map(i16::from),
    }
}

/// What is shipped, and what was imported in place of it or beside it, by name.
async fn sources(bucket: &Kv) -> anyhow::Result<BTreeMap<String, Source>> {
    let mut sources = BTreeMap::new();
    for (place, shipped) in (1..).zip(shipped()) {
        let info = shipped.info;
        let version = format!("shipped {} {}", info.date.as_deref().unwrap_or("-"), info.labels);
        let name = info.name.clone();
        let source = Source { info, precedence: place, version, shipped: Some(shipped.packed) };
        sources.insert(name, source);
    }
    for head in bucket.large_values().await.context("list bucket labels")? {
        let Ok(info) = serde_json::from_value::<SourceInfo>(head.about) else {
            tracing::warn!(key = head.key, "source in bucket `labels` is unreadable, ignored");
            continue;
        };
        let version = format!("imported {} {}", info.imported_at_us, head.bytes);
        // An import in place of what is shipped stands where that stood.
        let precedence = sources.get(&info.name).map_or(0, |shipped| shipped.precedence);
        sources.insert(info.name.clone(), Source { info, precedence, version, shipped: None });
    }
    Ok(sources)
}
