//! Our values as PostgreSQL's types.

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

/// Microseconds from 1970 to 2000, the epoch of PostgreSQL.
pub(crate) const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// A `timestamptz`, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp(pub(crate) i64);

type SqlError = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Timestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        out.put_i64(self.0.saturating_sub(EPOCH_2000_US));
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

/// A height as a `bigint`. Those beyond 2^63 are refused when rows are encoded.
pub(crate) fn height(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
