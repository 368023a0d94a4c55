//! Optional fields of answers: a field that is not needed never makes a block invalid, however malformed it is.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};

use crate::hex::{FromHex, Hex};

/// A field that counts as absent if it cannot be read as a `T`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lenient<T>(pub(crate) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy> Lenient<T> {
    pub(crate) fn get(&self) -> Option<T> {
        self.0
    }
}

/// What a field may hold.
pub(crate) trait Field<'de>: Sized {
    fn from_text(text: &str) -> Option<Self>;
    fn from_borrowed(text: &'de str) -> Option<Self> {
        Self::from_text(text)
    }
    fn from_number(_number: u64) -> Option<Self> {
        None
    }
}

impl<T: FromHex> Field<'_> for T {
    fn from_text(text: &str) -> Option<Self> {
        Self::from_hex(text)
    }

    fn from_number(number: u64) -> Option<Self> {
        <Self as FromHex>::from_number(number)
    }
}

impl<'de: 'a, 'a> Field<'de> for &'a str {
    fn from_text(_text: &str) -> Option<Self> {
        // The text has escapes: no hex text has any.
        None
    }

    fn from_borrowed(text: &'de str) -> Option<Self> {
        Some(text)
    }
}

impl<'de, T: Field<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientVisitor(PhantomData))
    }
}

struct LenientVisitor<T>(PhantomData<T>);

impl<'de, T: Field<'de>> de::Visitor<'de> for LenientVisitor<T> {
    type Value = Lenient<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Lenient(T::from_borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Lenient(T::from_text(text)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Lenient(T::from_number(number)))
    }

    fn visit_i64<E>(self, _number: i64) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }

    fn visit_f64<E>(self, _number: f64) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }

    fn visit_bool<E>(self, _is: bool) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Lenient(None))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(Lenient(None))
    }
}

/// A field that events depend on: absent if it is null, `""` or `"0x"`, which some nodes write for nothing; any other
/// unreadable value makes the answer invalid, because an event would be missing or wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decisive<T>(pub(crate) Option<T>);

impl<T> Default for Decisive<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: FromHex> Deserialize<'de> for Decisive<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<OrEmpty<T>>::deserialize(deserializer)?.and_then(|field| field.0)))
    }
}

struct OrEmpty<T>(Option<T>);

impl<'de, T: FromHex> Deserialize<'de> for OrEmpty<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrEmptyVisitor<T>(PhantomData<T>);
        impl<T: FromHex> de::Visitor<'_> for OrEmptyVisitor<T> {
            type Value = OrEmpty<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(T::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OrEmpty<T>, E> {
                if matches!(text, "" | "0x") {
                    return Ok(OrEmpty(None));
                }
                let read = Hex::<T>::deserialize(de::value::StrDeserializer::new(text))?;
                Ok(OrEmpty(Some(read.0)))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<OrEmpty<T>, E> {
                let read = Hex::<T>::deserialize(de::value::U64Deserializer::new(number))?;
                Ok(OrEmpty(Some(read.0)))
            }
        }
        deserializer.deserialize_any(OrEmptyVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::{Address, U256};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unreadable_lenient_field_is_absent_and_never_an_error() {
        let odd = ["null", "true", "-1", "1.5", "[1,[2]]", "{\"a\":{}}", "\"\"", "\"0x\"", "\"x\""];
        for text in odd {
            let address: Lenient<Address> = serde_json::from_str(text).unwrap();
            assert_eq!(address.get(), None, "{text}");
        }
        assert_eq!(serde_json::from_str::<Lenient<u64>>("\"0x1b4\"").unwrap().get(), Some(436));
        assert_eq!(serde_json::from_str::<Lenient<u64>>("436").unwrap().get(), Some(436));
        assert_eq!(serde_json::from_str::<Lenient<&str>>("\"0xab\"").unwrap().get(), Some("0xab"));
        assert_eq!(serde_json::from_str::<Lenient<&str>>("\"\\u0030\"").unwrap().get(), None);
    }

    #[test]
    fn a_decisive_field_is_absent_only_if_it_is_empty() {
        for empty in [json!(null), json!(""), json!("0x")] {
            let value: Decisive<U256> = serde_json::from_value(empty).unwrap();
            assert_eq!(value.0, None);
        }
        let value: Decisive<U256> = serde_json::from_value(json!("0x5")).unwrap();
        assert_eq!(value.0, Some(U256::from(5)));
        for odd in [json!("5"), json!("0xzz"), json!(true), json!([]), json!({})] {
            assert!(serde_json::from_value::<Decisive<Address>>(odd).is_err());
        }
    }
}
