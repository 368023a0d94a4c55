//! Types of parameters, and a reader of their values that trusts no length in the data.

use alloy::dyn_abi::DynSolType;
use alloy_primitives::hex;
use crypto_intel_schemas::{Address, EventValue, I256, U256};

/// Maximum number of values in one event; one with more stays a raw log.
const MAX_VALUES: usize = 4_096;
/// Maximum bytes of all its texts together; an event with more stays a raw log.
const MAX_TEXT: usize = 256 * 1024;
/// Maximum size of one event of a configured ABI in a message: its texts and their prefixes, names and the fields that
/// every event has.
pub const LARGEST_EVENT_BYTES: usize = MAX_TEXT + 8 * MAX_VALUES + 16 * 1024;
/// Maximum nesting of arrays and tuples in a parameter.
const MAX_DEPTH: usize = 8;

/// The type of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AbiType {
    Bool,
    Int(usize),
    Uint(usize),
    Address,
    FixedBytes(usize),
    Bytes,
    Text,
    Array(Box<AbiType>),
    FixedArray(Box<AbiType>, usize),
    Tuple(Vec<AbiType>),
}

impl AbiType {
    /// Converts from alloy's type.
    ///
    /// # Errors
    /// When it is not supported in events.
    pub(super) fn of(found: &DynSolType) -> Result<Self, String> {
        Self::at_level(found, 0)
    }

    fn at_level(found: &DynSolType, level: usize) -> Result<Self, String> {
        if level > MAX_DEPTH {
            return Err(format!("type {found} is nested deeper than {MAX_DEPTH} levels"));
        }
        Ok(match found {
            DynSolType::Bool => Self::Bool,
            DynSolType::Int(bits) => Self::Int(*bits),
            DynSolType::Uint(bits) => Self::Uint(*bits),
            DynSolType::Address => Self::Address,
            DynSolType::FixedBytes(length) => Self::FixedBytes(*length),
            DynSolType::Bytes => Self::Bytes,
            DynSolType::String => Self::Text,
            DynSolType::Array(item) => Self::Array(Box::new(Self::at_level(item, level + 1)?)),
            DynSolType::FixedArray(item, count) if (1..=MAX_VALUES).contains(count) => {
                Self::FixedArray(Box::new(Self::at_level(item, level + 1)?), *count)
            }
            DynSolType::Tuple(items) if !items.is_empty() => Self::Tuple(
                items
                    .iter()
                    .map(|item| Self::at_level(item, level + 1))
                    .collect::<Result<_, _>>()?,
            ),
            other => return Err(format!("type {other} is not supported in events")),
        })
    }

    /// Whether the head has an offset to the value instead of the value.
    fn is_dynamic(&self) -> bool {
        match self {
            Self::Bytes | Self::Text | Self::Array(_) => true,
            Self::FixedArray(item, _) => item.is_dynamic(),
            Self::Tuple(items) => items.iter().any(Self::is_dynamic),
            _ => false,
        }
    }

    /// Whether a value fits into a topic; otherwise the topic has its hash.
    pub(super) fn is_word(&self) -> bool {
        !matches!(
            self,
            Self::Bytes | Self::Text | Self::Array(_) | Self::FixedArray(..) | Self::Tuple(_)
        )
    }

    /// Words in the head: 1 for an offset.
    fn head_words(&self) -> usize {
        match self {
            _ if self.is_dynamic() => 1,
            Self::FixedArray(item, count) => item.head_words().saturating_mul(*count),
            Self::Tuple(items) => {
                items.iter().fold(0, |words, item| words.saturating_add(item.head_words()))
            }
            _ => 1,
        }
    }
}

/// The data does not match the type, or is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads values out of a log's data.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    data: &'a [u8],
    values_left: usize,
    text_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, values_left: MAX_VALUES, text_left: MAX_TEXT }
    }

    /// The values of consecutive parameters whose heads begin at `base`.
    pub(super) fn sequence<'t>(
        &mut self,
        types: impl Iterator<Item = &'t AbiType>,
        base: usize,
    ) -> Result<Vec<EventValue>, Malformed> {
        let mut values = Vec::new();
        let mut head = base;
        for abi_type in types {
            let value = if abi_type.is_dynamic() {
                let start = base.checked_add(self.length(head)?).ok_or(Malformed)?;
                self.dynamic(abi_type, start)?
            } else {
                self.in_place(abi_type, head)?
            };
            values.push(value);
            let bytes = abi_type.head_words().checked_mul(32).ok_or(Malformed)?;
            head = head.checked_add(bytes).ok_or(Malformed)?;
        }
        Ok(values)
    }

    fn dynamic(&mut self, abi_type: &AbiType, start: usize) -> Result<EventValue, Malformed> {
        match abi_type {
            AbiType::Bytes => {
                let bytes = self.bytes(start)?;
                self.text(hex::encode_prefixed(bytes))
            }
            AbiType::Text => {
                let bytes = self.bytes(start)?;
                // PostgreSQL does not accept NUL in text.
                self.text(String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}"))
            }
            AbiType::Array(item) => {
                let count = self.length(start)?;
                let base = start.checked_add(32).ok_or(Malformed)?;
                self.items(item, count, base)
            }
            AbiType::FixedArray(item, count) => self.items(item, *count, start),
            AbiType::Tuple(items) => {
                self.take_value()?;
                self.sequence(items.iter(), start).map(EventValue::List)
            }
            _ => self.in_place(abi_type, start),
        }
    }

    fn in_place(&mut self, abi_type: &AbiType, start: usize) -> Result<EventValue, Malformed> {
        match abi_type {
            AbiType::FixedArray(item, count) => self.items(item, *count, start),
            AbiType::Tuple(items) => {
                self.take_value()?;
                self.sequence(items.iter(), start).map(EventValue::List)
            }
            _ => {
                let word = self.word(start)?;
                self.of_word(abi_type, word)
            }
        }
    }

    fn items(
        &mut self,
        item: &AbiType,
        count: usize,
        base: usize,
    ) -> Result<EventValue, Malformed> {
        self.take_value()?;
        if count > self.values_left {
            return Err(Malformed);
        }
        self.sequence(std::iter::repeat_n(item, count), base).map(EventValue::List)
    }

    /// The value of a word, in data or in a topic.
    pub(super) fn of_word(
        &mut self,
        abi_type: &AbiType,
        word: [u8; 32],
    ) -> Result<EventValue, Malformed> {
        self.take_value()?;
        let number = U256::from_be_bytes(word);
        let text = match abi_type {
            AbiType::Bool => {
                return match number {
                    U256::ZERO => Ok(EventValue::Bool(false)),
                    U256::ONE => Ok(EventValue::Bool(true)),
                    _ => Err(Malformed),
                };
            }
            AbiType::Uint(bits) if number.bit_len() <= *bits => number.to_string(),
            AbiType::Int(bits) => {
                let number = I256::from_raw(number);
                let beyond = number.asr(bits.saturating_sub(1));
                if !beyond.is_zero() && beyond != I256::MINUS_ONE {
                    return Err(Malformed);
                }
                number.to_string()
            }
            // The upper bytes should be zero and are ignored, as by contracts.
            AbiType::Address => format!("{:#x}", Address::from_word(word.into())),
            AbiType::FixedBytes(length) => {
                hex::encode_prefixed(word.get(..*length).ok_or(Malformed)?)
            }
            _ => return Err(Malformed),
        };
        self.text(text)
    }

    /// A topic that is the hash of a value.
    pub(super) fn hash(&mut self, word: [u8; 32]) -> Result<EventValue, Malformed> {
        self.text(hex::encode_prefixed(word))
    }

    fn text(&mut self, text: String) -> Result<EventValue, Malformed> {
        self.text_left = self.text_left.checked_sub(text.len()).ok_or(Malformed)?;
        Ok(EventValue::Text(text))
    }

    fn take_value(&mut self) -> Result<(), Malformed> {
        self.values_left = self.values_left.checked_sub(1).ok_or(Malformed)?;
        Ok(())
    }

    fn bytes(&mut self, start: usize) -> Result<&'a [u8], Malformed> {
        self.take_value()?;
        let length = self.length(start)?;
        let from = start.checked_add(32).ok_or(Malformed)?;
        let bytes = self.data.get(from..from.checked_add(length).ok_or(Malformed)?);
        // Checked before the conversion to text: many offsets may point to the same long bytes.
        bytes.filter(|bytes| bytes.len() <= self.text_left).ok_or(Malformed)
    }

    fn length(&self, start: usize) -> Result<usize, Malformed> {
        usize::try_from(U256::from_be_bytes(self.word(start)?)).map_err(|_| Malformed)
    }

    fn word(&self, start: usize) -> Result<[u8; 32], Malformed> {
        let word = self.data.get(start..start.checked_add(32).ok_or(Malformed)?);
        word.and_then(|word| word.try_into().ok()).ok_or(Malformed)
    }
}
