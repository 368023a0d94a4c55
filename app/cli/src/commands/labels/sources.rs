use crypto_intel_labels::{BookBuilder, Label, Shipped, SourceInfo, shipped, unpack};
use crypto_intel_schemas::AccountAddress;
use serde_json::{Value, json};

use super::store::{Imported, LabelStore};
use crate::{
    output::{Output, bytes, table, thousands},
    times::time_text,
};

/// All sources that count: the imported ones, and those that are shipped and not replaced.
#[derive(Debug)]
pub(super) struct Sources {
    imported: Vec<Imported>,
    shipped: Vec<Shipped>,
}

impl Sources {
    pub(super) async fn read(store: &LabelStore) -> anyhow::Result<Self> {
        let imported = store.imported().await?;
        let mut shipped = shipped();
        shipped.retain(|one| !imported.iter().any(|other| other.info.name == one.info.name));
        Ok(Self { imported, shipped })
    }

    pub(super) fn show(&self, output: Output) -> anyhow::Result<()> {
        let imported = self.imported.iter().map(|one| (&one.info, Some(one.bytes)));
        let all = imported.chain(self.shipped.iter().map(|one| (&one.info, None)));
        let described: Vec<Value> =
            all.clone().map(|(info, bytes)| describe(info, bytes)).collect();
        output.show(&described, |_| {
            let rows = all.map(|(info, size)| {
                [
                    info.name.clone(),
                    thousands(info.labels),
                    info.date.clone().unwrap_or_default(),
                    format!("{} %", info.confidence),
                    size.map_or_else(|| "shipped".to_owned(), bytes),
                    info.licence.clone(),
                ]
            });
            table(&["source", "labels", "of", "confidence", "size", "licence"], rows)
        })
    }

    /// What each source says of an address, and what events say of it.
    pub(super) async fn show_address(
        &self,
        store: &LabelStore,
        address: &AccountAddress,
        output: Output,
    ) -> anyhow::Result<()> {
        let mut found: Vec<(&SourceInfo, Label)> = Vec::new();
        for one in &self.imported {
            let labels = store.labels(&one.info.name).await?;
            found.extend(of_address(&one.info, labels, address));
        }
        for one in &self.shipped {
            found.extend(of_address(&one.info, unpack(one.packed)?, address));
        }
        let mut builder = BookBuilder::default();
        for (info, label) in &found {
            builder.add(info, label);
        }
        let book = builder.finish();
        let mut chains: Vec<&str> = found.iter().map(|(_, label)| label.chain.name()).collect();
        chains.sort_unstable();
        chains.dedup();
        let on = |chain: &&str| {
            let known = book.find(book.scope_of(chain), address)?;
            let label = (!known.name.is_empty()).then_some(known.name);
            Some(json!({ "chain": chain, "label": label, "tags": known.tags }))
        };
        let events: Vec<Value> = chains.iter().filter_map(on).collect();
        let labels: Vec<Value> =
            found.iter().map(|(info, label)| describe_label(info, label)).collect();
        let value = json!({ "address": address, "in_events": events, "labels": labels });
        output.show(&value, |_| {
            if found.is_empty() {
                return format!("no source knows {address}");
            }
            let rows = found.iter().map(|(info, label)| {
                [
                    label.chain.name().to_owned(),
                    label.category.clone(),
                    label.name.clone(),
                    info.name.clone(),
                    info.date.clone().unwrap_or_default(),
                    format!("{} %", label.confidence.unwrap_or(info.confidence)),
                    label.detail.clone(),
                ]
            });
            let heading = ["chain", "category", "label", "source", "of", "confidence", "detail"];
            table(&heading, rows)
        })
    }
}

fn of_address<'a>(
    info: &'a SourceInfo,
    labels: Vec<Label>,
    address: &AccountAddress,
) -> Vec<(&'a SourceInfo, Label)> {
    let of_it = labels.into_iter().filter(|label| label.address == *address);
    of_it.map(|label| (info, label)).collect()
}

fn describe(info: &SourceInfo, bytes: Option<u64>) -> Value {
    json!({
        "source": info.name,
        "labels": info.labels,
        "date": info.date,
        "confidence": info.confidence,
        "licence": info.licence,
        "origin": info.origin,
        "shipped": bytes.is_none(),
        "bytes": bytes,
        "imported_at": bytes.map(|_| time_text(info.imported_at_us)),
    })
}

fn describe_label(info: &SourceInfo, label: &Label) -> Value {
    json!({
        "chain": label.chain.name(),
        "category": label.category,
        "label": label.name,
        "detail": label.detail,
        "source": info.name,
        "date": info.date,
        "licence": info.licence,
        "confidence": label.confidence.unwrap_or(info.confidence),
    })
}
