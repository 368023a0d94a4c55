//! What is in a dump, as `pg_restore --list` prints it.

use std::collections::BTreeSet;
use std::path::Path;

use super::{error::BackupError, programs::PgProgram};

/// Kinds of entries that matter here; the longer one first where one is a prefix of another.
const KINDS: [&str; 10] = [
    "TABLE DATA",
    "TABLE",
    "MATERIALIZED VIEW",
    "VIEW",
    "SEQUENCE",
    "FUNCTION",
    "EXTENSION",
    "COMMENT",
    "DEFAULT ACL",
    "ACL",
];
/// Restored last: without them no program mistakes the database for a complete one.
const LAST_TABLES: [&str; 2] = ["positions", "refinery_schema_history"];

/// The entries of a dump.
#[derive(Debug, Clone)]
pub(super) struct DumpContents {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// The line, which `pg_restore --use-list` reads.
    line: String,
    kind: &'static str,
    schema: String,
    /// Name, with the arguments of a function.
    tag: String,
}

impl DumpContents {
    /// Reads the list that a dump carries.
    pub(super) async fn read(program: &PgProgram, file: &Path) -> Result<Self, BackupError> {
        let output = program.run(program.command().arg("--list").arg(file)).await?;
        Ok(Self::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
        Self { entries: lines.map(Entry::parse).collect() }
    }

    /// Tables of which the dump lacks the definition or the rows.
    pub(super) fn missing(&self, tables: &[String]) -> Vec<String> {
        let of = |kind: &str| -> BTreeSet<String> {
            let of_kind = self.entries.iter().filter(|entry| entry.kind == kind);
            of_kind.map(Entry::name).collect()
        };
        let (definitions, rows) = (of("TABLE"), of("TABLE DATA"));
        let is_missing = |table: &&String| !(definitions.contains(*table) && rows.contains(*table));
        tables.iter().filter(is_missing).cloned().collect()
    }

    /// Objects that the dump creates and a database may have already, `schema.name`.
    pub(super) fn created(&self) -> BTreeSet<String> {
        let kinds = ["TABLE", "MATERIALIZED VIEW", "VIEW", "SEQUENCE", "FUNCTION"];
        self.entries.iter().filter(|entry| kinds.contains(&entry.kind)).map(Entry::name).collect()
    }

    /// The list for the main part: without TimescaleDB's extension, which is created before, without comments on extensions,
    /// which come with the extensions, and without grants, which need their roles.
    pub(super) fn main_list(&self) -> String {
        self.list(|entry| {
            !entry.is_timescaledb()
                && !entry.is_comment_on_extension()
                && !entry.is_grant()
                && !entry.is_rows_of(&LAST_TABLES)
        })
    }

    /// The list of the tables that complete the database.
    pub(super) fn last_list(&self) -> String {
        self.list(|entry| entry.is_rows_of(&LAST_TABLES))
    }

    /// The list of grants.
    pub(super) fn grant_list(&self) -> String {
        self.list(Entry::is_grant)
    }

    fn list(&self, wanted: impl Fn(&Entry) -> bool) -> String {
        let lines = self.entries.iter().filter(|entry| wanted(entry));
        lines.map(|entry| format!("{}\n", entry.line)).collect()
    }
}

impl Entry {
    /// `4261; 0 16398 TABLE DATA public positions postgres`: number, two ids, kind, schema, name, owner.
    fn parse(line: &str) -> Self {
        let rest = line.splitn(4, ' ').nth(3).unwrap_or_default();
        let mut entry =
            Self { line: line.to_owned(), kind: "", schema: String::new(), tag: String::new() };
        for kind in KINDS {
            let Some(rest) = rest.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' ')) else {
                continue;
            };
            let (schema, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let (tag, _owner) = rest.rsplit_once(' ').unwrap_or((rest, ""));
            entry.kind = kind;
            entry.schema = schema.to_owned();
            entry.tag = tag.to_owned();
            break;
        }
        entry
    }

    /// `schema.name`, without the arguments of a function.
    fn name(&self) -> String {
        let name = self.tag.split('(').next().unwrap_or_default();
        format!("{}.{name}", self.schema)
    }

    fn is_timescaledb(&self) -> bool {
        self.kind == "EXTENSION" && self.tag == "timescaledb"
    }

    fn is_comment_on_extension(&self) -> bool {
        self.kind == "COMMENT" && self.tag.starts_with("EXTENSION ")
    }

    fn is_grant(&self) -> bool {
        matches!(self.kind, "ACL" | "DEFAULT ACL")
    }

    fn is_rows_of(&self, tables: &[&str]) -> bool {
        self.kind == "TABLE DATA" && tables.contains(&self.tag.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
;
; Archive created at 2026-11-26 00:20:00 UTC
;     dbname: crypto_intel
2; 3079 16390 EXTENSION - timescaledb \n\
3; 3079 16391 EXTENSION - pg_trgm \n\
4266; 0 0 COMMENT - EXTENSION timescaledb \n\
215; 1259 16386 TABLE public positions postgres
216; 1259 16390 TABLE public blocks postgres
240; 1259 16500 VIEW public v_blocks postgres
239; 1255 16498 FUNCTION public hex_text(bytea) postgres
4261; 0 16386 TABLE DATA public positions postgres
4262; 0 16390 TABLE DATA public blocks postgres
4100; 2606 16400 CONSTRAINT public blocks blocks_pkey postgres
4300; 0 0 ACL public TABLE blocks postgres
4301; 826 16600 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES postgres
";

    #[test]
    fn every_table_needs_its_definition_and_its_rows() {
        let contents = DumpContents::parse(LIST);
        let tables = ["public.positions", "public.blocks", "public.logs"].map(ToOwned::to_owned);
        assert_eq!(contents.missing(&tables), ["public.logs"]);
    }

    #[test]
    fn the_parts_of_a_restore_share_the_entries() {
        let contents = DumpContents::parse(LIST);
        assert_eq!(contents.main_list().lines().count(), 7);
        assert_eq!(contents.last_list(), "4261; 0 16386 TABLE DATA public positions postgres\n");
        assert_eq!(contents.grant_list().lines().count(), 2);
        let created = ["public.blocks", "public.hex_text", "public.positions", "public.v_blocks"];
        assert!(contents.created().iter().map(String::as_str).eq(created));
    }
}
