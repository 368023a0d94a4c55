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
    #[cfg(debug_assertions)]
    table: Table,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, #[allow(unused_variables)] table: Table) -> Self {
        let start = out.len();
        // Place for the number of columns, which is known in the end.
        out.extend_from_slice(&[0; 2]);
        Self {
            out,
            start,
            key_end: start,
            written: 0,
            #[cfg(debug_assertions)]
            table,
        }
    }

    /// Ends the row; returns the offset where its key ends.
    pub(crate) fn finish(self) -> usize {
        #[cfg(debug_assertions)]
        {
            let columns = self.table.columns();
            assert_eq!(self.written, columns.len(), "{}: a row has all columns", self.table);
            assert!(self.key_end > self.start, "{}: a row says where its key ends", self.table);
        }
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
        #[allow(unused_variables)] name: &'static str,
        _column_type: ColumnType,
        put: impl FnOnce(&mut Vec<u8>),
    ) {
        #[cfg(debug_assertions)]
        {
            let expected = self.table.columns().get(self.written).map(|column| column.name);
            assert_eq!(Some(name), expected, "{}: columns are in their order", self.table);
        }
        self.written += 1;
        put(self.out);
    }

    fn end_key(&mut self) {
        debug_assert_eq!(self.written, self.table.spec().key.len(), "{}: the key", self.table);
        self.key_end = self.out.len();
    }
}
