//! The statements that write rows into their table.

use crate::tables::Table;

/// What an event of a narrow scope may lack: the parties of its transaction, and what follows from them.
const PARTIES: [&str; 4] = ["tx_from", "tx_to", "method", "watched"];

impl Table {
    /// `COPY` straight into the table; a key that exists fails with 23505.
    #[must_use]
    pub fn copy_sql(self) -> String {
        self.copy_into(self.name())
    }

    pub(crate) fn stage_sql(self) -> String {
        // Defaults are not copied: columns that a stage lacks are not inserted from it either.
        format!(
            "CREATE TEMP TABLE IF NOT EXISTS stage_{name} ON COMMIT DELETE ROWS AS SELECT {columns} FROM {name} WITH NO DATA",
            name = self.name(),
            columns = self.column_list(),
        )
    }

    pub(crate) fn copy_stage_sql(self) -> String {
        self.copy_into(&format!("stage_{}", self.name()))
    }

    /// Existing rows stay as they are, but for the parties of their transaction: a block that was fetched for a narrow scope
    /// has none, and gets them when it comes again for a wider one.
    pub(crate) fn merge_sql(self) -> String {
        let name = self.name();
        let on_conflict = match self.has_column("tx_from") {
            true => {
                let parties = PARTIES.into_iter().filter(|column| self.has_column(column));
                let set: Vec<String> =
                    parties.map(|column| format!("{column} = EXCLUDED.{column}")).collect();
                format!(
                    "({key}) DO UPDATE SET {set} \
                     WHERE {name}.tx_from IS NULL AND EXCLUDED.tx_from IS NOT NULL",
                    key = self.spec().key.join(", "),
                    set = set.join(", "),
                )
            }
            false => "DO NOTHING".to_owned(),
        };
        format!(
            "INSERT INTO {name} ({columns}) SELECT {columns} FROM stage_{name} ON CONFLICT {on_conflict}",
            columns = self.column_list(),
        )
    }

    fn copy_into(self, target: &str) -> String {
        format!("COPY {target} ({}) FROM STDIN (FORMAT binary)", self.column_list())
    }
}
