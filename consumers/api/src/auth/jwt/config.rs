use std::collections::BTreeMap;

use crypto_intel_schemas::ApiRole;
use jsonwebtoken::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// People whom an identity provider knows: their tokens count as keys do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JwtConfig {
    /// Who issues the tokens, exactly as their `iss` says. Empty = no tokens are taken.
    pub issuer: String,
    /// For whom they are, as their `aud` says: a token for another service is refused.
    pub audience: String,
    /// Where the issuer publishes its keys (JWKS), with https.
    pub jwks_url: String,
    /// How they may be signed: `EdDSA`, `ES256` or `RS256`. What the token itself says never widens this.
    pub algorithms: Vec<JwtAlgorithm>,
    /// The claim that says what a person may do, a text or a list; dots lead into objects, such as `realm_access.roles`. Of several
    /// roles the highest counts.
    pub role_claim: String,
    /// Values of that claim and the role that each stands for. Empty = the values are viewer, analyst, operator and admin.
    pub roles: BTreeMap<String, ApiRole>,
    /// The claim that names the person in lists and in the audit; without it `sub` does.
    pub name_claim: String,
    /// How soon a key id that is not known has the keys read again, in seconds.
    pub refetch_seconds: u64,
    /// Clocks may differ by so much, in seconds.
    pub leeway_seconds: u64,
    /// Whether `jwks_url` may be of this machine or a private network, also with http; otherwise only the internet is asked.
    pub allow_private: bool,
}

/// How a token is signed: always by a key that only the issuer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// Ed25519.
    EdDSA,
    /// ECDSA over P-256 with SHA-256.
    ES256,
    /// RSA with SHA-256.
    RS256,
}

impl JwtAlgorithm {
    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::EdDSA => Algorithm::EdDSA,
            Self::ES256 => Algorithm::ES256,
            Self::RS256 => Algorithm::RS256,
        }
    }
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            jwks_url: String::new(),
            algorithms: vec![JwtAlgorithm::EdDSA, JwtAlgorithm::ES256, JwtAlgorithm::RS256],
            role_claim: "role".to_owned(),
            roles: BTreeMap::new(),
            name_claim: "name".to_owned(),
            refetch_seconds: 60,
            leeway_seconds: 30,
            allow_private: false,
        }
    }
}

impl JwtConfig {
    /// Whether tokens are taken.
    pub(crate) fn is_enabled(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// One sentence per problem, with the key, the problem and how to correct it.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.is_enabled() {
            if !self.audience.is_empty() || !self.jwks_url.is_empty() {
                problems.push("api.jwt.issuer: is empty, so no token is taken: write what `iss` of the tokens says".to_owned());
            }
            return problems;
        }
        if self.audience.is_empty() {
            problems.push("api.jwt.audience: is empty: a token that the issuer gave for any other service would count".to_owned());
        }
        if self.algorithms.is_empty() {
            problems.push(
                "api.jwt.algorithms: names none: leave it out, or name EdDSA, ES256 or RS256"
                    .to_owned(),
            );
        }
        if self.role_claim.is_empty() {
            problems.push(
                "api.jwt.role_claim: is empty: name the claim that says what a person may do"
                    .to_owned(),
            );
        }
        if self.refetch_seconds == 0 {
            problems.push("api.jwt.refetch_seconds: must be above 0: invented key ids would ask the issuer each time".to_owned());
        }
        if self.leeway_seconds > 300 {
            problems.push("api.jwt.leeway_seconds: must be at most 300: longer, and ended tokens go on counting".to_owned());
        }
        let url = self.jwks_url.parse::<axum::http::Uri>().ok();
        let scheme = url.as_ref().and_then(|url| url.scheme_str());
        let has_host = url.as_ref().is_some_and(|url| url.host().is_some());
        if !has_host || !(scheme == Some("https") || scheme == Some("http") && self.allow_private) {
            problems.push(format!(
                "api.jwt.jwks_url: {:?} is no https address: write such as \"https://id.example.org/jwks.json\" (http only with allow_private)",
                self.jwks_url
            ));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_take_too_much_is_named() {
        assert_eq!(JwtConfig::default().problems(), Vec::<String>::new());
        let good = JwtConfig {
            issuer: "https://id.example.org".into(),
            audience: "crypto-intel".into(),
            jwks_url: "https://id.example.org/jwks.json".into(),
            ..JwtConfig::default()
        };
        assert_eq!(good.problems(), Vec::<String>::new());
        for (key, wrong) in [
            ("issuer", JwtConfig { issuer: String::new(), ..good.clone() }),
            ("audience", JwtConfig { audience: String::new(), ..good.clone() }),
            ("algorithms", JwtConfig { algorithms: Vec::new(), ..good.clone() }),
            ("role_claim", JwtConfig { role_claim: String::new(), ..good.clone() }),
            ("refetch_seconds", JwtConfig { refetch_seconds: 0, ..good.clone() }),
            ("leeway_seconds", JwtConfig { leeway_seconds: 3_600, ..good.clone() }),
            ("jwks_url", JwtConfig { jwks_url: "http://id.example.org/".into(), ..good.clone() }),
            ("jwks_url", JwtConfig { jwks_url: "jwks.json".into(), ..good.clone() }),
        ] {
            let problems = wrong.problems();
            assert!(problems[0].starts_with(&format!("api.jwt.{key}")), "{problems:?}");
        }
        assert!(toml_like("\"HS256\"").is_err() && toml_like("\"none\"").is_err());
    }

    fn toml_like(text: &str) -> Result<JwtAlgorithm, serde_json::Error> {
        serde_json::from_str(text)
    }
}
