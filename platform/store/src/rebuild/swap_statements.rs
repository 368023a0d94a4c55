//! The statements of a swap. Pure: objects of both sets in, SQL out.

use std::time::Duration;

use super::inventory::{Inventory, Kind};
use crate::tables::Table;

/// How long an attempt may wait for its first lock; later requests queue up behind it meanwhile.
const MAX_FIRST_WAIT: Duration = Duration::from_secs(2);

/// Each try is a subtransaction, which releases its locks when it fails.
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

/// How long an attempt waits for its locks, all of which it needs at once.
///
/// While it waits for the first lock, it holds none that a reader needs, so it may wait beyond the server's deadlock timeout:
/// later transactions queue up behind it, earlier ones end. While it waits for any other lock, it may deadlock with a reader
/// that needs a lock that it holds and holds one that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// How long it waits for the first lock.
    pub first: Duration,
    /// How long it waits for each of the others; longer than a moment only with a single try.
    pub others: Duration,
    /// How often it tries before it gives up; between two tries it releases everything.
    pub tries: u32,
}

/// Both sets of tables, and the schemas they move to.
#[derive(Debug)]
pub(super) struct SwapStatements {
    pub(super) live: Inventory,
    pub(super) new: Inventory,
    /// The schema that gets the live set.
    pub(super) before: String,
}

impl SwapStatements {
    /// Object identifiers of the tables, views and sequences of both sets.
    pub(super) fn relations(&self) -> Vec<u32> {
        [self.live.relations(), self.new.relations()].concat()
    }

    /// All tables of both sets.
    pub(super) fn tables(&self) -> Vec<String> {
        let of = |set: &Inventory| {
            set.of_kind(Kind::Table).map(|table| set.qualified(table)).collect::<Vec<_>>()
        };
        [of(&self.live), of(&self.new)].concat()
    }

    /// The positions first, then the live tables that are written without moving a position.
    pub(super) fn unstreamed_tables(&self) -> Vec<String> {
        let is_streamed = |name: &str| Table::ALL.iter().any(|table| table.name() == name);
        let mut tables: Vec<_> =
            self.live.of_kind(Kind::Table).filter(|table| !is_streamed(&table.name)).collect();
        tables.sort_by_key(|table| table.name != "positions");
        tables.into_iter().map(|table| self.live.qualified(table)).collect()
    }

    /// The longest time that an attempt with these waits can take, in milliseconds.
    pub(super) fn attempt_limit_ms(&self, waits: Waits, max_wait: Duration) -> u64 {
        let tries = u64::from(waits.tries.max(1));
        max_wait.as_millis() as u64 * tries + waits.first.min(MAX_FIRST_WAIT).as_millis() as u64
    }

    /// One statement that takes all locks or fails.
    ///
    /// Locks that most transactions hold come first: a transaction that begins meanwhile waits there and holds none of the
    /// locks that are still missing. The rest is in random order, so that no access pattern of readers blocks every attempt.
    pub(super) fn take_locks(&self, waits: Waits, max_wait: Duration) -> String {
        let steps: Vec<String> = self
            .relations()
            .iter()
            .flat_map(|relation| {
                self.take_lock(*relation).map(|sql| format!("({relation}, '{sql}')"))
            })
            .collect();
        let milliseconds = |wait: Duration| wait.as_millis().max(1);
        TAKE_LOCKS
            .replace("{steps}", &steps.join(", "))
            .replace("{tries}", &waits.tries.max(1).to_string())
            .replace("{first}", &milliseconds(waits.first.min(MAX_FIRST_WAIT)).to_string())
            .replace("{others}", &milliseconds(waits.others.min(max_wait)).to_string())
    }

    /// The statement that locks a relation. Moving a view locks it; `LOCK` would also lock every partition of the tables that
    /// it reads.
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
            (_, Some(new)) if new.kind.is_view() && !self.live.has_view(&new.name) => {
                Some(self.new.move_to(&self.live.schema, &new))
            }
            _ => None,
        }
    }

    /// Everything but views. Functions first: their arguments may be rows of tables.
    pub(super) fn moves(&self) -> Vec<String> {
        let mut statements = self.moves_of(Kind::Routine);
        statements.extend(self.search_paths());
        statements.extend(self.moves_of(Kind::Table));
        statements.extend(self.moves_of(Kind::Sequence));
        statements
    }

    /// The live objects move out, then the new ones take their place.
    fn moves_of(&self, kind: Kind) -> Vec<String> {
        let steps = [(&self.live, &self.before), (&self.new, &self.live.schema)];
        let moves = steps.into_iter().flat_map(|(set, target)| {
            set.of_kind(kind).map(move |object| set.move_to(target, object))
        });
        moves.collect()
    }

    /// A function with a search path of its own must find the tables of its set in their new schema.
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
}

/// A search path with one schema replaced by another; `None` when it does not name it.
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
