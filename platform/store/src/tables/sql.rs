//! The statements that write rows into their table.

use crate::tables::Table;

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

    pub(crate) fn merge_sql(self) -> String {
        format!(
            "INSERT INTO {name} ({columns}) SELECT {columns} FROM stage_{name} ON CONFLICT DO NOTHING",
            name = self.name(),
            columns = self.column_list(),
        )
    }

    fn copy_into(self, target: &str) -> String {
        format!("COPY {target} ({}) FROM STDIN (FORMAT binary)", self.column_list())
    }
}
