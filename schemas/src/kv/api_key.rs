//! What the bucket `api_keys` holds: who may use the API. Keys of the bucket are the ids of API keys; values are
//! [`ApiKeyEntry`] as JSON. The secret itself is nowhere: the entry has its hash.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a client of the API is, as a set of scopes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ApiRole {
    /// Reads chains, markets and alerts.
    Viewer,
    /// Reads them, and changes the watch-list and silences.
    Analyst,
    /// That, and sees and changes how the pipeline runs.
    Operator,
    /// That, and decides who may use the API.
    Admin,
}

impl ApiRole {
    /// All of them, each with more rights than the one before.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Analyst, Self::Operator, Self::Admin];

    /// The text in the bucket, in the configuration and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for ApiRole {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for ApiRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no role: use viewer, analyst, operator or admin"))
    }
}

/// The value of a key of the bucket `api_keys`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyEntry {
    /// SHA-256 of the whole API key, as hex.
    pub hash: String,
    /// Whose it is, for people.
    pub name: String,
    /// What its holder may do.
    pub role: ApiRole,
    /// Chains that it may see; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chains: Option<Vec<String>>,
    /// When it was made, microseconds UTC.
    pub created_at_us: i64,
    /// From when on it is refused, microseconds UTC; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_us: Option<i64>,
    /// When it was revoked, microseconds UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_us: Option<i64>,
}

impl ApiKeyEntry {
    /// Whether it counts at a time.
    #[must_use]
    pub fn is_valid(&self, at_us: i64) -> bool {
        self.revoked_at_us.is_none() && self.expires_at_us.is_none_or(|expires| at_us < expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_until_it_expires_or_is_revoked() {
        let json = r#"{"hash":"ab","name":"desk","role":"viewer","created_at_us":1}"#;
        let entry: ApiKeyEntry = serde_json::from_str(json).unwrap();
        assert!(entry.is_valid(i64::MAX));
        let expiring = ApiKeyEntry { expires_at_us: Some(10), ..entry.clone() };
        assert!(expiring.is_valid(9) && !expiring.is_valid(10));
        assert!(!ApiKeyEntry { revoked_at_us: Some(1), ..entry }.is_valid(2));
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in ApiRole::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!("root".parse::<ApiRole>().is_err());
    }
}
