//! The interface by which a table's file describes its rows: column by column, by name.

use std::borrow::Cow;

use alloy_primitives::{Address, B256};
use crypto_intel_schemas::{Decimal, Int256, Uint256};

use super::numeric;
use crate::sql_values::EPOCH_2000_US;

/// A value does not fit its column: the event can never be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{column} {value} is out of range")]
pub struct Unstorable {
    /// The column.
    pub column: &'static str,
    /// The value as text.
    pub value: String,
}

pub(crate) fn refuse(column: &'static str, value: impl ToString) -> Unstorable {
    Unstorable { column, value: value.to_string() }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `text`.
    Text,
    /// `bytea`.
    Bytes,
    /// `bytea` of an address.
    Address,
    /// `boolean`.
    Boolean,
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `timestamptz`.
    Time,
    /// `numeric` of up to 256 bits, or an exact decimal.
    Numeric,
    /// `text[]`.
    Texts,
    /// `bytea[]`.
    ByteArrays,
    /// `jsonb`.
    Json,
}

const NULL: [u8; 4] = (-1_i32).to_be_bytes();
const TEXT_OID: i32 = 25;
const BYTEA_OID: i32 = 17;

/// Receives the columns of one row, in order. Everything is inlined into its two implementations: one writes the row, the
/// other lists the columns.
pub(crate) trait RowSink {
    /// Receives one column; `put` appends its length and value in PostgreSQL's binary format.
    fn column(
        &mut self,
        name: &'static str,
        column_type: ColumnType,
        put: impl FnOnce(&mut Vec<u8>),
    );

    /// The columns so far are the key.
    fn end_key(&mut self);

    fn null(&mut self, name: &'static str, column_type: ColumnType) {
        self.column(name, column_type, |out| out.extend_from_slice(&NULL));
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.column(name, ColumnType::Text, |out| field(out, storable(value).as_bytes()));
    }

    fn text_or_null(&mut self, name: &'static str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name, ColumnType::Text),
        }
    }

    fn bytes(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        self.column(name, ColumnType::Bytes, |out| field(out, value.as_ref()));
    }

    fn bytes_or_null(&mut self, name: &'static str, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.bytes(name, value),
            None => self.null(name, ColumnType::Bytes),
        }
    }

    fn address(&mut self, name: &'static str, value: Address) {
        self.column(name, ColumnType::Address, |out| field(out, value.as_slice()));
    }

    fn address_or_null(&mut self, name: &'static str, value: Option<Address>) {
        match value {
            Some(value) => self.address(name, value),
            None => self.null(name, ColumnType::Address),
        }
    }

    fn boolean(&mut self, name: &'static str, value: bool) {
        self.column(name, ColumnType::Boolean, |out| field(out, &[u8::from(value)]));
    }

    fn boolean_or_null(&mut self, name: &'static str, value: Option<bool>) {
        match value {
            Some(value) => self.boolean(name, value),
            None => self.null(name, ColumnType::Boolean),
        }
    }

    fn int2(&mut self, name: &'static str, value: i16) {
        self.column(name, ColumnType::Int2, |out| field(out, &value.to_be_bytes()));
    }

    fn int2_or_null(&mut self, name: &'static str, value: Option<i16>) {
        match value {
            Some(value) => self.int2(name, value),
            None => self.null(name, ColumnType::Int2),
        }
    }

    fn int4(&mut self, name: &'static str, value: i32) {
        self.column(name, ColumnType::Int4, |out| field(out, &value.to_be_bytes()));
    }

    fn int4_or_null(&mut self, name: &'static str, value: Option<i32>) {
        match value {
            Some(value) => self.int4(name, value),
            None => self.null(name, ColumnType::Int4),
        }
    }

    fn int4_from(&mut self, name: &'static str, value: u32) -> Result<(), Unstorable> {
        self.int4(name, i32::try_from(value).map_err(|_| refuse(name, value))?);
        Ok(())
    }

    fn int8(&mut self, name: &'static str, value: i64) {
        self.column(name, ColumnType::Int8, |out| field(out, &value.to_be_bytes()));
    }

    fn int8_from(&mut self, name: &'static str, value: u64) -> Result<(), Unstorable> {
        self.int8(name, i64::try_from(value).map_err(|_| refuse(name, value))?);
        Ok(())
    }

    fn int8_or_null(&mut self, name: &'static str, value: Option<u64>) -> Result<(), Unstorable> {
        match value {
            Some(value) => self.int8_from(name, value),
            None => {
                self.null(name, ColumnType::Int8);
                Ok(())
            }
        }
    }

    /// Microseconds since 1970.
    fn time(&mut self, name: &'static str, time_us: i64) -> Result<(), Unstorable> {
        let value = time_us.checked_sub(EPOCH_2000_US).ok_or_else(|| refuse(name, time_us))?;
        self.column(name, ColumnType::Time, |out| field(out, &value.to_be_bytes()));
        Ok(())
    }

    fn time_or_null(&mut self, name: &'static str, time_us: Option<i64>) -> Result<(), Unstorable> {
        match time_us {
            Some(time_us) => self.time(name, time_us),
            None => {
                self.null(name, ColumnType::Time);
                Ok(())
            }
        }
    }

    fn uint256(&mut self, name: &'static str, value: Uint256) {
        self.column(name, ColumnType::Numeric, |out| numeric::put_u256(out, value.0));
    }

    fn uint256_or_null(&mut self, name: &'static str, value: Option<Uint256>) {
        match value {
            Some(value) => self.uint256(name, value),
            None => self.null(name, ColumnType::Numeric),
        }
    }

    fn int256(&mut self, name: &'static str, value: Int256) {
        self.column(name, ColumnType::Numeric, |out| numeric::put_i256(out, value.0));
    }

    fn int256_or_null(&mut self, name: &'static str, value: Option<Int256>) {
        match value {
            Some(value) => self.int256(name, value),
            None => self.null(name, ColumnType::Numeric),
        }
    }

    fn decimal(&mut self, name: &'static str, value: &Decimal) {
        self.column(name, ColumnType::Numeric, |out| numeric::put_decimal(out, value));
    }

    fn decimal_or_null(&mut self, name: &'static str, value: Option<&Decimal>) {
        match value {
            Some(value) => self.decimal(name, value),
            None => self.null(name, ColumnType::Numeric),
        }
    }

    /// NULL when empty.
    fn texts_or_null(&mut self, name: &'static str, values: &[String]) {
        if values.is_empty() {
            return self.null(name, ColumnType::Texts);
        }
        self.column(name, ColumnType::Texts, |out| {
            let values: Vec<Cow<'_, str>> = values.iter().map(|value| storable(value)).collect();
            let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            array(out, TEXT_OID, &values);
        });
    }

    fn hashes(&mut self, name: &'static str, values: &[B256]) {
        self.column(name, ColumnType::ByteArrays, |out| array(out, BYTEA_OID, values));
    }

    fn json(&mut self, name: &'static str, text: &str) {
        self.column(name, ColumnType::Json, |out| {
            let text = storable_json(text);
            out.extend_from_slice(&(1 + text.len() as i32).to_be_bytes());
            // Version of the binary form.
            out.push(1);
            out.extend_from_slice(text.as_bytes());
        });
    }

    fn json_or_null(&mut self, name: &'static str, text: Option<&str>) {
        match text {
            Some(text) => self.json(name, text),
            None => self.null(name, ColumnType::Json),
        }
    }
}

fn field(out: &mut Vec<u8>, value: &[u8]) {
    // A message is at most a few megabytes.
    out.extend_from_slice(&(value.len() as i32).to_be_bytes());
    out.extend_from_slice(value);
}

fn array(out: &mut Vec<u8>, element: i32, values: &[impl AsRef<[u8]>]) {
    if values.is_empty() {
        // No dimension, no NULLs.
        for word in [12, 0, 0, element] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        return;
    }
    let length: usize = 20 + values.iter().map(|value| 4 + value.as_ref().len()).sum::<usize>();
    // One dimension, no NULLs, type of the elements, their number, lower bound 1.
    for word in [length as i32, 1, 0, element, values.len() as i32, 1] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for value in values {
        field(out, value.as_ref());
    }
}

/// PostgreSQL's text has every character but zero. A zero is replaced, because it is no reason to reject a row.
fn storable(text: &str) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The same for a zero that is written as `\u0000` in JSON, where a backslash itself is written as `\\`.
fn storable_json(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u0000") {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        clean.push_str(&rest[..at]);
        rest = &rest[at..];
        // An escape is at least two characters, both of one byte.
        let (escape, length) = match rest.strip_prefix("\\u0000") {
            Some(_) => ("\u{fffd}", 6),
            None => (&rest[..rest.len().min(2)], 2),
        };
        clean.push_str(escape);
        rest = &rest[length.min(rest.len())..];
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_replaced_and_nothing_else_is() {
        assert_eq!(storable("calm\0down"), "calm\u{fffd}down");
        assert!(matches!(storable("calm"), Cow::Borrowed(_)));
        let said = |text: &str| {
            let json = serde_json::to_string(text).unwrap_or_default();
            storable_json(&json).into_owned()
        };
        assert_eq!(said("a\0b\0"), "\"a\u{fffd}b\u{fffd}\"");
        // A backslash and the word u0000, beside a zero.
        assert_eq!(said("\\u0000 \0"), "\"\\\\u0000 \u{fffd}\"");
        assert_eq!(said("\"\\\n\u{1}\0"), "\"\\\"\\\\\\n\\u0001\u{fffd}\"");
    }
}
