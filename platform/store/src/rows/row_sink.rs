use std::borrow::Cow;

use alloy_primitives::{B256, I256, U256};
use crypto_intel_schemas::Decimal;

use crate::{numeric, sql_values::EPOCH_2000_US};

/// A value has no place in its column: the event can never be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{column} {value} is out of range")]
pub struct Unstorable {
    /// The column.
    pub column: &'static str,
    /// The value as text.
    pub value: String,
}

const TEXT_OID: i32 = 25;
const BYTEA_OID: i32 = 17;

/// Writes one row of PostgreSQL's binary COPY format straight into a buffer: no allocation, no dynamic dispatch.
#[derive(Debug)]
pub(crate) struct RowWriter<'a> {
    out: &'a mut Vec<u8>,
    columns: usize,
    written: usize,
}

impl<'a> RowWriter<'a> {
    /// A row of so many columns.
    pub(crate) fn new(out: &'a mut Vec<u8>, columns: usize) -> Self {
        // Tables have some twenty columns.
        out.extend_from_slice(&(columns as i16).to_be_bytes());
        Self { out, columns, written: 0 }
    }

    /// Where the next column begins.
    pub(crate) fn offset(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn finish(self) {
        debug_assert_eq!(self.written, self.columns, "a row must have all columns of its table");
    }

    fn field(&mut self, value: &[u8]) {
        self.written += 1;
        // A message is at most some megabytes.
        self.out.extend_from_slice(&(value.len() as i32).to_be_bytes());
        self.out.extend_from_slice(value);
    }

    pub(crate) fn null(&mut self) {
        self.written += 1;
        self.out.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.field(storable(value).as_bytes());
    }

    pub(crate) fn bytes(&mut self, value: impl AsRef<[u8]>) {
        self.field(value.as_ref());
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.field(&[u8::from(value)]);
    }

    pub(crate) fn int2(&mut self, value: i16) {
        self.field(&value.to_be_bytes());
    }

    pub(crate) fn int8(&mut self, value: i64) {
        self.field(&value.to_be_bytes());
    }

    pub(crate) fn int4_from(&mut self, column: &'static str, value: u32) -> Result<(), Unstorable> {
        let value = i32::try_from(value).map_err(|_| refuse(column, value))?;
        self.field(&value.to_be_bytes());
        Ok(())
    }

    pub(crate) fn int8_from(&mut self, column: &'static str, value: u64) -> Result<(), Unstorable> {
        let value = i64::try_from(value).map_err(|_| refuse(column, value))?;
        self.field(&value.to_be_bytes());
        Ok(())
    }

    pub(crate) fn int4_or_null(&mut self, value: Option<i32>) {
        match value {
            Some(value) => self.field(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// Microseconds since 1970.
    pub(crate) fn time(&mut self, column: &'static str, time_us: i64) -> Result<(), Unstorable> {
        let value = time_us.checked_sub(EPOCH_2000_US).ok_or_else(|| refuse(column, time_us))?;
        self.field(&value.to_be_bytes());
        Ok(())
    }

    pub(crate) fn uint256(&mut self, value: U256) {
        self.written += 1;
        numeric::put_u256(self.out, value);
    }

    pub(crate) fn int256(&mut self, value: I256) {
        self.written += 1;
        numeric::put_i256(self.out, value);
    }

    pub(crate) fn decimal(&mut self, value: &Decimal) {
        self.written += 1;
        numeric::put_decimal(self.out, value);
    }

    pub(crate) fn text_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    pub(crate) fn bytes_or_null(&mut self, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(),
        }
    }

    pub(crate) fn boolean_or_null(&mut self, value: Option<bool>) {
        match value {
            Some(value) => self.boolean(value),
            None => self.null(),
        }
    }

    pub(crate) fn int8_or_null(
        &mut self,
        column: &'static str,
        value: Option<u64>,
    ) -> Result<(), Unstorable> {
        match value {
            Some(value) => self.int8_from(column, value),
            None => {
                self.null();
                Ok(())
            }
        }
    }

    pub(crate) fn uint256_or_null(&mut self, value: Option<U256>) {
        match value {
            Some(value) => self.uint256(value),
            None => self.null(),
        }
    }

    pub(crate) fn decimal_or_null(&mut self, value: Option<&Decimal>) {
        match value {
            Some(value) => self.decimal(value),
            None => self.null(),
        }
    }

    /// `text[]`; NULL when there is nothing in it.
    pub(crate) fn texts_or_null(&mut self, values: &[String]) {
        if values.is_empty() {
            return self.null();
        }
        let values: Vec<Cow<'_, str>> = values.iter().map(|value| storable(value)).collect();
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        self.array(TEXT_OID, &values);
    }

    /// `bytea[]` of hashes.
    pub(crate) fn hashes(&mut self, values: &[B256]) {
        self.array(BYTEA_OID, values);
    }

    fn array(&mut self, element: i32, values: &[impl AsRef<[u8]>]) {
        self.written += 1;
        if values.is_empty() {
            // No dimension, no NULLs.
            for word in [12, 0, 0, element] {
                self.out.extend_from_slice(&word.to_be_bytes());
            }
            return;
        }
        let length: usize = 20 + values.iter().map(|value| 4 + value.as_ref().len()).sum::<usize>();
        // One dimension, no NULLs, elements of this type, so many of them, counted from 1.
        for word in [length as i32, 1, 0, element, values.len() as i32, 1] {
            self.out.extend_from_slice(&word.to_be_bytes());
        }
        for value in values {
            let value = value.as_ref();
            self.out.extend_from_slice(&(value.len() as i32).to_be_bytes());
            self.out.extend_from_slice(value);
        }
    }

    /// `jsonb`.
    pub(crate) fn json(&mut self, text: &str) {
        let text = storable_json(text);
        self.written += 1;
        self.out.extend_from_slice(&(1 + text.len() as i32).to_be_bytes());
        // Version of the binary form.
        self.out.push(1);
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// PostgreSQL's text has every character but zero. Whoever wrote it meant something else: no row is refused for it.
fn storable(text: &str) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The same of a zero that is written as `\u0000` in JSON. A backslash that stands for itself is `\\` there.
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

pub(crate) fn refuse(column: &'static str, value: impl ToString) -> Unstorable {
    Unstorable { column, value: value.to_string() }
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
