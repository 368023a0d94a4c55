use std::fmt;

/// The type of a condition's part, as far as the check knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// Not known: nothing is said about it.
    Any,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    /// Hex text of so many bytes, always lower case.
    Hex(usize),
    Bytes,
    Null,
    U256,
    List(Box<Self>),
    Map,
}

impl Type {
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Hex(_))
    }

    /// The type of something that is one or the other; `None` when they have nothing in common.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (one, two) if one == two => Some(one.clone()),
            (Self::Any, _) | (_, Self::Any) => Some(Self::Any),
            (Self::Null, known) | (known, Self::Null) => Some(known.clone()),
            (one, two) if one.is_text() && two.is_text() => Some(Self::Text),
            (Self::List(one), Self::List(two)) => {
                Some(Self::List(Box::new(one.join(two).unwrap_or(Self::Any))))
            }
            _ => None,
        }
    }

    /// Whether `==` between the two can ever be true.
    pub(crate) fn can_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hex(one), Self::Hex(two)) => one == two,
            (one, two) => one.is_number() && two.is_number() || one.join(two).is_some(),
        }
    }

    /// Whether `<` between the two has a meaning.
    pub(crate) fn can_order(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::U256, Self::U256) | (Self::Bool, Self::Bool) | (Self::Bytes, Self::Bytes) => {
                true
            }
            (one, two) => one.is_number() && two.is_number() || one.is_text() && two.is_text(),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any value"),
            Self::Bool => formatter.write_str("a truth value"),
            Self::Int => formatter.write_str("an int"),
            Self::Uint => formatter.write_str("a uint"),
            Self::Double => formatter.write_str("a double"),
            Self::Text => formatter.write_str("text"),
            Self::Hex(20) => formatter.write_str("an address"),
            Self::Hex(32) => formatter.write_str("a hash"),
            Self::Hex(bytes) => write!(formatter, "hex text of {bytes} bytes"),
            Self::Bytes => formatter.write_str("bytes"),
            Self::Null => formatter.write_str("null"),
            Self::U256 => formatter.write_str("a uint256"),
            Self::List(element) => write!(formatter, "a list of {element}"),
            Self::Map => formatter.write_str("a map"),
        }
    }
}
