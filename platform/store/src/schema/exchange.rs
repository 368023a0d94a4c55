//! Exchanges two sets of tables in one transaction, while others read and write.
//!
//! A reader waits for one attempt at a time, and is never the victim of a deadlock: an attempt gives up well
//! before the server's deadlock detector wakes, whichever lock it lacks.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::error::SqlState;

use super::{
    SchemaName, grants,
    inventory::{Inventory, Kind},
};
use crate::{Store, StoreError, StreamPosition, Table, migrate::MIGRATION_LOCK, position::read};

/// How long vacuums and writers are waited for: these wait for us as soon as we wait for them.
const WRITERS_TIMEOUT_MS: u64 = 10_000;
/// The exchange itself is some hundred changes of the catalogue.
const MOVE_TIMEOUT_MS: u64 = 60_000;
/// An attempt may take this part of the server's deadlock timeout.
const PART_OF_DEADLOCK_TIMEOUT: u64 = 3;
/// How long an attempt may wait for its first lock, and all who come meanwhile behind it.
const LONGEST_FIRST_WAIT: Duration = Duration::from_secs(2);
/// A connection that was forgotten must not hold up the writers for ever.
const IDLE_TIMEOUT_MS: u64 = 300_000;

/// Each try is a subtransaction: what it had is released with it.
const TAKE_LOCKS: &str = "
DO $exchange$
DECLARE step record; is_first boolean;
BEGIN
  FOR try IN 1 .. {tries} LOOP
    BEGIN
      PERFORM set_config('lock_timeout', '{first}', true);
      PERFORM set_config('crypto_intel.try_began', clock_timestamp()::text, true);
      is_first := true;
      FOR step IN
        SELECT sql FROM (VALUES {steps}) AS steps (wanted, sql)
        LEFT JOIN pg_locks ON relation = wanted AND locktype = 'relation' AND granted AND pid <> pg_backend_pid()
        GROUP BY wanted, sql ORDER BY count(pid) DESC, random()
      LOOP
        EXECUTE step.sql;
        IF is_first THEN
          PERFORM set_config('lock_timeout', '{others}', true);
          is_first := false;
        END IF;
      END LOOP;
      RETURN;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      PERFORM pg_sleep(random() * 0.02);
    END;
  END LOOP;
  RAISE lock_not_available;
END $exchange$";

/// A transaction in which nobody writes to the live tables, and which can exchange them. Dropped without
/// [`commit`](Self::commit) it undoes everything.
pub struct Exchange {
    client: Option<Object>,
    live: Inventory,
    new: Inventory,
    before: String,
    longest_wait_ms: u64,
    rights_left_out: Vec<String>,
}

/// How an attempt tries to have all locks at once.
///
/// While it waits for the first one it holds nothing that a reader lacks, so that it may wait beyond the server's deadlock
/// timeout: who comes meanwhile waits behind it, and who is there ends. While it waits for another, readers may wait for
/// it: who holds what it lacks and needs what it has lets it wait in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// How long it waits for the first lock.
    pub first: Duration,
    /// How long it waits for each of the others. More than a moment only where there is a single try.
    pub others: Duration,
    /// How often it tries before it gives up; between two tries all is released.
    pub tries: u32,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Exchange").field("before", &self.before).finish_non_exhaustive()
    }
}

impl Store {
    /// Begins an exchange of the live tables, which this store is connected to, with those of a schema. From here on
    /// writers wait; readers do not.
    ///
    /// # Errors
    /// When somebody holds the tables for long, which is transient, or a statement fails.
    pub async fn begin_exchange(&self, new: &SchemaName) -> Result<Exchange, StoreError> {
        let home = self.home().await?;
        let longest_wait_ms = self.deadlock_timeout_ms().await? / PART_OF_DEADLOCK_TIMEOUT;
        let (new_set, live) = self.inventories(new.as_str(), &home.schema).await?;
        if !new_set.of_kind(Kind::Table).any(|table| table.name == "positions") {
            return Err(StoreError::Refusal {
                reason: format!("schema {new} holds no tables of ours"),
            });
        }
        let mut exchange = Exchange {
            client: Some(self.client().await?),
            live,
            new: new_set,
            before: new.before(),
            longest_wait_ms: longest_wait_ms.max(50),
            rights_left_out: Vec::new(),
        };
        exchange.rights_left_out = exchange.lock_out_writers().await?;
        Ok(exchange)
    }

    /// Cancels jobs of TimescaleDB that hold tables or views of ours, as far as this user may; the server runs them again by
    /// itself. Returns how many.
    ///
    /// # Errors
    /// When the database does not answer, or a job is not this user's.
    pub async fn cancel_jobs(&self) -> Result<i64, StoreError> {
        let client = self.client().await?;
        // A job's process bears its name and number.
        let sql = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity AS activity \
                   WHERE backend_type <> 'client backend' AND application_name ~ ' \\[[0-9]+\\]$' \
                   AND datname = current_database() AND EXISTS ( \
                   SELECT FROM pg_locks WHERE pg_locks.pid = activity.pid AND locktype = 'relation' AND granted)";
        let row = client.query_one(sql, &[]).await;
        Ok(row.map_err(StoreError::sql("cancel TimescaleDB's jobs"))?.get(0))
    }

    async fn deadlock_timeout_ms(&self) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT setting::bigint FROM pg_settings WHERE name = 'deadlock_timeout'";
        let row = client.query_one(sql, &[]).await;
        let row = row.map_err(StoreError::sql("ask for the deadlock timeout"))?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// Removes the schema that an exchange has emptied, where nothing else is in it.
    ///
    /// # Errors
    /// When something is in it.
    pub async fn drop_empty_schema(&self, schema: &SchemaName) -> Result<(), StoreError> {
        let client = self.client().await?;
        client
            .batch_execute(&format!("DROP SCHEMA IF EXISTS {schema}"))
            .await
            .map_err(StoreError::sql("remove the emptied schema"))
    }
}

impl Exchange {
    /// Statements that would give rights or options of the live tables to the new ones and that the server refuses.
    #[must_use]
    pub fn rights_left_out(&self) -> &[String] {
        &self.rights_left_out
    }

    async fn lock_out_writers(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client()?;
        // Under another name: writers end a session of their own name that stands still and holds their locks.
        let begin = format!(
            "BEGIN; SET LOCAL application_name = 'crypto-intel swap'; \
             SET LOCAL lock_timeout = {WRITERS_TIMEOUT_MS}; \
             SET LOCAL statement_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {IDLE_TIMEOUT_MS}; \
             SELECT pg_advisory_xact_lock({MIGRATION_LOCK})",
            WRITERS_TIMEOUT_MS * 3
        );
        client.batch_execute(&begin).await.map_err(StoreError::sql("begin the exchange"))?;
        // A vacuum would hold up the exchange for as long as it takes; one of the server's own gives way to this lock.
        self.lock(&self.tables(), "SHARE UPDATE EXCLUSIVE").await?;
        // Whoever writes rows moves a position first: behind this lock nobody is in the middle.
        self.lock(&self.written_aside(), "EXCLUSIVE").await?;
        let create = format!("CREATE SCHEMA {}", self.before);
        client
            .batch_execute(&create)
            .await
            .map_err(StoreError::sql("make room for the old tables"))?;
        grants::copy(client, &self.live, &self.new).await
    }

    async fn lock(&self, tables: &[String], mode: &str) -> Result<(), StoreError> {
        let list: Vec<String> = tables.iter().map(|table| format!("ONLY {table}")).collect();
        let sql = format!("LOCK TABLE {} IN {mode} MODE", list.join(", "));
        self.client()?.batch_execute(&sql).await.map_err(StoreError::sql("lock the tables"))
    }

    /// All tables of both sets.
    fn tables(&self) -> Vec<String> {
        let of = |set: &Inventory| {
            set.of_kind(Kind::Table).map(|table| set.qualified(table)).collect::<Vec<_>>()
        };
        [of(&self.live), of(&self.new)].concat()
    }

    /// The positions, then what is written without moving one.
    fn written_aside(&self) -> Vec<String> {
        let is_told = |name: &str| Table::ALL.iter().any(|table| table.name() == name);
        let mut tables: Vec<_> =
            self.live.of_kind(Kind::Table).filter(|table| !is_told(&table.name)).collect();
        tables.sort_by_key(|table| table.name != "positions");
        tables.into_iter().map(|table| self.live.qualified(table)).collect()
    }

    /// Where the live streams are; they stay there.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn positions(&self) -> Result<Vec<(String, StreamPosition)>, StoreError> {
        let sql = format!(
            "SELECT sequence, stored_at_us, revision, stream FROM {}.positions",
            self.live.schema
        );
        let rows = self.client()?.query(&sql, &[]).await;
        let rows = rows.map_err(StoreError::sql("read the live positions"))?;
        Ok(rows.iter().map(|row| (row.get(3), read(row))).collect())
    }

    /// Tries to have all locks at once and to exchange everything; `false` when somebody was in the way, and then nothing
    /// has changed and nobody waits for us but writers.
    ///
    /// # Errors
    /// When a statement fails for another reason.
    pub async fn attempt(&self, waits: Waits) -> Result<bool, StoreError> {
        let client = self.client()?;
        let first_ms = waits.first.min(LONGEST_FIRST_WAIT).as_millis() as u64;
        let limit_ms = self.longest_wait_ms * u64::from(waits.tries.max(1)) + first_ms;
        let begin = format!("SAVEPOINT attempt; SET LOCAL statement_timeout = {limit_ms}");
        client.batch_execute(&begin).await.map_err(StoreError::sql("begin an attempt"))?;
        match client.batch_execute(&self.take_locks(waits)).await {
            Ok(()) => {}
            Err(error) if is_in_the_way(&error) => {
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
            self.moves().join("; ")
        );
        client.batch_execute(&sql).await.map_err(StoreError::sql("exchange the tables"))?;
        Ok(true)
    }

    /// One statement that takes all locks, or fails. What most transactions hold comes first: who then begins one waits
    /// there and holds nothing that we lack. The rest in random order, so that no habit of readers is in the way for ever.
    fn take_locks(&self, waits: Waits) -> String {
        let relations = [self.live.relations(), self.new.relations()].concat();
        let steps: Vec<String> = relations
            .iter()
            .flat_map(|relation| {
                self.take_lock(*relation).map(|sql| format!("({relation}, '{sql}')"))
            })
            .collect();
        let milliseconds = |wait: Duration| wait.as_millis().max(1);
        TAKE_LOCKS
            .replace("{steps}", &steps.join(", "))
            .replace("{tries}", &waits.tries.max(1).to_string())
            .replace("{first}", &milliseconds(waits.first.min(LONGEST_FIRST_WAIT)).to_string())
            .replace("{others}", &milliseconds(waits.others.min(self.longest_wait())).to_string())
    }

    /// What locks a relation. Views are locked by moving them: `LOCK` would go on to every partition of what they read.
    fn take_lock(&self, relation: u32) -> Option<String> {
        let find = |set: &Inventory| set.objects.iter().find(|one| one.oid == relation).cloned();
        let lock =
            |table: String| Some(format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE"));
        match (find(&self.live), find(&self.new)) {
            (Some(old), _) if old.kind == Kind::Table => lock(self.live.qualified(&old)),
            (_, Some(new)) if new.kind == Kind::Table => lock(self.new.qualified(&new)),
            (Some(old), _) if old.kind.is_view() => {
                let twin = self.new.objects.iter().find(|new| new.name == old.name);
                let twin = twin.filter(|new| new.kind.is_view());
                let mut moves = vec![self.live.move_to(&self.before, &old)];
                moves.extend(twin.map(|new| self.new.move_to(&self.live.schema, new)));
                Some(moves.join("; "))
            }
            // With its twin.
            (_, Some(new)) if new.kind.is_view() && !self.live.has_view(&new.name) => {
                Some(self.new.move_to(&self.live.schema, &new))
            }
            _ => None,
        }
    }

    /// Everything but views. Functions first: their arguments may be rows of tables.
    fn moves(&self) -> Vec<String> {
        let mut statements = self.moves_of(Kind::Routine);
        statements.extend(self.search_paths());
        statements.extend(self.moves_of(Kind::Table));
        statements.extend(self.moves_of(Kind::Sequence));
        statements
    }

    /// What is live goes, then what is new takes its place.
    fn moves_of(&self, kind: Kind) -> Vec<String> {
        let steps = [(&self.live, &self.before), (&self.new, &self.live.schema)];
        let moves = steps.into_iter().flat_map(|(set, target)| {
            set.of_kind(kind).map(move |object| set.move_to(target, object))
        });
        moves.collect()
    }

    /// A function that brings its own search path shall find the tables of its set, wherever they are now.
    fn search_paths(&self) -> Vec<String> {
        let steps = [(&self.live, &self.before), (&self.new, &self.live.schema)];
        let mut statements = Vec::new();
        for (set, target) in steps {
            for routine in set.of_kind(Kind::Routine) {
                let path = routine.search_path.as_deref();
                let Some(path) = path.and_then(|path| relocate(path, &set.schema, target)) else {
                    continue;
                };
                let name = &routine.sql_name;
                statements.push(format!("ALTER ROUTINE {target}.{name} SET search_path = {path}"));
            }
        }
        statements
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

    /// Makes it so. After an error it is unknown whether it is: look which schemas there are.
    ///
    /// # Errors
    /// When the connection is lost meanwhile.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let commit = self.client()?.batch_execute("COMMIT").await;
        commit.map_err(StoreError::sql("commit the exchange"))?;
        drop(self.client.take());
        Ok(())
    }

    /// Who holds locks on the tables for longer than a moment: one line each.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn holders(&self) -> Result<Vec<String>, StoreError> {
        let relations = [self.live.relations(), self.new.relations()].concat();
        let rows = self
            .client()?
            .query(
                "SELECT DISTINCT ON (xact_start, activity.pid) format('%s of %s (process %s), for %s s: %s', \
                 coalesce(nullif(application_name, ''), 'somebody'), coalesce(usename, 'the server'), activity.pid, \
                 extract(epoch FROM clock_timestamp() - xact_start)::int, left(query, 60)) \
                 FROM pg_locks JOIN pg_stat_activity AS activity USING (pid) \
                 WHERE locktype = 'relation' AND relation = ANY ($1) AND granted AND pid <> pg_backend_pid() \
                 AND xact_start < clock_timestamp() - interval '1 second' ORDER BY xact_start LIMIT 3",
                &[&relations],
            )
            .await
            .map_err(StoreError::sql("ask who holds the tables"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// How long an attempt may wait: well below the server's deadlock timeout.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        Duration::from_millis(self.longest_wait_ms)
    }

    fn client(&self) -> Result<&Object, StoreError> {
        // Only a committed exchange has none, and committing takes it by value.
        self.client.as_ref().ok_or(StoreError::PoolExhausted)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

fn is_in_the_way(error: &tokio_postgres::Error) -> bool {
    [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED]
        .iter()
        .any(|code| error.code() == Some(code))
}

/// A search path with one schema exchanged for another; `None` when it does not name it.
fn relocate(path: &str, from: &str, to: &str) -> Option<String> {
    let plain = |name: &str| name.trim().trim_matches('"').to_owned();
    let names: Vec<String> = path.split(',').map(plain).collect();
    let from = plain(from);
    if !names.contains(&from) {
        return None;
    }
    let moved = names.into_iter().map(|name| if name == from { plain(to) } else { name });
    Some(moved.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_path_follows_its_tables() {
        let path = relocate("rebuilt, \"$user\", pg_temp", "rebuilt", "public");
        assert_eq!(path.as_deref(), Some("\"public\", \"$user\", \"pg_temp\""));
        assert_eq!(relocate("pg_catalog", "rebuilt", "public"), None);
    }
}
