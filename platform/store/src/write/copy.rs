//! Writes rows into tables by binary COPY.

use std::pin::Pin;

use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::CopyInSink;

use super::transaction::BatchTransaction;
use crate::{
    error::StoreError,
    rows::row_set::{Row, TableRows},
    tables::Table,
};

/// Bytes handed to the connection at once: enough to keep it busy, small enough to stay in the cache.
const CHUNK_BYTES: usize = 128 * 1024;

type Sink = Pin<Box<CopyInSink<Bytes>>>;

impl BatchTransaction {
    /// Copies the rows that `keep` accepts straight into their tables, one after the other; returns how many went into each.
    /// The COPY of the next table is sent while the server finishes the previous one, so it is never idle in between.
    ///
    /// # Errors
    /// As [`copy`](Self::copy), with the table at which it failed.
    pub async fn copy_all(
        &self,
        parts: &[(Table, &TableRows)],
        keep: impl Fn(&Row) -> bool + Sync,
    ) -> Result<Vec<(Table, u64)>, (Table, StoreError)> {
        let mut counts = Vec::with_capacity(parts.len());
        let mut open: Option<(Table, Sink)> = None;
        for (table, rows) in parts {
            if !rows.rows().iter().any(&keep) {
                continue;
            }
            let sql = table.copy_sql();
            let begin = self.begin_copy(&sql, *table);
            let began = match open.take() {
                None => begin.await,
                Some((before, sink)) => {
                    let (ended, began) = futures::join!(finish(before, sink), begin);
                    counts.push((before, ended.map_err(|error| (before, error))?));
                    began
                }
            };
            let mut sink = began.map_err(|error| (*table, error))?;
            for chunk in rows.copy_chunks(CHUNK_BYTES, &keep) {
                // Finishing the copy returns the server's error.
                if sink.feed(chunk).await.is_err() {
                    break;
                }
            }
            open = Some((*table, sink));
        }
        if let Some((table, sink)) = open {
            counts.push((table, finish(table, sink).await.map_err(|error| (table, error))?));
        }
        Ok(counts)
    }

    /// Copies the body of a binary COPY straight into a table; returns how many rows.
    ///
    /// # Errors
    /// A key that exists is [`ErrorClass::Conflict`](crate::ErrorClass::Conflict). After any error drop the transaction.
    pub async fn copy(&self, table: Table, body: Bytes) -> Result<u64, StoreError> {
        self.copy_into(&table.copy_sql(), table, body).await
    }

    /// Writes rows by way of a staging table and skips those whose key exists; returns how many were new.
    ///
    /// # Errors
    /// When a statement fails; drop the transaction then.
    pub async fn merge(&self, table: Table, body: Bytes) -> Result<u64, StoreError> {
        let client = self.client()?;
        let fail = |cause| StoreError::Sql { doing: format!("merge into {table}"), cause };
        client.batch_execute(&table.stage_sql()).await.map_err(fail)?;
        self.copy_into(&table.copy_stage_sql(), table, body).await?;
        client.execute(&table.merge_sql(), &[]).await.map_err(fail)
    }

    async fn copy_into(&self, sql: &str, table: Table, body: Bytes) -> Result<u64, StoreError> {
        let mut sink = self.begin_copy(sql, table).await?;
        let mut rest = body;
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
            if sink.feed(chunk).await.is_err() {
                break;
            }
        }
        finish(table, sink).await
    }

    async fn begin_copy(&self, sql: &str, table: Table) -> Result<Sink, StoreError> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await.map_err(copying(table))?;
        Ok(Box::pin(client.copy_in(&statement).await.map_err(copying(table))?))
    }
}

async fn finish(table: Table, mut sink: Sink) -> Result<u64, StoreError> {
    sink.as_mut().finish().await.map_err(copying(table))
}

fn copying(table: Table) -> impl FnOnce(tokio_postgres::Error) -> StoreError {
    move |cause| StoreError::Sql { doing: format!("copy into {table}"), cause }
}
