use std::collections::{BTreeSet, HashMap};

use crypto_intel_schemas::{Address, Event};

use crate::{error::StoreError, pool::store::Store, read::values::address};

/// What a source says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelLine {
    /// Chain slug, or `all`.
    pub chain: String,
    /// What it is, such as `exchange`.
    pub category: String,
    /// What it is called.
    pub name: Option<String>,
    /// Who says so.
    pub source: String,
    /// How sure, percent.
    pub confidence: u8,
    /// Remarks of the source.
    pub detail: Option<String>,
}

/// What is said of some addresses, the source first that is believed first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelBook {
    lines: HashMap<Address, Vec<LabelLine>>,
}

impl LabelBook {
    /// What is said of an address on a chain, by all sources.
    pub fn of<'b>(
        &'b self,
        chain: &'b str,
        address: &Address,
    ) -> impl Iterator<Item = &'b LabelLine> {
        let lines = self.lines.get(address).into_iter().flatten();
        lines.filter(move |line| line.chain == chain || line.chain == "all")
    }

    /// What is said of an address on any chain.
    #[must_use]
    pub fn all(&self, address: &Address) -> &[LabelLine] {
        self.lines.get(address).map_or(&[], Vec::as_slice)
    }

    /// As events have it: the name by precedence.
    #[must_use]
    pub fn name<'b>(&'b self, chain: &'b str, address: &Address) -> Option<&'b str> {
        self.of(chain, address).find_map(|line| line.name.as_deref())
    }

    /// As events have it: the categories of all sources, `sanctioned` first.
    #[must_use]
    pub fn tags(&self, chain: &str, address: &Address) -> Vec<String> {
        let tags: BTreeSet<(bool, &str)> = self
            .of(chain, address)
            .map(|line| (line.category != "sanctioned", line.category.as_str()))
            .collect();
        tags.into_iter().map(|(_, tag)| tag.to_owned()).collect()
    }
}

impl Store {
    /// What sources say of these addresses.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn labels_of(&self, addresses: &[Address]) -> Result<LabelBook, StoreError> {
        if addresses.is_empty() {
            return Ok(LabelBook::default());
        }
        let wanted: Vec<Vec<u8>> = addresses.iter().map(|address| address.to_vec()).collect();
        // In the order of the function `label_of`.
        let rows = self
            .ask(
                "read labels",
                "SELECT labels.address, labels.chain, labels.category, labels.name, source, \
                 coalesce(labels.confidence, label_sources.confidence), labels.detail \
                 FROM labels JOIN label_sources USING (source) WHERE labels.address = ANY ($1) \
                 ORDER BY precedence, coalesce(labels.confidence, label_sources.confidence) DESC, \
                 listed_on DESC NULLS LAST, source, category",
                &[&wanted],
            )
            .await?;
        let mut book = LabelBook::default();
        for row in &rows {
            book.lines.entry(address(row.get(0))).or_default().push(LabelLine {
                chain: row.get(1),
                category: row.get(2),
                name: row.get(3),
                source: row.get(4),
                confidence: u8::try_from(row.get::<_, i16>(5)).unwrap_or(0),
                detail: row.get(6),
            });
        }
        Ok(book)
    }

    /// Says of both sides of events what labels say now: rows do not keep it (ADR 18).
    ///
    /// # Errors
    /// As [`labels_of`](Self::labels_of).
    pub async fn put_labels(&self, events: &mut [Event]) -> Result<(), StoreError> {
        let sides = events.iter().filter_map(Event::parties);
        let mut addresses: Vec<Address> =
            sides.flat_map(|sides| [sides.from, sides.to]).flatten().collect();
        addresses.sort_unstable();
        addresses.dedup();
        let book = self.labels_of(&addresses).await?;
        for event in events {
            let Some(sides) = event.parties() else { continue };
            let Some(chain) = event.block_fields().map(|block| block.chain.to_owned()) else {
                continue;
            };
            let Some(labels) = event.party_labels_mut() else { continue };
            for (side, label, tags) in [
                (sides.from, labels.from_label, labels.from_tags),
                (sides.to, labels.to_label, labels.to_tags),
            ] {
                let Some(side) = side else { continue };
                *label = book.name(&chain, &side).map(ToOwned::to_owned);
                *tags = book.tags(&chain, &side);
            }
        }
        Ok(())
    }
}
