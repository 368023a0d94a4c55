//! The tables `labels` and `label_sources`: what addresses are called.

use std::collections::BTreeMap;

use crypto_intel_schemas::AccountAddress;

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// Rows in one statement.
const ROWS_PER_STATEMENT: usize = 5_000;

/// A source of labels, as a row.
#[derive(Debug, Clone, Copy)]
pub struct LabelSourceRow<'a> {
    /// Its name.
    pub source: &'a str,
    /// Changes with its labels.
    pub version: &'a str,
    /// The lowest names an address.
    pub precedence: i32,
    /// Percent.
    pub confidence: i16,
    /// Its terms.
    pub licence: &'a str,
    /// Where it was taken from.
    pub origin: &'a str,
    /// The day that its labels are of, `2026-08-20`.
    pub listed_on: Option<&'a str>,
    /// Microseconds since 1970; `None` for what is shipped.
    pub imported_at_us: Option<i64>,
}

/// A label, as a row.
#[derive(Debug, Clone, Copy)]
pub struct LabelRow<'a> {
    /// Of what.
    pub address: &'a AccountAddress,
    /// A slug, or `all`.
    pub chain: &'a str,
    /// What it is.
    pub category: &'a str,
    /// What it is called; empty for no name.
    pub name: &'a str,
    /// Remarks; may be empty.
    pub detail: &'a str,
    /// Percent, where the label says it.
    pub confidence: Option<i16>,
}

impl Store {
    /// The sources in the table, with their versions.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn label_sources(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let client = self.client().await?;
        let rows = client.query("SELECT source, version FROM label_sources", &[]).await;
        let rows = rows.map_err(StoreError::sql("read the sources of labels"))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Replaces the labels of a source, in one transaction. Of two labels with one key the first counts.
    ///
    /// # Errors
    /// As [`label_sources`](Self::label_sources).
    pub async fn keep_labels(
        &self,
        source: LabelSourceRow<'_>,
        labels: &[LabelRow<'_>],
    ) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let fail = || StoreError::sql("store labels");
        let transaction = client.transaction().await.map_err(fail())?;
        transaction
            .execute("DELETE FROM label_sources WHERE source = $1", &[&source.source])
            .await
            .map_err(fail())?;
        transaction
            .execute(
                "INSERT INTO label_sources (source, version, precedence, confidence, licence, origin, listed_on, imported_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7::text::date, $8)",
                &[
                    &source.source,
                    &source.version,
                    &source.precedence,
                    &source.confidence,
                    &source.licence,
                    &source.origin,
                    &source.listed_on,
                    &source.imported_at_us.map(Timestamp),
                ],
            )
            .await
            .map_err(fail())?;
        for slice in labels.chunks(ROWS_PER_STATEMENT) {
            let addresses: Vec<&[u8]> = slice.iter().map(|row| row.address.as_slice()).collect();
            let chains: Vec<&str> = slice.iter().map(|row| row.chain).collect();
            let categories: Vec<&str> = slice.iter().map(|row| row.category).collect();
            let names: Vec<&str> = slice.iter().map(|row| row.name).collect();
            let details: Vec<&str> = slice.iter().map(|row| row.detail).collect();
            let confidences: Vec<Option<i16>> = slice.iter().map(|row| row.confidence).collect();
            transaction
                .execute(
                    "INSERT INTO labels (source, address, chain, category, name, detail, confidence) \
                     SELECT $1, address, chain, category, nullif(name, ''), nullif(detail, ''), confidence \
                     FROM unnest($2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[]) \
                     AS label (address, chain, category, name, detail, confidence) ON CONFLICT DO NOTHING",
                    &[
                        &source.source,
                        &addresses,
                        &chains,
                        &categories,
                        &names,
                        &details,
                        &confidences,
                    ],
                )
                .await
                .map_err(fail())?;
        }
        transaction.commit().await.map_err(fail())
    }

    /// Forgets a source with its labels.
    ///
    /// # Errors
    /// As [`label_sources`](Self::label_sources).
    pub async fn remove_labels(&self, source: &str) -> Result<(), StoreError> {
        let client = self.client().await?;
        let removed =
            client.execute("DELETE FROM label_sources WHERE source = $1", &[&source]).await;
        removed.map(drop).map_err(StoreError::sql("remove labels"))
    }
}
