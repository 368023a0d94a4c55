use std::{fmt, str::FromStr};

/// Leaves room for the suffix below PostgreSQL's limit of 63.
const MAX_LENGTH: usize = 48;
const BEFORE_SUFFIX: &str = "_before";
/// Prefixes of names that the server and its extensions use.
const RESERVED: [&str; 3] = ["pg_", "information_schema", "timescaledb"];

/// Name of a schema that holds a second set of our tables: lowercase letters, digits and `_`, so that it needs no quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

/// A text is not a valid name for such a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a valid name for a schema of new tables: write a lowercase letter, then lowercase letters, digits \
     and _, at most {MAX_LENGTH} characters, not ending in {BEFORE_SUFFIX}"
)]
pub struct InvalidSchemaName {
    name: String,
}

impl SchemaName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The schema to which a swap moves the live tables.
    #[must_use]
    pub fn before(&self) -> String {
        format!("{}{BEFORE_SUFFIX}", self.0)
    }
}

impl FromStr for SchemaName {
    type Err = InvalidSchemaName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let is_ours = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
            && name.bytes().all(plain)
            && name.len() <= MAX_LENGTH
            && !name.ends_with(BEFORE_SUFFIX)
            && !RESERVED.iter().any(|other| name.starts_with(other));
        if is_ours {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidSchemaName { name: name.to_owned() })
        }
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_quotes_and_is_not_reserved() {
        assert_eq!(
            "rebuilt_2".parse::<SchemaName>().map(|name| name.before()),
            Ok("rebuilt_2_before".into())
        );
        for name in
            ["", "A", "1a", "a b", "a\"b", "pg_x", "x_before", "timescaledb_information", "ä"]
        {
            assert!(name.parse::<SchemaName>().is_err(), "{name}");
        }
        assert!("a".repeat(49).parse::<SchemaName>().is_err());
    }
}
