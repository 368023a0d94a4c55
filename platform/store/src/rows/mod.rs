//! Events as rows of PostgreSQL's binary COPY format.

pub(crate) mod row_set;
pub(crate) mod row_writer;
