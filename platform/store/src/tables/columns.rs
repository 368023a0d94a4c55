//! The columns of each table, derived from its row writer.

use std::sync::LazyLock;

use crypto_intel_schemas::{Kind, samples};

use crate::{
    copy_format::row_sink::{ColumnType, RowSink},
    tables::Table,
};

/// A column, as the table's file writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name in the database.
    pub name: &'static str,
    /// What it holds.
    pub column_type: ColumnType,
}

/// Records the columns of a row and writes nothing.
#[derive(Default)]
struct ColumnList(Vec<Column>);

impl RowSink for ColumnList {
    fn column(
        &mut self,
        name: &'static str,
        column_type: ColumnType,
        _put: impl FnOnce(&mut Vec<u8>),
    ) {
        self.0.push(Column { name, column_type });
    }

    fn end_key(&mut self) {}
}

static COLUMNS: LazyLock<[Vec<Column>; Table::ALL.len()]> = LazyLock::new(|| {
    Table::ALL.map(|table| {
        let kind = table.spec().kinds.first().copied().unwrap_or(Kind::Block);
        let mut columns = ColumnList::default();
        let written = table.put(&mut columns, &samples::sample(kind));
        debug_assert_eq!(written, Ok(()), "{table}: its sample is a row");
        columns.0
    })
});

impl Table {
    /// Its columns in the order in which rows are written: the key first.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        &COLUMNS[self as usize]
    }

    /// The names of its columns as a list.
    pub(super) fn column_list(self) -> String {
        let names: Vec<&str> = self.columns().iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// Whether rows have this column.
    pub(crate) fn has_column(self, name: &str) -> bool {
        self.columns().iter().any(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::RetentionDays;

    #[test]
    fn rows_begin_with_their_key_and_have_their_time_column() {
        for table in Table::ALL {
            let names: Vec<&str> = table.columns().iter().map(|column| column.name).collect();
            assert_eq!(names[..table.spec().key.len()], *table.spec().key, "{table}");
            assert!(names.contains(&table.time_column()), "{table}");
        }
    }

    #[test]
    fn a_table_belongs_to_blocks_if_its_kinds_do() {
        for table in Table::ALL {
            let spec = table.spec();
            for kind in spec.kinds {
                let has_block = samples::sample(*kind).block_fields().is_some();
                assert_eq!(spec.of_block, has_block && !kind.is_lasting(), "{kind} in {table}");
            }
        }
    }

    #[test]
    fn each_retention_setting_names_its_tables() {
        let schema = serde_json::to_value(schemars::schema_for!(RetentionDays)).unwrap();
        for table in Table::ALL {
            let group = table.spec().retention.name();
            let description = schema["properties"][group]["description"].as_str().unwrap();
            let named = format!("`{table}`");
            assert!(
                description.contains(&named),
                "retention_days.{group}: {description:?} lacks {named}"
            );
        }
    }
}
