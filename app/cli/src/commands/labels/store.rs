use anyhow::Context as _;
use crypto_intel_labels::{Label, SourceInfo, pack, unpack};
use crypto_intel_nats::{Kv, KvError, LargeHead};
use crypto_intel_service::now_us;

/// The bucket `labels`: a large value for each imported source.
#[derive(Debug)]
pub(super) struct LabelStore {
    bucket: Kv,
}

/// A source that was imported.
#[derive(Debug, Clone)]
pub(super) struct Imported {
    pub(super) info: SourceInfo,
    pub(super) bytes: u64,
    /// For what replaces it.
    pub(super) revision: u64,
}

impl LabelStore {
    pub(super) fn new(bucket: Kv) -> Self {
        Self { bucket }
    }

    /// What was imported, by name; what cannot be read is left out with a warning.
    pub(super) async fn imported(&self) -> anyhow::Result<Vec<Imported>> {
        let heads = self.bucket.large_values().await.context("read bucket labels")?;
        let read = |head: LargeHead| match serde_json::from_value(head.about) {
            Ok(info) => Some(Imported { info, bytes: head.bytes, revision: head.revision }),
            Err(error) => {
                tracing::warn!(key = head.key, %error, "source in bucket `labels` is unreadable, ignored");
                None
            }
        };
        Ok(heads.into_iter().filter_map(read).collect())
    }

    /// The labels of an imported source; none where there is no such source.
    pub(super) async fn labels(&self, source: &str) -> anyhow::Result<Vec<Label>> {
        let value = self.bucket.get_large(source).await.context("read bucket labels")?;
        let Some((_, packed)) = value else { return Ok(Vec::new()) };
        unpack(&packed).with_context(|| format!("read the labels of {source}"))
    }

    /// Replaces the labels of a source. Returns what is now known of it.
    pub(super) async fn put(
        &self,
        mut info: SourceInfo,
        labels: &[Label],
    ) -> anyhow::Result<SourceInfo> {
        let imported = self.imported().await?;
        let before = imported.iter().find(|one| one.info.name == info.name);
        info.labels = labels.len() as u64;
        info.imported_at_us = now_us();
        let packed = pack(labels).context("pack the labels")?.into();
        let about = serde_json::to_value(&info).context("describe the source")?;
        let revision = before.map_or(0, |one| one.revision);
        match self.bucket.put_large(&info.name, about, &packed, revision).await {
            Ok(_) => Ok(info),
            Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. }) => {
                anyhow::bail!(
                    "somebody else imported {} meanwhile, nothing is changed: try again if your file is the newer one",
                    info.name
                )
            }
            Err(error) => {
                Err(error).context("write the labels; what was there before is there still")
            }
        }
    }

    /// Forgets a source. `false` where it was not imported.
    pub(super) async fn remove(&self, source: &str) -> anyhow::Result<bool> {
        self.bucket.delete_large(source).await.context("write bucket labels")
    }
}
