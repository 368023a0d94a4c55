//! Swaps two sets of tables in one transaction while other sessions read and write.
//!
//! A reader waits for one attempt at a time and is never the victim of a deadlock: an attempt gives up well before the
//! server's deadlock detector runs, whichever lock it waits for.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::error::SqlState;

use super::{
    grants,
    inventory::{Kind, inventories},
    location::LiveSchema,
    swap_statements::{SwapStatements, Waits},
};
use crate::{
    error::StoreError,
    pool::{advisory_locks::MIGRATION_LOCK, schema_name::SchemaName, store::Store},
    stream_position::StreamPosition,
};

/// How long the swap waits for vacuums and writers, which queue up behind it meanwhile.
const WRITERS_TIMEOUT_MS: u64 = 10_000;
/// The swap itself is a few hundred changes of the catalogue.
const MOVE_TIMEOUT_MS: u64 = 60_000;
/// An attempt may take the server's deadlock timeout divided by this.
const PART_OF_DEADLOCK_TIMEOUT: u64 = 3;
const MIN_WAIT_MS: u64 = 50;
/// An abandoned connection must not keep the writers out.
const IDLE_TIMEOUT_MS: u64 = 300_000;

/// A transaction that keeps writers out of the live tables and can swap them. Dropping it without
/// [`commit`](Self::commit) rolls everything back.
pub struct Swap {
    client: Option<Object>,
    statements: SwapStatements,
    max_wait: Duration,
    grants_left_out: Vec<String>,
}

impl std::fmt::Debug for Swap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let before = &self.statements.before;
        formatter.debug_struct("Swap").field("before", before).finish_non_exhaustive()
    }
}

impl Swap {
    /// Begins to swap the live tables, which `store` is connected to, with those of a schema. From here on writers wait;
    /// readers do not.
    ///
    /// # Errors
    /// When other sessions hold the tables for long, which is transient, or when a statement fails.
    pub async fn begin(store: &Store, new: &SchemaName) -> Result<Self, StoreError> {
        let location = LiveSchema::find(store).await?;
        let max_wait_ms = deadlock_timeout_ms(store).await? / PART_OF_DEADLOCK_TIMEOUT;
        let (new_set, live) = inventories(store, new.as_str(), &location.schema).await?;
        if !new_set.of_kind(Kind::Table).any(|table| table.name == "positions") {
            return Err(StoreError::Refusal {
                reason: format!("schema {new} holds no tables of crypto-intel"),
            });
        }
        let mut swap = Self {
            client: Some(store.client().await?),
            statements: SwapStatements { live, new: new_set, before: new.before() },
            max_wait: Duration::from_millis(max_wait_ms.max(MIN_WAIT_MS)),
            grants_left_out: Vec::new(),
        };
        swap.grants_left_out = swap.lock_out_writers().await?;
        Ok(swap)
    }

    /// Statements for grants or options of the live tables that the server refuses for the new ones.
    #[must_use]
    pub fn grants_left_out(&self) -> &[String] {
        &self.grants_left_out
    }

    async fn lock_out_writers(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client()?;
        // Under another name, because writers terminate an idle session of their own name that holds their locks.
        let begin = format!(
            "BEGIN; SET LOCAL application_name = 'crypto-intel swap'; \
             SET LOCAL lock_timeout = {WRITERS_TIMEOUT_MS}; \
             SET LOCAL statement_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {IDLE_TIMEOUT_MS}; \
             SELECT pg_advisory_xact_lock({MIGRATION_LOCK})",
            WRITERS_TIMEOUT_MS * 3
        );
        client.batch_execute(&begin).await.map_err(StoreError::sql("begin the exchange"))?;
        // A running vacuum would delay the swap; an automatic one gives way to this lock.
        self.lock(&self.statements.tables(), "SHARE UPDATE EXCLUSIVE").await?;
        // A writer moves a position before it writes rows: once this lock is held, no writer is in the middle of a batch.
        self.lock(&self.statements.unstreamed_tables(), "EXCLUSIVE").await?;
        let create = format!("CREATE SCHEMA {}", self.statements.before);
        client
            .batch_execute(&create)
            .await
            .map_err(StoreError::sql("create the schema of the old tables"))?;
        grants::copy(client, &self.statements.live, &self.statements.new).await
    }

    async fn lock(&self, tables: &[String], mode: &str) -> Result<(), StoreError> {
        let list: Vec<String> = tables.iter().map(|table| format!("ONLY {table}")).collect();
        let sql = format!("LOCK TABLE {} IN {mode} MODE", list.join(", "));
        self.client()?.batch_execute(&sql).await.map_err(StoreError::sql("lock the tables"))
    }

    /// Positions of the live streams, which do not move until this swap ends.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn positions(&self) -> Result<Vec<(String, StreamPosition)>, StoreError> {
        let sql = format!(
            "SELECT sequence, stored_at_us, revision, stream FROM {}.positions",
            self.statements.live.schema
        );
        let rows = self.client()?.query(&sql, &[]).await;
        let rows = rows.map_err(StoreError::sql("read the live positions"))?;
        Ok(rows.iter().map(|row| (row.get(3), StreamPosition::from_row(row))).collect())
    }

    /// Tries to get all locks at once and to swap everything. `false` when other sessions held locks: then nothing has
    /// changed, and only writers still wait.
    ///
    /// # Errors
    /// When a statement fails for another reason.
    pub async fn attempt(&self, waits: Waits) -> Result<bool, StoreError> {
        let client = self.client()?;
        let limit_ms = self.statements.attempt_limit_ms(waits, self.max_wait);
        let begin = format!("SAVEPOINT attempt; SET LOCAL statement_timeout = {limit_ms}");
        client.batch_execute(&begin).await.map_err(StoreError::sql("begin an attempt"))?;
        match client.batch_execute(&self.statements.take_locks(waits, self.max_wait)).await {
            Ok(()) => {}
            Err(error) if is_lock_conflict(&error) => {
                let undo = client.batch_execute("ROLLBACK TO SAVEPOINT attempt").await;
                undo.map_err(StoreError::sql("undo the attempt"))?;
                return Ok(false);
            }
            Err(cause) => {
                return Err(StoreError::Sql { doing: "lock tables and views".into(), cause });
            }
        }
        let sql = format!(
            "SET LOCAL statement_timeout = {MOVE_TIMEOUT_MS}; DO $exchange$ BEGIN {}; END $exchange$",
            self.statements.moves().join("; ")
        );
        client.batch_execute(&sql).await.map_err(StoreError::sql("exchange the tables"))?;
        Ok(true)
    }

    /// How long readers may have waited for the attempt that succeeded, in milliseconds.
    ///
    /// # Errors
    /// When a statement fails, for instance because no attempt succeeded.
    pub async fn readers_waited_ms(&self) -> Result<u64, StoreError> {
        let sql = "SELECT (extract(epoch FROM clock_timestamp() - \
                   current_setting('crypto_intel.try_began')::timestamptz) * 1000)::bigint";
        let row = self.client()?.query_one(sql, &[]).await;
        Ok(row.map_err(StoreError::sql("measure the attempt"))?.get::<_, i64>(0).unsigned_abs())
    }

    /// Commits the swap. After an error it is unknown whether that succeeded: the existing schemas show it.
    ///
    /// # Errors
    /// When the connection is lost meanwhile.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let commit = self.client()?.batch_execute("COMMIT").await;
        commit.map_err(StoreError::sql("commit the exchange"))?;
        drop(self.client.take());
        Ok(())
    }

    /// Transactions that have held locks on the tables for longer than a moment: one line each.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn holders(&self) -> Result<Vec<String>, StoreError> {
        let relations = self.statements.relations();
        let rows = self
            .client()?
            .query(
                "SELECT DISTINCT ON (xact_start, activity.pid) format('%s of %s (process %s), for %s s: %s', \
                 coalesce(nullif(application_name, ''), 'a session'), coalesce(usename, 'the server'), activity.pid, \
                 extract(epoch FROM clock_timestamp() - xact_start)::int, left(query, 60)) \
                 FROM pg_locks JOIN pg_stat_activity AS activity USING (pid) \
                 WHERE locktype = 'relation' AND relation = ANY ($1) AND granted AND pid <> pg_backend_pid() \
                 AND xact_start < clock_timestamp() - interval '1 second' ORDER BY xact_start LIMIT 3",
                &[&relations],
            )
            .await
            .map_err(StoreError::sql("list the sessions that hold the tables"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The longest time that an attempt may wait for a lock: well below the server's deadlock timeout.
    #[must_use]
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }

    fn client(&self) -> Result<&Object, StoreError> {
        // Committing takes the swap by value, so it cannot be used afterwards.
        self.client.as_ref().ok_or(StoreError::PoolExhausted)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

/// Cancels jobs of TimescaleDB that hold tables or views, as far as this user may; the server reruns them by itself.
/// Returns how many.
///
/// # Errors
/// When the database does not answer, or when a job belongs to another user.
pub async fn cancel_jobs(store: &Store) -> Result<i64, StoreError> {
    let client = store.client().await?;
    // The application name of a job's process ends in the job's number.
    let sql = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity AS activity \
               WHERE backend_type <> 'client backend' AND application_name ~ ' \\[[0-9]+\\]$' \
               AND datname = current_database() AND EXISTS ( \
               SELECT FROM pg_locks WHERE pg_locks.pid = activity.pid AND locktype = 'relation' AND granted)";
    let row = client.query_one(sql, &[]).await;
    Ok(row.map_err(StoreError::sql("cancel TimescaleDB's jobs"))?.get(0))
}

async fn deadlock_timeout_ms(store: &Store) -> Result<u64, StoreError> {
    let client = store.client().await?;
    let sql = "SELECT setting::bigint FROM pg_settings WHERE name = 'deadlock_timeout'";
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(StoreError::sql("ask for the deadlock timeout"))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

fn is_lock_conflict(error: &tokio_postgres::Error) -> bool {
    [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED]
        .iter()
        .any(|code| error.code() == Some(code))
}
