//! A row as the JSON form of a body: every column under its name.

use crypto_intel_schemas::{Address, B256};
use serde_json::{Map, Value};
use tokio_postgres::{Row, types::FromSql};

use crate::{copy_format::row_sink::ColumnType, tables::Table};

/// The fields of a body by their names on the wire.
pub(super) type Body = Map<String, Value>;

/// The columns of a table as a list of expressions that [`body_of`] reads, with `alias` as its name.
pub(super) fn select_list(table: Table) -> String {
    let expressions = table.columns().iter().map(|column| {
        let name = column.name;
        match column.column_type {
            ColumnType::Numeric | ColumnType::Json => format!("t.{name}::text"),
            ColumnType::Time => micros(&format!("t.{name}")),
            _ => format!("t.{name}"),
        }
    });
    expressions.collect::<Vec<_>>().join(", ")
}

/// A time as microseconds since 1970.
pub(super) fn micros(expression: &str) -> String {
    format!("(extract(epoch FROM {expression}) * 1000000)::bigint")
}

/// Every column that is not NULL; a time has `_us` at the end of its name.
pub(super) fn body_of(table: Table, row: &Row) -> Result<Body, tokio_postgres::Error> {
    let mut body = Body::new();
    for (at, column) in table.columns().iter().enumerate() {
        let value = match column.column_type {
            ColumnType::Text | ColumnType::Numeric => get::<String>(row, at)?.map(Value::from),
            ColumnType::Bytes | ColumnType::Address => get::<&[u8]>(row, at)?.map(hex),
            ColumnType::Boolean => get::<bool>(row, at)?.map(Value::from),
            ColumnType::Int2 => get::<i16>(row, at)?.map(Value::from),
            ColumnType::Int4 => get::<i32>(row, at)?.map(Value::from),
            ColumnType::Int8 | ColumnType::Time => get::<i64>(row, at)?.map(Value::from),
            ColumnType::Texts => get::<Vec<String>>(row, at)?.map(Value::from),
            ColumnType::ByteArrays => get::<Vec<&[u8]>>(row, at)?
                .map(|values| values.into_iter().map(hex).collect::<Vec<_>>().into()),
            // What was JSON when it was written is JSON.
            ColumnType::Json => {
                get::<&str>(row, at)?.map(|text| serde_json::from_str(text).unwrap_or(Value::Null))
            }
        };
        let Some(value) = value else { continue };
        let name = match column.column_type {
            ColumnType::Time => format!("{}_us", column.name),
            _ => column.name.to_owned(),
        };
        body.insert(name, value);
    }
    Ok(body)
}

fn get<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Result<Option<T>, tokio_postgres::Error> {
    row.try_get(at)
}

/// Bytes as the wire's JSON has them.
pub(super) fn hex(bytes: &[u8]) -> Value {
    format!("0x{}", alloy_primitives::hex::encode(bytes)).into()
}

/// A number of a body; 0 where it has none.
pub(super) fn number(body: &Body, name: &str) -> i64 {
    body.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// A text of a body; empty where it has none.
pub(super) fn text<'b>(body: &'b Body, name: &str) -> &'b str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A hash of a body.
pub(super) fn hash(body: &Body, name: &str) -> B256 {
    text(body, name).parse().unwrap_or_default()
}

/// An address of a body.
pub(super) fn address(body: &Body, name: &str) -> Address {
    text(body, name).parse().unwrap_or_default()
}
