use std::fmt;

/// What the server offers beyond PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "edition", content = "timescaledb", rename_all = "snake_case")]
pub enum Edition {
    /// PostgreSQL without TimescaleDB: plain tables.
    Plain,
    /// The first migration will create TimescaleDB's extension in this version; its edition is known only after that.
    TimescaleToCome(String),
    /// TimescaleDB under the Apache licence, of this version: hypertables.
    TimescaleApache(String),
    /// TimescaleDB community edition of this version: hypertables, compression, aggregates, policies.
    TimescaleCommunity(String),
}

impl Edition {
    /// From the license in force and the version of the extension in this database.
    pub(super) fn new(license: Option<&str>, version: Option<String>) -> Self {
        match (license, version) {
            (_, None) => Self::Plain,
            (Some("timescale"), Some(version)) => Self::TimescaleCommunity(version),
            (_, Some(version)) => Self::TimescaleApache(version),
        }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => formatter.write_str("plain PostgreSQL"),
            Self::TimescaleToCome(version) => {
                write!(formatter, "TimescaleDB {version}, its extension not made yet")
            }
            Self::TimescaleApache(version) => write!(formatter, "TimescaleDB {version} (Apache)"),
            Self::TimescaleCommunity(version) => {
                write!(formatter, "TimescaleDB {version} (community)")
            }
        }
    }
}
