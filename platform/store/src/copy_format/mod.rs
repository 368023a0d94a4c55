//! Values in PostgreSQL's binary COPY format.

mod numeric;
pub(crate) mod row_sink;
