use anyhow::Context as _;
use crypto_intel_labels::{BookBuilder, LabelBook, SourceInfo, shipped, unpack_each};
use crypto_intel_nats::Kv;

/// A source with its labels, packed.
struct Packed {
    info: SourceInfo,
    labels: bytes::Bytes,
}

/// The book of what is shipped, and of what was imported in place of it or beside it. A source that cannot be read is left out
/// with a warning.
///
/// # Errors
/// When the bucket cannot be read.
pub(super) async fn load(bucket: &Kv) -> anyhow::Result<LabelBook> {
    let mut imported = Vec::new();
    for head in bucket.large_values().await.context("list bucket labels")? {
        let info = serde_json::from_value::<SourceInfo>(head.about).map_err(anyhow::Error::from);
        let labels = bucket.get_large(&head.key).await.map_err(anyhow::Error::from);
        match (info, labels) {
            (Ok(info), Ok(Some((_, labels)))) => imported.push(Packed { info, labels }),
            // It was removed meanwhile: the bucket's next change tells.
            (Ok(_), Ok(None)) => {}
            (Err(error), _) | (_, Err(error)) => ignored(&head.key, &error),
        }
    }
    // Some seconds for a million labels: other tasks go on meanwhile.
    tokio::task::spawn_blocking(move || build(imported)).await.context("put labels together")
}

/// The book of what is shipped alone.
pub(super) fn shipped_only() -> LabelBook {
    build(Vec::new())
}

fn build(imported: Vec<Packed>) -> LabelBook {
    let mut builder = BookBuilder::default();
    let is_replaced = |name: &str| imported.iter().any(|packed| packed.info.name == name);
    let shipped = shipped().into_iter().filter(|source| !is_replaced(&source.info.name));
    let shipped = shipped.map(|source| Packed {
        info: source.info,
        labels: bytes::Bytes::from_static(source.packed),
    });
    let shipped: Vec<Packed> = shipped.collect();
    for Packed { info, labels } in shipped.into_iter().chain(imported) {
        let added = unpack_each(&labels, |label| builder.add(&info, &label));
        if let Err(error) = added {
            ignored(&info.name, &error.into());
        }
    }
    builder.finish()
}

fn ignored(source: &str, error: &anyhow::Error) {
    tracing::warn!(
        source,
        error = %format!("{error:#}"),
        hint = "import the source again, or `crypto-intel labels remove --source` it",
        "labels of a source are unreadable, left out"
    );
}
