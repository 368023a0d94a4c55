use crate::{
    copy_format::row_sink::{ColumnType, RowSink},
    tables::Table,
};

/// Writes one row of PostgreSQL's binary COPY format straight into a buffer: no allocation, no dynamic dispatch. Debug
/// builds compare each column with the table's.
#[derive(Debug)]
pub(crate) struct RowWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    key_end: usize,
    written: usize,
    table: Table,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, table: Table) -> Self {
        let start = out.len();
        // Placeholder for the number of columns, which is known at the end.
        out.extend_from_slice(&[0; 2]);
        Self { out, start, key_end: start, written: 0, table }
    }

    /// Ends the row; returns the offset where its key ends.
    pub(crate) fn finish(self) -> usize {
        let table = self.table;
        debug_assert_eq!(self.written, table.columns().len(), "{table}: a row has all columns");
        debug_assert!(self.key_end > self.start, "{table}: a row says where its key ends");
        // Tables have some twenty columns.
        let columns = (self.written as i16).to_be_bytes();
        self.out[self.start..self.start + 2].copy_from_slice(&columns);
        self.key_end
    }
}

impl RowSink for RowWriter<'_> {
    #[inline]
    fn column(
        &mut self,
        name: &'static str,
        _column_type: ColumnType,
        put: impl FnOnce(&mut Vec<u8>),
    ) {
        debug_assert_eq!(
            Some(name),
            self.table.columns().get(self.written).map(|column| column.name),
            "{}: columns are in their order",
            self.table
        );
        self.written += 1;
        put(self.out);
    }

    fn end_key(&mut self) {
        debug_assert_eq!(self.written, self.table.spec().key.len(), "{}: the key", self.table);
        self.key_end = self.out.len();
    }
}
